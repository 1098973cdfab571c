"""The checks of a store that the command line's tests do not reach."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sim.cell import Cell
from sim.errors import StoreError
from sim.protocol.first_step import FirstStep
from sim.store import Store
from sim.verify import Report, verify_store
from tests.sim.conftest import alter, call, cells


def checked(path: Path, replicates: int = 1) -> Report:
    with Store(path, write=False) as store:
        return verify_store(store, replicates, 10.0)


def test_a_record_that_is_not_run_again_is_checked_as_well(tiny: Path) -> None:
    cell = cells(tiny)[2]
    alter(
        tiny,
        'UPDATE records SET payload = replace(payload, \'"success":"\', \'"success":"2\') '
        "WHERE cell = ? AND replicate = 5",
        cell.id,
    )
    report = checked(tiny)
    (line,) = [line for line in report.lines if line.startswith("FAIL")]
    assert line.startswith(
        f"FAIL  {cell.id[:12]} {cell.label()}: records: replicate 5 of cell {cell.id[:12]}"
    )
    assert report.failures == 1


def test_records_that_cannot_be_read_fail_and_are_not_compared(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = cells(tiny)[1]
    original = Store.records_of

    def refuse(self: Store, cell_id: str, replicates: Any = None) -> Any:
        if cell_id == cell.id:
            raise StoreError("replicate 3 has another checksum")
        return original(self, cell_id, replicates)

    monkeypatch.setattr(Store, "records_of", refuse)
    report = checked(tiny)
    name = f"{cell.id[:12]} {cell.label()}"
    assert [line for line in report.lines if not line.startswith("ok")] == [
        f"FAIL  {name}: records: replicate 3 has another checksum",
        f"skip  {name}: replicate 3 has another checksum",
        f"{report.checks} checks, 1 failed",
    ]


def test_a_lost_record_fails_and_other_cells_are_checked_all_the_same(tiny: Path) -> None:
    cell = cells(tiny)[1]
    connection = sqlite3.connect(tiny)
    with connection:
        connection.execute("DELETE FROM records WHERE cell = ? AND replicate = 3", (cell.id,))
    connection.close()
    result = call("verify", "--out", tiny)
    assert result.code == 1
    (line,) = [line for line in result.out.splitlines() if line.startswith("FAIL")]
    assert line.startswith(
        f"FAIL  {cell.id[:12]} {cell.label()}: records: store {tiny} is damaged: it lacks records"
    )
    assert result.out.count("replicate 0\n") == 5


def test_a_cell_of_which_no_theory_can_be_computed_fails(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, original = cells(tiny)[0], FirstStep.theory_again

    def again(self: FirstStep, own: Cell, stored: dict[str, Any]) -> dict[str, Any]:
        return {"delta": 1 / 0} if own.id == cell.id else original(self, own, stored)

    monkeypatch.setattr(FirstStep, "theory_again", again)
    report = checked(tiny, replicates=0)
    assert [line for line in report.lines if not line.startswith("ok")] == [
        f"FAIL  {cell.id[:12]} {cell.label()}: theory: there is none of this cell: division by zero",
        "12 checks, 1 failed",
    ]


def test_a_report_counts_checks_and_nothing_else() -> None:
    report = Report()
    report.add("one", None)
    report.add("other", "it is wrong")
    report.skip("third", "it is long")
    report.note("by the way")
    report.close()
    assert report.lines == [
        "ok    one",
        "FAIL  other: it is wrong",
        "skip  third: it is long",
        "note  by the way",
        "2 checks, 1 failed",
    ]


def test_no_progress_is_shown_where_there_is_no_terminal(tiny: Path) -> None:
    assert call("verify", "--out", tiny).err == ""
