"""The success table: one row a (cell, replicate, sample count), in a fixed order, the same bytes for the same records.

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
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sim.cell import canonical_json
from sim.errors import SimError
from sim.ranges import record_grid
from sim.store import Store

COLUMNS = ("cell", "protocol", "n", "k", "q", "schedule", "seed", "replicate", "samples", "success", "digest")
BATCH = 1 << 16


def rows(store: Store) -> Iterator[tuple[Any, ...]]:
    """Rows of the table in the order of (cell order of the store, replicate, samples)."""
    for stored in store.cells():
        cell = stored.cell
        grid = record_grid(cell.samples, cell.resolution)
        head = (
            cell.id,
            cell.protocol,
            cell.n,
            cell.k,
            cell.q,
            canonical_json(cell.schedule.spec()),
            cell.seed,
        )
        for replicate, (successes, digest) in store.outcomes(cell).items():
            for samples, success in zip(grid, successes, strict=True):
                yield (*head, replicate, samples, int(success), digest)


def write_csv(store: Store, to: Path | None) -> int:
    """Write CSV to a file, or to standard output; returns the number of rows."""
    try:
        if to is None:
            return _csv(store, sys.stdout)
        with to.open("w", newline="", encoding="utf-8") as file:
            return _csv(store, file)
    except BrokenPipeError:
        raise
    except OSError as error:
        if to is None:
            raise
        raise SimError(f"table {to} cannot be written: {error.strerror or error}") from error


def _csv(store: Store, file: Any) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows(store):
        writer.writerow(row)
        count += 1
    return count


def write_parquet(store: Store, to: Path) -> int:
    """Write a Parquet file; returns the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    integers = ("n", "k", "q", "seed", "replicate", "samples", "success")
    schema = pa.schema([(name, pa.int64() if name in integers else pa.string()) for name in COLUMNS])
    count = 0
    try:
        with pq.ParquetWriter(to, schema) as writer:
            batch: list[tuple[Any, ...]] = []
            for row in rows(store):
                batch.append(row)
                if len(batch) == BATCH:
                    writer.write_table(_table(batch, schema))
                    count += len(batch)
                    batch = []
            writer.write_table(_table(batch, schema))
            count += len(batch)
    except OSError as error:
        raise SimError(f"table {to} cannot be written: {error.strerror or error}") from error
    return count


def _table(batch: list[tuple[Any, ...]], schema: Any) -> Any:
    import pyarrow as pa

    arrays = [pa.array([row[i] for row in batch], field.type) for i, field in enumerate(schema)]
    return pa.table(arrays, schema=schema)
