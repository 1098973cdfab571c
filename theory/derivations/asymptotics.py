"""Asymptotics with explicit errors at bias 0: the Fourier gap, the samples it asks for, and min(2c, k - 1) as a limit.

**Problem.** k even, gap = |tau_{k-1}| - |tau_{k+1}|, positive iff n >= 2k.  How large is it, and gap^-2, the scale of
the number of samples of a first step that shows the support?

**Theorem (gap, scale).** Let n0 = 2k.  For every n >= n0, odd or even,

    | gap / ((k-3)!!/sqrt(2 pi) n^(-(k-1)/2)) - 1 |   <=  C/n      (`GapAsymptotics(k)`),
    | gap^-2 / (2 pi/((k-3)!!)^2 n^(k-1)) - 1 |       <=  C/n      (`ScaleAsymptotics(k)`),

with rational C of each that `error_constant` computes: 3/2, 9/2, 29/4, 19/2 for the gap at k = 2, 4, 6, 8, and 25/4,
131/4, 121/2, 303/4 for the scale, where it is the small gap at n = 2k that needs so much.
**Proof.** For each parity, x = (gap/leading)^2 lies between rational functions of n (`envelopes.gap_quotients`).
The two inequalities x <= (1 + C/n)^2 and x >= (1 - C/n)^2 (the latter only for n > C, as the gap is positive) become
polynomial ones, and with n = start + t all coefficients of these polynomials in t are >= 0 (`Certificate`).  For the
scale the same with 1/x and without squares.  The first-order coefficients lim n (ratio - 1), by sympy, are
(k-1)(k-5)/4 (n odd) and (k-1)(k-7)/4 (n even) for the gap, and -2 times these for the scale: -(k-1) from
(D-2k+1)/(D-k), 1/4 or -1/4 from w_m, and sum_j (j+1) = k(k-2)/4 or sum_j j = (k-2)^2/4 from the product.

**Theorem (leaky teacher).** Let p = n^-c, n odd, d = |tau_{k-1}| + |tau_{k+1}| + 4p and a = tau_0 - tau_2 = 1/2.  The
bound B2-leaky, B = I/((d/2) ln((a+d)/(a-d))) with I = ln(1/(4 delta)), has log B/log n -> min(2c, k - 1).
**Proof.** (d/2) ln((a+d)/(a-d)) = d artanh(d/a), x <= artanh x <= x/(1 - x^2), and d lies between algebraic
functions of n (`tau_envelopes`; |tau_{k-1}| + |tau_{k+1}| = |tau_{k-1}| (n-1)/(n-k)).  So B does (`leaky_envelope`),
and both have the limit that `leaky_exponent` computes for concrete k and c.

Kinds: lower and upper (envelopes, enclosures), asymptotic (limits).
**References.** The project's design, section 4; Barak et al. 2022 for the order n^(-(k-1)/2).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import final

import flint
import sympy

from theory.derivations.envelopes import (
    PARITIES,
    Envelope,
    Quotient,
    even_support,
    fourier_gap,
    gap_envelope,
    gap_quotients,
    majority_tau,
    nonnegative,
    shifted,
    tau_envelopes,
)
from theory.enclosure import Enclosure, ball, lower, precision, upper
from theory.errors import Number, TheoryError, choice, integer, rational
from theory.walsh import double_factorial

__all__ = [
    "Certificate",
    "GapAsymptotics",
    "ScaleAsymptotics",
    "fourier_gap",
    "gap_envelope",
    "leaky_envelope",
    "leaky_exponent",
    "majority_tau",
    "squeeze",
    "tau_envelopes",
]

_n = sympy.Symbol("n", positive=True)
_GRAIN = 4  # error constants are multiples of 1/4
_LARGEST = 1 << 40  # in such multiples; k = 60 needs 2^19


def squeeze(envelope: Envelope, n: sympy.Symbol) -> sympy.Expr:
    """Return the common limit of both sides as n grows: that of everything between them.

    Raises TheoryError if the limits differ.

    >>> n = sympy.Symbol("n", positive=True)
    >>> squeeze(Envelope(1 - 1 / n, 1 + 1 / n), n)
    1
    """
    low, high = (sympy.limit(side, n, sympy.oo) for side in envelope)
    if low != high:
        raise TheoryError(f"The limits {low} and {high} differ; an envelope with one limit is needed.")
    return low


@dataclass(frozen=True)
class Certificate:
    """Polynomials in t >= 0 that prove |x^(1/s) - 1| <= C/n, for x between two rational functions of n.

    Attributes:
        denominators: those of low and high, at n = first + t: positive, so that the others prove what they say.
        above: n^s (den (1 + C/n)^s - num) of the upper function, at n = first + t.
        below: n^s (num - den (1 - C/n)^s) of the lower function, at n = max(first, C) + t; for n <= C it is trivial.
    """

    denominators: tuple[sympy.Poly, sympy.Poly]
    above: sympy.Poly
    below: sympy.Poly

    @classmethod
    def of(cls, low: Quotient, high: Quotient, s: int, C: Fraction, first: int) -> "Certificate":
        """Return the polynomials for low <= x <= high and all n >= first; they may prove nothing."""
        n, constant = sympy.Poly(_n, _n), sympy.Rational(C.numerator, C.denominator)
        above = (n + constant) ** s * high.denominator - n**s * high.numerator
        below = n**s * low.numerator - (n - constant) ** s * low.denominator
        start = Fraction(first)
        denominators = (shifted(low.denominator, start), shifted(high.denominator, start))
        return cls(denominators, shifted(above, start), shifted(below, max(start, C)))

    @property
    def proves(self) -> bool:
        """True iff no coefficient is negative and no denominator vanishes: the inequality holds for all n >= first."""
        positive = all(nonnegative(each) and each.eval(0) > 0 for each in self.denominators)
        return positive and nonnegative(self.above) and nonnegative(self.below)


@dataclass(frozen=True)
class _Asymptotics(ABC):
    """A quantity q(n) = constant n^exponent (1 + O(1/n)), with the O explicit for all n >= n0.

    k: even, at least 2; TheoryError for others.
    """

    k: int

    def __post_init__(self) -> None:
        """Refuse a k whose gap vanishes."""
        even_support(self.k)

    @property
    def n0(self) -> int:
        """2k: the least n from which on the gap is positive; at 2k - 1 and 2k - 2 it is 0 (if n > k there)."""
        return 2 * self.k

    @property
    @abstractmethod
    def constant(self) -> sympy.Expr:
        """The limit of q(n)/n^exponent."""

    @property
    @abstractmethod
    def _power(self) -> sympy.Expr:
        """The power of n in the leading order."""

    @property
    @abstractmethod
    def _root(self) -> int:
        """The s for which `_quotients` encloses the s-th power of q/(leading order)."""

    @abstractmethod
    def _quotients(self, parity: str) -> tuple[Quotient, Quotient]:
        """Rational functions of n around (q/(leading order))^s."""

    @abstractmethod
    def leading(self, n: int) -> flint.arb:
        """Return the leading order at n, certified at the current precision."""

    @abstractmethod
    def exact(self, n: int) -> flint.arb:
        """Return q(n), certified at the current precision; n >= n0."""

    def first_dimension(self, parity: str) -> int:
        """Return the first n >= n0 of this parity."""
        return self.n0 if choice("parity", parity, PARITIES) == "even" else self.n0 + 1

    @cached_property
    def exponent(self) -> sympy.Rational:
        """lim log q/log n, by sympy: x = (q/leading)^s tends to 1 over n of either parity, so it is leading's."""
        for parity in PARITIES:
            limit = squeeze(self._sides(parity), _n)
            if limit != 1:
                raise TheoryError(f"(q/leading)^{self._root} tends to {limit} over {parity} n; 1 is needed.")
        return sympy.limit(sympy.log(self.constant * self._power) / sympy.log(_n), _n, sympy.oo)

    def first_order(self, parity: str) -> sympy.Rational:
        """Return lim n (q/leading - 1) over n of one parity, by sympy.

        With x = (q/leading)^s it is lim n (x - 1)/s, because x -> 1.
        """
        low, high = (_n * sympy.together(side - 1) / self._root for side in self._sides(parity))
        return squeeze(Envelope(low, high), _n)

    def _sides(self, parity: str) -> Envelope:
        low, high = (
            side.numerator.as_expr() / side.denominator.as_expr() for side in self._quotients(parity)
        )
        return Envelope(low, high)

    def certificate(self, parity: str, C: Fraction) -> Certificate:
        """Return the polynomials that prove |q/leading - 1| <= C/n for all n >= n0 of one parity, if it `proves`."""
        return Certificate.of(*self._quotients(parity), self._root, C, self.first_dimension(parity))

    def parity_constant(self, parity: str) -> Fraction:
        """Return C with |q/leading - 1| <= C/n for all n >= n0 of one parity, proved by its certificate.

        A multiple of 1/4 such that C - 1/4 has no certificate.  Raises TheoryError if none up to 2^38 has one.
        """
        proved = 1
        while not self.certificate(parity, Fraction(proved, _GRAIN)).proves:
            proved *= 2
            if proved > _LARGEST:
                raise TheoryError(
                    f"k = {self.k} has no error constant below {_LARGEST // _GRAIN}; a smaller k has."
                )
        failed = proved // 2
        while failed + 1 < proved:
            middle = (failed + proved) // 2
            if self.certificate(parity, Fraction(middle, _GRAIN)).proves:
                proved = middle
            else:
                failed = middle
        return Fraction(proved, _GRAIN)

    @cached_property
    def error_constant(self) -> Fraction:
        """C with |q/leading - 1| <= C/n for all n >= n0: the larger of those of the parities."""
        return max(self.parity_constant(parity) for parity in PARITIES)

    def enclosure(self, n: int) -> Enclosure:
        """Return leading (1 - C/n), but at least 0, and leading (1 + C/n), rounded outwards; n >= n0."""
        relative = self.error_constant / integer("n", n, self.n0)
        with precision(128):
            leading = self.leading(n)
            low, high = leading * ball(max(1 - relative, Fraction(0))), leading * ball(1 + relative)
        return Enclosure(lower(low), upper(high))


@final
class GapAsymptotics(_Asymptotics):
    """The Fourier gap at bias 0, of leading order (k-3)!!/sqrt(2 pi) n^(-(k-1)/2); see the module's docstring.

    >>> gap = GapAsymptotics(4)
    >>> gap.constant, gap.exponent, gap.n0, gap.error_constant, gap.first_order("odd")
    (sqrt(2)/(2*sqrt(pi)), -3/2, 8, Fraction(9, 2), -3/4)
    """

    @property
    def constant(self) -> sympy.Expr:
        """(k-3)!!/sqrt(2 pi)."""
        return double_factorial(self.k - 3) / sympy.sqrt(2 * sympy.pi)

    @property
    def _power(self) -> sympy.Expr:
        return _n ** sympy.Rational(1 - self.k, 2)

    @property
    def _root(self) -> int:
        return 2

    def _quotients(self, parity: str) -> tuple[Quotient, Quotient]:
        return gap_quotients(self.k, parity)

    def leading(self, n: int) -> flint.arb:
        """Return (k-3)!!/sqrt(2 pi) n^(-(k-1)/2)."""
        return double_factorial(self.k - 3) / (2 * flint.arb.pi() * flint.arb(n) ** (self.k - 1)).sqrt()

    def exact(self, n: int) -> flint.arb:
        """Return |tau_{k-1}| - |tau_{k+1}|."""
        return fourier_gap(self.k, integer("n", n, self.n0))


@final
class ScaleAsymptotics(_Asymptotics):
    """gap^-2, the scale of the number of samples, of leading order 2 pi/((k-3)!!)^2 n^(k-1).

    >>> scale = ScaleAsymptotics(4)
    >>> scale.constant, scale.exponent, scale.error_constant, scale.first_order("even")
    (2*pi, 3, Fraction(131, 4), 9/2)
    """

    @property
    def constant(self) -> sympy.Expr:
        """2 pi/((k-3)!!)^2."""
        return 2 * sympy.pi / sympy.Integer(double_factorial(self.k - 3)) ** 2

    @property
    def _power(self) -> sympy.Expr:
        return _n ** (self.k - 1)

    @property
    def _root(self) -> int:
        return 1

    def _quotients(self, parity: str) -> tuple[Quotient, Quotient]:
        low, high = gap_quotients(self.k, parity)
        return high.inverse(), low.inverse()

    def leading(self, n: int) -> flint.arb:
        """Return 2 pi/((k-3)!!)^2 n^(k-1)."""
        return 2 * flint.arb.pi() * flint.arb(n) ** (self.k - 1) / double_factorial(self.k - 3) ** 2

    def exact(self, n: int) -> flint.arb:
        """Return gap^-2."""
        return 1 / fourier_gap(self.k, integer("n", n, self.n0)) ** 2


def leaky_envelope(k: int, c: Number, n: sympy.Expr, information: sympy.Expr) -> Envelope:
    """Return algebraic expressions around B2-leaky for p = n^-c and I = ln(1/(4 delta)) > 0, bias 0, n odd.

    With l <= d <= h: I (1 - 4 h^2)/(2 h^2) <= B <= I/(2 l^2), for every odd n > k with d < 1/2 (B is 0 otherwise).
    The envelopes of |tau_{k-1}| are (1 - 1/(2n))^(-1/2) apart; here the root is left out, so that limits are faster.
    Raises TheoryError unless k is even and c a positive rational.
    """
    power = rational("c", c)
    if power <= 0:
        raise TheoryError(f"c = {c} is refused; the teacher's error n^-c needs a positive c.")
    signal = tau_envelopes(even_support(k) - 1, n, "odd").low * (n - 1) / (n - k)
    error = 4 * n ** -sympy.Rational(power.numerator, power.denominator)
    low, high = signal + error, signal * 2 * n / (2 * n - 1) + error
    return Envelope(information * (1 - 4 * high**2) / (2 * high**2), information / (2 * low**2))


@lru_cache(maxsize=256)
def leaky_exponent(k: int, c: Number) -> sympy.Rational:
    """Return lim log B/log n of B2-leaky with p = n^-c, by sympy, the two sides of its envelope agreeing.

    It is min(2c, k - 1), which enters nowhere.  Kind: asymptotic.  Raises TheoryError as `leaky_envelope`.

    >>> leaky_exponent(4, 1)
    2
    """
    envelope = leaky_envelope(k, c, _n, sympy.Symbol("I", positive=True))
    return squeeze(Envelope(*(sympy.log(side) / sympy.log(_n) for side in envelope)), _n)
