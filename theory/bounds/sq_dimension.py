"""sq-dimension: how many statistical queries it takes to learn a sparse parity.

**Problem.** A learner asks for expectations E[phi(x, y)] with phi in [-1, 1], y = chi_S(x), x uniform, |S| = k, and is
answered within +-tau.  In the end it outputs g in [-1, 1] that is to have a correlation E[g chi_S] above tau, for
every S.

**Computed.** The right side below, in exact rational arithmetic; `details["orthogonal"]` is the sharper number
C(n, k) tau^2 - 1 that the proof gives.

**Guarantee.** Kind: lower.  Theorem: a deterministic learner needs

    q >= (C(n, k) tau^2 - 1)/2

queries, indeed more than C(n, k) tau^2 - 1 where that is positive.  The smaller number is the published one, for
classes whose members are only nearly orthogonal.  One that may toss coins and must succeed with probability >= 1 -
delta for every S needs more than (1 - delta) C(n, k) tau^2 - 1.

**Proof.** E[phi(x, y)] = E[(phi(x,1) + phi(x,-1))/2] + E[y h(x)] with h = (phi(x,1) - phi(x,-1))/2 in [-1, 1].  The
first term is the same for all S; let the answer be that term alone.  It is allowed unless |E[h chi_S]| > tau.
The C(n, k) parities are orthonormal, so sum_S E[h chi_S]^2 <= E[h^2] <= 1 (Bessel), and the answer is forbidden for
fewer than 1/tau^2 sets.  The q queries are the same for all S for which all answers are allowed, and so is g,
which has a correlation above tau with fewer than 1/tau^2 of these.  So if (q + 1)/tau^2 <= C(n, k), some S is
compatible with all answers and g fails for it.  Hence q + 1 > C(n, k) tau^2, and C tau^2 - 1 >= (C tau^2 - 1)/2
if C tau^2 >= 1; otherwise the bound is negative.  With coins, for fixed ones the learner succeeds for fewer than
(q + 1)/tau^2 sets, so on average over S with probability below (q + 1)/(C(n, k) tau^2).

**Assumptions.** n > k.  The learner sees answers of the oracle only, no samples; for C(n, k) tau^2 <= 1 the value is 0.

**References.** Blum, Furst, Jackson, Kearns, Mansour, Rudich 1994; Kearns 1998; in this form Szörényi 2009 (all
recalled, not read).

**Arguments.** `evaluate(n=, k=, tolerance=)`: dimension n > k, size k of the support, tolerance tau in (0, 1).

**Returns.** `BoundValue`, a number of queries rounded down; 0 if the theorem says nothing.

**Example.** (C(100, 4)/100^2 - 1)/2 = 195.56125.

>>> value = SQDimension().evaluate(n=100, k=4)
>>> round(value.value, 5), round(value.details["orthogonal"], 4)
(195.56125, 391.1225)
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import TOLERANCE, K, N, Values
from theory.bounds.references import BLUM, KEARNS, SZORENYI, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation
from theory.enclosure import ball, lower
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class SQDimension(AboveSupport):
    """sq-dimension; see the module's docstring for statement and proof."""

    name = "sq-dimension"
    kind = Kind.LOWER
    quantity = "statistical queries"
    statement = (
        "Learning a k-sparse parity takes q >= (C(n,k) tau^2 - 1)/2 statistical queries of tolerance tau."
    )
    reference = "the C(n,k) parities are orthogonal (Blum et al. 1994; Szörényi 2009)"
    sources = (
        Source(BLUM, "", Standing.RECALLED),
        Source(KEARNS, "", Standing.RECALLED),
        Source(SZORENYI, "", Standing.RECALLED),
    )
    parameters = (N, K, TOLERANCE)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import binomial, symbols

        n, k, tau = symbols("n k tau", positive=True)
        return (binomial(n, k) * tau**2 - 1) / 2

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula, its binomial coefficient as a polynomial in n."""
        from sympy import expand_func

        return (expand_func(substituted(self.formula, {"k": values["k"], "tau": values["tolerance"]})),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing: the theorem holds for all parameters."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        size = math.comb(values["n"], values["k"]) * Fraction(values["tolerance"]) ** 2
        return ball((size - 1) / 2), {"orthogonal": max(0.0, lower(size - 1))}
