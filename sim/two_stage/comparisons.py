"""Totals of several cells together: their growth in n, and how many times more samples one schedule needs than another.

The *ratio* is of totals to loss ε with probability 1 − δ. Its interval has error 5 %: the ends of two crossing
intervals of error 2.5 % each. Its bounds are those of the totals, one divided by the other: certainly at least
lower/upper, where the upper bound of progressive with equal coefficients is N-progressive, so that for cross-entropy
this is the bound `theory.bounds.separation`; at most upper/lower. A ratio *passes* a factor at the least n of the grid
from which on it is at least that. By the bounds it certainly has passed where lower/upper has, and not before
upper/lower does.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import final

from sim.levels import ALPHA_SHOWN
from sim.schedule import CrossEntropy, OneShot, Progressive
from sim.summary import BOOTSTRAP_RESAMPLES
from sim.two_stage.summary import TwoStageSummary
from theory.exponents import GrowthFit, fit_exponent, log_log_slope
from theory.intervals import Interval
from theory.verdict import Kind

FACTORS = (1.0, 10.0)


@final
@dataclass(frozen=True)
class Growth:
    """Growth in n of the total to one loss.

    Attributes:
        k, series, epsilon: whose; of students of one dead-zone rule, seed and resolution.
        fit: slope of log N_{1/2} against log n.
        lower, upper: the same regression on the bounds of N_{1−δ} at the same n; None where one is missing.
    """

    k: int
    series: str
    epsilon: Fraction
    fit: GrowthFit
    lower: float | None
    upper: float | None


@final
@dataclass(frozen=True)
class Ratio:
    """Two totals at one n, divided.

    Attributes:
        n: the dimension.
        estimate: None where a total was not reached.
        interval: of error 5 % unless another was asked for.
        lower, upper: by the bounds; 0 and infinite where there are none.
    """

    n: int
    estimate: float | None
    interval: Interval
    lower: float
    upper: float


@final
@dataclass(frozen=True)
class Comparison:
    """Ratios of one schedule's totals to another's, at all n at which both are there."""

    k: int
    epsilon: Fraction
    more: str
    less: str
    ratios: tuple[Ratio, ...]

    def passes(self, factor: float) -> "Passing":
        """Where the ratio passes a factor."""
        return Passing(
            factor,
            self._from(lambda r: r.estimate is not None and r.estimate >= factor),
            self._from(lambda r: r.interval.upper >= factor),
            self._from(lambda r: r.interval.lower >= factor),
            self._from(lambda r: r.upper >= factor),
            self._from(lambda r: r.lower >= factor),
        )

    def _from(self, holds: Callable[[Ratio], bool]) -> int | None:
        """The least n from which on it holds at every n; None if it does not at the largest."""
        found = None
        for ratio in reversed(self.ratios):
            if not holds(ratio):
                break
            found = ratio.n
        return found


@final
@dataclass(frozen=True)
class Passing:
    """Where a ratio passes a factor, as n of the grid; None: beyond its largest.

    Attributes:
        factor: the factor.
        estimate: of the measured ratios.
        earliest, latest: of the upper and lower ends of their intervals.
        bound_earliest, bound_latest: of the bounds upper/lower and lower/upper.
    """

    factor: float
    estimate: int | None
    earliest: int | None
    latest: int | None
    bound_earliest: int | None
    bound_latest: int | None


@final
@dataclass(frozen=True, eq=False)
class Comparisons:
    """Growths and ratios of some cells."""

    cells: Sequence[TwoStageSummary]

    @cached_property
    def groups(self) -> list[list[TwoStageSummary]]:
        """Cells of one k, schedule, student, seed and resolution, by n; of several horizons at an n the longest."""
        groups: dict[tuple[object, ...], dict[int, TwoStageSummary]] = {}
        for summary in self.cells:
            cell = summary.cell
            at_n = groups.setdefault((cell.k, cell.series, cell.seed, cell.resolution), {})
            if cell.n not in at_n or at_n[cell.n].cell.horizon < cell.horizon:
                at_n[cell.n] = summary
        return [[at_n[n] for n in sorted(at_n)] for at_n in groups.values()]

    @cached_property
    def growths(self) -> tuple[Growth, ...]:
        """Of every group with measurements at two n or more, for every ε that they share."""
        return tuple(growth for group in self.groups for growth in _growths(group))

    @cached_property
    def ratios(self) -> tuple[Comparison, ...]:
        """Of cross-entropy and one-shot to progressive, of the same k, student, seed and resolution."""
        result = []
        for more, less in self.compared:
            result += list(_compare(more, less))
        return tuple(result)

    @cached_property
    def compared(self) -> list[tuple[list[TwoStageSummary], list[TwoStageSummary]]]:
        """The groups whose totals are divided."""
        return [(more, less) for more in self.groups for less in self.groups if _comparable(more[0], less[0])]


@lru_cache(maxsize=1)
def compared(cells: tuple[TwoStageSummary, ...]) -> Comparisons:
    """The growths and ratios of some cells, which take long to compute: those last asked for are kept."""
    return Comparisons(cells)


def _growths(group: Sequence[TwoStageSummary]) -> Iterator[Growth]:
    for epsilon in _shared_losses(group):
        curves = {s.cell.n: curve for s in group if (curve := s.total_curve(epsilon)) is not None}
        if len(curves) < 2:
            continue
        first = group[0].cell
        fit = fit_exponent(curves, 0.5, seed=first.k, alpha=ALPHA_SHOWN, resamples=BOOTSTRAP_RESAMPLES)
        used = [s for s in group if s.cell.n in fit.used]
        lower = _slope({s.cell.n: s.bound("total", Kind.LOWER, epsilon) for s in used})
        upper = _slope({s.cell.n: s.bound("total", Kind.UPPER, epsilon) for s in used})
        yield Growth(first.k, first.series, epsilon, fit, lower, upper)


def _slope(values: dict[int, float]) -> float | None:
    known = len(values) >= 2 and all(0 < value < math.inf for value in values.values())
    return log_log_slope(values) if known else None


def _shared_losses(group: Sequence[TwoStageSummary]) -> list[Fraction]:
    shared = set.intersection(*(set(s.losses) for s in group))
    return sorted(shared, reverse=True)


def _comparable(more: TwoStageSummary, less: TwoStageSummary) -> bool:
    a, b = more.cell, less.cell
    taught = isinstance(a.schedule, CrossEntropy | OneShot) and isinstance(b.schedule, Progressive)
    alike = (a.k, a.student, a.width, a.seed, a.resolution) == (b.k, b.student, b.width, b.seed, b.resolution)
    return taught and alike


def _compare(more: Sequence[TwoStageSummary], less: Sequence[TwoStageSummary]) -> Iterator[Comparison]:
    others = {s.cell.n: s for s in less}
    pairs = [(s, others[s.cell.n]) for s in more if s.cell.n in others]
    pairs = [(a, b) for a, b in pairs if a.payloads and b.payloads and a.delta == b.delta]
    if not pairs:
        return
    for epsilon in _shared_losses([s for pair in pairs for s in pair]):
        ratios = tuple(ratio_of(a, b, epsilon) for a, b in pairs)
        first, second = pairs[0]
        yield Comparison(first.cell.k, epsilon, first.cell.series, second.cell.series, ratios)


def ratio_of(
    more: TwoStageSummary, less: TwoStageSummary, epsilon: Fraction, alpha: float = ALPHA_SHOWN
) -> Ratio:
    """The totals of two cells with students, one divided by the other; alpha: error of its interval."""
    above, below = (s.total(epsilon, alpha=alpha / 2) for s in (more, less))
    assert above is not None
    assert below is not None
    estimate = None
    if above.estimate is not None and below.estimate is not None:
        estimate = above.estimate / below.estimate
    interval = Interval(
        _quotient(above.interval.lower, below.interval.upper),
        _quotient(above.interval.upper, below.interval.lower),
        alpha,
    )
    best = less.bound("split", Kind.UPPER, epsilon)
    enough = best if math.isfinite(best) else less.bound("total", Kind.UPPER, epsilon)
    return Ratio(
        more.cell.n,
        estimate,
        interval,
        _quotient(more.bound("total", Kind.LOWER, epsilon), enough),
        _quotient(more.bound("total", Kind.UPPER, epsilon), less.bound("total", Kind.LOWER, epsilon)),
    )


def _quotient(above: float, below: float) -> float:
    """above/below with 0/∞ = 0 and anything above nothing infinite."""
    if below == 0 or math.isinf(above):
        return 0.0 if math.isinf(below) else math.inf
    return above / below
