"""Two-stage students of the simulation against the theorems about them, at declared rates."""

import functools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from sim.protocol.base import Means, Part
from sim.protocol.two_stage import TwoStage
from sim.schedule import CrossEntropy, OneShot, Progressive, Schedule
from sim.two_stage import theory
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.options import TAG
from sim.two_stage.outcomes import outcome_of
from tests.statistics import StatisticalFailure, assert_proportion_at_least, assert_proportion_at_most
from theory.second_stage import OnlineHinge
from theory.signed_step import loss_floor

RATE = 1e-8
REPLICATES = 300
DELTA = 0.2
EPSILON = Fraction(1, 5)


@functools.cache
def cell_of(schedule: Schedule, n: int) -> TwoStageCell:
    target = schedule.target(n, 2)
    assert target is not None
    zone = theory.dead_zone_of(n, 2, schedule)
    first = int(theory.persistent(n, 2, target, DELTA / 2))
    return TwoStageCell(
        TAG, n, 2, schedule, "signed", zone, 0, first, theory.second_horizon(2, EPSILON, DELTA), 2, 3
    )


@functools.cache
def records(cell: TwoStageCell) -> list[dict[str, Any]]:
    part = Part(cell, tuple(range(REPLICATES)))
    return [dict(r) for r in TwoStage().run([part], Means(), lambda share: None)[cell.id].values()]


CELLS = {
    "progressive": cell_of(Progressive(), 21),
    "progressive hard, n even": cell_of(Progressive(labels="hard"), 20),
    "cross-entropy": cell_of(CrossEntropy(), 15),
    "one-shot": cell_of(OneShot(Fraction(1)), 15),
}


def check_sufficient(cell: TwoStageCell, rows: list[dict[str, Any]]) -> None:
    """At S1' and T2-delta, each for delta/2, each stage succeeds with 1 - delta/2, and both with 1 - delta."""
    claims = {
        "first stage": sum(row["found"][-1] == "1" for row in rows),
        "second stage": sum(row["loss"][-1] <= EPSILON for row in rows),
    }
    for claim, successes in claims.items():
        assert_proportion_at_least(
            successes, len(rows), 1 - DELTA / 2, alternative=0.7, rate=RATE, claim=f"{claim} suffices"
        )
    both = [outcome_of(cell, row) for row in rows]
    reached = sum(bool(o.reaches(o.loss, float(EPSILON))[-1]) for o in both)
    assert_proportion_at_least(
        reached, len(rows), 1 - DELTA, alternative=0.55, rate=RATE, claim="both suffice"
    )


@pytest.mark.parametrize("name", CELLS)
def test_both_stages_suffice_at_their_bounds(name: str) -> None:
    check_sufficient(CELLS[name], records(CELLS[name]))


@pytest.mark.usefixtures("private_ledger")
@pytest.mark.parametrize("fault", ["no dead zone", "a step too large"])
def test_a_student_that_is_not_the_theorems_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = CELLS["progressive"]
    if fault == "no dead zone":
        monkeypatch.setattr(
            "sim.two_stage.signed.finds",
            lambda sums, zone, grid, support: np.count_nonzero(sums.values[:, 0], axis=-1) == len(support),
        )
    else:
        monkeypatch.setattr(OnlineHinge, "step_size", property(lambda hinge: Fraction(1, 10**6)))
    part = Part(cell, tuple(range(REPLICATES)))
    rows = [dict(r) for r in TwoStage().run([part], Means(), lambda share: None)[cell.id].values()]
    with pytest.raises(StatisticalFailure):
        check_sufficient(cell, rows)


@pytest.mark.parametrize("name", ["cross-entropy", "one-shot"])
def test_below_the_lower_bound_students_fail(name: str) -> None:
    cell = CELLS[name]
    target = cell.schedule.target(cell.n, cell.k)
    assert target is not None
    stored = theory.theory_of(cell, DELTA, [EPSILON], 0)
    (needed,) = [b["samples"] for b in stored["bounds"] if (b["stage"], b["kind"]) == ("total", "lower")]
    outcomes = [outcome_of(cell, row) for row in records(cell)]
    below = max(x for x, (B, _) in enumerate(cell.ladder) if needed > B)
    assert cell.ladder[below][0] >= needed / 2
    reached = sum(bool(o.reaches(o.error, float(EPSILON))[below]) for o in outcomes)
    assert_proportion_at_most(
        reached, REPLICATES, 1 - DELTA, alternative=0.95, rate=RATE, claim="too few samples in total"
    )


@pytest.mark.parametrize("name", CELLS)
def test_online_losses_never_exceed_their_bound(name: str) -> None:
    allowed = float(OnlineHinge.of_knots(2).total_loss)
    sums = [row["online"] for row in records(CELLS[name])]
    assert max(sums) <= allowed * (1 + 1e-9)
    assert min(sums) > 1  # the bound is of the right thing: the first sample alone has loss 1


def test_averaged_iterates_have_no_more_loss_than_the_mean_bound_allows() -> None:
    cell = CELLS["progressive"]
    hinge = OnlineHinge.of_knots(2)
    losses = np.array([row["loss"] for row in records(cell)])
    for T, at in zip(cell.second_grid, losses.T, strict=True):
        # By Markov's inequality a loss is above 4 times its mean with probability at most 1/4.
        above = int((at > 4 * float(hinge.expected(Fraction(1)) / T)).sum())
        if T > 2**8:
            assert_proportion_at_most(above, REPLICATES, 0.25, alternative=0.5, rate=RATE, claim="mean loss")


def test_where_the_support_is_missed_no_weights_reach_the_floor() -> None:
    """The floor of the theorem, by the best function of t = <u, x> over all inputs of a small dimension."""
    n, support = 6, (0, 1)
    x = 1 - 2 * (np.arange(1 << n)[:, None] >> np.arange(n) & 1)
    labels = x[:, support].prod(axis=1)
    for u in ((1, 0, 0, 0, 0, 0), (1, 1, 1, 0, 0, 0), (1, -1, 0, 1, 1, 0), (0, 1, 1, 0, 0, 0), (0,) * 6):
        t = x @ np.array(u)
        best = sum(abs(labels[t == v].sum()) for v in set(t.tolist())) / len(x)
        assert 1 - best >= float(loss_floor(2))
