"""Named streams of randomness: each use of chance in a cell, or in a task, has a key of its own.

A key is the first 64 bits of the SHA-256 of (id of the cell or task, name); the replicate's number selects the
stream under that key. So each replicate can be replayed alone, and no stream of one name or cell meets another's.
"""

import hashlib
import json

from kernels import draw_integers

NAMES = (
    "support",
    "initialisation",
    "teacher weights",
    "teacher biases",
    "data",
    "teacher initialisation",
    "teacher data",
    "student data",
    "evaluation",
    "probe",
    "student biases",
    "second stage",
)


def key(cell_id: str, name: str) -> int:
    """The 64-bit key of a named stream of a cell; `name` is one of `NAMES`."""
    if name not in NAMES:
        raise ValueError(f"stream name {name!r} is unknown: use one of {', '.join(NAMES)}")
    digest = hashlib.sha256(json.dumps([cell_id, name]).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def draw_support(cell_id: str, n: int, k: int) -> tuple[int, ...]:
    """The hidden support of a cell: k of n coordinates, uniformly, increasing."""
    count = 64
    while True:
        drawn = [int(i) for i in draw_integers(key(cell_id, "support"), 0, count, n)]
        distinct = list(dict.fromkeys(drawn))
        if len(distinct) >= k:
            return tuple(sorted(distinct[:k]))
        count *= 2
