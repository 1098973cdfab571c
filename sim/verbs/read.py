"""The verbs that read a store: explain, replay; status and plot are modules of their own."""

import json
from pathlib import Path

from sim.errors import SimError
from sim.execution.threads import check_threads
from sim.numbers import duration
from sim.protocol.base import Means, Part
from sim.protocol.registry import protocol_of
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT, EXIT_CONTRADICTED, note

LONG_SECONDS = 20.0


def explain(out: Path, prefix: str, *, as_json: bool) -> int:
    """All about one cell: what it is, what theory says of it, what was measured."""
    with Store(out, write=False) as store:
        stored = store.find(prefix)
        summary = protocol_of(stored.cell).summarise(store, [stored], None)
    if as_json:
        print(json.dumps(summary.json()["cells"][0], indent=2))
        return EXIT_CONSISTENT
    for line in summary.explain():
        print(line)
    return EXIT_CONSISTENT


def replay(out: Path, prefix: str, replicate: int, threads: int) -> int:
    """Run one replicate again, from its very start; 1 when a stored record differs."""
    if replicate < 0:
        raise SimError(f"replicate {replicate} is not allowed: numbers start at 0")
    check_threads(threads)
    with Store(out, write=False) as store:
        cell = store.find(prefix).cell
        stored = store.records(cell.id).get(replicate)
    protocol = protocol_of(cell)
    part = Part(cell, (replicate,))
    protocol.check([part])
    seconds = protocol.seconds([part], afresh=True)
    if seconds > LONG_SECONDS:
        note(
            f"this takes about {duration(seconds / threads)}: all that the replicate depends on is run again"
        )
    record = protocol.run([part], Means(threads), lambda share: None)[cell.id][replicate]
    print(json.dumps({"cell": cell.id, "replicate": replicate, "record": dict(record)}, sort_keys=True))
    if stored is None:
        note(f"replicate {replicate} is not stored: nothing to compare with")
        return EXIT_CONSISTENT
    if stored != record:
        note(f"replicate {replicate} differs from the stored record {json.dumps(stored, sort_keys=True)}")
        return EXIT_CONTRADICTED
    note(f"replicate {replicate} equals the stored record")
    return EXIT_CONSISTENT
