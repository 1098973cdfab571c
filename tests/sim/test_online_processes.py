"""The online protocol as a process: kill -9 in the middle of teacher and students, and Ctrl-C."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.execution.threads import worker_count
from tests.sim.conftest import call, table, tree
from tests.sim.test_processes import Launcher, alive, stored, until

GRID = (
    *("--protocol", "online", "--n", "50", "--k", "2", "--teacher-width", "1000", "--width", "32"),
    *("--schedule", "cross-entropy,one-shot,progressive", "--steps", "60000", "--teacher-steps", "100000"),
    *("--log-every", "1000", "--checkpoints", "2000", "--replicates", "4"),
)
RUN = ("run", *GRID, "--quiet", "--out", "s.sqlite")
WORKERS = min(2, worker_count(None))


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher(*GRID)
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def uninterrupted(
    launcher: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, float, dict[str, bytes]]:
    """Table, seconds and checkpoints of a run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    start = time.monotonic()
    launcher.start(folder, *RUN, "--workers", 1)
    assert launcher.wait() == 0
    return table(folder / "s.sqlite"), time.monotonic() - start, tree(folder / "s.artifacts" / "teacher")


def checkpoints(folder: Path) -> int:
    return len(list((folder / "s.artifacts" / "teacher").glob("*/step-*.safetensors")))


def test_killed_and_resumed_equals_an_uninterrupted_run(
    launcher: Launcher, uninterrupted: tuple[str, float, dict[str, bytes]], tmp_path: Path
) -> None:
    whole, seconds, files = uninterrupted
    chance = random.Random(31)
    counts, kept = [0], [0]
    for kill in range(6):
        session = launcher.start(tmp_path, *RUN, "--workers", WORKERS if kill % 2 else 1)
        if kill in (0, 2):  # in the middle of the teacher for certain
            before = kept[-1]
            until(lambda before=before: checkpoints(tmp_path) > before + 5, 60, "no checkpoint in a minute")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.2 * seconds))
        os.kill(session, signal.SIGKILL)
        assert launcher.wait() in (-signal.SIGKILL, 0)
        until(lambda session=session: not alive(session), 60, "a worker outlived its driver")  # type: ignore[misc]
        counts.append(stored(tmp_path / "s.sqlite"))
        kept.append(checkpoints(tmp_path))
    assert counts == sorted(counts), "a finished record was lost"
    assert kept == sorted(kept), "a checkpoint was lost"
    assert kept[1] > 5
    launcher.start(tmp_path, *RUN, "--workers", WORKERS)
    assert launcher.wait() == 0
    assert table(tmp_path / "s.sqlite") == whole
    assert tree(tmp_path / "s.artifacts" / "teacher") == files


def test_ctrl_c_says_how_to_resume(launcher: Launcher, tmp_path: Path) -> None:
    session = launcher.start(tmp_path, *RUN, "--workers", WORKERS)
    until(lambda: checkpoints(tmp_path) > 3, 60, "no checkpoint in a minute")
    os.killpg(session, signal.SIGINT)
    assert launcher.wait() == 130
    assert (tmp_path / "out").read_text() == ""
    assert (tmp_path / "err").read_text() == (
        "interrupted: what was finished is stored; run the same command again to continue\n"
    )
    until(lambda: not alive(session), 60, "a worker outlived its driver")
    status = call("status", "--out", tmp_path / "s.sqlite").out
    assert "missing" in status
