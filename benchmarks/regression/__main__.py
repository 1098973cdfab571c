"""`python -m benchmarks.regression`: whether the kernels have become slower since the last commit that changed them.

Both versions are built and called in turns in one process; where valgrind is installed, their instructions are
counted as well. Exit status: 0 no case is slower, or there is nothing to compare with; 1 a case is slower; 2 an option
is wrong; 3 the present kernels cannot be built or measured; 130 interrupted.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.regression import instructions, report, self_test
from benchmarks.regression.cases import MOST_CASES
from benchmarks.regression.comparison import ACCEPTED, PROCESSES, Comparison, compare
from benchmarks.regression.errors import BrokenError, NothingToCompareError
from benchmarks.regression.rule import needed
from benchmarks.regression.versions import CACHE, ROOT, Version, earlier, extension
from sim.arguments import Parser
from sim.errors import SimError
from sim.files import refuse_unwritable
from theory.output import exit_code

ROUNDS = 56
MOST_ROUNDS = 1000
EXIT_SLOWER, EXIT_BROKEN = 1, 3


def _number(name: str, text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise SimError(f"{name} is {text!r}, but must be an integer of at least {least}.")
    return value


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="python -m benchmarks.regression", description=__doc__)
    parser.add_argument(
        "--against", metavar="COMMIT", help="the version to compare with, instead of the last other one"
    )
    parser.add_argument(
        "--rounds", default=str(ROUNDS), help=f"of timing, shared out among {PROCESSES} processes"
    )
    parser.add_argument(
        "--seed", help="of the order in which versions are called; another one each time by default"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of compiled versions (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the numbers instead of a table")
    parser.add_argument(
        "--self-test", metavar="N", help="compare a version (the present one, or COMMIT) with itself N times"
    )
    parser.add_argument(
        "--tally", type=Path, help="file to which the self-test appends, and from which it goes on"
    )
    options = parser.parse_args(arguments)
    options.rounds = _number("--rounds", options.rounds, 1)
    if options.rounds > MOST_ROUNDS:
        raise SimError(f"--rounds is {options.rounds}, but must be at most {MOST_ROUNDS}.")
    if needed(options.rounds, MOST_CASES) is None:
        least = next(rounds for rounds in range(1, 1000) if needed(rounds, MOST_CASES) is not None)
        raise SimError(f"--rounds is {options.rounds}, but fewer than {least} rounds can prove nothing.")
    options.seed = (
        int.from_bytes(os.urandom(4)) if options.seed is None else _number("--seed", options.seed, 0)
    )
    if options.self_test is not None:
        options.self_test = _number("--self-test", options.self_test, 1)
    if options.tally is not None and options.self_test is None:
        raise SimError(f"--tally is {str(options.tally)!r}, but is only allowed with --self-test.")
    if options.tally is not None:
        refuse_unwritable(options.tally)
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise SimError(f"--cache is {str(options.cache)!r}, but must be a folder: {reason}.") from error
    return options


def _compare(options: argparse.Namespace) -> int:
    after = Version.of_folder(ROOT, "the working tree")
    before = earlier(after, options.against)
    if before.hash == after.hash:
        raise NothingToCompareError(
            f"The kernels are those of {before.name}, so there is nothing to compare."
        )
    try:
        extension(before, options.cache)
    except BrokenError as error:
        raise NothingToCompareError(f"There is nothing to compare with: {error}") from error
    why_not = instructions.unavailable()
    comparison = compare(
        before, after, options.cache, seed=options.seed, rounds=options.rounds, counting=why_not is None
    )
    rows = comparison.rows
    slower = report.sentences(rows)
    if options.json:
        _print_json(options, before.name, after.hash[:12], why_not, comparison, slower)
    else:
        print(f"old: {before.name}; new: {after.name}, {after.hash[:12]}; seed {options.seed}\n")
        print(report.table(rows), "", sep="\n")
        print(report.rule(options.rounds))
        print(report.counting(comparison, why_not))
        if not slower:
            print(f"No case is slower than at {before.name}.")
    for sentence in slower:
        print(sentence, file=sys.stderr)
    if slower:
        print(f"{ACCEPTED.name} can accept it, under {after.hash[:12]!r}, with a reason.", file=sys.stderr)
    return EXIT_SLOWER if slower else 0


def _print_json(
    options: argparse.Namespace,
    before: str,
    after: str,
    why_not: str | None,
    comparison: Comparison,
    slower: list[str],
) -> None:
    head = {"before": before, "after": after, "seed": options.seed, "rounds": options.rounds}
    counted = {"not counted": why_not, "left out": comparison.left_out}
    rows = {"rows": report.as_json(comparison.rows), "slower": slower}
    print(json.dumps({**head, **counted, **rows}, indent=1))


def _run(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    try:
        return _compare(options) if options.self_test is None else self_test.run(options)
    except NothingToCompareError as nothing:
        empty = {"rows": [], "slower": [], "nothing to compare": str(nothing)}
        print(json.dumps(empty) if options.json else nothing)
        return 0
    except BrokenError as error:
        print(error, file=sys.stderr)
        return EXIT_BROKEN


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    return exit_code(lambda: _run(given), (SimError,))


if __name__ == "__main__":
    sys.exit(main())
