"""What the driver of a grid can do: units a second into the store, memory, and how long a full store takes to read.

    python -m benchmarks.driver                    # 10^6 records by instant workers
    python -m benchmarks.driver --cells 100000     # the same for more cells, or --replicates for more of each
    python -m benchmarks.driver --cluster 4        # and units a second through a Dask cluster of 4 processes

Workers are simulated: a unit is finished the moment it is submitted, with records made up beforehand, so that nothing
but the driver is measured: planning, the queue, the loop, the store. A unit is one replicate.
"""

import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from benchmarks.options import keep, run_main
from sim.arguments import Parser
from sim.cell import FirstStepCell
from sim.errors import SimError
from sim.execution.base import Event, Executor, Finished
from sim.execution.driver import drive
from sim.files import refuse_outputs
from sim.protocol.base import Wanted
from sim.ranges import record_grid
from sim.schedule import CrossEntropy
from sim.store import Store
from sim.units import Queue, Unit, missing_parts

SAMPLES = 1 << 35
"""Samples of a replicate: so many that one is expected to take longer than a unit should, and is a unit."""

MOST = 10_000_000
PARTS_SHOWN = 10


@final
@dataclass(frozen=True, slots=True)
class Tenth:
    """A tenth of the run: records stored at its end, units a second in it, resident memory at its end in bytes."""

    records: int
    units_per_second: float
    memory: int


@final
class Instant(Executor):
    """Workers that take no time.

    Args:
        slots: how many.
        success: of every record.
    """

    def __init__(self, slots: int, success: str) -> None:
        self._slots, self._success = slots, success
        self._units: list[Unit] = []

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def free(self) -> int:
        return self._slots - len(self._units)

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        self._units.append(unit)

    def wait(self) -> Sequence[Event]:
        units, self._units = self._units, []
        return [Finished(unit, self._records(unit), unit.seconds) for unit in units]

    def close(self) -> None:
        self._units = []

    def _records(self, unit: Unit) -> dict[str, dict[int, Mapping[str, Any]]]:
        return {
            part.cell.id: {r: {"success": self._success, "digest": f"{r:032x}"} for r in part.replicates}
            for part in unit.parts
        }


def cells(count: int) -> list[FirstStepCell]:
    """Cells that differ in their seed."""
    return [
        FirstStepCell("first-step/1", 100, 4, 49, CrossEntropy(), SAMPLES, 2, seed) for seed in range(count)
    ]


def memory() -> int:
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def store_instantly(out: Path, cell_count: int, replicates: int, slots: int) -> dict[str, Any]:
    """Run a grid with instant workers into a new store.

    Returns:
        seconds of planning, of the queue and of the loop; units a second; memory before and by tenth; bytes.
    """
    start = time.perf_counter()
    wanted = [Wanted(cell, replicates) for cell in cells(cell_count)]
    made = time.perf_counter()
    success = "1" * len(record_grid(SAMPLES, 2))
    total = cell_count * replicates
    tenths: list[Tenth] = []
    with Store(out, write=True) as store, Instant(slots, success) as workers:
        store.add_cells([(w.cell, {"delta": 0.1}) for w in wanted])
        store.want({w.cell.id: w.replicates for w in wanted})
        begun = time.perf_counter()
        queue = Queue(missing_parts(wanted, store.replicates))
        planned = time.perf_counter()
        before, stored, since, worked = memory(), 0, planned, time.process_time()

        def sink(finished: Sequence[Finished]) -> None:
            nonlocal stored, since
            store.add_units([one.records for one in finished if one.records])
            stored += len(finished)
            if stored * PARTS_SHOWN // total > len(tenths):
                now, done = time.perf_counter(), stored - (tenths[-1].records if tenths else 0)
                tenths.append(Tenth(stored, done / (now - since), memory()))
                since = now

        outcome = drive(queue, workers, sink, lambda text: None)
        ended, worked = time.perf_counter(), time.process_time() - worked
    assert outcome.finished == total
    return {
        "cells": cell_count,
        "replicates": replicates,
        "slots": slots,
        "units": total,
        "seconds": {
            "cells": made - start,
            "cells into the store": begun - made,
            "queue": planned - begun,
            "loop": ended - planned,
            "closing": time.perf_counter() - ended,
        },
        "units_per_second": total / (ended - planned),
        "processor_seconds_per_unit": worked / total,
        "memory_before": before,
        "tenths": [dataclasses.asdict(tenth) for tenth in tenths],
        "store_bytes": out.stat().st_size,
    }


def time_of(*command: str) -> float:
    """Seconds of a verb of `sim.grid` as a process, imports included: the median of three."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sim.grid", *command], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[1]


def through_dask(workers: int, count: int) -> dict[str, Any]:
    """Units a second through a Dask cluster on this machine: real units of one replicate with 64 samples."""
    from distributed import LocalCluster

    from sim.execution.cluster import Cluster

    quick = [dataclasses.replace(cell, samples=64) for cell in cells(count)]
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=folder,
            protocol="tcp",
        ) as cluster,
        Cluster(cluster.scheduler_address, Path(folder), None, lambda unit, share: None, print) as executor,
        Store(Path(folder) / "store.sqlite", write=True) as store,
    ):
        store.add_cells([(cell, {}) for cell in quick])
        while executor.slots < workers:
            executor.wait()
        start, worked = time.perf_counter(), time.process_time()

        def sink(finished: Sequence[Finished]) -> None:
            store.add_units([one.records for one in finished if one.records])

        queue = Queue(missing_parts([Wanted(cell, 1) for cell in quick], store.replicates))
        outcome = drive(queue, executor, sink, print)
        seconds, worked = time.perf_counter() - start, time.process_time() - worked
    assert outcome.finished == count
    return {
        "workers": workers,
        "units": count,
        "units_per_second": count / seconds,
        "driver_seconds_per_unit": worked / count,
    }


def parser() -> Parser:
    """The options."""
    made = Parser(prog="python -m benchmarks.driver", description=(__doc__ or "").split("\n")[0])
    made.add_argument("--cells", type=int, default=10_000, help="cells of the grid (default 10000)")
    made.add_argument("--replicates", type=int, default=100, help="of each cell, a unit each (default 100)")
    made.add_argument("--slots", type=int, default=64, help="instant workers (default 64)")
    made.add_argument(
        "--cluster", type=int, default=0, help="also a Dask cluster of so many processes (default none)"
    )
    made.add_argument("--store", type=Path, help="keep the store in this file, which must not be there yet")
    made.add_argument("--out", type=Path, default=Path("driver.json"), help="(default driver.json)")
    return made


def run(arguments: Sequence[str]) -> int:
    """Measures and shows.

    Raises:
        SimError: an option or a file is not allowed.
    """
    given = parser().parse_args(arguments)
    for name, low, high in (
        ("cells", 1, MOST),
        ("replicates", 1, MOST),
        ("slots", 1, MOST),
        ("cluster", 0, 256),
    ):
        value = getattr(given, name)
        if not low <= value <= high:
            raise SimError(f"--{name} {value} is not allowed: give {low} to {high}")
    if given.store is not None and given.store.exists():
        raise SimError(f"--store {given.store} is there already: give a path that is not")
    refuse_outputs([given.out, *([given.store] if given.store else [])], {})
    with tempfile.TemporaryDirectory() as folder:
        store = given.store or Path(folder) / "store.sqlite"
        found = store_instantly(store, given.cells, given.replicates, given.slots)
        found["status_seconds"] = time_of("status", "--out", str(store))
    if given.cluster:
        found["cluster"] = through_dask(given.cluster, 2000)
    found["processors"] = os.cpu_count()
    print(text(found))
    keep(found, given.out)
    return 0


def text(found: Mapping[str, Any]) -> str:
    """The result for people."""
    lines = [
        f"{found['units']:,} units of {found['cells']:,} cells, {found['slots']} instant workers: "
        f"{found['units_per_second']:,.0f} units/s into the store, "
        f"{1e6 * found['processor_seconds_per_unit']:.1f} µs of the processor a unit",
        *(f"  {name}: {seconds:.2f} s" for name, seconds in found["seconds"].items()),
        f"store: {found['store_bytes'] / 1e6:.0f} MB, {found['store_bytes'] / found['units']:.0f} bytes a record",
        f"status of it: {found['status_seconds']:.2f} s",
        f"memory of the driver: {found['memory_before'] / 1e6:.0f} MB before the first unit",
    ]
    lines += [
        f"  after {tenth['records']:>10,} records: {tenth['memory'] / 1e6:.0f} MB, "
        f"{tenth['units_per_second']:,.0f} units/s"
        for tenth in found["tenths"]
    ]
    if "cluster" in found:
        cluster = found["cluster"]
        lines.append(
            f"Dask, {cluster['workers']} workers: {cluster['units_per_second']:,.0f} units/s, "
            f"{1e3 * cluster['driver_seconds_per_unit']:.2f} ms of the driver's processor a unit"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_main(run, sys.argv[1:]))
