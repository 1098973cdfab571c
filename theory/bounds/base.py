"""What a bound is: a statement of some kind, assumptions to be checked, a reference, certified values.

A bound speaks about one *unit* of the student after its first step on B samples.  Success is the strict
event `min_{i in S} |G_i| > max_{o not in S} |G_o|`.  delta_s is the probability of failure of a unit whose
weights on the support are s; it does not depend on its other weights (flip the sign of x_o and of w_o: |G_o|
is the same). `B_{1-delta}`, the number that is bounded, is the least B with success probability >= 1 -
delta.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory import errors
from theory.enclosure import Enclosure, precision
from theory.errors import Number, TheoryError
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

Evaluation = tuple[flint.arb, dict[str, float]]
"""A ball around a bound's value, and further certified numbers by name."""


@dataclass(frozen=True)
class Assumption:
    """One assumption of a theorem, in words, and whether it holds for the given parameters."""

    statement: str
    holds: bool


@dataclass(frozen=True)
class BoundValue:
    """A certified number of samples.

    kind: UPPER or LOWER; value: a float on the safe side, infinite (upper) or 0 (lower) if the theorem says
    nothing; enclosure: of the exact value of the theorem's expression; details: further certified numbers,
    by name.
    """

    name: str
    kind: Kind
    value: float
    enclosure: Enclosure
    reference: str
    assumptions: tuple[Assumption, ...]
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def vacuous(self) -> bool:
        """True iff the theorem says nothing about these parameters."""
        return self.value == (math.inf if self.kind is Kind.UPPER else 0.0)


class Bound(ABC):
    """A theorem on the number of samples of the first step; subclasses are final and carry one each."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short identifier, the key in the registry."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """UPPER: that many samples suffice; LOWER: fewer do not."""

    @property
    @abstractmethod
    def statement(self) -> str:
        """The theorem in one sentence."""

    @property
    @abstractmethod
    def reference(self) -> str:
        """Where the argument comes from."""

    @property
    @abstractmethod
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression in the field's symbols (`sympy.latex` prints it)."""

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
        checked = self.assumptions(n, q, target)
        details: dict[str, float] = {}
        if all(assumption.holds for assumption in checked):
            with precision(128):
                ball, details = self._evaluate(n, q, target, failure)
        else:
            ball = flint.arb.pos_inf() if self.kind is Kind.UPPER else flint.arb(0)
        enclosure = Enclosure.of(ball)
        value = enclosure.upper if self.kind is Kind.UPPER else max(0.0, enclosure.lower)
        return BoundValue(self.name, self.kind, value, enclosure, self.reference, checked, details)
