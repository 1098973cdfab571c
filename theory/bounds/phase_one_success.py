"""phase-1-success: how often a phase-1 teacher's labels show the support to a signed student.

**Problem.** The teacher after its own first phase, of width m, leakage included (`theory.teacher`), drawn anew; a
signed student takes B samples of its logits, with a dead zone that depends on n, k, m and B only.

**Computed.** The bound below, thresholds chosen from a grid, V from another; tails from a transform with a stated
error.

**Guarantee.** Kind: lower.  Theorem (phase-1-success): over the teacher's initialisation and the samples, u is non-zero
exactly on S with probability at least

    P(|c_1| > theta)^k - (n - k) P(|c_o| > theta') - 2 exp(-V/(m beta^2)) - (2n - k) exp(-B Delta^2/(4 V + 2 M Delta)),

Delta = (theta - theta')/2, for any theta > theta' and V.  As B grows it tends to a number below 1: the coefficients are
random and unequal, and a teacher with one small |c_i| never teaches.

**Proof.** `theory.phase_one_step`.

**Assumptions.** n odd and above k, k even, m even.

**References.** The teacher: Panigrahi et al. 2025, Algorithm 1 (recalled); Boucheron, Lugosi, Massart 2013, Corollary
2.11; Pinelis, Ann. Probab. 22 (1994), Theorem 3.5.

**Arguments.** `evaluate(n=, k=, teacher_width=, samples=)`.

**Returns.** `BoundValue`, a probability rounded down; details: the dead zone.

**Example.**

>>> value = PhaseOneSuccess().evaluate(n=51, k=2, teacher_width=64, samples=10**6)
>>> 0.6 < value.value < 0.7
True
"""

from typing import TYPE_CHECKING, ClassVar, final

import flint

from theory.bounds.parameters import SAMPLES, TEACHER_WIDTH, K, N, Parameter, Values
from theory.bounds.references import BOUCHERON, PANIGRAHI, PINELIS, Source, Standing
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.enclosure import ball, lower
from theory.phase_one_step import Ensemble
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class PhaseOneSuccess(Theorem):
    """phase-1-success; see the module's docstring for statement and proof."""

    name = "phase-1-success"
    kind = Kind.LOWER
    quantity = "probability of success"
    statement = "A signed student finds the support from a random phase-1 teacher at least this often."
    reference = "exact tails of the degree-1 coefficients, a Hilbert-space bound of the norm, and B1"
    sources = (
        Source(PANIGRAHI, "Algorithm 1: the teacher", Standing.RECALLED),
        Source(BOUCHERON, "Corollary 2.11", Standing.STANDARD),
        Source(PINELIS, "Theorem 3.5", Standing.RECALLED),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, TEACHER_WIDTH, SAMPLES)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in the probabilities of the coefficients' tails."""
        from sympy import exp, symbols

        P_in, P_out, V, m, beta, n, k, B, Delta, M = symbols(
            "P_in P_out V m beta n k B Delta M", positive=True
        )
        noise = (2 * n - k) * exp(-B * Delta**2 / (4 * V + 2 * M * Delta))
        return P_in**k - (n - k) * P_out - 2 * exp(-V / (m * beta**2)) - noise

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Parities, and n > k."""
        n, k, width = values["n"], values["k"], values["teacher_width"]
        return (
            Assumption("n is odd and above k", n % 2 == 1 and n > k),
            Assumption("k and the teacher's width are even", k % 2 == 0 and width % 2 == 0),
        )

    def _value(self, values: Values) -> Evaluation:
        found = Ensemble(values["n"], values["k"], values["teacher_width"]).success(values["samples"])
        return flint.arb(found.probability), {"dead_zone": lower(ball(found.dead_zone))}
