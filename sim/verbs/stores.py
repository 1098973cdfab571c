"""The verbs that make stores of stores: merge."""

from pathlib import Path
from typing import Any

from sim.errors import SimError, StoreError
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT


def merge(sources: list[Path], out: Path) -> int:
    """Add cells and records of stores to `out`; nothing is written unless all of them agree."""
    for source in sources:
        if out.exists() and source.exists() and source.samefile(out):
            raise SimError(f"store {source} is --out itself: give other stores to merge into it")
    first: dict[tuple[str, int], tuple[dict[str, Any], Path]] = {}
    for source in [*([out] if out.exists() else []), *sources]:
        _check_agreement(source, first)
    with Store(out, write=True) as target:
        before = sum(len(target.replicates(stored.cell.id)) for stored in target.cells())
        for source in sources:
            with Store(source, write=False) as store:
                cells = store.cells()
                known = {stored.cell.id: stored.theory for stored in target.cells()}
                target.add_cells(
                    (stored.cell, stored.theory)
                    for stored in cells
                    # Of two theories of drawn students the one of more of them is kept.
                    if stored.theory.get("replicates", 0)
                    >= known.get(stored.cell.id, {}).get("replicates", 0)
                )
                for stored in cells:
                    target.add_records(stored.cell.id, store.records(stored.cell.id))
                target.want(store.wanted())
        after = sum(len(target.replicates(stored.cell.id)) for stored in target.cells())
    print(f"{after - before} replicates added, {after} in {out}")
    return EXIT_CONSISTENT


def _check_agreement(source: Path, first: dict[tuple[str, int], tuple[dict[str, Any], Path]]) -> None:
    """Refuse a store with a record that differs from the `first` one of its cell and replicate; note the others."""
    with Store(source, write=False) as store:
        for stored in store.cells():
            cell_id = stored.cell.id
            for replicate, payload in store.records(cell_id).items():
                known, where = first.setdefault((cell_id, replicate), (payload, source))
                if known != payload:
                    raise StoreError(
                        f"replicate {replicate} of cell {cell_id[:12]} differs between {where} and {source}: "
                        "run verify on both"
                    )
