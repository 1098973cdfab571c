import math
from fractions import Fraction

import numpy as np
import pytest

from tests.statistics import assert_proportion_at_most
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw
from theory.measured_step import MeasuredStep
from theory.signed_step import SignedStep
from theory.targets import EqualTeacher

n, q = 11, 5
TARGET = EqualTeacher((1, -1, 1), "hard")
LAW = FirstStepLaw(n, q, TARGET, (1, 1, 1))
MEANS = np.array([float(mean) for mean in LAW.mean_in] + [float(LAW.mean_out)] * (n - 3))


def measured(count: int, seed: int, alpha: float) -> MeasuredStep:
    """Samples of the unit with weights +1: the support is 0, 1, 2."""
    generator = np.random.default_rng(seed)
    x = generator.choice([-1.0, 1.0], (count, n))
    labels = np.array([float(v) for v in TARGET.table])[(x[:, :3] < 0) @ [1, 2, 4]]
    active = (x.sum(axis=1) > 0).astype(float)
    return MeasuredStep.of((labels * active)[:, None] * x, active * labels**2, 1.0, alpha)


def test_radii_are_the_inequality() -> None:
    generator = np.random.default_rng(1)
    terms, squares = generator.uniform(-2, 2, (50, 3)), generator.uniform(0, 4, 50)
    step = MeasuredStep.of(terms, squares, 2.0, 0.01)
    level = math.log(2 / (0.01 / (2 * 4)))  # alpha' = alpha/(2 (n + 1)), n = 3
    for i in range(3):
        variance = terms[:, i].var(ddof=1)
        assert step.means[i] == pytest.approx(terms[:, i].mean())
        assert step.radii[i] == pytest.approx(math.sqrt(2 * variance * level / 50) + 7 * 4 * level / (3 * 49))
    radius = math.sqrt(2 * squares.var(ddof=1) * level / 50) + 7 * 4 * level / (3 * 49)
    assert step.second_moment == pytest.approx(squares.mean() + radius)


def test_intervals_cover_all_means_at_once() -> None:
    """500 measurements at alpha = 0.2: fewer than alpha miss; twice alpha would be seen."""
    missed = 0
    for seed in range(500):
        step = measured(200, seed, 0.2)
        covered = (np.abs(MEANS - step.means) <= step.radii).all() and float(
            LAW.second_moment
        ) <= step.second_moment
        missed += not covered
    assert_proportion_at_most(
        missed, 500, 0.2, alternative=0.4, claim="simultaneous intervals err at most alpha"
    )


def test_many_samples_give_nearly_the_exact_bound() -> None:
    step = measured(400_000, 7, 0.01)
    exact = SignedStep.between(
        min(abs(m) for m in LAW.mean_in),
        abs(LAW.mean_out),
        LAW.second_moment,
        Fraction(1),
        max(map(abs, LAW.mean_in)),
    )
    found = step.sufficient((0, 1, 2), Fraction(1, 10))
    needed = float(exact.sufficient(n, 3, Fraction(1, 10)))
    assert needed <= found <= 1.5 * needed


def test_few_samples_leave_no_dead_zone() -> None:
    with pytest.raises(TheoryError, match="no dead zone"):
        measured(50, 0, 0.01).sufficient((0, 1, 2), 0.1)


@pytest.mark.parametrize(
    ("terms", "squares", "sup", "alpha", "word"),
    [
        (np.zeros((1, 2)), np.zeros(1), 1.0, 0.1, "N = 1"),
        (np.full((3, 2), 2.0), np.zeros(3), 1.0, 0.1, "sup_norm"),
        (np.zeros((3, 2)), np.full(3, 2.0), 1.0, 0.1, "sup_norm"),
        (np.zeros((3, 2)), np.zeros(3), 1.0, 0.0, "alpha = 0"),
        (np.full((3, 2), np.nan), np.zeros(3), 1.0, 0.1, "sup_norm"),
    ],
)
def test_bad_measurements_are_refused(
    terms: np.ndarray, squares: np.ndarray, sup: float, alpha: float, word: str
) -> None:
    with pytest.raises(TheoryError, match=word):
        MeasuredStep.of(terms, squares, sup, alpha)


def test_bad_delta_is_refused() -> None:
    with pytest.raises(TheoryError, match="delta"):
        measured(4000, 0, 0.01).sufficient((0, 1, 2), 0)
