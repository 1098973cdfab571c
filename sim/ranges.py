"""The ranges of the command line: `50`, `50..200`, `50..200:10`, `50,100,200` and mixtures of them."""

import contextlib
import re
from fractions import Fraction
from functools import lru_cache

from sim.errors import SimError
from theory import ranges
from theory.errors import TheoryError
from theory.ranges import MAX_VALUES, shown

__all__ = [
    "MAX_VALUES",
    "grid_value",
    "parse_count",
    "parse_list",
    "parse_number",
    "parse_range",
    "parse_real",
    "parse_whole",
    "record_grid",
    "shown",
]

_RATIONAL = re.compile(r"[+-]?([0-9]+/[0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?)", re.IGNORECASE)


def parse_range(text: str, name: str, default_step: int = 1) -> tuple[int, ...]:
    """Values of a range, increasing and without repeats; both ends of `a..b` are included.

    Args:
        text: for example `50..200`, `50..200:10`, `50,100,200`.
        name: the option's name, for messages.
        default_step: step of `a..b`; `b` itself is always included.

    Raises:
        SimError: the text is not a range, is empty or reversed, or has more than 10,000 values.
    """
    try:
        return ranges.parse_range(text, name, default_step)
    except TheoryError as error:
        raise SimError(str(error)) from None


def parse_number(text: str, name: str, allowed: str) -> Fraction:
    """The exact value of a decimal (`0.5`, `1e6`) or a fraction (`1/2`).

    Args:
        text: at most 100 characters, exponents of at most three digits.
        name: the option's name, for messages.
        allowed: what is allowed, for messages.

    Raises:
        SimError: the text is no such number.
    """
    if len(text) <= 100 and _RATIONAL.fullmatch(text):
        with contextlib.suppress(ZeroDivisionError):
            return Fraction(text)
    raise SimError(f"{name} {shown(text)} is not a number: {allowed}")


def parse_real(text: str, name: str, allowed: str, most: float = 1e300) -> float:
    """The float nearest to a number as in `parse_number`, where floats tell it from 0 and from ∞.

    Args:
        text: as for `parse_number`.
        name: the option's name, for messages.
        allowed: what is allowed, for messages.
        most: the greatest size.

    Raises:
        SimError: the text is no such number.
    """
    value = parse_number(text, name, allowed)
    if abs(value) > most or (value and not float(value)):
        raise SimError(f"{name} {shown(text)} is not allowed: it is beyond {most:g}, or too small; {allowed}")
    return float(value)


def parse_count(text: str, name: str) -> int:
    """A whole number, which may be written as `1e6`.

    Raises:
        SimError: the text is no whole number.
    """
    value = parse_number(text, name, "give one such as 65536 or 1e6")
    if value.denominator != 1:
        raise SimError(f"{name} {text!r} is not a whole number: give one such as 65536 or 1e6")
    return int(value)


def parse_whole(text: str, name: str) -> int:
    """One whole number, written in digits; for options that are ranges elsewhere.

    Raises:
        SimError: the text is something else.
    """
    if re.fullmatch("[+-]?[0-9]{1,30}", text):
        return int(text)
    raise SimError(f"{name} {shown(text)} is not a whole number: give one here")


def parse_list(text: str, name: str) -> tuple[str, ...]:
    """Values separated by commas.

    Raises:
        SimError: one of them is empty.
    """
    values = tuple(part.strip() for part in text.split(","))
    if not all(values):
        raise SimError(f"{name} {text!r} has an empty entry: give values separated by single commas")
    return values


@lru_cache(maxsize=1 << 12)
def record_grid(samples: int, resolution: int) -> tuple[int, ...]:
    """Sample counts at which success is recorded: `round(2**(j/resolution))` for j = 0, 1, …, and the horizon.

    Integer arithmetic only, so that every machine has the same grid.

    Args:
        samples: the horizon B, at least 1, the last of the counts.
        resolution: points per doubling, 1 to 16.
    """
    grid: list[int] = []
    j = 0
    while (value := grid_value(j, resolution)) < samples:
        if not grid or value > grid[-1]:
            grid.append(value)
        j += 1
    return (*grid, samples)


def grid_value(j: int, resolution: int) -> int:
    """`round(2**(j/resolution))`, exactly, ties upwards."""
    # v = round(r) is the largest integer with v − 1/2 ≤ r, that is (2v − 1)^resolution ≤ 2^(j + resolution).
    target = 1 << (j + resolution)
    low, high = 1, 1 << (j // resolution + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if (2 * middle - 1) ** resolution <= target:
            low = middle
        else:
            high = middle - 1
    return low
