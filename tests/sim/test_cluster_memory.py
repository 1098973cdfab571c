"""Workers of a cluster that have not enough memory: the unit is run once more, on another one; then it is reported."""

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from sim.execution import cluster as module
from sim.execution.base import Lost
from sim.execution.cluster import Cluster
from sim.protocol.base import Part
from sim.units import Unit
from tests.sim.conftest import TINY, call, cells, run_grid, table
from tests.sim.dask_processes import Processes
from tests.sim.executors import a_cell
from tests.sim.test_cluster import ignore, seats, wait_for_workers
from tests.sim.test_processes import until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:distributed")

STARVE = """
import resource
from pathlib import Path

import torch

from sim.protocol.first_step import FirstStep

if not hasattr(FirstStep, "right"):  # this may be loaded twice
    FirstStep.right = FirstStep.run


def run(protocol, parts, means, progress):
    if {cell!r} in (None, parts[0].cell.id):
        before = resource.getrlimit(resource.RLIMIT_AS)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26), before[1]))
        try:
            torch.empty(1 << 34, dtype=torch.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    return FirstStep.right(protocol, parts, means, progress)


FirstStep.run = run
"""
"""A worker whose process is not given the 16 GB that all units, or those of one cell, ask for."""


def starving(folder: Path, cell: str | None) -> Path:
    script = folder / "starve.py"
    script.write_text(STARVE.format(cell=cell))
    return script


def test_a_worker_without_memory_costs_no_record_while_another_has_it(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.sqlite"
    with Processes(tmp_path, 1) as cluster:
        cluster.preload = starving(tmp_path, None)
        cluster.add_worker()
        wait_for_workers(cluster, 2)
        result = call("run", *TINY, "--scheduler", cluster.address, "--out", out)
    assert result.code in (0, 3)
    assert "failed" not in result.err
    again = [line for line in result.err.splitlines() if line.endswith(": it is run again")]
    assert len(again) >= 1
    assert all(" had not enough memory (RuntimeError: " in line for line in again)
    assert len({line.partition(" had ")[0] for line in again}) == 1
    assert table(out) == table(tiny)


def test_a_unit_that_no_worker_has_the_memory_for_is_tried_twice_and_reported(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.units.LEAST_SECONDS", 4.0)  # a unit a cell
    starved, out = cells(tiny)[0], tmp_path / "s.sqlite"
    with Processes(tmp_path, 2, preload=starving(tmp_path, starved.id)) as cluster:
        wait_for_workers(cluster, 2)
        result = call("run", *TINY, "--scheduler", cluster.address, "--out", out)
    assert result.code == 3
    lines = result.err.splitlines()
    (again,) = (line for line in lines if line.endswith(": it is run again"))
    (failure,) = (line for line in lines if " failed: " in line)
    unit = f"{starved.label()}, replicates 0 to 5"
    assert again.endswith(f" during {unit}: it is run again")
    assert failure.startswith(f"error: {unit} failed: worker tcp://")
    assert failure.endswith(", twice")
    workers = {
        line.partition("worker ")[2].partition(" had not enough memory (")[0] for line in (again, failure)
    }
    assert len(workers) == 2, "it was tried twice by the same worker"
    assert lines[-1].startswith("6 replicates are missing for this")
    whole = table(tiny).splitlines()
    assert table(out).splitlines() == [line for line in whole if line.partition(",")[0] != starved.id]
    assert run_grid(out).code in (0, 3)
    assert table(out) == table(tiny)


def test_a_worker_that_is_killed_with_its_memory_full_is_taken_to_have_run_out_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"memory_limit": 2000, "metrics": {"memory": 1700}}
    assert module._share_of_memory(said) == 0.85
    assert module._share_of_memory({}) == module._share_of_memory({**said, "memory_limit": 0}) == 0
    unit = Unit((Part(a_cell(0, 1 << 42), (0,)),), 1e6)
    with Processes(tmp_path, 1) as cluster:

        def lost(share: float) -> tuple[str, list[object]]:
            """The worker, and what is said when it is killed with that share of its memory in use."""
            monkeypatch.setattr(module, "_share_of_memory", lambda worker: share)
            found: list[object] = []
            with Cluster(cluster.address, tmp_path / "a", None, ignore, ignore) as executor:
                (seat,) = seats(executor, 1)
                executor.submit(unit, among=1)
                until(lambda: bool(executor.wait()) or seat.memory == share, 60, "it was not looked at")
                os.kill(cluster.workers[0].pid, signal.SIGKILL)
                until(lambda: bool(found.extend(executor.wait()) or found), 60, "it was not missed")
            cluster.mend()
            return seat.address, found

        for share, memory, why in ((0.85, True, " ended, nearly out of memory"), (0.75, False, " ended")):
            address, found = lost(share)
            assert found == [Lost(unit, f"worker {address}{why}", address, memory=memory)]
