"""Checks of a store: is every cell what its id says, is its theory what the code computes, do replicates replay."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from sim.cell import canonical_json
from sim.errors import SimError
from sim.protocol.base import Means, Part
from sim.protocol.registry import protocol_of
from sim.runner import Unit, run_unit
from sim.store import Store, StoredCell


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


def verify_store(store: Store, replicates: int, seconds: float) -> Report:
    """Check a store.

    Args:
        store: an open store.
        replicates: how many replicates of each cell are run again, lowest numbers first.
        seconds: what is expected to take longer is not run again; the report says so. That is a replicate or, where
            a protocol runs the cells of a group together, all that are run again of a group.
    """
    report = Report()
    cells = store.cells()  # reading them checks the identities
    for stored in cells:
        _verify_cell(store, stored, report)
    for unit in _units(store, cells, replicates):
        _run_again(store, unit, seconds, report)
    report.lines.append(f"{report.checks} checks, {report.failures} failed")
    return report


def _verify_cell(store: Store, stored: StoredCell, report: Report) -> None:
    cell = stored.cell
    name = _name(stored)
    count = len(store.replicates(cell.id))
    try:
        store.checked_records(cell)
        report.add(f"{name}: {count} records", None)
    except SimError as error:
        report.add(f"{name}: {count} records", str(error))
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


def _units(store: Store, cells: list[StoredCell], replicates: int) -> Iterator[Unit]:
    """What is run again: each cell by itself, or a group where its protocol runs groups together."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for cell in (stored.cell for stored in cells):
        protocol = protocol_of(cell)
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
            report.lines.append(f"skip  {part.cell.id[:12]} {part.cell.label()}: {reason}")
        return
    records = run_unit(unit, Means(), lambda share: None)
    for part in unit.parts:
        stored = store.records(part.cell.id)
        for replicate in part.replicates:
            same = dict(records[part.cell.id][replicate]) == stored[replicate]
            name = f"{part.cell.id[:12]} {part.cell.label()}: replicate {replicate}"
            report.add(name, None if same else "it replays to another record")


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
