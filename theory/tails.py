"""Exact tails of sums of independent lattice variables, certified, at any number of samples.

**Problem.** S = Z_1 + ... + Z_B with independent copies of a finite law on a lattice v0 + d*{0, 1, ..., M}:
a binomial (values 0, 1), the trinomial sums of a +-1 label (values -1, 0, 1), or integer labels.  P(a <= S
<= b) is wanted to a stated relative error, for B from 1 to 10^12 and beyond, however small the probability.

**Method.** Write M_B for the sum on {0, ..., BM} and f for the probability generating function of one term.

1. *Exponential tilt.* For r > 0 let P~ be the law with weights p_m r^m / f(r).  With anchor a, `P(a <= M_B
   <= b) = f(r)^B r^-a * sum_{j=0}^{b-a} r^-j P~(M_B = a + j)`; with anchor b likewise.  r is chosen so that
   the anchor is the tilted mean: then what is left is an ordinary, not small, local probability.
2. *Discrete Fourier inversion.* For any window of N consecutive integers, the values of P~(M_B = s mod N)
   are the discrete Fourier transform of f~(e^(2 pi i j/N))^B.  The only difference from P~(M_B = s) is the
   mass outside the window, at most `2 exp(-h^2/(2V + 2Rh/3))` by Bernstein's inequality (V the variance of
   M_B, R the range of a term about its mean, h the distance from the mean to the window's ends).  There is
   no discretisation error.
3. *Few frequencies.* `1 - |f~(e^it)|^2 = sum_{l<m} 4 p~_l p~_m sin^2((m-l)t/2) >= kappa sin^2(t/2)`, where
   kappa is the weight of adjacent pairs, or `1/sum(u_d^2/w_d)` for integers u_d with sum(u_d d) = 1 (by
   |sin(sum x)| <= sum |sin x| and Cauchy-Schwarz).  Hence |f~|^B <= exp(-B kappa sin^2(t/2)/2), and all but
   some hundred frequencies can be dropped at a rigorous price.  Their number does not grow with B.
   Where that still keeps many (kappa sees neighbours only), those whose |f~|^B is small are dropped one by one,
   by floats with a stated error.

Everything is evaluated in ball arithmetic with exact rational phases; the dropped mass is added to the
radius. Kind: exact (an enclosure of relative width 2^-bits, by default 2^-64; the tests compare with
enumeration in rationals for small B, and with 60-digit sums for large).

**References.** Abate and Whitt, *Numerical inversion of probability generating functions*, Oper. Res. Lett.
12 (1992), for the inversion and its aliasing error; Daniels, *Saddlepoint approximations in statistics*,
Ann. Math. Statist. 25 (1954), for the tilt; Boucheron, Lugosi, Massart, *Concentration inequalities* (2013),
Cor. 2.11, for Bernstein.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import flint

from theory.enclosure import precision
from theory.errors import Number, TheoryError, integer, probability, rational
from theory.inversion import Masses, concentration, lattice_probability, tilt_for, tilted

DEFAULT_BITS = 64
MAX_TOP = 4096


@dataclass(frozen=True)
class Lattice:
    """A finite law as integers: value = offset + span * m with probability masses[m] > 0.

    The m start at 0 and have no common divisor; span > 0 (1 for a law with a single value).
    """

    offset: Fraction
    span: Fraction
    masses: Masses

    @classmethod
    def of(cls, law: Mapping[Fraction, Fraction]) -> "Lattice":
        """Return the coarsest lattice that carries `law`, a map from values to probabilities.

        Raises TheoryError for negative probabilities or ones that do not sum to exactly 1.
        """
        masses = {rational("value", v): probability("probability", p) for v, p in law.items() if p}
        if sum(masses.values()) != 1:
            raise TheoryError(f"The probabilities sum to {sum(masses.values())}; exactly 1 is needed.")
        offset = min(masses)
        scale = math.lcm(*(value.denominator for value in masses), offset.denominator)
        steps = {int((value - offset) * scale): mass for value, mass in masses.items()}
        divisor = math.gcd(*steps) or 1
        span = Fraction(divisor, scale) if len(steps) > 1 else Fraction(1)
        return cls(offset, span, tuple(sorted((step // divisor, mass) for step, mass in steps.items())))

    @property
    def top(self) -> int:
        """Largest m."""
        return self.masses[-1][0]

    @cached_property
    def mean(self) -> Fraction:
        """Exact mean of m."""
        return sum((m * p for m, p in self.masses), Fraction(0))

    @cached_property
    def roughness(self) -> float:
        """Deviation over sqrt(kappa): an exact tail needs about 64 times as many frequencies.

        About 0.7 for +-1 labels; large if neighbouring values of the lattice have little mass.
        """
        law = tilted(self.masses, Fraction(1))
        return math.sqrt(law.variance * (law.kappa[1] / law.kappa[0])) if law.kappa[0] else 0.0


class LatticeSum:
    """The sum S of `count` independent copies of a finite law with rational values, and its exact tails.

    law: value -> probability, exact rationals that sum to 1, or its Lattice; count: B >= 1.  All
    probabilities are returned as balls of relative width 2^-bits.  Raises TheoryError for a law that is none, or
    one on so fine a lattice that more than MAX_FREQUENCIES frequencies would be needed (use `theory.chernoff`).
    """

    def __init__(self, law: Mapping[Fraction, Fraction] | Lattice, count: int) -> None:
        self.lattice = law if isinstance(law, Lattice) else Lattice.of(law)
        self.count = integer("B", count, 1)
        self._masses = self.lattice.masses
        if self.lattice.top > MAX_TOP:
            raise TheoryError(
                f"The values span {self.lattice.top} steps of their common lattice; at most {MAX_TOP} are "
                "allowed (use a Chernoff bound)."
            )

    def at_least(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(S >= value)."""
        return self._between(self._index(value, math.ceil), self._top, bits)

    def at_most(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(S <= value)."""
        return self._between(0, self._index(value, math.floor), bits)

    def within(self, low: Number, high: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(low <= S <= high)."""
        return self._between(self._index(low, math.ceil), self._index(high, math.floor), bits)

    def absolute_at_most(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(|S| <= value)."""
        return self.within(-value, value, bits)

    def absolute_at_least(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(|S| >= value)."""
        if value <= 0:
            return flint.arb(1)
        with precision(bits + 32):
            return self.at_least(value, bits + 1) + self.at_most(-value, bits + 1)

    def absolute_above(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(|S| > value), strict."""
        if value < 0:
            return flint.arb(1)
        with precision(bits + 32):
            above = self._between(self._index(value, math.floor) + 1, self._top, bits + 1)
            return above + self._between(0, self._index(-value, math.ceil) - 1, bits + 1)

    def point(self, value: Number, bits: int = DEFAULT_BITS) -> flint.arb:
        """Return P(S = value)."""
        return self.within(value, value, bits)

    @property
    def _top(self) -> int:
        return self.count * self.lattice.top

    def _index(self, value: Number, rounding: Callable[[Fraction], int]) -> int:
        return rounding((rational("value", value) - self.count * self.lattice.offset) / self.lattice.span)

    def _between(self, low: int, high: int, bits: int) -> flint.arb:
        low, high = max(low, 0), min(high, self._top)
        if low > high:
            return flint.arb(0)
        if low == 0 and high == self._top:
            return flint.arb(1)
        centre = self.count * self.lattice.mean
        side = 1 if low > centre else -1 if high < centre else 0
        anchor = low if side > 0 else high
        tilt = tilt_for(self._masses, Fraction(anchor, self.count), self.count) if side else Fraction(1)
        if side * (tilt - 1) <= 0:  # the weights r^-j must not grow away from the anchor
            tilt, side = Fraction(1), 0
        return lattice_probability(self._masses, self.count, low, high, tilt, side, bits)

    def concentration(self, tilt: Fraction) -> flint.arb:
        """Return a number Q, certified, with P~(S = s) <= Q for every s and every number of terms >= B.

        P~ is the law tilted by r = tilt: p~_m = p_m r^m / f(r).  Adding terms cannot raise the largest
        probability of a sum, and folding modulo N cannot lower one: `P~(S = s) <= 1/N sum_j |f~(e^(2 pi i
        j/N))|^B`. Kind: upper, within a factor 1 + 2^-20 of the largest Fourier bound.
        """
        return concentration(self._masses, self.count, tilt)


@lru_cache(maxsize=4096)
def binomial_at_least(count: int, p: Fraction, threshold: int, bits: int = DEFAULT_BITS) -> flint.arb:
    """Return P(X >= threshold) for X ~ Binomial(count, p), as a ball of relative width 2^-bits.

    count >= 1, 0 <= p <= 1.  Raises TheoryError otherwise.

    >>> float(binomial_at_least(10**12, Fraction(1, 2), 5 * 10**11 + 3 * 10**6))
    9.86593720832447e-10
    """
    return _bernoulli_sum(count, p).at_least(threshold, bits)


@lru_cache(maxsize=4096)
def binomial_at_most(count: int, p: Fraction, threshold: int, bits: int = DEFAULT_BITS) -> flint.arb:
    """Return P(X <= threshold) for X ~ Binomial(count, p), as a ball of relative width 2^-bits."""
    return _bernoulli_sum(count, p).at_most(threshold, bits)


def _bernoulli_sum(count: int, p: Fraction) -> LatticeSum:
    chance = probability("p", p)
    return LatticeSum({Fraction(0): 1 - chance, Fraction(1): chance}, count)


def trinomial_sum(active: Fraction, mean: Fraction, count: int) -> LatticeSum:
    """Return the sum of `count` variables with P(+-1) = (active +- mean)/2 and 0 otherwise (+-1 labels).

    Raises TheoryError unless |mean| <= active <= 1.
    """
    active = probability("tau_0", active)
    if abs(mean) > active:
        raise TheoryError(
            f"A mean of {mean} is impossible with P(Z != 0) = {active}; |mean| <= P(Z != 0) is needed."
        )
    law = {Fraction(1): (active + mean) / 2, Fraction(0): 1 - active, Fraction(-1): (active - mean) / 2}
    return LatticeSum(law, count)
