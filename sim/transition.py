"""When a network learns: the phase transition of an accuracy curve, and the peak of the degree-1 correlations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Final, final

import numpy as np

from sim.errors import SimError
from sim.parity import EVALUATION_SAMPLES
from sim.probes import Probes

LEVELS: Final = (0.55, 0.75, 0.95)


@final
@dataclass(frozen=True)
class Crossing:
    """Where an accuracy curve reaches a level for good.

    Attributes:
        level: the accuracy.
        step: first logged step from which on `persistence` logged accuracies in a row are at least the level.
        low, high: the crossing of the curve without noise is in this interval; None for an end that was not reached.
        confirmed: False if the curve ends before so many were logged.
    """

    level: float
    step: int
    low: int
    high: int | None
    confirmed: bool


@final
@dataclass(frozen=True)
class Transition:
    """The phase transition of a teacher's accuracy curve.

    Attributes:
        crossings: of the levels that were reached, by level.
        start: last logged step before the crossing of the lowest level (or the first step); None if not reached.
        end: step of the crossing of the highest level, or None.
    """

    crossings: tuple[Crossing, ...]
    start: int | None
    end: int | None


def find_transition(
    steps: Sequence[int],
    accuracies: Sequence[float],
    *,
    evaluations: int = EVALUATION_SAMPLES,
    persistence: int = 3,
    alpha: float = 0.05,
    levels: Sequence[float] = LEVELS,
) -> Transition:
    """Find the crossings of the levels and the window between them.

    Rule: level p is crossed at the first logged step from which `persistence` accuracies in a row (or all that are
    left, then not `confirmed`) are at least p; NaN is below every level. The rule is monotone in the curve, so if all
    of T measured accuracies are within d of the true ones, the true curve's crossing lies between the measured
    curve's crossings of p − d and p + d. By Hoeffding's inequality and a union bound that holds with probability
    1 − alpha, for all levels at once and whatever the dependence between steps, for d = sqrt(ln(2T/alpha)/(2 N)): 0.032
    at T = 100, alpha = 0.05, N = 4,096. False alarms: an accuracy of 1/2 shows 0.55 by chance with probability
    8e-11 a step (6.4 standard deviations).

    Args:
        steps: T increasing steps.
        accuracies: in [0, 1] or NaN, each of N samples.
        evaluations: N, at least 1.
        persistence: at least 1.
        alpha: error of the intervals, in (0, 1).
        levels: increasing, in (0, 1).

    Raises:
        SimError: an argument is out of range.
    """
    if len(steps) != len(accuracies) or any(a >= b for a, b in pairwise(steps)):
        raise SimError(
            f"{len(steps)} steps with {len(accuracies)} accuracies are refused: use increasing steps, as many"
        )
    if evaluations < 1 or persistence < 1 or not 0 < alpha < 1:
        raise SimError(
            f"{evaluations} evaluations, persistence {persistence}, alpha {alpha} are refused:"
            " use at least 1, at least 1, and one in (0, 1)"
        )
    if not levels or any(a >= b for a, b in pairwise((0, *levels, 1))):
        raise SimError(f"levels {tuple(levels)} are refused: use increasing ones in (0, 1)")
    if any(a < 0 or a > 1 for a in accuracies):
        raise SimError(
            f"accuracies from {min(accuracies)} to {max(accuracies)} are refused: use [0, 1] or NaN"
        )
    d = math.sqrt(math.log(2 * max(1, len(steps)) / alpha) / (2 * evaluations))

    def first(level: float) -> int | None:
        reached = [a >= level for a in accuracies]
        return next((i for i in range(len(reached)) if all(reached[i : i + persistence])), None)

    crossings, start = [], None
    for level in levels:
        at, low, high = first(level), first(level - d), first(level + d)
        if at is not None and low is not None:
            confirmed = at + persistence <= len(steps)
            crossings.append(
                Crossing(level, steps[at], steps[low], None if high is None else steps[high], confirmed)
            )
            if level == levels[0]:
                start = steps[max(0, at - 1)]
    end = crossings[-1].step if crossings and crossings[-1].level == levels[-1] else None
    return Transition(tuple(crossings), start, end)


@final
@dataclass(frozen=True)
class Peak:
    """Where the mean absolute in-support degree-1 correlation is greatest.

    Attributes:
        step: of the greatest measured mean.
        value: that mean.
        error: a bound of its standard error, the mean of the k standard errors.
        low, high: the step of the greatest true mean among those probed is in [low, high].
    """

    step: int
    value: float
    error: float
    low: int
    high: int


def find_peak(
    probes: Probes, reading: str = "probability", *, replicate: int = 0, alpha: float = 0.05
) -> Peak | None:
    """The peak of the mean over the support of |c_i|; None without a finite point.

    With the Bonferroni quantile z of T k normal estimates, a true mean is within w = z · (mean standard error) of the
    measured one at all T steps with probability about 1 − alpha. The interval spans the steps whose mean + w reaches
    the greatest mean − w. The noise's share of a measured mean, up to 0.8 standard errors, is within w.
    """
    if not 0 < alpha < 1:
        raise SimError(f"alpha {alpha} is refused: use one in (0, 1)")
    trace = probes.degree(1, reading, replicate)
    means, errors = np.abs(trace.values).mean(axis=1), trace.errors.mean(axis=1)
    finite = np.isfinite(means)
    if not finite.any():
        return None
    steps, means, errors = trace.steps[finite], means[finite], errors[finite]
    z = -NormalDist().inv_cdf(alpha / (2 * len(steps) * len(probes.spec.support)))
    w = z * errors
    possible, best = steps[means + w >= (means - w).max()], int(means.argmax())
    return Peak(
        int(steps[best]), float(means[best]), float(errors[best]), int(possible[0]), int(possible[-1])
    )
