"""B2h: B2 with a sharper inequality, in terms of the affinity of the two laws.

**Problem.** As for B2 (`theory.bounds.bretagnolle_huber`): which of two supports gave a pair (Z_i, Z_o).

**Computed.** rho = sum sqrt(P P'), the affinity of the two laws of a pair, and D = -2 ln rho per sample, for the
choices (+) and (-) of B2; then the largest root as there.

**Guarantee.** Kind: lower.  Theorem (B2h): (+) and (-) hold with `1/2 (1 - sqrt(1 - exp(-B D)))` in place of
`1/4 exp(-B D)`, and for equal D the bound is **ln(1/(4 delta (1 - delta))) / D**.  It is never below B2, since D <=
KL (Jensen) and the inequality of Bretagnolle and Huber passes through rho.  As D is about KL/2 for close laws it is
about twice B2, and it says something for every delta < 1/2 and for laws of which neither dominates the other
(real-valued labels, where KL is infinite and B2 is 0).

**Proof.** That of B2, with Le Cam's `TV <= sqrt(1 - rho^2)`, so that P^B(not A) + P'^B(A) >= 1 - sqrt(1 - exp(-B
D)); affinities of independent samples multiply.

**Assumptions.** Those of B2.  For delta >= 1/2 the theorem says nothing and the value is 0.

**References.** Le Cam, *Convergence of estimates under dimensionality restrictions*, Ann. Statist. 1 (1973), as in
Tsybakov 2009, Lemma 2.3.

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded down; 0 if the theorem says nothing.

**Example.**

>>> from theory.targets import Parity
>>> int(LeCam().samples(50, 2, 24, Parity(2), Fraction(1, 10)).value)
299
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.pairs import PairBound, PairLaw, affinity_divergence
from theory.bounds.references import TSYBAKOV, Source, Standing
from theory.enclosure import ball, tight

if TYPE_CHECKING:
    import sympy


@final
class LeCam(PairBound):
    """B2h; see the module's docstring for statement and proof."""

    name = "B2h"
    statement = "Success with probability 1 - delta needs B >= ln(1/(4 delta (1 - delta)))/(-2 ln rho)."
    reference = "Le Cam 1973 (Tsybakov 2009, Lemma 2.3), applied to one pair of coordinates"

    sources = (Source(TSYBAKOV, "Lemma 2.3", Standing.STANDARD),)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import log, symbols

        rho = symbols("rho", positive=True)
        return self.symbolic_information / (-2 * log(rho))

    @property
    def symbolic_information(self) -> "sympy.Expr":
        """The logarithm in the bound."""
        from sympy import log, symbols

        delta = symbols("delta", positive=True)
        return log(1 / (4 * delta * (1 - delta)))

    def information(self, delta: Fraction) -> flint.arb:
        """Return ln(1/(4 delta (1 - delta))), or 0 for delta >= 1/2."""
        return tight(lambda: -ball(4 * delta * (1 - delta)).log()) if delta < Fraction(1, 2) else flint.arb(0)

    def failure_floor(self, information: float) -> float:
        """Return (1 - sqrt(1 - e^-x))/2, rounded down."""
        return 0.5 * math.exp(-information) / (1 + math.sqrt(-math.expm1(-information))) * (1 - 1e-14)

    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return -2 ln of the affinity."""
        return affinity_divergence(law, other)

    def symbolic_divergence(self, d: "sympy.Expr") -> "sympy.Expr":
        """Return -2 ln(1 - (1/2 - sqrt(1/4 - d^2))/2)."""
        from sympy import Rational, log, sqrt

        return -2 * log(1 - (Rational(1, 2) - sqrt(Rational(1, 4) - d**2)) / 2)
