"""Five faults in five bounds, each seen failing by a test that is named here and passes without the fault."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest

from tests.theory import test_bounds, test_lower_bounds, test_second_stage, test_totals
from theory.bounds import (
    BretagnolleHuber,
    IntermediateTeacher,
    TotalProgressive,
    leaky_teacher,
    theorem,
)
from theory.bounds import base as base_module
from theory.enclosure import Enclosure
from theory.second_stage import OnlineHinge
from theory.verdict import Kind
from theory.walsh import threshold_tau

Plant = Callable[[pytest.MonkeyPatch], None]


def constant_halved(patch: pytest.MonkeyPatch) -> None:
    """T2: half of R^2 G^2."""
    patch.setattr(OnlineHinge, "total_loss", property(lambda h: h.squared_norm * h.squared_radius / 2))


def logarithm_dropped(patch: pytest.MonkeyPatch) -> None:
    """B1-intermediate: no ln((2n - k)/delta)."""
    value = IntermediateTeacher._evaluate

    def without(self: IntermediateTeacher, n: int, q: int, target: object, delta: Fraction) -> object:
        ball, details = value(self, n, q, target, delta)  # type: ignore[arg-type]
        return ball / math.log((2 * n - target.k) / delta), details  # type: ignore[attr-defined]

    patch.setattr(IntermediateTeacher, "_evaluate", without)


def wrong_degree(patch: pytest.MonkeyPatch) -> None:
    """B2-leaky: tau_k in the place of tau_{k-1}."""
    patch.setattr(leaky_teacher, "threshold_tau", lambda r, n, q: threshold_tau(r + 1 if r % 2 else r, n, q))


def wrong_side(patch: pytest.MonkeyPatch) -> None:
    """N-progressive: an upper bound rounded down."""

    def downwards(kind: Kind, enclosure: Enclosure) -> float:
        return math.nextafter(enclosure.lower, -math.inf)

    patch.setattr(theorem, "safe_side", downwards)


def wrong_ties(patch: pytest.MonkeyPatch) -> None:
    """B2 at even n: a unit with <w, x> + b = 0 counted as active."""
    patch.setattr(base_module, "threshold_count", lambda n, bias: n // 2)


def second_stage_oracle() -> None:
    test_second_stage.test_oracles_of_the_design(4, 3190)


def intermediate_is_b1() -> None:
    test_bounds.test_intermediate_teacher_is_b1_in_closed_form_and_logarithmic()


def leaky_exponent() -> None:
    test_lower_bounds.test_no_teacher_with_that_error_separates_more()


def progressive_is_the_sum() -> None:
    found = TotalProgressive().evaluate(n=101, k=4)
    assert Fraction(found.value) >= Fraction(found.enclosure.upper)
    test_totals.test_progressive_is_the_sum_of_its_stages(101, 4, Fraction(1, 10))


def oracle_at_even_n() -> None:
    assert BretagnolleHuber().evaluate(n=50, k=2).value == pytest.approx(134.1, abs=0.1)
    test_bounds.test_oracles(50, 2, 8.264e3, 3859, 134.1, 299.3)


CASES: dict[str, tuple[Plant, Callable[[], None]]] = {
    "constant halved in T2": (constant_halved, second_stage_oracle),
    "logarithm dropped in B1-intermediate": (logarithm_dropped, intermediate_is_b1),
    "wrong degree in B2-leaky": (wrong_degree, leaky_exponent),
    "wrong side of rounding in N-progressive": (wrong_side, progressive_is_the_sum),
    "wrong tie convention in B2": (wrong_ties, oracle_at_even_n),
}


@pytest.mark.parametrize("name", CASES)
def test_planted_faults_are_caught(name: str) -> None:
    plant, check = CASES[name]
    check()
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(AssertionError):
            check()
