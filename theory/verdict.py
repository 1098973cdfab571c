"""Verdicts: what a measured interval says about a bound.

A measurement is a confidence interval I = [l, u] for a true number x, of error probability alpha.  A claim
is a certified value v with a kind.  The rule for each kind is a pair of one-sided tests:

| kind | claim | CONTRADICTED | CONSISTENT | otherwise |
|---|---|---|---|---|
| upper | x <= v | l > v: no x in I satisfies it | u <= v: every x in I satisfies it | UNDECIDED |
| lower | x >= v | u < v | l >= v | UNDECIDED |
| exact | x = v | v not in I | v in I and I is as narrow as the stated resolution | UNDECIDED |
| asymptotic | the exponent is v | as exact, for the exponent's interval only | | |

So CONTRADICTED and, for one-sided claims, CONSISTENT are statements that are wrong with probability at most
alpha each: "consistent" is earned by a measurement that supports the claim for every value it leaves open,
not by a failure to refute.  For an exact claim no measurement can prove equality; CONSISTENT then means "not
refuted by a measurement able to see a difference of the resolution" (an unbounded interval sees nothing, so
it is UNDECIDED). Where v itself is only known to be in an enclosure, its ends are used so that the claim
gets the benefit of the doubt before CONTRADICTED and none before CONSISTENT.

Several verdicts combine by the weakest: CONTRADICTED if any is, else UNDECIDED if any is (or there is none),
else CONSISTENT; the error probabilities add up, so pass intervals of level alpha/m for m verdicts.
"""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass

from theory.enclosure import Enclosure
from theory.errors import TheoryError
from theory.intervals import Interval, Scalar


class Kind(enum.Enum):
    """What a bound's value claims about the true number."""

    EXACT = "exact"
    UPPER = "upper"
    LOWER = "lower"
    ASYMPTOTIC = "asymptotic"


class Verdict(enum.Enum):
    """Outcome of comparing a measurement with a claim."""

    CONSISTENT = "consistent"
    UNDECIDED = "undecided"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Judgement:
    """A verdict with a sentence that gives its reason, and the probability alpha that the data misled it."""

    verdict: Verdict
    reason: str
    alpha: float


def judge(
    interval: Interval, value: Enclosure | Scalar, kind: Kind, resolution: Scalar = math.inf
) -> Judgement:
    """Compare a measured interval with a claimed value of kind EXACT, UPPER or LOWER.

    value: the claimed number or a certified enclosure of it; infinite upper bounds claim nothing that could
    fail. resolution: for EXACT, the widest interval that counts as a measurement. Raises TheoryError for
    kind ASYMPTOTIC (use `judge_exponent`) or a NaN.
    """
    kind = Kind(kind)
    low, high = (value.lower, value.upper) if isinstance(value, Enclosure) else (value, value)
    if math.isnan(low) or math.isnan(high):
        raise TheoryError("A claim of NaN is refused; a number is needed.")
    if kind is Kind.ASYMPTOTIC:
        raise TheoryError(
            "An asymptotic claim has no value to compare; judge its exponent with judge_exponent."
        )
    if kind is Kind.UPPER:
        refuted, supported = interval.lower > high, interval.upper <= low
    elif kind is Kind.LOWER:
        refuted, supported = interval.upper < low, interval.lower >= high
    else:
        refuted = interval.lower > high or interval.upper < low
        supported = interval.lower <= low and high <= interval.upper
        supported = supported and interval.bounded and interval.upper - interval.lower <= resolution
    return _judgement(refuted, supported, interval, _claim(kind, low, high))


def judge_exponent(interval: Interval, exponent: Scalar, resolution: Scalar = 1.0) -> Judgement:
    """Compare the interval of a fitted exponent with a predicted one; UNDECIDED if wider than `resolution`.

    The default resolution 1 tells neighbouring integer exponents apart.
    """
    return judge(interval, exponent, Kind.EXACT, resolution)


def combine(judgements: Iterable[Judgement]) -> Judgement:
    """Return the weakest verdict with its reasons; alpha is the sum, by the union bound (at most 1)."""
    parts = list(judgements)
    alpha = min(1.0, math.fsum(part.alpha for part in parts))
    for verdict in (Verdict.CONTRADICTED, Verdict.UNDECIDED):
        reasons = [part.reason for part in parts if part.verdict is verdict]
        if reasons:
            return Judgement(verdict, " ".join(dict.fromkeys(reasons)), alpha)
    if not parts:
        return Judgement(Verdict.UNDECIDED, "Nothing was compared.", 0.0)
    return Judgement(Verdict.CONSISTENT, f"All {len(parts)} comparisons are consistent.", alpha)


def _claim(kind: Kind, low: Scalar, high: Scalar) -> str:
    if kind is Kind.EXACT:
        return f"the exact value {low:.6g}" if low == high else f"the exact value in [{low:.6g}, {high:.6g}]"
    return f"the {kind.value} bound {high if kind is Kind.UPPER else low:.6g}"


def _judgement(refuted: bool, supported: bool, interval: Interval, claim: str) -> Judgement:
    measured = f"The measured interval [{interval.lower:.6g}, {interval.upper:.6g}]"
    if refuted:
        return Judgement(Verdict.CONTRADICTED, f"{measured} excludes {claim}.", interval.alpha)
    if supported:
        return Judgement(Verdict.CONSISTENT, f"{measured} supports {claim}.", interval.alpha)
    return Judgement(Verdict.UNDECIDED, f"{measured} does not decide {claim}.", interval.alpha)
