"""What is stored beside a two-stage cell equals the theorems, each with its own half of delta."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import pytest

from sim.cell import canonical_json
from sim.schedule import CrossEntropy, OneShot, Progressive
from sim.two_stage import theory
from sim.two_stage.biases import Student
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.options import TAG
from tests.sim.two_stage_cases import BIASED, signed
from theory.bounds.le_cam import LeCam
from theory.bounds.second_stage import SecondStage
from theory.bounds.second_stage_confident import ConfidentSecondStage
from theory.bounds.signed_step import SignedFirstStep
from theory.bounds.signed_step_exact import ExactSignedFirstStep
from theory.bounds.total_one_shot import TotalOneShot
from theory.bounds.total_progressive import TotalProgressive
from theory.enclosure import upper
from theory.raw_step import RawStep
from theory.second_stage import bias_features
from theory.signed_step import SignedStep

LOSSES = [Fraction(1, 10), Fraction(1, 50)]
DELTA = 0.1
HALF = Fraction(DELTA / 2)


def cell_of(schedule: Any, n: int = 21, k: int = 2, **changes: int) -> TwoStageCell:
    target = schedule.target(n, k)
    zone = SignedStep.of(n, (n - 1) // 2, target).dead_zone
    return TwoStageCell(
        TAG, n, k, schedule, "signed", zone, 0,
        **({"first": 50_000, "second": 10**6, "resolution": 2, "seed": 0} | changes),
    )  # fmt: skip


def bounds_of(cell: TwoStageCell, delta: float = DELTA) -> dict[tuple[str, str, str | None], Any]:
    stored = theory.theory_of(cell, delta, LOSSES, 3)
    return {(b["stage"], b["name"], b["loss"]): b for b in stored["bounds"]}


def check_halves(bounds: dict[tuple[str, str, str | None], Any]) -> None:
    """Bounds of a parity at n = 21, k = 2: each stage has delta/2, the total delta."""
    common = {"n": 21, "k": 2, "delta": HALF}
    assert bounds["first", "B2h", None]["samples"] == LeCam().evaluate(**common).value
    exact = ExactSignedFirstStep().evaluate(**common)
    assert bounds["first", "S1'", None]["samples"] == exact.value
    assert bounds["first", "S1'", None]["persistent"] == exact.details["persistent"]
    assert bounds["first", "S1", None]["samples"] == SignedFirstStep().evaluate(**common).value
    assert (
        bounds["total", "N-one-shot", None]["samples"]
        == TotalOneShot().evaluate(n=21, k=2, delta=DELTA).value
    )
    for epsilon, text in zip(LOSSES, ("1/10", "1/50"), strict=True):
        sure = ConfidentSecondStage().evaluate(k=2, epsilon=epsilon, delta=HALF).value
        assert bounds["second", "T2-delta", text]["samples"] == sure
        assert bounds["second", "T2", text]["samples"] == SecondStage().evaluate(k=2, epsilon=epsilon).value
        x = math.ceil(max(exact.details["persistent"], sure))
        assert bounds["total", "N-ladder", text]["samples"] == min(x, 50_000) + min(x, 10**6)


def test_each_bound_equals_its_theorem() -> None:
    check_halves(bounds_of(cell_of(CrossEntropy())))


@pytest.mark.parametrize("delta", [DELTA / 2, 2 * DELTA])
def test_the_wrong_half_of_delta_is_noticed(delta: float) -> None:
    with pytest.raises(AssertionError):
        check_halves(bounds_of(cell_of(CrossEntropy()), delta))


def test_progressive_has_the_total_of_its_theorem_where_that_speaks() -> None:
    bounds = bounds_of(cell_of(Progressive(), first=200))
    value = TotalProgressive().evaluate(n=21, k=2, delta=Fraction(DELTA), epsilon=LOSSES[0]).value
    assert bounds["split", "N-progressive", "1/10"]["samples"] == value
    assert bounds["total", "B2h", None]["samples"] < bounds["total", "N-ladder", "1/10"]["samples"] <= value
    for other in (cell_of(Progressive(), n=22), cell_of(Progressive(labels="hard"))):
        assert not any(stage == "split" for stage, *_ in bounds_of(other))


@pytest.mark.parametrize(("n", "epsilon"), [(41, Fraction(1, 5)), (21, Fraction(1, 5))])
def test_the_larger_of_both_stages_decides_the_ladders_bound(n: int, epsilon: Fraction) -> None:
    cell = cell_of(CrossEntropy(), n)
    first = ExactSignedFirstStep().evaluate(n=n, k=2, delta=HALF).details["persistent"]
    second = ConfidentSecondStage().evaluate(k=2, epsilon=epsilon, delta=HALF).value
    assert (first > second) == (n == 41)
    stored = theory.theory_of(cell, DELTA, [epsilon], 0)["bounds"]
    (value,) = [b["samples"] for b in stored if b["name"] == "N-ladder"]
    assert value == 2 * math.ceil(max(first, second))


def test_the_ladders_bound_needs_horizons_that_reach() -> None:
    short = dataclasses.replace(cell_of(CrossEntropy()), first=100)
    assert not any(name == "N-ladder" for _, name, _ in bounds_of(short))
    second = dataclasses.replace(cell_of(CrossEntropy()), second=10_000)
    assert [loss for _, name, loss in bounds_of(second) if name == "N-ladder"] == ["1/10"]


def test_another_dead_zone_has_lower_bounds_and_a_second_stage_only() -> None:
    cell = dataclasses.replace(cell_of(CrossEntropy()), dead_zone=Fraction(1, 3))
    assert {(stage, name) for stage, name, _ in bounds_of(cell)} == {
        ("first", "B2h"), ("second", "T2"), ("second", "T2-delta"), ("total", "N-one-shot"),
    }  # fmt: skip
    drawn = signed(Progressive("phase-1", "logits", 8), Fraction(1, 100))
    assert {stage for stage, *_ in bounds_of(drawn)} == {"second"}


def test_expected_losses_are_those_of_raw_steps() -> None:
    cell = BIASED["progressive, k = 4"]
    stored = theory.theory_of(cell, DELTA, LOSSES, 2)
    assert stored["replicates"] == len(stored["expected_loss"]) == 2
    for replicate, value in enumerate(stored["expected_loss"]):
        student = Student.of(cell, replicate)
        features = bias_features([Fraction(1, 4)] * 4, student.signs, student.biases)
        try:
            step = RawStep.of(features, Fraction(1, 2), Fraction(2))
        except ValueError:
            assert value == "inf"
            continue
        assert value == upper(step.expected_loss(cell.n, cell.first, cell.second))
    canonical_json(stored)


@pytest.mark.parametrize(
    "name", ["progressive, n even", "cross-entropy", "phase-1", "phase-1-projected hard"]
)
def test_where_no_bound_speaks_it_says_so(name: str) -> None:
    stored = theory.theory_of(BIASED[name], DELTA, LOSSES, 2)
    assert stored["expected_loss"] is None
    assert stored["statement"].startswith("No bound speaks")


def test_a_leaky_teacher_has_its_own_lower_bound() -> None:
    bounds = bounds_of(cell_of(OneShot(Fraction(1))))
    value = TotalOneShot().evaluate(n=21, k=2, delta=Fraction(DELTA), labels="leaky", c=1).value
    assert bounds["total", "N-one-shot", None]["samples"] == value
