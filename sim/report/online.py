"""The tables of networks trained online: teachers, students, and students over seeds."""

import math
from collections.abc import Iterator

from sim.online.cell import StudentCell, TeacherCell
from sim.online.summary import THRESHOLDS, Median, OnlineSummary, OnlineSummaryOfCell, Pooled
from sim.online.table import (
    INTERVALS,
    accuracy_text,
    crossing_at,
    crossing_text,
    samples_text,
    student_place,
    teacher_place,
    transition_text,
)
from sim.report.table import Column, Row, Table, Value, count, text

_TEACHERS = (
    Column("n", numeric=True, meaning="dimension", folds=True),
    Column("k", numeric=True, meaning="size of the support", folds=True),
    Column("width", numeric=True, meaning="of the teacher's hidden layer"),
    Column("rate", meaning="step size, and how it changes", folds=True),
    Column("seed", numeric=True, folds=True),
    Column("samples", numeric=True, folds=True),
    Column(
        "transition",
        numeric=True,
        meaning="last log point before 55 % to the first with 95 %, in samples",
    ),
    Column("75 % at [95 %]", numeric=True, meaning="samples to a held-out accuracy of 75 %"),
    Column("final accuracy", numeric=True, meaning="held out"),
    Column("status", folds=True),
)

_STUDENTS = (
    Column("n", numeric=True, meaning="dimension", folds=True),
    Column("k", numeric=True, meaning="size of the support", folds=True),
    Column("schedule", meaning="which teacher is seen when; τ: temperature"),
    Column("width", numeric=True, meaning="of the student's hidden layer", folds=True),
    Column("rate", meaning="step size, and how it changes", folds=True),
    Column("teacher", folds=True),
    Column("seed", folds=True),
    Column("students", numeric=True, meaning="that did not diverge", folds=True),
    *(
        Column(f"samples to {100 * threshold:g} %", numeric=True, meaning="samples to this accuracy")
        for threshold in THRESHOLDS
    ),
    Column("final accuracy", numeric=True, meaning="held out, after the last step"),
    Column("status", folds=True),
)


def tables(summary: OnlineSummary) -> list[Table]:
    """Of teachers and of students: those that have rows."""
    teachers = [cell for cell in summary.cells if isinstance(cell.cell, TeacherCell)]
    made = [
        Table.of(
            "online-teachers",
            "Online: teachers",
            _TEACHERS,
            [_teacher(t) for t in sorted(teachers, key=lambda t: (t.cell.n, t.cell.k, *teacher_place(t)))],
        ),
        Table.of("online-students", "Online: students", _STUDENTS, _students(summary), INTERVALS),
    ]
    return [table for table in made if table.rows]


def _teacher(summary: OnlineSummaryOfCell) -> Row:
    cell = summary.cell
    assert isinstance(cell, TeacherCell)
    found, crossing, final = summary.transition, crossing_at(summary), summary.final_accuracy
    return Row(
        (
            count(cell.n),
            count(cell.k),
            count(cell.teacher.width),
            text(cell.teacher.rate.label()),
            Value(str(cell.seed), float(cell.seed)),
            count(cell.horizon),
            Value(transition_text(summary), _real(None if found is None else found.start)),
            Value(crossing_text(summary), _real(None if crossing is None else crossing.step)),
            _accuracy(final),
            text(summary.status() if summary.records else "not run"),
        ),
        (cell.id,),
        f"cell-{cell.id[:12]}",
    )


def _real(value: int | None) -> float | None:
    return None if value is None else float(value)


def _students(summary: OnlineSummary) -> Iterator[Row]:
    """Each cell, after the last of several seeds all of them together."""
    students = [cell for cell in summary.cells if isinstance(cell.cell, StudentCell)]
    rows = sorted(students, key=lambda c: (c.cell.n, c.cell.k, student_place(c), c.setting, c.cell.seed))
    pooled = {pool.cells[0].setting: pool for pool in summary.pooled}
    for i, cell in enumerate(rows):
        yield _student(summary, cell)
        pool = pooled.get(cell.setting)
        if pool is not None and (i + 1 == len(rows) or rows[i + 1].setting != cell.setting):
            yield _pooled(summary, pool)


def _student(summary: OnlineSummary, of_cell: OnlineSummaryOfCell) -> Row:
    cell = of_cell.cell
    return Row(
        (
            *_setting(summary, of_cell),
            Value(str(cell.seed), float(cell.seed)),
            count(len(of_cell.good)),
            *(_samples(of_cell.samples_to[threshold]) for threshold in THRESHOLDS),
            _accuracy(of_cell.final_accuracy),
            text(of_cell.status() if of_cell.records else "not run"),
        ),
        (cell.id,),
        f"cell-{cell.id[:12]}",
    )


def _pooled(summary: OnlineSummary, pool: Pooled) -> Row:
    return Row(
        (
            *_setting(summary, pool.cells[0]),
            text(f"all {len(pool.cells)}"),
            count(sum(len(cell.good) for cell in pool.cells)),
            *(_samples(pool.samples_to[threshold]) for threshold in THRESHOLDS),
            _accuracy(pool.final_accuracy),
            text("over seeds"),
        ),
        tuple(cell.cell.id for cell in pool.cells),
    )


def _setting(summary: OnlineSummary, of_cell: OnlineSummaryOfCell) -> tuple[Value, ...]:
    cell = of_cell.cell
    assert isinstance(cell, StudentCell)
    teacher = Value("-")
    if cell.teacher is not None:
        beside = summary.teacher_of(of_cell)
        words = f"width {cell.teacher.width:,}, rate {cell.teacher.rate.label()}"
        teacher = Value(words, words, link=None if beside is None else f"cell-{beside.cell.id[:12]}")
    return (
        count(cell.n),
        count(cell.k),
        text(cell.student.supervision.label()),
        count(cell.student.width),
        text(cell.student.rate.label()),
        teacher,
    )


def _samples(median: Median | None) -> Value:
    if median is None:
        return Value("-")
    # Whoever did not get there comes after all who did.
    return Value(samples_text(median), min(median.value, 1e300) if not math.isnan(median.value) else None)


def _accuracy(median: Median | None) -> Value:
    return Value("-") if median is None else Value(accuracy_text(median), median.value)
