"""The verbs that make stores of stores: merge, recover."""

from pathlib import Path

from sim.store.merge import merge_stores
from sim.store.recover import recover_store
from sim.verbs.common import EXIT_CONSISTENT, EXIT_INCOMPLETE


def merge(sources: list[Path], out: Path) -> int:
    """Add cells and records of stores to `out`; nothing is written unless all of them are whole and agree."""
    added, count = merge_stores(sources, out)
    print(f"{added} replicates added, {count} in {out}")
    return EXIT_CONSISTENT


def recover(source: Path, out: Path) -> int:
    """Copy what is whole of a damaged store into a new one; 3 when something is missing."""
    found = recover_store(source, out)
    print(found.sentence(source, out))
    return EXIT_INCOMPLETE if found.losses() else EXIT_CONSISTENT
