"""The exact marginal laws of one unit's gradient sums, and the union bound on them: the engine of B1' and S1'.

The theorem and the envelope for all larger B are in the docstring of `theory.bounds.exact_marginals`.
"""

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import flint
from scipy.optimize import minimize_scalar

from theory.chernoff import Law, chernoff_rate, mirrored
from theory.enclosure import ball, lower, precision, tight, upper
from theory.gradient import FirstStepLaw
from theory.inversion import tilt_for
from theory.tails import MAX_TOP, Lattice, LatticeSum

_BITS = 24
_ROUGHEST = 100.0  # beyond, exact tails need too many frequencies each


@dataclass(frozen=True)
class Marginals:
    """The marginal laws of one unit's coordinates, and the union bound e(B, t) on them.

    law: any first-step law with positive margin and n > k.
    """

    law: FirstStepLaw

    @cached_property
    def inside(self) -> tuple[tuple[Law, int], ...]:
        """Laws of the support's coordinates, turned so that their means are positive, with multiplicities."""
        counts: Counter[tuple[tuple[Fraction, Fraction], ...]] = Counter()
        for position, mean in enumerate(self.law.mean_in):
            law = self.law.coordinate_law(position)
            counts[tuple(sorted((law if mean > 0 else mirrored(law)).items()))] += 1
        return tuple((dict(items), count) for items, count in counts.items())

    @cached_property
    def outside(self) -> tuple[Law, int]:
        """Law of a coordinate off the support, and how many there are."""
        return self.law.coordinate_law("out"), self.law.n - self.law.k

    @cached_property
    def on_lattice(self) -> bool:
        """True iff all values lie on a lattice coarse enough for exact tails in milliseconds."""
        return all(lattice.top <= MAX_TOP and lattice.roughness <= _ROUGHEST for lattice in self.lattices)

    @cached_property
    def lattices(self) -> tuple[Lattice, ...]:
        """Lattices of the laws inside, then of the one outside."""
        return (*(Lattice.of(law) for law, _ in self.inside), Lattice.of(self.outside[0]))

    @property
    def ends(self) -> tuple[float, float]:
        """|mean| off the support and the least |mean| on it: thresholds per sample lie between them."""
        return float(abs(self.law.mean_out)), float(min(abs(mean) for mean in self.law.mean_in))

    def failure(self, B: int, threshold: Fraction, bits: int = _BITS) -> flint.arb:
        """Return e(B, threshold) as a ball of relative width 2^-bits."""
        with precision(bits + 32):
            total = flint.arb(0)
            (*inside, outside), count = self.lattices, self.outside[1]
            for lattice, (_, multiplicity) in zip(inside, self.inside, strict=True):
                total += multiplicity * LatticeSum(lattice, B).absolute_at_most(threshold, bits)
            return total + count * LatticeSum(outside, B).absolute_above(threshold, bits)

    def threshold(self, B: int, u: float) -> Fraction:
        """Return a threshold near B (mu_out + u (mu_in - mu_out)), between two values of the sum."""
        low, high = self.ends
        span = self.lattices[-1].span
        return (B * Fraction(low + u * (high - low)) // span) * span + span / 2

    def height(self, B: int, u: float) -> float:
        """Return log e(B, t) at the threshold of u, as a float."""
        return _log(self.failure(B, self.threshold(B, u)))

    def best_position(self, B: int, start: float = 0.5, width: float = 0.5) -> float:
        """Return a u, within `width` of `start`, that nearly minimises e(B, .); any is valid, this one is good."""
        bounds = max(0.01, start - width), min(0.99, start + width)
        found = minimize_scalar(
            lambda u: self.height(B, float(u)), bounds=bounds, method="bounded", options={"xatol": 0.004}
        )
        return float(found.x)

    def chernoff_samples(self, delta: Fraction) -> tuple[float, Fraction]:
        """Return (B, c): P(failure) <= delta for all B' >= B, by Chernoff's bound at c B', c optimised."""
        low, high = self.ends

        def at(u: float) -> Fraction:
            return Fraction(low + u * (high - low))

        found = minimize_scalar(
            lambda u: math.log(self.chernoff_at(at(u), delta)), bounds=(0.02, 0.98), options={"xatol": 1e-4}
        )
        c = at(float(found.x))
        return self.chernoff_at(c, delta), c

    def chernoff_at(self, c: Fraction, delta: Fraction) -> float:
        """Return B: at threshold c B', P(failure) <= delta for all B' >= B, by Chernoff's bound; infinite if none."""
        terms = [(float(count), lower(chernoff_rate(mirrored(law), -c))) for law, count in self.inside]
        law, count = self.outside
        terms += [(float(count), lower(chernoff_rate(side, c))) for side in (law, mirrored(law))]
        return least_samples(terms, delta, 1.0)

    def persistent_samples(self, start: int, threshold: Fraction, delta: Fraction) -> float:
        """Return B >= start with P(failure) <= delta for all B' >= B, by the envelope of the docstring."""
        c = threshold / start
        terms = [_envelope(law, start, c, -1, count) for law, count in self.inside]
        law, count = self.outside
        terms += [_envelope(side, start, c, +1, count) for side in (law, mirrored(law))]
        return least_samples(terms, delta, float(start))


def _envelope(law: Law, start: int, c: Fraction, side: int, count: int) -> tuple[float, float]:
    """(A, I) with count * P(side * S >= side * c B) <= A exp(-B I) for all B >= start; side is 1 or -1."""
    lattice = Lattice.of(law)
    position = (c - lattice.offset) / lattice.span
    if side * (position - (lattice.top if side > 0 else 0)) > 0:
        return 0.0, math.inf
    tilt = tilt_for(lattice.masses, position, start)
    if side * (tilt - 1) <= 0:
        return float(count), 0.0

    def rate() -> flint.arb:
        generating = sum((ball(p) * ball(tilt) ** m for m, p in lattice.masses), start=flint.arb(0))
        return ball(position) * ball(tilt).log() - generating.log()

    highest = LatticeSum(law, start).concentration(tilt)
    prefactor = count * highest / (1 - ball(tilt ** (-side)))
    return upper(prefactor), max(0.0, lower(tight(rate, bits=40)))


def least_samples(terms: list[tuple[float, float]], delta: Fraction, start: float) -> float:
    """A B >= start with sum A exp(-B I) <= delta from there on, on the safe side; infinite if none."""
    level = lower(delta) * (1 - 1e-9)
    if any(rate <= 0 and factor > 0 for factor, rate in terms):
        return math.inf

    def holds(B: float) -> bool:
        return math.fsum(factor * math.exp(-B * rate) for factor, rate in terms if factor) <= level

    if holds(start):
        return start
    low, high = start, 2 * start
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _log(value: flint.arb) -> float:
    return float(value.mid().log()) if value.mid() > 0 else -math.inf
