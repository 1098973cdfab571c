"""Assertions about randomness: they declare how often they fail by chance, and check that they could fail.

Each assertion is a test of a null hypothesis with an explicit *rate*: a rigorous bound, at any sample size,
of the probability that it fails although the hypothesis is true (1e-6 by default).  Before looking at the
data it computes its *power* against the alternative that the caller names; an assertion too weak to notice
that alternative raises `UnderpoweredError`, which says what would suffice.  Every rate enters a ledger
(`LEDGER`); the suite fails if they sum to more than 1e-4, so a green suite has been lucky with probability
at most that.

Nothing here uses `theory`: a wrong tail must not hide itself.  scipy's binomial tails are good to about
1e-13.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from scipy.stats import binom

DEFAULT_RATE: Final = 1e-6
DEFAULT_POWER: Final = 0.99
LEDGER_LIMIT: Final = 1e-4


class StatisticalFailure(AssertionError):
    """The data contradict the hypothesis at the declared rate."""


class UnderpoweredError(AssertionError):
    """The assertion would not notice the named alternative, so passing it would mean nothing."""


@dataclass(frozen=True)
class Entry:
    """One assertion: where it was made, what it claims, and how often it fails by chance."""

    test: str
    claim: str
    rate: float


@dataclass
class Ledger:
    """All statistical assertions of one run."""

    entries: list[Entry] = field(default_factory=list)

    def enter(self, claim: str, rate: float) -> None:
        """Record an assertion under the running test's name."""
        if not 0 < rate < 1:
            raise ValueError(f"rate = {rate} is refused; a false-failure rate in (0, 1) is needed.")
        test = os.environ.get("PYTEST_CURRENT_TEST", "outside pytest").split(" ")[0]
        self.entries.append(Entry(test, claim, rate))

    @property
    def total(self) -> float:
        """Sum of the rates: a bound of the probability that any of them failed by chance."""
        return math.fsum(entry.rate for entry in self.entries)

    def exceeded(self, limit: float = LEDGER_LIMIT) -> bool:
        """Return whether the sum of the rates is above the limit."""
        return self.total > limit * (1 + 1e-9)


LEDGER: Final = Ledger()


def assert_proportion(
    successes: int,
    trials: int,
    probability: float,
    *,
    alternative: float,
    rate: float = DEFAULT_RATE,
    power: float = DEFAULT_POWER,
    claim: str = "proportion",
) -> None:
    """Assert that `successes` of `trials` independent events of the given probability is no surprise.

    Exact two-sided binomial test, rate/2 a side.  alternative: a probability, on either side, that must be
    noticed with probability >= power.
    """
    low, high = _acceptance(trials, probability, rate / 2, rate / 2)
    _require(
        _rejection(trials, alternative, low, high), power, claim, f"p = {alternative} in {trials} trials"
    )
    LEDGER.enter(claim, rate)
    _judge(
        low <= successes <= high,
        f"{claim}: {successes} of {trials} is outside {low}..{high} for p = {probability}.",
    )


def assert_proportion_at_least(
    successes: int,
    trials: int,
    probability: float,
    *,
    alternative: float,
    rate: float = DEFAULT_RATE,
    power: float = DEFAULT_POWER,
    claim: str = "proportion at least",
) -> None:
    """Assert that events of probability >= `probability` are not this rare; alternative: a smaller one."""
    if not alternative < probability:
        raise ValueError(f"alternative = {alternative} is refused; one below {probability} is needed.")
    low, _ = _acceptance(trials, probability, rate, 0.0)
    _require(
        float(binom.cdf(low - 1, trials, alternative)), power, claim, f"p = {alternative} in {trials} trials"
    )
    LEDGER.enter(claim, rate)
    _judge(
        successes >= low, f"{claim}: {successes} of {trials} is below {low}, too few for p >= {probability}."
    )


def assert_proportion_at_most(
    successes: int,
    trials: int,
    probability: float,
    *,
    alternative: float,
    rate: float = DEFAULT_RATE,
    power: float = DEFAULT_POWER,
    claim: str = "proportion at most",
) -> None:
    """Assert that events of probability <= `probability` are not this frequent; alternative: a larger one."""
    assert_proportion_at_least(
        trials - successes,
        trials,
        1 - probability,
        alternative=1 - alternative,
        rate=rate,
        power=power,
        claim=claim,
    )


def assert_mean(
    total: float,
    count: int,
    mean: float,
    variance: float,
    *,
    low: float,
    high: float,
    shift: float,
    rate: float = DEFAULT_RATE,
    power: float = DEFAULT_POWER,
    claim: str = "mean",
) -> None:
    """Assert that the sum of `count` independent variables in [low, high] has the stated mean per variable.

    variance: an upper bound of a variable's variance, under the hypothesis and the alternative.  Two-sided,
    with Bernstein's inequality: rigorous at any count, wider than a z-test by the factor that its rigour
    costs.  shift: a change of the mean, to either side, that must be noticed.
    """
    if not low <= mean <= high or variance < 0 or shift <= 0 or count < 1:
        raise ValueError(
            f"mean = {mean}, variance = {variance}, shift = {shift}, count = {count}: out of range."
        )
    radius = high - low
    allowed = _bernstein_deviation(count, variance, radius, rate / 2)
    missed = _bernstein_tail(count, variance, radius, shift - allowed) if shift > allowed else 1.0
    _require(
        1 - missed, power, claim, f"a shift of {shift} with {count} variables, {allowed:.3g} being allowed"
    )
    LEDGER.enter(claim, rate)
    measured = total / count
    _judge(
        abs(measured - mean) <= allowed,
        f"{claim}: the mean {measured} of {count} variables is not within {allowed} of {mean}.",
    )


def assert_uniform(
    counts: Sequence[int],
    *,
    alternative: float,
    rate: float = DEFAULT_RATE,
    power: float = DEFAULT_POWER,
    claim: str = "uniform",
) -> None:
    """Assert that counts of independent draws fit equally probable cells, by an exact binomial test of each.

    The rate is shared equally among the cells (union bound).  alternative: a probability of a single cell
    that must be noticed.
    """
    cells, trials = len(counts), sum(counts)
    if cells < 2:
        raise ValueError(f"{cells} cells are refused; at least two are needed.")
    share = rate / cells / 2
    low, high = _acceptance(trials, 1 / cells, share, share)
    _require(
        _rejection(trials, alternative, low, high), power, claim, f"a cell of {alternative} in {trials} draws"
    )
    LEDGER.enter(claim, rate)
    worst = max(counts, key=lambda c: abs(c - trials / cells))
    _judge(
        low <= min(counts) and max(counts) <= high,
        f"{claim}: a cell has {worst} of {trials}, outside {low}..{high}.",
    )


def trials_needed(
    probability: float, alternative: float, rate: float = DEFAULT_RATE, power: float = DEFAULT_POWER
) -> int:
    """Return a number of trials at which `assert_proportion` has the wanted power."""
    if probability == alternative:
        raise ValueError(f"p = {probability} equals the alternative; two different probabilities are needed.")

    def enough(trials: int) -> bool:
        return _rejection(trials, alternative, *_acceptance(trials, probability, rate / 2, rate / 2)) >= power

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _acceptance(trials: int, probability: float, below: float, above: float) -> tuple[int, int]:
    """Counts a..b with P(X < a) <= below and P(X > b) <= above, as narrow as possible."""
    if trials < 1 or not 0 <= probability <= 1:
        raise ValueError(
            f"{trials} trials of probability {probability} are refused; at least 1, in [0, 1], is needed."
        )
    low = int(binom.ppf(below, trials, probability)) if below > 0 else 0
    low = max(0, low)
    while low > 0 and binom.cdf(low - 1, trials, probability) > below:
        low -= 1
    high = int(binom.isf(above, trials, probability)) if above > 0 else trials
    high = min(trials, max(0, high))
    while high < trials and binom.sf(high, trials, probability) > above:
        high += 1
    return low, high


def _rejection(trials: int, probability: float, low: int, high: int) -> float:
    return float(binom.cdf(low - 1, trials, probability) + binom.sf(high, trials, probability))


def _bernstein_tail(count: int, variance: float, radius: float, deviation: float) -> float:
    """Bound of P(mean of `count` variables - expectation >= deviation), |Z - E Z| <= radius."""
    return math.exp(-count * deviation**2 / (2 * (variance + radius * deviation / 3)))


def _bernstein_deviation(count: int, variance: float, radius: float, rate: float) -> float:
    """The deviation at which that bound equals `rate`."""
    level = math.log(1 / rate) / count
    third = radius * level / 3
    return third + math.sqrt(third**2 + 2 * variance * level)


def _require(achieved: float, wanted: float, claim: str, alternative: str) -> None:
    if achieved < wanted:
        raise UnderpoweredError(
            f"{claim}: {alternative} would be noticed with probability {achieved:.3g} only, not {wanted}."
        )


def _judge(passed: bool, message: str) -> None:
    if not passed:
        raise StatisticalFailure(message)
