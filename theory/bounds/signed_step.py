"""S1: how many samples the signed first step needs to find the support.

**Problem.** u_i = sign(g_i) 1[|g_i| > lambda], g_i the mean of Z_i = F T x_i over B samples.  Success: u is non-zero
exactly on S.  mu_in and mu_out are the least |E Z_i| on S and the largest off it over all sign patterns of the
unit's weights, Delta = mu_in - mu_out, lambda = (mu_in + mu_out)/2; v, M and mu as in B1, the largest of all patterns.

**Computed.** The right side below, from exact rational moments.

**Guarantee.** Kind: upper.  Theorem (S1): if Delta > 0 and

    B >= (8 v + (4/3) (M + mu) Delta) / Delta^2 * ln((2n - k)/delta),

then u is non-zero exactly on S with probability >= 1 - delta, for every unit and every larger B too.  For the
intermediate teacher F = sum_{i in S} s_i x_i, n odd and no bias, lambda = 1/4 and this is (16 k + (8/3)(k + 1/2))
ln((2n - k)/delta).

**Proof.** That of B1, whose threshold theta is now lambda, a number that the student knows: success is implied by
sign(mu_i) g_i > lambda on S and |g_o| <= lambda off it, and each of the 2n - k events that could fail is a deviation by
at least Delta/2.

**Assumptions.** Independent uniform samples; Delta > 0 uniformly over the patterns, otherwise the value is infinite.

**References.** Boucheron, Lugosi, Massart 2013, Corollary 2.11; the dead zone: Kou et al. 2024.

**Arguments.** `samples(n, k, q, target, delta)` or `evaluate(n=, k=, delta=, bias=, labels=, c=)`, as for B1.

**Returns.** `BoundValue`, a number of samples rounded up; infinite if an assumption fails; details: lambda, Delta.

**Example.**

>>> round(SignedFirstStep().evaluate(n=51, k=4, labels="equal").value)
523
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.bernstein import Bernstein
from theory.bounds.intermediate_teacher import IntermediateTeacher
from theory.bounds.parameters import Values
from theory.bounds.references import BOUCHERON, KOU, Source, Standing
from theory.enclosure import ball, lower
from theory.errors import TheoryError
from theory.signed_step import SignedStep
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def dead_zone_assumption(n: int, q: int, target: Target) -> Assumption:
    """Return the assumption that one dead zone serves all sign patterns, checked exactly."""
    try:
        SignedStep.of(n, q, target)
    except TheoryError:
        return Assumption("Delta > 0 uniformly over the sign patterns of the unit on the support", False)
    return Assumption("Delta > 0 uniformly over the sign patterns of the unit on the support", True)


def step_details(step: SignedStep) -> dict[str, float]:
    """Return lambda and Delta as floats below them."""
    return {"dead_zone": lower(ball(step.dead_zone)), "margin": lower(ball(step.margin))}


@final
class SignedFirstStep(Bound):
    """S1; see the module's docstring for statement and proof."""

    name = "S1"
    kind = Kind.UPPER
    statement = "B1's number of samples makes a signed first step, dead zone half-way, non-zero exactly on S."
    reference = "B1 with a known threshold; the dead zone of Kou et al. 2024"
    sources = (Source(BOUCHERON, "Corollary 2.11", Standing.STANDARD), Source(KOU, "", Standing.READ))

    @property
    def formula(self) -> "sympy.Expr":
        """B1's expression, with the uniform moments."""
        return Bernstein().formula

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """B1's, or its closed form for equal coefficients."""
        return Bernstein().shape(values) + IntermediateTeacher().shape(values)

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """One dead zone serves all patterns."""
        return (dead_zone_assumption(n, q, target),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        step = SignedStep.of(n, q, target)
        return step.sufficient(n, target.k, delta), step_details(step)
