"""What the commands share: options, refusals, results on disk, and exit codes."""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import use_threads
from sim.arguments import Parser
from sim.errors import SimError
from sim.files import FIGURE_SUFFIXES, refuse_outputs, write_whole
from theory.output import exit_code

MAX_ROUNDS = 1000
MAX_SECONDS = 60.0
EXIT_CODES = "Exit codes: 0 done; 2 an option or a file is not allowed; 130 interrupted."


def common_parser(program: str, text: str | None, *, rounds: int, out: str, parts: Collection[str]) -> Parser:
    """A parser with the options of every command; the first line of `text` says what the program does."""
    made = Parser(prog=program, description=text.split("\n")[0] if text else None, epilog=EXIT_CODES)
    made.add_argument("--only", help=f"some of {','.join(parts)} (default all)")
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


def checked(
    given: argparse.Namespace, parts: Collection[str], figures: Sequence[str]
) -> tuple[list[str], int]:
    """Checks the common options and binds the process to its processors.

    Args:
        given: the options.
        parts: what --only chooses from.
        figures: what follows the stem of --out in the names of the figures.

    Returns:
        The parts that are wanted, and how many threads.

    Raises:
        SimError: one of the options is not allowed.
    """
    wanted = list(parts) if given.only is None else given.only.split(",")
    unknown = next((part for part in wanted if part not in parts), None)
    if unknown is not None:
        raise SimError(f"--only {unknown!r} is not known: give some of {','.join(parts)}")
    if given.out.suffix != ".json":
        raise SimError(f"--out {given.out} is not allowed: give a path that ends in .json")
    refuse_outputs([given.out, *figure_paths(given.out, figures)], {})
    if not 1 <= given.rounds <= MAX_ROUNDS:
        raise SimError(f"--rounds {given.rounds} is not allowed: give 1 to {MAX_ROUNDS}")
    if not 0 < given.seconds <= MAX_SECONDS:
        raise SimError(
            f"--seconds {given.seconds} is not allowed: give more than 0 and at most {MAX_SECONDS:.0f}"
        )
    try:
        return wanted, use_threads(given.threads)
    except ValueError as error:
        raise SimError(f"--{error}") from error


def figure_paths(out: Path, names: Sequence[str]) -> list[Path]:
    """Where the figures of a result go: beside it, each in every format."""
    return [out.with_name(f"{out.stem}{name}{suffix}") for name in names for suffix in FIGURE_SUFFIXES]


def keep(found: Any, out: Path) -> None:
    """Writes a result.

    Raises:
        SimError: it cannot be written.
    """
    write_whole(out, json.dumps(found, indent=1) + "\n")
    print(f"wrote {out}", file=sys.stderr)


def run_main(run: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """The exit code of a command."""
    return exit_code(lambda: run(arguments), (SimError,), "interrupted: what was written is whole")
