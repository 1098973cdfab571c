"""The verb run with --dry-run: what a grid would cost."""

import json
from pathlib import Path

from sim.numbers import duration, si
from sim.protocol.base import Options
from sim.protocol.registry import protocol_of
from sim.runner import plan_units
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT


def dry_run(options: Options, out: Path, workers: int, *, as_json: bool) -> int:
    """Show the cells and the expected cost of what is missing; run and write nothing."""
    wanted = options.wanted()
    done: dict[str, set[int]] = {}
    if out.exists():
        with Store(out, write=False) as store:
            done = {w.cell.id: store.replicates(w.cell.id) for w in wanted}
    units = plan_units(wanted, lambda cell: done.get(cell, set()))
    missing = dict.fromkeys((w.cell.id for w in wanted), 0)
    cost = dict.fromkeys(missing, 0.0)
    for part in (part for unit in units for part in unit.parts):
        missing[part.cell.id] += len(part.replicates)
        cost[part.cell.id] += protocol_of(part.cell).seconds([part])
    total = sum((unit.seconds for unit in units), 0.0)
    if as_json:
        cells = [{**w.cell.json(), "missing": missing[w.cell.id], "seconds": cost[w.cell.id]} for w in wanted]
        print(json.dumps({"cells": cells, "seconds": total, "workers": workers}, indent=2))
        return EXIT_CONSISTENT
    for cell in (w.cell for w in wanted):
        print(
            f"{cell.id[:12]}  {cell.label():<44} to {si(cell.horizon):>8} samples, "
            f"{missing[cell.id]} replicates to run, about {duration(cost[cell.id])}"
        )
    print(
        f"{len(wanted)} cells, about {duration(total)} of work, {duration(total / workers)} on {workers} workers"
    )
    return EXIT_CONSISTENT
