"""Summaries of two-stage students: what is judged, growths, ratios, and where they pass."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import pytest

from sim.schedule import CrossEntropy, Progressive, Schedule
from sim.two_stage import theory
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.comparisons import Comparison, Comparisons, Ratio
from sim.two_stage.options import TAG
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary
from theory.bounds.separation import Separation
from theory.intervals import Interval
from theory.verdict import Kind, Verdict

EPSILON = Fraction(1, 10)
DELTA = 0.1


def summary_of(
    schedule: Schedule,
    n: int,
    found_from: int,
    reached_from: int,
    *,
    replicates: int = 200,
    first: int = 40_000,
    **changes: Any,
) -> TwoStageSummary:
    """A cell whose students all find the support from some B on, and reach the loss from some T on."""
    target = schedule.target(n, 2)
    assert target is not None
    zone = theory.dead_zone_of(n, 2, schedule)
    cell = TwoStageCell(TAG, n, 2, schedule, "signed", zone, 0, first, 10_000, 4, 0)
    payload = {
        "found": "".join("1" if found_from <= B else "0" for B in cell.first_grid),
        "loss": [0.05 if reached_from <= T else 0.9 for T in cell.second_grid],
        "error": [0.0 if reached_from <= T else 0.5 for T in cell.second_grid],
        "online": 100.0,
        "digest": "d",
    } | changes
    return TwoStageSummary(
        cell, theory.theory_of(cell, DELTA, [EPSILON], 0), dict.fromkeys(range(replicates), payload), None
    )


def named(summary: TwoStageSummary) -> dict[str, list[Verdict]]:
    result: dict[str, list[Verdict]] = {}
    for name, judgement in summary.judgements:
        result.setdefault(name, []).append(judgement.verdict)
    return result


def test_students_within_all_bounds_are_consistent() -> None:
    summary = summary_of(CrossEntropy(), 21, 1500, 1000)
    assert named(summary) == {
        "first stage": [Verdict.CONSISTENT, Verdict.CONSISTENT],
        "sum of online losses": [Verdict.CONSISTENT],
        "second stage to loss 0.1": [Verdict.CONSISTENT],
        "total to loss 0.1": [Verdict.CONSISTENT],
        "total to error 0.1": [Verdict.CONSISTENT],
    }
    grid = TwoStageGrid((summary,))
    assert (grid.verdict, grid.exit_code) == (Verdict.CONSISTENT, 0)
    total = summary.total(EPSILON)
    assert total is not None
    assert total.interval.lower < 2 * 1500 <= 1.2 * total.interval.upper


def test_upper_bounds_of_the_first_stage_hold_for_all_larger_numbers() -> None:
    """Success is measured at recorded counts above the bound: S1' itself is proved at its own B only."""
    summary = summary_of(CrossEntropy(), 21, 1500, 1000)
    (exact,) = (b for b in summary.theory["bounds"] if b["name"] == "S1'")
    assert summary.bound("first", Kind.UPPER) == exact["persistent"] > exact["samples"]


FAULTS = [
    (summary_of(CrossEntropy(), 21, 50, 10), {"first stage", "total to error 0.1"}),  # too early
    (summary_of(CrossEntropy(), 21, 30_000, 1000), {"first stage", "total to loss 0.1"}),  # too late
    (summary_of(CrossEntropy(), 21, 1500, 9_900), {"second stage to loss 0.1", "total to loss 0.1"}),
    (summary_of(CrossEntropy(), 21, 1500, 1000, online=400.0), {"sum of online losses"}),
]


@pytest.mark.parametrize(("summary", "names"), FAULTS, ids=range(len(FAULTS)))
def test_what_breaks_a_bound_contradicts_it_by_name(summary: TwoStageSummary, names: set[str]) -> None:
    contradicted = {name for name, verdicts in named(summary).items() if Verdict.CONTRADICTED in verdicts}
    assert contradicted == names
    assert TwoStageGrid((summary,)).exit_code == 1
    assert all(name in summary.judgement.reason for name in names)


def test_few_students_decide_little_and_none_nothing() -> None:
    few = summary_of(CrossEntropy(), 21, 1500, 1000, replicates=5)
    assert few.judgement.verdict is Verdict.UNDECIDED
    none = dataclasses.replace(few, payloads={})
    assert none.judgement.verdict is Verdict.UNDECIDED
    assert not none.complete
    assert TwoStageGrid((none,)).exit_code == 3
    assert list(TwoStageGrid((none,)).explain())
    assert TwoStageGrid((none,)).json()["cells"][0]["first"] is None
    assert TwoStageGrid((none,)).figure().figure.axes


def biased(losses: list[float], bounds: list[Any] | None, delta: float = DELTA) -> TwoStageSummary:
    cell = TwoStageCell(TAG, 21, 2, Progressive(), "biases", None, 8, 16, 16, 1, 0)
    stored = {"delta": delta, "losses": ["1/10"], "bounds": [], "expected_loss": bounds, "statement": "why"}
    points = len(cell.ladder)
    payloads = {
        r: {"loss": [1.0] * (points - 1) + [loss], "error": [0.5] * points} for r, loss in enumerate(losses)
    }
    return TwoStageSummary(cell, stored, payloads, None)


def test_the_mean_bound_is_judged_by_markovs_inequality() -> None:
    bounds = [0.02, 0.05] * 60
    below = [0.19, 0.49] * 60
    assert biased(below, bounds).judgement.verdict is Verdict.CONSISTENT
    above = [0.21, 0.49] * 60
    assert biased(above, bounds).judgement.verdict is Verdict.CONTRADICTED
    assert biased([0.3, 0.49, *below[2:]], bounds).judgement.verdict is Verdict.CONSISTENT
    assert biased(above[:4], bounds).judgement.verdict is Verdict.UNDECIDED
    assert biased(below, bounds[:5]).judgement.verdict is Verdict.UNDECIDED
    assert biased(above, ["inf"] * 120).judgement.verdict is Verdict.CONSISTENT


def test_cells_without_a_bound_do_not_enter_the_verdict() -> None:
    silent, good = biased([0.5] * 9, None), biased([0.19, 0.49] * 60, [0.02, 0.05] * 60)
    assert not silent.judged
    assert silent.judgement.reason == "why"
    assert TwoStageGrid((silent, good)).verdict is Verdict.CONSISTENT
    assert TwoStageGrid((silent,)).verdict is Verdict.UNDECIDED


def test_ratios_have_the_bounds_of_the_separation() -> None:
    more = [summary_of(CrossEntropy(), n, 70 * n, 500) for n in (21, 41)]
    less = [summary_of(Progressive(), n, 80, 500, first=300) for n in (21, 41)]
    (comparison,) = Comparisons([*more, *less]).ratios
    assert (comparison.more, comparison.less) == ("cross-entropy", "progressive")
    for ratio, a, b in zip(comparison.ratios, more, less, strict=True):
        certified = Separation().evaluate(n=ratio.n, k=2, delta=Fraction(DELTA), epsilon=EPSILON).value
        assert ratio.lower == pytest.approx(certified, rel=1e-12)
        above, below = a.total(EPSILON), b.total(EPSILON)
        assert above is not None
        assert below is not None
        assert above.estimate is not None
        assert below.estimate is not None
        assert ratio.estimate == above.estimate / below.estimate
        wide, narrow = (s.total(EPSILON, alpha=0.025) for s in (a, b))
        assert wide is not None
        assert narrow is not None
        assert ratio.interval.lower == wide.interval.lower / narrow.interval.upper < ratio.estimate
        assert ratio.interval.upper == wide.interval.upper / narrow.interval.lower > ratio.estimate
        assert ratio.upper == a.bound("total", Kind.UPPER, EPSILON) / b.bound("total", Kind.LOWER, EPSILON)
    growths = Comparisons([*more, *less]).growths
    assert [g.series for g in growths] == ["cross-entropy", "progressive"]
    assert growths[0].fit.slope == pytest.approx(1, abs=0.3)
    assert growths[1].fit.slope == pytest.approx(0, abs=0.01)
    assert growths[0].lower == pytest.approx(1, abs=0.1)


def test_a_ratio_passes_a_factor_from_where_it_stays_above() -> None:
    def ratio(n: int, estimate: float | None, low: float, high: float, least: float, most: float) -> Ratio:
        return Ratio(n, estimate, Interval(low, high, 0.05), least, most)

    ratios = (
        ratio(11, 3.0, 2.0, 5.0, 0.1, 9.0),
        ratio(21, 0.5, 0.4, 1.5, 0.2, 90.0),
        ratio(31, 2.0, 0.9, 3.0, 0.9, 900.0),
        ratio(41, 20.0, 12.0, 30.0, 2.0, math.inf),
    )
    comparison = Comparison(2, EPSILON, "a", "b", ratios)
    one, ten = comparison.passes(1.0), comparison.passes(10.0)
    assert (one.estimate, one.earliest, one.latest) == (31, 11, 41)
    assert (one.bound_earliest, one.bound_latest) == (11, 41)
    assert (ten.estimate, ten.earliest, ten.latest) == (41, 41, 41)
    assert (ten.bound_earliest, ten.bound_latest) == (21, None)
    lost = Comparison(2, EPSILON, "a", "b", (*ratios, ratio(51, None, 0.0, math.inf, 0.0, math.inf)))
    assert lost.passes(1.0).estimate is None
