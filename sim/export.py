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

Two stages: one row a (cell, replicate, x of the ladder), with B and T as `first` and `second`, their sum `total`,
whether the support was `found` (empty for students with biases), `loss` and `error` of the averaged iterate.

Online, the curves: see `sim.online.records`.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sim.files import whole
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
    with whole(to, "table ") as path, path.open("w", newline="", encoding="utf-8") as file:
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
    with whole(to, "table ") as path, pq.ParquetWriter(path, schema) as writer:
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
