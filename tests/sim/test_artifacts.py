import hashlib
import itertools
import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim import artifacts
from sim.artifacts import FORMAT, ArtifactError, Artifacts, Run, step_name, stretches
from sim.errors import SimError

TENSORS = {
    "W": torch.arange(6, dtype=torch.float32).reshape(1, 2, 3),
    "loss": torch.tensor([0.25, -1.0], dtype=torch.float64),
    "none": torch.zeros(0, dtype=torch.int64),
}
LAYOUT = {name: (tuple(t.shape), t.dtype) for name, t in TENSORS.items()}
NOTES = {"step": 20, "held_out": 2048}
NAME = step_name(20)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Artifacts(tmp_path / "artifacts").run("teacher", {"n": 3})
    run.save(NAME, TENSORS, NOTES)
    return run


def refusal(action: Callable[[], Any]) -> str:
    """The sentence with which something is refused."""
    with pytest.raises(ArtifactError) as caught:
        action()
    assert isinstance(caught.value, SimError)
    message = str(caught.value)
    assert "\n" not in message
    return message


def refused(run: Run, part: str) -> None:
    """Both readers refuse the file; its path is said."""
    message = refusal(lambda: run.load(NAME, LAYOUT))
    assert part in message
    assert str(run.path(NAME)) in message


def test_what_is_written_is_read(run: Run) -> None:
    artifact = run.load(NAME, LAYOUT)
    assert artifact.notes == NOTES
    assert artifact.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(artifact.tensors[name], t) for name, t in TENSORS.items())
    assert run.notes(NAME) == NOTES
    assert (run.names(), run.steps()) == ((NAME,), (20,))
    assert run.exists(NAME)


def test_other_programs_can_read_the_tensors(run: Run) -> None:
    tensors = safetensors.torch.load_file(run.path(NAME))
    assert all(torch.equal(tensors[name], t) for name, t in TENSORS.items())


def test_a_folder_is_named_by_the_content_of_the_identity(tmp_path: Path) -> None:
    store = Artifacts(tmp_path)
    run = store.run("teacher", {"n": 3, "k": 2})
    assert run.id == hashlib.sha256(b'{"k":2,"n":3}').hexdigest()
    assert run.folder == tmp_path / "teacher" / run.id
    assert store.run("teacher", {"k": 2, "n": 3}) == run
    assert store.run("teacher", {"k": 3, "n": 3}).folder != run.folder
    assert not run.folder.exists()
    assert (run.names(), run.steps()) == ((), ())


def test_equal_content_gives_equal_bytes(run: Run, tmp_path: Path) -> None:
    other = Artifacts(tmp_path / "elsewhere").run("teacher", {"n": 3})
    strided = {name: t.mT.contiguous().mT if t.ndim == 3 else t for name, t in reversed(TENSORS.items())}
    other.save(NAME, strided, dict(reversed(NOTES.items())))
    assert other.path(NAME).read_bytes() == run.path(NAME).read_bytes()


def test_a_truncated_file_is_refused_wherever_it_ends(run: Run) -> None:
    data = run.path(NAME).read_bytes()
    for length in range(len(data)):
        run.path(NAME).write_bytes(data[:length])
        refused(run, "is damaged, it is truncated: delete it and run again")
        assert "is damaged" in refusal(lambda: run.notes(NAME))


def test_a_file_altered_in_any_byte_is_refused(run: Run) -> None:
    data = run.path(NAME).read_bytes()
    chance = random.Random(7)
    for i in range(len(data)):
        altered = bytearray(data)
        altered[i] ^= 1 << chance.randrange(8)
        run.path(NAME).write_bytes(altered)
        refused(run, "artifact ")
    run.path(NAME).write_bytes(data + b"x")
    refused(run, "is damaged")


def test_altered_tensors_and_notes_are_said_to_be_altered(run: Run) -> None:
    data = run.path(NAME).read_bytes()
    run.path(NAME).write_bytes(data[:-1] + b"\x01")
    refused(run, "is damaged, its tensors are not those that were written")
    run.path(NAME).write_bytes(data.replace(b"2048", b"2049"))
    refused(run, "is damaged, its header is not the one that was written")
    refusal(lambda: run.notes(NAME))


@pytest.mark.parametrize(
    "data", [b"hello, this is a text file, no more", b"\x02\0\0\0\0\0\0\0{}", b"\xff" * 99]
)
def test_files_that_are_not_ours_are_refused(run: Run, data: bytes) -> None:
    run.path(NAME).write_bytes(data)
    refused(run, "is damaged")
    run.path(NAME).write_bytes(safetensors.torch.save(TENSORS))
    refused(run, "is damaged, its header is not one of ours")


def test_a_file_of_another_run_or_name_is_refused(run: Run, tmp_path: Path) -> None:
    other = Artifacts(tmp_path / "artifacts").run("teacher", {"n": 4})
    other.save(NAME, TENSORS, NOTES)
    run.path(NAME).write_bytes(other.path(NAME).read_bytes())
    refused(run, f"belongs to teacher {other.id}: it is of another run")
    same = Artifacts(tmp_path / "artifacts").run("student", {"n": 3})
    assert same.id == run.id
    same.save(NAME, TENSORS, NOTES)
    run.path(NAME).write_bytes(same.path(NAME).read_bytes())
    refused(run, f"belongs to student {run.id}")
    run.save(step_name(30), TENSORS, NOTES)
    run.path(step_name(30)).replace(run.path(NAME))
    refused(run, f"is {step_name(30)} under another name")
    refusal(lambda: run.notes(NAME))


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        (
            {**LAYOUT, "W": ((1, 3, 2), torch.float32)},
            "W [1, 2, 3] float32, loss [2] float64, none [0] int64, where",
        ),
        ({**LAYOUT, "W": ((1, 2, 3), torch.float64)}, "where W [1, 2, 3] float64, loss"),
        ({"W": LAYOUT["W"]}, "where W [1, 2, 3] float32 is needed"),
        ({**LAYOUT, "more": ((1,), torch.int64)}, "more [1] int64"),
    ],
)
def test_tensors_of_another_shape_dtype_or_name_are_refused(run: Run, layout: Any, part: str) -> None:
    assert part in refusal(lambda: run.load(NAME, layout))


def test_a_newer_format_is_refused_whatever_else_it_holds(run: Run) -> None:
    for content in ({"format": FORMAT + 1}, {"format": FORMAT + 1, "something": "new"}):
        header = json.dumps({"content": json.dumps(content), "sha256": "of another kind"})
        run.path(NAME).write_bytes(safetensors.torch.save(TENSORS, {"sparse-parity": header}))
        refused(
            run, f"is of format {FORMAT + 1}, newer than {FORMAT}: read it with the version that wrote it"
        )


def test_a_missing_file_and_one_that_cannot_be_read_are_refused(run: Run) -> None:
    run.remove(NAME)
    run.remove(NAME)
    assert not run.exists(NAME)
    refused(run, "is not there: run again to compute it")
    run.path(NAME).mkdir()
    refused(run, "cannot be read: Is a directory")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = Artifacts(tmp_path / "file").run("teacher", {})
    assert "cannot be written: Not a directory" in refusal(lambda: run.save(NAME, TENSORS, NOTES))
    with pytest.raises(ArtifactError, match="cannot be locked"), run.lock():
        pass


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(
    run: Run, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run.path(NAME).read_bytes()

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts.os, call, fail)
    message = refusal(lambda: run.save(NAME, {}, {}))
    assert message == f"artifact {run.path(NAME)} cannot be written: No space left on device"
    monkeypatch.undo()
    assert run.path(NAME).read_bytes() == before
    assert [p.name for p in run.folder.iterdir()] == [f"{NAME}.safetensors"]


def test_a_file_is_on_the_disk_before_it_has_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        kind = "folder" if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir() else "file"
        calls.append(f"{kind} synced")
        fsync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        calls.append("renamed")
        assert safetensors.torch.load_file(old).keys() == {"W", "loss", "none"}
        replace(old, new)

    monkeypatch.setattr(artifacts.os, "fsync", synced)
    monkeypatch.setattr(artifacts.os, "replace", replaced)
    run.save(NAME, TENSORS, NOTES)
    assert calls == ["file synced", "renamed", "folder synced"]


@pytest.mark.parametrize("name", ["", "../x", "A", ".x", "a/b", "a b"])
def test_names_are_names(run: Run, name: str) -> None:
    with pytest.raises(ValueError, match="is not a name"):
        run.path(name)
    with pytest.raises(ValueError, match="is not a name"):
        Artifacts(run.root).run(name, {})


@given(st.lists(st.integers(0, 2**44), min_size=1, max_size=9))
def test_names_of_checkpoints_sort_as_their_steps(steps: list[int]) -> None:
    assert sorted(map(step_name, steps)) == [step_name(s) for s in sorted(steps)]


def test_the_lock_is_held_by_one_and_the_next_waits(run: Run) -> None:
    waited, order = threading.Event(), []

    def second() -> None:
        with run.lock(waited.set):
            order.append("second")

    with run.lock():
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        time.sleep(3 * artifacts.WAIT_SECONDS)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    # Free again; another run is another lock.
    with run.lock(pytest.fail), Artifacts(run.root).run("teacher", {"n": 9}).lock(pytest.fail):
        pass


def test_the_lock_clears_away_what_a_killed_process_left(run: Run) -> None:
    left = run.folder / f".{NAME}.4711.tmp"
    left.write_bytes(b"half")
    assert run.names() == (NAME,)
    with run.lock():
        assert not left.exists()
        assert run.exists(NAME)


STEPS = st.sets(st.integers(0, 30), max_size=8)


@given(STEPS, STEPS, st.integers(0, 35))
def test_stretches_fill_exactly_what_is_missing(wanted: set[int], there: set[int], last: int) -> None:
    missing = sorted(step for step in wanted - there if step <= last)
    plan = list(stretches(missing, there, last))
    assert sorted(itertools.chain(*(targets for _, _, targets in plan))) == missing
    for start, stop, targets in plan:
        assert start in there | {0}
        assert start <= min(targets)
        # No step is trained that could have been read.
        assert not there & set(range(start + 1, stop))
        assert stop in there | {max(targets)}
        assert max(targets) <= stop <= max(last, *targets)
        beyond = {step for step in there if max(targets) < step <= last}
        assert stop == min(beyond, default=max(targets))
    for (_, stop, _), (start, _, _) in itertools.pairwise(plan):
        assert stop <= start
