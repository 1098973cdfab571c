"""Exponential tail bounds for sums of independent bounded variables, certified, and their sample sizes.

S is the sum of B independent copies of Z, t > 0 a deviation of the *mean* S/B.

* Hoeffding (1963, Thm 2), l <= Z <= u: `P(S/B - E Z >= t) <= exp(-2 B t^2 / (u - l)^2)`.
* Bernstein (Boucheron, Lugosi, Massart 2013, Cor. 2.11), Z - E Z <= c, Var Z <= v:
  `P(S/B - E Z >= t) <= exp(-B t^2 / (2 (v + c t / 3)))`.
* Cramer-Chernoff, any finite law: `P(S/B >= x) <= exp(-B I(x))` for x >= E Z, with the rate `I(x) = sup_{l
  >= 0} (l x - log E e^(l Z))`, the best exponent that a function of the law can have (Cramer 1938). Any
  single l gives a valid bound, so the l found in floating point is *used*, not trusted: its exponent is
  evaluated in ball arithmetic and rounded down.

The exponents are returned as balls; a bound `exp(-B rate)` is safe with the rate's lower end.  Kind: upper.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

import flint

from theory import errors
from theory.enclosure import PrecisionError, Real, ball, tight
from theory.errors import TheoryError
from theory.inversion import exponent_for

Law = Mapping[Fraction, Fraction]
"""A finite law: value -> probability, both exact."""


def hoeffding_rate(deviation: Real, width: Real) -> flint.arb:
    """Return 2 t^2/(u - l)^2, the exponent per sample; deviation t > 0, width u - l > 0.

    Raises TheoryError otherwise.
    """
    _positive(deviation=deviation, width=width)
    return tight(lambda: 2 * (ball(deviation) / ball(width)) ** 2)


def bernstein_rate(deviation: Real, variance: Real, bound: Real) -> flint.arb:
    """Return t^2/(2 (v + c t/3)), the exponent per sample; t > 0, v >= 0 and c >= 0 not both 0.

    Raises TheoryError otherwise.
    """
    _positive(deviation=deviation)
    if ball(variance) < 0 or ball(bound) < 0 or (variance == 0 and bound == 0):
        raise TheoryError(f"variance = {variance}, bound = {bound}: both must be >= 0 and one positive.")
    return tight(lambda: ball(deviation) ** 2 / (2 * (ball(variance) + ball(bound) * ball(deviation) / 3)))


def chernoff_rate(law: Law, threshold: Fraction) -> flint.arb:
    """Return a certified exponent for P(S/B >= threshold) <= exp(-B rate).

    0 if threshold <= E Z, infinite above the largest value, -log P(Z = largest) at it; otherwise
    `l x - log E e^(l Z)` at an l that is optimal to about 2^-40 (the loss is quadratic in that).
    Kind: the ball encloses the exponent at this l, a lower bound of the rate I(x).
    Raises TheoryError for a law whose probabilities do not sum to 1.
    """
    if sum(law.values()) != 1:
        raise TheoryError(f"The probabilities sum to {sum(law.values())}; exactly 1 is needed.")
    masses = {value: p for value, p in law.items() if p}
    top, mean = max(masses), sum((v * p for v, p in masses.items()), Fraction(0))
    if threshold <= mean:
        return flint.arb(0)
    if threshold > top:
        return flint.arb.pos_inf()
    if threshold == top:
        return tight(lambda: -ball(masses[top]).log())
    logs = [(float(v), math.log(p.numerator) - math.log(p.denominator)) for v, p in masses.items()]
    multiplier = Fraction(exponent_for(logs, float(threshold)))

    # relative to the threshold, so that nothing overflows and little cancels
    shifted = [(p, multiplier * (v - threshold)) for v, p in masses.items()]
    try:
        rate = tight(
            lambda: -sum((ball(p) * ball(t).exp() for p, t in shifted), flint.arb(0)).log(), limit=1 << 12
        )
    except PrecisionError:
        return flint.arb(0)
    return rate if rate > 0 else flint.arb(0)


def mirrored(law: Law) -> dict[Fraction, Fraction]:
    """Return the law of -Z."""
    return {-value: p for value, p in law.items()}


def samples_for(rate: Real, delta: Real, events: int = 1) -> flint.arb:
    """Return ln(events/delta)/rate: from this B on, `events * exp(-B rate) <= delta`.

    Infinite for a rate that is not certainly positive.  Raises TheoryError unless 0 < delta < 1 and events
    >= 1.
    """
    errors.integer("events", events, 1)
    if not (ball(delta) > 0 and ball(delta) < 1):
        raise TheoryError(f"delta = {delta} is refused; a probability in (0, 1) is needed.")
    exponent = ball(rate)
    if not exponent > 0:
        return flint.arb.pos_inf()
    return tight(lambda: (ball(events) / ball(delta)).log() / exponent, bits=40)


def hoeffding_samples(deviation: Real, width: Real, delta: Real) -> flint.arb:
    """Return the B from which Hoeffding's inequality gives P(S/B - E Z >= deviation) <= delta.

    >>> float(hoeffding_samples(Fraction(1, 10), 1, Fraction(1, 20)))  # doctest: +ELLIPSIS
    149.78...
    """
    return samples_for(hoeffding_rate(deviation, width), delta)


def bernstein_samples(deviation: Real, variance: Real, bound: Real, delta: Real) -> flint.arb:
    """Return the B from which Bernstein's inequality gives P(S/B - E Z >= deviation) <= delta."""
    return samples_for(bernstein_rate(deviation, variance, bound), delta)


def chernoff_samples(law: Law, threshold: Fraction, delta: Real) -> flint.arb:
    """Return the B from which the Chernoff bound gives P(S/B >= threshold) <= delta; infinite at the mean."""
    rate = chernoff_rate(law, threshold)
    if not rate.is_finite():
        return flint.arb(1)
    return samples_for(rate, delta)


def _positive(**values: Real) -> None:
    for name, value in values.items():
        if not ball(value) > 0:
            raise TheoryError(f"{name} = {value} is refused; a positive number is needed.")
