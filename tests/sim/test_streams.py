import hashlib
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import streams
from tests.statistics import assert_uniform

IDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(800)]


@given(st.sampled_from(IDS), st.sampled_from(streams.NAMES))
def test_keys_have_64_bits_and_depend_on_cell_and_name_only(cell: str, name: str) -> None:
    key = streams.key(cell, name)
    assert 0 <= key < 1 << 64
    assert key == streams.key(cell, name)


def test_no_two_streams_share_a_key() -> None:
    keys = [streams.key(cell, name) for cell in IDS for name in streams.NAMES]
    assert len(set(keys)) == len(keys)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'noise' is unknown: use one of support"):
        streams.key(IDS[0], "noise")


@given(st.sampled_from(IDS), st.integers(1, 200), st.data())
def test_supports_are_increasing_subsets(cell: str, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, min(n, 10)))
    support = streams.draw_support(cell, n, k)
    assert len(support) == k
    assert list(support) == sorted(set(support))
    assert support[0] >= 0
    assert support[-1] < n
    assert support == streams.draw_support(cell, n, k)


def test_the_whole_of_small_dimensions_can_be_drawn() -> None:
    assert streams.draw_support(IDS[0], 10, 10) == tuple(range(10))


def test_supports_are_uniform() -> None:
    drawn = Counter(streams.draw_support(cell, 5, 2) for cell in IDS)
    counts = [drawn[pair] for pair in combinations(range(5), 2)]
    assert sum(counts) == len(IDS)
    assert_uniform(counts, alternative=0.21, rate=1e-7, claim="every pair of 5 coordinates is equally likely")
