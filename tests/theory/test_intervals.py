import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import isotonic_regression
from scipy.stats import binom

from tests.statistics import assert_proportion_at_least
from theory.errors import TheoryError
from theory.intervals import (
    ConfidenceSequence,
    Interval,
    SuccessCurve,
    clopper_pearson,
    crossing_estimates,
    kl_interval,
)


def coverage(intervals: list[Interval], p: float) -> float:
    """Exact coverage of a rule, given by its interval for each number of successes."""
    trials = len(intervals) - 1
    return sum(binom.pmf(s, trials, p) for s, interval in enumerate(intervals) if p in interval)


def check_coverage(intervals: list[Interval], alpha: float) -> None:
    ends = {end for interval in intervals for end in (interval.lower, interval.upper) if 0 < end < 1}
    near = [min(max(end + sign * 1e-9, 0.0), 1.0) for end in ends for sign in (-1, 1)]
    for p in [0.0, 1.0, *near, *np.linspace(0.003, 0.997, 20).tolist()]:
        assert coverage(intervals, p) >= 1 - alpha - 1e-12


@pytest.mark.parametrize("alpha", [0.05, 0.3])
@pytest.mark.parametrize("trials", [1, 2, 20])
def test_clopper_pearson_covers_for_every_p(trials: int, alpha: float) -> None:
    check_coverage([clopper_pearson(s, trials, alpha) for s in range(trials + 1)], alpha)


@pytest.mark.parametrize("fault", ["one-sided", "normal"])
def test_planted_faults_in_intervals_are_caught(fault: str) -> None:
    trials, rule = 25, []
    for s in range(trials + 1):
        spread = 1.96 * math.sqrt(s * (trials - s) / trials**3)
        normal = Interval(s / trials - spread, s / trials + spread, 0.05)
        rule.append(normal if fault == "normal" else clopper_pearson(s, trials, 0.1))
    with pytest.raises(AssertionError):
        check_coverage(rule, 0.05)


def exact_tail(trials: int, p: Fraction, low: int, high: int) -> Fraction:
    return sum(
        (math.comb(trials, s) * p**s * (1 - p) ** (trials - s) for s in range(low, high + 1)), Fraction(0)
    )


@pytest.mark.parametrize(("successes", "trials"), [(1, 7), (3, 10), (32, 64), (63, 64), (5, 150)])
def test_clopper_pearson_ends_are_certified_and_tight(successes: int, trials: int) -> None:
    """In exact rationals: at the end the tail is at most alpha/2, and a relative 1e-12 inside it is more."""
    interval = clopper_pearson(successes, trials, 0.05)
    half = Fraction(0.05) / 2
    for end, low, high, inside in (
        (interval.lower, successes, trials, 1 + 1e-12),
        (interval.upper, 0, successes, 1 - 1e-12),
    ):
        assert exact_tail(trials, Fraction(end), low, high) <= half
        assert exact_tail(trials, Fraction(end * inside), low, high) > half


def test_clopper_pearson_at_the_ends() -> None:
    assert clopper_pearson(0, 10).lower == 0
    assert clopper_pearson(10, 10).upper == 1
    assert clopper_pearson(0, 10).upper == pytest.approx(1 - 0.025**0.1, rel=1e-12)
    mirrored = clopper_pearson(3, 20)
    assert clopper_pearson(17, 20).lower == pytest.approx(1 - mirrored.upper, rel=1e-12)


def test_kl_interval_covers_and_is_wider_than_clopper_pearson() -> None:
    trials = 20
    check_coverage([kl_interval(s / trials, trials) for s in range(trials + 1)], 0.05)
    for s in range(trials + 1):
        exact, wide = clopper_pearson(s, trials), kl_interval(s / trials, trials)
        assert wide.lower <= exact.lower
        assert exact.upper <= wide.upper


def test_kl_interval_holds_for_shares() -> None:
    """Means of uniform variables vary less than Bernoulli ones."""
    generator = np.random.default_rng(4)
    shares = generator.random((600, 30))
    inside = sum(0.5 in kl_interval(float(mean), 30, 0.3) for mean in shares.mean(axis=1))
    assert_proportion_at_least(inside, 600, 0.7, alternative=0.55, claim="kl interval of uniform shares")


def exit_probability(sequence: ConfidenceSequence, p: float, horizon: int) -> float:
    """P(p leaves the interval at some t <= horizon), exactly, by dynamic programming over the successes."""
    alive = np.array([1.0])
    for t in range(1, horizon + 1):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        alive *= [p in sequence.interval(s, t) if mass > 0 else False for s, mass in enumerate(alive)]
    return 1 - float(alive.sum())


@pytest.mark.parametrize("p", [0.02, 0.5, 0.8])
@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 0.5)])
def test_confidence_sequence_holds_at_all_times(p: float, prior: tuple[float, float]) -> None:
    sequence = ConfidenceSequence(0.3, *prior)
    error = exit_probability(sequence, p, 30)
    assert error <= 0.3
    assert error > 0.01  # it is not merely everything


def test_pointwise_intervals_do_not_hold_at_all_times() -> None:
    """The planted fault: Clopper-Pearson looked at after every observation."""

    class Fault(ConfidenceSequence):
        def interval(self, successes: int, trials: int) -> Interval:
            return clopper_pearson(successes, trials, 0.3)

    assert exit_probability(Fault(0.3), 0.5, 25) > 0.3


def test_running_intersection_is_monotone_and_contains_only_what_all_do() -> None:
    sequence = ConfidenceSequence(0.1)
    counts = [(0, 0), (1, 1), (1, 2), (9, 20), (60, 100), (70, 150)]
    running = sequence.running(counts)
    assert running[0] == Interval(0.0, 1.0, 0.1)
    for before, after in itertools.pairwise(running):
        assert before.lower <= after.lower <= after.upper <= before.upper
    impossible = sequence.running([(1000, 1000), (1000, 10000)])
    assert impossible[1] == impossible[0]


def grid_and_curve(generator: np.random.Generator, replicates: int) -> SuccessCurve:
    """Replicates that succeed from a random B on: p(B) = 1 - exp(-B/10)."""
    grid = np.sqrt(2.0) ** np.arange(0, 14)
    thresholds = generator.exponential(10.0, size=(replicates, 1))
    return SuccessCurve(grid, thresholds <= grid)


@pytest.mark.parametrize("probability", [0.5, 0.9])
def test_crossing_interval_covers_without_correction_for_the_grid(probability: float) -> None:
    generator = np.random.default_rng(8)
    truth, runs = -10 * math.log(1 - probability), 700
    inside = 0
    for _ in range(runs):
        interval = grid_and_curve(generator, 24).crossing(probability, 0.2).interval
        inside += interval.lower < truth <= interval.upper
    assert_proportion_at_least(
        inside, runs, 0.8, alternative=0.68, claim=f"crossing interval at {probability}"
    )


def test_crossing_of_curves_that_do_not_cross() -> None:
    grid = np.array([1.0, 2.0, 4.0])
    never = SuccessCurve(grid, np.zeros((64, 3), dtype=bool)).crossing(0.5)
    assert (never.interval.lower, never.interval.upper, never.estimate) == (4.0, math.inf, None)
    always = SuccessCurve(grid, np.ones((64, 3), dtype=bool)).crossing(0.5)
    assert (always.interval.lower, always.interval.upper, always.estimate) == (0.0, 1.0, None)
    few = SuccessCurve(grid, np.array([[False, True, True]])).crossing(0.5)
    assert (few.interval.lower, few.interval.upper) == (0.0, math.inf)
    assert few.estimate == pytest.approx(math.sqrt(2))


def test_a_dip_widens_the_crossing_interval() -> None:
    """lower and upper look at all smaller and larger grid points, not only at the neighbours."""
    rates = [0.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    successes = np.array([[rate > j / 64 for rate in rates] for j in range(64)])
    interval = SuccessCurve(2.0 ** np.arange(6), successes).crossing(0.5).interval
    assert (interval.lower, interval.upper) == (2.0, 16.0)


def test_estimate_is_isotonic_and_linear_in_log_b() -> None:
    log_grid = np.log([1.0, 4.0, 16.0])
    rows = np.array([[0.0, 0.25, 0.75], [0.3, 0.2, 0.75], [0.5, 0.6, 0.9], [0.1, 0.2, 0.3]])
    found = np.exp(crossing_estimates(log_grid, rows, 0.5))
    assert found[:2] == pytest.approx([8.0, 8.0])  # 0.3, 0.2 are pooled to 0.25
    assert np.isnan(found[2:]).all()


def test_estimates_equal_those_of_scipy_s_isotonic_regression() -> None:
    generator = np.random.default_rng(2)
    log_grid = np.cumsum(generator.random(9))
    rows = np.round(np.linspace(0, 1, 9) + 0.5 * generator.standard_normal((300, 9)), 1)
    for probability in (0.3, 0.5, 0.77):
        found = crossing_estimates(log_grid, rows, probability)
        for row, value in zip(rows, found, strict=True):
            fit = isotonic_regression(row).x
            above = np.flatnonzero(fit >= probability - 1e-12)
            if not above.size or above[0] == 0:
                assert math.isnan(value)
            else:
                j = above[0]
                share = (probability - fit[j - 1]) / (fit[j] - fit[j - 1])
                expected = log_grid[j - 1] + share * (log_grid[j] - log_grid[j - 1])
                assert value == pytest.approx(expected, abs=1e-9)


def test_shares_use_the_wider_interval() -> None:
    grid = np.array([1.0, 2.0])
    hard = SuccessCurve(grid, np.tile([[0.0, 1.0], [1.0, 0.0]], (10, 1)))
    soft = SuccessCurve(grid, np.full((20, 2), 0.5))
    assert soft.intervals()[0].lower < hard.intervals()[0].lower
    assert hard.replicates == 20
    assert hard.rates.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: clopper_pearson(5, 4), "successes = 5"),
        (lambda: clopper_pearson(0, 0), "trials = 0"),
        (lambda: clopper_pearson(1, 4, 0.0), "alpha = 0"),
        (lambda: kl_interval(1.5, 4), "mean = 1.5"),
        (lambda: ConfidenceSequence(1.0), "alpha = 1"),
        (lambda: ConfidenceSequence(0.1, 0.0), "Beta"),
        (lambda: Interval(1.0, 0.0, 0.1), "not an interval"),
        (lambda: SuccessCurve(np.array([2.0, 1.0]), np.ones((3, 2), dtype=bool)), "grid"),
        (lambda: SuccessCurve(np.array([1.0, 2.0]), np.full((3, 2), 1.5)), "outside"),
        (lambda: SuccessCurve(np.array([1.0, 2.0]), np.ones((3, 2), dtype=bool)).crossing(1.0), "p = 1"),
    ],
)
def test_bad_input_is_refused_with_the_value(call: "object", word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        call()  # type: ignore[operator]
