"""The verb status: what a store holds.

It can be asked without the other verbs, which import all that computes: that takes longer than to look into a store of
a million records.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from sim.errors import SimError
from sim.numbers import si
from sim.store import Store
from theory.output import exit_code

TEXT = "what is stored"


def main(arguments: Sequence[str]) -> int:
    """What `python -m sim.grid status` does, with the arguments that follow."""
    from sim.arguments import Parser, add_json, add_store

    parser = Parser(prog="python -m sim.grid status", description=TEXT)
    add_store(parser)
    add_json(parser)

    def answer() -> int:
        given = parser.parse_args(arguments)
        return status(given.out, as_json=given.json)

    return exit_code(answer, (SimError,), "interrupted")


def status(out: Path, *, as_json: bool) -> int:
    """What is stored, and what is missing of what runs asked for; where that is not known, nothing is said of it."""
    with Store(out, write=False) as store, store.snapshot():
        counts = store.counts()
        rows = [(cell, counts[cell.id]) for cell in store.bare_cells()]
    if as_json:
        cells = [
            {**cell.json(), "replicates": count.stored, "missing": count.missing} for cell, count in rows
        ]
        print(json.dumps({"cells": cells}, indent=2))
        return 0
    for cell, count in rows:
        print(
            f"{cell.id[:12]}  {cell.label():<44} to {si(cell.horizon):>8} samples, {count.stored} replicates"
            f"{f', {count.missing} missing' if count.missing else ''}"
        )
    lacking = sum(count.missing or 0 for _, count in rows)
    print(
        f"{len(rows)} cells, {sum(count.stored for _, count in rows)} replicates in {out}"
        f"{f', {lacking} missing' if lacking else ''}"
    )
    return 0
