"""The tables of online cells, for people and as JSON."""

import json
import math
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from sim.online.cell import StudentCell, TeacherCell
from sim.online.options import NO_THEORY
from sim.online.summary import THRESHOLDS, Median, OnlineSummary, OnlineSummaryOfCell, Pooled
from sim.supervision import count_text, number_text
from sim.transition import Crossing
from theory.output import finite

INTERVALS = (
    "Medians over students, of samples on a grid of log points, with intervals of level 95 % by order statistics (for "
    "fewer than 6: the range, of level 1 - 2^(1-R)). Students of a cell share teacher and samples; rows of all seeds "
    "are medians over seeds, which share nothing."
)


def print_summary(summary: OnlineSummary, console: Console) -> None:
    """Print the teachers, the students, what the intervals are, and how the run stands."""
    for n, k in sorted({(cell.cell.n, cell.cell.k) for cell in summary.cells}):
        here = [cell for cell in summary.cells if (cell.cell.n, cell.cell.k) == (n, k)]
        teachers = [cell for cell in here if isinstance(cell.cell, TeacherCell)]
        students = [cell for cell in here if isinstance(cell.cell, StudentCell)]
        if teachers:
            console.print(_teacher_table(teachers, n, k))
        if students:
            console.print(_student_table(summary, students, n, k))
    for text in (INTERVALS, NO_THEORY):
        console.print(text, highlight=False, soft_wrap=True)
    for cell in summary.cells:
        if cell.bad or not cell.complete:
            console.print(f"{cell.cell.label()}: {cell.status()}", highlight=False, soft_wrap=True)
    diverged = f", {summary.diverged} diverged (in no median)" if summary.diverged else ""
    console.print(f"{'COMPLETE' if summary.complete else 'INCOMPLETE'}{diverged}", highlight=False)


def _teacher_table(cells: list[OnlineSummaryOfCell], n: int, k: int) -> Table:
    table = Table(title=f"teachers, n = {n}, k = {k}", title_justify="left", header_style="")
    for name in (
        "width",
        "rate",
        "seed",
        "samples",
        "transition",
        "75 % at [95 % interval]",
        "final accuracy",
        "status",
    ):
        table.add_column(name, justify="left" if name in ("rate", "status") else "right")
    for summary in sorted(cells, key=teacher_place):
        cell = summary.cell
        assert isinstance(cell, TeacherCell)
        final = summary.final_accuracy
        table.add_row(
            str(cell.teacher.width),
            cell.teacher.rate.label(),
            str(cell.seed),
            _plain(cell.horizon),
            transition_text(summary),
            crossing_text(summary),
            "-" if final is None else _share(final.value),
            summary.status() if summary.records else "not run",
        )
    return table


def _student_table(summary: OnlineSummary, cells: list[OnlineSummaryOfCell], n: int, k: int) -> Table:
    table = Table(
        title=f"students, n = {n}, k = {k}: samples to an accuracy", title_justify="left", header_style=""
    )
    right = ("width", "seed", "students")
    names = ("schedule", "width", "rate", "teacher", "seed", "students")
    for name in (*names, *(f"{threshold:.0%}" for threshold in THRESHOLDS), "final accuracy", "status"):
        table.add_column(name, justify="right" if name in right or name.endswith(("%", "y")) else "left")
    pooled = {pool.cells[0].setting: pool for pool in summary.pooled}
    rows = sorted(cells, key=lambda c: (student_place(c), c.setting, c.cell.seed))
    for i, cell in enumerate(rows):
        if i > 0 and student_place(cell)[:3] != student_place(rows[i - 1])[:3]:
            table.add_section()
        table.add_row(*_student_row(summary, cell))
        pool = pooled.get(cell.setting)
        if pool is not None and (i + 1 == len(rows) or rows[i + 1].setting != cell.setting):
            table.add_row(*_pooled_row(pool))
    return table


def teacher_place(summary: OnlineSummaryOfCell) -> tuple[Any, ...]:
    """Where a teacher stands among others: numbers as numbers."""
    teacher = summary.cell.teacher
    assert teacher is not None
    return teacher.width, teacher.rate.peak, teacher.label(), teacher.steps, summary.cell.seed


def student_place(summary: OnlineSummaryOfCell) -> tuple[Any, ...]:
    """Teacher, kind of schedule, its checkpoint and temperature, width, rate: numbers as numbers."""
    cell = summary.cell
    assert isinstance(cell, StudentCell)
    student, supervision = cell.student, cell.student.supervision
    chosen = getattr(supervision, "checkpoint", getattr(supervision, "intermediate", 0))
    teacher = (0, "") if cell.teacher is None else (cell.teacher.width, cell.teacher.label())
    heat = getattr(supervision, "temperature", 0.0)
    return *teacher, supervision.name, chosen, heat, student.width, student.rate.peak, cell.series


def _student_row(summary: OnlineSummary, of_cell: OnlineSummaryOfCell) -> list[str]:
    cell = of_cell.cell
    assert isinstance(cell, StudentCell)
    teacher = "-"
    if cell.teacher is not None:
        beside = summary.teacher_of(of_cell)
        at = "" if beside is None else f", {transition_text(beside)}"
        teacher = f"{cell.teacher.width} rate {cell.teacher.rate.label()}{at}"
    return [
        cell.student.supervision.label(),
        str(cell.student.width),
        cell.student.rate.label(),
        teacher,
        str(cell.seed),
        str(len(of_cell.good)),
        *(samples_text(of_cell.samples_to[threshold]) for threshold in THRESHOLDS),
        accuracy_text(of_cell.final_accuracy),
        of_cell.status() if of_cell.records else "not run",
    ]


def _pooled_row(pool: Pooled) -> list[str]:
    return [
        *("", "", "", "", f"all {len(pool.cells)}", str(sum(len(cell.good) for cell in pool.cells))),
        *(samples_text(pool.samples_to[threshold]) for threshold in THRESHOLDS),
        accuracy_text(pool.final_accuracy),
        "",
    ]


def transition_text(summary: OnlineSummaryOfCell) -> str:
    """For example `60k..80k`: from the last log point before 55 % to the first with 95 %, in samples."""
    found = summary.transition
    if found is None or found.start is None:
        return "none"
    return f"{_plain(found.start)}..{'' if found.end is None else _plain(found.end)}"


def crossing_at(summary: OnlineSummaryOfCell, level: float = 0.75) -> Crossing | None:
    """Where a teacher's accuracy reaches a level of `sim.transition.LEVELS`; None if it does not."""
    found = summary.transition
    return None if found is None else next((c for c in found.crossings if c.level == level), None)


def crossing_text(summary: OnlineSummaryOfCell) -> str:
    """The samples to 75 % with their interval; `-` where it is not reached."""
    crossing = crossing_at(summary)
    if crossing is None:
        return "-"
    high = "∞" if crossing.high is None else _plain(crossing.high)
    return f"{_plain(crossing.step)} [{_plain(crossing.low)}, {high}]"


def _plain(value: float | int) -> str:
    """A number of samples, short and exact; a median may be half of one."""
    if math.isinf(value):
        return "∞"
    return count_text(int(value)) if value == int(value) else number_text(value)


def samples_text(median: Median | None) -> str:
    """For example `70k [50k, 110k]`; `-` for none."""
    if median is None:
        return "-"
    if median.level == 0:
        return _plain(median.value)
    return f"{_plain(median.value)} [{_plain(median.low)}, {_plain(median.high)}]"


def _share(value: float) -> str:
    return f"{value:.4g}"


def accuracy_text(median: Median | None) -> str:
    """For example `0.97 [0.95, 0.99]`; `-` for none."""
    if median is None:
        return "-"
    if median.level == 0:
        return _share(median.value)
    return f"{_share(median.value)} [{_share(median.low)}, {_share(median.high)}]"


def as_json(summary: OnlineSummary) -> dict[str, Any]:
    """The tables as JSON values; ∞ is null."""
    return {
        "complete": summary.complete,
        "diverged": summary.diverged,
        "intervals": INTERVALS,
        "theory": NO_THEORY,
        "cells": [_cell_json(summary, cell) for cell in summary.cells],
        "over_seeds": [
            {
                "cells": [cell.cell.id for cell in pool.cells],
                "series": pool.cells[0].cell.series,
                "seeds": [cell.cell.seed for cell in pool.cells],
                **_medians_json(pool.samples_to, pool.final_accuracy),
            }
            for pool in summary.pooled
        ],
    }


def _cell_json(summary: OnlineSummary, of_cell: OnlineSummaryOfCell) -> dict[str, Any]:
    teacher = summary.teacher_of(of_cell)
    return {
        **of_cell.cell.json(),
        "teacher_cell": None if teacher is None else teacher.cell.id,
        "replicates": len(of_cell.records),
        "complete": of_cell.complete,
        "status": of_cell.status(),
        "diverged": {str(r): record["diverged_at"] for r, record in of_cell.bad.items()},
        "transition": _transition_json(of_cell),
        **_medians_json(of_cell.samples_to, of_cell.final_accuracy),
        "theory": of_cell.theory,
    }


def _transition_json(of_cell: OnlineSummaryOfCell) -> dict[str, Any] | None:
    found = of_cell.transition
    if found is None:
        return None
    crossings = [
        {"accuracy": c.level, "samples": c.step, "interval": [c.low, c.high]} for c in found.crossings
    ]
    return {"start": found.start, "end": found.end, "crossings": crossings}


def _medians_json(samples_to: Mapping[float, Median | None], final: Median | None) -> dict[str, Any]:
    return {
        "samples_to": {f"{threshold:g}": _median_json(median) for threshold, median in samples_to.items()},
        "final_accuracy": _median_json(final),
    }


def _median_json(median: Median | None) -> dict[str, Any] | None:
    if median is None:
        return None
    return {
        "median": finite(median.value),
        "interval": None if median.level == 0 else [finite(median.low), finite(median.high)],
        "level": median.level,
        "values": [finite(value) for value in median.values],
    }


def explain_cell(of_cell: OnlineSummaryOfCell) -> Iterator[str]:
    """All about one cell, in lines."""
    cell = of_cell.cell
    yield f"{cell.label()}\nid {cell.id}"
    yield f"what: {json.dumps(cell.spec(), sort_keys=True)}"
    if isinstance(cell, StudentCell) and (teacher := cell.teacher_cell()) is not None:
        yield f"teacher: cell {teacher.id[:12]}"
    if of_cell.transition is not None:
        yield f"transition: {transition_text(of_cell)} samples; 75 % at {crossing_text(of_cell)}"
    yield f"theory: {of_cell.theory['statement']}"
    if of_cell.good:
        yield f"measured with {len(of_cell.good)} replicates (accuracy on the held-out set: median and range):"
        for i, step in enumerate(of_cell.good[0]["steps"]):
            values = [record["held_out"][i] for record in of_cell.good]
            middle = statistics.median(values)
            samples = _plain(step * of_cell.good[0]["batch"])
            yield f"  {samples:>9} samples  {middle:6.4f}  [{min(values):.4f}, {max(values):.4f}]"
    for threshold, median in of_cell.samples_to.items():
        if median is not None:
            level = f" (level {median.level:.0%})" if median.level else ""
            yield f"samples to {threshold:.0%}: {samples_text(median)}{level}"
    for replicate, record in of_cell.bad.items():
        yield f"replicate {replicate}: {record['status']} at step {record['diverged_at']}"
    yield f"status: {of_cell.status()}"
