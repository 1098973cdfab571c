"""Claims about most networks: that a statement holds for more than half of the students, or of the seeds.

**Units.** With one seed the units are its students: they share teacher and samples and differ in their initial weights,
so that the share is over initial weights, given this teacher and these samples. With several seeds, which share
nothing, the units are the seeds, and the statement holds for a seed if it does for more than half of its students.

**Test.** Units are independent, so the share has a Clopper-Pearson interval. "More than half" is contradicted where the
whole interval is below 1/2 at the ledger's error, and supported where a one-sided error of 5 % leaves nothing below
1/2: by 5 units of 5 at least. A unit that cannot tell, such as a student that diverged, counts as one for which the
statement holds before it is contradicted, and as one for which it fails before it is supported.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from sim.claims.claim import Comparison, Measured
from sim.claims.words import LEVEL
from sim.levels import ALPHA_SHOWN, one_sided
from sim.online.summary import Median, OnlineSummaryOfCell
from sim.student_record import OK
from theory.intervals import Interval, clopper_pearson
from theory.verdict import Judgement, Kind, judge

Record = Mapping[str, Any]
Holds = Callable[[int, int, Record], bool | None]
"""Whether a statement holds for a student of a seed and number, by its record; None: it cannot be told."""

GIVEN_TEACHER = "With one seed, students share teacher and samples: the share is over initial weights only."
HALF = 0.5


@final
@dataclass(frozen=True)
class Votes:
    """Units for which a statement holds, fails, or cannot be told; Raises ValueError if there are none."""

    holds: int
    fails: int
    unknown: int

    def __post_init__(self) -> None:
        if min(self.holds, self.fails, self.unknown) < 0 or not self.units:
            raise ValueError(f"{self} are no votes; one unit at least is needed.")

    @property
    def units(self) -> int:
        """How many there are."""
        return self.holds + self.fails + self.unknown

    @staticmethod
    def of(answers: Iterable[bool | None]) -> "Votes":
        """The votes of units."""
        given = list(answers)
        return Votes(given.count(True), given.count(False), given.count(None))

    @property
    def majority(self) -> bool | None:
        """What holds for more than half of the units, None where neither does."""
        if 2 * self.holds > self.units:
            return True
        return False if 2 * self.fails > self.units else None

    def interval(self, alpha: float) -> Interval:
        """Of the share for which it holds, of two-sided error alpha, whatever is true of those that cannot tell."""
        low = clopper_pearson(self.holds, self.units, alpha)
        high = clopper_pearson(self.holds + self.unknown, self.units, alpha)
        return Interval(low.lower, high.upper, alpha)

    def judge(self, alpha: float) -> Judgement:
        """Of "more than half"."""
        return one_sided(self._judge, alpha)

    def _judge(self, alpha: float) -> Judgement:
        judgement = judge(self.interval(alpha), HALF, Kind.LOWER)
        unknown = f", {self.unknown} cannot tell" if self.unknown else ""
        text = f"It holds for {self.holds} of {self.units}{unknown}: {judgement.reason}"
        return Judgement(judgement.verdict, text, judgement.alpha)


def share(what: str, votes: Votes, cells: Iterable[str]) -> Comparison:
    """The share of units for which a statement holds, judged."""
    interval = votes.interval(ALPHA_SHOWN)
    low, high = float(interval.lower), float(interval.upper)
    shown = Measured(what, votes.holds / votes.units, low, high, LEVEL, tuple(cells))
    return Comparison(shown, 1, votes.judge)


def students_share(what: str, cells: Mapping[int, OnlineSummaryOfCell], holds: Holds) -> Comparison:
    """The share of the students of one seed, or of several seeds, for which a statement holds.

    Args:
        what: the statement.
        cells: by seed.
        holds: of a student that did not diverge.
    """

    def votes(seed: int, summary: OnlineSummaryOfCell) -> Votes:
        return Votes.of(
            holds(seed, number, record) if record["status"] == OK else None
            for number, record in summary.records.items()
        )

    ids = [summary.cell.id for summary in cells.values()]
    own = [votes(seed, summary) for seed, summary in cells.items()]
    if len(own) == 1:
        return share(f"share of students: {what}", own[0], ids)
    return share(f"share of seeds, most students: {what}", Votes.of(v.majority for v in own), ids)


def shown(what: str, value: float | None, cells: Iterable[str]) -> Comparison:
    """A number without interval, only shown."""
    return Comparison(Measured(what, value, None, None, None, tuple(cells)))


def median(what: str, cells: Mapping[int, OnlineSummaryOfCell], of: Callable[[Record], float]) -> Comparison:
    """The median over students of one seed, or over seeds of each seed's median, with its interval; only shown."""
    medians = [
        m
        for s in cells.values()
        if (m := Median.of([of(record) for record in s.records.values() if record["status"] == OK]))
    ]
    ids = tuple(summary.cell.id for summary in cells.values())
    one = medians[0] if len(medians) == 1 else Median.of([m.value for m in medians])
    if one is None:
        return Comparison(Measured(what, None, None, None, None, ids))
    if not one.level:
        return Comparison(Measured(what, one.value, None, None, None, ids))
    return Comparison(Measured(what, one.value, one.low, one.high, one.level, ids))
