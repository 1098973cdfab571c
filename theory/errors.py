"""The one exception of this package, and the checks that raise it."""

import operator
from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Rational
from typing import SupportsIndex

Number = int | float | Fraction
"""A real number given by a caller; a float means exactly the dyadic rational that it holds."""


class TheoryError(ValueError):
    """A value outside what a theorem or formula allows; the message repeats it and says what is allowed."""


def integer(name: str, value: SupportsIndex, low: int, high: int | None = None) -> int:
    """Return `value` as an int in [low, high] (no upper end for None).

    Raises TheoryError for anything that is not an integer (True and False included) or outside.
    """
    allowed = f"an integer of at least {low}" if high is None else f"an integer in {low}..{high}"
    try:
        number = operator.index(value)
    except TypeError:
        raise TheoryError(f"{name} = {value!r} is not {allowed}.") from None
    if isinstance(value, bool) or number < low or (high is not None and number > high):
        raise TheoryError(f"{name} = {value!r} is not {allowed}.")
    return number


def rational(name: str, value: Number | Rational) -> Fraction:
    """Return `value` as an exact Fraction; raises TheoryError for NaN, infinities and what is no number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return Fraction(value)
    except (TypeError, ValueError, OverflowError):
        raise TheoryError(f"{name} = {value!r} is not a finite real number.") from None


def probability(name: str, value: Number | Rational) -> Fraction:
    """Return `value` as an exact Fraction in [0, 1]; raises TheoryError otherwise."""
    number = rational(name, value)
    if not 0 <= number <= 1:
        raise TheoryError(f"{name} = {value!r} is not a probability in [0, 1].")
    return number


def signs(name: str, values: Iterable[SupportsIndex], length: int | None = None) -> tuple[int, ...]:
    """Return `values` as a tuple of +1 and -1, of `length` if it is given; raises TheoryError otherwise."""
    try:
        result = tuple(operator.index(value) for value in values)
    except TypeError:
        raise TheoryError(f"{name} = {values!r} is not a sequence of +1 and -1.") from None
    if any(value not in (-1, 1) for value in result):
        raise TheoryError(f"{name} = {values!r} has entries other than +1 and -1.")
    if length is not None and len(result) != length:
        raise TheoryError(f"{name} = {values!r} has {len(result)} entries; {length} are needed.")
    return result


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of `allowed`; raises TheoryError otherwise."""
    if value not in allowed:
        raise TheoryError(f"{name} = {value!r} is not one of {', '.join(map(repr, allowed))}.")
    return value
