"""gaussian-elimination-samples: how many samples linear algebra over GF(2) needs, to the last one.

**Problem.** As for gaussian-elimination: from B uniform samples of a parity without error, the support is to be found
with probability >= 1 - delta.

**Computed.** The least B at which the exact probability of gaussian-elimination is >= 1 - delta, by exact comparison.

**Guarantee.** Kind: upper.  Theorem: B = n + c samples suffice, with c the least number >= 0 such that

    prod_{j = c+1}^{n+c} (1 - 2^-j) >= 1 - delta.

For elimination it is the exact number, as fewer than n samples never do.  Always c <= ceil(log2(1/delta)).

**Proof.** gaussian-elimination; the product increases in c, as each factor does when j is counted from c.  By
1 - prod <= sum_{j > c} 2^-j = 2^-c, c = ceil(log2(1/delta)) is enough.

**Assumptions.** Uniform x, labels without error.  Nothing is assumed of k, and a learner that knows it may do
with less: see gaussian-elimination.

**References.** As for gaussian-elimination: Cooper 2000 (recalled).

**Arguments.** `evaluate(n=, delta=)`: dimension n, failure probability delta in (0, 1).

**Returns.** `BoundValue`, a whole number of samples; details: c.

**Example.**

>>> value = GaussianEliminationSamples().evaluate(n=100, delta=0.1)
>>> value.value, value.details["surplus"]
(104.0, 4.0)
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.gaussian_elimination import full_rank
from theory.bounds.parameters import DELTA, N, Values
from theory.bounds.references import COOPER, Source, Standing
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, certainly
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def least_surplus(n: int, delta: Fraction) -> int:
    """Return the least c >= 0 with prod_{j = c+1}^{n+c} (1 - 2^-j) >= 1 - delta."""
    surplus = 0
    while not _enough(n, surplus, delta):
        surplus += 1
    return surplus


def _enough(n: int, surplus: int, delta: Fraction) -> bool:
    """Return whether the product is >= 1 - delta: by balls, which decide unless the two are equal."""
    # the product in lowest terms has the denominator 2^(sum of j), for its numerators are odd
    exponent = n * (n + 2 * surplus + 1) // 2
    if delta.denominator.bit_length() == exponent + 1:
        exact = Fraction(1)
        for j in range(surplus + 1, n + surplus + 1):
            exact *= 1 - Fraction(1, 1 << j)
        return exact >= 1 - delta
    return certainly(lambda: full_rank(n, surplus) - ball(1 - delta))


@final
class GaussianEliminationSamples(Theorem):
    """gaussian-elimination-samples; see the module's docstring for statement and proof."""

    name = "gaussian-elimination-samples"
    kind = Kind.UPPER
    statement = "n + c samples suffice, c least with prod_{j=c+1}^{n+c} (1 - 2^-j) >= 1 - delta."
    reference = "rank of a uniform matrix over GF(2)"
    sources = (Source(COOPER, "", Standing.RECALLED),)
    parameters = (N, DELTA)

    @property
    def formula(self) -> "sympy.Expr":
        """The number of samples; c is the least surplus, as in the statement."""
        from sympy import symbols

        n, c = symbols("n c", positive=True)
        return n + c

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula at the least and at the greatest c that is possible."""
        from theory.growth import symbol_n

        most = 0
        while 2**most * values["delta"] < 1:
            most += 1
        return (symbol_n(), symbol_n() + most)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing: the theorem holds for all parameters."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        surplus = least_surplus(values["n"], values["delta"])
        return flint.arb(values["n"] + surplus), {"surplus": float(surplus)}
