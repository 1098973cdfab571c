import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import ndtr

from tests.statistics import assert_proportion_at_least, assert_proportion_at_most
from tests.theory.joint_law import failure_probabilities
from theory import prediction
from theory.bounds import ExactMarginals, LeCam
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw
from theory.prediction import GaussianStep, Prediction, predicted_slope, success_probability
from theory.targets import EqualTeacher, Junta, LeakyTeacher, Parity, Target, leaky_error, patterns
from theory.walsh import threshold_count


def model(k: int = 2, outside: int = 30, **changes: object) -> GaussianStep:
    means, covariance = np.linspace(0.5, 0.6, k), np.eye(k) * 0.8
    return replace(GaussianStep(means, covariance, 0.1, 0.7, outside, 0.5), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n", "half"),
    [(50, 4.223e6), (100, 3.996e7), (200, 3.696e8)],
)
def test_half_of_the_units_where_the_quick_run_had_them(n: int, half: float) -> None:
    """The design's run: about 3.5e6, 4.0e7, 3.2e8 on a coarse grid of B, k = 4, b = 0."""
    found = Prediction(n, threshold_count(n, 0), Parity(4)).samples_for(0.5)
    assert math.isclose(found, half, rel_tol=1e-3)
    assert math.isclose(found, {50: 3.5e6, 100: 4.0e7, 200: 3.2e8}[n], rel_tol=0.25)


def test_quadrature_is_converged_to_1e_8(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [(model(), 5.0), (model(outside=10**4), 90.0), (model(k=6), 12.0), (model(mean_out=0.0), 40.0)]
    coarse = [step.success(B) for step, B in cases]
    monkeypatch.setattr(prediction, "_PANELS", 4 * prediction._PANELS)
    for (step, B), value in zip(cases, coarse, strict=True):
        assert abs(step.success(B) - value) < 1e-8
        assert 0.001 < value < 0.9999


def test_one_inside_one_outside_has_a_closed_form() -> None:
    """|X| > |Y| iff (X - Y)(X + Y) > 0, of two independent Gaussians when the variances agree."""
    step = GaussianStep(np.array([0.3]), np.array([[0.5]]), 0.2, 0.5, 1, 0.0)
    for B in (0.5, 7.0, 300.0):
        plus, minus = 0.5 * math.sqrt(B), 0.1 * math.sqrt(B)  # means over the deviations of X +- Y
        exact = ndtr(plus) * ndtr(minus) + ndtr(-plus) * ndtr(-minus)
        assert step.success(B) == pytest.approx(exact, abs=1e-8)


def test_sobol_average_agrees_with_the_integral_to_1e_4(monkeypatch: pytest.MonkeyPatch) -> None:
    for step, B in ((model(), 5.0), (model(k=4), 20.0), (model(outside=300), 30.0), (model(k=6), 8.0)):
        integral = step.success(B)
        monkeypatch.setattr(prediction, "INDEPENDENT_BELOW", -1.0)
        assert step.success(B) == pytest.approx(integral, abs=3e-4)
        monkeypatch.undo()


def test_correlation_is_used() -> None:
    """Perfectly correlated coordinates are one: a singular covariance."""
    one = model(k=1)
    two = model(k=2, mean_in=np.array([0.5, 0.5]), covariance_in=np.full((2, 2), 0.8))
    for B in (3.0, 10.0):
        assert two.success(B) == pytest.approx(one.success(B), abs=2e-4)
        assert model(k=2, mean_in=np.array([0.5, 0.5])).success(B) < two.success(B) - 0.02


@pytest.mark.parametrize(
    ("n", "q", "target"),
    [(3, 1, Parity(1)), (3, 2, Parity(1)), (3, 1, EqualTeacher((1, -1)))],
)
def test_prediction_is_near_the_exact_probability(n: int, q: int, target: Target) -> None:
    """Already at B = 24 in dimension 3, thanks to the continuity correction."""
    for signs in patterns(target.k):
        exact = 1 - failure_probabilities(n, q, target, signs, 24)[-1]
        assert success_probability(FirstStepLaw(n, q, target, signs), 24) == pytest.approx(exact, abs=0.04)


def test_prediction_is_near_a_simulation() -> None:
    """n = 21, k = 4, logits: 1500 units with random signs."""
    n, B, runs, target = 21, 60, 1500, EqualTeacher((1, 1, 1, 1))
    generator = np.random.default_rng(31)
    successes = 0
    for _ in range(runs):
        x = 2 * generator.integers(0, 2, (B, n)) - 1
        w = 2 * generator.integers(0, 2, n) - 1
        G = np.abs((x[:, :4].sum(axis=1) * (x @ w > 0)) @ x)
        successes += G[:4].min() > G[4:].max()
    p = Prediction(n, 10, target).success(B)
    assert 0.2 < p < 0.9
    assert_proportion_at_least(successes, runs, p - 0.04, alternative=p - 0.14, claim="success, from below")
    assert_proportion_at_most(successes, runs, p + 0.04, alternative=p + 0.14, claim="success, from above")


@pytest.mark.parametrize("target", [Parity(2), EqualTeacher((1, 1, 1, 1)), EqualTeacher((1, 1, 1), "hard")])
def test_prediction_lies_between_the_bounds(target: Target) -> None:
    n, q = 51, 25
    found = Prediction(n, q, target).samples_for(0.9)
    delta = Fraction(1, 10)
    assert LeCam().samples(n, target.k, q, target, delta).value < found
    assert found < ExactMarginals().samples(n, target.k, q, target, delta).value


def test_inverse() -> None:
    case = Prediction(51, 25, LeakyTeacher(2, leaky_error(51, 1)))
    for p in (0.1, 0.5, Fraction(9, 10)):
        assert case.success(case.samples_for(p)) == pytest.approx(float(p), abs=1e-7)
    assert case.samples_for(1e-9) == 1.0


# Plateaus.


def test_plateau_is_one_zero_or_a_share_of_the_patterns() -> None:
    assert Prediction(51, 25, Parity(2)).plateau == 1
    assert Prediction(50, -1, Parity(2)).plateau == 0  # never active
    never = Prediction(51, 25, Parity(3))  # odd k, no bias: the means are 0 inside and outside
    assert never.plateau == pytest.approx(1 / math.comb(51, 3), rel=1e-5)
    assert never.samples_for(0.5) == math.inf


@pytest.mark.parametrize("n", [21, 101])
def test_an_ignored_coordinate_competes_with_the_others(n: int) -> None:
    """Two of four coordinates do not matter: they must be the two largest of n - 2 equal noises."""
    ignoring = Junta([1, 1, -1, -1] * 4)  # depends on the second coordinate only
    case = Prediction(n, (n - 1) // 2, ignoring)
    expected = 1 / math.comb(n - 1, 3)
    assert case.plateau == pytest.approx(expected, rel=0.05)
    assert case.success(1e12) == pytest.approx(case.plateau, rel=0.05)


def test_a_tie_away_from_zero_is_decided_by_one_sided_noise() -> None:
    """n = 3, k = 1: |mean_in| = |mean_out| (q = 0, all tau_r = 1/8): the largest of three exchangeable noises."""
    law = FirstStepLaw(3, 0, Parity(1), (1,))
    assert law.margin == 0
    assert law.mean_in[0] != 0
    assert prediction._limit(law) == pytest.approx(1 / 3, abs=1e-6)


def test_plateau_below_one_for_hard_labels_of_an_unequal_teacher() -> None:
    """sign(3 x_1 + x_2 + x_3 + x_4 ...): some patterns of the unit can never see a weak coordinate."""
    weights = (5, 4, 3, 1)
    table = [np.sign(sum(-c if p >> t & 1 else c for t, c in enumerate(weights)) + 0.5) for p in range(16)]
    hard = Junta([int(v) for v in table])
    case = Prediction(101, 50, hard)
    assert 0 < case.plateau < 1
    assert case.samples_for(case.plateau + 0.01) == math.inf
    assert case.success(1e9) == pytest.approx(case.plateau, abs=0.02)


# Slopes.


@pytest.mark.parametrize(("k", "p", "slope"), [(2, 0.5, 1.2406), (4, 0.5, 3.2267), (4, 0.9, 3.1627)])
def test_slope_tends_to_k_minus_1_from_above(k: int, p: float, slope: float) -> None:
    near = {n: Prediction(n, threshold_count(n, 0), Parity(k)) for n in (50, 100, 150, 200)}
    far = {n: Prediction(n, threshold_count(n, 0), Parity(k)) for n in (1001, 2001)}
    assert predicted_slope(near, p) == pytest.approx(slope, abs=5e-4)
    assert k - 1 < predicted_slope(far, p) < predicted_slope(near, p)


def test_slope_of_a_leaky_teacher_is_near_2c() -> None:
    for c, expected in ((Fraction(1, 2), 1), (Fraction(1), 2)):
        cases = {n: Prediction(n, (n - 1) // 2, LeakyTeacher(4, leaky_error(n, c))) for n in (401, 801, 1601)}
        assert predicted_slope(cases) == pytest.approx(expected, abs=0.25)


def test_progressive_slope_is_logarithmic() -> None:
    cases = {n: Prediction(n, (n - 1) // 2, EqualTeacher((1, 1, 1, 1))) for n in (51, 101, 201)}
    assert 0 < predicted_slope(cases) < 0.3


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: Prediction(2, 1, Parity(2)), "n = 2"),
        (lambda: Prediction(5, 6, Parity(2)), "q = 6"),
        (lambda: Prediction(5, 2, Parity(2)).success(0), "B = 0"),
        (lambda: Prediction(5, 2, Parity(2)).success(math.nan), "B = nan"),
        (lambda: Prediction(5, 2, Parity(2)).samples_for(1), "probability = 1"),
        (lambda: GaussianStep.of(FirstStepLaw(2, 1, Parity(2), (1, 1))), "n = 2"),
        (
            lambda: predicted_slope({51: Prediction(51, 25, Parity(3)), 53: Prediction(53, 26, Parity(3))}),
            "B = inf",
        ),
    ],
)
def test_bad_input_is_refused_with_the_value(call: "object", word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        call()  # type: ignore[operator]
