"""The registry of bounds as data: what is known of each theorem, in words and as JSON, and its values over a grid.

`theory.listing` prints it for a terminal and `theory.page` as Markdown; `python -m theory` is the command line.
"""

import difflib
import inspect
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from theory.bounds import REGISTRY
from theory.bounds.parameters import LABELS, Parameter
from theory.bounds.references import Reference, Standing
from theory.bounds.theorem import BoundValue, Theorem
from theory.enclosure import Enclosure
from theory.errors import TheoryError
from theory.output import finite
from theory.verdict import Kind

if TYPE_CHECKING:
    from theory.growth import Growth  # sympy is slow to import

HEADINGS = (
    "Problem", "Computed", "Guarantee", "Proof", "Assumptions", "References", "Arguments", "Returns", "Example",
)  # fmt: skip
"""The bold headings of a theorem's docstring, in their order; only `Proof` may be missing."""

_ROLES = {"integer": "whole number", "real": "number", "labels": "name"}
_HEADING = re.compile(r"^\*\*([A-Z][a-z]+)\.\*\* ?", re.MULTILINE)


def named(name: str) -> Theorem:
    """Return the theorem of this name; raises TheoryError with the nearest name for an unknown one."""
    if name in REGISTRY:
        return REGISTRY[name]()
    folded = {known.casefold(): known for known in REGISTRY}
    (nearest,) = difflib.get_close_matches(name[:80].casefold(), folded, n=1, cutoff=0.0)
    raise TheoryError(
        f"bound {name[:80]!r} is unknown; the nearest is {folded[nearest]}, and python -m theory lists all."
    )


def theorems() -> Iterator[Theorem]:
    """Yield all theorems in the registry's order."""
    return (make() for make in REGISTRY.values())


def documentation(theorem: Theorem) -> str:
    """Return the docstring of the theorem's module: statement, proof and example."""
    return inspect.cleandoc(sys.modules[type(theorem).__module__].__doc__ or "")


def sections(theorem: Theorem) -> dict[str, str]:
    """Return the docstring's sections by their headings, in its order."""
    parts = _HEADING.split(documentation(theorem))[1:]
    return {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def parameter(theorem: Theorem, name: str) -> Parameter | None:
    """Return the theorem's parameter of this name, None if it has none."""
    return next((one for one in theorem.parameters if one.name == name), None)


def claim(theorem: Theorem) -> str:
    """Return what is claimed, such as `upper` or `asymptotic (lower)`."""
    if theorem.kind is Kind.ASYMPTOTIC:
        return f"{theorem.kind.value} ({theorem.side.value})"
    return str(theorem.kind.value)


def standing(theorem: Theorem) -> str:
    """Return the theorem's standing in a word, such as `proved` or `quoted`."""
    return Standing(theorem.standing).name.lower()


def references(*chosen: Theorem) -> tuple[Reference, ...]:
    """Return the works that the theorems rest on, each once, in the order of their first use."""
    return tuple(dict.fromkeys(source.reference for theorem in chosen for source in theorem.sources))


def speaking(theorem: Theorem) -> dict[str, str]:
    """Return the labels that the theorem's growth is about, where they are not the default ones: {} or {"labels": ...}.

    B1-intermediate, for example, says nothing about the default, the parity's own labels.
    """
    if parameter(theorem, "labels") is not None:
        for labels in LABELS:
            if theorem.shape(theorem.check({"n": 10**6 + 1, "labels": labels})):
                return {} if labels == LABELS[0] else {"labels": labels}
    return {}


def growth(theorem: Theorem) -> "tuple[Growth | None, dict[str, str]]":
    """Return the growth in n at the defaults, or at the labels that the theorem speaks of, and these labels."""
    labels = speaking(theorem)
    return theorem.growth(**labels), labels


def growth_words(theorem: Theorem) -> str:
    """Return the growth for a reader, such as `n^3 log n`, `log n (labels equal)`, or `-` where none is known."""
    found, labels = growth(theorem)
    if found is None:
        return "-"
    return f"{found} (labels {labels['labels']})" if labels else str(found)


@dataclass(frozen=True)
class Row:
    """One evaluation: the values of all parameters, checked, and the bound's value."""

    parameters: Mapping[str, Any]
    value: BoundValue

    @property
    def failed(self) -> tuple[str, ...]:
        """The assumptions that do not hold."""
        return tuple(assumption.statement for assumption in self.value.assumptions if not assumption.holds)


def evaluate(theorem: Theorem, given: Mapping[str, Any]) -> Row:
    """Return the theorem's value at the given parameters; raises TheoryError for values outside their ranges.

    A teacher's error that has no effect on the labels is left out of the row.
    """
    values = theorem.check(given)
    if values.get("labels", "leaky") != "leaky":
        values.pop("c", None)
    return Row(values, theorem.evaluate(**given))


def growths(theorem: Theorem, rows: Sequence[Row]) -> "dict[int | None, Growth]":
    """Return the growth in n for each k of the rows, whose other parameters are the same; those that are known."""
    found: dict[int | None, Growth] = {}
    for row in rows:
        k = row.parameters.get("k")
        if k not in found:
            one = theorem.growth(**{name: value for name, value in row.parameters.items() if name != "n"})
            if one is not None:
                found[k] = one
    return found


# JSON: exact numbers are texts, and nothing is NaN or infinite.


def exact(value: Any) -> int | str | None:
    """Return a parameter's value for JSON: a whole number, a name, or a fraction as a text such as `1/10`."""
    return str(value) if isinstance(value, Fraction) else value


def summarised(theorem: Theorem) -> dict[str, Any]:
    """Return what a theorem claims, for JSON."""
    return {
        "name": theorem.name,
        "kind": theorem.kind.value,
        "side": theorem.side.value,
        "quantity": theorem.quantity,
        "standing": standing(theorem),
        "statement": theorem.statement,
    }


def described(theorem: Theorem) -> dict[str, Any]:
    """Return all that is known of a theorem but its docstring, for JSON."""
    found, labels = growth(theorem)
    return {
        **summarised(theorem),
        "reference": theorem.reference,
        "formula": str(theorem.formula),
        "latex": theorem.latex(),
        "growth": None if found is None else {**_growth(found), **labels},
        "parameters": [_parameter(one) for one in theorem.parameters],
        "sources": [
            {
                "key": source.reference.key,
                "reference": str(source.reference),
                "locator": source.locator,
                "standing": source.standing.name.lower(),
            }
            for source in theorem.sources
        ],
    }


def evaluated(row: Row) -> dict[str, Any]:
    """Return one evaluation for JSON: `value` is null unless `says` is "value".

    says: "value"; "nothing" where an assumption fails or the bound is trivial; "growth" where the constants are not
    known; "infinite" where no number of samples is enough.
    """
    value = row.value
    says = "infinite" if math.isinf(value.value) else "value"
    if value.vacuous:
        says = "growth" if value.kind is Kind.ASYMPTOTIC and not row.failed else "nothing"
    return {
        "parameters": {name: exact(one) for name, one in row.parameters.items()},
        "says": says,
        "value": value.value if says == "value" else None,
        "enclosure": _enclosure(value.enclosure),
        "details": {name: finite(number) for name, number in value.details.items()},
        "assumptions": [{"statement": one.statement, "holds": one.holds} for one in value.assumptions],
    }


def tabulated(theorem: Theorem, rows: Sequence[Row]) -> dict[str, Any]:
    """Return evaluations for JSON, with the growth for each k where the theorem has no values."""
    result = {**summarised(theorem), "rows": [evaluated(row) for row in rows]}
    if theorem.kind is Kind.ASYMPTOTIC:
        result["growth"] = {str(k): _growth(found) for k, found in growths(theorem, rows).items()}
    return result


def _growth(found: "Growth") -> dict[str, Any]:
    return {
        "exponent": str(found.exponent),
        "logarithm": str(found.logarithm),
        "highest_logarithm": str(found.highest),
        "constant": None if found.constant is None else str(found.constant),
        "text": str(found),
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "meaning": one.meaning,
        "kind": _ROLES[one.role],
        "range": one.range,
        "default": exact(one.default),
    }


def _enclosure(enclosure: Enclosure) -> list[float | None]:
    return [finite(enclosure.lower), finite(enclosure.upper)]
