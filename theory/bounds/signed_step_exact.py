"""S1': S1 with exact tails instead of Bernstein's inequality.

**Problem.** That of S1: the signed first step with dead zone lambda half-way between the means.

**Computed.** The least B that bisection finds at which the union bound over exact marginal tails, certified to
relative 2^-24, is <= delta for every sign pattern, to about 10^-3; `details["persistent"]` is a number from which on
every B is good, by the envelope of B1'.

**Guarantee.** Kind: upper.  Theorem (S1'): at B samples

    P(u is not non-zero exactly on S) <= sum_{i in S} P(|G_i| <= lambda B) + (n - k) P(|G_o| > lambda B),

and S1' is a B at which the right side is <= delta.  S1' <= S1, about two thirds of it.

**Proof.** Union bound.  Bernstein's inequality bounds each tail from above.

**Assumptions.** Those of S1.

**References.** As for B1'.

**Arguments.** `samples(n, k, q, target, delta)` or `evaluate(n=, k=, delta=, bias=, labels=, c=)`, as for B1.

**Returns.** `BoundValue`, a number of samples rounded up; infinite if an assumption fails; details: lambda, Delta and
`persistent`.

**Example.**

>>> int(ExactSignedFirstStep().evaluate(n=51, k=4, labels="equal").value)
304
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.bretagnolle_huber import BretagnolleHuber
from theory.bounds.parameters import Values
from theory.bounds.references import LANGFORD, Source, Standing
from theory.bounds.signed_step import SignedFirstStep, dead_zone_assumption, step_details
from theory.signed_step import SignedStep, exact_sufficient
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class ExactSignedFirstStep(Bound):
    """S1'; see the module's docstring for statement and proof."""

    name = "S1'"
    kind = Kind.UPPER
    statement = (
        "S1 with exact tails: k P(|G_in| <= lambda B) + (n - k) P(|G_out| > lambda B) <= delta at this B."
    )
    reference = "union bound over exact marginal tails at a known threshold"
    sources = (Source(LANGFORD, "", Standing.STANDARD),)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound on the failure probability, whose root in B is the value."""
        from sympy import Function, symbols

        B, rate, n, k = symbols("B lambda n k", positive=True)
        return k * Function("P_in")(B, rate * B) + (n - k) * Function("P_out")(B, rate * B)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """B2 <= S1' <= S1 for the parity: a squeeze, as the root has no closed form; none for other labels."""
        lower_side = BretagnolleHuber().shape(values)
        return lower_side + SignedFirstStep().shape(values) if lower_side else ()

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """One dead zone serves all patterns."""
        return (dead_zone_assumption(n, q, target),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        found, persistent = exact_sufficient(n, q, target, delta)
        return flint.arb(found), step_details(SignedStep.of(n, q, target)) | {"persistent": persistent}
