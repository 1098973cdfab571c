"""The lines of the ledger as the page shows them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from sim.claims.claim import Entry, Measured, Source
from sim.numbers import si
from sim.report.table import OPEN, RANKS

SHOWN: Final = 2
"""Measurements beside a claim; the rest are folded away."""

FOLDED: Final = 12
"""Measurements that are folded away, those that do not support the claim first; of the rest the number is said."""


@final
@dataclass(frozen=True, slots=True)
class Number:
    """A measured number in words, its verdict and reason, and the cells that it comes from."""

    text: str
    verdict: str
    reason: str
    cells: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Line:
    """One line: a claim in one setting.

    Attributes:
        anchor: its id on the page.
        id, title, statement, source, reliability, setting, reported, reason, ran: in words.
        place: the source in short.
        verdict: `consistent`, `contradicted`, `undecided` or `open`; rank: what it is sorted by.
        measured: the numbers beside it.
        all_measured: those folded away; more_measured: how many more there are.
        cells: that all its numbers come from.
        command: what runs it; empty where nothing can, and `without` says why.
    """

    anchor: str
    id: str
    title: str
    statement: str
    source: str
    place: str
    reliability: str
    setting: str
    reported: str
    reason: str
    ran: str
    verdict: str
    measured: tuple[Number, ...]
    all_measured: tuple[Number, ...]
    more_measured: int
    cells: tuple[str, ...]
    command: str
    without: str

    @property
    def rank(self) -> int:
        """What it is sorted by."""
        return RANKS[self.verdict]


def lines(entries: Sequence[Entry]) -> tuple[Line, ...]:
    """The lines, in the order of the entries, those that are open after the others."""
    taken: set[str] = set()
    return tuple(_line(entry, taken) for entry in sorted(entries, key=lambda entry: entry.open))


def _line(entry: Entry, taken: set[str]) -> Line:
    claim = entry.claim
    numbers = sorted(entry.measured, key=_weight)
    return Line(
        _anchor(claim.id, taken),
        claim.id,
        claim.title,
        claim.statement,
        str(claim.source),
        _short(claim.source),
        claim.reliability.value,
        entry.setting,
        claim.reported,
        entry.reason,
        entry.ran,
        OPEN if entry.verdict is None else entry.verdict.value,
        tuple(map(_number, numbers[:SHOWN])),
        tuple(map(_number, numbers[:FOLDED])),
        max(0, len(numbers) - FOLDED),
        tuple(dict.fromkeys(cell for one in entry.measured for cell in one.cells)),
        claim.command or "",
        claim.without,
    )


def _short(source: Source) -> str:
    """For example `Panigrahi et al., Figure 1 left`."""
    author, comma, rest = source.work.partition(",")
    several = " et al." if " et al." in rest else ""
    if not comma or source.place.startswith("resting on"):
        return source.work
    return f"{author}{several}, {source.place}" if source.place else source.work


def _anchor(name: str, taken: set[str]) -> str:
    base = "claim-" + re.sub(r"[^A-Za-z0-9]+", "-", name.replace("'", "-prime")).strip("-")
    anchor = next(
        a for i in range(1, len(taken) + 2) if (a := base if i == 1 else f"{base}-{i}") not in taken
    )
    taken.add(anchor)
    return anchor


_WEIGHTS: Final = {"contradicted": 0, "undecided": 1}


def _weight(one: Measured) -> int:
    return _WEIGHTS.get("" if one.verdict is None else one.verdict.value, 2)


def _number(one: Measured) -> Number:
    return Number(words(one), "" if one.verdict is None else one.verdict.value, one.reason, one.cells)


def words(one: Measured) -> str:
    """For example `samples for 90 %, n = 50: 96 [83, 112] (95 %)`."""
    value = "-" if one.value is None else si(one.value)
    if one.low is None or one.high is None:
        return f"{one.what}: {value}"
    level = "" if one.level is None else f" ({100 * one.level:.3g} %)"
    return f"{one.what}: {value} [{_end(one.low)}, {_end(one.high)}]{level}"


def _end(value: float) -> str:
    return si(float(f"{value:.4g}")) if math.isfinite(value) else si(value)
