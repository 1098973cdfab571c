"""The command line: `python -m sim.grid --n 50..200`.

It answers one question: how many samples does each way of teaching need, and does theory say so?
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sim.verbs import status

if __name__ == "__main__" and sys.argv[1:2] == ["status"]:
    # It need not wait until all that computes is imported.
    raise SystemExit(status.main(sys.argv[2:]))

from sim.arguments import DEFAULT_STORE, Parser, add_protocols
from sim.arguments import add_json as _add_json
from sim.arguments import add_store as _add_store
from sim.errors import SimError
from sim.execution.crew import Crew
from sim.online import verbs as online_verbs
from sim.online.grammar import SCHEDULE_HELP
from sim.online.window import RULE
from sim.probe import READINGS, ProbeSpec
from sim.protocol.base import Options
from sim.protocol.registry import PROTOCOLS
from sim.ranges import parse_count
from sim.verbs import check, dry_run, plot, read, run, stores, tables
from theory.errors import TheoryError
from theory.output import exit_code


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = Parser(
        prog="python -m sim.grid",
        description="How many samples does each way of teaching need, and does theory say so?",
        epilog="Exit codes: 0 done and consistent; 1 a bound is contradicted; 2 usage; 3 undecided, incomplete or "
        "diverged; 130 interrupted; 141 the reader of the output went away.",
    )
    verb = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    run = verb.add_parser(
        "run",
        help="run a grid (the default verb)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run a grid: the product of all values given.\n\n"
        "Ranges: 50..200 (default step 50 for --n, 1 otherwise), 50..200:10, 50,100,200; both ends are included.\n"
        "Protocol first-step: one large-batch step of single neurons, held against theory.\n"
        "Protocol two-stage: such a step, then output weights trained online; samples in total to a loss.\n"
        "Protocol online: networks trained one step a sample, by the parity itself or by a trained teacher.\n\n"
        f"{SCHEDULE_HELP}\n\n"
        "Checkpoints and states of protocol online are kept beside the store (grid.sqlite: grid.artifacts/), so that\n"
        "a run goes on where it was stopped and another grid finds its teachers; it may be deleted at any time.",
    )
    add_protocols(run)
    how = run.add_argument_group("how it is run; none of these changes a result")
    how.add_argument("--workers", type=int, help="worker processes (default: one a processor)")
    how.add_argument(
        "--threads", type=int, help="threads of each worker (default 1; of a cluster's: as many as it has)"
    )
    how.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="run on a Dask cluster instead, such as tcp://host:8786, one unit a worker at a time",
    )
    how.add_argument("--dry-run", action="store_true", help="show cells and expected cost, run nothing")
    how.add_argument("--quiet", action="store_true", help="no progress")
    _add_store(run)
    _add_json(run)
    _add_verbs(verb)
    return parser


def _add_verbs(verb: "argparse._SubParsersAction[Parser]") -> None:
    for name, text in (
        ("status", status.TEXT),
        ("plot", "draw figures of a store"),
    ):
        sub = verb.add_parser(name, help=text, description=text)
        _add_store(sub)
        if name == "status":
            _add_json(sub)
        else:
            _add_plot(sub)
    _add_probe(verb)
    explain = verb.add_parser("explain", help="all about one cell")
    explain.add_argument("cell", help="start of a cell's id, as status shows it")
    _add_store(explain)
    _add_json(explain)
    replay = verb.add_parser(
        "replay",
        help="run one replicate again and compare",
        description="Run one replicate again and compare. An online student needs its teacher trained again: that "
        "takes as long as it took.",
    )
    replay.add_argument("cell", help="start of a cell's id")
    replay.add_argument("--replicate", type=int, required=True, help="its number, from 0")
    replay.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    _add_store(replay)
    merge = verb.add_parser("merge", help="add the cells and records of stores to --out")
    merge.add_argument("stores", type=Path, nargs="+", metavar="STORE")
    merge.add_argument("--out", type=Path, required=True, help="store that receives them; may exist")
    recover = verb.add_parser(
        "recover",
        help="copy what is whole of a damaged store into a new one",
        description="Read a damaged store page by page, and copy each cell and record that is as it was written into "
        "a new store. The damaged one is not touched. Exit code 3 says that something is missing.",
    )
    recover.add_argument("store", type=Path, metavar="STORE")
    recover.add_argument("--out", type=Path, required=True, help="the new store; may not exist")
    export = verb.add_parser("export", help="write the table of all records: a row a point of a curve")
    export.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="csv (default) or parquet"
    )
    export.add_argument("--to", type=Path, help="file (default: standard output for csv)")
    _add_protocol(export)
    _add_store(export)
    pack = verb.add_parser(
        "pack",
        help="pack a finished study into one archive, which verify checks",
        description="Pack a finished study into one ZIP archive: cells, tables, figures, verdicts, versions, the "
        "commands that make the cells, and the store itself. The same records give the same bytes.",
    )
    pack.add_argument("--to", type=Path, required=True, metavar="FILE", help="the archive, such as study.zip")
    pack.add_argument("--unfinished", action="store_true", help="pack it although replicates are missing")
    _add_store(pack)
    verify = verb.add_parser(
        "verify", help="check a store, or an archive of pack: identities, theory, and replicates run again"
    )
    what = verify.add_mutually_exclusive_group()
    what.add_argument("what", type=Path, nargs="?", metavar="FILE", help="a store, or an archive of pack")
    what.add_argument("--out", type=Path, help=f"the same (default {DEFAULT_STORE})")
    verify.add_argument(
        "--replicates", type=int, default=1, help="replicates of each cell to run again (default 1)"
    )
    verify.add_argument(
        "--seconds", type=float, default=10.0, help="skip what is expected to take longer (default 10)"
    )


def _add_plot(sub: argparse.ArgumentParser) -> None:
    sub.description = (
        "Draw figures of a store, and write the data in them as CSV beside them: one figure a setting (numbered if "
        "there are several), of online students medians over students, or over seeds where there are several."
    )
    sub.add_argument(
        "--kind",
        help="protocol first-step: samples (default), of success against n; success, against samples; heat, samples "
        "over n and k. two-stage: totals (default), success, heat: likewise, to each loss. online: accuracy "
        "(default), against samples; choice, final accuracy of single:STEP and two-shot:I:T against the chosen "
        "checkpoint; temperature, final accuracy and samples to 90 %% against the temperature; widths, samples to "
        "90 %% over teacher and student widths, final accuracy where that was not reached; heat, likewise over "
        "student width and temperature; correlations, those of --probes. Defaults are what run draws",
    )
    sub.add_argument(
        "--figure",
        type=Path,
        help="PNG or SVG file, its data beside it (default: PNG and SVG beside the store: grid.png, or such as "
        "grid.choice.png; data grid.figure.csv, or such as "
        "grid.choice.csv)",
    )
    sub.add_argument(
        "--probes",
        type=Path,
        help="file of the verb probe: kind choice shows its correlations below the students of its teacher, kind "
        "correlations shows them alone",
    )
    _add_protocol(sub)


def _add_probe(verb: "argparse._SubParsersAction[Parser]") -> None:
    probe = verb.add_parser(
        "probe",
        help="correlations of an online teacher with monomials, along its run",
        description="Measure the correlations of an online teacher's checkpoints with monomials of the support and "
        "outside it, on one sample for all of them, and say where their peak lies relative to the phase transition. "
        "Checkpoints that are not there are trained again, bit for bit as in the run, and kept.",
        epilog=f"Default window: {RULE}. Steps are multiples of the steps of one call of the kernel: of log-every, or "
        "of 10000 where that is less.",
    )
    probe.add_argument("cell", help="start of the id of a teacher's cell, as status shows it")
    probe.add_argument("--from", dest="start", metavar="STEP", help="first step (default: see below)")
    probe.add_argument("--until", dest="stop", metavar="STEP", help="last step (default: see below)")
    probe.add_argument(
        "--every", metavar="STEPS", help="steps between checkpoints (default: such that there are about 40)"
    )
    probe.add_argument(
        "--samples",
        default="2^20",
        help="such as 2^18 or 1e6 (default 2^20: standard errors below 0.001; those of the logit itself may be larger)",
    )
    probe.add_argument(
        "--off",
        type=int,
        default=ProbeSpec.off,
        help=f"monomials outside the support, of each degree (default {ProbeSpec.off})",
    )
    probe.add_argument(
        "--reading",
        choices=READINGS,
        default=READINGS[0],
        help="of the logit f, in table, peak and figure: probability, tanh(f/2) (default), its sign, or itself",
    )
    probe.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    probe.add_argument("--to", type=Path, metavar="FILE", help="JSON file of specification and results")
    probe.add_argument(
        "--figure",
        type=Path,
        help="PNG or SVG file, its data beside it as CSV (default: PNG and SVG beside the JSON file)",
    )
    probe.add_argument("--quiet", action="store_true", help="no progress")
    _add_store(probe)
    _add_json(probe)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 done and consistent; 1 a bound is contradicted or a check failed; 2 usage; 3 undecided, incomplete or diverged;
    130 interrupted; 141 the reader of the output went away.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    # `run` is the default verb.
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "run")
    return exit_code(
        lambda: _dispatch(parser.parse_args(given)),
        (SimError, TheoryError),
        "interrupted: what was finished is stored; run the same command again to continue",
    )


def _dispatch(given: argparse.Namespace) -> int:
    match given.verb:
        case "run":
            options = _options(given)
            crew = Crew(given.workers, given.threads, given.scheduler)
            if given.dry_run:
                return dry_run.dry_run(options, given.out, crew.count(), as_json=given.json)
            return run.run(options, given.out, crew, as_json=given.json, quiet=given.quiet)
        case "status":
            return status.status(given.out, as_json=given.json)
        case "plot":
            return plot.plot(given.out, given.figure, given.protocol, given.kind, given.probes)
        case "probe":
            return _probe(given)
        case "explain":
            return read.explain(given.out, given.cell, as_json=given.json)
        case "replay":
            return read.replay(given.out, given.cell, given.replicate, given.threads)
        case "merge":
            return stores.merge(given.stores, given.out)
        case "recover":
            return stores.recover(given.store, given.out)
        case "export":
            return tables.export(given.out, given.format, given.to, given.protocol)
        case "pack":
            return tables.pack(given.out, given.to, unfinished=given.unfinished)
        case _:
            what = given.what or given.out or Path(DEFAULT_STORE)
            return check.verify(what, given.replicates, given.seconds)


def _probe(given: argparse.Namespace) -> int:
    ends = {
        name: None if text is None else parse_count(text, flag)
        for name, flag, text in (
            ("start", "--from", given.start),
            ("stop", "--until", given.stop),
            ("every", "--every", given.every),
        )
    }
    options = online_verbs.ProbeOptions(
        **ends,
        samples=online_verbs.parse_samples(given.samples),
        off=given.off,
        reading=given.reading,
        threads=given.threads,
    )
    return online_verbs.probe(
        given.out, given.cell, options, given.to, given.figure, as_json=given.json, quiet=given.quiet
    )


def _options(given: argparse.Namespace) -> Options:
    """The options of the protocol.

    Raises:
        SimError: an option is given that the protocol does not read, or a value is not allowed.
    """
    protocol = PROTOCOLS.get(given.protocol)
    if protocol is None:
        raise SimError(f"protocol {given.protocol!r} is unknown: use one of {', '.join(PROTOCOLS)}")
    for name in sorted({flag for other in PROTOCOLS.values() for flag in other.flags} - {*protocol.flags}):
        value = getattr(given, name)
        if value is not None:
            readers = ", ".join(other.name for other in PROTOCOLS.values() if name in other.flags)
            raise SimError(
                f"--{name.replace('_', '-')} {value} has no effect under protocol {protocol.name}: "
                f"it is for protocol {readers}"
            )
    return protocol.options(given)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--protocol", choices=tuple(PROTOCOLS), help="which, where the store has cells of several"
    )


if __name__ == "__main__":
    raise SystemExit(main())
