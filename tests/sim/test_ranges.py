from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import SimError
from sim.ranges import grid_value, parse_range, record_grid

ACCEPTED = [
    ("50", 1, (50,)),
    ("50..200", 50, (50, 100, 150, 200)),
    ("50..210", 50, (50, 100, 150, 200, 210)),
    ("50..60:10", 1, (50, 60)),
    ("50..200:70", 1, (50, 120, 190, 200)),
    ("7..7", 50, (7,)),
    ("200,50,100,50", 1, (50, 100, 200)),
    ("4, 1..3", 1, (1, 2, 3, 4)),
    ("0", 1, (0,)),
]

REFUSED = [
    ("", "is not a range"),
    ("x", "is not a range"),
    ("5.5", "is not a range"),
    ("-3", "is not a range"),
    ("1..", "is not a range"),
    ("..5", "is not a range"),
    ("1...5", "is not a range"),
    ("1,,2", "is not a range"),
    ("1..5:", "is not a range"),
    ("1..5:-1", "is not a range"),
    ("1e3", "is not a range"),
    ("²", "is not a range"),
    ("٣", "is not a range"),
    ("9" * 5000, "is not a range"),
    ("1.." + "9" * 5000, "is not a range"),
    ("200..50", "is reversed"),
    ("1..5:0", "has step 0"),
    ("1..100000", "more than 10000 values"),
]


@pytest.mark.parametrize(("text", "step", "values"), ACCEPTED)
def test_a_range_is_read(text: str, step: int, values: tuple[int, ...]) -> None:
    assert parse_range(text, "--n", step) == values


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_no_range_is_refused_with_the_value(text: str, reason: str) -> None:
    with pytest.raises(SimError, match=reason) as caught:
        parse_range(text, "--n")
    message = str(caught.value)
    assert message.startswith("--n ")
    assert "\n" not in message
    assert text[:20] in message
    assert len(message) < 300


@given(st.integers(0, 500), st.integers(0, 500), st.integers(1, 60))
def test_both_ends_are_in_a_range_and_steps_start_at_the_first(a: int, length: int, step: int) -> None:
    b = a + length
    values = parse_range(f"{a}..{b}:{step}", "--n")
    assert values == tuple(sorted({*range(a, b + 1, step), b}))
    assert parse_range(f"{a}..{b}", "--n", step) == values


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_a_list_is_sorted_without_repeats(values: list[int]) -> None:
    assert parse_range(",".join(map(str, values)), "--n") == tuple(sorted(set(values)))


def rounded_root(j: int, r: int) -> int:
    """round(2^(j/r)), halves upwards: the last v with v - 1/2 <= 2^(j/r), decided in rationals."""
    digits = 2 ** (j // r)
    v = 0
    while digits:
        while Fraction(2 * (v + digits) - 1, 2) ** r <= 2**j:
            v += digits
        digits //= 2
    return v


@given(st.integers(0, 300), st.integers(1, 16))
def test_grid_values_are_rounded_roots_of_two(j: int, r: int) -> None:
    assert grid_value(j, r) == rounded_root(j, r)


@given(st.integers(1, 10**13), st.integers(1, 16))
def test_the_record_grid_holds_all_rounded_roots_up_to_the_horizon(samples: int, r: int) -> None:
    count = r * samples.bit_length() + 1
    expected = {v for j in range(count + 1) if (v := rounded_root(j, r)) <= samples} | {samples}
    grid = record_grid(samples, r)
    assert grid == tuple(sorted(expected))
    assert grid[0] == 1
    assert all(2**j in grid for j in range(samples.bit_length()))


@given(st.integers(1, 10**9), st.integers(1, 16))
def test_a_shorter_horizon_has_the_beginning_of_the_grid(samples: int, r: int) -> None:
    grid = record_grid(samples, r)
    longer = record_grid(2 * samples + 1, r)
    assert longer[: len(grid) - 1] == grid[:-1]  # all but the horizon itself
    assert longer[len(grid) - 1] >= samples
