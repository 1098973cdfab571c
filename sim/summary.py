"""What a store says of first steps: for each cell the samples to success beside the bounds, for each schedule the
growth in n.

The levels of intervals and verdicts are those of `sim.levels`.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from rich.console import Console
from scipy.special import ndtri

from sim.cell import FirstStepCell
from sim.levels import (
    ALPHA_CONTRADICTED,
    ALPHA_SHOWN,
    PLATEAU_RESOLUTION,
    growth_students,
    judge_bound,
    stricter,
)
from sim.online.report import Report
from sim.protocol.base import Summary
from sim.protocol.first_step import first_step_cell
from sim.ranges import record_grid
from sim.report.table import Table
from sim.store import Store, StoredCell
from theory.exponents import GrowthFit, fit_exponent, fit_logarithm, slope_weights
from theory.intervals import Crossing, Interval, SuccessCurve
from theory.verdict import Judgement, Kind, Verdict, combine, judge, judge_exponent
from theory.walsh import threshold_count

EXIT_CONSISTENT, EXIT_CONTRADICTED, EXIT_UNDECIDED = 0, 1, 3
BOOTSTRAP_RESAMPLES = 1000


@final
@dataclass(frozen=True)
class CellSummary:
    """One cell: measured curve, crossings, bounds and verdict.

    Attributes:
        cell: the cell.
        theory: what theory says about it, as stored beside it.
        numbers: the stored replicates.
        curve: their success on the record grid; None before there are any.
        wanted: replicates that the run asked for, or None.
    """

    cell: FirstStepCell
    theory: dict[str, Any]
    numbers: tuple[int, ...]
    curve: SuccessCurve | None
    wanted: int | None

    @property
    def replicates(self) -> int:
        """Number of stored replicates."""
        return len(self.numbers)

    @property
    def complete(self) -> bool:
        """Whether all wanted replicates are there."""
        return self.replicates >= (self.wanted or 1)

    @property
    def high(self) -> float:
        """The success probability 1 − δ of which the bounds speak."""
        return 1.0 - float(self.theory["delta"])

    def best_bound(self, kind: Kind) -> tuple[str, float]:
        """Name and samples of the best bound of a kind; no name and 0 or infinite samples without any."""
        bounds = [(b["name"], number(b["samples"])) for b in self.theory["bounds"] if Kind(b["kind"]) is kind]
        if kind is Kind.LOWER:
            return max(bounds, key=lambda bound: bound[1], default=("", 0.0))
        return min(bounds, key=lambda bound: bound[1], default=("", math.inf))

    def crossing(self, probability: float, alpha: float = ALPHA_SHOWN) -> Crossing | None:
        """Samples for a success probability, with interval; None without replicates."""
        return None if self.curve is None else self.curve.crossing(probability, alpha)

    @cached_property
    def final_rate(self) -> tuple[float, Interval] | None:
        """Success at the horizon: rate and interval."""
        if self.curve is None:
            return None
        return float(self.curve.rates[-1]), self.curve.intervals(ALPHA_SHOWN)[-1]

    @cached_property
    def judgement(self) -> Judgement:
        """The measured samples for success 1 − δ, against every bound that speaks about them."""
        if self.curve is None:
            return Judgement(Verdict.UNDECIDED, "Nothing was measured.", 0.0)
        judgements = [
            judge_bound(self.curve, self.high, number(bound["samples"]), Kind(bound["kind"]))
            for bound in self.theory["bounds"]
        ]
        if self.has_plateau:
            judgements.append(self.against_plateau())
        return combine([j for j in judgements if j is not None])

    @property
    def has_plateau(self) -> bool:
        """Whether a success at the horizon is predicted."""
        plateau = self.theory.get("plateau")
        return plateau is not None and bool(plateau["judged"])

    @property
    def predicted_plateau(self) -> float | None:
        """The success at the horizon that is predicted for these very students; None if not for all of them."""
        students = self.theory["plateau"]["success_at_horizon"]
        if not self.numbers or self.numbers[-1] >= len(students):
            return None
        return float(np.mean([students[number] for number in self.numbers]))

    def against_plateau(self, alpha: float = ALPHA_CONTRADICTED) -> Judgement:
        """The measured success at the horizon against the predicted one; alpha: two-sided error of a contradiction."""
        predicted = self.predicted_plateau
        if predicted is None or self.curve is None:
            students = len(self.theory["plateau"]["success_at_horizon"])
            reason = (
                f"Only {students} students have a prediction: run the grid again with all its replicates."
            )
            return Judgement(Verdict.UNDECIDED, reason, 0.0)
        curve = self.curve
        return stricter(
            lambda a: judge(curve.intervals(a)[-1], predicted, Kind.EXACT, resolution=PLATEAU_RESOLUTION),
            alpha,
        )


@final
@dataclass(frozen=True)
class GrowthSummary:
    """Growth in n of one schedule at one k.

    Attributes:
        fit: the measured growth: slope of log B against log n, or of B against log n.
        logarithmic: which of the two.
        predicted: the same regression on the predicted samples at the same n, or None.
        predicted_error: how far the prediction itself may be off: a Gaussian limit at B samples neglects terms of
            relative order B^(-1/2), so each predicted B is taken as known to a factor 1 ± B^(-1/2) only. An order of
            magnitude, not a certified bound; it matters where B is below a thousand or so.
        linear: the slope against log n if B grew in proportion to n from the predicted one at the smallest n.
        limit: the exponent as n → ∞, or None.
        students: the smallest number of them at any n of the fit.
    """

    k: int
    schedule: str
    fit: GrowthFit
    logarithmic: bool
    predicted: float | None
    predicted_error: float
    linear: float | None
    limit: str | None
    students: int

    @cached_property
    def judgement(self) -> Judgement:
        """The fitted slope against the predicted one."""
        return self.judged()

    def judged(self, alpha: float = ALPHA_CONTRADICTED) -> Judgement:
        """The fitted slope against the predicted one; alpha: two-sided error of a contradiction."""
        return stricter(self._judged, alpha)

    def _judged(self, alpha: float) -> Judgement:
        predicted, slope = self.predicted, self.fit.slope
        if predicted is None or slope is None:
            return Judgement(Verdict.UNDECIDED, "No slope was fitted.", 0.0)
        shown = self.fit.bootstrap
        if self.students < growth_students(alpha):
            needed = growth_students(alpha)
            reason = f"Only {self.students} students at some n: a bootstrap needs {needed} or more."
            return Judgement(Verdict.UNDECIDED, reason, shown.alpha)
        if not shown.bounded:
            return Judgement(Verdict.UNDECIDED, "The slope's interval is unbounded.", shown.alpha)
        # The bootstrap is asymptotic, so its interval is carried to the stricter level by the normal law.
        stretch = float(ndtri(alpha / 2) / ndtri(ALPHA_SHOWN / 2))
        strict = Interval(
            slope - stretch * (slope - shown.lower) - self.predicted_error,
            slope + stretch * (shown.upper - slope) + self.predicted_error,
            alpha,
        )
        # Neighbouring integer exponents must be told apart, and a logarithm from growth proportional to n.
        if not self.logarithmic:
            return judge_exponent(strict, predicted, stretch + 2 * self.predicted_error)
        if self.linear is not None and shown.upper >= self.linear:
            reason = f"The interval [{shown.lower:.3g}, {shown.upper:.3g}] does not exclude growth proportional to n."
            return Judgement(Verdict.UNDECIDED, reason, shown.alpha)
        return judge_exponent(strict, predicted, math.inf)


class JudgedSummary(Summary):
    """A summary that holds measurements against theory."""

    @property
    @abstractmethod
    def verdict(self) -> Verdict:
        """The weakest verdict of all."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether every cell has its replicates."""

    @property
    def exit_code(self) -> int:
        """0 consistent, 1 contradicted, 3 undecided or incomplete."""
        if self.verdict is Verdict.CONTRADICTED:
            return EXIT_CONTRADICTED
        if self.verdict is Verdict.UNDECIDED or not self.complete:
            return EXIT_UNDECIDED
        return EXIT_CONSISTENT


@final
@dataclass(frozen=True)
class GridSummary(JudgedSummary):
    """All cells and all growths of a store or a run."""

    kinds: ClassVar[tuple[str, ...]] = ("samples", "success", "heat")
    title: ClassVar[str] = "First step"
    lead: ClassVar[str] = (
        "One large-batch first step of single neurons, each measurement beside the bounds that speak about it."
    )
    cells: tuple[CellSummary, ...]
    growths: tuple[GrowthSummary, ...]

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict of all."""
        parts = [c.judgement for c in self.cells] + [g.judgement for g in self.growths]
        return combine(parts).verdict

    @property
    def complete(self) -> bool:
        """Whether every cell has its replicates."""
        return all(cell.complete for cell in self.cells)

    def print(self, console: Console) -> None:
        """The table of cells, the growths, and the verdict."""
        from sim.table import print_summary

        print_summary(self, console)

    def json(self) -> dict[str, Any]:
        """The same as JSON values."""
        from sim.table import as_json

        return as_json(self)

    def explain(self) -> Iterator[str]:
        """What each cell is, what theory says, what was measured, and why the verdict is what it is."""
        from sim.table import explain_cell

        for cell in self.cells:
            yield from explain_cell(cell)

    def page_tables(self) -> list[Table]:
        """The tables of a report."""
        from sim.report.first_step import tables

        return tables(self)

    def drawings(self, kind: str, report: Report | None = None) -> Sequence[Any]:
        """Samples to success against n; success against samples; samples over n and k. The report is not read."""
        self.refuse_kind(kind)
        match kind:
            case "samples":
                from sim.figures.samples import samples_drawing

                return [samples_drawing(self)]
            case "success":
                from sim.figures.success import step_drawings

                return step_drawings(self)
            case _:
                from sim.figures.grid_heat import step_heat

                return step_heat(self)


def summarise(
    store: Store, stored: Iterable[StoredCell], wanted: Mapping[str, int] | None = None
) -> GridSummary:
    """Read the first steps of a store.

    Args:
        store: an open store.
        stored: cells to look at.
        wanted: how many replicates of each are wanted, by cell id; those with higher numbers are left out. All when
            None.
    """
    summaries = tuple(
        _summarise_cell(store, s, None if wanted is None else wanted[s.cell.id]) for s in stored
    )
    return GridSummary(summaries, tuple(_growths(summaries)))


def _summarise_cell(store: Store, stored: StoredCell, wanted: int | None) -> CellSummary:
    cell = first_step_cell(stored.cell)
    outcomes = {
        replicate: str(payload["success"])
        for replicate, payload in store.checked_records(cell).items()
        if wanted is None or replicate < wanted
    }
    curve = None
    if outcomes:
        grid = np.array(record_grid(cell.samples, cell.resolution))
        curve = SuccessCurve(grid, np.array([[c == "1" for c in success] for success in outcomes.values()]))
    return CellSummary(cell, stored.theory, tuple(outcomes), curve, wanted)


def _growths(cells: Sequence[CellSummary]) -> Iterable[GrowthSummary]:
    groups: dict[tuple[Any, ...], dict[int, CellSummary]] = {}
    for summary in cells:
        if summary.curve is None:
            continue
        cell = summary.cell
        middle = cell.q == threshold_count(cell.n, 0)
        key = (cell.protocol, cell.k, cell.schedule.label(), cell.seed, cell.resolution, middle)
        at_n = groups.setdefault(key, {})
        # Of two horizons at one n the longer one tells more.
        if cell.n not in at_n or at_n[cell.n].cell.samples < cell.samples:
            at_n[cell.n] = summary
    for (_, k, label, *_), by_n in groups.items():
        group = list(by_n.values())
        curves = {s.cell.n: s.curve for s in group if s.curve is not None}
        if len(curves) < 2:
            continue
        law = group[0].theory["growth"]
        if law is None:  # a plateau that depends on n hides the growth
            continue
        logarithmic = law["logarithmic"]
        fitter = fit_logarithm if logarithmic else fit_exponent
        fit = fitter(curves, 0.5, seed=k, alpha=ALPHA_SHOWN, resamples=BOOTSTRAP_RESAMPLES)
        predicted = {s.cell.n: number(s.theory["prediction"]["half"]) for s in group}
        at_used = {n: predicted[n] for n in fit.used}
        slope, error = _slope(at_used, logarithmic)
        linear = None if slope is None else _linear_slope(at_used)
        students = min((curves[n].replicates for n in fit.used), default=0)
        yield GrowthSummary(k, label, fit, logarithmic, slope, error, linear, law["limit"], students)


def _slope(samples: dict[int, float], logarithmic: bool) -> tuple[float | None, float]:
    """The regression on predicted samples, and the error of its result if each B is off by a factor 1 ± B^(-1/2)."""
    if len(samples) < 2 or not all(0 < value < math.inf for value in samples.values()):
        return None, 0.0
    weights = slope_weights([math.log(n) for n in samples])
    values = np.array(list(samples.values()))
    if logarithmic:
        return float(weights @ values), float(np.abs(weights) @ np.sqrt(values))
    return float(weights @ np.log(values)), float(np.abs(weights) @ np.log1p(1 / np.sqrt(values)))


def _linear_slope(samples: dict[int, float]) -> float:
    """Slope against log n of B proportional to n, with the B of the smallest n."""
    least = min(samples)
    weights = slope_weights([math.log(n) for n in samples])
    return float(weights @ np.array([samples[least] * n / least for n in samples]))


def number(value: float | str | None) -> float:
    """A number of the stored theory: JSON has no infinity, so it is the text `inf`; null is NaN, not predicted."""
    return math.nan if value is None else float(value)
