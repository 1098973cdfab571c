"""The commands that run given cells again, as far as the command line can say them.

A command is built from a cell's specification and kept only if the options that it is read as make cells of the study,
with the replicates that the study has; so a command that is there is right, and a cell without one is counted.
"""

import argparse
import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from sim.arguments import Parser, add_protocols
from sim.cell import FirstStepCell, canonical_json
from sim.errors import SimError
from sim.online.cell import StudentCell
from sim.online.grammar import HEATED, SPACED
from sim.online.options import OnlineOptions
from sim.protocol.base import Wanted
from sim.protocol.registry import protocol_named, protocol_of
from sim.store import StoredCell
from sim.supervisions import Annealed, Progressive, Single, TillSaturate, TwoShot
from sim.two_stage.cell import TwoStageCell, rational_text
from theory.errors import TheoryError
from theory.walsh import representative_bias, suggested_count, threshold_count

PROGRAM = ("python", "-m", "sim.grid", "run")

MAX_COMMANDS = 10_000
"""Of one protocol; cells of further ones are counted as without."""

Options = dict[str, str]
"""Options of the command line with their values."""


@final
@dataclass(frozen=True, slots=True)
class Commands:
    """What runs a study again.

    Attributes:
        lines: for a shell.
        without: how many cells no line makes.
        makes: ids of the cells that each line makes.
    """

    lines: tuple[str, ...]
    without: int
    makes: tuple[frozenset[str], ...]


_JOINED = ("--n", "--seed", "--width", "--temperature", "--schedule")
"""Options of which one command may have several values."""


def commands(cells: Sequence[tuple[StoredCell, int]]) -> Commands:
    """The commands that make these cells, which are of one protocol, each with its number of replicates."""
    wanted = {stored.cell.id: replicates for stored, replicates in cells}
    parser = Parser(prog="run")
    add_protocols(parser)
    tried = [
        {**options, "--replicates": str(replicates)}
        for stored, replicates in cells
        if (options := _options(stored)) is not None
    ]
    for name in _JOINED:
        tried = _join(tried, name, lambda options: bool(_made(parser, options, wanted)))
    lines, makes = [], []
    for options in tried[:MAX_COMMANDS]:
        own = _made(parser, options, wanted)
        if own:
            lines.append(shlex.join([*PROGRAM, *_words(options)]))
            makes.append(frozenset(own))
    return Commands(tuple(lines), len(wanted.keys() - set().union(*makes)), tuple(makes))


def _join(tried: Sequence[Options], name: str, makes: Callable[[Options], bool]) -> list[Options]:
    """Commands that differ in one option alone as one, where that makes nothing else."""
    groups: dict[str, list[Options]] = {}
    for options in tried:
        rest = canonical_json({key: value for key, value in options.items() if key != name})
        groups.setdefault(rest, []).append(options)
    joined: list[Options] = []
    for group in groups.values():
        values = dict.fromkeys(options[name] for options in group if name in options)
        if len(values) > 1 and makes(one := {**group[0], name: ",".join(values)}):
            joined.append(one)
        else:
            joined += group
    return joined


def _words(options: Options) -> list[str]:
    """Words of the command line; a value may begin with a minus sign."""
    return [
        word
        for name, value in options.items()
        for word in ([f"{name}={value}"] if value.startswith("-") else [name, value])
    ]


def _made(parser: Parser, options: Options, wanted: Mapping[str, int]) -> set[str]:
    """The cells that a command makes; none if it is refused, or makes others than those wanted."""
    words = _words({name: value for name, value in options.items() if name != "--device"})
    try:
        made = _wanted(parser.parse_args(words), options.get("--device"))
    except (SimError, TheoryError):
        return set()
    known = all(wanted.get(one.cell.id, 0) >= one.replicates for one in made)
    return {one.cell.id for one in made} if known else set()


def _wanted(given: argparse.Namespace, device: str | None) -> list[Wanted]:
    options = protocol_named(given.protocol).options(given)
    if device is not None:  # which need not be here
        assert isinstance(options, OnlineOptions)
        options = dataclasses.replace(options, device=device)
    return options.wanted()


def _options(stored: StoredCell) -> Options | None:
    """The options that make one cell; None where there can be none."""
    cell = stored.cell
    common = {"--protocol": protocol_of(cell).name, "--n": str(cell.n), "--k": str(cell.k)}
    try:
        match cell:
            case FirstStepCell():
                own = {"--samples": str(cell.samples)} | _bias(cell) | _step(cell, stored.theory)
            case TwoStageCell():
                own = _two_stage(cell, stored.theory)
            case StudentCell():
                own = _online(cell)
            case _:  # a teacher is made along with its students
                return None
    except (KeyError, TypeError):  # theory that does not say its parameters
        return None
    return common | own | {"--seed": str(cell.seed)}


def _bias(cell: FirstStepCell) -> Options:
    if cell.q == threshold_count(cell.n, 0):
        return {}
    try:
        if cell.q == suggested_count(cell.n, cell.k):
            return {"--bias": "best"}
    except TheoryError:  # no bias has a signal
        pass
    return {"--bias": str(representative_bias(cell.n, cell.q))}


def _step(cell: FirstStepCell | TwoStageCell, theory: Mapping[str, Any]) -> Options:
    spec = cell.schedule.spec()
    names = ("labels", "teacher", "teacher_error", "degree", "teacher_width")
    own = {f"--{name.replace('_', '-')}": str(spec[name]) for name in names if name in spec}
    return {
        "--schedule": str(spec["name"]),
        **own,
        "--delta": repr(theory["delta"]),
        "--resolution": str(cell.resolution),
    }


def _two_stage(cell: TwoStageCell, theory: Mapping[str, Any]) -> Options:
    student = (
        {"--width": str(cell.width)}
        if cell.dead_zone is None
        else {"--dead-zone": rational_text(cell.dead_zone)}
    )
    return {
        "--student": cell.student,
        **student,
        "--loss": ",".join(map(str, theory["losses"])),
        "--samples": str(cell.first),
        "--second": str(cell.second),
        **_step(cell, theory),
    }


def _online(cell: StudentCell) -> Options:
    supervision, student, teacher = cell.student.supervision, cell.student, cell.teacher
    values = {f.name: getattr(supervision, f.name) for f in dataclasses.fields(supervision)}
    options = {
        "--schedule": _schedule(cell),
        "--width": str(student.width),
        "--lr": student.rate.label(),
        "--init": student.initialisation,
        "--steps": str(cell.steps),
        "--batch": str(cell.batch),
        "--log-every": str(cell.log_every),
    }
    if supervision.name in HEATED:
        options["--temperature"] = repr(values["temperature"])
    if supervision.name in SPACED:
        options["--checkpoints"] = str(values["every"])
    if teacher is not None:
        options |= {
            "--mix": repr(values["truth"]),
            "--teacher-width": str(teacher.width),
            "--teacher-lr": teacher.rate.label(),
            "--teacher-steps": str(teacher.steps),
            "--teacher-init": teacher.initialisation,
        }
    return options if cell.device == "cpu" else options | {"--device": cell.device}


def _schedule(cell: StudentCell) -> str:
    """The supervision in the grammar of the command line."""
    match cell.student.supervision:
        case Single(checkpoint=step):
            parts = [f"{step}"]
        case TwoShot(intermediate=step, switch=steps):
            parts = [f"{step}", f"{steps}"]
        case Annealed(start=start, end=end, share=share):
            parts = [repr(start), repr(end), f"share={share!r}"]
        case Progressive(stay=stay, first=first, last=last):
            parts = [f"stay={stay}", f"first={first}", *([] if last is None else [f"last={last}"])]
        case TillSaturate(window=window, patience=patience, gain=gain):
            parts = [f"window={window}", f"patience={patience}", f"gain={gain!r}"]
        case _:
            parts = []
    return ":".join([cell.student.supervision.name, *parts])
