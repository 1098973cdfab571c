"""What an online replicate leaves: its curve. The record of a student is that of `sim.student.train_students`; the
record of a teacher has the same columns where they mean something.

The exported table has a row a (cell, replicate, log point):

| column | type | meaning |
|---|---|---|
| cell | string | id of the cell |
| protocol | string | name and version |
| role | string | teacher or student |
| n, k, seed | integer | dimension, size of the support, seed of task, samples and initial weights |
| teacher_width, teacher_rate | integer, string | of the teacher, or of the one that teaches; empty without |
| schedule | string | canonical JSON of the student's supervision; empty for teachers |
| temperature | real | τ, 0 for hard labels; empty where there is none |
| width, rate | integer, string | of the network whose curve this is |
| replicate | integer | number of the student; 0 for teachers |
| status | string | OK, DIVERGED, or TEACHER DIVERGED, of the whole replicate |
| diverged_at | integer | step at which it (or its teacher) diverged; empty if it did not |
| step, samples | integer | steps and samples so far |
| accuracy | real | share of right answers since the point before, before learning from each sample |
| loss | real | mean loss of the same samples against the labels seen, in nats |
| agreement | real | share of the same samples on which the teacher has the same sign; empty for teachers |
| held_out | real | accuracy on 4,096 samples that are never learned from |
| checkpoint | integer | step of the teacher's checkpoint that taught last; empty without |

Cells are empty where there is no value, such as after a divergence.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from sim.cell import canonical_json
from sim.online.cell import OnlineCell, StudentCell, TeacherCell
from sim.parity import Curve, Outcome, Status
from sim.protocol.base import Payload
from sim.student_record import COLUMNS, DIVERGED, OK, record
from theory.output import finite

TEACHER_DIVERGED = "TEACHER DIVERGED"
STATUSES = (OK, DIVERGED, TEACHER_DIVERGED)

TABLE = (
    *(
        "cell",
        "protocol",
        "role",
        "n",
        "k",
        "seed",
        "teacher_width",
        "teacher_rate",
        "schedule",
        "temperature",
    ),
    *("width", "rate", "replicate", "status", "diverged_at", "step", "samples"),
    *("accuracy", "loss", "agreement", "held_out", "checkpoint"),
)
INTEGERS = (
    *(
        "n",
        "k",
        "seed",
        "teacher_width",
        "width",
        "replicate",
        "diverged_at",
        "step",
        "samples",
        "checkpoint",
    ),
)
REALS = ("temperature", "accuracy", "loss", "agreement", "held_out")


def teacher_record(cell: TeacherCell, outcome: Outcome, curve: Curve | None) -> Payload:
    """The record of a teacher.

    Args:
        cell: its cell.
        outcome: how its training ended.
        curve: with a point at each log point that it came to; None if it came to none.
    """
    values: dict[int, tuple[float, float, float]] = {}
    if curve is not None:
        rows = zip(curve.steps.tolist(), curve.accuracy, curve.loss, curve.held_out, strict=True)
        values = {step: (float(a), float(b), float(c)) for step, a, b, c in rows}
    points = cell.log_points()
    columns = {
        name: [finite(values[step][i]) if step in values else None for step in points]
        for i, name in enumerate(("accuracy", "loss", "held_out"))
    }
    status = OK if outcome.status is Status.OK else DIVERGED
    return record(status, outcome.step, cell.teacher.batch, points, columns)


def untaught_record(cell: StudentCell, step: int | None) -> Payload:
    """The record of a student whose teacher diverged, at that step."""
    return record(TEACHER_DIVERGED, step, cell.batch, cell.log_points(), {})


def problem(cell: OnlineCell, payload: Payload) -> str | None:
    """Why a payload is no record of the cell, in a few words; None if it is one."""
    points = list(cell.log_points())
    if payload.get("status") not in STATUSES or payload.get("steps") != points:
        return f"has no status, or not the {len(points)} steps of its curve"
    for name in COLUMNS:
        values = payload.get(name)
        if not isinstance(values, list) or len(values) != len(points):
            return f"has no {name} for each of {len(points)} steps"
        top = math.inf if name == "loss" else 1.0
        if not all(v is None or (_is_number(v) and (name == "loss" or v >= 0) and v <= top) for v in values):
            return f"has a value of {name} that is no {'number' if name == 'loss' else 'share'}"
    if payload["status"] == OK and None in payload["held_out"]:
        return "has status OK and no held-out accuracy at some step"
    if (payload["status"] == OK) != (payload.get("diverged_at", 0) is None):
        return "has a status that does not go with its step of divergence"
    pairs = payload.get("checkpoints")
    if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
        return "has no list of checkpoints"
    return None


def rows(cell: OnlineCell, records: dict[int, dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """The cell's part of the table."""
    teacher = cell.teacher
    head = (
        *(cell.id, cell.protocol, "teacher" if isinstance(cell, TeacherCell) else "student"),
        *(cell.n, cell.k, cell.seed),
        *((None, None) if teacher is None else (teacher.width, teacher.rate.label())),
    )
    kind: tuple[str | None, float | None, int, str]
    if isinstance(cell, TeacherCell):
        kind = None, None, cell.teacher.width, cell.teacher.rate.label()
        batch = cell.teacher.batch
    else:
        supervision = cell.student.supervision
        heat = getattr(supervision, "temperature", None)
        kind = canonical_json(supervision.spec()), heat, cell.student.width, cell.student.rate.label()
        batch = cell.batch
    for replicate, payload in records.items():
        began = [pair[0] for pair in payload["checkpoints"]]
        for i, step in enumerate(payload["steps"]):
            turn = bisect_left(began, step)  # in force just before the point
            yield (
                *(*head, *kind, replicate, payload["status"], payload["diverged_at"], step, step * batch),
                *(payload[name][i] for name in ("accuracy", "loss", "agreement", "held_out")),
                payload["checkpoints"][turn - 1][1] if turn else None,
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, int) for part in value)
