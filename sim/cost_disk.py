"""What records take on disk."""

from collections.abc import Mapping
from typing import Any, Final

from sim.cell import canonical_json

EMPTY_STORE: Final = 14_000.0
"""Bytes of a store without cells."""

PAGE: Final = 4096
INLINE: Final = (880, 1080)
"""SQLite keeps rows of up to 1002 bytes whole in its pages, of longer ones only the first half of that or so, and
gives the rest pages of its own. Rows of about that length are of both kinds."""

ROW: Final = 75
"""Bytes of a record beside its payload: id of the cell, number, header."""

FILL: Final = 1.4
"""A page that is filled in no order is this many times as large as its rows."""


def stored_bytes(spec: Mapping[str, Any], theory: float, payload: float, records: int) -> float:
    """Bytes in a store of a cell and its records.

    Args:
        spec: of the cell.
        theory: characters of what is stored beside it.
        payload: characters of one record.
        records: their number.
    """
    return _row(len(canonical_json(spec)) + theory + 64) + records * _row(ROW + payload)


def _row(size: float) -> float:
    low, high = INLINE
    split = min(1.0, max(0.0, (size - low) / (high - low)))
    rest = max(1, -(-(size - low / 2) // PAGE))
    return (1 - split) * FILL * size + split * (FILL * low / 2 + PAGE * rest)
