"""What every entry of the registry offers: a statement of some kind, its sources, assumptions, values and growth.

A theorem is about one *quantity* (samples, queries, a probability) that a kind of claim is made about: EXACT, UPPER
(at most the value suffices), LOWER (less does not), ASYMPTOTIC (only the growth is known; `side` says of what).
Values are certified: a float on the safe side of a ball that holds the exact value of the theorem's expression.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import flint

from theory.bounds.parameters import Parameter, Values, checked
from theory.bounds.references import Source, Standing
from theory.enclosure import Enclosure, precision
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

    from theory.growth import Growth

Evaluation = tuple[flint.arb, dict[str, float]]
"""A ball around a bound's value, and further certified numbers by name."""


@dataclass(frozen=True)
class Assumption:
    """One assumption of a theorem, in words, and whether it holds for the given parameters."""

    statement: str
    holds: bool


@dataclass(frozen=True)
class BoundValue:
    """A certified number.

    kind: as of the theorem; value: a float on the safe side, infinite (upper), 0 (lower) or NaN (exact) if the
    theorem says nothing, NaN where its constants are not known (asymptotic); enclosure: of the exact value of the
    theorem's expression, the whole line where there is none; details: further certified numbers, by name.
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
        """True iff the theorem gives no number for these parameters."""
        nothing = {Kind.UPPER: math.inf, Kind.LOWER: 0.0}.get(self.kind, math.nan)
        return math.isnan(self.value) or self.value == nothing


NOTHING = Enclosure(-math.inf, math.inf)


class Theorem(ABC):
    """One theorem; subclasses are final, one a file.

    name: the key in the registry; quantity: what the number counts, such as `samples`; statement: the theorem in
    one sentence; reference: where the argument comes from, in a phrase; sources: works it rests on; parameters: what
    it is about; standing: how the statement came here.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    quantity: ClassVar[str] = "samples"
    statement: ClassVar[str]
    reference: ClassVar[str]
    sources: ClassVar[tuple[Source, ...]]
    parameters: ClassVar[tuple[Parameter, ...]]
    standing: ClassVar[Standing] = Standing.PROVED
    asymptotic_side: ClassVar[Kind | None] = None

    @property
    def side(self) -> Kind:
        """What the claim is, where `kind` is ASYMPTOTIC: UPPER or LOWER, as `asymptotic_side` says; else the kind."""
        return self.asymptotic_side or self.kind

    @property
    @abstractmethod
    def formula(self) -> "sympy.Expr":
        """The value as a sympy expression in the field's symbols (`sympy.latex` prints it)."""

    @abstractmethod
    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Return the theorem's assumptions with their truth for these parameters."""

    @abstractmethod
    def _value(self, values: Values) -> Evaluation:
        """Return a ball around the expression's value, all assumptions holding, and further details."""

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """Return expressions in `theory.growth.symbol_n` that share the value's growth, n left open; none if unknown.

        One that equals the value, or several that squeeze it.
        """
        return ()

    @final
    def evaluate(self, **given: Any) -> BoundValue:
        """Return the certified value; parameters by name, defaults where they have one.

        If an assumption fails the value is infinite (upper), 0 (lower) or NaN (exact): true, and saying nothing.
        Raises TheoryError for values outside their ranges.
        """
        values = self.check(given)
        tested = self.conditions(values)
        if self.kind is Kind.ASYMPTOTIC:
            return BoundValue(self.name, self.kind, math.nan, NOTHING, self.reference, tested)
        return self._concluded(tested, lambda: self._value(values))

    @final
    def _concluded(self, tested: tuple[Assumption, ...], compute: Callable[[], Evaluation]) -> BoundValue:
        """Return the certified value of `compute`, or the one that says nothing if an assumption fails."""
        details: dict[str, float] = {}
        if all(assumption.holds for assumption in tested):
            with precision(128):
                ball, details = compute()
            enclosure = Enclosure.of(ball)
        else:
            empty = {Kind.UPPER: math.inf, Kind.LOWER: 0.0}.get(self.kind)
            enclosure = NOTHING if empty is None else Enclosure(empty, empty)
        value = math.nan if enclosure == NOTHING else safe_side(self.kind, enclosure)
        return BoundValue(self.name, self.kind, value, enclosure, self.reference, tested, details)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters, checked; raises TheoryError."""
        return checked(self.parameters, given, self.name)

    def growth(self, **given: Any) -> "Growth | None":
        """Return the growth in n with the other parameters fixed, by limits; None where no expression is known.

        n itself need not be given.  Raises TheoryError for values outside their ranges.
        """
        from theory.growth import growth  # sympy is slow to import

        needs = {parameter.name for parameter in self.parameters}
        if "n" in needs:
            given.setdefault("n", 10**6 + 1)
        expressions = self.shape(self.check(given))
        return growth(*expressions) if expressions else None

    @final
    def latex(self) -> str:
        """Return the statement's expression in LaTeX, without delimiters."""
        from sympy import latex

        return str(latex(self.formula))


def safe_side(kind: Kind, enclosure: Enclosure) -> float:
    """Return the end of an enclosure that keeps the claim true; of an exact value the middle."""
    if kind is Kind.UPPER:
        return enclosure.upper
    if kind is Kind.LOWER:
        return max(0.0, enclosure.lower)
    return (enclosure.lower + enclosure.upper) / 2


class AsymptoticTheorem(Theorem):
    """A published statement whose constants are not known: only its growth can be compared.

    Its value is NaN.  `formula` leaves out constants and logarithms that the source leaves out.
    """

    kind: ClassVar[Kind] = Kind.ASYMPTOTIC

    @final
    def _value(self, values: Values) -> Evaluation:
        raise AssertionError("an asymptotic statement has no value")
