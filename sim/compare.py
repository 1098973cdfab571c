"""Comparing what is made again with what was made before, without holding either in memory or on disk."""

import io
import math
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, final

from sim.export import batches, parquet_schema
from sim.protocol.base import Protocol
from sim.store import Store, StoredCell

TOLERANCE = 1e-6
"""Relative error that other versions of libraries may make of a number."""


class DifferentError(Exception):
    """What is written is not what was expected."""


@final
class Comparing(io.RawIOBase):
    """A binary file that compares what is written to it, and keeps nothing.

    Args:
        expected: the bytes, in pieces of any lengths.

    Raises:
        DifferentError: at the first byte that differs or is too many; what is written later is let go.
    """

    def __init__(self, expected: Iterator[bytes]) -> None:
        super().__init__()
        self._expected = expected
        self._rest = memoryview(b"")
        self._position = 0
        self._different = False

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        return self._position

    def write(self, data: Any) -> int:
        """Compare the next bytes."""
        left = memoryview(data).cast("B")
        size = len(left)
        self._position += size
        while len(left) and not self._different:
            if not len(self._rest):
                self._rest = memoryview(next(self._expected, b""))
            count = min(len(left), len(self._rest))
            if not count or left[:count] != self._rest[:count]:
                self._different = True  # whoever writes may write once more while it is being closed
                raise DifferentError
            left, self._rest = left[count:], self._rest[count:]
        return size

    def at_end(self) -> bool:
        """Whether all that was expected was written, and nothing else."""
        return not self._different and not len(self._rest) and not next(self._expected, b"")


def alike(one: object, other: object) -> bool:
    """Whether JSON values are equal but for the rounding of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE**2)
    return one == other


def parquet_problem(path: Path, store: Store, protocol: Protocol, cells: Sequence[StoredCell]) -> str | None:
    """What a Parquet file has other than the table: a name, a type, a row, a value; None if nothing.

    Raises:
        SimError: a record is not such as its protocol makes them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(parquet_schema(protocol)):
                return "it has other columns"
            groups = range(file.metadata.num_row_groups)
            for group, batch in zip_longest(groups, batches(store, protocol, cells)):
                if group is None or batch is None:
                    return f"it has {len(groups)} row groups"
                # Before they are read: there may be any number.
                if file.metadata.row_group(group).num_rows != batch.num_rows:
                    return f"row group {group} has another number of rows"
                if not file.read_row_group(group).equals(batch):
                    return f"row group {group} has another value"
    except (pa.ArrowException, OSError) as error:
        return f"it cannot be read: {error}"
    return None
