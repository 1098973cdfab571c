"""Tables for other programs, in a fixed order, the same bytes for the same records. Each protocol has its own.

First step, the success table: one row a (cell, replicate, sample count).

| column | type | meaning |
|---|---|---|
| cell | string | id of the cell |
| protocol | string | name and version |
| n, k, q | integer | dimension, size of the support, threshold count |
| schedule | string | canonical JSON of the schedule |
| seed | integer | seed of the cell |
| replicate | integer | number of the student |
| samples | integer | B |
| success | integer | 1 if the k largest gradient entries after B samples are the support |
| digest | string | hash of all gradient sums of the replicate |

Online, the curves: see `sim.online.records`.
"""

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sim.errors import SimError
from sim.protocol.base import Protocol
from sim.store import Store, StoredCell

BATCH = 1 << 16


def rows(store: Store, protocol: Protocol, cells: Sequence[StoredCell]) -> Iterator[tuple[Any, ...]]:
    """Rows of the table, cell by cell."""
    for stored in cells:
        yield from protocol.rows(store, stored)


def write_csv(store: Store, protocol: Protocol, cells: Sequence[StoredCell], to: Path | None) -> int:
    """Write CSV to a file, or to standard output; returns the number of rows.

    Raises:
        SimError: the file cannot be written, or a record is not such as its protocol makes them; a file is then left
            as it was.
    """
    if to is None:
        return _csv(store, protocol, cells, sys.stdout)
    with _whole(to) as path, path.open("w", newline="", encoding="utf-8") as file:
        return _csv(store, protocol, cells, file)


def write_parquet(store: Store, protocol: Protocol, cells: Sequence[StoredCell], to: Path) -> int:
    """Write a Parquet file; returns the number of rows.

    Raises:
        SimError: as `write_csv`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = dict.fromkeys(protocol.integers, pa.int64()) | dict.fromkeys(protocol.reals, pa.float64())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in protocol.columns])
    count = 0
    with _whole(to) as path, pq.ParquetWriter(path, schema) as writer:
        batch: list[tuple[Any, ...]] = []
        for row in rows(store, protocol, cells):
            batch.append(row)
            if len(batch) == BATCH:
                writer.write_table(_table(batch, schema))
                count += len(batch)
                batch = []
        writer.write_table(_table(batch, schema))
        count += len(batch)
    return count


@contextlib.contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """A path to write to; what is there afterwards is the whole file, or what was there before."""
    try:
        if to.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        if to.exists() and not to.is_file():  # a pipe or a device is written to, not replaced
            yield to
            return
        target = to.resolve()
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~mask)
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SimError(f"table {to} cannot be written: {error.strerror or error}") from error


def _csv(store: Store, protocol: Protocol, cells: Sequence[StoredCell], file: Any) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(protocol.columns)
    count = 0
    for row in rows(store, protocol, cells):
        writer.writerow(row)
        count += 1
    return count


def _table(batch: list[tuple[Any, ...]], schema: Any) -> Any:
    import pyarrow as pa

    arrays = [pa.array([row[i] for row in batch], field.type) for i, field in enumerate(schema)]
    return pa.table(arrays, schema=schema)
