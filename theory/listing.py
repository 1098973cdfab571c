"""The registry of bounds as plain text for a terminal: a list, one theorem in full, a table of values."""

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from theory import catalogue
from theory.bounds.theorem import BoundValue, Theorem
from theory.catalogue import Row
from theory.enclosure import Enclosure
from theory.verdict import Kind

WIDTH = 110
DIGITS = 6
_MOST_SHOWN = 8
_ROUNDING = {Kind.LOWER: ROUND_FLOOR, Kind.UPPER: ROUND_CEILING}


def rounded(value: float, rounding: str = ROUND_HALF_EVEN) -> str:
    """Return a float in 6 significant digits, rounded as told; trailing zeros are left out.

    >>> rounded(133.0000001, ROUND_CEILING), rounded(22247231.2, ROUND_FLOOR), rounded(0.00001), rounded(math.inf)
    ('133.001', '2.22472e+07', '1e-05', 'inf')
    """
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "inf" if value > 0 else "-inf"
    number = Context(prec=DIGITS, rounding=rounding).create_decimal(Decimal(value)).normalize()
    if number.is_zero():
        return "0"
    size = number.adjusted()
    if -5 < size < DIGITS:
        return f"{number:f}"
    mantissa, exponent = f"{number:e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def safe(value: BoundValue) -> str:
    """Return a bound's value in 6 digits, rounded to its safe side: an upper bound up, a lower one down."""
    return rounded(value.value, _ROUNDING.get(value.kind, ROUND_HALF_EVEN))


def interval(enclosure: Enclosure) -> str:
    """Return an enclosure in 6 digits, rounded outwards; `-` for the whole line."""
    if math.isinf(enclosure.lower) and math.isinf(enclosure.upper) and enclosure.lower < enclosure.upper:
        return "-"
    return f"[{rounded(enclosure.lower, ROUND_FLOOR)}, {rounded(enclosure.upper, ROUND_CEILING)}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[str] = ()) -> str:
    """Return a table with aligned columns, to the right but for those named in `left`."""
    cells = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(width) if name in left else cell.rjust(width)
            for name, cell, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join(aligned)


def overview(chosen: Sequence[Theorem]) -> Iterator[str]:
    """Yield the lines of the list of theorems; the limits behind the growths take seconds in all."""
    head = ("bound", "kind", "standing", "growth in n", "quantity")
    widths = [max(len(theorem.name) for theorem in chosen), 6, 8, 20, 0]
    yield _aligned(head, widths)
    for theorem in chosen:
        asymptotic = "~" if theorem.kind is Kind.ASYMPTOTIC else ""
        cells = (
            theorem.name,
            asymptotic + theorem.side.value,
            catalogue.standing(theorem),
            catalogue.growth_words(theorem),
            theorem.quantity,
        )
        yield _aligned(cells, widths)
        yield wrapped(theorem.statement, "    ")
    yield ""
    yield wrapped(
        "~: asymptotic, its constants are not known.  Growth: at the defaults, such as k = 4, or at the labels named.  "
        "All about one: python -m theory BOUND; its values: python -m theory BOUND --n 50..200 --k 4."
    )


def description(theorem: Theorem) -> str:
    """Return all about one theorem: what it claims, its parameters, its docstring."""
    parameters = table(
        ("option", "range", "default", "meaning"),
        [
            (
                f"--{option(one.name)}",
                one.range,
                "needed" if one.default is None else str(one.default),
                one.meaning,
            )
            for one in theorem.parameters
        ],
        left=("option", "range", "default", "meaning"),
    )
    title = f"{theorem.name}: {catalogue.claim(theorem)}, {theorem.quantity}; {theorem.standing.value}"
    formula = wrapped(str(theorem.formula), "    ")
    growth = f"Growth in n, at the defaults or at the labels named: {catalogue.growth_words(theorem)}"
    sources = "\n".join(wrapped(f"- {source}", "", "  ") for source in theorem.sources)
    parts = (
        title,
        wrapped(theorem.statement),
        f"Formula:\n{formula}",
        growth,
        f"Parameters:\n{textwrap.indent(parameters, '    ')}",
        f"Sources:\n{textwrap.indent(sources, '    ')}",
        catalogue.documentation(theorem),
    )
    return "\n\n".join(parts)


def values(theorem: Theorem, rows: Sequence[Row]) -> str:
    """Return a table of values with a sentence for each assumption that fails, and what stays fixed above it."""
    moving = [name for name in ("n", "k") if catalogue.parameter(theorem, name) is not None]
    fixed = {name: value for name, value in rows[0].parameters.items() if name not in moving}
    lines = [wrapped(f"{theorem.name}, {catalogue.claim(theorem)}, {theorem.quantity}.  {theorem.statement}")]
    if fixed:
        lines.append(", ".join(f"{name} = {value}" for name, value in fixed.items()))
    body = [
        [*(str(row.parameters[name]) for name in moving), safe(row.value), interval(row.value.enclosure)]
        for row in rows
    ]
    lines += ["", table((*moving, "value", "enclosure"), body)]
    notes = [*_failures(rows, moving), *_growths(theorem, rows)]
    return "\n".join([*lines, *([""] if notes else []), *map(wrapped, notes)])


def option(name: str) -> str:
    """Return a parameter's name as it is written in the command line."""
    return name.replace("_", "-")


def wrapped(text: str, indent: str = "", later: str | None = None) -> str:
    """Return a text in lines of at most 110 columns."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_on_hyphens=False,
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _failures(rows: Sequence[Row], moving: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each assumption that fails somewhere, and one for values that say nothing without one."""
    for statement in dict.fromkeys(statement for row in rows for statement in row.failed):
        where = [row for row in rows if statement in row.failed]
        yield f"Nothing is said {_where(where, rows, moving)}: it is assumed that {statement}."
    silent = [
        row for row in rows if row.value.vacuous and not row.failed and row.value.kind is not Kind.ASYMPTOTIC
    ]
    if silent:
        yield f"Nothing is said {_where(silent, rows, moving)}: the bound is trivial there."
    endless = [row for row in rows if row.value.kind is Kind.LOWER and math.isinf(row.value.value)]
    if endless:
        yield f"The bound is infinite {_where(endless, rows, moving)}: no number of samples is enough."


def _where(some: Sequence[Row], rows: Sequence[Row], moving: Sequence[str]) -> str:
    """Return which rows these are: by the values of n, or of k, that they all have, or one by one."""
    if len(some) == len(rows):
        return "in any row" if len(rows) > 1 else "here"
    for name in moving:
        chosen = {row.parameters[name] for row in some}
        if len(some) == sum(row.parameters[name] in chosen for row in rows):
            return f"at {name} = {_some([str(value) for value in sorted(chosen)])}"
    pairs = [", ".join(f"{name} = {row.parameters[name]}" for name in moving) for row in some]
    return f"at {_some(pairs, '; ')}"


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    """Return the first texts, and how many more there are."""
    rest = len(texts) - _MOST_SHOWN
    return separator.join(texts[:_MOST_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _growths(theorem: Theorem, rows: Sequence[Row]) -> Iterator[str]:
    """Yield the growth of what has no value, for each k."""
    if theorem.kind is Kind.ASYMPTOTIC:
        words = ", ".join(f"{one} at k = {k}" for k, one in catalogue.growths(theorem, rows).items())
        yield f"Only the growth in n is known: {words}." if words else "No growth is known for these labels."
