"""Tables for other programs, in a fixed order, the same bytes for the same records. Each protocol has its own.

`sim.schema` says what is in them, and how their rows are ordered; it is the page `docs/tables.md`.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sim.errors import StoreError
from sim.files import whole
from sim.protocol.base import Protocol
from sim.schema import TABLE_VERSION, table_of
from sim.store import Store, StoredCell

BATCH = 1 << 16
"""Rows of a row group of a Parquet file: its bytes depend on that."""

Row = tuple[Any, ...]


def rows(store: Store, protocol: Protocol, cells: Sequence[StoredCell]) -> Iterator[Row]:
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
    with whole(to, "table ") as path, path.open("wb") as file:
        return csv_into(store, protocol, cells, file)


def write_parquet(store: Store, protocol: Protocol, cells: Sequence[StoredCell], to: Path) -> int:
    """Write a Parquet file; returns the number of rows.

    Raises:
        SimError: as `write_csv`.
    """
    with whole(to, "table ") as path, path.open("wb") as file:
        return parquet_into(store, protocol, cells, file)


def csv_into(store: Store, protocol: Protocol, cells: Sequence[StoredCell], file: Any) -> int:
    """Write CSV as UTF-8 into a binary file, which stays open; returns the number of rows.

    Raises:
        SimError: a record is not such as its protocol makes them.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        return _csv(store, protocol, cells, text)
    finally:
        text.detach()  # after a flush


def parquet_into(store: Store, protocol: Protocol, cells: Sequence[StoredCell], file: Any) -> int:
    """Write Parquet into a binary file, which need not seek and stays open; returns the number of rows.

    Raises:
        SimError: as `csv_into`.
    """
    import pyarrow.parquet as pq

    schema = parquet_schema(protocol)
    count = 0
    with pq.ParquetWriter(file, schema) as writer:
        for batch in batches(store, protocol, cells):
            writer.write_table(batch)
            count += batch.num_rows
    return count


def parquet_schema(protocol: Protocol) -> Any:
    """The schema of a protocol's Parquet files, of pyarrow: what a column means is metadata of its field.

    Nothing here depends on the machine, or on what else is installed: files of equal records are to have equal bytes.
    """
    import pyarrow as pa

    kinds = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64()}
    fields = [
        pa.field(
            name,
            kinds[column.kind],
            nullable=column.empty,
            metadata={"description": column.meaning, "unit": column.unit, "range": column.allowed},
        )
        for name, column in table_of(protocol).items()
    ]
    return pa.schema(fields, {"protocol": protocol.tag(), "table_version": str(TABLE_VERSION)})


def batches(store: Store, protocol: Protocol, cells: Sequence[StoredCell]) -> Iterator[Any]:
    """The table in pieces of `BATCH` rows and a last shorter one, of pyarrow.

    Raises:
        SimError: a record is not such as its protocol makes them.
    """
    import pyarrow as pa

    schema = parquet_schema(protocol)
    left = rows(store, protocol, cells)
    while batch := list(islice(left, BATCH)):
        try:
            arrays = [pa.array([row[i] for row in batch], field.type) for i, field in enumerate(schema)]
        except (pa.ArrowException, OverflowError) as error:
            raise StoreError(
                f"a record in {store.path} has a value that its column cannot hold ({error}): it was altered"
            ) from error
        yield pa.table(arrays, schema=schema)


def _csv(store: Store, protocol: Protocol, cells: Sequence[StoredCell], file: Any) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(protocol.columns)
    count = 0
    for count, row in enumerate(rows(store, protocol, cells), 1):  # noqa: B007
        writer.writerow(row)
    return count
