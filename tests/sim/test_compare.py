"""Comparing what is made again with what was made before."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sim import compare
from sim.compare import Comparing, DifferentError, alike
from sim.export import csv_into, parquet_into
from sim.protocol.registry import PROTOCOLS
from sim.store import Store


@pytest.mark.parametrize("write", [csv_into, parquet_into])
def test_comparing_finds_every_difference(write: Callable[..., int], tiny: Path) -> None:
    with Store(tiny, write=False) as store:
        known = io.BytesIO()
        write(store, PROTOCOLS["first-step"], store.cells(), known)
        good = known.getvalue()

        def outcome(expected: bytes, size: int) -> bool | None:
            pieces = (expected[i : i + size] for i in range(0, len(expected), size))
            sink = Comparing(pieces)
            try:
                write(store, PROTOCOLS["first-step"], store.cells(), sink)
            except DifferentError:
                return None
            return sink.at_end()

        assert [outcome(good, size) for size in (1, 7, 4096, 10**6)] == [True] * 4
        assert outcome(good + b"x", 4096) is False
        assert outcome(good[:-1], 4096) is None
        assert outcome(b"", 4096) is None
        for place in (0, 1, len(good) // 2, len(good) - 1):
            bad = bytearray(good)
            bad[place] ^= 1
            assert outcome(bytes(bad), 4096) is None


def test_what_is_alike() -> None:
    value = {"a": [1, 2.0, None, "x", True], "b": {"c": 0.0}}
    assert alike(value, json.loads(json.dumps(value)))
    assert alike({"a": 1.0}, {"a": 1.0 + compare.TOLERANCE / 2})
    for one, other in [
        ({"a": 1.0}, {"a": 1.0 + compare.TOLERANCE * 2}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 1}),
        ([1, 2], [1]),
        (["x"], ["y"]),
        ([None], [0.0]),
        ([], {}),
    ]:
        assert not alike(one, other)
        assert not alike(other, one)
