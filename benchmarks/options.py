"""What the commands share: options, refusals and exit codes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.side_by_side import use_threads
from sim.arguments import Parser
from sim.errors import SimError
from sim.files import refuse_outputs

MAX_ROUNDS = 1000
MAX_SECONDS = 60.0
KINDS = ("png", "svg")
EXIT_CODES = "Exit codes: 0 done; 2 an option or a file is not allowed; 130 interrupted."


def common_parser(program: str, text: str | None, *, rounds: int, out: str) -> Parser:
    """A parser with the options of every command; the first line of `text` says what the program does."""
    made = Parser(prog=program, description=text.split("\n")[0] if text else None, epilog=EXIT_CODES)
    made.add_argument(
        "--rounds", type=int, default=rounds, help=f"of all contenders in turns (default {rounds})"
    )
    made.add_argument(
        "--seconds",
        type=float,
        default=0.1,
        help="aimed at for a call of ours (default 0.1); peers do a fixed amount",
    )
    made.add_argument("--threads", type=int, help="of every contender (default: all processors)")
    made.add_argument("--out", type=Path, default=Path(out), help=f"(default {out})")
    made.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return made


def threads_of(given: argparse.Namespace, figures: Sequence[str]) -> int:
    """Checks the common options and binds the process to its processors; returns how many.

    Args:
        given: the options.
        figures: what follows the stem of --out in the names of the figures.

    Raises:
        SimError: one of them is not allowed.
    """
    if given.out.suffix != ".json":
        raise SimError(f"--out {given.out} is not allowed: give a path that ends in .json")
    refuse_outputs(
        [given.out, *(figure_path(given.out, name, kind) for name in figures for kind in KINDS)], {}
    )
    if not 1 <= given.rounds <= MAX_ROUNDS:
        raise SimError(f"--rounds {given.rounds} is not allowed: give 1 to {MAX_ROUNDS}")
    if not 0 < given.seconds <= MAX_SECONDS:
        raise SimError(
            f"--seconds {given.seconds} is not allowed: give more than 0 and at most {MAX_SECONDS:.0f}"
        )
    try:
        return use_threads(given.threads)
    except ValueError as error:
        raise SimError(f"--{error}") from error


def figure_path(out: Path, name: str, kind: str) -> Path:
    """Where a figure of a result goes."""
    return out.with_name(f"{out.stem}{name}.{kind}")


def run_main(run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """The exit code of a command: its own, 2 for usage, 130 if interrupted."""
    try:
        return run(arguments)
    except SimError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what was written is whole", file=sys.stderr)
        return 130
