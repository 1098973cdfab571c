"""Teachers in processes: killed by signal 9 and resumed, and two at a time."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from sim.cell import canonical_json
from sim.parity import Outcome, Status
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec
from tests.sim.teacher_cases import SPEC, STEEP, files, trajectory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """SPEC, trained in one go with one thread."""
    t = trajectory(tmp_path_factory.mktemp("whole"))
    assert t.ensure() == Outcome(Status.OK)
    return t


LAUNCHER = """
import json, os, signal, sys, time
from pathlib import Path
from sim.artifacts import Artifacts
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec


def kill_at(event):
    # Saving passes through three events: half written, whole, renamed.
    fsync, replace = os.fsync, os.replace

    def passed():
        nonlocal event
        event -= 1
        if event == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def synced(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_file():
            if event == 1:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            passed()
        fsync(descriptor)

    def replaced(old, new):
        passed()
        replace(old, new)
        passed()

    os.fsync, os.replace = synced, replaced


print("ready", flush=True)
for line in sys.stdin:
    folder, spec, threads, event, pause = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        kill_at(event)

        def progress(text, share):
            time.sleep(pause)

        outcome = Trajectory(TeacherSpec.from_spec(spec), Artifacts(Path(folder))).ensure(threads, progress)
        os._exit(0 if outcome.step is None else 7)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


class Launcher:
    """Starts training, one process after the other, of a process that has imported everything."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(
        self, folder: Path, spec: TeacherSpec, *, threads: int = 1, event: int = 0, pause: float = 0.0
    ) -> int:
        """Start training; the process kills itself at a numbered event of its saving, counted from 1."""
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write(canonical_json([str(folder), spec.spec(), threads, event, pause]) + "\n")
        pipe.flush()
        return int(self.read())

    def wait(self) -> int:
        return int(self.read())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.mark.parametrize("event", range(1, 16))
def test_killed_in_the_middle_of_saving_and_resumed_equals_an_uninterrupted_run(
    event: int, launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    # Five checkpoints, three events each.
    launcher.start(tmp_path, SPEC, event=event)
    assert launcher.wait() == signal.SIGKILL
    t = trajectory(tmp_path)
    assert t.steps() == SPEC.checkpoints()[: event // 3]
    for step in t.steps():
        t.load(step)
    launcher.start(tmp_path, SPEC, threads=2)
    assert launcher.wait() == 0
    assert files(tmp_path) == files(whole.run.root)


def test_killed_at_random_moments_and_resumed_equals_an_uninterrupted_run(
    launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    chance = random.Random(2024)
    for latest in (0.05, 0.1, 0.15, 0.2, 0.2, 0.2):
        # A quarter of a second in all, were it not killed; so the first is killed for certain.
        child = launcher.start(tmp_path, SPEC, pause=0.02)
        time.sleep(chance.uniform(0.0, latest))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        assert launcher.wait() in (0, signal.SIGKILL)
    launcher.start(tmp_path, SPEC)
    assert launcher.wait() == 0
    assert files(tmp_path) == files(whole.run.root)


def test_killed_in_a_run_that_diverges_and_resumed_is_the_same(launcher: Launcher, tmp_path: Path) -> None:
    trajectory(tmp_path / "whole", STEEP).ensure()
    saves = len(trajectory(tmp_path / "whole", STEEP).run.names())
    for event in range(1, 3 * saves + 1):
        folder = tmp_path / str(event)
        launcher.start(folder, STEEP, event=event)
        assert launcher.wait() == signal.SIGKILL
        launcher.start(folder, STEEP)
        assert os.waitstatus_to_exitcode(launcher.wait()) == 7
        assert files(folder) == files(tmp_path / "whole")


def test_of_two_processes_the_second_waits_and_takes_over_if_the_first_is_killed(
    launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    child = launcher.start(tmp_path, SPEC, pause=0.1)
    t = trajectory(tmp_path)
    end = time.monotonic() + 20
    while not t.steps():
        assert time.monotonic() < end
        time.sleep(0.005)
    told: list[str] = []

    def progress(text: str, share: float) -> None:
        if not told:
            os.kill(child, signal.SIGKILL)
        told.append(text)

    assert t.ensure(progress=progress) == Outcome(Status.OK)
    assert told[0] == f"{SPEC.label()}: waiting for another process that trains it"
    assert told[-1] == f"{SPEC.label()}: 240 of 240 steps"
    assert launcher.wait() == signal.SIGKILL
    assert files(tmp_path) == files(whole.run.root)


def test_of_two_processes_the_second_finds_the_work_done(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start(tmp_path, SPEC, pause=0.03)
    t = trajectory(tmp_path)
    end = time.monotonic() + 20
    while not t.steps():
        assert time.monotonic() < end
        time.sleep(0.005)
    told: list[str] = []
    assert t.ensure(progress=lambda text, share: told.append(text)) == Outcome(Status.OK)
    assert {text.partition(": ")[2] for text in told} == {"waiting for another process that trains it"}
    assert launcher.wait() == 0
