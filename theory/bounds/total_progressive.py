"""N-progressive: samples in total for a progressive student with two checkpoints, to hinge loss epsilon.

**Problem.** A signed student of k + 1 hidden neurons.  First checkpoint: an intermediate teacher F = sum_{i in S} s_i
x_i (equal degree-1 coefficients), one step on B samples with dead zone 1/4.  Second checkpoint: a converged teacher,
that is the parity; output weights online on T samples, averaged.

**Computed.** The right side below, lambda a short rational near the best.

**Guarantee.** Kind: upper.  Theorem (N-progressive): for n odd,

    (16 k + (8/3)(k + 1/2)) ln(2 (2n - k)/delta)
        + (lambda R^2 G^2 + (2 R G - 1) ln(2/delta)) / ((1 - e^-lambda) epsilon) + 2

samples in total give hinge loss <= epsilon, hence error <= epsilon, with probability >= 1 - delta: O(k log(n/delta) +
(k^4 + k^2 log(1/delta))/epsilon).  It is far below the published O~(2^O(k) n^2 epsilon^-2 + k^3), and what buys it is
named: equal coefficients, and a step whose sign is taken.  With the raw step instead it is N-raw, of order n/epsilon^2.

**Proof.** S1 with delta/2 and T2-delta with delta/2, each rounded up to whole samples; the second stage's samples are
independent of the first step's.

**Assumptions.** n odd, no bias, equal coefficients, a second teacher without error.

**References.** The setting: Panigrahi et al. 2025, Theorem 3.2 and Algorithm 1 (recalled); the signed step: Kou et al.
2024.

**Arguments.** `evaluate(n=, k=, delta=, epsilon=)`.

**Returns.** `BoundValue`, a number of samples rounded up; details: the two stages.

**Example.**

>>> value = TotalProgressive().evaluate(n=201, k=4)
>>> round(value.value), round(value.details["first"]), round(value.details["second"])
(49530, 683, 48846)
"""

from typing import TYPE_CHECKING, ClassVar, final

from theory.bounds.intermediate_teacher import IntermediateTeacher
from theory.bounds.parameters import DELTA, EPSILON, K, N, Parameter, Values
from theory.bounds.references import KOU, PANIGRAHI, Source, Standing
from theory.bounds.second_stage_confident import ConfidentSecondStage
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, tight, upper
from theory.second_stage import OnlineHinge
from theory.signed_step import SignedStep
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class TotalProgressive(Theorem):
    """N-progressive; see the module's docstring for statement and proof."""

    name = "N-progressive"
    kind = Kind.UPPER
    quantity = "samples in total"
    statement = (
        "S1(delta/2) + T2-delta(delta/2) samples give a progressive signed student hinge loss <= epsilon."
    )
    reference = "S1 and T2-delta, a union bound"
    sources = (
        Source(PANIGRAHI, "Theorem 3.2, Algorithm 1: the setting", Standing.RECALLED),
        Source(KOU, "", Standing.READ),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, DELTA, EPSILON)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in n, k, delta, epsilon and lambda."""
        from sympy import Symbol

        delta = Symbol("delta", positive=True)
        halves = {delta: delta / 2}
        return IntermediateTeacher().formula.subs(halves) + ConfidentSecondStage().formula.subs(halves) + 2

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula at lambda = 1."""
        given = {name: value for name, value in values.items() if name != "n"}
        return (substituted(self.formula, {**given, "lambda": 1}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """n odd and above k."""
        n, k = values["n"], values["k"]
        return (Assumption("n is odd and above k", n % 2 == 1 and n > k),)

    def _value(self, values: Values) -> Evaluation:
        n, k, half = values["n"], values["k"], values["delta"] / 2
        first = SignedStep.of_equal(k).sufficient(n, k, half)
        second = OnlineHinge.of_knots(k).confident(values["epsilon"], half)
        total = tight(lambda: ball(first) + ball(second) + 2)
        return total, {"first": upper(first), "second": upper(second)}
