"""A store as a SQLite file: opened or made, locked, read and written; what goes wrong is one sentence."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from sim.errors import StoreError
from sim.store.schema import APPLICATION_ID, CELLS, HEADER, SCHEMA_VERSION, TABLES, WANTED, sum_of

CHECKPOINT_PAGES = 4000
"""The -wal file is written back when it has so many pages (16 MB): each time costs two waits for the disk."""

SAID = 100
"""Characters of what SQLite says that are repeated."""

_VERSIONS_AT = 18
"""Where the header says how the file is written and read: 2, by a -wal file."""

_NOT_DAMAGE = frozenset(
    (
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM),
        *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL),
        sqlite3.SQLITE_CANTOPEN,
    )
)
"""Errors of the machine, not of the content of the file."""


@final
class Database:
    """An open file. See `sim.store.Store` for what its arguments mean, and for what is refused.

    Attributes:
        path: the file.
        write: whether it may be written.
        version: of its tables.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self.write = write
        self.version = SCHEMA_VERSION
        self._written = False
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        try:
            exists = path.exists()
            if not exists and not write:
                raise StoreError(f"store {path} does not exist: give the --out of an earlier run")
            if exists and not path.is_file():
                raise StoreError(f"store {path} is not a file: give the path of a store")
            start = b""
            if exists:
                with path.open("rb") as file:
                    start = file.read(_VERSIONS_AT + 2)
            if start and not start.startswith(HEADER):
                raise StoreError(
                    f"store {path} is not one of our files, or its first bytes are damaged: give another path, or run "
                    f"{_recovery(path)}"
                )
            if write:
                self._take_lock()
            self._connect()
            self._check_or_create(start)
        except OSError as error:
            self.close()
            raise StoreError(f"store {path} cannot be opened: {error.strerror or error}") from error
        except (sqlite3.Error, UnicodeDecodeError) as error:
            self.close()
            raise self._unreadable(error) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file and give the lock back; closing twice is allowed.

        What was written is then in the file itself and on the disk, if there is room for it and no reader holds on to
        what was there before; otherwise it is in the -wal file, on the disk too.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            if self._written:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            connection.close()
            if self._written:
                _to_disk(_wal(self.path))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def rows(self, sql: str, parameters: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a query, as they are asked for.

        Raises:
            StoreError: they cannot be read.
        """
        try:
            for row in self._open().execute(sql, parameters):  # noqa: UP028 - it would close the cursor, too late
                yield row
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error

    def first(self, sql: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        return next(self.rows(sql, parameters), None)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read inside is all of one moment, whoever writes meanwhile."""
        connection = self._open()
        if self.write or connection.in_transaction:  # who may write is alone
            yield
            return
        for _ in self.rows("BEGIN"):
            pass
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):  # closed before the last row was read
                connection.execute("COMMIT")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is written, or nothing; one inside another is a part of it.

        Raises:
            StoreError: it cannot be written.
        """
        connection = self._open()
        if connection.in_transaction and self.write:
            yield connection
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
                self._written = True
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StoreError(
                f"store {self.path} cannot be written ({_reason(error)}): what was stored before is kept"
                + (f"; run {_recovery(self.path)} to save what is whole" if _is_damage(error) else "")
            ) from error

    def make_tables(self) -> None:
        """Make the tables of the present version, in one transaction."""
        with self.transaction() as connection:
            for statement in TABLES.values():
                connection.execute(statement)
            for name in (CELLS, WANTED):
                row = (name, 0, 0, -1)
                connection.execute(
                    "INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", (*row, sum_of("tallies", *row))
                )
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            self.version = SCHEMA_VERSION

    def damaged(self, what: str) -> StoreError:
        """The refusal of a damaged store.

        Args:
            what: is wrong, a clause.
        """
        return StoreError(
            f"store {self.path} is damaged: {what}; run {_recovery(self.path)} to save what is whole"
        )

    def _unreadable(self, error: Exception) -> StoreError:
        advice = f": run {_recovery(self.path)} to save what is whole" if _is_damage(error) else ""
        return StoreError(f"store {self.path} cannot be read ({_reason(error)}){advice}")

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"store {self.path} was closed")
        return self._connection

    def _take_lock(self) -> None:
        self._lock = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"store {self.path} is in use by another run: wait for it, or give another --out"
            ) from error

    def _connect(self) -> None:
        # A connection that may not write leaves its -wal and -shm files behind: readers may, but do not.
        folder, wal = self.path.resolve().parent, _wal(self.path)
        mode = "rw" if self.write or (os.access(self.path, os.W_OK) and os.access(folder, os.W_OK)) else "ro"
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        if mode == "ro" and not os.access(folder, os.W_OK):
            if wal.exists() and wal.stat().st_size:
                raise StoreError(
                    f"store {self.path} has records in {wal.name} that cannot be read in a folder that is read-only: "
                    "copy both files to one that is not"
                )
            # SQLite cannot make its -shm file there; a store whose folder is read-only is not being written either.
            uri += "&immutable=1"
        self._connection = sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        if not self.write:
            self._connection.execute("PRAGMA query_only = ON")

    def _check_or_create(self, start: bytes) -> None:
        connection = self._open()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and things == 0:  # new, or killed while it was being made
            if not self.write:
                raise StoreError(f"store {self.path} is empty: run a grid into it first")
            self._create()
            return
        if application != APPLICATION_ID:
            if TABLES.items() <= tables.items():
                raise self.damaged("its header does not say that it is a store")
            raise StoreError(f"store {self.path} is a database of another program: give another path")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"store {self.path} was written by a newer version (schema {version}, here {SCHEMA_VERSION}): "
                "update this program"
            )
        first = version == 1 and {"cells", "records"} <= tables.keys() and "tallies" not in tables
        if not first and not (version == SCHEMA_VERSION and TABLES.items() <= tables.items()):
            raise self.damaged("its tables are not those of a store")
        if start[_VERSIONS_AT:] != b"\2\2":
            raise self.damaged("its header does not say that it has a -wal file")
        self.version = version

    def _create(self) -> None:
        self._open().execute("PRAGMA journal_mode = WAL")
        with self.transaction() as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.make_tables()
        # The -wal file of a run that is killed may be deleted: then there still is a store.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _to_disk(self.path.resolve().parent)


def _wal(path: Path) -> Path:
    """Where SQLite keeps what is not yet in the file itself; beside the file, not beside a link to it."""
    real = path.resolve()
    return real.with_name(real.name + "-wal")


def _to_disk(path: Path) -> None:
    """Wait until a file or a folder is on the disk; where there is none, or it cannot be waited for, do nothing."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _recovery(path: Path) -> str:
    return f"recover {path} --out NEW"


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF not in _NOT_DAMAGE


def _reason(error: Exception) -> str:
    """What SQLite says, in one short line, whatever bytes of the file it quotes."""
    said = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return said if len(said) <= SAID else said[:SAID] + "…"
