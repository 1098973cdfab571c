"""The literature behind the bounds: one entry a work, and how far each statement carried from it can be relied on."""

import enum
from dataclasses import dataclass

_PUBLISHERS = ("Oxford University Press", "Springer", "Wiley")


@dataclass(frozen=True)
class Reference:
    """One work of the literature."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    number: str = ""

    def __str__(self) -> str:
        """For example `Barak et al., Hidden progress in deep learning, NeurIPS 2022, arXiv 2207.08799`."""
        first, *others = self.authors.split(" and ")
        short = f"{first} et al." if len(others) > 2 else self.authors.replace(" and ", ", ", len(others) - 1)
        return ", ".join(
            part for part in (short, self.title, f"{self.venue} {self.year}", self.number) if part
        )

    def bibtex(self) -> str:
        """Return the entry in BibTeX; arXiv numbers as `eprint`."""
        kind = (
            "book"
            if self.venue in _PUBLISHERS
            else "article"
            if self.venue[-1:].isdigit()
            else "inproceedings"
        )
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            {"book": "publisher", "article": "journal"}.get(kind, "booktitle"): self.venue,
            "year": str(self.year),
        }
        if self.number.startswith("arXiv "):
            fields |= {"eprint": self.number.removeprefix("arXiv "), "archiveprefix": "arXiv"}
        elif self.number:
            fields["note"] = self.number
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
        return f"@{kind}{{{self.key},\n{body}\n}}"


class Standing(enum.Enum):
    """How a statement came here."""

    PROVED = "proved in this package"
    READ = "read in the source"
    STANDARD = "standard result, cited from memory"
    QUOTED = "quoted by others, not read in the source"
    RECALLED = "recalled, not read"


@dataclass(frozen=True)
class Source:
    """Where a theorem's statement or its main argument comes from: a work, a place in it, and its standing."""

    reference: Reference
    locator: str
    standing: Standing

    def __str__(self) -> str:
        """For example `Barak et al., ..., Theorem 4 (read in the source)`."""
        place = f", {self.locator}" if self.locator else ""
        return f"{self.reference}{place} ({self.standing.value})"


PANIGRAHI = Reference(
    "panigrahi2025progressive",
    "Panigrahi, Abhishek and Liu, Bingbin and Malladi, Sadhika and Risteski, Andrej and Goel, Surbhi",
    "Progressive distillation induces an implicit curriculum",
    "ICLR",
    2025,
    "arXiv 2410.05464",
)
BARAK = Reference(
    "barak2022hidden",
    "Barak, Boaz and Edelman, Benjamin and Goel, Surbhi and Kakade, Sham and Malach, Eran and Zhang, Cyril",
    "Hidden progress in deep learning: SGD learns parities near the computational limit",
    "NeurIPS",
    2022,
    "arXiv 2207.08799",
)
EDELMAN = Reference(
    "edelman2023pareto",
    "Edelman, Benjamin and Goel, Surbhi and Kakade, Sham and Malach, Eran and Zhang, Cyril",
    "Pareto frontiers in neural feature learning: data, compute, width, and luck",
    "NeurIPS",
    2023,
    "arXiv 2309.03800",
)
KOU = Reference(
    "kou2024matching",
    "Kou, Yiwen and Chen, Zixiang and Gu, Quanquan and Kakade, Sham",
    "Matching the statistical query lower bound for k-sparse parity problems with sign stochastic gradient descent",
    "NeurIPS",
    2024,
    "arXiv 2404.12376",
)
BLUM = Reference(
    "blum1994weakly",
    "Blum, Avrim and Furst, Merrick and Jackson, Jeffrey and Kearns, Michael and Mansour, Yishay and Rudich, Steven",
    "Weakly learning DNF and characterizing statistical query learning using Fourier analysis",
    "STOC",
    1994,
)
KEARNS = Reference(
    "kearns1998efficient",
    "Kearns, Michael",
    "Efficient noise-tolerant learning from statistical queries",
    "Journal of the ACM 45",
    1998,
)
CORNACCHIA = Reference(
    "cornacchia2023curriculum",
    "Cornacchia, Elisabetta and Mossel, Elchanan",
    "A mathematical model for curriculum learning for parities",
    "ICML",
    2023,
    "arXiv 2301.13833",
)
ABBE = Reference(
    "abbe2023provable",
    "Abbe, Emmanuel and Cornacchia, Elisabetta and Lotfi, Aryo",
    "Provable advantage of curriculum learning on parity targets with mixed inputs",
    "NeurIPS",
    2023,
    "arXiv 2306.16921",
)
BOUCHERON = Reference(
    "boucheron2013concentration",
    "Boucheron, Stéphane and Lugosi, Gábor and Massart, Pascal",
    "Concentration inequalities: a nonasymptotic theory of independence",
    "Oxford University Press",
    2013,
)
TSYBAKOV = Reference(
    "tsybakov2009introduction",
    "Tsybakov, Alexandre",
    "Introduction to nonparametric estimation",
    "Springer",
    2009,
)
LANGFORD = Reference(
    "langford2005tutorial",
    "Langford, John",
    "Tutorial on practical prediction theory for classification",
    "Journal of Machine Learning Research 6",
    2005,
)
NOVIKOFF = Reference(
    "novikoff1962convergence",
    "Novikoff, Albert",
    "On convergence proofs on perceptrons",
    "Symposium on the Mathematical Theory of Automata",
    1962,
)
ZINKEVICH = Reference(
    "zinkevich2003online",
    "Zinkevich, Martin",
    "Online convex programming and generalized infinitesimal gradient ascent",
    "ICML",
    2003,
)
PINELIS = Reference(
    "pinelis1994optimum",
    "Pinelis, Iosif",
    "Optimum bounds for the distributions of martingales in Banach spaces",
    "Annals of Probability 22",
    1994,
)
COOPER = Reference(
    "cooper2000rank",
    "Cooper, Colin",
    "On the rank of random matrices",
    "Random Structures and Algorithms 16",
    2000,
)
MAURER = Reference(
    "maurer2009empirical",
    "Maurer, Andreas and Pontil, Massimiliano",
    "Empirical Bernstein bounds and sample-variance penalization",
    "COLT",
    2009,
    "arXiv 0907.3740",
)
HOEFFDING = Reference(
    "hoeffding1963probability",
    "Hoeffding, Wassily",
    "Probability inequalities for sums of bounded random variables",
    "Journal of the American Statistical Association 58",
    1963,
)
SZORENYI = Reference(
    "szorenyi2009characterizing",
    "Szörényi, Balázs",
    "Characterizing statistical query learning: simplified notions and proofs",
    "ALT",
    2009,
)
COVER = Reference(
    "cover2006elements",
    "Cover, Thomas and Thomas, Joy",
    "Elements of information theory",
    "Wiley",
    2006,
)
