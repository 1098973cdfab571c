"""N-raw: samples in total for a progressive student whose first step is not signed.

**Problem.** The student of `theory.raw_step`, k + 1 neurons with the knots -k - 2 + 2r as biases, step size 2; first
checkpoint F = sum_{i in S} s_i x_i, second the parity.  It is to reach expected hinge loss epsilon.

**Computed.** 50 k (k + 1) R^2 n/epsilon^2 + 4 R^2 G^2/epsilon + 2, R^2 and G^2 those of T2: rationals.

**Guarantee.** Kind: upper.  Theorem (N-raw): that many samples in total give expected hinge loss <= epsilon (and
expected error <= epsilon): O(k^3 n/epsilon^2 + k^4/epsilon).  The paper's first stage, O~(2^O(k) n^2 epsilon^-2),
is looser than the truth here by a factor n: the proof bounds the leakage <u_off, x> in mean square, of order
sqrt(n/B), where a bound in the worst case over x has its l1 norm, of order n/sqrt(B).

**Proof.** `theory.raw_step`: the corollary, with m = k + 1, eta = 2 and v = k/2; +2 rounds both stages up.

**Assumptions.** n odd and above k, no bias in the first step, equal coefficients, a second teacher without error.

**References.** The setting: Panigrahi et al. 2025, Theorem 3.2 and Algorithm 1 (recalled).

**Arguments.** `evaluate(n=, k=, epsilon=)`.

**Returns.** `BoundValue`, a number of samples rounded up; details: the two stages.

**Example.**

>>> round(TotalRaw().evaluate(n=101, k=2, epsilon=0.1).value)
19709562
"""

from typing import TYPE_CHECKING, ClassVar, final

from theory.bounds.parameters import EPSILON, K, N, Parameter, Values
from theory.bounds.references import NOVIKOFF, PANIGRAHI, Source, Standing
from theory.bounds.second_stage import symbolic_squares
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, upper
from theory.raw_step import RawStep
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class TotalRaw(Theorem):
    """N-raw; see the module's docstring for statement and proof."""

    name = "N-raw"
    kind = Kind.UPPER
    quantity = "samples in total"
    statement = (
        "50 k (k + 1) R^2 n/epsilon^2 + 4 R^2 G^2/epsilon samples suffice on average without taking signs."
    )
    reference = "mean-square perturbation of the features, and the online hinge argument"
    sources = (
        Source(PANIGRAHI, "Theorem 3.2, Algorithm 1: the setting", Standing.RECALLED),
        Source(NOVIKOFF, "", Standing.STANDARD),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, EPSILON)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in n, k and epsilon."""
        from sympy import symbols

        n, k, epsilon = symbols("n k epsilon", positive=True)
        norm, radius = symbolic_squares()
        return 50 * k * (k + 1) * norm * n / epsilon**2 + 4 * norm * radius / epsilon + 2

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula."""
        return (substituted(self.formula, {name: value for name, value in values.items() if name != "n"}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """n odd and above k."""
        n, k = values["n"], values["k"]
        return (Assumption("n is odd and above k", n % 2 == 1 and n > k),)

    def _value(self, values: Values) -> Evaluation:
        step, epsilon = RawStep.of_knots(values["k"]), values["epsilon"]
        first, second = step.first_samples(values["n"], epsilon), step.second_samples(epsilon)
        return ball(first + second + 2), {"first": upper(ball(first)), "second": upper(ball(second))}
