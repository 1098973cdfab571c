"""Grids on a cluster whose workers, scheduler and driver are killed again and again: the table is that of one process.

The whole of it, 50 workers killed for each kind of grid, takes a quarter of an hour and says what it saw:

    python -m pytest -m nightly -s tests/sim/test_chaos.py
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import pytest

pytest.importorskip("distributed")

from tests.sim.conftest import table
from tests.sim.dask_processes import Processes, local_cluster
from tests.sim.test_processes import GRID, Launcher, until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:distributed")


class Starter(Protocol):
    """Starts runs of the command line one after the other; see `Launcher`."""

    def start(self, folder: Path, *arguments: object) -> int: ...
    def wait(self) -> int: ...


class Commands:
    """Runs as users start them: `python -m sim.grid` with everything as it is by default."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, folder: Path, *arguments: object) -> int:
        with (folder / "out").open("ab") as out, (folder / "err").open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sim.grid", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": os.getcwd()},
            )
        return self.process.pid

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait()


def chaos(
    starter: Starter,
    cluster: Processes,
    out: Path,
    run: tuple[object, ...],
    kills: int,
    pause: tuple[float, float],
) -> None:
    """Run a grid on a cluster of which workers are killed; the scheduler is, once, and the driver is, once.

    Args:
        starter: of drivers.
        cluster: which is kept up.
        out: the store.
        run: verb and grid, with work for longer than all this takes.
        kills: of workers; after a third of them the scheduler's turn comes, after two thirds the driver's.
        pause: seconds between them, least and most.
    """
    chance = random.Random(7)
    start = (*run, "--scheduler", cluster.address, "--out", out)
    session = starter.start(out.parent, *start)
    until(out.exists, 120, "no store in two minutes")
    for kill in range(kills):
        moment = time.monotonic() + chance.uniform(*pause)
        while time.monotonic() < moment:
            cluster.mend()
            time.sleep(0.05)
        cluster.kill_worker(chance.randrange(len(cluster.workers)))
        assert not has_ended(session), f"the run ended after {kill} kills: give it more work"
        if kill == kills // 3:
            cluster.kill_scheduler()
        if kill == 2 * kills // 3:
            os.kill(session, signal.SIGKILL)
            assert starter.wait() == -signal.SIGKILL
            session = starter.start(out.parent, *start)
    end = time.monotonic() + 1800
    while not has_ended(session):
        assert time.monotonic() < end, "the run has not ended in half an hour"
        cluster.mend()
        time.sleep(0.1)
    assert starter.wait() in (0, 3)


def has_ended(process: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_workers_scheduler_and_driver_killed_and_the_table_is_the_same(tmp_path: Path) -> None:
    launcher = Launcher()
    run = ("run", *GRID, "--quiet")
    try:
        launcher.start(tmp_path, *run, "--workers", 1, "--out", "plain.sqlite")
        assert launcher.wait() in (0, 3)
        with Processes(tmp_path, 2, at_once=True) as cluster:
            out = tmp_path / "s.sqlite"
            chaos(launcher, cluster, out, run, 6, (0.3, 1.5))
        assert table(out) == table(tmp_path / "plain.sqlite")
    finally:
        launcher.close()


# the whole of it

GRIDS: dict[str, tuple[str, ...]] = {
    "first-step": ("--n", "100,150", "--k", "4", "--replicates", "128"),
    "online": ("--protocol", "online", "--steps", "1500000", "--checkpoints", "50000", "--seed", "0,1"),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", GRIDS)
def test_fifty_workers_killed_every_few_seconds(name: str, tmp_path: Path) -> None:
    commands, run, seen = Commands(), ("run", *GRIDS[name]), []

    def note(what: str, begun: float) -> None:
        seen.append(f"{what}: {time.monotonic() - begun:.0f} s")
        print(f"\n{name}, {seen[-1]}", end="", flush=True)

    def plainly(what: str, *how: object) -> str:
        begun, out = time.monotonic(), tmp_path / f"{what}.sqlite"
        commands.start(tmp_path, *run, *how, "--quiet", "--out", out)
        assert commands.wait() in (0, 3)
        note(what, begun)
        return table(out)

    expected = plainly("in process", "--workers", 1)
    assert plainly("2 processes", "--workers", 2) == expected
    for workers in (2, 4):
        folder = tmp_path / f"local-{workers}"
        folder.mkdir()
        with local_cluster(workers, folder) as address:
            assert plainly(f"LocalCluster of {workers}", "--scheduler", address) == expected
    begun = time.monotonic()
    (tmp_path / "err").unlink()
    with Processes(tmp_path, 3, at_once=True) as cluster:
        out = tmp_path / "chaos.sqlite"
        chaos(commands, cluster, out, run, 50, (3.0, 6.0))
    again = (tmp_path / "err").read_text().count(": it is run again")
    note(f"50 workers, the scheduler and the driver killed, units run again {again} times", begun)
    assert " failed: " not in (tmp_path / "err").read_text()
    assert again > 0
    assert table(out) == expected
