"""What online runs keep beside their store: the students' states while they are needed, the teachers' checkpoints."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sim.online.cell import StudentCell
from sim.store import Store
from sim.student import _Training
from sim.units import Records
from sim.verbs.common import artifacts_of
from tests.sim.conftest import ONLINE, call, cells, records, run_grid, table, tree

# the students' states


def states(path: Path) -> list[Path]:
    return [file for file in artifacts_of(path).rglob("state*.safetensors") if "students" in file.parts]


def test_states_are_deleted_when_the_records_are_stored_and_not_before(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states(online) == []
    out = tmp_path / "killed.sqlite"
    students = {cell.id for cell in cells(online) if isinstance(cell, StudentCell)}
    add_units = Store.add_units

    def killed(self: Store, units: Sequence[Records]) -> None:
        """The end comes after the first students are trained, before their records are stored."""
        if any(students & unit.keys() for unit in units):
            raise KeyboardInterrupt
        add_units(self, units)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_units", killed)
        assert run_grid(out, grid=ONLINE).code == 130
    assert call("status", "--out", out).out.splitlines()[-1].startswith("4 cells, 0 replicates")
    assert len(states(out)) == 1
    # What was trained is not trained again; two other kinds of students were not come to, of six segments each.
    with monkeypatch.context() as patch:
        steps: list[int] = []
        advance = _Training._advance

        def counted(self: _Training) -> None:
            steps.append(self.step)
            advance(self)

        patch.setattr(_Training, "_advance", counted)
        assert run_grid(out, grid=ONLINE).code == 0
    assert len(steps) == 12
    assert table(out) == table(online)
    assert states(out) == []
    assert sorted(tree(artifacts_of(out) / "teacher")) == sorted(tree(artifacts_of(online) / "teacher"))


# what is damaged


MORE = ("--replicates", 4)


def records_by_schedule(path: Path) -> dict[str, int]:
    """How many records there are of the students of each schedule."""
    found = [cell for cell in cells(path) if isinstance(cell, StudentCell)]
    return {cell.student.supervision.name: len(records(path, cell)) for cell in found}


def test_students_of_a_damaged_checkpoint_fail_in_a_sentence_and_the_others_go_on(online: Path) -> None:
    (folder,) = (artifacts_of(online) / "teacher").iterdir()
    checkpoint = folder / "step-00000000000400.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-5])
    sentence = (
        f"artifact {checkpoint} is damaged, it is truncated: delete it and run again to compute it anew"
    )
    result = run_grid(online, *MORE, grid=ONLINE)
    assert result.code == 3
    failure, missing = result.err.splitlines()
    assert failure.startswith("error: ")
    assert failure.endswith(f" failed: {sentence}")
    assert missing == "1 replicate is missing for this; run the same command again to try again"
    assert records_by_schedule(online) == {"cross-entropy": 4, "one-shot": 4, "progressive": 3}
    # Where there is nothing else to do, it is a refusal.
    before = table(online)
    assert run_grid(online, *MORE, grid=ONLINE).refusal.endswith(f" failed: {sentence}")
    assert table(online) == before
    checkpoint.unlink()
    assert run_grid(online, *MORE, grid=ONLINE).code == 0
    assert records_by_schedule(online) == {"cross-entropy": 4, "one-shot": 4, "progressive": 4}
    assert checkpoint.read_bytes() == whole
