"""`python -m benchmarks`: every kernel, theory's hot functions and the default grid's cells, beside peers and limits.

Prints the table as Markdown, writes everything measured to --out as JSON, and draws the speed-up over peers and the
roofline beside it. All contenders of a case are timed in turns in this process, on the same processors.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import kernels
from benchmarks import cells, first_step, hinge, table, theory, training
from benchmarks.calibration import calibrate
from benchmarks.case import Case, Row, measure
from benchmarks.figures import FIGURES, save
from benchmarks.options import checked, common_parser, figure_paths, keep, run_main
from benchmarks.peers import NO_JAX, has_jax
from sim.arguments import Parser
from sim.errors import SimError
from sim.files import refuse_outputs

GROUPS = {"first-step": first_step, "training": training, "hinge": hinge, "theory": theory, "grid": cells}


def cases(groups: Sequence[str], threads: int, seconds: float) -> list[Case]:
    """The cases of some groups."""
    return [case for group in groups for case in GROUPS[group].cases(threads, seconds)]


def parser() -> Parser:
    """The command's options."""
    made = common_parser("python -m benchmarks", __doc__, rounds=11, out="benchmarks.json", parts=GROUPS)
    made.add_argument(
        "--redraw", action="store_true", help="measure nothing: table and figures of --out again"
    )
    return made


def run(arguments: Sequence[str]) -> int:
    """Measures, or reads, and shows.

    Raises:
        SimError: an option or a file is not allowed.
    """
    given = parser().parse_args(arguments)
    if given.redraw:
        refuse_outputs(figure_paths(given.out, FIGURES), {})
    found = _read(given.out) if given.redraw else _measured(given)
    try:
        machine, rows = table.rows_of(found)
    except table.ResultError as error:
        raise SimError(f"{given.out} cannot be shown: {error}") from error
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        print(f"\n{table.heading(found)}")
        print(table.roofs(machine) if machine is not None else f"No limits: {kernels.status().reason}")
        print(f"\n{table.markdown(rows)}\n")
    save(rows, machine, given.out, table.heading(found))
    return 0


def _measured(given: argparse.Namespace) -> Any:
    groups, threads = checked(given, GROUPS, FIGURES)
    if not has_jax():
        print(NO_JAX, file=sys.stderr)
    machine = calibrate(kernels.status().live, threads) if kernels.status().levels else None
    rows: list[Row] = []
    wanted = cases(groups, threads, given.seconds)
    for number, case in enumerate(wanted, 1):
        print(f"{number} of {len(wanted)}: {case.name}", file=sys.stderr, flush=True)
        rows.append(measure(case, machine, given.rounds))
    found = table.result(machine, rows, given.rounds, threads)
    keep(found, given.out)
    return found


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise SimError(f"{path} cannot be read as a result: {reason}") from error


if __name__ == "__main__":
    sys.exit(run_main(run, sys.argv[1:]))
