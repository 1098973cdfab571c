"""Two-sided algebraic envelopes of majority's coefficients and of its Fourier gap, for every n, with their proofs.

**Notation.** Bias 0, r odd, k even; D = n for odd n, n + 1 for even n (*parity* "odd" and "even" say which);
D = 2m + 1, a_m = C(2m, m)/4^m.  Exactly (`theory.derivations.identities`: majority, its ratio, even dimension),

    |tau_r| = (a_m/2) (r-2)!! / prod_{j = 1, 3, ..., r-2} (D-1-j),      |tau_{k+1}/tau_{k-1}| = (k-1)/(D-k),
    gap = |tau_{k-1}| - |tau_{k+1}| = |tau_{k-1}| (D-2k+1)/(D-k).

So for n > k the gap is positive iff D > 2k - 1, that is **iff n >= 2k**: at n = 2k - 1 and n = 2k - 2 it is exactly 0.

**Only a_m^2 has to be bounded.** By Wallis, w_m = pi a_m^2/2 satisfies, with D = 2m + 1 >= 3,

    1/D  <=  8(D-1)/(8D^2 - 12D + 5)  <=  w_m  <=  2/(2D-1).

Proof.  If f(m) a_m^2 increases (decreases) to its limit 1/pi, then pi a_m^2 <= 1/f(m) (>= 1/f(m)).  As a_{m+1}/a_m =
(2m+1)/(2m+2), that is the sign of f(m+1) (2m+1)^2 - f(m) (2m+2)^2: positive for f = m + 1/4, negative for f = m + 1/2
(m >= 0) and for f = m + 1/4 + 1/(32m) (m >= 1).  `wallis_certificates` returns the polynomials.

**References.** Wallis' product; `theory.walsh.leading_order_ratio_bounds`, which these envelopes refine.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import flint
import sympy

from theory.enclosure import ball
from theory.errors import TheoryError, choice, integer
from theory.walsh import double_factorial

PARITIES = ("odd", "even")
_n = sympy.Symbol("n", positive=True)


class Envelope(NamedTuple):
    """Two sympy expressions in n with low <= a quantity <= high."""

    low: sympy.Expr
    high: sympy.Expr


class Quotient(NamedTuple):
    """A rational function of n with positive denominator where it is used: two polynomials over the integers."""

    numerator: sympy.Poly
    denominator: sympy.Poly

    def at(self, n: int) -> Fraction:
        """Return the value at n, exactly."""
        return Fraction(int(self.numerator.eval(n)), int(self.denominator.eval(n)))

    def inverse(self) -> "Quotient":
        """Return 1 over this."""
        return Quotient(self.denominator, self.numerator)


def odd_degree(r: int) -> int:
    """Return r; raises TheoryError unless it is an odd integer of at least 1."""
    if integer("r", r, 1) % 2 == 0:
        raise TheoryError(f"r = {r} is even; coefficients of odd degree have an envelope at bias 0.")
    return r


def even_support(k: int) -> int:
    """Return k; raises TheoryError unless it is an even integer of at least 2."""
    if integer("k", k, 2) % 2:
        raise TheoryError(f"k = {k} is odd; the gap at bias 0 is that of even k.")
    return k


def dimension(n: sympy.Expr, parity: str) -> sympy.Expr:
    """Return D: n for parity "odd", n + 1 for "even"; raises TheoryError for another parity."""
    return n if choice("parity", parity, PARITIES) == "odd" else n + 1


def nonnegative(polynomial: sympy.Poly) -> bool:
    """Return whether no coefficient is negative: then the polynomial is >= 0 for every argument >= 0."""
    return all(coefficient >= 0 for coefficient in polynomial.all_coeffs())


def shifted(polynomial: sympy.Poly, start: Fraction) -> sympy.Poly:
    """Return the polynomial as one in t with n = start + t."""
    return polynomial.shift(sympy.Rational(start.numerator, start.denominator))


@lru_cache(maxsize=1)
def wallis_certificates() -> tuple[sympy.Poly, sympy.Poly, sympy.Poly]:
    """Return three polynomials, without negative coefficients, that prove the bounds of w_m.

    In order: f = m + 1/4 (increases, polynomial in m), f = m + 1/2 (decreases, in m), f = m + 1/4 + 1/(32m)
    (decreases, in t = m - 1); each is the numerator of +-(f(m+1) (2m+1)^2 - f(m) (2m+2)^2), whose denominator is
    positive there.

    >>> all(map(nonnegative, wallis_certificates()))
    True
    """
    m = sympy.Symbol("m")

    def step(f: sympy.Expr) -> sympy.Poly:
        change = f.subs(m, m + 1) * (2 * m + 1) ** 2 - f * (2 * m + 2) ** 2
        return sympy.Poly(sympy.fraction(sympy.together(change))[0], m)

    quarter = m + sympy.Rational(1, 4)
    increasing, decreasing = step(quarter), -step(m + sympy.Rational(1, 2))
    return increasing, decreasing, shifted(-step(quarter + 1 / (32 * m)), Fraction(1))


def _factors(r: int, D: sympy.Expr) -> sympy.Expr:
    return sympy.Mul(*(D - 1 - j for j in range(1, r - 1, 2)))


def tau_envelopes(r: int, n: sympy.Expr, parity: str) -> Envelope:
    """Return algebraic expressions low <= |tau_r| <= high, for odd r and all n >= r of the parity, bias 0.

    (r-2)!!/sqrt(2 pi) / prod_{j = 1, 3, ..., r-2} (D-1-j) times D^(-1/2) and (D - 1/2)^(-1/2): the exact product and
    the two bounds of w_m behind `theory.walsh.leading_order_ratio_bounds`.  Without gamma functions, so that
    sympy's limits end; both sides have the same leading order.

    n: a positive symbol or number.  Raises TheoryError for even r and other parities.

    >>> tau_envelopes(1, sympy.Symbol("n", positive=True), "odd").low
    sqrt(2)/(2*sqrt(pi)*sqrt(n))
    """
    D = dimension(n, parity)
    rest = double_factorial(odd_degree(r) - 2) / sympy.sqrt(2 * sympy.pi) / _factors(r, D)
    return Envelope(rest / sympy.sqrt(D), rest * sympy.sqrt(2) / sympy.sqrt(2 * D - 1))


@lru_cache(maxsize=256)
def gap_quotients(k: int, parity: str) -> tuple[Quotient, Quotient]:
    """Return rational functions (low, high) of n around (gap/leading)^2, for even k and n >= 2k of the parity.

    leading = (k-3)!!/sqrt(2 pi) n^(-(k-1)/2).  By the module's docstring (gap/leading)^2 = w_m n^(k-1)
    ((D-2k+1)/(D-k))^2 / prod_{j = 1, 3, ..., k-3} (D-1-j)^2; the sharper bounds of w_m are inserted.
    Raises TheoryError for odd k and other parities.
    """
    D = dimension(_n, parity)
    square = _n ** (even_support(k) - 1) * ((D - 2 * k + 1) / (D - k) / _factors(k - 1, D)) ** 2
    low, high = 8 * (D - 1) / (8 * D**2 - 12 * D + 5), 2 / (2 * D - 1)
    return _quotient(low * square), _quotient(high * square)


def _quotient(expression: sympy.Expr) -> Quotient:
    numerator, denominator = sympy.fraction(sympy.together(expression))
    return Quotient(sympy.Poly(numerator, _n), sympy.Poly(denominator, _n))


def gap_envelope(k: int, n: int) -> tuple[Fraction, Fraction]:
    """Return rationals low <= (gap/leading)^2 <= high, leading = (k-3)!!/sqrt(2 pi) n^(-(k-1)/2), bias 0.

    Kind: lower and upper, for even k and every n >= 2k; high/low = 1 + 1/(4 (D-1) (2D-1)).
    Raises TheoryError for other k and n: below 2k the gap is not positive.

    >>> low, high = gap_envelope(4, 100)
    >>> f"{float(low):.6f} {float(high):.6f}"
    '0.953390 0.953401'
    """
    n = integer("n", n, 2 * even_support(k))
    low, high = gap_quotients(k, PARITIES[1 - n % 2])
    return low.at(n), high.at(n)


def majority_tau(r: int, n: int) -> flint.arb:
    """Return |tau_r| at bias 0, certified at the current precision, for odd r <= n: any n, by gamma functions.

    a_m = Gamma(m + 1/2)/(sqrt(pi) Gamma(m + 1)).  Raises TheoryError unless r is odd and 1 <= r <= n.
    """
    n = integer("n", n, odd_degree(r))
    D = n + 1 - n % 2
    m = flint.arb(D // 2)
    central = (m + flint.arb(0.5)).gamma() * (m + 1).rgamma() / flint.arb.pi().sqrt()
    return central * ball(Fraction(double_factorial(r - 2), 2 * math.prod(range(D - r + 1, D - 1, 2))))


def fourier_gap(k: int, n: int) -> flint.arb:
    """Return |tau_{k-1}| - |tau_{k+1}| at bias 0, certified at the current precision, for even k and any n > k.

    Positive iff n >= 2k.  Raises TheoryError for odd k and n <= k.

    >>> float(fourier_gap(4, 100).mid())  # doctest: +ELLIPSIS
    0.000389...
    """
    n = integer("n", n, even_support(k) + 1)
    D = n + 1 - n % 2
    return majority_tau(k - 1, n) * ball(Fraction(D - 2 * k + 1, D - k))
