"""Stores of several machines made into one. Records pass by one at a time, whatever their number."""

import contextlib
import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from sim.errors import SimError, StoreError
from sim.store.rows import RecordRow
from sim.store.store import Store


def merge_stores(sources: Sequence[Path], out: Path) -> tuple[int, int]:
    """Add the cells, records and wanted numbers of stores to `out`, in one transaction.

    All are read twice: first to see that they are whole and agree, so that nothing is written if they do not.
    Which order they are given in, and how often, makes no difference to the table of `out`: a record is the same
    wherever it is, of two theories of a cell the one that is kept depends on these two alone, and of two wanted
    numbers the larger is kept.

    Returns:
        how many records were added, and how many there are.

    Raises:
        SimError: one is `out` itself, cannot be read or is damaged, or two disagree about a record.
    """
    for source in sources:
        if out.exists() and source.exists() and source.samefile(out):
            raise SimError(f"store {source} is --out itself: give other stores to merge into it")
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(Store(source, write=False)) for source in sources]
        for reader in readers:
            stack.enter_context(reader.snapshot())
        with contextlib.ExitStack() as target:
            known = [target.enter_context(Store(out, write=False))] if out.exists() else []
            for reader in [*known, *readers]:
                reader.counts()
            for _ in _agreed([*known, *readers]):
                pass
        store = stack.enter_context(Store(out, write=True))
        with store.together():
            store.rows.put_cells(_cells([store, *readers]))
            added = store.rows.put_records(_agreed(readers))
            for reader in readers:
                store.want(reader.wanted())
        return added, sum(tally.count for tally in store.rows.tallies().values())


def _agreed(stores: Sequence[Store]) -> Iterator[RecordRow]:
    """Records of all stores, each once, by cell and replicate, increasing."""

    def numbered(number: int) -> Iterator[tuple[str, int, int, str]]:
        for cell, replicate, payload in stores[number].rows.all_records():
            yield cell, replicate, number, payload

    rows = heapq.merge(*map(numbered, range(len(stores))))
    for (cell, replicate), same in groupby(rows, key=lambda row: row[:2]):
        (_, _, first, payload), *others = same
        for _, _, number, other in others:
            if other != payload:
                raise StoreError(
                    f"replicate {replicate} of cell {cell[:12]} differs between {stores[first].path} and "
                    f"{stores[number].path}: run verify on both"
                )
        yield cell, replicate, payload


def _cells(stores: Iterable[Store]) -> list[tuple[str, str, str]]:
    """Cells of all stores with the theory that is kept: of drawn students that of most of them."""
    kept: dict[str, tuple[tuple[int, str], str]] = {}
    for store in stores:
        for identity, spec, theory, _ in store.rows.cells():
            rank = (_students(theory), theory)
            if identity not in kept or rank > kept[identity][0]:
                kept[identity] = (rank, spec)
    return [(identity, spec, theory) for identity, ((_, theory), spec) in sorted(kept.items())]


def _students(theory: str) -> int:
    """Of how many students a theory speaks; 0 where it speaks of none by number, or is none."""
    try:
        value: Any = json.loads(theory)
    except ValueError:
        return 0
    count = value.get("replicates", 0) if isinstance(value, dict) else 0
    return count if isinstance(count, int) else 0
