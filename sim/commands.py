"""The commands that run given cells again, as far as the command line can say them.

A command is built from a cell's specification and kept only if the options that it is read as make cells of the study,
with the replicates that the study has; so a command that is there is right, and a cell without one is counted.
"""

import argparse
import dataclasses
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from sim.arguments import Parser, add_protocols
from sim.cell import Cell, FirstStepCell, canonical_json
from sim.errors import SimError
from sim.online.cell import StudentCell
from sim.online.grammar import HEATED, SPACED
from sim.online.options import OnlineOptions
from sim.protocol.base import Wanted
from sim.protocol.first_step import FirstStep
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


_JOINED = ("--n", "--k", "--seed", "--width", "--temperature", "--schedule")
"""Options of which one command may have several values."""

SAMPLES = "--samples"
"""Left out where a cell's horizon is the one that it has without it, as the theory beside the cell says."""


def commands(cells: Sequence[tuple[StoredCell, int]]) -> Commands:
    """The commands that make these cells, which are of one protocol, each with its number of replicates."""
    study = _Study(
        {stored.cell.id: replicates for stored, replicates in cells},
        {_without_samples(s.cell): s.cell.id for s, _ in cells if _has_usual_horizon(s)},
    )
    wanted = study.wanted
    tried = [
        {**options, "--replicates": str(replicates)}
        for stored, replicates in cells
        if (options := _options(stored)) is not None
    ]
    for name in _JOINED:
        tried = _join(tried, name, lambda options: bool(study.made(options)))
    lines, makes = [], []
    for options in tried[:MAX_COMMANDS]:
        own = study.made(options)
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
        values = sorted({options[name] for options in group if name in options}, key=_natural)
        if len(values) > 1 and makes(one := {**group[0], name: ",".join(values)}):
            joined.append(one)
        else:
            joined += group
    return joined


def _natural(value: str) -> tuple[float, str]:
    """Numbers as such, and before words, so that groups that have the same values say them alike."""
    try:
        return float(value), value
    except ValueError:
        return math.inf, value


def _words(options: Options) -> list[str]:
    """Words of the command line; a value may begin with a minus sign."""
    return [
        word
        for name, value in options.items()
        for word in ([f"{name}={value}"] if value.startswith("-") else [name, value])
    ]


@final
@dataclass(frozen=True)
class _Study:
    """The cells that commands may make.

    Attributes:
        wanted: replicates by cell id.
        usual: ids of the cells whose horizon needs no option, by what `_without_samples` says of them.
    """

    wanted: Mapping[str, int]
    usual: Mapping[str, str]

    @cached_property
    def parser(self) -> Parser:
        made = Parser(prog="run")
        add_protocols(made)
        return made

    def made(self, options: Options) -> set[str]:
        """The cells that a command makes; none if it is refused, or makes others than those wanted."""
        usual = SAMPLES not in options and options["--protocol"] == FirstStep.name
        words = _words({name: value for name, value in options.items() if name != "--device"})
        try:
            # Horizons take long to compute, and are known.
            given = self.parser.parse_args([*words, SAMPLES, "1"] if usual else words)
            made = _wanted(given, options.get("--device"))
        except (SimError, TheoryError):
            return set()
        numbers = {
            self.usual.get(_without_samples(one.cell), "") if usual else one.cell.id: one.replicates
            for one in made
        }
        known = len(numbers) == len(made) and all(self.wanted.get(i, 0) >= r for i, r in numbers.items())
        return set(numbers) if known else set()


def _without_samples(cell: Cell) -> str:
    return canonical_json({key: value for key, value in cell.spec().items() if key != "samples"})


def _has_usual_horizon(stored: StoredCell) -> bool:
    """Whether it is the one of `sim.plan.horizon`, by the bound that is stored."""
    cell, theory = stored.cell, stored.theory
    if not isinstance(cell, FirstStepCell):
        return False
    try:
        bounds = [float(bound["samples"]) for bound in theory["bounds"] if bound["name"] == "B1'"]
    except (KeyError, TypeError, ValueError):  # theory that does not say it
        return False
    return len(bounds) == 1 and math.isfinite(bounds[0]) and math.ceil(bounds[0]) == cell.samples


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
                horizon = {} if _has_usual_horizon(stored) else {SAMPLES: str(cell.samples)}
                own = horizon | _bias(cell) | _step(cell, stored.theory)
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
        SAMPLES: str(cell.first),
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
