"""The tables of a store, and the sums that its rows carry.

Version 2. Every row ends with a sum over all else in it, so that what is read is what was written. Rows that are
missing have no sums, so the tallies have one row a cell with the number of its records and the total of their sums, and
one each for the cells and for what runs asked for: what is read is then also all that was written. A tally costs a
transaction one row more, on a page that is mostly written anyway, whatever the size of the store.

Version 1 had neither sums nor tallies; at first it had no table `wanted` either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, final

APPLICATION_ID = 0x53504152  # "SPAR"
SCHEMA_VERSION = 2
HEADER = b"SQLite format 3\x00"

CELLS, WANTED = "cells", "wanted"
"""Names of the tallies that are not of the records of a cell."""

TABLES = {
    "cells": """CREATE TABLE cells (
  id TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  theory TEXT NOT NULL,
  revision INTEGER NOT NULL,
  sum INTEGER NOT NULL
) WITHOUT ROWID""",
    "records": """CREATE TABLE records (
  cell TEXT NOT NULL REFERENCES cells(id),
  replicate INTEGER NOT NULL CHECK (replicate >= 0),
  payload TEXT NOT NULL,
  sum INTEGER NOT NULL,
  PRIMARY KEY (cell, replicate)
) WITHOUT ROWID""",
    "wanted": """CREATE TABLE wanted (
  cell TEXT PRIMARY KEY REFERENCES cells(id),
  replicates INTEGER NOT NULL CHECK (replicates >= 1),
  sum INTEGER NOT NULL
) WITHOUT ROWID""",
    "tallies": """CREATE TABLE tallies (
  name TEXT PRIMARY KEY,
  count INTEGER NOT NULL,
  total INTEGER NOT NULL,
  highest INTEGER NOT NULL,
  sum INTEGER NOT NULL
) WITHOUT ROWID""",
}
"""Each as it stands in the file."""

TYPES: dict[str, list[type]] = {
    "cells": [str, str, str, int],
    "records": [str, int, str],
    "wanted": [str, int],
    "tallies": [str, int, int, int],
}
"""Of the columns but the sum."""


@final
@dataclass(frozen=True, slots=True)
class Tally:
    """What there is of a kind of rows.

    Attributes:
        count: of rows.
        total: of their sums, modulo 2^64, as a signed number.
        highest: number of a replicate, −1 where there is none.
    """

    count: int = 0
    total: int = 0
    highest: int = -1

    def plus(self, total: int, highest: int = -1, *, instead_of: int | None = None) -> "Tally":
        """With one row more, or with a row's sum instead of another."""
        count = self.count + (instead_of is None)
        return Tally(count, signed(self.total + total - (instead_of or 0)), max(self.highest, highest))


def signed(value: int) -> int:
    """A number modulo 2^64, as SQLite holds it: −2^63 to 2^63 − 1."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def sum_of(table: str, *values: Any) -> int:
    """The sum of a row: 8 bytes of BLAKE2b over its table and all else in it."""
    text = "\0".join([table, *map(str, values)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def has_types(table: str, values: Iterable[Any]) -> bool:
    """Whether the values of a row, but for its sum, are of the types of its table."""
    return [*map(type, values)] == TYPES[table]
