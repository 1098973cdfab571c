import math

import numpy as np
import pytest

from tests.statistics import assert_proportion_at_least
from theory.errors import TheoryError
from theory.exponents import fit_exponent, fit_logarithm, least_squares, log_log_slope, slope_weights
from theory.intervals import SuccessCurve

GRID = np.sqrt(2.0) ** np.arange(0, 40)


def curve(median: float, generator: np.random.Generator, replicates: int = 64) -> SuccessCurve:
    """Replicates whose threshold is log-normal about `median`."""
    thresholds = median * np.exp(0.7 * generator.standard_normal((replicates, 1)))
    return SuccessCurve(GRID, thresholds <= GRID)


def test_least_squares_is_numpy_s() -> None:
    x, y = [0.5, 1.0, 2.5, 4.0], [1.0, -1.0, 2.0, 5.0]
    assert least_squares(x, y) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert float(slope_weights(x) @ np.ones(4)) == pytest.approx(0)


def test_power_law_is_recovered_exactly() -> None:
    assert log_log_slope({n: 7.0 * n**3.5 for n in (50, 100, 150, 200)}) == pytest.approx(3.5)


def test_intervals_cover_the_true_slope() -> None:
    runs, covered_bootstrap, covered_box = 150, 0, 0
    generator = np.random.default_rng(12)
    for run in range(runs):
        curves = {n: curve(0.01 * n**3.0, generator, 30) for n in (50, 100, 200)}
        fit = fit_exponent(curves, seed=run, alpha=0.2, resamples=100)
        covered_bootstrap += 3.0 in fit.bootstrap
        covered_box += 3.0 in fit.box
        assert fit.box.lower <= fit.slope <= fit.box.upper
    assert_proportion_at_least(covered_box, runs, 0.8, alternative=0.5, claim="box interval of the exponent")
    assert_proportion_at_least(
        covered_bootstrap, runs, 0.7, alternative=0.4, claim="bootstrap interval of the exponent"
    )


def test_fit_is_reproducible_and_depends_on_the_seed_only_through_the_bootstrap() -> None:
    generator = np.random.default_rng(3)
    curves = {n: curve(0.01 * n**2, generator) for n in (50, 100, 150, 200)}
    one, same, other = (fit_exponent(curves, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.bootstrap != other.bootstrap
    assert (one.slope, one.box) == (other.slope, other.box)
    assert one.bootstrap.lower < one.slope < one.bootstrap.upper
    assert one.box.lower < one.bootstrap.lower
    assert one.bootstrap.upper < one.box.upper


def test_logarithmic_growth() -> None:
    generator = np.random.default_rng(6)
    curves = {n: curve(10 + 20 * math.log(n), generator, 400) for n in (50, 100, 200, 400, 800)}
    fit = fit_logarithm(curves, seed=0, resamples=200)
    assert 20.0 in fit.box
    assert fit.slope == pytest.approx(20, abs=12)
    flat = fit_exponent(curves, seed=0, resamples=200)
    assert flat.slope is not None
    assert flat.slope < 0.5


def test_missing_n_are_named_and_left_out() -> None:
    generator = np.random.default_rng(9)
    curves = {n: curve(0.01 * n**2, generator) for n in (50, 100, 200)}
    curves[400] = SuccessCurve(GRID, np.zeros((64, GRID.size), dtype=bool))
    fit = fit_exponent(curves, seed=1)
    assert (fit.used, fit.missing) == ((50, 100, 200), (400,))
    assert fit.slope == fit_exponent({n: curves[n] for n in fit.used}, seed=1).slope
    nothing = fit_exponent({n: curves[n] for n in (50, 400)}, seed=1)
    assert nothing.slope is None
    assert nothing.missing == (400,)
    assert (nothing.bootstrap.lower, nothing.box.upper) == (-math.inf, math.inf)


def test_resamples_without_a_crossing_open_the_interval() -> None:
    """One of three replicates crosses: most resamples at the 90 % level do not."""
    grid = np.array([1.0, 2.0, 4.0])
    weak = SuccessCurve(grid, np.array([[False, True, True], [False, False, True], [False, False, True]]))
    good = SuccessCurve(grid, np.array([[False, True, True]] * 3))
    lost = SuccessCurve(grid, np.array([[False, True, True]] * 2 + [[False, False, False]]))
    assert fit_exponent({10: good, 20: weak}, 0.6, seed=0).bootstrap.bounded
    assert not fit_exponent({10: good, 20: lost}, 0.6, seed=0).bootstrap.bounded


def test_planted_fault_a_wrong_exponent_is_outside() -> None:
    generator = np.random.default_rng(15)
    curves = {n: curve(0.001 * n**3, generator, 200) for n in (50, 100, 200)}
    fit = fit_exponent(curves, seed=0)
    assert 2.0 not in fit.box
    assert 4.0 not in fit.bootstrap


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: slope_weights([1.0]), "two different"),
        (lambda: slope_weights([1.0, 1.0]), "two different"),
        (lambda: log_log_slope({1: 1.0, 2: math.inf}), "B = inf at n = 2"),
        (lambda: log_log_slope({1: 1.0, 2: 0.0}), "B = 0"),
        (lambda: fit_exponent({}, seed=0, resamples=10), "resamples = 10"),
        (lambda: fit_exponent({0: curve(5.0, np.random.default_rng(0))}, seed=0), "n = 0"),
    ],
)
def test_bad_input_is_refused_with_the_value(call: "object", word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        call()  # type: ignore[operator]
