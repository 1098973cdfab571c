"""The verb run with --dry-run: what a grid would cost."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sim import cost
from sim.cost import Calibration, CellCost, GridCost
from sim.numbers import duration, si
from sim.protocol.base import Json, Options, Wanted
from sim.store import Store
from sim.units import missing_parts
from sim.verbs.common import EXIT_CONSISTENT

LABEL_WIDTH = 54


def dry_run(options: Options, out: Path, workers: int, *, as_json: bool) -> int:
    """Show the cells and what is missing of them costs on this machine; run nothing but trials, and write nothing."""
    start = time.process_time()
    wanted = options.wanted()
    planned = time.process_time() - start
    done: dict[str, set[int]] = {}
    if out.exists():
        with Store(out, write=False) as store:
            done = {w.cell.id: store.replicates(w.cell.id) for w in wanted}
    parts = missing_parts(wanted, lambda cell: done.get(cell, set()))
    resident = cost.resident_bytes()
    calibration = cost.calibrate(parts, cost.CALIBRATION_SECONDS)
    found = cost.price(wanted, parts, calibration, workers=workers, planned=planned, resident=resident)
    missing = {part.cell.id: len(part.replicates) for part in parts}
    if as_json:
        print(json.dumps(_json(wanted, missing, found, calibration, workers), indent=2))
        return EXIT_CONSISTENT
    for line in _lines(wanted, missing, found):
        print(line)
    for line in _totals(wanted, found, calibration, workers):
        print(line)
    return EXIT_CONSISTENT


def _lines(wanted: Sequence[Wanted], missing: dict[str, int], found: GridCost) -> Iterator[str]:
    """A line a cell, aligned."""
    yield f"{'cell':<12}  {'':<{LABEL_WIDTH}} {'samples':>9} {'to run':>7} {'time':>10} {'memory':>8} {'disk':>8}"
    for cell in (w.cell for w in wanted):
        own = found.cells.get(cell.id, CellCost())
        label = cell.label()
        if len(label) > LABEL_WIDTH:
            label = f"{label[: LABEL_WIDTH - 1]}…"
        yield (
            f"{cell.id[:12]}  {label:<{LABEL_WIDTH}} {si(cell.horizon):>9} {missing.get(cell.id, 0):>7} "
            f"{_time(own.seconds):>10} {_size(own.memory):>8} {_size(own.store + own.artifacts):>8}"
        )


def _totals(
    wanted: Sequence[Wanted], found: GridCost, calibration: Calibration, workers: int
) -> Iterator[str]:
    many = f"{workers} workers" if workers > 1 else "1 worker"
    yield (
        f"{len(wanted)} cells: about {_time(found.work)} of work; {_time(found.clock)} on the clock with {many}, "
        f"planning about {_time(found.planning)} of it"
    )
    yield f"memory: {_size(found.memory_worker)} a worker at the most, {_size(found.memory)} in all"
    yield f"disk: {_size(found.store)} in the store, {_size(found.artifacts)} of artifacts at the most"
    timed = len(calibration.trials)
    yield (
        f"calibrated on {timed} small pieces of this work in {_time(calibration.seconds)}: {calibration.general:.2g} "
        "times as long as on the machine of reference"
        if timed
        else "not calibrated: times are those of the machine of reference"
    )


def _json(
    wanted: Sequence[Wanted], missing: dict[str, int], found: GridCost, calibration: Calibration, workers: int
) -> Json:
    """Seconds, and bytes."""
    cells = []
    for cell in (w.cell for w in wanted):
        own = found.cells.get(cell.id, CellCost())
        cells.append(
            {
                **cell.json(),
                "missing": missing.get(cell.id, 0),
                "seconds": own.seconds,
                "memory_bytes": own.memory,
                "store_bytes": own.store,
                "artifact_bytes": own.artifacts,
            }
        )
    return {
        "cells": cells,
        "seconds": found.work,
        "workers": workers,
        "clock_seconds": found.clock,
        "planning_seconds": found.planning,
        "worker_memory_bytes": found.memory_worker,
        "memory_bytes": found.memory,
        "store_bytes": found.store,
        "artifact_bytes": found.artifacts,
        "calibration": {
            "trials": [{"kind": trial.kind, "factor": trial.factor} for trial in calibration.trials],
            "seconds": calibration.seconds,
        },
    }


def _time(seconds: float) -> str:
    return duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _size(size: float) -> str:
    """Bytes, for example `42 MB`."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            value = size / unit
            return f"{value:.0f} {name}" if value >= 10 else f"{value:.1f} {name}"
    return f"{size:.0f} B"
