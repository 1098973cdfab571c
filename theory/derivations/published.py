"""A published lower bound of the Fourier gap of majority against the exact gap, for every dimension of either parity.

**Statement (recalled).** Barak et al. 2022: for k even and n odd, the Fourier gap of majority is at least
0.03 (n-1)^(-(k-1)/2).

**Normalisation.** Majority is 2T - 1, T the threshold unit, so its coefficients are 2 tau_r and its Fourier gap is
gamma = 2 (|tau_{k-1}| - |tau_{k+1}|), twice the gap of `theory.derivations.asymptotics`.  For even n it is that of
sign with sign(0) = 0.  What is compared below is gamma with 0.03 (n-1)^(-(k-1)/2); their *quotient* is the looseness.

**Theorem.** For even k and n > k of either parity the statement is true iff n >= 2k.
**Proof.** For k < n < 2k the gap is <= 0 (`theory.derivations.envelopes`), so it is false.  For n >= 2k let D = n (odd)
or n + 1 (even).  With a_m^2 >= 2/(pi D) (Wallis), D - 1 - j <= n - 1 for the (k-2)/2 factors of tau_{k-1}, and
(D-2k+1)/(D-k), which increases in D, at its least D = 2k + 1,

    quotient^2 >= (2/pi) ((k-3)!!)^2 (n-1)/D (2/(k+1))^2 / 0.03^2,

and (n-1)/D >= 3/5 for n >= 4.  `uniform_floor` is this with 2/pi > 7/11; it is 188, 67.9, 312 at k = 2, 4, 6,
and from k to k + 2 it is multiplied by ((k-1)(k+1)/(k+3))^2 > 1 if k >= 4.  So 0.03 is false for no k.  It does not
grow with k while the gap's leading constant, 2 (k-3)!!/sqrt(2 pi), does: the statement only gets looser.

For concrete k the same follows from the envelopes with a sharper margin (`proved_for`).  Limit of the quotient:
26.6 (k-3)!!; at n = 101, k = 6 it is 78.5.

**References.** Barak, Edelman, Goel, Kakade, Malach, Zhang, *Hidden progress in deep learning*, NeurIPS 2022: order
n^(-(k-1)/2) read, constant recalled.
"""

from dataclasses import dataclass
from fractions import Fraction

import sympy

from theory.bounds.barak_gap import CONSTANT
from theory.derivations.asymptotics import squeeze
from theory.derivations.envelopes import (
    PARITIES,
    Envelope,
    even_support,
    gap_quotients,
    nonnegative,
    shifted,
)
from theory.enclosure import Enclosure, ball, tight
from theory.errors import choice, integer
from theory.walsh import double_factorial, signal, threshold_count

_PI_HIGH = Fraction(22, 7)


@dataclass(frozen=True)
class GapComparison:
    """Majority's exact Fourier gap against 0.03 (n-1)^(-(k-1)/2), at one (n, k).

    Attributes:
        gap: gamma = 2 (|tau_{k-1}| - |tau_{k+1}|), exact; negative for n < 2k - 2.
        square: (gap / (0.03 (n-1)^(-(k-1)/2)))^2, exact.
        implied: whether the exact gap is at least the published bound.
        looseness: the square's root, how many times the bound it is; certified.  Of no meaning for a negative gap.
    """

    n: int
    k: int
    gap: Fraction
    square: Fraction
    implied: bool
    looseness: Enclosure


def compare(n: int, k: int) -> GapComparison:
    """Compare the exact gap with the published bound, for even k and n > k of either parity (theirs: odd).

    Raises TheoryError for odd k and n <= k.

    >>> found = compare(101, 6)
    >>> found.implied, f"{found.looseness.lower:.4g}"
    (True, '78.52')
    >>> compare(11, 6).implied, compare(12, 6).implied
    (False, True)
    """
    n = integer("n", n, even_support(k) + 1)
    gap = 2 * signal(n, threshold_count(n, 0), k).gap
    square = (gap / CONSTANT) ** 2 * (n - 1) ** (k - 1)
    looseness = Enclosure.of(tight(lambda: ball(square).sqrt()))
    return GapComparison(n, k, gap, square, gap > 0 and square >= 1, looseness)


def certificate(k: int, parity: str) -> tuple[sympy.Poly, sympy.Poly]:
    """Return polynomials in t >= 0 that prove the published bound for all n >= 2k, if no coefficient is negative.

    n = first + t, first the least n >= 2k of the parity ("odd" or "even").  They are numerator and denominator of low
    (n-1)^(k-1) - required n^(k-1), where low is the lower envelope of (gap/leading)^2 and required =
    (0.03/2)^2 2 (22/7)/((k-3)!!)^2.  Raises TheoryError for odd k and other parities.
    """
    low = gap_quotients(k, choice("parity", parity, PARITIES))[0]
    required = (CONSTANT / 2) ** 2 * 2 * _PI_HIGH / double_factorial(k - 3) ** 2
    (n,) = low.numerator.gens
    power, scaled = sympy.Poly(n, n) ** (k - 1), low.numerator * sympy.Poly(n - 1, n) ** (k - 1)
    scaled -= sympy.Rational(required.numerator, required.denominator) * low.denominator * power
    first = Fraction(2 * k + (parity == "odd"))
    return shifted(scaled, first), shifted(low.denominator, first)


def proved_for(k: int) -> bool:
    """Return whether the certificates of both parities prove the published bound for this k and all n >= 2k.

    >>> [proved_for(k) for k in (2, 4, 6, 8)]
    [True, True, True, True]
    """
    return all(nonnegative(each) for parity in PARITIES for each in certificate(k, parity))


def uniform_floor(k: int) -> Fraction:
    """Return a lower bound of `GapComparison.square` for all n >= 2k: 7/11 ((k-3)!!)^2 3/5 (2/(k+1))^2/0.03^2.

    Kind: lower, for every even k; above 1, so the published bound is true.  Raises TheoryError for odd k.

    >>> min(range(2, 40, 2), key=uniform_floor), int(uniform_floor(4))
    (4, 67)
    """
    ratio = Fraction(2 * double_factorial(even_support(k) - 3), k + 1)
    return Fraction(7, 11) * Fraction(3, 5) * (ratio / CONSTANT) ** 2


def limiting_looseness(k: int) -> sympy.Expr:
    """Return the limit of the looseness as n grows, n odd, by sympy: 2 (k-3)!!/(0.03 sqrt(2 pi)).

    >>> limiting_looseness(2)
    100*sqrt(2)/(3*sqrt(pi))
    """
    constant = sympy.Rational(CONSTANT.numerator, CONSTANT.denominator)
    leading = 2 * double_factorial(even_support(k) - 3) / sympy.sqrt(2 * sympy.pi)
    low, high = gap_quotients(k, "odd")
    (n,) = low.numerator.gens
    ratio = ((n - 1) / n) ** (k - 1)
    sides = (ratio * side.numerator.as_expr() / side.denominator.as_expr() for side in (low, high))
    return leading / constant * sympy.sqrt(squeeze(Envelope(*sides), n))
