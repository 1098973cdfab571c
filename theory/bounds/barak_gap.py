"""barak-gap: the Fourier gap of majority, which one large-batch step rests on.

**Problem.** Majority of n coordinates has the coefficients Maj^(A), which depend on |A| only; x_i is in the first step
of an unbiased unit on the parity of S to the degree |Maj^(S - i)|, i in S, against |Maj^(S + o)|, o not in S.

**Computed.** The right side below; `details["exact_gap"]` is the gap itself, exactly from `theory.walsh`, and
`details["ratio"]` how many times the bound it is, both rounded down.

**Guarantee.** Kind: lower.  Theorem (the source's lemma on majority, its constant recalled, not read): for k even and
n odd, n >= 2k + 1,

    gap = |Maj^(S - i)| - |Maj^(S + o)| = 2 (|tau_{k-1}| - |tau_{k+1}|) >= 0.03 (n - 1)^{-(k-1)/2}.

The condition n >= 2k + 1 is ours and cannot be weakened: at n = 2k - 1 the gap is 0, and for k < n < 2k - 1 it is
negative.  From n = 2k + 1 on the bound is true by a wide margin: the gap is at least 9.5 times as large
(11.8 times at worst for k <= 16, n <= 401, at n = 9, k = 4), 78 times at n = 101, k = 6, and tends to
sqrt(2/pi) (k-3)!!/0.03 times as large as n grows (26.6 for k = 2 and 4, 79.8 for k = 6).

**Proof.** Put m = (n - 1)/2 and a_m = C(2m, m)/4^m.  For odd r, |Maj^| = a_m (r-2)!! / prod_{j=1,3,...,r-2} (n-1-j) at
degree r and the ratio of degrees r + 2 and r is r/(n-1-r) (`theory.walsh.leading_order_ratio_bounds`).  Hence the gap
is |Maj^(S - i)| (1 - (k-1)/(n-k)) = |Maj^(S - i)| (n-2k+1)/(n-k), which has the sign of n - 2k + 1.  The product has
(k-2)/2 factors below n - 1, and a_m^2 >= 2/(pi n), so

    gap (n-1)^{(k-1)/2} >= sqrt(2 (n-1)/(pi n)) (k-3)!! (n-2k+1)/(n-k).

The last fraction increases in n, so for n >= 2k + 1 >= 5 the right side is at least sqrt(8/(5 pi)) (k-3)!! 2/(k+1).  Of
(k-3)!! 2/(k+1) the values at k = 2, 4, 6 are 2/3, 2/5, 6/7, and from k to k + 2 it is multiplied by
(k-1)(k+1)/(k+3) > 1 for k >= 4.  So the right side is at least 0.71 * 0.4 > 0.28, and 0.03 is true.

**Assumptions.** n odd, k even, n >= 2k + 1; otherwise the value is 0.

**References.** Barak, Edelman, Goel, Kakade, Malach, Zhang 2022: gap of order n^{-(k-1)/2} read in the source, constant
0.03 recalled.

**Arguments.** `evaluate(n=, k=)`: dimension n, size k of the support.

**Returns.** `BoundValue`, a difference of Fourier coefficients rounded down; 0 if an assumption fails.

**Example.**

>>> value = BarakGap().evaluate(n=101, k=6)
>>> f"{value.value:.3g}, {value.details['exact_gap']:.4g}, {value.details['ratio']:.3g}"
'3e-07, 2.356e-05, 78.5'
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.parameters import K, N, Values
from theory.bounds.references import BARAK, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, lower, tight
from theory.verdict import Kind
from theory.walsh import signal

if TYPE_CHECKING:
    import sympy

CONSTANT = Fraction(3, 100)


def fourier_gap(n: int, k: int) -> Fraction:
    """Return |Maj^(S - i)| - |Maj^(S + o)| exactly, for n odd and 2 <= k <= n; it may be negative.

    >>> fourier_gap(5, 2), fourier_gap(7, 4), fourier_gap(5, 4)
    (Fraction(1, 4), Fraction(0, 1), Fraction(-1, 4))
    """
    return 2 * signal(n, (n - 1) // 2, k).gap


@final
class BarakGap(Theorem):
    """barak-gap; see the module's docstring for statement and proof."""

    name = "barak-gap"
    kind = Kind.LOWER
    quantity = "Fourier gap of majority"
    statement = (
        "Majority of an odd number n >= 2k + 1 has a Fourier gap of at least 0.03 (n-1)^(-(k-1)/2), k even."
    )
    reference = "Barak et al. 2022 (constant recalled); proved from the exact spectrum"
    sources = (
        Source(BARAK, "gap of order n^(-(k-1)/2)", Standing.READ),
        Source(BARAK, "constant 0.03", Standing.RECALLED),
    )
    parameters = (N, K)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import Rational, symbols

        n, k = symbols("n k", positive=True)
        return Rational(3, 100) * (n - 1) ** (-(k - 1) / 2)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself, for even k."""
        return () if values["k"] % 2 else (substituted(self.formula, {"k": values["k"]}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """An even k, an odd n, and n >= 2k + 1."""
        n, k = values["n"], values["k"]
        return (
            Assumption("k is even", k % 2 == 0),
            Assumption("n is odd", n % 2 == 1),
            Assumption("n >= 2k + 1", n >= 2 * k + 1),
        )

    def _value(self, values: Values) -> Evaluation:
        n, k = values["n"], values["k"]
        value = tight(lambda: ball(CONSTANT) * ball(n - 1) ** ball(Fraction(1 - k, 2)))
        gap = fourier_gap(n, k)
        return value, {"exact_gap": lower(gap), "ratio": lower(tight(lambda: ball(gap) / value))}
