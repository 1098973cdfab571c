"""The numerical heart of `theory.tails`: tilt, discrete Fourier inversion and their rigorous error bounds.

The method and its proof are in the docstring of `theory.tails`; the names here follow it.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import flint
import numpy as np

from theory.enclosure import PrecisionError, ball, hull, precision
from theory.errors import TheoryError

MAX_FREQUENCIES = 1 << 20
_SCREENED_FROM = 128
_FLOAT_ERROR = 1e-12  # of |f~|^2 in the screening below; sums of a few hundred rounded terms are off by 1e-13
_ROUNDS = 6

Masses = tuple[tuple[int, Fraction], ...]
"""((m, p_m), ...) with increasing integers m >= 0 and probabilities p_m > 0 that sum to 1."""


def exponent_for(logs: Sequence[tuple[float, float]], mean: float) -> float:
    """Return l such that the law with weights p e^(l v) has about the given mean; safeguarded Newton, in floats.

    logs: (v, log p) of at least two values; mean: strictly between the least and the largest v.
    """
    spread = max(v for v, _ in logs) - min(v for v, _ in logs)
    limit, low, high, multiplier = 1e6 / spread, -math.inf, math.inf, 0.0
    for _ in range(200):
        largest = max(log + multiplier * v for v, log in logs)
        weights = [(v - mean, math.exp(log + multiplier * v - largest)) for v, log in logs]
        total = sum(w for _, w in weights)
        excess = sum(d * w for d, w in weights) / total
        variance = sum(d * d * w for d, w in weights) / total - excess**2
        if excess < 0:
            low = multiplier
        else:
            high = multiplier
        if abs(excess) <= 1e-15 * spread:
            break
        step = -excess / variance if variance > 0 else math.copysign(math.inf, -excess)
        reach = max(
            2.0 / spread, abs(multiplier)
        )  # at most doubles: Newton overshoots where the law saturates
        proposal = min(max(multiplier + min(max(step, -reach), reach), -limit), limit)
        if not low < proposal < high:
            proposal = (max(low, -limit) + min(high, limit)) / 2
        if abs(proposal - multiplier) <= 1e-13 * abs(multiplier):
            break
        multiplier = proposal
    return multiplier


def tilt_for(masses: Masses, mean: Fraction, count: int) -> Fraction:
    """Return r > 0 such that the law with weights p_m r^m has about the given mean; any r would be valid.

    masses: ((m, p_m), ...); count: number of terms, which says how near to an end of the support it can
    matter.
    """
    bottom, top = masses[0][0], masses[-1][0]
    slack = Fraction(top - bottom, 4 * count)
    target = float(min(max(mean, bottom + slack), top - slack))
    logs = [(float(m), math.log(p.numerator) - math.log(p.denominator)) for m, p in masses]
    exponent = min(max(exponent_for(logs, target), -700.0), 700.0)
    # 30 bits are plenty, the optimum is flat; a short rational keeps the exact tilted law cheap
    mantissa, power = math.frexp(math.exp(exponent))
    return Fraction(round(mantissa * (1 << 30)), 1 << 30) * Fraction(2) ** power


@dataclass(frozen=True)
class TiltedLaw:
    """p~_m = p_m r^m / f(r) as exact integer weights over their sum, with the moments for error bounds.

    Everything is kept in integers: rationals of this size spend their time on common divisors.
    """

    weights: tuple[tuple[int, int], ...]
    total: int
    scale: int  # f(r) = total / scale

    @cached_property
    def first(self) -> int:
        """Tilted mean of a term, times `total`."""
        return sum(m * w for m, w in self.weights)

    @cached_property
    def spread_squared(self) -> int:
        """Tilted variance of a term, times `total` squared."""
        return sum(m * m * w for m, w in self.weights) * self.total - self.first**2

    @cached_property
    def variance(self) -> float:
        """Tilted variance of a term, as a float for the choice of sizes."""
        return self.spread_squared / self.total**2

    @cached_property
    def radius(self) -> int:
        """Largest distance of a value from the tilted mean, rounded up."""
        top, bottom = self.weights[-1][0], self.weights[0][0]
        return max(
            -((self.first - top * self.total) // self.total),
            -((bottom * self.total - self.first) // self.total),
        )

    @cached_property
    def kappa(self) -> tuple[int, int]:
        """(u, v), kappa = u/v with 1 - |f~(e^it)|^2 >= kappa sin^2(t/2) for all t; 0 for a single value."""
        by_difference: dict[int, int] = {}
        for (low, u), (high, v) in itertools.combinations(self.weights, 2):
            by_difference[high - low] = by_difference.get(high - low, 0) + 4 * u * v
        if 1 in by_difference or not by_difference:
            return by_difference.get(1, 0), self.total**2
        divisor, coefficients = 0, dict[int, int]()
        for difference in sorted(by_difference, key=lambda d: -by_difference[d]):
            divisor, old, new = _bezout(divisor, difference)
            coefficients = {d: old * u for d, u in coefficients.items()} | {difference: new}
            if divisor == 1:
                break
        share = sum(Fraction(u * u * self.total**2, by_difference[d]) for d, u in coefficients.items())
        return Fraction(share).denominator, Fraction(share).numerator


def tilted(masses: Masses, tilt: Fraction) -> TiltedLaw:
    """Return the law tilted by r = tilt > 0, exactly."""
    a, b, top = tilt.numerator, tilt.denominator, masses[-1][0]
    common = math.lcm(*(p.denominator for _, p in masses))
    weights = tuple((m, p.numerator * (common // p.denominator) * a**m * b ** (top - m)) for m, p in masses)
    return TiltedLaw(weights, sum(w for _, w in weights), common * b**top)


def _bezout(a: int, b: int) -> tuple[int, int, int]:
    """(g, u, v) with u a + v b = g = gcd(a, b)."""
    if b == 0:
        return a, 1, 0
    divisor, u, v = _bezout(b, a % b)
    return divisor, v, u - (a // b) * v


@dataclass(frozen=True)
class Plan:
    """Window, frequencies and working precision of one inversion with absolute error about 2^-goal."""

    law: TiltedLaw
    count: int
    bits: int
    first: int  # the window is first .. first + size - 1
    size: int
    kept: int  # frequencies above are dropped by kappa
    frequencies: tuple[int, ...]  # those up to `kept` that are summed
    screened: float  # every other one up to `kept` has |f~|^B <= e^-screened
    outside: flint.arb  # bound of the mass outside the window

    @classmethod
    def make(cls, law: TiltedLaw, count: int, goal: int) -> "Plan":
        """Choose sizes in floats for an error of about 2^-goal; what they cost is then proved in balls.

        Raises TheoryError if more than MAX_FREQUENCIES frequencies would be needed.
        """
        top = count * law.weights[-1][0]
        centre = count * law.first // law.total
        level = (goal + 2) * math.log(2.0)
        reach = (
            math.ceil(1.0001 * (math.sqrt(2 * count * law.variance * level) + 0.6667 * law.radius * level))
            + 2
        )
        first, last = max(0, centre - reach), min(top, centre + reach)
        size = last - first + 1
        kept = size // 2
        kappa = law.kappa[0] / law.kappa[1]
        if kappa > 0:
            needed = 2.0001 * (level + math.log(2 + math.log(size))) / (count * kappa)
            if needed < 1:
                kept = min(kept, math.ceil(size * math.asin(math.sqrt(needed)) / math.pi))
        if kept > MAX_FREQUENCIES:
            raise TheoryError(
                f"The law's lattice has so little mass on neighbouring values that {kept} frequencies are "
                f"needed; at most {MAX_FREQUENCIES} are allowed (use a Chernoff bound)."
            )
        screened = level + math.log(2 + math.log(size))
        frequencies = _loud(law, count, size, kept, screened)
        bits = goal + 2 * count.bit_length() + size.bit_length() + 48
        with precision(64):
            outside = flint.arb(0)
            mean = ball(law.first) * count / law.total
            variance = ball(law.spread_squared) * count / law.total**2
            for gap, covered in ((mean - first + 1, first == 0), (last + 1 - mean, last == top)):
                if not covered:
                    outside += (-(gap * gap) / (2 * (variance + law.radius * gap / 3))).exp()
        return cls(law, count, bits, first, size, kept, frequencies, screened, outside)

    def transforms(self) -> list[flint.acb]:
        """Return f~(e^(2 pi i j/N))^B for each kept frequency j at the present precision."""
        terms = [(m, flint.arb(weight)) for m, weight in reversed(self.law.weights)]
        total, result = flint.arb(self.law.total), []
        for z in self.roots(1):
            value, previous = flint.acb(0), terms[0][0]
            for m, weight in terms:  # Horner's rule
                value = value * z ** (previous - m) + weight if previous != m else value + weight
                previous = m
            result.append((value * z**previous / total) ** self.count)
        return result

    def roots(self, step: int) -> list[flint.acb]:
        """Return e^(2 pi i j step/N) for each kept frequency j, from its exact fraction.

        Not by repeated multiplication: a rotated box of the complex plane grows by up to sqrt 2 each time.
        """
        angles = (flint.fmpq(2 * (j * step % self.size), self.size) for j in self.frequencies)
        return [flint.acb(cosine, sine) for sine, cosine in map(flint.arb.sin_cos_pi_fmpq, angles)]

    def dropped_transform(self) -> flint.arb:
        """Bound of the dropped frequencies' |f~|^B, which holds for each and for their mean."""
        quiet = (-ball(self.screened)).exp() if len(self.frequencies) <= self.kept else flint.arb(0)
        if self.kept >= self.size // 2:
            return quiet
        sine = flint.arb.sin_pi_fmpq(flint.fmpq(self.kept + 1, self.size))
        kappa = ball(self.law.kappa[0]) / self.law.kappa[1]
        return quiet.max((-(self.count * kappa * sine * sine) / 2).exp())

    def dropped_kernel(self) -> flint.arb:
        """Bound of what they add to a sum of monotone weights <= 1: |kernel_j| <= 1/sin(pi j/N) <= N/2j."""
        return self.dropped_transform() * (2 + flint.arb(self.size).log())


def _loud(law: TiltedLaw, count: int, size: int, kept: int, level: float) -> tuple[int, ...]:
    """Frequencies 0..kept without those that certainly have |f~|^B <= e^-level, by floats with a stated error.

    kappa sees one pair of values at a time, so on a rough lattice it keeps many frequencies that are quiet.
    """
    if kept < _SCREENED_FROM or law.weights[-1][0] * kept >= 1 << 62:
        return tuple(range(kept + 1))
    j = np.arange(kept + 1, dtype=np.int64)
    value = np.zeros(kept + 1, dtype=np.complex128)
    for m, weight in law.weights:
        value += (weight / law.total) * np.exp(2j * np.pi * ((m * j) % size / size))
    square = np.minimum(np.abs(value) ** 2 + _FLOAT_ERROR, 1.0)
    loud = np.flatnonzero(-0.5 * count * np.log(square) * (1 - 1e-9) <= level)
    return tuple(loud.tolist())


def lattice_probability(
    masses: Masses, count: int, low: int, high: int, tilt: Fraction, side: int, bits: int
) -> flint.arb:
    """Return P(low <= M <= high) to relative 2^-bits; side: +1 anchors at low, -1 at high, 0 is no tilt.

    Raises PrecisionError if the probability is too small for the tilt that was chosen.
    """
    law = tilted(masses, tilt)
    scale = max(0, int(math.log2(count * law.variance + 1.0))) // 2
    result = flint.arb(0)
    for attempt in range(_ROUNDS):
        plan = Plan.make(law, count, (bits + scale + 12) << attempt)
        with precision(plan.bits):
            result = _anchored(plan, low, high, tilt, side)
        if result.is_finite() and result.rel_accuracy_bits() >= bits and bool(result > 0):
            return result
    raise PrecisionError(f"P({low} <= S <= {high}) could not be enclosed to {bits} bits: {result}.")


def _anchored(plan: Plan, low: int, high: int, tilt: Fraction, side: int) -> flint.arb:
    # mass outside the window is missing from the exact sum, or folded into it: at most `outside` either way
    slack = plan.outside + plan.dropped_kernel()
    total = hull(-slack, slack)
    first, last = max(low, plan.first), min(high, plan.first + plan.size - 1)
    ratio = ball(tilt) ** -side  # weights ratio^0, ratio^1, ... away from the anchor, at most 1
    if first <= last:
        inner = _windowed(plan, first, last, ratio, side)
        total += inner * ratio ** (first - low if side >= 0 else high - last)
    if not side:
        return total
    factor = (ball(plan.law.total) / plan.law.scale) ** plan.count
    return factor * ball(tilt) ** -(low if side > 0 else high) * total


def _windowed(plan: Plan, first: int, last: int, ratio: flint.arb, side: int) -> flint.arb:
    """sum_s ratio^|s - anchor| P~(M = s mod N) over first..last, from the kept frequencies.

    The kernel sum_s ratio^|s - anchor| e^(-2 pi i j s/N) is a geometric sum, taken from the anchor on.
    """
    direction, anchor, length = (1, first, last - first + 1) if side >= 0 else (-1, last, last - first + 1)
    power, total = ratio**length, flint.arb(0)
    factors = zip(
        plan.transforms(),
        plan.roots(-direction),
        plan.roots(-anchor),
        plan.roots(-direction * length),
        strict=True,
    )
    for j, (value, step, start, end) in zip(plan.frequencies, factors, strict=True):
        if j == 0 and not side:
            total += length
        else:
            term = (value * start * (1 - power * end) / (1 - ratio * step)).real
            total += term if j == 0 or 2 * j == plan.size else 2 * term
    return total / plan.size


def concentration(masses: Masses, count: int, tilt: Fraction) -> flint.arb:
    """Return Q with P~(S = s) <= Q for every s: the mean of |f~|^B over the N-th roots of unity, any N."""
    plan = Plan.make(tilted(masses, tilt), count, 20)
    with precision(plan.bits):
        total = flint.arb(0)
        for j, value in zip(plan.frequencies, plan.transforms(), strict=True):
            total += (1 if j == 0 or 2 * j == plan.size else 2) * abs(value)
        return total / plan.size + plan.dropped_transform()
