"""Checks of a store: is every cell what its id says, is its theory what the code computes, do replicates replay."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

from sim.cell import canonical_json
from sim.errors import SimError
from sim.protocol.base import Means, Part
from sim.protocol.registry import protocol_of
from sim.store import Store, StoredCell
from sim.units import Unit, run_unit

Tell = Callable[[str, float], None]
"""Called with what is being done, and the share (0 to 1) of all that is done."""


@final
@dataclass
class Report:
    """Lines for the user, and how many checks failed."""

    lines: list[str] = field(default_factory=list)
    checks: int = 0
    failures: int = 0

    def add(self, subject: str, problem: str | None) -> None:
        """One check; `problem` is None where it holds."""
        self.checks += 1
        self.failures += problem is not None
        self.lines.append(
            f"{'ok  ' if problem is None else 'FAIL'}  {subject}{'' if problem is None else ': ' + problem}"
        )

    def skip(self, subject: str, reason: str) -> None:
        """What is not checked, and why."""
        self.lines.append(f"skip  {subject}: {reason}")

    def note(self, text: str) -> None:
        """What is no check."""
        self.lines.append(f"note  {text}")

    def close(self) -> None:
        """The last line."""
        self.lines.append(f"{self.checks} checks, {self.failures} failed")


def silent(text: str, share: float) -> None:
    """Tell nobody."""


def verify_store(store: Store, replicates: int, seconds: float, tell: Tell = silent) -> Report:
    """Check a store.

    Args:
        store: an open store.
        replicates: how many replicates of each cell are run again, lowest numbers first.
        seconds: what is expected to take longer is not run again; the report says so. That is a replicate or, where
            a protocol runs the cells of a group together, all that are run again of a group.
        tell: told of progress.

    Raises:
        StoreError: its cells cannot be read, or one is not what its id says.
    """
    report = Report()
    check_store(store, replicates, seconds, report, tell)
    report.close()
    return report


def check_store(store: Store, replicates: int, seconds: float, report: Report, tell: Tell) -> None:
    """Add the checks of `verify_store` to a report."""
    cells = store.cells()  # reading them checks the identities
    for done, stored in enumerate(cells):
        tell(f"records and theory of {_name(stored)}", done / (2 * len(cells)))
        _verify_cell(store, stored, report)
    units = list(_units(store, cells, replicates))
    for done, unit in enumerate(units):
        tell(f"running {unit.label()} again", 0.5 + done / (2 * len(units)))
        _run_again(store, unit, seconds, report)


def _verify_cell(store: Store, stored: StoredCell, report: Report) -> None:
    cell = stored.cell
    name = _name(stored)
    try:
        count = sum(1 for _ in store.checked_records_of(cell))
        report.add(f"{name}: {count} records", None)
    except SimError as error:
        report.add(f"{name}: records", str(error))
    try:
        again = protocol_of(cell).theory_again(cell, stored.theory)
        same = canonical_json(again) == canonical_json(stored.theory)
        report.add(f"{name}: theory", None if same else "the stored theory is not what this version computes")
    except SimError as error:
        report.add(f"{name}: theory", str(error))
    except (KeyError, TypeError, ValueError):
        report.add(
            f"{name}: theory", "the stored theory does not say its delta and replicates: it was altered"
        )
    except ArithmeticError as error:  # a specification that no grid has
        report.add(f"{name}: theory", f"there is none of this cell: {error}")


def _units(store: Store, cells: Sequence[StoredCell], replicates: int) -> Iterator[Unit]:
    """What is run again: each cell by itself, or a group where its protocol runs groups together."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for cell in (stored.cell for stored in cells):
        protocol = protocol_of(cell)
        numbers: list[int] = []
        with contextlib.suppress(SimError):  # which has failed the check of the records
            numbers = sorted(store.replicates(cell.id))[:replicates]
        if numbers:
            name = protocol.group(cell) if protocol.together else cell.id
            groups.setdefault((cell.protocol, name), []).append(Part(cell, tuple(numbers)))
    for parts in groups.values():
        yield Unit(tuple(parts), protocol_of(parts[0].cell).seconds(parts, afresh=True))


def _run_again(store: Store, unit: Unit, seconds: float, report: Report) -> None:
    reason = _reason_to_skip(unit, seconds)
    if reason is not None:
        for part in unit.parts:
            report.skip(f"{part.cell.id[:12]} {part.cell.label()}", reason)
        return
    records = run_unit(unit, Means(), lambda share: None)
    assert records is not None  # its time is not limited
    for part in unit.parts:
        name = f"{part.cell.id[:12]} {part.cell.label()}"
        try:
            stored = dict(store.records_of(part.cell.id, part.replicates))
        except SimError as error:  # which has failed the check of the records, too
            report.skip(name, str(error))
            continue
        for replicate in part.replicates:
            same = dict(records[part.cell.id][replicate]) == stored[replicate]
            report.add(f"{name}: replicate {replicate}", None if same else "it replays to another record")


def _reason_to_skip(unit: Unit, seconds: float) -> str | None:
    first = unit.parts[0]
    protocol = protocol_of(first.cell)
    try:
        protocol.check(unit.parts)
    except SimError as error:
        return str(error)
    expected = unit.seconds if protocol.together else unit.seconds / len(first.replicates)
    if expected <= seconds:
        return None
    what = "running the group again" if protocol.together else "a replicate"
    return f"{what} takes about {expected:.0f} s, more than --seconds {seconds:g}"


def _name(stored: StoredCell) -> str:
    return f"{stored.cell.id[:12]} {stored.cell.label()}"
