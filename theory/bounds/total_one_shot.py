"""N-one-shot: samples in total that a signed student needs from a converged teacher, or from the parity itself.

**Problem.** The student of N-progressive, any dead zone lambda >= 0, any second stage (any training of any function of
t = <u, x>, on any number of samples); only the first step's labels differ: the parity, or a leaky final teacher.  It is
to reach hinge loss <= epsilon with probability >= 1 - delta, its initial weights uniform signs.

**Computed.** B2h for the first step.

**Guarantee.** Kind: lower.  Theorem (N-one-shot): for epsilon < 1 - 2^-k C(k, floor(k/2)) the total is at least

    B >= B2h(n, k, delta),

of order n^(k-1) for the parity.  The same holds for an error <= epsilon if 2 epsilon is below that number.

**Proof.** If u is not non-zero exactly on S the loss is at least loss_floor(k) = 1 - 2^-k C(k, floor(k/2)) (proved in
`theory.signed_step`).  If it is, then |g_i| > lambda >= |g_o| for all i in S and o not in S: the strict event whose
probability B2h bounds.  The second stage adds at least 0 samples.

**Assumptions.** Those of B2h; epsilon below the floor.  The student's initial weights on the support are uniform signs.
It speaks of students with one direction u; of many neurons that vote, each with a step of its own, it says nothing.

**References.** Le Cam 1973 as in Tsybakov 2009, Lemma 2.3; the statement it makes explicit: Panigrahi et al. 2025,
Theorem 3.2, Omega(n^(k-1)) (quoted by a reviewer, not read).

**Arguments.** `evaluate(n=, k=, delta=, epsilon=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded down; 0 if the theorem says nothing; details: the loss floor.

**Example.**

>>> round(TotalOneShot().evaluate(n=201, k=4).value)
52557343
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

import flint

from theory.bounds.le_cam import LeCam
from theory.bounds.leaky_teacher import AnyLeakyTeacher
from theory.bounds.parameters import BIAS, DELTA, EPSILON, LABEL, TEACHER_ERROR, K, N, Parameter, Values
from theory.bounds.references import PANIGRAHI, TSYBAKOV, Source, Standing
from theory.bounds.theorem import Assumption, Evaluation, Theorem
from theory.signed_step import loss_floor
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def first_step_values(values: Values) -> dict[str, Any]:
    """Return the parameters of the first step among those of a total."""
    names = {"n", "k", "delta", "bias", "labels"} | ({"c"} if values["labels"] == "leaky" else set())
    return {name: values[name] for name in names}


@final
class TotalOneShot(Theorem):
    """N-one-shot; see the module's docstring for statement and proof."""

    name = "N-one-shot"
    kind = Kind.LOWER
    quantity = "samples in total"
    statement = (
        "A signed student of a converged teacher needs B2h samples for any loss below 1 - 2^-k C(k, k/2)."
    )
    reference = "B2h, and the loss of a student whose first step missed the support"
    sources = (
        Source(TSYBAKOV, "Lemma 2.3", Standing.STANDARD),
        Source(PANIGRAHI, "Theorem 3.2: Omega(n^(k-1))", Standing.QUOTED),
    )
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, DELTA, EPSILON, BIAS, LABEL, TEACHER_ERROR)

    @property
    def formula(self) -> "sympy.Expr":
        """B2h's expression."""
        return LeCam().formula

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """B2h's for the parity; for a leaky teacher that of B2-leaky, which is of the same order."""
        leaky = values["labels"] == "leaky"
        return AnyLeakyTeacher().shape(values) if leaky else LeCam().shape(values)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """As for the first step."""
        values = super().check(given)
        LeCam().check({name: value for name, value in given.items() if name != "epsilon"})
        return values

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """The loss is below the floor, and the labels are those of a converged teacher."""
        floor = loss_floor(values["k"])
        return (
            Assumption(f"epsilon < 1 - 2^-k C(k, k/2) = {floor}", values["epsilon"] < floor),
            Assumption("the labels are the parity or a leaky teacher's", values["labels"] != "equal"),
        )

    def _value(self, values: Values) -> Evaluation:
        first = LeCam().evaluate(**first_step_values(values))
        return flint.arb(first.value), {"loss_floor": float(loss_floor(values["k"]))}
