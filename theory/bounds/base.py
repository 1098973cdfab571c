"""Bounds on the first step: the theorems about one unit after one step on B samples, behind one interface, `Bound`.

A bound speaks about one *unit* of the student after its first step on B samples.  Success is the strict
event `min_{i in S} |G_i| > max_{o not in S} |G_o|`.  delta_s is the probability of failure of a unit whose
weights on the support are s; it does not depend on its other weights (flip the sign of x_o and of w_o: |G_o|
is the same). `B_{1-delta}`, the number that is bounded, is the least B with success probability >= 1 -
delta.
"""

from abc import abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar, final

import flint

from theory import errors
from theory.bounds.parameters import (
    BIAS,
    DELTA,
    LABEL,
    TEACHER_ERROR,
    K,
    N,
    Parameter,
    Values,
    check_dimension,
    check_teacher_error,
)
from theory.bounds.theorem import Assumption, BoundValue, Evaluation, Theorem
from theory.errors import Number, TheoryError
from theory.targets import EqualTeacher, LeakyTeacher, Parity, Target, leaky_error
from theory.walsh import threshold_count

__all__ = ["Assumption", "Bound", "BoundValue", "Evaluation"]


class Bound(Theorem):
    """A theorem on the number of samples of the first step; subclasses are final and carry one each."""

    quantity: ClassVar[str] = "samples of the first step"
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, DELTA, BIAS, LABEL, TEACHER_ERROR)

    @abstractmethod
    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Return the theorem's assumptions with their truth for these parameters."""

    @abstractmethod
    def _evaluate(
        self, n: int, q: int, target: Target, delta: Fraction
    ) -> tuple[flint.arb, dict[str, float]]:
        """Return a ball around the expression's value, all assumptions holding, and further details."""

    @final
    def samples(self, n: int, k: int, q: int, target: Target, delta: Number) -> BoundValue:
        """Return the bound of B_{1-delta} for a unit of threshold count q in dimension n > k.

        k: size of the target's support (it must agree); delta in (0, 1), a float meaning its exact dyadic
        value. If an assumption fails the value is infinite (upper) or 0 (lower): true, and saying nothing.
        Raises TheoryError for parameters outside these ranges.
        """
        k = errors.integer("k", k, 1)
        if k != target.k:
            raise TheoryError(f"k = {k} does not agree with the target's support of size {target.k}.")
        n = errors.integer("n", n, k + 1)
        q = errors.integer("q", q, -1, n)
        failure = errors.probability("delta", delta)
        if not 0 < failure < 1:
            raise TheoryError(
                f"delta = {delta} is refused; a probability strictly between 0 and 1 is needed."
            )
        return self._concluded(self.assumptions(n, q, target), lambda: self._evaluate(n, q, target, failure))

    # The same by the names of the registry's parameters.

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters; refuses n <= k, and an error of a teacher that does not err."""
        values = super().check(given)
        check_dimension(values)
        check_teacher_error(given, values)
        return values

    @final
    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Return the theorem's assumptions with their truth for these parameters."""
        return self.assumptions(values["n"], threshold_count(values["n"], values["bias"]), target_of(values))

    @final
    def _value(self, values: Values) -> Evaluation:
        q = threshold_count(values["n"], values["bias"])
        return self._evaluate(values["n"], q, target_of(values), values["delta"])


def target_of(values: Values) -> Target:
    """Return the target that the parameters labels, k, n and c stand for."""
    k = values["k"]
    match values["labels"]:
        case "parity":
            return Parity(k)
        case "equal":
            return EqualTeacher((1,) * k, "logits")
        case _:
            return LeakyTeacher(k, leaky_error(values["n"], values["c"]), (1,) * k, "hard")
