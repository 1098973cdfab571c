"""T2-delta: T2 with probability 1 - delta instead of on average.

**Problem.** That of T2.

**Computed.** (lambda R^2 G^2 + M ln(1/delta)) / ((1 - e^-lambda) epsilon), M = 2 R G - 1 the largest online loss,
lambda a short rational near the best; every lambda > 0 is valid.

**Guarantee.** Kind: upper.  Theorem (T2-delta): from this number of samples on, the average iterate has hinge loss <=
epsilon with probability >= 1 - delta.  The error is at most that.

**Proof.** `theory.second_stage`: the corollary's supermartingale.

**Assumptions.** Those of T2.

**References.** Those of T2; the exponential supermartingale is Freedman's technique (Ann. Probab. 3, 1975).

**Arguments.** `evaluate(k=, epsilon=, delta=)`.

**Returns.** `BoundValue`, a number of samples rounded up; details: R^2, G^2 and the step size.

**Example.**

>>> [round(ConfidentSecondStage().evaluate(k=k, epsilon=0.1, delta=0.05).value) for k in (2, 4, 6)]
[7272, 48846, 171658]
"""

from typing import TYPE_CHECKING, ClassVar, final

from theory.bounds.parameters import DELTA, EPSILON, K, Parameter, Values
from theory.bounds.references import NOVIKOFF, Source, Standing
from theory.bounds.second_stage import SecondStage, symbolic_squares
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.second_stage import OnlineHinge
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class ConfidentSecondStage(Theorem):
    """T2-delta; see the module's docstring for statement and proof."""

    name = "T2-delta"
    kind = Kind.UPPER
    quantity = "samples of the second stage"
    statement = "T2 with probability 1 - delta: (l R^2 G^2 + (2 R G - 1) ln(1/delta))/((1 - e^-l) epsilon), any l > 0."
    reference = "online hinge loss with a margin, and an exponential supermartingale"
    sources = (Source(NOVIKOFF, "", Standing.STANDARD),)
    parameters: ClassVar[tuple[Parameter, ...]] = (K, EPSILON, DELTA)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in k, epsilon, delta and lambda."""
        from sympy import exp, log, sqrt, symbols

        epsilon, delta, rate = symbols("epsilon delta lambda", positive=True)
        norm, radius = symbolic_squares()
        total = norm * radius
        return (rate * total + (2 * sqrt(total) - 1) * log(1 / delta)) / ((1 - exp(-rate)) * epsilon)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula at lambda = 1: no n in it."""
        return (substituted(self.formula, {**values, "lambda": 1}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """As for T2."""
        return SecondStage().conditions(values)

    def _value(self, values: Values) -> Evaluation:
        hinge = OnlineHinge.of_knots(values["k"])
        details = {
            "R^2": float(hinge.squared_norm),
            "G^2": float(hinge.squared_radius),
            "step_size": float(hinge.step_size),
        }
        return hinge.confident(values["epsilon"], values["delta"]), details
