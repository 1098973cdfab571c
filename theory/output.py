"""What command lines share: exit codes, numbers that JSON can say, and standard output that nobody reads any more."""

import contextlib
import math
import os
import sys
from collections.abc import Callable

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141  # as a shell shows a process that SIGPIPE ended


def finite(value: float) -> float | None:
    """Return the number; None, which JSON can say, where it is infinite or no number."""
    return value if math.isfinite(value) else None


def exit_code(
    run: Callable[[], int], refused: tuple[type[Exception], ...], interrupted: str = "interrupted"
) -> int:
    """Run a command; return its own exit code, or that of what ended it, which is said in one sentence.

    refused: exceptions whose message is for the user; interrupted: what is said of Ctrl-C.
    """
    try:
        code = run()
        sys.stdout.flush()
        return code
    except refused as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say, and nothing to flush.
        drop_output()
        return EXIT_PIPE
    except OSError as error:
        drop_output()
        print(f"error: results cannot be written: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        drop_output()
        print(interrupted, file=sys.stderr)
        return EXIT_INTERRUPTED


def drop_output() -> None:
    """Let what is left in the buffer of standard output go nowhere."""
    with contextlib.suppress(OSError):  # standard output may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
