"""Growth of the number of samples with n: exponents and logarithmic laws, with intervals.

The *estimand* of an exponent fit is the least-squares slope of log B_p(n) against log n over the given n: a
number about the true B_p, whatever their shape, so that the same regression of an exact prediction
(`theory.prediction.predicted_slope`) is comparable with it without any assumption of a power law.  A
logarithmic fit is the slope of B_p itself against log n.

Two intervals are given.

* *Bootstrap*: replicates are resampled with replacement, each with its whole success curve, independently
  for each n; the interval is the middle 1 - alpha of the slopes (percentile method).  Kind: asymptotic in
  the number of replicates (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, ch. 13).
* *Box*: with B_p(n) in its crossing interval at level alpha/N for each of the N values of n, the slope, a
  linear function `sum_n c_n log B_p(n)`, is between its extremes over the box.  Coverage >= 1 - alpha in
  finite samples, by the union bound and the theorem of `SuccessCurve.crossing`; it only needs p(B) to be
  non-decreasing.  Wide, but certain.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float

from theory.errors import TheoryError, integer
from theory.intervals import Interval, Scalar, SuccessCurve, crossing_estimates

MOST_KEPT: Final = 1 << 22
"""Numbers of draws that are kept for further fits: 32 MB of them."""


@dataclass(frozen=True)
class GrowthFit:
    """A fitted growth with its two intervals, the n used, and the n without a crossing inside the grid.

    slope is None, and both intervals are the whole line, if fewer than two n have a crossing.
    """

    probability: Scalar
    slope: float | None
    intercept: float | None
    bootstrap: Interval
    box: Interval
    used: tuple[int, ...]
    missing: tuple[int, ...]


def slope_weights(positions: Sequence[Scalar]) -> Float[np.ndarray, " N"]:
    """Return the c with least-squares slope = sum_i c_i y_i; at least two different positions are needed.

    Raises TheoryError otherwise.
    """
    x = np.asarray(positions, dtype=float)
    if x.size < 2 or not np.ptp(x) > 0:
        raise TheoryError(f"A slope over {list(positions)} is refused; two different positions are needed.")
    centred = x - x.mean()
    return np.asarray(centred / (centred @ centred))


def least_squares(positions: Sequence[Scalar], values: Sequence[Scalar]) -> tuple[float, float]:
    """Return (slope, intercept) of the least-squares line.

    >>> slope, intercept = least_squares([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    >>> round(slope, 12), round(intercept, 12)
    (2.0, 1.0)
    """
    slope = float(slope_weights(positions) @ np.asarray(values, dtype=float))
    return slope, float(np.mean(values) - slope * np.mean(positions))


def log_log_slope(samples: Mapping[int, Scalar]) -> float:
    """Return the least-squares slope of log B against log n, for n -> B: the one regression used everywhere.

    Raises TheoryError for fewer than two n, or a B that is not positive and finite.
    """
    for n, B in samples.items():
        if not 0 < B < math.inf:
            raise TheoryError(f"B = {B} at n = {n} has no logarithm; a positive finite number is needed.")
    ns = sorted(samples)
    return least_squares([math.log(n) for n in ns], [math.log(samples[n]) for n in ns])[0]


def fit_exponent(
    curves: Mapping[int, SuccessCurve],
    probability: Scalar = 0.5,
    *,
    seed: int,
    alpha: float = 0.05,
    resamples: int = 1000,
) -> GrowthFit:
    """Fit the slope of log B_p against log n.

    curves: n -> success curve, n >= 1; probability: p in (0, 1); seed: of the bootstrap; resamples >= 100.
    n whose curve does not cross p inside its grid are left out of the fit and listed in `missing`.
    Raises TheoryError for values outside these ranges.
    """
    return _fit(curves, probability, math.log, seed, alpha, resamples)


def fit_logarithm(
    curves: Mapping[int, SuccessCurve],
    probability: Scalar = 0.5,
    *,
    seed: int,
    alpha: float = 0.05,
    resamples: int = 1000,
) -> GrowthFit:
    """Fit the slope of B_p itself against log n, for logarithmic growth; arguments as `fit_exponent`."""
    return _fit(curves, probability, float, seed, alpha, resamples)


def _fit(
    curves: Mapping[int, SuccessCurve],
    probability: Scalar,
    transform: Callable[[Scalar], float],
    seed: int,
    alpha: float,
    resamples: int,
) -> GrowthFit:
    integer("resamples", resamples, 100)
    ns = sorted(integer("n", n, 1) for n in curves)
    estimates = {n: curves[n].estimate(probability) for n in ns}
    used = tuple(n for n in ns if estimates[n] is not None)
    missing = tuple(n for n in ns if estimates[n] is None)
    if len(used) < 2:
        everything = Interval(-math.inf, math.inf, alpha)
        return GrowthFit(probability, None, None, everything, everything, used, missing)
    logs = [math.log(n) for n in used]
    weights = slope_weights(logs)
    values = [transform(B) for n in used if (B := estimates[n]) is not None]
    slope, intercept = least_squares(logs, values)
    counts = _counts(seed, resamples, tuple(curves[n].replicates for n in used))
    drawn = np.stack(
        [_resampled(curves[n], probability, transform, own) for n, own in zip(used, counts, strict=True)]
    )
    box = _box(weights, [_ends(curves[n], probability, alpha / len(used), transform) for n in used], alpha)
    return GrowthFit(probability, slope, intercept, _percentiles(weights, drawn, alpha), box, used, missing)


def _resampled(
    curve: SuccessCurve,
    probability: Scalar,
    transform: Callable[[Scalar], float],
    counts: Float[np.ndarray, "resamples R"],
) -> Float[np.ndarray, " resamples"]:
    """Transformed B_p of resampled replicates; NaN where a resample does not cross inside the grid."""
    log_grid = np.log(np.asarray(curve.grid, dtype=float))
    rates = counts @ np.asarray(curve.successes, dtype=float) / curve.replicates
    return np.array([transform(math.exp(t)) for t in crossing_estimates(log_grid, rates, probability)])


def _counts(
    seed: int, resamples: int, replicates: tuple[int, ...]
) -> Iterable[Float[np.ndarray, "resamples _"]]:
    """How often each replicate is drawn in each resample, for one n after another.

    Fits that share seed and numbers of replicates share these: kept where they are not large.
    """
    if resamples * sum(replicates) <= MOST_KEPT:
        return _kept_counts(seed, resamples, replicates)
    return _drawn_counts(seed, resamples, replicates)


@lru_cache(maxsize=4)
def _kept_counts(
    seed: int, resamples: int, replicates: tuple[int, ...]
) -> tuple[Float[np.ndarray, "resamples _"], ...]:
    return tuple(_drawn_counts(seed, resamples, replicates))


def _drawn_counts(
    seed: int, resamples: int, replicates: tuple[int, ...]
) -> Iterator[Float[np.ndarray, "resamples _"]]:
    generator = np.random.default_rng(seed)
    for R in replicates:
        yield generator.multinomial(R, np.full(R, 1 / R), size=resamples).astype(float)


def _percentiles(
    weights: Float[np.ndarray, " N"], drawn: Float[np.ndarray, "N resamples"], alpha: float
) -> Interval:
    """Middle 1 - alpha of the slopes; a resample that lost a crossing counts as the worst on both sides."""
    lost = ~np.isfinite(drawn).all(axis=0)
    slopes = weights @ np.where(np.isfinite(drawn), drawn, 0.0)
    low, high = np.sort(np.where(lost, -math.inf, slopes)), np.sort(np.where(lost, math.inf, slopes))
    cut = math.floor(alpha / 2 * slopes.size)
    return Interval(float(low[cut]), float(high[slopes.size - 1 - cut]), alpha)


def _ends(
    curve: SuccessCurve, probability: Scalar, alpha: float, transform: Callable[[Scalar], float]
) -> tuple[Scalar, Scalar]:
    interval = curve.crossing(probability, alpha).interval
    low = transform(interval.lower) if interval.lower > 0 else -math.inf
    return low, transform(interval.upper) if math.isfinite(interval.upper) else math.inf


def _box(weights: Float[np.ndarray, " N"], ends: Sequence[tuple[Scalar, Scalar]], alpha: float) -> Interval:
    """Extremes of the slope over the box of crossing intervals."""
    pairs = [
        (c, low, high) if c > 0 else (c, high, low)
        for c, (low, high) in zip(weights.tolist(), ends, strict=True)
    ]
    terms = [(c * low, c * high) for c, low, high in pairs if c != 0]
    return Interval(math.fsum(low for low, _ in terms), math.fsum(high for _, high in terms), alpha)
