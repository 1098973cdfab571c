"""The command line: `python -m sim.grid --n 50..200`.

It answers one question: how many samples does each way of teaching need, and does theory say so?
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sim import verbs
from sim.errors import SimError
from sim.options import GridOptions
from sim.protocol.registry import PROTOCOLS
from sim.ranges import parse_number, parse_range
from sim.runner import check_threads, worker_count
from sim.schedule import LABELS, SCHEDULES, TEACHERS
from theory.errors import TheoryError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
DEFAULT_STORE = "grid.sqlite"


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise SimError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = _Parser(
        prog="python -m sim.grid",
        description="How many samples does each way of teaching need, and does theory say so?",
        epilog="Exit codes: 0 done and consistent; 1 a bound is contradicted; 2 usage; 3 undecided or incomplete; "
        "130 interrupted.",
    )
    verb = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)

    run = verb.add_parser(
        "run",
        help="run a grid (the default verb)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run a grid and hold it against theory.\n\n"
        "Ranges: 50..200 (default step 50 for --n, 1 otherwise), 50..200:10, 50,100,200; both ends are included.",
    )
    what = run.add_argument_group("what is run")
    what.add_argument("--n", default="50..200", help="dimensions (default 50..200)")
    what.add_argument("--k", default="2,4", help="support sizes (default 2,4)")
    what.add_argument(
        "--protocol", default="first-step", help=f"one of {', '.join(PROTOCOLS)} (default first-step)"
    )
    what.add_argument(
        "--schedule",
        default="cross-entropy,one-shot,progressive",
        help=f"some of {','.join(SCHEDULES)} (default cross-entropy,one-shot,progressive)",
    )
    what.add_argument("--labels", help=f"{' or '.join(LABELS)} (default: one-shot hard, progressive logits)")
    what.add_argument("--teacher", help=f"intermediate teacher: {', '.join(TEACHERS)} (default equal)")
    what.add_argument("--teacher-width", type=int, help="neurons of a phase-1 teacher (default 256)")
    what.add_argument(
        "--teacher-error",
        help="one-shot teacher errs with probability n^-c: exponents c, or inf (default k/2)",
    )
    what.add_argument("--degree", type=int, help="degree of the low-degree curriculum (default 1)")
    what.add_argument(
        "--bias", default="0", help="bias of the neurons, or best: the one with the largest gap (default 0)"
    )
    what.add_argument("--replicates", type=int, default=64, help="students of each cell (default 64)")
    what.add_argument(
        "--delta", type=float, default=0.1, help="failure probability of the bounds (default 0.1)"
    )
    what.add_argument("--samples", help="horizon of every cell, such as 1e6 (default: what the bounds ask)")
    what.add_argument(
        "--resolution", type=int, default=2, help="recorded sample counts per doubling (default 2)"
    )
    what.add_argument("--seed", type=int, default=0, help="seed (default 0)")
    how = run.add_argument_group("how it is run; none of these changes a result")
    how.add_argument("--workers", type=int, help="worker processes (default: one a processor)")
    how.add_argument("--threads", type=int, default=1, help="threads of each worker (default 1)")
    how.add_argument("--dry-run", action="store_true", help="show cells and expected cost, run nothing")
    how.add_argument("--quiet", action="store_true", help="no progress")
    _add_store(run)
    _add_json(run)

    for name, text in (
        ("status", "what is stored"),
        ("plot", "draw the figure of a store"),
    ):
        sub = verb.add_parser(name, help=text, description=text)
        _add_store(sub)
        if name == "status":
            _add_json(sub)
        else:
            sub.add_argument(
                "--figure", type=Path, help="PNG or SVG file (default: PNG and SVG beside the store)"
            )
    explain = verb.add_parser("explain", help="all about one cell")
    explain.add_argument("cell", help="start of a cell's id, as status shows it")
    _add_store(explain)
    _add_json(explain)
    replay = verb.add_parser("replay", help="run one replicate again and compare")
    replay.add_argument("cell", help="start of a cell's id")
    replay.add_argument("--replicate", type=int, required=True, help="its number, from 0")
    replay.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    _add_store(replay)
    merge = verb.add_parser("merge", help="add the cells and records of stores to --out")
    merge.add_argument("stores", type=Path, nargs="+", metavar="STORE")
    merge.add_argument("--out", type=Path, required=True, help="store that receives them; may exist")
    export = verb.add_parser("export", help="write the success table: one row a (cell, replicate, samples)")
    export.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="csv (default) or parquet"
    )
    export.add_argument("--to", type=Path, help="file (default: standard output for csv)")
    _add_store(export)
    verify = verb.add_parser("verify", help="check a store: identities, theory, and replicates run again")
    verify.add_argument(
        "--replicates", type=int, default=1, help="replicates of each cell to run again (default 1)"
    )
    verify.add_argument(
        "--seconds", type=float, default=10.0, help="skip replicates expected to take longer (default 10)"
    )
    _add_store(verify)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done and consistent; 1 a bound is contradicted or a check failed; 2 usage; 3 undecided or incomplete;
    130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    # `run` is the default verb.
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "run")
    try:
        code = _dispatch(parser.parse_args(given))
        sys.stdout.flush()
        return code
    except (SimError, TheoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is left to say, and nothing to flush.
        _drop_output()
        return EXIT_USAGE
    except OSError as error:
        _drop_output()
        print(f"error: results cannot be written: {error.strerror or error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(
            "interrupted: what was finished is stored; run the same command again to continue",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED


def _drop_output() -> None:
    """Let what is left in the buffer of standard output go nowhere."""
    with contextlib.suppress(OSError):  # standard output may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(given: argparse.Namespace) -> int:
    match given.verb:
        case "run":
            options = _options(given)
            check_threads(given.threads)
            workers = worker_count(given.workers)
            if given.dry_run:
                return verbs.dry_run(options, given.out, workers, as_json=given.json)
            return verbs.run(
                options, given.out, workers, given.threads, as_json=given.json, quiet=given.quiet
            )
        case "status":
            return verbs.status(given.out, as_json=given.json)
        case "plot":
            return verbs.plot(given.out, given.figure)
        case "explain":
            return verbs.explain(given.out, given.cell, as_json=given.json)
        case "replay":
            return verbs.replay(given.out, given.cell, given.replicate, given.threads)
        case "merge":
            return verbs.merge(given.stores, given.out)
        case "export":
            return verbs.export(given.out, given.format, given.to)
        case _:
            return verbs.verify(given.out, given.replicates, given.seconds)


def _options(given: argparse.Namespace) -> GridOptions:
    return GridOptions(
        n=parse_range(given.n, "--n", default_step=50),
        k=parse_range(given.k, "--k"),
        protocol=given.protocol,
        schedules=_list(given.schedule, "--schedule"),
        labels=given.labels,
        teacher=given.teacher,
        teacher_width=given.teacher_width,
        teacher_errors=None if given.teacher_error is None else _list(given.teacher_error, "--teacher-error"),
        degree=given.degree,
        bias=None
        if given.bias == "best"
        else parse_number(given.bias, "--bias", "give one such as 0, 1/2 or best"),
        replicates=given.replicates,
        delta=given.delta,
        samples=None if given.samples is None else _count(given.samples, "--samples"),
        resolution=given.resolution,
        seed=given.seed,
    )


def _list(text: str, name: str) -> tuple[str, ...]:
    values = tuple(part.strip() for part in text.split(","))
    if not all(values):
        raise SimError(f"{name} {text!r} has an empty entry: give values separated by single commas")
    return values


def _count(text: str, name: str) -> int:
    value = parse_number(text, name, "give one such as 65536 or 1e6")
    if value.denominator != 1:
        raise SimError(f"{name} {text!r} is not a whole number: give one such as 65536 or 1e6")
    return int(value)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(DEFAULT_STORE), help=f"the store (default {DEFAULT_STORE})"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")


if __name__ == "__main__":
    raise SystemExit(main())
