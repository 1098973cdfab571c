"""gaussian-elimination: the exact probability that linear algebra over GF(2) finds the support.

**Problem.** With x_i = (-1)^{u_i} and chi_S(x) = (-1)^y, a sample is the linear equation <s, u> = y over GF(2) for the
indicator s of S.  From n + c samples, uniform x, Gaussian elimination returns s if it is the only solution.

**Computed.** The right side below in ball arithmetic; factors that cannot be told from 1 are enclosed together, so that
n may be any size.

**Guarantee.** Kind: exact.  Theorem: for surplus c >= 0 elimination succeeds with probability exactly

    prod_{j = c+1}^{n+c} (1 - 2^-j),

whatever S is.  It decreases in n, and its limit is above 1 - 2^-c.  So n + O(log 1/delta) samples suffice: no gradient
is as good, because elimination is no statistical query algorithm, and a single wrong label can mislead it.

**Proof.** Elimination succeeds iff the (n + c) x n matrix of the u has full column rank.  Its columns are independent
and uniform in GF(2)^{n+c}; given that the first i are linearly independent, the next one is outside their span of
2^i vectors with probability 1 - 2^{i-n-c}.  Multiply over i = 0, ..., n - 1.

**Assumptions.** Uniform x, labels without error.  It is exact for *elimination*, which ignores k: a learner who knows
k needs only that no other set of size k agrees with the samples, for which fewer than n samples can do
(identify-support).

**References.** The product is classical; Cooper 2000 (recalled).

**Arguments.** `evaluate(n=, surplus=)`: dimension n, samples beyond n.

**Returns.** `BoundValue`, a probability: the middle of its enclosure, which is good to about 2^-53.

**Example.** (1 - 1/2)(1 - 1/4)(1 - 1/8) = 21/64 for three samples in dimension 3.

>>> GaussianElimination().evaluate(n=3, surplus=0).value
0.328125
>>> round(GaussianElimination().evaluate(n=100).value, 6)
0.999024
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.parameters import SURPLUS, N, Values
from theory.bounds.references import COOPER, Source, Standing
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, hull, tight
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def full_rank(n: int, surplus: int) -> flint.arb:
    """Return prod_{j = surplus+1}^{n+surplus} (1 - 2^-j) to about the working precision; n >= 1, surplus >= 0.

    The factors that the working precision cannot tell from 1 are taken as one in [1 - 2^-cut, 1].
    """
    last = n + surplus
    cut = min(last, surplus + flint.ctx.prec)
    result = flint.arb(1)
    for j in range(surplus + 1, cut + 1):
        result *= 1 - ball(2) ** -j
    return result if cut == last else result * hull(1 - ball(2) ** -cut, 1)


@final
class GaussianElimination(Theorem):
    """gaussian-elimination; see the module's docstring for statement and proof."""

    name = "gaussian-elimination"
    kind = Kind.EXACT
    quantity = "probability of success"
    statement = (
        "Elimination over GF(2) on n + c samples succeeds with probability prod_{j=c+1}^{n+c} (1 - 2^-j)."
    )
    reference = "rank of a uniform matrix over GF(2)"
    sources = (Source(COOPER, "", Standing.RECALLED),)
    parameters = (N, SURPLUS)

    @property
    def formula(self) -> "sympy.Expr":
        """The probability as a sympy expression; c is the surplus."""
        from sympy import Product, symbols

        n, c = symbols("n c", positive=True)
        j = symbols("j", integer=True)
        return Product(1 - 2**-j, (j, c + 1, n + c))

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """Two constants between which the product lies for all n.

        Its first factor is above, and (first factor)^2 below it: prod_{j > c+1} (1 - 2^-j) >= 1 - sum_{j > c+1} 2^-j.
        """
        from sympy import Rational

        first = 1 - Fraction(1, 2 ** (values["surplus"] + 1))
        return (
            Rational(first.numerator, first.denominator),
            Rational((first**2).numerator, (first**2).denominator),
        )

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing: the theorem holds for all parameters."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        return tight(lambda: full_rank(values["n"], values["surplus"])), {}
