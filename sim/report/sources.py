"""What the page is made of: the cells of one or more stores, probes of teachers, and records of earlier runs."""

import contextlib
import shlex
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from sim.commands import commands
from sim.errors import SimError
from sim.store import Store
from sim.store.merge import merge_stores
from sim.study import Part, parts_of


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A store that was given.

    Attributes:
        path: as it was given.
        cells: ids of its cells.
        replicates: how many it has.
        missing: how many of those that were asked for it lacks.
    """

    path: Path
    cells: frozenset[str]
    replicates: int
    missing: int


@final
@dataclass(frozen=True)
class Sources:
    """All cells, each once, whatever store they lie in.

    Attributes:
        stores: those that were given, each once.
        parts: the cells by protocol, as `sim.study` has them.
    """

    stores: tuple[Source, ...]
    parts: tuple[Part, ...]

    def stores_of(self, cells: Iterable[str]) -> list[str]:
        """Paths of the stores that have some of the cells, in the order in which they were given, as a shell takes
        them.
        """
        wanted = set(cells)
        return [shlex.quote(str(store.path)) for store in self.stores if wanted & store.cells]


@final
@dataclass(frozen=True, slots=True)
class Command:
    """A command that makes cells.

    Attributes:
        line: for a shell, with the store.
        cells: ids of those that it makes.
        stores: where they are, in words.
    """

    line: str
    cells: frozenset[str]
    stores: str


@contextlib.contextmanager
def read(paths: Sequence[Path]) -> Iterator[Sources]:
    """Open the stores; of several, a merged copy is read, so that a cell that several have counts once.

    Raises:
        SimError: one cannot be read or is damaged, two disagree about a record, or none has a cell.
    """
    unique = list({path.resolve(): path for path in paths}.values())
    with contextlib.ExitStack() as stack:
        sources = []
        for path in unique:
            with Store(path, write=False) as store, store.snapshot():
                counts = store.counts()
                sources.append(
                    Source(
                        path,
                        frozenset(counts),
                        sum(count.stored for count in counts.values()),
                        sum(count.missing or 0 for count in counts.values()),
                    )
                )
        if unique and not any(source.cells for source in sources):
            names = ", ".join(str(path) for path in unique)
            raise SimError(f"store {names} has no cells: run a grid first")
        parts: list[Part] = []
        if unique:
            merged = unique[0]
            if len(unique) > 1:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sparse-parity-"))
                merged = Path(folder) / "merged.sqlite"
                merge_stores(unique, merged)
            store = stack.enter_context(Store(merged, write=False))
            stack.enter_context(store.snapshot())
            parts = parts_of(store)
        yield Sources(tuple(sources), tuple(parts))


def commands_of(sources: Sources) -> tuple[list[Command], int]:
    """What makes the cells again, and how many cells no command makes."""
    found, without = [], 0
    for part in sources.parts:
        made = commands([(stored, part.wanted[stored.cell.id]) for stored in part.cells])
        without += made.without
        for line, cells in zip(made.lines, made.makes, strict=True):
            stores = sources.stores_of(cells)
            found.append(Command(f"{line} --out {stores[0]}", cells, ", ".join(stores)))
    return found, without
