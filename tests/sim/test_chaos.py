"""Grids on a cluster whose workers, scheduler and driver are killed again and again: the table is that of one process.

The whole of it, 50 workers killed for each kind of grid, takes some twenty minutes and says what it saw:

    python -m pytest -m nightly -s tests/sim/test_chaos.py
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

pytest.importorskip("distributed")

from tests.sim.conftest import table
from tests.sim.dask_processes import Processes
from tests.sim.test_processes import GRID, REPLICATES, Launcher, until

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
    run: Callable[[int], tuple[object, ...]],
    size: int,
    kills: int,
    pause: tuple[float, float],
) -> int:
    """Run a grid on a cluster of which workers are killed; the scheduler is, once, and the driver is, once.

    Args:
        starter: of drivers.
        cluster: which is kept up.
        out: the store.
        run: verb and grid of a size; larger ones have the work of smaller ones, and more.
        size: to begin with; doubled whenever the run ends before all is done.
        kills: of workers; after a third of them the scheduler's turn comes, after two thirds the driver's.
        pause: seconds between them, least and most.

    Returns:
        the size in the end.
    """
    chance = random.Random(7)

    def start() -> int:
        return starter.start(out.parent, *run(size), "--scheduler", cluster.address, "--out", out)

    session = start()
    until(out.exists, 120, "no store in two minutes")
    for kill in range(kills):
        moment = time.monotonic() + chance.uniform(*pause)
        while time.monotonic() < moment:
            cluster.mend()
            time.sleep(0.05)
        cluster.kill_worker(chance.randrange(len(cluster.workers)))
        if has_ended(session):
            assert starter.wait() in (0, 3)
            size *= 2
            session = start()
        if kill == kills // 3:
            cluster.kill_scheduler()
        if kill == 2 * kills // 3:
            os.kill(session, signal.SIGKILL)
            starter.wait()
            session = start()
    end = time.monotonic() + 1800
    while not has_ended(session):
        assert time.monotonic() < end, "the run has not ended in half an hour"
        cluster.mend()
        time.sleep(0.1)
    assert starter.wait() in (0, 3)
    return size


def has_ended(process: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_workers_scheduler_and_driver_killed_and_the_table_is_the_same(tmp_path: Path) -> None:
    def run(size: int) -> tuple[object, ...]:
        return ("run", *GRID, "--quiet", "--replicates", size)

    launcher, out, plain = Launcher(), tmp_path / "s.sqlite", tmp_path / "plain.sqlite"
    try:
        with Processes(tmp_path, 2, at_once=True) as cluster:
            size = chaos(launcher, cluster, out, run, REPLICATES, 6, (0.3, 1.5))
        launcher.start(tmp_path, *run(size), "--workers", 1, "--out", plain)
        assert launcher.wait() in (0, 3)
    finally:
        launcher.close()
    assert table(out) == table(plain)


# the whole of it


def first_steps(size: int) -> tuple[object, ...]:
    return ("run", "--n", "100,150", "--k", 4, "--replicates", size)


def networks(size: int) -> tuple[object, ...]:
    """Teachers and their students, of as many seeds."""
    seeds = ",".join(map(str, range(size)))
    return ("run", "--protocol", "online", "--steps", "1e6", "--checkpoints", "50000", "--seed", seeds)


@pytest.mark.nightly
@pytest.mark.parametrize(("run", "size"), [(first_steps, 128), (networks, 3)])
def test_fifty_workers_killed_every_few_seconds(
    run: Callable[[int], tuple[object, ...]], size: int, tmp_path: Path
) -> None:
    commands, out, plain = Commands(), tmp_path / "s.sqlite", tmp_path / "plain.sqlite"
    begun = time.monotonic()
    with Processes(tmp_path, 3, at_once=True) as cluster:
        size = chaos(commands, cluster, out, run, size, 50, (3.0, 6.0))
    said = (tmp_path / "err").read_text()
    again = said.count(": it is run again")
    print(
        f"\n{run.__name__}({size}), 50 workers, the scheduler and the driver killed in "
        f"{time.monotonic() - begun:.0f} s: units were run again {again} times"
    )
    assert again > 0
    assert " failed: " not in said
    begun = time.monotonic()
    commands.start(tmp_path, *run(size), "--workers", 1, "--quiet", "--out", plain)
    assert commands.wait() in (0, 3)
    expected = table(plain)
    print(f"in process {time.monotonic() - begun:.0f} s; {len(expected):,} characters of CSV")
    assert table(out) == expected
