"""B1-intermediate: B1 for an intermediate teacher with equal degree-1 coefficients, logarithmic in n.

**Problem.** One unbiased unit in odd dimension n, labels F = sum_{i in S} s_i x_i with signs s: the idealised
checkpoint in the middle of the teacher's phase transition.

**Computed.** The right side below, exactly up to the logarithm.

**Guarantee.** Kind: upper.  Theorem (B1-intermediate):

    B >= (16 k + (8/3)(k + 1/2)) ln((2n - k)/delta)

samples find S with probability >= 1 - delta, for every unit.  This is the separation: against the parity's own
labels B2 grows like n^(k-1) for the same unit.

**Proof.** The unit is 1/2 plus an odd function of x, and F is odd, so E[F T x_i] = 1/2 E[F x_i], which
is s_i/2 on S and 0 off S, and E[F^2 T] = 1/2 E[F^2] = k/2, because F x_i and F^2 are even functions.  So
Delta = mu = 1/2, v = k/2 and M = k in B1.

**Assumptions.** n odd, q = (n - 1)/2, labels sum_i s_i x_i; otherwise the value is infinite.

**References.** An instance of B1 (Boucheron, Lugosi, Massart 2013, Corollary 2.11).

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded up; infinite if an assumption fails.

**Example.**

>>> round(IntermediateTeacher().evaluate(n=51, k=2, labels="equal").value)
267
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.parameters import Values
from theory.bounds.references import BOUCHERON, Source, Standing
from theory.bounds.shapes import substituted
from theory.enclosure import ball, tight, upper
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class IntermediateTeacher(Bound):
    """B1-intermediate; see the module's docstring for statement and proof."""

    name = "B1-intermediate"
    kind = Kind.UPPER
    statement = (
        "B >= (16k + (8/3)(k + 1/2)) ln((2n - k)/delta) samples of sum_i s_i x_i find S, n odd, bias 0."
    )

    reference = "B1 with the parity of odd and even functions"
    sources = (Source(BOUCHERON, "Corollary 2.11", Standing.STANDARD),)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import Rational, log, symbols

        n, k, delta = symbols("n k delta", positive=True)
        return (16 * k + Rational(8, 3) * (k + Rational(1, 2))) * log((2 * n - k) / delta)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself, for equal coefficients."""
        if values["labels"] != "equal":
            return ()
        return (substituted(self.formula, {"k": values["k"], "delta": values["delta"]}),)

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """n odd, no bias, equal degree-1 coefficients and nothing else."""
        walsh = target.walsh
        linear = all(abs(c) == (mask.bit_count() == 1) for mask, c in enumerate(walsh))
        same = len(target.components) == 1 and linear
        return (
            Assumption(
                "n is odd and the unit is the majority (q = (n - 1)/2)", n % 2 == 1 and 2 * q == n - 1
            ),
            Assumption("the labels are sum_i s_i x_i over the support, s_i = +-1", same),
        )

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        k = target.k
        factor = 16 * k + Fraction(8, 3) * (k + Fraction(1, 2))
        value = tight(lambda: ball(factor) * ball((2 * n - k) / delta).log())
        return value, {"slope_in_log_n": upper(factor)}
