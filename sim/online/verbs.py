"""The verb of the online protocol: probe a teacher."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sim.artifacts import stretches
from sim.cell import Cell
from sim.errors import SimError
from sim.execution.threads import check_threads
from sim.files import refuse_figure, refuse_outputs, refuse_unwritable, write_whole
from sim.numbers import duration
from sim.online.cell import StudentCell, TeacherCell, check_device
from sim.online.cost import logit_seconds, teacher_seconds
from sim.online.report import Report
from sim.online.window import Window, transition_of, window_of
from sim.parity import Status
from sim.probe import READINGS, ProbeSpec
from sim.probes import probe as measure
from sim.progress import display_for
from sim.protocol.online import Online, artifacts_in
from sim.ranges import parse_count
from sim.store import Store
from sim.teacher import Trajectory
from sim.verbs.common import (
    EXIT_CONSISTENT,
    artifacts_of,
    console,
    default_data,
    figure_paths,
    note,
    refuse_foreign_data,
    with_data,
)

FEW = 20
"""Fewer checkpoints than this show a transition coarsely."""

_POWER = re.compile(r"2\^([0-9]{1,2})")


@final
@dataclass(frozen=True)
class ProbeOptions:
    """What `python -m sim.grid probe` does; None where a value is chosen.

    Attributes:
        start, stop, every: of the window, see `sim.online.window.window_of`.
        samples: N, at least 2.
        off: monomials outside the support, of each degree and kind.
        reading: that of table, peak and figure.
        threads: of the kernels.
    """

    start: int | None
    stop: int | None
    every: int | None
    samples: int
    off: int
    reading: str
    threads: int

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise SimError(f"reading {self.reading!r} is unknown: use one of {', '.join(READINGS)}")
        check_threads(self.threads)


def parse_samples(text: str) -> int:
    """A number of samples, written `2^20`, `1e6` or in digits. Raises SimError if the text is none."""
    match = _POWER.fullmatch(text)
    return 1 << int(match[1]) if match else parse_count(text, "--samples")


def probe(
    out: Path,
    prefix: str,
    options: ProbeOptions,
    to: Path | None,
    figure: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Measure a teacher's correlations with monomials along its run; write and show them.

    Args:
        out: the store.
        prefix: start of the id of the teacher's cell.
        options: what is measured.
        to: the JSON file; None for none, which needs `as_json`.
        figure: PNG or SVG file, its data beside it as CSV; None for PNG and SVG beside `to`.
        as_json: print what the file has instead of the table.
        quiet: no progress.
    """
    if to is None and not as_json:
        raise SimError("probe has no place for its results: give --to FILE, or --json")
    if to is not None:
        refuse_unwritable(to)  # a folder has no name for figures beside it
    cell, record = _teacher(out, prefix)
    transition = transition_of(record)
    window = window_of(cell, record, transition, start=options.start, stop=options.stop, every=options.every)
    task = cell.teacher.task
    spec = ProbeSpec(cell.n, task.support, task.key("probe"), samples=options.samples, off=options.off)
    figures = [figure] if figure is not None else [] if to is None else figure_paths(to)
    for path in figures:
        refuse_figure(path)
    kept = {out: "the store"} | dict.fromkeys(figure_paths(out), "the store's figure")
    kept |= {default_data(out): "the data of the store's figure"}
    refuse_outputs([*([] if to is None else [to]), *with_data(figures)], kept)
    for path in figures[:1]:
        refuse_foreign_data(path.with_suffix(".csv"))
    if not quiet and window.every == cell.teacher.segment and len(window.steps) < FEW:
        note(
            f"the window has {len(window.steps)} checkpoints only, every {window.every} steps, those of one call of "
            "the kernel: a run with a smaller --log-every can have more"
        )
    trajectory = _trained(out, cell, window, options.threads, quiet=quiet)
    held_out = {s: a for s, a in trajectory.held_out().items() if s in window.steps}
    stored = dict(zip(record["steps"], record["held_out"], strict=True))
    agrees = all(stored.get(s, a) == a for s, a in held_out.items())
    if not agrees:
        note(
            f"the checkpoints in {trajectory.run.folder} are not those of the stored run, which was trained on another "
            "machine or by another version: their held-out accuracies differ"
        )
    networks = ((s, trajectory.load(s)) for s in window.steps)
    if not quiet:
        each = spec.samples * logit_seconds(cell.n, cell.teacher.width)
        seconds = len(window.steps) * each / options.threads
        note(
            f"probing {len(window.steps)} checkpoints, steps {window.start} to {window.steps[-1]} every "
            f"{window.every}, on {spec.samples} samples: about {duration(seconds)}"
        )
    with display_for(quiet=quiet) as display:

        def show(points: int, samples: int) -> None:
            # Those of a pass under way count as none: how many they are is not told.
            display.update(
                f"{points} of {len(window.steps)} checkpoints, {samples:,} of {spec.samples:,} samples of the next",
                points / len(window.steps),
            )

        probes = measure(spec, networks, threads=options.threads, progress=show)
    report = Report(cell, window, options.reading, agrees, transition, held_out, probes)
    values = report.to_json()
    if to is not None:
        write_whole(to, json.dumps(values, indent=1, allow_nan=False) + "\n")
    if figures:
        from sim.figures.base import save_drawing
        from sim.online.plots import correlation_drawing  # matplotlib is slow to import

        save_drawing(correlation_drawing(report), *figures)
    if as_json:
        print(json.dumps(values, indent=2, allow_nan=False))
    else:
        report.print(console())
    if not quiet:
        for path in [*([to] if to is not None else []), *figures]:
            note(f"written: {path}")
    return EXIT_CONSISTENT


def _teacher(out: Path, prefix: str) -> tuple[TeacherCell, dict[str, Any]]:
    """A teacher's cell and its record."""
    with Store(out, write=False) as store:
        cell: Cell = store.find(prefix).cell
        if isinstance(cell, StudentCell) and (teacher := cell.teacher_cell()) is not None:
            raise SimError(
                f"cell {prefix!r} is of students, which are not kept: give their teacher's, {teacher.id[:12]}"
            )
        if not isinstance(cell, TeacherCell):
            raise SimError(
                f"cell {prefix!r} is {cell.label()}: probe needs a teacher of protocol {Online.name}"
            )
        record = store.checked_records(cell).get(0)
    if record is None:
        raise SimError(f"cell {prefix!r} has no curve in {out}: run its grid first")
    return cell, record


def _trained(out: Path, cell: TeacherCell, window: Window, threads: int, *, quiet: bool) -> Trajectory:
    """The teacher's trajectory with all checkpoints of the window; says what has to be trained first."""
    folder = artifacts_of(out)
    trajectory = Trajectory(cell.teacher, artifacts_in(folder, cell.device), cell.device)
    there = set(trajectory.steps())
    missing = [step for step in window.steps if step not in there]
    if missing:
        check_device(cell.device)
        steps = sum(b - a for a, b, _ in stretches(missing, there, window.steps[-1]))
        seconds = teacher_seconds(cell.teacher, steps) / threads
        if not quiet:
            note(
                f"{len(missing)} of {len(window.steps)} checkpoints are not in {folder} and are trained again, bit for "
                f"bit as in the run, {steps} steps: about {duration(seconds)}; they are kept"
            )
    with display_for(quiet=quiet or not missing) as display:
        outcome = trajectory.densify(
            window.start,
            window.steps[-1],
            window.every,
            threads,
            display.update,
        )
    if outcome.status is not Status.OK:
        raise SimError(
            f"cell {cell.id[:12]} diverged at step {outcome.step} when trained again: give an --until before that step"
        )
    return trajectory
