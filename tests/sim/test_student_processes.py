"""Students killed by signal 9 and resumed, and damaged states."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.artifacts import ArtifactError, Artifacts
from sim.course import Course
from sim.student import Students, discard_state, train_students
from sim.student_record import Payload
from sim.supervision import CrossEntropy
from tests.sim.student_cases import COURSE, MIXED, TEACHER, spec, text

KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
import kernels, sim.artifacts
from sim.artifacts import Artifacts
from tests.sim.student_cases import COURSE, MIXED
from sim.student import train_students

torch.set_num_threads(1)
artifacts = Artifacts(Path(sys.argv[1]))

def die_at(module, name, call, after):
    real, left = getattr(module, name), [call]
    def wrapped(*arguments, **how):
        left[0] -= 1
        if left[0] == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        value = real(*arguments, **how)
        if left[0] == 0 and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return value
    setattr(module, name, wrapped)

def die_after_segment(text, share):
    if share >= 0.75:
        os.kill(os.getpid(), signal.SIGKILL)

files = []
for how in (
    (kernels, "sgd", 3, True),           # before anything is saved
    (os, "replace", 1, False),           # the first state is written under its temporary name only
    (os, "replace", 2, True),            # the second is in place
    (kernels, "sgd", 2, False),          # in the middle of the third segment
    (os, "fsync", 1, False),
    None,                                # after the third
):
    child = os.fork()
    if child == 0:
        if how is not None:
            die_at(*how)
        train_students(COURSE, MIXED, artifacts, save_seconds=0.0, progress=None if how else die_after_segment)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (how, status)
    files.append(len(list((artifacts.root / "students").rglob("state.safetensors"))))
assert files == [0, 0, 1, 1, 1, 1], files
print(json.dumps(train_students(COURSE, MIXED, artifacts), allow_nan=False))
"""


def test_kill_and_resume_give_the_same_records_and_the_same_state(
    artifacts: Artifacts, together: list[dict[int, Payload]]
) -> None:
    """Ended by signal 9 in the middle of segments and of saving, again and again."""
    train_students(COURSE, MIXED, artifacts)
    (state,) = (artifacts.root / "students").rglob("state.safetensors")
    uninterrupted = state.read_bytes()
    discard_state(COURSE, MIXED, artifacts)
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(artifacts.root)],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == text(together)
    assert state.read_bytes() == uninterrupted
    assert not list((artifacts.root / "students").rglob("*.tmp"))
    discard_state(COURSE, MIXED, artifacts)


def test_a_damaged_state_is_refused_in_a_sentence(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    students: Students = [(spec(CrossEntropy(), width=4), [0])]
    course = Course(TEACHER.task, None, 250, segment=250, log_every=250)
    train_students(course, students, artifacts)
    (state,) = tmp_path.rglob("state.safetensors")
    data = state.read_bytes()
    for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1])):
        state.write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"state.safetensors is damaged"):
            train_students(course, students, artifacts)
    discard_state(course, students, artifacts)
    assert not state.exists()
    train_students(course, students, artifacts)
    assert state.read_bytes() == data
