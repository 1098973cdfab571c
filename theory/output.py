"""What command lines share: numbers that JSON can say, and standard output that nobody reads any more."""

import contextlib
import math
import os
import sys


def finite(value: float) -> float | None:
    """Return the number; None, which JSON can say, where it is infinite or no number."""
    return value if math.isfinite(value) else None


def drop_output() -> None:
    """Let what is left in the buffer of standard output go nowhere."""
    with contextlib.suppress(OSError):  # standard output may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
