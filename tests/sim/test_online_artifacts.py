"""What online runs keep beside their store: the students' states while they are needed, the teachers' checkpoints."""

from pathlib import Path
from typing import NoReturn

import pytest

from sim.store import Store
from sim.student import _Training
from sim.verbs.common import artifacts_of
from tests.sim.conftest import ONLINE, call, run_grid, table, tree

# the students' states


def states(path: Path) -> list[Path]:
    return [file for file in artifacts_of(path).rglob("state*.safetensors") if "students" in file.parts]


def test_states_are_deleted_when_the_records_are_stored_and_not_before(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states(online) == []
    out = tmp_path / "killed.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_unit", _killed)
        assert run_grid(out, grid=ONLINE).code == 130
    assert call("status", "--out", out).out.splitlines()[-1].startswith("4 cells, 0 replicates")
    assert len(states(out)) == 1
    # What was trained is not trained again; the other course was not come to.
    with monkeypatch.context() as patch:
        steps: list[int] = []
        advance = _Training._advance

        def counted(self: _Training) -> None:
            steps.append(self.step)
            advance(self)

        patch.setattr(_Training, "_advance", counted)
        assert run_grid(out, grid=ONLINE).code == 0
    assert len(steps) == 6
    assert table(out) == table(online)
    assert states(out) == []
    assert sorted(tree(artifacts_of(out) / "teacher")) == sorted(tree(artifacts_of(online) / "teacher"))


def _killed(*arguments: object) -> NoReturn:
    raise KeyboardInterrupt


# what is damaged


def test_a_damaged_checkpoint_is_one_sentence_and_can_be_deleted(online: Path) -> None:
    (folder,) = (artifacts_of(online) / "teacher").iterdir()
    checkpoint = folder / "step-00000000000400.safetensors"
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[:-5])
    before = table(online)
    more = ("--replicates", 4)
    assert "is damaged, it is truncated" in run_grid(online, *more, grid=ONLINE).refusal
    assert table(online) == before
    checkpoint.unlink()
    assert run_grid(online, *more, grid=ONLINE).code == 0
    assert checkpoint.read_bytes() == whole
