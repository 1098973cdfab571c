"""Ranges of whole numbers in the command lines: `50`, `50..200`, `50..200:10`, `50,100,200` and mixtures of them."""

import re

from theory.errors import TheoryError

# Numbers of more digits than any dimension has are no numbers here: int() itself gives up beyond 4300 digits.
_NUMBER = "[0-9]{1,18}"
_RANGE = re.compile(rf"(?P<start>{_NUMBER})(\.\.(?P<stop>{_NUMBER})(:(?P<step>{_NUMBER}))?)?")
MAX_VALUES = 10_000


def parse_range(text: str, name: str, default_step: int = 1) -> tuple[int, ...]:
    """Return the values of a range, increasing and without repeats; both ends of `a..b` are included.

    name: the option's name, for messages; default_step: step of `a..b`; `b` itself is always included.
    Raises TheoryError for a text that is no range, is reversed, or has more than 10,000 values.

    >>> parse_range("50..200", "--n", 50), parse_range("4,1..3", "--k"), parse_range("50..60:4", "--n")
    ((50, 100, 150, 200), (1, 2, 3, 4), (50, 54, 58, 60))
    """
    values: set[int] = set()
    for part in text.split(","):
        part = part.strip()
        match = _RANGE.fullmatch(part)
        if match is None:
            raise TheoryError(
                f"{name} {shown(text)} is not a range: give whole numbers as 50, 50..200, 50..200:10 or 50,100,200"
            )
        start, stop = int(match["start"]), int(match["stop"] or match["start"])
        step = int(match["step"]) if match["step"] else default_step
        if start > stop:
            raise TheoryError(f"{name} {part!r} is reversed: write the smaller end first, {stop}..{start}")
        if step < 1:
            raise TheoryError(f"{name} {part!r} has step {step}: the step must be at least 1")
        if (stop - start) // step >= MAX_VALUES:
            raise TheoryError(f"{name} {part!r} has more than {MAX_VALUES} values: give a larger step")
        values.update(range(start, stop + 1, step))
        values.add(stop)
    return tuple(sorted(values))


def shown(text: str) -> str:
    """Return a text for a message, in quotes; not all of a long one."""
    return repr(text if len(text) <= 80 else f"{text[:80]}...")
