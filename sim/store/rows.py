"""Rows of a store's tables: none is read whose sum is wrong, and none is missing unnoticed.

The rows of a store of version 1 have no sums; of those only the types are checked.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, final

from sim.errors import StoreError
from sim.store.database import Database
from sim.store.schema import CELLS, SCHEMA_VERSION, WANTED, Tally, has_types, signed, sum_of

CellRow = tuple[str, str, str, int]
"""id, spec, theory, revision: how often its theory was brought up to date."""

RecordRow = tuple[str, int, str]
"""cell, replicate, payload."""


@final
class Rows:
    """The rows of an open file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # reading

    def cells(self) -> Iterator[CellRow]:
        """All cells, by id."""
        columns = "id, spec, theory, revision, sum" if self._sums else "id, spec, theory, 0, NULL"
        with self._database.snapshot():
            yield from self._all("cells", f"SELECT {columns} FROM cells", (), CELLS)

    def wanted(self) -> dict[str, int]:
        """Replicates that runs asked for, by cell."""
        if (
            not self._sums
            and self._database.first("SELECT 1 FROM sqlite_master WHERE name = 'wanted'") is None
        ):
            return {}
        with self._database.snapshot():
            return dict(self._all("wanted", f"SELECT cell, replicates, {self._sum} FROM wanted", (), WANTED))

    def tallies(self) -> dict[str, Tally]:
        """Of the records of each cell, by cell; a stored cell has one even if it has no records.

        Of version 1 there are none of cells without records, and the totals are 0.
        """
        if not self._sums:
            rows = "SELECT cell, count(*), max(replicate) FROM records GROUP BY cell"
            return {cell: Tally(count, 0, highest) for cell, count, highest in self._database.rows(rows)}
        rows = "SELECT name, count, total, highest, sum FROM tallies"
        tallies = {}
        for *values, total in self._database.rows(rows):
            name, count, of_sums, highest = self._whole("tallies", tuple(values), total)
            if name not in (CELLS, WANTED):
                tallies[name] = Tally(count, of_sums, highest)
        return tallies

    def replicates(self, cell: str) -> set[int]:
        """Numbers of the replicates of a cell."""
        with self._database.snapshot():
            rows = list(self._database.rows("SELECT replicate FROM records WHERE cell = ?", (cell,)))
            numbers = {number for (number,) in rows}
            if self._sums and not len(rows) == len(numbers) == self._tally(cell).count:
                raise self._lacking(_records_of(cell))
        return numbers

    def records(self, cell: str) -> Iterator[RecordRow]:
        """Records of a cell by replicate, increasing."""
        query = f"SELECT cell, replicate, payload, {self._sum} FROM records WHERE cell = ? ORDER BY replicate"
        with self._database.snapshot():
            yield from self._all("records", query, (cell,), cell)

    def record(self, cell: str, replicate: int) -> str | None:
        """The payload of one record; None where there is none."""
        rows = f"SELECT cell, replicate, payload, {self._sum} FROM records WHERE cell = ? AND replicate = ?"
        row = self._database.first(rows, (cell, replicate))
        return None if row is None else str(self._whole("records", row[:3], row[3])[2])

    def all_records(self) -> Iterator[RecordRow]:
        """All records by cell and replicate, increasing; those of cells that are not stored too."""
        with self._database.snapshot():
            for cell in sorted(self.tallies()):
                yield from self.records(cell)

    # writing, each in one transaction

    def put_cells(self, cells: Iterable[tuple[str, str, str]]) -> None:
        """Add cells, or bring their theory up to date: id, spec, theory. Nothing is written when nothing changes."""
        query = "SELECT theory, revision, sum FROM cells WHERE id = ?"
        with self._database.transaction() as connection:
            before = tally = self._tally(CELLS)
            for identity, spec, theory in cells:
                known = connection.execute(query, (identity,)).fetchone()
                if known is not None and known[0] == theory:
                    continue
                revision = 0 if known is None else known[1] + 1
                total = sum_of("cells", identity, spec, theory, revision)
                if known is None:
                    # Its records may be there before it, where it was lost.
                    self._put_tally(identity, self._tally(identity))
                connection.execute(
                    "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)",
                    (identity, spec, theory, revision, total),
                )
                tally = tally.plus(total, instead_of=None if known is None else known[2])
            if tally != before:
                self._put_tally(CELLS, tally)

    def put_wanted(self, wanted: Mapping[str, int]) -> None:
        """Note how many replicates of cells are wanted, where that is more than before."""
        query = "SELECT replicates, sum FROM wanted WHERE cell = ?"
        with self._database.transaction() as connection:
            before = tally = self._tally(WANTED)
            for cell, replicates in wanted.items():
                known = connection.execute(query, (cell,)).fetchone()
                if known is not None and known[0] >= replicates:
                    continue
                total = sum_of("wanted", cell, replicates)
                connection.execute(
                    "INSERT OR REPLACE INTO wanted VALUES (?, ?, ?)", (cell, replicates, total)
                )
                tally = tally.plus(total, instead_of=None if known is None else known[1])
            if tally != before:
                self._put_tally(WANTED, tally)

    def put_records(self, records: Iterable[RecordRow]) -> int:
        """Add records, those of a cell together; returns how many were not there.

        Raises:
            StoreError: one is there with another content; then nothing is written.
        """
        added = 0
        with self._database.transaction() as connection:
            for cell, group in groupby(records, lambda row: row[0]):
                before = tally = self._tally(cell)
                for _, replicate, payload in group:
                    total = sum_of("records", cell, replicate, payload)
                    cursor = connection.execute(
                        "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)", (cell, replicate, payload, total)
                    )
                    if cursor.rowcount:
                        tally = tally.plus(total, replicate)
                    elif self.record(cell, replicate) != payload:
                        raise StoreError(
                            f"replicate {replicate} of cell {cell[:12]} is in {self._database.path} with another "
                            "content: run verify on that store"
                        )
                if tally != before:
                    self._put_tally(cell, tally)
                    added += tally.count - before.count
        return added

    # sums

    @property
    def _sums(self) -> bool:
        return self._database.version == SCHEMA_VERSION

    @property
    def _sum(self) -> str:
        return "sum" if self._sums else "NULL"

    def _all(
        self, table: str, query: str, parameters: tuple[Any, ...], tally: str
    ) -> Iterator[tuple[Any, ...]]:
        """Rows without their sums, each as it was written, and as many as the tally of that name says."""
        stored = self._tally(tally)
        count = total = 0
        for *values, own in self._database.rows(query, parameters):
            yield self._whole(table, values, own)
            count += 1
            total += own or 0
        if self._sums and (count, signed(total)) != (stored.count, stored.total):
            raise self._lacking(table if tally == table else _records_of(tally))

    def _whole(self, table: str, values: Sequence[Any], total: Any) -> tuple[Any, ...]:
        """A row, if it is what was written."""
        if not has_types(table, values) or (self._sums and sum_of(table, *values) != total):
            raise self._database.damaged(
                f"{_name(table, values)} {'does not match its sum' if self._sums else 'is not what it should be'}"
            )
        return tuple(values)

    def _lacking(self, what: str) -> StoreError:
        return self._database.damaged(f"it lacks {what} that were stored")

    def _tally(self, name: str) -> Tally:
        """The tally of cells, of what is wanted, or of the records of a cell, which is there if the cell is."""
        if not self._sums:
            return Tally()
        query = "SELECT name, count, total, highest, sum FROM tallies WHERE name = ?"
        row = self._database.first(query, (name,))
        if row is not None:
            return Tally(*self._whole("tallies", row[:4], row[4])[1:])
        if name in (CELLS, WANTED) or self._database.first("SELECT 1 FROM cells WHERE id = ?", (name,)):
            raise self._lacking("tallies")
        return Tally()

    def _put_tally(self, name: str, tally: Tally) -> None:
        values = (name, tally.count, tally.total, tally.highest)
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?, ?)", (*values, sum_of("tallies", *values))
            )


def _records_of(cell: str) -> str:
    return f"records of cell {cell[:12]}"


def _name(table: str, values: Sequence[Any]) -> str:
    """A row for people; its values may be of any type, and hold anything."""
    match table:
        case "cells":
            return f"cell {_shown(values[0])}"
        case "records":
            return f"replicate {_shown(values[1])} of cell {_shown(values[0])}"
        case "wanted":
            return f"what runs asked for of cell {_shown(values[0])}"
        case _:
            return f"the number of records of cell {_shown(values[0])}"


def _shown(value: Any) -> str:
    text = str(value)[:12]
    return text if text.isprintable() else ascii(text)
