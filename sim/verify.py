"""Checks of a store: is every cell what its id says, is its theory what the code computes, do replicates replay."""

from dataclasses import dataclass, field
from typing import final

from sim.cell import canonical_json
from sim.errors import SimError
from sim.plan import theory_of
from sim.protocol.registry import protocol_of
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
        seconds: replicates expected to take longer are not run again; the report says so.
    """
    report = Report()
    for stored in store.cells():  # reading them checks the identities
        _verify_cell(store, stored, replicates, seconds, report)
    report.lines.append(f"{report.checks} checks, {report.failures} failed")
    return report


def _verify_cell(store: Store, stored: StoredCell, replicates: int, seconds: float, report: Report) -> None:
    cell = stored.cell
    name = f"{cell.id[:12]} {cell.label()}"
    records = store.records(cell.id)
    try:
        store.outcomes(cell)
        report.add(f"{name}: {len(records)} records", None)
    except SimError as error:
        report.add(f"{name}: {len(records)} records", str(error))
    try:
        again = theory_of(cell, float(stored.theory["delta"]), int(stored.theory["replicates"]))
        same = canonical_json(again) == canonical_json(stored.theory)
        report.add(f"{name}: theory", None if same else "the stored theory is not what this version computes")
    except SimError as error:
        report.add(f"{name}: theory", str(error))
    except (KeyError, TypeError, ValueError):
        report.add(
            f"{name}: theory", "the stored theory does not say its delta and replicates: it was altered"
        )
    expected = protocol_of(cell).seconds(cell)
    if expected > seconds:
        report.lines.append(
            f"skip  {name}: a replicate takes about {expected:.0f} s, more than --seconds {seconds:g}"
        )
        return
    for replicate in list(records)[:replicates]:
        record = protocol_of(cell).run(cell, [replicate], 1, lambda share: None)[replicate]
        same = dict(record) == records[replicate]
        report.add(f"{name}: replicate {replicate}", None if same else "it replays to another record")
