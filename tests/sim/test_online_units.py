"""Online grids in the queue: the teacher first, students of one source of labels together, and what fails."""

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from sim.errors import SimError
from sim.online.cell import StudentCell, TeacherCell
from sim.protocol.base import Means, Part, Progress, Wanted
from sim.protocol.online import Online
from sim.store import Store
from sim.units import Queue, Records, Unit, missing_parts
from tests.sim.conftest import ONLINE, cells, records, run_grid, table
from tests.sim.test_online_grid import student


def handed_out(queue: Queue) -> list[Unit]:
    """All that there is at this time."""
    units = []
    while (unit := queue.next(1)) is not None:
        units.append(unit)
    return units


def series(unit: Unit) -> list[str]:
    return sorted(part.cell.series.split()[0] for part in unit.parts)


def test_the_teacher_comes_first_then_its_record_and_its_students(online: Path) -> None:
    wanted = [Wanted(cell, 1 if isinstance(cell, TeacherCell) else 3) for cell in cells(online)]
    queue = Queue(missing_parts(wanted, lambda cell: set()))
    teacher, parity = sorted(handed_out(queue), key=lambda unit: not unit.prepares)
    assert (teacher.prepares, series(teacher)) == (True, ["one-shot", "progressive", "teacher"])
    assert (parity.prepares, series(parity), parity.replicates) == (False, ["cross-entropy"], 3)
    assert min(teacher.seconds, parity.seconds) > 0
    queue.finished(parity)
    assert handed_out(queue) == []
    queue.finished(teacher)
    after = {tuple(series(unit)): unit for unit in handed_out(queue)}
    assert after.keys() == {("teacher",), ("one-shot",), ("progressive",)}
    assert [unit.here for unit in after.values()].count(True) == 1
    assert after["teacher",].here
    assert [unit.replicates for unit in after.values()] == [1 if unit.here else 3 for unit in after.values()]


def test_of_what_is_stored_only_what_is_missing_is_done(online: Path) -> None:
    with Store(online, write=False) as store:
        found = [cell for cell in cells(online) if isinstance(cell, StudentCell)]
        queue = Queue(missing_parts([Wanted(cell, 4) for cell in found], store.replicates))
    for unit in handed_out(queue):
        queue.finished(unit)
        assert [part.replicates for part in unit.parts] == [(3,)] * len(unit.parts)
    assert sorted(map(series, handed_out(queue))) == [["one-shot"], ["progressive"]]


def test_students_that_are_divided_are_the_same_students(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    original = Online.run

    def run(self: Online, parts: Sequence[Part], means: Means, progress: Progress) -> Records:
        runs.append(sum(len(part.replicates) for part in parts))
        return original(self, parts, means, progress)

    monkeypatch.setattr(Online, "run", run)
    monkeypatch.setattr("sim.protocol.online.BUNDLE_SECONDS", 0.0)
    out = tmp_path / "s.sqlite"
    run_grid(out, "--replicates", 8, "--width", 256, grid=ONLINE)
    assert sum(runs) == 1 + 3 * 8
    assert len(runs) > 5
    with monkeypatch.context() as patch:
        patch.setattr("sim.protocol.online.BUNDLE_SECONDS", 1e9)
        whole = tmp_path / "whole.sqlite"
        run_grid(whole, "--replicates", 8, "--width", 256, grid=ONLINE)
    assert sorted(runs[-4:]) == [1, 8, 8, 8]
    assert table(out) == table(whole)


def test_a_teacher_that_fails_keeps_its_students_only(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*arguments: object) -> NoReturn:
        raise SimError("the disk is full")

    out = tmp_path / "s.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(Online, "prepare", prepare)
        result = run_grid(out, grid=ONLINE)
    assert result.code == 3
    failure, missing = result.err.splitlines()
    assert failure.startswith("error: the teacher of ")
    assert failure.endswith(" and 2 more cells failed: the disk is full")
    assert missing == "7 replicates are missing for this; run the same command again to try again"
    parity = student(online, "cross-entropy")
    assert {cell.id: records(out, cell) for cell in cells(out) if records(out, cell)} == {
        parity.id: records(online, parity)
    }
    assert run_grid(out, grid=ONLINE).code == 0
    assert table(out) == table(online)
