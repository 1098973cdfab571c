"""What a claim is, and how what was measured is held against it.

A claim looks through the evidence for *cases*, one a setting, each a list of *comparisons* of a measured number with
what is claimed of it. A comparison may contradict the claim by tests of a declared number of *sides*: 1 where the
claim says "at most" or "at least", 2 where it says "equal", 0 where the comparison holds for certain or cannot
contradict. With intervals of two-sided error α each side errs with probability at most α/2, so that m sides, in all
claims of a ledger, call any true claim CONTRADICTED with probability at most m α/2, whatever depends on what. How many
sides there are depends on which cells are there, and never on what they showed.

A claim in a setting is CONTRADICTED if any comparison is, CONSISTENT if all are, else UNDECIDED. A claim that holds in
every comparison is an intersection of hypotheses "it fails here", each rejected at its own one-sided 5 %: calling it
CONSISTENT wrongly is then no more probable than 5 %, without a correction (an intersection-union test: Berger,
Technometrics 24, 1982).
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

from sim.claims.evidence import Evidence
from theory.bounds.references import Standing
from theory.errors import TheoryError
from theory.verdict import Judgement, Verdict, combine

REASONS = 3
"""Comparisons whose reasons an entry gives; each number has its own."""


class Reliability(enum.Enum):
    """How a statement, or the number that is reported, came here."""

    PROVED = "proved in this package"
    DERIVED = "worked out in this package, not proved"
    READ = "read in the source"
    STANDARD = "standard result, cited from memory"
    QUOTED = "quoted by others, not read in the source"
    RECALLED = "recalled, not read"
    FIGURE = "read by eye off a published figure, ±0.01 in accuracy and one tick in steps"
    TEXT = "a sentence of the paper"
    BLOG = "the authors' blog post"

    @staticmethod
    def of(standing: Standing) -> "Reliability":
        """That of a theorem."""
        return Reliability[standing.name]


@final
@dataclass(frozen=True)
class Measured:
    """One number, as it is shown.

    Attributes:
        what: it is, in words.
        value: None where there is none; may be infinite.
        low, high: ends of its interval, which may be infinite; None where there is none.
        level: probability with which the interval covers, None where it has none.
        cells: ids of the cells that it comes from.
        verdict: of this comparison alone; None for a number that is only shown.
        reason: of the verdict, in a sentence.
    """

    what: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    cells: tuple[str, ...]
    verdict: Verdict | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise TheoryError(f"{self.what} with one end of an interval is refused; give both or none.")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise TheoryError(f"{self.what}: [{self.low}, {self.high}] is not an interval.")


@final
@dataclass(frozen=True)
class Comparison:
    """A measured number, and how it is judged.

    Attributes:
        measured: the number; its verdict is not yet there.
        sides: of tests by which it could contradict the claim, see the module.
        judge: the verdict, from the two-sided error of a contradiction; None for a number that is only shown.
    """

    measured: Measured
    sides: int = 0
    judge: Callable[[float], Judgement] | None = None

    def __post_init__(self) -> None:
        if self.sides not in (0, 1, 2) or (self.sides and self.judge is None):
            raise TheoryError(f"{self.sides} sides are refused; 0, 1 or 2 are needed, and 0 without a judge.")

    def judged(self, alpha: float) -> Measured:
        """The number with its verdict."""
        if self.judge is None:
            return self.measured
        judgement, shown = self.judge(alpha), self.measured
        return Measured(
            shown.what, shown.value, shown.low, shown.high, shown.level, shown.cells,
            judgement.verdict, judgement.reason,
        )  # fmt: skip


def certain(judgement: Judgement, alpha: float) -> Judgement:
    """The verdict of a comparison without chance, whatever the level."""
    return judgement


@final
@dataclass(frozen=True)
class Case:
    """A claim in one setting, before it is judged.

    Attributes:
        setting: such as `n = 50, k = 4`; empty for all.
        ran: what was run, in words.
        comparisons: one at least.
        note: what else the reader has to know.
        published: whether it is the setting of which the claim was made.
    """

    setting: str
    ran: str
    comparisons: tuple[Comparison, ...]
    note: str = ""
    published: bool = True

    @property
    def sides(self) -> int:
        """Sides of tests that could contradict the claim."""
        return sum(comparison.sides for comparison in self.comparisons)


@final
@dataclass(frozen=True)
class Source:
    """Where a claim is made: a work, and a place in it, which may be empty."""

    work: str
    place: str

    def __str__(self) -> str:
        return ", ".join(part for part in (self.work, self.place) if part)


@final
@dataclass(frozen=True)
class Entry:
    """One row of the ledger: one claim in one setting.

    Attributes:
        claim: the claim.
        setting: such as `n = 50, k = 4`; empty for all.
        verdict: None: open, not yet run.
        ran: what was run, in words: cells, students, seeds; empty if nothing was.
        measured: the numbers.
        reason: of the verdict, and what else there is to say.
        tests: sides of tests that could have contradicted it here.
    """

    claim: "Claim"
    setting: str
    verdict: Verdict | None
    ran: str
    measured: tuple[Measured, ...]
    reason: str
    tests: int

    @property
    def open(self) -> bool:
        """Whether nothing was run."""
        return self.verdict is None


@dataclass(frozen=True)
class Claim(ABC):
    """One claim.

    Attributes:
        id: such as `B1'` or `E1-progressive`; unique in a ledger.
        title: a few words.
        statement: what is claimed, as it is tested.
        source: where.
        reliability: how the statement, or the reported number, came here.
        reported: the reported or certified value, in words.
        command: what runs it, for a shell; None where this package cannot.
        without: why there is no command, or what the command leaves open; may be empty with a command.
    """

    id: str
    title: str
    statement: str
    source: Source
    reliability: Reliability
    reported: str
    command: str | None
    without: str

    def __post_init__(self) -> None:
        if self.command is None and not self.without:
            raise TheoryError(f"Claim {self.id} has no command; say why.")

    @abstractmethod
    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """The settings in which the evidence speaks of the claim; the same ones whatever was measured in them."""

    @property
    def home(self) -> str:
        """The setting of which the claim was made; empty for all."""
        return ""

    @final
    def entries(self, cases: Sequence[Case], alpha: float) -> list[Entry]:
        """Its rows.

        Args:
            cases: its own, of some evidence.
            alpha: two-sided error of each comparison's contradiction.
        """
        rows = [_entry(self, case, alpha) for case in cases]
        if any(case.published for case in cases):
            return rows
        return [Entry(self, self.home, None, "", (), self.to_run(), 0), *rows]

    def to_run(self) -> str:
        """Why the claim is open."""
        return f"Not yet run. {self.without}".rstrip() if self.command else self.without


def _entry(claim: Claim, case: Case, alpha: float) -> Entry:
    measured = tuple(comparison.judged(alpha) for comparison in case.comparisons)
    judged = [m for m in measured if m.verdict is not None]
    overall = combine(Judgement(m.verdict, m.reason, alpha) for m in judged if m.verdict is not None)
    deciding = [f"{m.what}: {m.reason}" for m in judged if m.verdict is overall.verdict]
    if overall.verdict is Verdict.CONSISTENT:
        deciding = [overall.reason]
    more = len(deciding) - REASONS
    parts = [*deciding[:REASONS], f"And {more} more." if more > 0 else "", case.note]
    reason = " ".join(part for part in parts if part)
    return Entry(claim, case.setting, overall.verdict, case.ran, measured, reason, case.sides)
