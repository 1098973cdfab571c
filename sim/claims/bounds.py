"""The registry of bounds as claims: each theorem a claim, held against every cell in which it speaks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from sim.claims import found
from sim.claims.claim import Case, Claim, Comparison, Reliability, Source
from sim.claims.evidence import Evidence
from sim.claims.words import ran, setting_of
from theory.bounds.references import Standing
from theory.bounds.theorem import Theorem
from theory.catalogue import claim as claimed
from theory.catalogue import theorems
from theory.verdict import Kind

Find = Callable[[Evidence, str], Iterable[Comparison]]
"""The comparisons of a bound of some name."""

FIRST = "python -m sim.grid --n 50..200 --k 2 --schedule cross-entropy,one-shot,progressive --replicates 128"
ODD = "python -m sim.grid --n 51..201 --k 4 --schedule progressive --replicates 128"
LEAKY = "python -m sim.grid --n 50..200 --k 4 --schedule one-shot --teacher-error 0.5,1 --replicates 256"
TWO_STAGE = "python -m sim.grid --protocol two-stage --n 21,51,101,151,201 --k 2,4 --loss 0.1,0.03,0.01"
RAW = (
    "python -m sim.grid --protocol two-stage --student biases --n 21,51,101,201 --k 2 "
    "--schedule progressive --loss 0.1"
)
PHASE_ONE = (
    "python -m sim.grid --protocol two-stage --teacher phase-1 --schedule progressive --n 51 --k 2 --loss 0.1 "
    "--replicates 256 --dead-zone 9357/5308328"
)


@final
@dataclass(frozen=True)
class BoundClaim(Claim):
    """A theorem of the registry.

    Attributes:
        find: its comparisons; none for what no simulation here can test.
        note: what the comparisons do and do not say.
    """

    find: Find
    note: str = ""

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """One, of all cells in which the theorem speaks."""
        comparisons = tuple(self.find(evidence, self.id))
        if comparisons:
            text, cells = ran(evidence, (id for c in comparisons for id in c.measured.cells))
            yield Case(setting_of(cells), text, comparisons, self.note)

    def to_run(self) -> str:
        """Why the claim is open; of what no simulation tests, only values can be looked at."""
        if self.find is found.nothing:
            return f"{self.without} The command prints its values."
        return super().to_run()


def sources(theorem: Theorem) -> Source:
    """Where a theorem is stated: this package for those proved here, with what they rest on."""
    if theorem.standing is Standing.PROVED:
        rests = "; ".join(str(source) for source in theorem.sources)
        return Source(type(theorem).__module__, f"resting on {rests}" if rests else "")
    first = theorem.sources[0]
    return Source(str(first.reference), first.locator)


def made(
    theorem: Theorem, find: Find, command: str, without: str = "", note: str = "", reported: str = ""
) -> BoundClaim:
    """The claim of a theorem."""
    return BoundClaim(
        id=theorem.name,
        title=theorem.quantity,
        statement=theorem.statement,
        source=sources(theorem),
        reliability=Reliability.of(theorem.standing),
        reported=reported or f"{claimed(theorem)} bound of {theorem.quantity}",
        command=command,
        without=without,
        find=find,
        note=note,
    )


TESTED: dict[str, tuple[Find, str, str]] = {
    "B1": (found.by_name, FIRST, ""),
    "B1'": (found.by_name, FIRST, ""),
    "B1-intermediate": (found.by_name, ODD, ""),
    "B2": (found.by_name, FIRST, ""),
    "B2h": (found.by_name, FIRST, ""),
    "B2-leaky": (found.by_name, LEAKY, ""),
    "S1": (found.by_name, TWO_STAGE, ""),
    "S1'": (found.by_name, TWO_STAGE, ""),
    "phase-1-success": (
        found.phase_one,
        PHASE_ONE,
        "Only cells with the theorem's own dead zone are compared.",
    ),
    "T2": (
        found.online_sums,
        TWO_STAGE,
        "T2 is about a mean; what is compared is the inequality behind it, which holds for every sequence of samples.",
    ),
    "T2-delta": (found.by_name, TWO_STAGE, ""),
    "N-progressive": (found.by_name, TWO_STAGE, ""),
    "N-raw": (
        found.raw_losses,
        RAW,
        "What is compared is the bound of the mean loss behind it, at the horizons, by Markov's inequality.",
    ),
    "N-one-shot": (found.by_name, TWO_STAGE, ""),
    "separation": (found.separations, TWO_STAGE, ""),
    "identify-support": (
        found.one_bit,
        FIRST,
        "Online students name no support, so only first steps are compared.",
    ),
}
"""How each bound with numbers is held against cells: comparisons, command, and what they leave out."""

UNTESTED = {
    "biased-curriculum": "No protocol here draws biased inputs, so no simulation can test it.",
    "barak-gap": "About numbers and not about students: majority's Fourier coefficients are exact rationals, so that "
    "it is checked by computation for any n, and proved for all.",
    "edelman-iterates": "About adversarial errors of gradients, which no simulation here makes.",
    "sq-dimension": "About statistical queries, which no student here makes.",
    "gaussian-elimination": "Elimination over GF(2) is no network, and is not simulated here.",
    "gaussian-elimination-samples": "Elimination over GF(2) is no network, and is not simulated here.",
}
"""Why no simulation here tests a bound; its values can be looked at."""


def _claims() -> Iterator[Claim]:
    for theorem in theorems():
        if theorem.name in TESTED:
            find, command, note = TESTED[theorem.name]
            yield made(theorem, find, command, note=note)
        elif theorem.kind is not Kind.ASYMPTOTIC:
            yield made(theorem, found.nothing, f"python -m theory {theorem.name}", UNTESTED[theorem.name])


BOUNDS: tuple[Claim, ...] = tuple(_claims())
