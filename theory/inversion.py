"""The numerical heart of `theory.tails`: tilt, discrete Fourier inversion and their rigorous error bounds.

The method and its proof are in the docstring of `theory.tails`; the names here follow it.
"""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import flint

from theory.enclosure import PrecisionError, ball, hull, precision
from theory.errors import TheoryError

MAX_FREQUENCIES = 20_000
_ROUNDS = 6

Masses = tuple[tuple[int, Fraction], ...]
"""((m, p_m), ...) with increasing integers m >= 0 and probabilities p_m > 0 that sum to 1."""


def tilt_for(masses: Masses, mean: Fraction, count: int) -> Fraction:
    """Return r > 0 such that the law with weights p_m r^m has about the given mean; any r would be valid.

    masses: ((m, p_m), ...); count: number of terms, which says how near to an end of the support it can
    matter.
    """
    values = [m for m, _ in masses]
    slack = Fraction(values[-1] - values[0], 4 * count)
    target = float(min(max(mean, values[0] + slack), values[-1] - slack))
    logs = [math.log(p.numerator) - math.log(p.denominator) for _, p in masses]
    low, high = -750.0, 750.0

    def tilted_mean(t: float) -> float:
        exponents = [log + t * m for m, log in zip(values, logs, strict=True)]
        largest = max(exponents)
        weights = [math.exp(e - largest) for e in exponents]
        return sum(m * w for m, w in zip(values, weights, strict=True)) / sum(weights)

    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if tilted_mean(middle) < target else (low, middle)
    # 30 bits are plenty, the optimum is flat; a short rational keeps the exact tilted law cheap
    mantissa, exponent = math.frexp(math.exp(min(max((low + high) / 2, -700.0), 700.0)))
    return Fraction(round(mantissa * (1 << 30)), 1 << 30) * Fraction(2) ** exponent


@dataclass(frozen=True)
class TiltedLaw:
    """p~_m = p_m r^m / f(r) as exact integer weights over their sum, with the moments for error bounds."""

    weights: tuple[tuple[int, int], ...]
    total: int
    normaliser: Fraction  # f(r)

    @property
    def mean(self) -> Fraction:
        """Tilted mean of one term."""
        return Fraction(sum(m * w for m, w in self.weights), self.total)

    @property
    def variance(self) -> Fraction:
        """Tilted variance of one term."""
        return Fraction(sum(m * m * w for m, w in self.weights), self.total) - self.mean**2

    @property
    def radius(self) -> Fraction:
        """Largest distance of a value from the tilted mean."""
        return max(self.mean - self.weights[0][0], self.weights[-1][0] - self.mean)


def tilted(masses: Masses, tilt: Fraction) -> TiltedLaw:
    """Return the law tilted by r = tilt > 0, exactly."""
    a, b, top = tilt.numerator, tilt.denominator, masses[-1][0]
    scale = math.lcm(*(p.denominator for _, p in masses))
    weights = tuple((m, int(p * scale) * a**m * b ** (top - m)) for m, p in masses)
    total = sum(w for _, w in weights)
    return TiltedLaw(weights, total, Fraction(total, scale * b**top))


def _spread(law: TiltedLaw) -> Fraction:
    """kappa with 1 - |f~(e^it)|^2 >= kappa sin^2(t/2) for all t, exact; 0 for a law with a single value."""
    by_difference: dict[int, int] = {}
    for (low, u), (high, v) in itertools.combinations(law.weights, 2):
        by_difference[high - low] = by_difference.get(high - low, 0) + 4 * u * v
    square = law.total**2
    adjacent = Fraction(by_difference.get(1, 0), square)
    divisor, coefficients = 0, dict[int, int]()
    for difference in sorted(by_difference, key=lambda d: -by_difference[d]):
        divisor, old, new = _bezout(divisor, difference)
        coefficients = {d: old * u for d, u in coefficients.items()} | {difference: new}
        if divisor == 1:
            break
    if divisor != 1:
        return adjacent
    chained = 1 / sum(
        (Fraction(u * u * square, by_difference[d]) for d, u in coefficients.items()), Fraction(0)
    )
    return max(adjacent, chained)


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
    kept: int  # frequencies 0 .. kept are summed
    spread: Fraction
    outside: flint.arb  # bound of the mass outside the window

    @classmethod
    def make(cls, law: TiltedLaw, count: int, goal: int) -> "Plan":
        """Choose sizes in floats for an error of about 2^-goal; what they cost is then proved in balls.

        Raises TheoryError if more than MAX_FREQUENCIES frequencies would be needed.
        """
        top = count * law.weights[-1][0]
        centre, variance = count * law.mean, float(count * law.variance)
        level = (goal + 2) * math.log(2.0)
        reach = math.ceil(1.0001 * (math.sqrt(2 * variance * level) + 0.6667 * float(law.radius) * level)) + 1
        first, last = max(0, math.floor(centre) - reach), min(top, math.ceil(centre) + reach)
        size = last - first + 1
        spread = _spread(law)
        kept = size // 2
        if spread:
            needed = 2.0001 * (level + math.log(2 + math.log(size))) / float(count * spread)
            if needed < 1:
                kept = min(kept, math.ceil(size * math.asin(math.sqrt(needed)) / math.pi))
        if kept > MAX_FREQUENCIES:
            raise TheoryError(
                f"The law's lattice has so little mass on neighbouring values that {kept} frequencies are "
                f"needed; at most {MAX_FREQUENCIES} are allowed (use a Chernoff bound)."
            )
        bits = goal + 2 * count.bit_length() + size.bit_length() + 48
        with precision(64):
            outside = flint.arb(0)
            for gap, covered in ((centre - first + 1, first == 0), (last + 1 - centre, last == top)):
                if not covered:
                    share = 2 * (count * law.variance + law.radius * gap / 3)
                    outside += (-ball(gap * gap / share)).exp()
        return cls(law, count, bits, first, size, kept, spread, outside)

    def transform(self, j: int) -> flint.acb:
        """Return f~(e^(2 pi i j/N))^B at the present precision."""
        sine, cosine = flint.arb.sin_cos_pi_fmpq(flint.fmpq(2 * j, self.size))
        z = flint.acb(cosine, sine)
        value, previous = flint.acb(0), None
        for m, weight in reversed(self.law.weights):
            if previous is not None:
                value *= z ** (previous - m)
            value += weight
            previous = m
        return (value / self.law.total) ** self.count

    def dropped_transform(self) -> flint.arb:
        """Bound of the dropped frequencies' |f~|^B, which holds for each and for their mean."""
        if self.kept >= self.size // 2:
            return flint.arb(0)
        sine = flint.arb.sin_pi_fmpq(flint.fmpq(self.kept + 1, self.size))
        return (-(ball(self.count * self.spread) * sine * sine) / 2).exp()

    def dropped_kernel(self) -> flint.arb:
        """Bound of what they add to a sum of monotone weights <= 1: |kernel_j| <= 1/sin(pi j/N) <= N/2j."""
        return self.dropped_transform() * (2 + flint.arb(self.size).log())


def lattice_probability(
    masses: Masses,
    count: int,
    low: int,
    high: int,
    tilt: Fraction,
    side: int,
    bits: int,
) -> flint.arb:
    """Return P(low <= M <= high) to relative 2^-bits; side: +1 anchors at low, -1 at high, 0 is no tilt."""
    law = tilted(masses, tilt)
    scale = max(0, int(math.log2(float(count * law.variance) + 1.0))) // 2
    result = flint.arb(0)
    for attempt in range(_ROUNDS):
        goal = (bits + scale + 12) << attempt
        plan = Plan.make(law, count, goal)
        with precision(plan.bits):
            result = _anchored(plan, low, high, tilt, side)
        if result.is_finite() and result.rel_accuracy_bits() >= bits and bool(result > 0):
            return result
    raise PrecisionError(f"P({low} <= S <= {high}) could not be enclosed to {bits} bits: {result}.")


def _anchored(plan: Plan, low: int, high: int, tilt: Fraction, side: int) -> flint.arb:
    low_in, high_in = max(low, plan.first), min(high, plan.first + plan.size - 1)
    # mass outside the window is missing from the exact sum, or folded into it: at most `outside` either way
    slack = plan.outside + plan.dropped_kernel()
    error = hull(-slack, slack)
    total = flint.arb(0)
    if low_in <= high_in:
        anchor = low_in if side >= 0 else high_in
        for j in range(plan.kept + 1):
            term = (plan.transform(j) * _kernel(plan, low_in, high_in, tilt, side, j)).real
            total += term if j == 0 or 2 * j == plan.size else 2 * term
        total /= plan.size
        if anchor != (low if side >= 0 else high):
            total *= ball(tilt) ** -(anchor - (low if side >= 0 else high))
    total += error
    if not side:
        return total
    factor = ball(plan.law.normaliser) ** plan.count * ball(tilt) ** -(low if side > 0 else high)
    return factor * total


def _kernel(plan: Plan, low: int, high: int, tilt: Fraction, side: int, j: int) -> flint.acb:
    """sum_{s=low}^{high} r^-(s - anchor) e^(-2 pi i j s/N), in closed form."""
    length = high - low + 1
    if j == 0 and not side:
        return flint.acb(length)

    def phase(steps: int) -> flint.acb:
        sine, cosine = flint.arb.sin_cos_pi_fmpq(flint.fmpq(-2 * (j * steps % plan.size), plan.size))
        return flint.acb(cosine, sine)

    if side >= 0:
        ratio = ball(tilt) ** -1
        return phase(low) * (1 - ratio**length * phase(length)) / (1 - ratio * phase(1))
    ratio = ball(tilt)
    return phase(high) * (1 - ratio**length * phase(-length)) / (1 - ratio * phase(-1))
