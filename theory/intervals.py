"""Intervals for success probabilities, at fixed or any sample sizes, and for the B where success reaches p.

All of them hold in finite samples; none uses a normal approximation.  Ends are rounded outwards.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import betaincinv, betaln

from theory.errors import TheoryError, integer
from theory.tails import binomial_at_least, binomial_at_most

Scalar = int | float


@dataclass(frozen=True)
class Interval:
    """A confidence interval [lower, upper] whose error probability is at most alpha; ends may be infinite."""

    lower: Scalar
    upper: Scalar
    alpha: float

    def __post_init__(self) -> None:
        """Refuse what is no interval."""
        _level(self.alpha)
        if not self.lower <= self.upper:
            raise TheoryError(f"[{self.lower}, {self.upper}] is not an interval; lower <= upper is needed.")

    def __contains__(self, value: Scalar) -> bool:
        """Return whether lower <= value <= upper."""
        return self.lower <= value <= self.upper

    @property
    def bounded(self) -> bool:
        """True iff both ends are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)


def _level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise TheoryError(f"alpha = {alpha} is refused; an error probability in (0, 1) is needed.")


@lru_cache(maxsize=1 << 16)
def clopper_pearson(successes: int, trials: int, alpha: float = 0.05) -> Interval:
    """Return the Clopper-Pearson interval for a Bernoulli mean, with certified ends.

    It is {p : P_p(X >= s) > alpha/2 and P_p(X <= s) > alpha/2}, so that each side errs with probability at
    most alpha/2 whatever p (Clopper and Pearson, Biometrika 26, 1934).  The ends are Beta quantiles; each is
    moved outwards until exact binomial tails certify that it is on the safe side.  [0, .] for no success and
    [., 1] for only successes.  Raises TheoryError unless 0 <= successes <= trials, trials >= 1, 0 < alpha <
    1.

    >>> clopper_pearson(0, 10)
    Interval(lower=0.0, upper=0.3084971078187609, alpha=0.05)
    """
    trials = integer("trials", trials, 1)
    successes = integer("successes", successes, 0, trials)
    _level(alpha)
    low, high = 0.0, 1.0
    if successes > 0:
        low = float(betaincinv(successes, trials - successes + 1, alpha / 2))
        low = _outwards(low, -1, lambda p: bool(binomial_at_least(trials, p, successes) <= alpha / 2))
    if successes < trials:
        high = float(betaincinv(successes + 1, trials - successes, 1 - alpha / 2))
        high = _outwards(high, +1, lambda p: bool(binomial_at_most(trials, p, successes) <= alpha / 2))
    return Interval(low, high, alpha)


def _outwards(p: float, direction: int, safe: Callable[[Fraction], bool]) -> float:
    """Move p towards 0 or 1 by growing steps from one unit in the last place until `safe` certifies it."""
    step = math.ulp(p)
    while 0 < p < 1 and not safe(Fraction(p)):
        p = min(max(p + direction * step, 0.0), 1.0)
        step *= 2
    return p


def kl_interval(mean: Scalar, count: int, alpha: float = 0.05) -> Interval:
    """Return an interval for the mean of variables in [0, 1] (not only 0 or 1), from their sample mean.

    It is {p : count kl(mean, p) <= ln(2/alpha)}, kl the divergence of Bernoulli laws: a variable in [0, 1]
    has a smaller moment generating function than the Bernoulli of the same mean, so Chernoff's bound for the
    latter holds (Hoeffding 1963, Thm 1).  For the share of successful neurons in a replicate, which is an
    average of dependent Bernoullis.  Raises TheoryError unless 0 <= mean <= 1, count >= 1.
    """
    count = integer("count", count, 1)
    _level(alpha)
    if not 0 <= mean <= 1:
        raise TheoryError(f"mean = {mean} is refused; a number in [0, 1] is needed.")
    successes = mean * count
    return _likelihood_interval(successes, count - successes, math.log(2 / alpha), alpha)


def _likelihood_interval(successes: Scalar, failures: Scalar, drop: float, alpha: float) -> Interval:
    """{p : log-likelihood at p >= its maximum - drop}, rounded outwards; it is concave in p."""
    low = _likelihood_end(successes, failures, drop, 0.0)
    return Interval(low, _likelihood_end(successes, failures, drop, 1.0), alpha)


def _likelihood_end(successes: Scalar, failures: Scalar, drop: float, end: float) -> float:
    """Last p on the way from the maximum to `end` where the log-likelihood has fallen by at most `drop`."""
    inside, outside, slack = successes / (successes + failures), end, 1e-9 * (1 + drop)
    terms = [(count, count / (successes + failures)) for count in (successes, failures)]
    for step in range(100):
        p = (inside + outside) / 2 if step else outside
        chances = (p, 1 - p)
        fallen = sum(
            count * math.log(share / chance) if chance > 0 else math.inf
            for (count, share), chance in zip(terms, chances, strict=True)
            if count > 0
        )
        if fallen <= drop + slack:
            if step == 0:
                return outside
            inside = p
        elif step:
            outside = p
    return outside


@dataclass(frozen=True)
class ConfidenceSequence:
    """Intervals for a Bernoulli mean that hold at all sample sizes at once, so that one may stop at any time.

    **Statement.** P(for some t >= 1: p is outside interval(s_t, t)) <= alpha.

    **Proof.** With s successes among the first t, `M_t(p) = B(a + s, b + t - s)/B(a, b) / (p^s (1 - p)^(t -
    s))` is the average over q ~ Beta(a, b) of the likelihood ratio of q against p.  Each ratio is a
    martingale under p with start 1, hence so is their average, which is >= 0; Ville's inequality gives
    P(sup_t M_t(p) >= 1/alpha) <= alpha. The interval is {p : M_t(p) < 1/alpha}, an interval as log M_t is
    convex in p.

    Reference: Robbins, *Statistical methods related to the law of the iterated logarithm*, Ann. Math.
    Statist. 41 (1970); Howard, Ramdas, McAuliffe, Sekhon, Ann. Statist. 49 (2021), for the name.  (a, b) is
    the prior, (1, 1) by default.  Raises TheoryError unless 0 < alpha < 1 and a, b > 0.
    """

    alpha: float = 0.05
    a: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        _level(self.alpha)
        if not (self.a > 0 and self.b > 0 and math.isfinite(self.a + self.b)):
            raise TheoryError(
                f"The prior Beta({self.a}, {self.b}) is refused; both parameters must be positive."
            )

    def interval(self, successes: int, trials: int) -> Interval:
        """Return the interval after `trials` >= 0 observations, `successes` of them 1; [0, 1] after none."""
        trials = integer("trials", trials, 0)
        successes = integer("successes", successes, 0, trials)
        if trials == 0:
            return Interval(0.0, 1.0, self.alpha)
        failures = trials - successes
        evidence = betaln(self.a + successes, self.b + failures) - betaln(self.a, self.b)
        share = successes / trials
        peak = sum(c * math.log(p) for c, p in ((successes, share), (failures, 1 - share)) if c)
        return _likelihood_interval(
            successes, failures, float(peak - evidence) + math.log(1 / self.alpha), self.alpha
        )

    def running(self, counts: Iterable[tuple[int, int]]) -> list[Interval]:
        """Return the running intersections for successive (successes, trials): valid at the same alpha.

        Should an intersection be empty (which has probability <= alpha), the last non-empty one is kept.
        """
        result: list[Interval] = []
        low, high = 0.0, 1.0
        for successes, trials in counts:
            new = self.interval(successes, trials)
            if max(low, new.lower) <= min(high, new.upper):
                low, high = max(low, new.lower), min(high, new.upper)
            result.append(Interval(low, high, self.alpha))
        return result


@dataclass(frozen=True)
class Crossing:
    """Where the success probability reaches `probability`: B_p = inf{B : p(B) >= probability}.

    interval: (lower, upper], lower 0 if even the first grid point may have crossed and upper infinite if the
    last one may not have; estimate: None if the fitted curve does not cross inside the grid.
    """

    probability: Scalar
    interval: Interval
    estimate: float | None


@dataclass(frozen=True)
class SuccessCurve:
    """Success of R independent replicates at P sample sizes, the same replicates at all of them.

    grid: P >= 1 strictly increasing sample sizes B > 0; successes: [R, P], booleans, or the share in [0, 1]
    of a replicate's neurons that succeeded.  Raises TheoryError otherwise.
    """

    grid: Float[np.ndarray, " P"] | Int[np.ndarray, " P"]
    successes: Bool[np.ndarray, "R P"] | Float[np.ndarray, "R P"]

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        grid, successes = np.asarray(self.grid, dtype=float), np.asarray(self.successes)
        if grid.ndim != 1 or not grid.size or not (grid > 0).all() or not (np.diff(grid) > 0).all():
            raise TheoryError(
                f"The grid {self.grid!r} is refused; positive, strictly increasing sample sizes are needed."
            )
        if successes.ndim != 2 or successes.shape[0] < 1 or successes.shape[1] != grid.size:
            raise TheoryError(
                f"Successes of shape {successes.shape} do not fit {grid.size} sample sizes; [R, P] is needed."
            )
        if not ((successes >= 0) & (successes <= 1)).all():
            raise TheoryError("A success outside [0, 1] is refused; booleans or shares are needed.")

    @property
    def replicates(self) -> int:
        """Number of replicates R."""
        return int(self.successes.shape[0])

    @property
    def rates(self) -> Float[np.ndarray, " P"]:
        """Mean success at each grid point."""
        rates: Float[np.ndarray, " P"] = np.asarray(self.successes, dtype=float).mean(axis=0)
        return rates

    def intervals(self, alpha: float = 0.05) -> list[Interval]:
        """Return one interval per grid point, each of error at most alpha (pointwise).

        Clopper-Pearson if every success is 0 or 1, otherwise the Chernoff interval for variables in [0, 1].
        """
        R = self.replicates
        if self._counts is not None:
            return [clopper_pearson(count, R, alpha) for count in self._counts]
        return [kl_interval(float(rate), R, alpha) for rate in self.rates]

    @cached_property
    def _counts(self) -> tuple[int, ...] | None:
        """Successes at each grid point; None if they are shares."""
        if not bool(np.isin(self.successes, (0, 1)).all()):
            return None
        return tuple(int(count) for count in np.asarray(self.successes, dtype=float).sum(axis=0))

    def crossing(self, probability: Scalar, alpha: float = 0.05) -> Crossing:
        """Return B_p with an interval of error at most alpha, from pointwise intervals at level alpha.

        lower = the largest grid point such that at it and all smaller ones the upper limit is < p;
        upper = the smallest grid point such that at it and all larger ones the lower limit is > p.

        **Statement.** If p(B) is non-decreasing, B_p is in (lower, upper] with probability >= 1 - alpha; no
        correction for the P grid points is needed, and the replicates may be shared among them.

        **Proof.** Let g be the smallest grid point >= B_p.  If lower >= B_p, then g <= lower, so at the
        *fixed* point g the upper limit is < p <= p(g): its one-sided error, of probability <= alpha/2.  Let
        h be the largest grid point < B_p.  If upper < B_p, then h >= upper, so at the fixed h the lower
        limit is > p > p(h): probability <= alpha/2.  (If g or h does not exist, that side cannot err.)
        """
        if not 0 < probability < 1:
            raise TheoryError(f"p = {probability} is refused; a probability in (0, 1) is needed.")
        low, high = 0.0, math.inf
        limits = self.intervals(alpha)
        for B, interval in zip(self.grid, limits, strict=True):
            if not interval.upper < probability:
                break
            low = float(B)
        for B, interval in zip(self.grid[::-1], limits[::-1], strict=True):
            if not interval.lower > probability:
                break
            high = float(B)
        return Crossing(probability, Interval(low, high, alpha), self.estimate(probability))

    def estimate(self, probability: Scalar) -> float | None:
        """Return where the isotonic least-squares fit reaches p, linear in log B between grid points.

        None if the fit is below p on the whole grid, or at or above it already at the first point.
        """
        if probability not in self._estimates:  # verdicts on many bounds ask for the same few
            self._estimates[probability] = self._estimate(probability)
        return self._estimates[probability]

    @cached_property
    def _estimates(self) -> dict[Scalar, float | None]:
        return {}

    def _estimate(self, probability: Scalar) -> float | None:
        if len(self.grid) < 2:
            return None
        log_grid = np.log(np.asarray(self.grid, dtype=float))
        value = float(crossing_estimates(log_grid, self.rates[None], probability)[0])
        return None if math.isnan(value) else math.exp(value)


def crossing_estimates(
    log_grid: Float[np.ndarray, " P"], rates: Float[np.ndarray, "N P"], probability: Scalar
) -> Float[np.ndarray, " N"]:
    """Return log B where the isotonic least-squares fit of each row reaches p; NaN if not inside the grid.

    With D_j = sum_{i <= j} (rate_i - p), the fit is >= p exactly after the first minimum of (0, D_0, D_1, ...): by
    its min-max formula, fit_j = max_{a <= j} min_{b >= j} mean(rate_a..rate_b).  The fit splits there into those of
    the two parts, whose neighbouring values are a largest mean of a last stretch and a least mean of a first one.
    Reference: Robertson, Wright, Dykstra, *Order Restricted Statistical Inference* (1988), ch. 1.
    """
    N, P = rates.shape
    cumulative = np.concatenate([np.zeros((N, 1)), np.cumsum(rates, axis=1)], axis=1)
    steps = np.arange(P + 1)
    excess = cumulative - steps * float(probability)
    split = np.argmax(excess <= excess.min(axis=1, keepdims=True) + 1e-9, axis=1)[:, None]  # ties: the first
    at = np.take_along_axis(cumulative, split, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (cumulative - at) / (steps - split)
    left = np.where(steps < split, means, -np.inf).max(axis=1)
    right = np.where(steps > split, means, np.inf).min(axis=1)
    index = np.clip(split[:, 0], 1, P - 1)
    inside = (split[:, 0] >= 1) & (split[:, 0] < P)
    share = np.where(inside, (probability - left) / np.where(inside, right - left, 1.0), np.nan)
    return np.asarray(log_grid[index - 1] + share * (log_grid[index] - log_grid[index - 1]))
