"""T2: how many samples the signed student's second stage needs, on average.

**Problem.** The first step has found the support: the hidden layer is relu(t - knot_r), r = 0..k, t = sum_{i in S} s_i
x_i.  Output weights are trained online from 0 with the hinge loss on the parity, step size 2/G^2, and averaged.

**Computed.** R^2 G^2/epsilon in closed form, R^2 = 5/2 + 4 (k - 1) and G^2 = (2/3)(k + 1)(k + 2)(2k + 3): rationals.

**Guarantee.** Kind: upper.  Theorem (T2): after

    T >= R^2 G^2 / epsilon

samples the average iterate has expected hinge loss <= epsilon, whatever n is.  The expected error is at most that.

**Proof.** `theory.second_stage`: the online hinge theorem and its corollary, for `knot_features` and `knot_separator`.

**Assumptions.** Independent samples; u non-zero exactly on S.

**References.** The argument of the perceptron (Novikoff 1962) for the hinge loss; the rate for general convex losses,
(R G/epsilon)^2, is Zinkevich 2003.

**Arguments.** `evaluate(k=, epsilon=)`.

**Returns.** `BoundValue`, a number of samples rounded up; details: R^2, G^2 and the step size.

**Example.**

>>> [int(SecondStage().evaluate(k=k, epsilon=0.1).value) for k in (2, 4, 6)]
[3640, 31900, 126000]
"""

from typing import TYPE_CHECKING, ClassVar, final

from theory.bounds.parameters import EPSILON, K, Parameter, Values
from theory.bounds.references import NOVIKOFF, ZINKEVICH, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball
from theory.second_stage import OnlineHinge
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def symbolic_squares() -> "tuple[sympy.Expr, sympy.Expr]":
    """Return R^2 and G^2 of the signed student as expressions in k."""
    from sympy import Rational, Symbol

    k = Symbol("k", positive=True)
    return Rational(5, 2) + 4 * (k - 1), Rational(2, 3) * (k + 1) * (k + 2) * (2 * k + 3)


@final
class SecondStage(Theorem):
    """T2; see the module's docstring for statement and proof."""

    name = "T2"
    kind = Kind.UPPER
    quantity = "samples of the second stage"
    statement = "T >= R^2 G^2/epsilon samples give expected hinge loss <= epsilon, for the signed student."
    reference = "online hinge loss with a margin (as the perceptron, Novikoff 1962)"
    sources = (Source(NOVIKOFF, "", Standing.STANDARD), Source(ZINKEVICH, "Theorem 1", Standing.STANDARD))
    parameters: ClassVar[tuple[Parameter, ...]] = (K, EPSILON)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in k and epsilon."""
        from sympy import Symbol

        norm, radius = symbolic_squares()
        return norm * radius / Symbol("epsilon", positive=True)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula: no n in it."""
        return (substituted(self.formula, values),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing that the parameters could violate."""
        return (Assumption("the first step is non-zero exactly on the support", True),)

    def _value(self, values: Values) -> Evaluation:
        hinge = OnlineHinge.of_knots(values["k"])
        details = {
            "R^2": float(hinge.squared_norm),
            "G^2": float(hinge.squared_radius),
            "step_size": float(hinge.step_size),
        }
        return ball(hinge.expected(values["epsilon"])), details
