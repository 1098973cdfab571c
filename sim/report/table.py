"""Tables of the page: values with what they are sorted by, and rows of which only so many are shown."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from sim.numbers import crossing_text, interval_text, si
from theory.intervals import Crossing, Interval
from theory.verdict import Verdict

MAX_ROWS: Final = 2000
"""Rows of a table that are shown, so that a page of many cells can be mailed and opened on a phone."""

OPEN: Final = "open"
"""What stands in a verdict's place where nothing was run."""


@final
@dataclass(frozen=True, slots=True)
class Value:
    """What stands in a place of a table.

    Attributes:
        text: as it is read.
        order: what it is sorted by; None, which comes last either way, where there is nothing.
        verdict: `consistent`, `contradicted`, `undecided` or `open`, where it is one: it is marked as such.
        link: id of the place on the page that it leads to.
        code: it is a name or a command, not prose.
    """

    text: str
    order: float | str | None = None
    verdict: str | None = None
    link: str | None = None
    code: bool = False

    @property
    def key(self) -> str:
        """`order` as the page carries it."""
        return (
            "" if self.order is None else f"{self.order:.7g}" if isinstance(self.order, float) else self.order
        )


@final
@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        name: its head.
        numeric: whether it holds numbers.
        meaning: in a sentence.
        folds: said once below the table where it is the same in all rows.
    """

    name: str
    numeric: bool = False
    meaning: str = ""
    folds: bool = False


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A row.

    Attributes:
        values: one for each column.
        cells: ids of the cells that its numbers come from: their commands are named beside it.
        anchor: its id on the page, by which it can be linked to, or None.
    """

    values: tuple[Value, ...]
    cells: tuple[str, ...] = ()
    anchor: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        anchor: its id on the page.
        caption: what it shows.
        columns: as many as each row has values.
        rows: those that are shown.
        left_out: how many more there are.
        notes: sentences below it.
    """

    anchor: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row.values) == len(self.columns)

    @staticmethod
    def of(anchor: str, caption: str, columns: Sequence[Column], rows: Iterable[Row], *notes: str) -> "Table":
        """A table of `MAX_ROWS` rows at most: if there are more, those first that are contradicted or undecided."""
        every = list(rows)
        shown = every
        if len(every) > MAX_ROWS:
            shown = sorted(every, key=_weight)[:MAX_ROWS]
        folded = {
            i: every[0].values[i].text
            for i, column in enumerate(columns)
            if column.folds and len(every) > 1 and len({row.values[i].text for row in every}) == 1
        }
        if folded:
            same = "; ".join(f"{columns[i].name} {words}" for i, words in folded.items())
            notes = (f"In all rows: {same}.", *notes)
        kept = [i for i in range(len(columns)) if i not in folded]
        return Table(
            anchor,
            caption,
            tuple(columns[i] for i in kept),
            tuple(replace(row, values=tuple(row.values[i] for i in kept)) for row in shown),
            len(every) - len(shown),
            notes,
        )


RANKS: Final = {
    Verdict.CONTRADICTED.value: 0,
    Verdict.UNDECIDED.value: 1,
    Verdict.CONSISTENT.value: 2,
    OPEN: 3,
}
"""The order of verdicts: what calls for attention first."""


def _weight(row: Row) -> int:
    return min((RANKS.get(value.verdict or "", 2) for value in row.values), default=2)


def text(value: str) -> Value:
    """Words, sorted as such."""
    return Value(value, value)


def count(value: int) -> Value:
    """A whole number."""
    return Value(f"{value:,}", float(value))


def real(value: float | None, shown: str | None = None) -> Value:
    """A number, `-` where there is none."""
    if value is None or math.isnan(value):
        return Value("-")
    return Value(si(value) if shown is None else shown, float(value))


def bound(value: float) -> Value:
    """A bound of samples; `-` for one that says nothing."""
    return real(value if 0 < value < math.inf else None)


def crossing(found: Crossing | None) -> Value:
    """Samples with their interval; sorted by the estimate, where there is none by the interval's lower end."""
    if found is None:
        return Value("-")
    order = found.estimate if found.estimate is not None else found.interval.lower
    return Value(crossing_text(found), float(order) if math.isfinite(order) else None)


def estimate(value: float | None, interval: Interval) -> Value:
    """A number with its interval."""
    number = "-" if value is None else f"{value:.3g}"
    return Value(f"{number} {interval_text(interval)}", None if value is None else float(value))


def verdict(value: Verdict | None, shown: str | None = None) -> Value:
    """A verdict; None is open. `shown`: other words for it."""
    name = OPEN if value is None else value.value
    return Value(shown or name, float(RANKS[name]), verdict=name)
