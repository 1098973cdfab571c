"""The store as the rest of the package sees it: cells, theories and payloads instead of rows."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, final

from sim.cell import Cell, canonical_json
from sim.errors import StoreError
from sim.store.database import Database
from sim.store.rows import CellRow, RecordRow, Rows
from sim.store.upgrade import upgrade


@final
@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell with the theory that was stored beside it (JSON values)."""

    cell: Cell
    theory: dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Count:
    """How much there is of a cell.

    Attributes:
        stored: records.
        missing: of those that runs asked for; None where that is not known, as of a cell of an older store.
    """

    stored: int
    missing: int | None


@final
class Store:
    """An open store. Use as a context manager.

    One driver writes at a time (an advisory lock on the file, gone with the process that held it); readers are free,
    and each method reads the state of one moment. Records are only ever added, in transactions.

    What a crash of this process, however it ends, can lose is what no method had returned from. A crash of the whole
    machine can undo the last transactions too (the file is not waited for at each of them, only when the -wal file is
    written back and on closing): their work is run again. Neither damages the file. If the -wal file of a run that
    was killed is deleted or damaged, what is in it and after the damage is missing, and run again.

    Every row has a sum and is counted (`sim.store.schema`): what a method returns is what was stored, or the refusal
    says that the store is damaged. A store of version 1 has neither. It is read as it is; opened for writing, it is
    checked as far as it can be and brought to the present version, in one transaction.

    Args:
        path: the file; made when absent and `write` is set.
        write: take the writer's lock.

    Raises:
        StoreError: the file is not one of ours, was written by a newer version, is damaged, is locked by another
            run, or does not exist (reading).
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._database = Database(path, write=write)
        self._rows = Rows(self._database)
        self._checked = False
        if write and not self.has_sums:
            try:
                upgrade(self, self._database)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and give the lock back; closing twice is allowed."""
        self._database.close()

    @property
    def has_sums(self) -> bool:
        """Whether its rows have sums: those of version 1 have not."""
        return self._database.version > 1

    def snapshot(self) -> contextlib.AbstractContextManager[None]:
        """What is read inside is all of one moment, whoever writes meanwhile."""
        return self._database.snapshot()

    # writing

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is added inside is added in one transaction: all of it or nothing.

        Before the first one the store is checked: what is damaged is not written to.
        """
        if not self._checked:
            self.check()
        with self._database.transaction():
            yield

    def add_cells(self, cells: Iterable[tuple[Cell, Mapping[str, Any]]]) -> None:
        """Add cells with their theory; where a cell is there, its theory is brought up to date.

        Nothing is written when nothing changes, so that a second run leaves the file as it is.
        """
        rows = [(cell.id, canonical_json(cell.spec()), canonical_json(theory)) for cell, theory in cells]
        with self.together():
            self._rows.put_cells(rows)

    def want(self, replicates: Mapping[str, int]) -> None:
        """Note how many replicates of stored cells a run asks for; of several runs the most.

        Args:
            replicates: wanted number by cell id.
        """
        with self.together():
            self._rows.put_wanted(replicates)

    def add_records(self, cell_id: str, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Add records of one cell; see `add_units`."""
        self.add_units([{cell_id: records}])

    def add_units(self, units: Iterable[Mapping[str, Mapping[int, Mapping[str, Any]]]]) -> None:
        """Add the records of units of work in one transaction.

        Only what is there of these very replicates is looked at, so that the time does not grow with the store.

        Args:
            units: each: id of a stored cell → replicate → payload (JSON values).

        Raises:
            StoreError: a record is there already with another content, or the file cannot be written; then nothing
                of the units is.
        """
        rows = sorted(
            (cell_id, replicate, canonical_json(payload))
            for unit in units
            for cell_id, of_cell in unit.items()
            for replicate, payload in of_cell.items()
        )
        for one, other in pairwise(rows):
            if one[:2] == other[:2] and one != other:
                raise StoreError(
                    f"replicate {one[1]} of cell {one[0][:12]} came to two different contents: neither is stored in "
                    f"{self.path}"
                )
        with self.together():
            self._rows.put_records(rows)

    # reading

    def cells(self) -> list[StoredCell]:
        """All cells, in a fixed order: `Cell.order`."""
        stored = [
            StoredCell(self._cell(row), self._object(row[2], f"cell {row[0][:12]}"))
            for row in self._rows.cells()
        ]
        return sorted(stored, key=lambda s: s.cell.order)

    def bare_cells(self) -> list[Cell]:
        """All cells without their theory, in the same order."""
        return sorted((self._cell(row) for row in self._rows.cells()), key=lambda cell: cell.order)

    def find(self, prefix: str) -> StoredCell:
        """The cell whose id starts with `prefix`.

        Raises:
            StoreError: none or several do.
        """
        found = [stored for stored in self.cells() if stored.cell.id.startswith(prefix)]
        if len(found) != 1 or not prefix:
            count = f"{len(found)} cells" if found else "no cell"
            allowed = (
                "give a longer start of one id" if found else "give the start of an id that status shows"
            )
            raise StoreError(f"cell {prefix!r} matches {count} of {self.path}: {allowed}")
        return found[0]

    def wanted(self) -> dict[str, int]:
        """The most replicates that any run asked for, by cell id; cells of which that is not known are left out."""
        return self._rows.wanted()

    def counts(self) -> dict[str, Count]:
        """What there is of each cell, by id. No records are read, unless some have higher numbers than any run wants.

        Raises:
            StoreError: the store is damaged; damage of records need not be noticed.
        """
        with self.snapshot():
            wanted, tallies = self.wanted(), self._rows.tallies()
            counts = {}
            for identity, *_ in self._rows.cells():
                tally = tallies.get(identity)
                if tally is None and self.has_sums:
                    raise self._database.damaged(f"it does not count the records of cell {identity[:12]}")
                stored = 0 if tally is None else tally.count
                missing = wanted.get(identity)
                if missing is not None:
                    beyond = tally is not None and tally.highest >= missing
                    missing -= sum(r < missing for r in self.replicates(identity)) if beyond else stored
                counts[identity] = Count(stored, missing)
        return counts

    def replicates(self, cell_id: str) -> set[int]:
        """Numbers of the stored replicates of a cell."""
        return self._rows.replicates(cell_id)

    def records_of(
        self, cell_id: str, replicates: Iterable[int] | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Stored records of a cell, one at a time, so that they need not all be in memory.

        That none is missing is known at the end. Nothing may be written before the last is read.

        Args:
            cell_id: of any cell.
            replicates: which, in this order; those that are not stored are left out. None: all, increasing.
        """
        if replicates is None:
            rows: Iterable[RecordRow] = self._rows.records(cell_id)
        else:
            found = ((r, self._rows.record(cell_id, r)) for r in replicates)
            rows = ((cell_id, r, payload) for r, payload in found if payload is not None)
        for _, replicate, payload in rows:
            yield replicate, self._object(payload, f"replicate {replicate} of cell {cell_id[:12]}")

    def records(self, cell_id: str) -> dict[int, dict[str, Any]]:
        """Stored records of a cell by replicate, increasing."""
        return dict(self.records_of(cell_id))

    def checked_records_of(self, cell: Cell) -> Iterator[tuple[int, dict[str, Any]]]:
        """Records of a cell by replicate, increasing, one at a time, each such as its protocol makes them.

        Raises:
            StoreError: one is not.
        """
        from sim.protocol.registry import protocol_of  # protocols summarise stores

        protocol = protocol_of(cell)
        for replicate, payload in self.records_of(cell.id):
            problem = protocol.problem(cell, payload)
            if problem is not None:
                raise StoreError(
                    f"replicate {replicate} of cell {cell.id[:12]} in {self.path} {problem}: it was altered"
                )
            yield replicate, payload

    def checked_records(self, cell: Cell) -> dict[int, dict[str, Any]]:
        """All of `checked_records_of` by replicate, increasing."""
        return dict(self.checked_records_of(cell))

    def check(self) -> None:
        """Read all of the store, and check how its pages hang together.

        Raises:
            StoreError: it is damaged.
        """
        with self.snapshot():
            for (said,) in self._database.rows("PRAGMA quick_check(1)"):
                if said != "ok":
                    raise self._database.damaged("its pages do not hang together")
            self.counts()
            for _ in self._rows.all_records():
                pass
        self._checked = True

    @property
    def rows(self) -> Rows:
        """The rows as they are, for what makes stores of stores."""
        return self._rows

    def _cell(self, row: CellRow) -> Cell:
        cell = Cell.from_spec(self._object(row[1], f"cell {row[0][:12]}"))
        if cell.id != row[0]:
            raise StoreError(f"cell {row[0][:12]} in {self.path} does not match its content: it was altered")
        return cell

    def _object(self, text: str, name: str) -> dict[str, Any]:
        """A JSON object of the store."""
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise StoreError(f"{name} in {self.path} is not a JSON object: it was altered")
        return value
