"""What is whole of a damaged store, into a new one."""

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sim.cell import Cell
from sim.errors import SimError, StoreError
from sim.files import whole
from sim.store.rows import RecordRow
from sim.store.salvage import Image
from sim.store.schema import CELLS, TABLES, WANTED, Tally, has_types, sum_of
from sim.store.store import Store

BATCH = 1 << 12
"""Records of a transaction."""


@final
@dataclass
class Recovered:
    """What was found, and what is known of what there was.

    Attributes:
        cells: revision, spec and theory by id, of each cell the latest.
        wanted: replicates that runs asked for, by cell.
        tallies: by name, of each the one of most rows.
        records: number of records that are in the new store, by cell.
        first_version: the rows have no sums.
        complete: it is known that nothing is missing.
    """

    cells: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    first_version: bool = False
    complete: bool = False

    def losses(self) -> list[str]:
        """What is missing, or not known, in clauses."""
        if self.complete:
            return []
        if self.first_version:
            return ["how much there was is not known"]
        clauses = []
        cells, wanted = self.tallies.get(CELLS), self.tallies.get(WANTED)
        named = self.cells.keys() | self.records.keys() | self.wanted.keys() | self.tallies.keys()
        lost = max(len(named - {CELLS, WANTED}), cells.count if cells else 0) - len(self.cells)
        if lost:
            kept = sum(cell not in self.cells for cell in self.records)
            clauses.append(
                f"{_number(lost, 'cell')} {_was(lost)} lost"
                + (f" (but records of {kept} are kept)" if kept else "")
            )
        if cells is None:
            clauses.append("how many cells there were is not known")
        lost = sum(
            max(0, tally.count - self.records.get(name, 0))
            for name, tally in self.tallies.items()
            if name not in (CELLS, WANTED)
        )
        if lost:
            clauses.append(f"{_number(lost, 'record')} {_was(lost)} lost")
        unknown = sum(
            cell not in self.tallies and self.records.get(cell, 0) < self.wanted.get(cell, 1)
            for cell in self.cells
        )
        if unknown:
            clauses.append(f"how many records there were is not known of {_number(unknown, 'cell')}")
        if wanted is None or wanted.count > len(self.wanted):
            clauses.append("how many replicates were asked for is not known of all cells")
        return clauses

    def sentence(self, source: Path, out: Path) -> str:
        """All in one sentence."""
        tally = self.tallies.get(CELLS)
        of = f" of {tally.count:,}" if tally is not None and tally.count > len(self.cells) else ""
        losses = self.losses()
        return (
            f"recovered {len(self.cells):,}{of} {'cell' if len(self.cells) == 1 and not of else 'cells'} and "
            f"{_number(sum(self.records.values()), 'record')} of {source} into {out}; "
            + (", ".join(losses) or "nothing was lost")
            + (
                ", and rows of version 1 have no sums by which it could be told whether they are as they were written"
                if self.first_version
                else ""
            )
            + (": run the same command on it to run again what is missing" if losses else "")
        )


def recover_store(source: Path, out: Path) -> Recovered:
    """Copy what is whole of a store into a new one; the damaged one is only read.

    Of rows with sums those are kept whose sum is right, wherever they are found. Records whose cell was lost are kept:
    they count again when a run brings the cell back. Of version 1 cells are kept whose id is right, and records that
    are such as the protocol of their cell makes them, unless two of the same replicate differ.

    Raises:
        SimError: there is nothing to be recovered, `out` is there already, or cannot be written; then it is not made.
    """
    if out.exists():
        raise StoreError(f"store {out} is there already: give a new path to recover into")
    with _locked(source), Image(source) as image, whole(out, "store ") as temporary:
        try:
            with Store(temporary, write=True) as store:
                found = _into(store, image)
        except StoreError as error:
            raise StoreError(f"{out} cannot be made of {source}: {error}") from error
        finally:
            for suffix in ("-wal", "-shm"):  # where the disk was full
                temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
        if found.first_version:
            found.complete = _counts_by_sqlite(source) == (len(found.cells), sum(found.records.values()))
        if not (found.cells or found.records or found.tallies or found.complete):
            raise StoreError(f"nothing of {source} can be recovered: there are no rows of a store in it")
    return found


def _into(store: Store, image: Image) -> Recovered:
    found = _with_sums(image, store)
    if not (found.cells or found.records or found.tallies):
        found = _without_sums(image, store)
    store.rows.put_cells(
        (identity, spec, theory) for identity, (_, spec, theory) in sorted(found.cells.items())
    )
    store.want(found.wanted)
    return found


def _with_sums(image: Image, store: Store) -> Recovered:
    found = Recovered()
    batch: list[RecordRow] = []
    for place in image.places():
        table, values = next(filter(None, map(_true_row, place)), ("", ()))
        match table:
            case "cells":
                identity, spec, theory, revision = values
                if identity not in found.cells or revision > found.cells[identity][0]:
                    found.cells[identity] = (revision, spec, theory)
            case "wanted":
                cell, replicates = values
                found.wanted[cell] = max(replicates, found.wanted.get(cell, 0))
            case "tallies":
                name, *numbers = values
                found.tallies[name] = max(
                    Tally(*numbers), found.tallies.get(name, Tally()), key=lambda t: t.count
                )
            case "records":
                batch.append((values[0], values[1], values[2]))
        if len(batch) == BATCH:
            store.rows.put_records(sorted(batch))
            batch = []
    store.rows.put_records(sorted(batch))
    found.records = {cell: tally.count for cell, tally in store.rows.tallies().items()}
    return found


def _true_row(values: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]] | None:
    """The table of a row and its values but for the sum, if that is right."""
    *content, total = values
    for table in TABLES:
        if has_types(table, content) and sum_of(table, *content) == total:
            return table, tuple(content)
    return None


def _without_sums(image: Image, store: Store) -> Recovered:
    """Rows of version 1: cells by their id, records by what their protocol says of them."""
    found = Recovered(first_version=True)
    for values in (values for place in image.places() for values in place):
        match values:
            case (str(identity), str(spec), str(theory)) if _is_cell(identity, spec) and _is_object(theory):
                found.cells[identity] = (0, spec, theory)
            case (str(cell), int(replicates)) if replicates > 0:
                found.wanted[cell] = max(replicates, found.wanted.get(cell, 0))
    found.wanted = {cell: count for cell, count in found.wanted.items() if cell in found.cells}
    records: dict[tuple[str, int], str | None] = {}
    for cell, replicate, payload in _records_without_sums(image, found):
        key = cell, replicate
        records[key] = payload if records.get(key, payload) == payload else None
    kept = [
        (cell, replicate, text) for (cell, replicate), text in sorted(records.items()) if text is not None
    ]
    store.rows.put_records(kept)
    found.records = Counter(cell for cell, _, _ in kept)
    return found


def _records_without_sums(image: Image, found: Recovered) -> Iterator[RecordRow]:
    from sim.protocol.registry import protocol_of  # protocols summarise stores

    cells = {identity: Cell.from_spec(json.loads(spec)) for identity, (_, spec, _) in found.cells.items()}
    for values in (values for place in image.places() for values in place):
        match values:
            case (str(cell), int(replicate), str(payload)) if cell in cells and replicate >= 0:
                if (
                    _is_object(payload)
                    and protocol_of(cells[cell]).problem(cells[cell], json.loads(payload)) is None
                ):
                    yield cell, replicate, payload


def _is_cell(identity: str, spec: str) -> bool:
    """Whether a specification has this id, and a protocol that is known here."""
    if hashlib.sha256(spec.encode()).hexdigest() != identity:
        return False
    try:
        return Cell.from_spec(json.loads(spec)).id == identity
    except SimError:
        return False


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _counts_by_sqlite(source: Path) -> tuple[int, int] | None:
    """Cells and records as SQLite counts them in a store that it finds nothing wrong with and that has no -wal file."""
    real = source.resolve()
    wal = real.with_name(real.name + "-wal")
    if wal.exists() and wal.stat().st_size:
        return None
    connection = sqlite3.connect(f"{real.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            return None
        counts = [
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("cells", "records")
        ]
        return counts[0], counts[1]
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        connection.close()


@contextlib.contextmanager
def _locked(source: Path) -> Iterator[None]:
    """Keep runs from writing to a store; refuse one that they are writing to."""
    try:
        handle = os.open(source, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"store {source} cannot be opened: {error.strerror or error}") from error
    try:
        if not source.is_file():
            raise StoreError(f"store {source} is not a file: give the path of a store")
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreError(f"store {source} is in use by another run: wait for it") from error
    finally:
        os.close(handle)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
