"""What a store says of online cells: samples to reach an accuracy, and the accuracy at the end.

**Intervals** are for the median over the students of a cell, from order statistics, so that they suppose nothing of the
distribution and a student that never got there counts as ∞: the narrowest pair x_(j), x_(R+1−j) that covers the median
with probability 95 % at least. Fewer than six students have no such pair; their range is shown, which covers it with
probability 1 − 2^(1−R): 75 % for three. The students of a cell share teacher and samples and differ in their initial
weights, so its interval says how much *these* matter, and no more. Cells of other seeds share nothing: over several
seeds, the interval is that of the median over seeds of each seed's median.

A student that diverged, or whose teacher did, is counted and shown, and is in no median.
"""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, ClassVar, final

from rich.console import Console

from sim.online.cell import OnlineCell, StudentCell, TeacherCell, online_cell, setting
from sim.online.report import Report
from sim.online.window import transition_of
from sim.protocol.base import Summary
from sim.report.table import Table
from sim.store import Store, StoredCell
from sim.student_record import OK, samples_to_reach
from sim.transition import Transition

THRESHOLDS = (0.6, 0.9, 0.99)
LEVEL = 0.95
EXIT_DONE, EXIT_UNDECIDED = 0, 3


@final
@dataclass(frozen=True, slots=True)
class Median:
    """A median with an interval.

    Attributes:
        value: the median; ∞ where half of the values or more are; the mean of the middle two of an even number.
        low, high: ends of the interval, which may be ∞.
        level: probability with which it covers the distribution's median, at least; 0 for a single value.
        values: all of them, in the order of replicates (or of seeds).
    """

    value: float
    low: float
    high: float
    level: float
    values: tuple[float, ...]

    @staticmethod
    def of(values: Sequence[float]) -> "Median | None":
        """The median of values that may be ∞; None of no values."""
        if not values:
            return None
        ordered, R = sorted(values), len(values)
        j, level = _place(R)
        return Median(float(statistics.median(ordered)), ordered[j - 1], ordered[R - j], level, tuple(values))


@cache
def _place(R: int) -> tuple[int, float]:
    """The greatest j whose pair of order statistics of R covers with `LEVEL`, 1 if none does; how it covers."""
    if R == 1:
        return 1, 0.0
    # The pair j and R + 1 − j covers with probability 1 − 2 P(Bin(R, 1/2) < j); in integers, for R may be large.
    most = Fraction(1 - LEVEL) / 2 * 2**R
    place, term, below = 1, 1, 1  # term: 2^R P(Bin = place − 1); below: 2^R P(Bin < place)
    while place < R // 2:
        term = term * (R - place + 1) // place
        if below + term > most:
            break
        place, below = place + 1, below + term
    return place, (2**R - 2 * below) / 2**R


@final
@dataclass(frozen=True)
class OnlineSummaryOfCell:
    """One cell.

    Attributes:
        cell: the cell.
        theory: what is stored beside it: that there is none.
        records: by replicate, increasing.
        wanted: replicates that the run asked for, or None.
    """

    cell: OnlineCell
    theory: dict[str, Any]
    records: dict[int, dict[str, Any]]
    wanted: int | None

    @property
    def complete(self) -> bool:
        """Whether all wanted replicates are there."""
        return len(self.records) >= (self.wanted or 1)

    @cached_property
    def good(self) -> list[dict[str, Any]]:
        """Records of the replicates that did not diverge."""
        return [record for record in self.records.values() if record["status"] == OK]

    @property
    def bad(self) -> dict[int, dict[str, Any]]:
        """Records of the others, by replicate."""
        return {r: record for r, record in self.records.items() if record["status"] != OK}

    @cached_property
    def samples_to(self) -> dict[float, Median | None]:
        """Samples to the first log point with each of `THRESHOLDS` on the held-out set."""
        reached = [samples_to_reach(record, THRESHOLDS) for record in self.good]
        return {
            threshold: Median.of([math.inf if row[i] is None else float(row[i] or 0) for row in reached])
            for i, threshold in enumerate(THRESHOLDS)
        }

    @cached_property
    def final_accuracy(self) -> Median | None:
        """Accuracy on the held-out set after the last step."""
        return Median.of([float(record["held_out"][-1]) for record in self.good])

    @cached_property
    def transition(self) -> Transition | None:
        """Of a teacher: when its held-out accuracy rose, in samples."""
        if not isinstance(self.cell, TeacherCell) or not self.records:
            return None
        (record,) = self.records.values()
        return transition_of(record, record["batch"])

    def status(self) -> str:
        """For example `OK`, `4 of 6`, `1 of 6 DIVERGED at step 1200`."""
        parts = []
        if not self.complete:
            parts.append(f"{len(self.records)} of {self.wanted or 1}")
        for status in sorted({record["status"] for record in self.bad.values()}):
            steps = sorted({r["diverged_at"] for r in self.bad.values() if r["status"] == status})
            count = sum(1 for r in self.bad.values() if r["status"] == status)
            many = "" if count == len(self.records) == 1 else f"{count} of {len(self.records)} "
            shown = str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
            parts.append(f"{many}{status} at step {shown}")
        return ", ".join(parts) or OK

    @cached_property
    def setting(self) -> str:
        """Equal for cells that differ in their seed only."""
        return setting(self.cell)


@final
@dataclass(frozen=True)
class Pooled:
    """Cells that differ in their seed only; each seed counts by its median."""

    cells: tuple[OnlineSummaryOfCell, ...]

    @cached_property
    def samples_to(self) -> dict[float, Median | None]:
        """Over seeds, of each seed's median."""
        return {
            threshold: Median.of([m.value for cell in self.cells if (m := cell.samples_to[threshold])])
            for threshold in THRESHOLDS
        }

    @cached_property
    def final_accuracy(self) -> Median | None:
        """Over seeds, of each seed's median."""
        return Median.of([m.value for cell in self.cells if (m := cell.final_accuracy)])


@final
@dataclass(frozen=True)
class OnlineSummary(Summary):
    """All online cells of a store or a run."""

    kinds: ClassVar[tuple[str, ...]] = ("accuracy", "choice", "temperature", "widths", "heat", "correlations")
    title: ClassVar[str] = "Online"
    lead: ClassVar[str] = (
        "Networks trained one batch a step, by the parity or by a teacher's checkpoints; no bound speaks of them."
    )
    cells: tuple[OnlineSummaryOfCell, ...]

    @property
    def complete(self) -> bool:
        """Whether every cell has its replicates."""
        return all(cell.complete for cell in self.cells)

    @property
    def diverged(self) -> int:
        """Replicates that diverged, or whose teacher did."""
        return sum(len(cell.bad) for cell in self.cells)

    @property
    def exit_code(self) -> int:
        """0 done, 3 incomplete or diverged: there is nothing that could be contradicted."""
        return EXIT_DONE if self.complete and not self.diverged else EXIT_UNDECIDED

    @cached_property
    def pooled(self) -> tuple[Pooled, ...]:
        """Settings that have several seeds."""
        groups: dict[str, list[OnlineSummaryOfCell]] = {}
        for cell in self.cells:
            groups.setdefault(cell.setting, []).append(cell)
        return tuple(Pooled(tuple(group)) for group in groups.values() if len(group) > 1)

    def teacher_of(self, summary: OnlineSummaryOfCell) -> OnlineSummaryOfCell | None:
        """The teacher of a student's cell, if it is among the cells."""
        cell = summary.cell
        if not isinstance(cell, StudentCell):
            return None
        teacher = cell.teacher_cell()
        return None if teacher is None else self._by_cell.get(teacher)

    @cached_property
    def _by_cell(self) -> dict[OnlineCell, OnlineSummaryOfCell]:
        return {summary.cell: summary for summary in self.cells}

    def print(self, console: Console) -> None:
        """The tables of teachers and students."""
        from sim.online.table import print_summary

        print_summary(self, console)

    def json(self) -> dict[str, Any]:
        """The same as JSON values."""
        from sim.online.table import as_json

        return as_json(self)

    def explain(self) -> Iterator[str]:
        """What each cell is, and its curve."""
        from sim.online.table import explain_cell

        for cell in self.cells:
            yield from explain_cell(cell)

    def page_tables(self) -> list[Table]:
        """The tables of a report."""
        from sim.report.online import tables

        return tables(self)

    def drawings(self, kind: str, report: Report | None = None) -> Sequence[Any]:
        """Accuracy against samples, of teachers and students; and what `sim.online.plots` draws."""
        self.refuse_kind(kind)
        if kind == self.kinds[0]:
            from sim.online.curves import accuracy_drawing

            return [accuracy_drawing(self)]
        from sim.online.plots import drawings

        return drawings(kind, self, report)


def summarise(
    store: Store, stored: Iterable[StoredCell], wanted: Mapping[str, int] | None = None
) -> OnlineSummary:
    """Read online cells of a store.

    Args:
        store: an open store.
        stored: cells to look at.
        wanted: how many replicates of each are wanted, by cell id; those with higher numbers are left out. All when
            None.
    """
    summaries = []
    for s in stored:
        cell = online_cell(s.cell)
        count = None if wanted is None else wanted[cell.id]
        records = {r: p for r, p in store.checked_records(cell).items() if count is None or r < count}
        summaries.append(OnlineSummaryOfCell(cell, s.theory, records, count))
    return OnlineSummary(tuple(summaries))
