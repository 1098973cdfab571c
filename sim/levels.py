"""When a measurement contradicts a claim, and when it supports it: levels and rules of all verdicts.

Confidence levels, used everywhere. Intervals that are shown have error 5 %. Verdicts have levels of their own:

- a bound is *contradicted* only when a one-sided error of 0.05 % leaves no value that satisfies it, so that a grid of
  a hundred cells raises a false alarm in fewer than one run in twenty;
- a lower bound is *consistent* when a one-sided error of 5 % leaves no value that violates it;
- an upper bound says that B samples fail with probability at most δ. No number of successes proves that at the very
  B where it is close to true, so it is consistent when it is not contradicted and a one-sided error of 5 % excludes
  that B samples fail twice as often, 2δ;
- a plateau or a slope is contradicted when a 99.9 % interval excludes the predicted one (a slope: by more than the
  prediction's own error), and consistent otherwise if that interval is narrow enough to tell: 0.45 for success
  probabilities; for exponents, a 95 % interval at most 1 wide; for a logarithm, one that excludes growth
  proportional to n; fewer than 11 students at some n decide nothing.

Everything else is *undecided*.
"""

import math
from collections.abc import Callable

from theory.intervals import SuccessCurve, clopper_pearson
from theory.verdict import Judgement, Kind, Verdict, judge

ALPHA_SHOWN = 0.05
ALPHA_SUPPORTED = 0.10
ALPHA_CONTRADICTED = 0.001
PLATEAU_RESOLUTION = 0.45


def growth_students(alpha: float) -> int:
    """Students that a slope takes to be contradicted at an error of alpha.

    At the true samples for success 1/2, each of R students succeeds or fails as a fair coin falls: with probability
    2^(1−R) all of them do the same. Then every resample does, too, and the true value is beyond every bootstrap
    interval, however it is stretched (R = 1: always, and the interval is a point). From so many students on that is
    rarer than the error of a contradiction.
    """
    return 1 + math.ceil(math.log2(1 / alpha))


GROWTH_STUDENTS = growth_students(ALPHA_CONTRADICTED)


def stricter(judged: Callable[[float], Judgement], alpha: float) -> Judgement:
    """A verdict of which only a contradiction is asked more than usual: an error of alpha, where all others are as
    at `ALPHA_CONTRADICTED`.
    """
    strict = judged(alpha)
    if strict.verdict is Verdict.CONTRADICTED or alpha == ALPHA_CONTRADICTED:
        return strict
    usual = judged(ALPHA_CONTRADICTED)
    if usual.verdict is not Verdict.CONTRADICTED:
        return usual
    return Judgement(
        Verdict.UNDECIDED, f"{usual.reason} So at an error of {usual.alpha:g} only.", usual.alpha
    )


def judge_rate(failures: int, trials: int, delta: float, alpha: float = ALPHA_CONTRADICTED) -> Judgement:
    """A number of failures among independent trials against the claim that each fails with probability at most δ.

    Args:
        failures: of the trials.
        trials: 1 or more.
        delta: δ in (0, 1).
        alpha: two-sided error of a contradiction.
    """
    strict = judge(clopper_pearson(failures, trials, alpha), delta, Kind.UPPER)
    if strict.verdict is Verdict.CONTRADICTED:
        return strict
    allowed = 2 * delta if 2 * delta < 1 else delta  # "at most always" would be supported by anything
    loose = judge(clopper_pearson(failures, trials, ALPHA_SUPPORTED), allowed, Kind.UPPER)
    verdict = Verdict.CONSISTENT if loose.verdict is Verdict.CONSISTENT else Verdict.UNDECIDED
    return Judgement(verdict, f"{failures} of {trials} fail, where at most {delta:g} may.", loose.alpha)


def measured_at(curve: SuccessCurve, value: float, kind: Kind) -> bool:
    """Whether anything was measured that could speak about a bound: an upper one may be beyond the horizon."""
    return kind is not Kind.UPPER or value <= float(curve.grid[-1])


def judge_bound(
    curve: SuccessCurve, probability: float, value: float, kind: Kind, alpha: float = ALPHA_CONTRADICTED
) -> Judgement | None:
    """The samples at which a curve reaches a probability, against a bound of them.

    Args:
        curve: success on a grid up to the horizon.
        probability: 1 − δ, of which the bound speaks.
        value: the bound.
        kind: upper or lower.
        alpha: two-sided error of the interval that contradicts; half of it is the error of the verdict.

    Returns:
        None where the bound is beyond the horizon: nothing was measured that could speak about it.
    """
    if not measured_at(curve, value, kind):
        return None
    if kind is Kind.UPPER:
        value = float(min(B for B in curve.grid if value <= B))  # measured at records only
    refuting = judge(curve.crossing(probability, alpha).interval, value, kind)
    if refuting.verdict is Verdict.CONTRADICTED:
        return refuting
    level = 2 * probability - 1 if kind is Kind.UPPER else probability  # 1 − 2δ or 1 − δ
    supporting = judge(curve.crossing(level, ALPHA_SUPPORTED).interval, value, kind)
    # Only the stricter interval may contradict.
    if supporting.verdict is Verdict.CONTRADICTED:
        return Judgement(Verdict.UNDECIDED, supporting.reason, supporting.alpha)
    return supporting


def one_sided(judged: Callable[[float], Judgement], alpha: float) -> Judgement:
    """A verdict on "at most" or "at least": a contradiction at a two-sided error alpha, support at one-sided 5 %.

    Args:
        judged: the verdict by an interval of a two-sided error.
        alpha: the error at which it contradicts.
    """
    strict = judged(alpha)
    if strict.verdict is Verdict.CONTRADICTED:
        return strict
    loose = judged(ALPHA_SUPPORTED)
    if loose.verdict is Verdict.CONTRADICTED:  # only the stricter interval may
        return Judgement(Verdict.UNDECIDED, loose.reason.replace("excludes", "speaks against"), loose.alpha)
    return loose
