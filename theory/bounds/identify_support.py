"""identify-support: how many labels are needed to name the support, by any means at all.

**Problem.** From B samples (x, chi_S(x)) with any law of x that does not depend on S, or even x of the learner's choice
one after the other, and with any amount of computation, S is to be found among the C(n, k) sets of size k.

**Computed.** The right side below, in ball arithmetic.

**Guarantee.** Kind: lower.  Theorem: success with probability >= 1 - delta for every S, or on average over S, needs

    B >= log2((1 - delta) C(n, k)).

No way of teaching by +-1 labels can get below it; labels of more than one bit can.  It is tight up to a factor that
tends to 1: each wrong set agrees with all of B uniform samples with probability 2^-B, so that exhaustive search is
right with probability >= 1 - delta from B = log2(C(n, k)/delta) on.

**Proof.** Fix the learner's coins, and the x that it is given.  What it outputs is a function of the labels alone, and
B labels of one bit have at most 2^B values; so it outputs at most 2^B sets, and is right for at most 2^B of the C(n, k)
supports.  Average over coins and x: the probability of success, averaged over S, is at most 2^B/C(n, k).  (If it
chooses each x by the labels before, the outputs are the leaves of a binary tree of depth B: again at most 2^B.)

**Assumptions.** n > k; labels of one bit.

**References.** Counting; as an instance of Fano's inequality it would lose a constant (Cover, Thomas 2006, Section
2.10, recalled).

**Arguments.** `evaluate(n=, k=, delta=)`: dimension n > k, size k of the support, failure probability delta in (0, 1).

**Returns.** `BoundValue`, a number of samples rounded down; 0 if the right side is negative.

**Example.** log2(0.9 C(100, 4)) = log2(3529102.5).

>>> round(IdentifySupport().evaluate(n=100, k=4).value, 4)
21.7509
"""

import math
from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import DELTA, K, N, Values
from theory.bounds.references import COVER, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation
from theory.enclosure import ball, tight
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class IdentifySupport(AboveSupport):
    """identify-support; see the module's docstring for statement and proof."""

    name = "identify-support"
    kind = Kind.LOWER
    statement = "Finding S with probability 1 - delta takes B >= log2((1 - delta) C(n,k)) labels of one bit."
    reference = "counting: B bits have 2^B values"
    sources = (Source(COVER, "Section 2.10", Standing.RECALLED),)
    parameters = (N, K, DELTA)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import binomial, log, symbols

        n, k, delta = symbols("n k delta", positive=True)
        return log((1 - delta) * binomial(n, k)) / log(2)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula, its binomial coefficient as a polynomial in n."""
        from sympy import expand_func

        return (expand_func(substituted(self.formula, {"k": values["k"], "delta": values["delta"]})),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing: the theorem holds for all parameters."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        certain = (1 - values["delta"]) * math.comb(values["n"], values["k"])
        return tight(lambda: ball(certain).log() / ball(2).log()), {}
