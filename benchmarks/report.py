"""How long a report takes, and how large it is.

    python -m benchmarks.report                    # of a store of 10^5 records
    python -m benchmarks.report --records 10000

The store is made up, of first steps whose students succeed as predicted: a grid of 21 n, two k and two schedules, with
64 students a cell and as many seeds as it takes. The report is made as a process of its own, three times.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import keep, run_main
from sim.arguments import Parser
from sim.cell import FirstStepCell
from sim.errors import SimError
from sim.files import refuse_outputs
from sim.plan import horizon, predicted_success, theory_of
from sim.protocol.first_step import FirstStep
from sim.ranges import record_grid
from sim.schedule import CrossEntropy, Progressive
from sim.store import Store
from theory.walsh import threshold_count

STUDENTS, DELTA, RESOLUTION = 64, 0.1, 2
NS, KS, SCHEDULES = range(21, 62, 2), (2, 4), (CrossEntropy(), Progressive())
MOST = 10_000_000


def make_store(path: Path, records: int) -> int:
    """Write a store of about so many records, at least those of one seed; returns how many."""
    places = [(n, k, schedule) for k in KS for schedule in SCHEDULES for n in NS]
    seeds = max(1, round(records / (STUDENTS * len(places))))
    generator = np.random.default_rng(1)
    with Store(path, write=True) as store:
        for n, k, schedule in places:
            q = threshold_count(n, 0)
            samples = horizon(n, k, q, schedule, DELTA)
            grid = record_grid(samples, RESOLUTION)
            cells = [
                FirstStepCell(FirstStep.tag(), n, k, q, schedule, samples, RESOLUTION, s)
                for s in range(seeds)
            ]
            theory = theory_of(cells[0], DELTA, STUDENTS)  # the same for all seeds
            predicted = predicted_success(cells[0], STUDENTS)
            assert predicted is not None
            rates = np.array([predicted(float(B)) for B in grid])
            store.add_cells([(cell, theory) for cell in cells])
            store.want({cell.id: STUDENTS for cell in cells})
            for cell in cells:
                luck = generator.random((STUDENTS, 1))
                rows = ["".join("01"[int(x)] for x in row) for row in luck < rates]
                store.add_records(
                    cell.id, {r: {"success": row, "digest": f"{r:032x}"} for r, row in enumerate(rows)}
                )
    return seeds * len(places) * STUDENTS


def measure(store: Path, page: Path) -> dict[str, Any]:
    """Seconds of three reports as processes, and the bytes of the page."""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "sim.report", str(store), "--out", str(page), "--quiet"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds.append(time.perf_counter() - start)
    return {"seconds": sorted(seconds), "bytes": page.stat().st_size}


def run(arguments: Sequence[str]) -> int:
    """Measures and shows.

    Raises:
        SimError: an option or a file is not allowed.
    """
    parser = Parser(prog="python -m benchmarks.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=100_000, help="of the store, about (default 100000)")
    parser.add_argument(
        "--out", type=Path, default=Path("report-benchmark.json"), help="(default %(default)s)"
    )
    given = parser.parse_args(arguments)
    if not 1 <= given.records <= MOST:
        raise SimError(f"--records {given.records} is not allowed: give 1 to {MOST}")
    refuse_outputs([given.out], {})
    with tempfile.TemporaryDirectory() as folder:
        store, page = Path(folder) / "store.sqlite", Path(folder) / "report.html"
        records = make_store(store, given.records)
        found = {"records": records, "store_bytes": store.stat().st_size, **measure(store, page)}
    low, middle, high = found["seconds"]
    print(
        f"report of {records:,} records: {middle:.1f} s [{low:.1f}, {high:.1f}], {found['bytes'] / 1e6:.2f} MB; "
        f"store {found['store_bytes'] / 1e6:.1f} MB"
    )
    keep(found, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(run_main(run, sys.argv[1:]))
