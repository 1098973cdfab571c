"""The store: one SQLite file that holds cells, the bounds that speak about them, and records.

One driver writes at a time (an advisory lock on the file, gone with the process that held it); readers are free.
Records are only ever added, one transaction a unit of work, so a crash loses at most the units under way.
"""

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, final

from sim.cell import Cell, canonical_json
from sim.errors import StoreError

APPLICATION_ID = 0x53504152  # "SPAR"
SCHEMA_VERSION = 1
_HEADER = b"SQLite format 3\x00"
_SCHEMA = """
CREATE TABLE cells (
  id TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  theory TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE records (
  cell TEXT NOT NULL REFERENCES cells(id),
  replicate INTEGER NOT NULL CHECK (replicate >= 0),
  payload TEXT NOT NULL,
  PRIMARY KEY (cell, replicate)
) WITHOUT ROWID;
"""
_WANTED = """
CREATE TABLE IF NOT EXISTS wanted (
  cell TEXT PRIMARY KEY REFERENCES cells(id),
  replicates INTEGER NOT NULL CHECK (replicates >= 1)
) WITHOUT ROWID
"""
"""Came later than the others: stores without it are read, and given it when it is first needed."""


@final
@dataclass(frozen=True, slots=True)
class StoredCell:
    """A cell with the theory that was stored beside it (JSON values)."""

    cell: Cell
    theory: dict[str, Any]


@final
class Store:
    """An open store. Use as a context manager.

    Args:
        path: the file; made when absent and `write` is set.
        write: take the writer's lock.

    Raises:
        StoreError: the file is not one of ours, was written by a newer version, is damaged, is locked by another
            run, or does not exist (reading).
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._lock: int | None = None
        try:
            exists = path.exists()
            if not exists and not write:
                raise StoreError(f"store {path} does not exist: give the --out of an earlier run")
            if exists and not path.is_file():
                raise StoreError(f"store {path} is not a file: give the path of a store")
            if exists:
                _check_header(path)
            if write:
                self._take_lock()
            self._connection = self._connect()
            self._check_or_create()
        except OSError as error:
            self.close()
            raise StoreError(f"store {path} cannot be opened: {error.strerror or error}") from error
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"store {path} cannot be read: {error}") from error
        except StoreError:
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
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()
            del self._connection
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def add_cells(self, cells: Iterable[tuple[Cell, Mapping[str, Any]]]) -> None:
        """Add cells with their theory; where a cell is there, its theory is brought up to date.

        Nothing is written when nothing changes, so that a second run leaves the file as it is.
        """
        known = dict(self._execute("SELECT id, theory FROM cells"))
        rows = [
            (cell.id, canonical_json(cell.spec()), text)
            for cell, theory in cells
            if known.get(cell.id) != (text := canonical_json(theory))
        ]
        if rows:
            with self._transaction() as connection:
                connection.executemany(
                    "INSERT INTO cells VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET theory = excluded.theory",
                    rows,
                )

    def want(self, replicates: Mapping[str, int]) -> None:
        """Note how many replicates of stored cells a run asks for; of several runs the most.

        Args:
            replicates: wanted number by cell id.
        """
        known = self.wanted()
        rows = [(cell, count) for cell, count in replicates.items() if count > known.get(cell, 0)]
        if rows:
            with self._transaction() as connection:
                connection.execute(_WANTED)
                connection.executemany(
                    "INSERT INTO wanted VALUES (?, ?) "
                    "ON CONFLICT (cell) DO UPDATE SET replicates = excluded.replicates",
                    rows,
                )

    def wanted(self) -> dict[str, int]:
        """The most replicates that any run asked for, by cell id; cells of which that is not known are left out."""
        if not self._execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'wanted'"):
            return {}
        return dict(self._execute("SELECT cell, replicates FROM wanted"))

    def add_records(self, cell_id: str, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Add records of one cell; see `add_unit`."""
        self.add_unit({cell_id: records})

    def add_unit(self, records: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> None:
        """Add records in one transaction.

        Args:
            records: id of a stored cell → replicate → payload (JSON values).

        Raises:
            StoreError: a record is there already with another content, or the file cannot be written.
        """
        rows = []
        for cell_id, of_cell in records.items():
            present = self._payloads(cell_id)
            for replicate, values in sorted(of_cell.items()):
                payload = canonical_json(values)
                rows.append((cell_id, replicate, payload))
                if present.get(replicate, payload) != payload:
                    raise StoreError(
                        f"replicate {replicate} of cell {cell_id[:12]} is in {self.path} with another content: "
                        "run verify on that store"
                    )
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?)", rows)

    def cells(self) -> list[StoredCell]:
        """All cells, in a fixed order: `Cell.order`."""
        stored = []
        for identity, spec, theory in self._execute("SELECT id, spec, theory FROM cells"):
            name = f"cell {identity[:12]}"
            cell = Cell.from_spec(self._object(spec, name))
            if cell.id != identity:
                raise StoreError(f"{name} in {self.path} does not match its content: it was altered")
            stored.append(StoredCell(cell, self._object(theory, name)))
        return sorted(stored, key=lambda s: s.cell.order)

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

    def replicates(self, cell_id: str) -> set[int]:
        """Numbers of the stored replicates of a cell."""
        return {row[0] for row in self._execute("SELECT replicate FROM records WHERE cell = ?", (cell_id,))}

    def records(self, cell_id: str) -> dict[int, dict[str, Any]]:
        """Stored records of a cell by replicate, increasing."""
        return {
            replicate: self._object(payload, f"replicate {replicate} of cell {cell_id[:12]}")
            for replicate, payload in sorted(self._payloads(cell_id).items())
        }

    def checked_records(self, cell: Cell) -> dict[int, dict[str, Any]]:
        """Records of a cell by replicate, increasing, each such as its protocol makes them.

        Raises:
            StoreError: one is not.
        """
        from sim.protocol.registry import protocol_of  # protocols summarise stores

        protocol = protocol_of(cell)
        records = self.records(cell.id)
        for replicate, payload in records.items():
            problem = protocol.problem(cell, payload)
            if problem is not None:
                raise StoreError(
                    f"replicate {replicate} of cell {cell.id[:12]} in {self.path} {problem}: it was altered"
                )
        return records

    def _object(self, text: str, name: str) -> dict[str, Any]:
        """A JSON object of the store."""
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise StoreError(f"{name} in {self.path} is not a JSON object: it was altered")
        return value

    def _payloads(self, cell_id: str) -> dict[int, str]:
        return dict(self._execute("SELECT replicate, payload FROM records WHERE cell = ?", (cell_id,)))

    def _execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"store {self.path} cannot be read: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise StoreError(
                f"store {self.path} cannot be written ({error}): what was stored before is kept"
            ) from error

    def _take_lock(self) -> None:
        self._lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"store {self.path} is in use by another run: wait for it, or give another --out"
            ) from error

    def _connect(self) -> sqlite3.Connection:
        # A connection that may not write leaves its -wal and -shm files behind: readers may, but do not.
        folder = self.path.absolute().parent
        mode = "rw" if self._write or (os.access(self.path, os.W_OK) and os.access(folder, os.W_OK)) else "ro"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        if mode == "ro" and not os.access(folder, os.W_OK):
            # SQLite cannot make its -shm file there; a store whose folder is read-only is not being written either.
            uri += "&immutable=1"
        connection = sqlite3.connect(uri, uri=True, timeout=30)
        if not self._write:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _check_or_create(self) -> None:
        connection = self._connection
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0 and self._write:  # new, or killed while it was being made
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                connection.execute("BEGIN")
                for statement in (*_SCHEMA.split(";"), _WANTED):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            return
        if application != APPLICATION_ID:
            raise StoreError(f"store {self.path} is a database of another program: give another path")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"store {self.path} was written by a newer version (schema {version}, here {SCHEMA_VERSION}): "
                "update this program"
            )


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_HEADER))
    if start and start != _HEADER:
        raise StoreError(f"store {path} is not one of our files: give another path")
