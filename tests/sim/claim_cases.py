"""Summaries as stores have them, made up: curves of students and teachers, probes, success of first steps."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim.cell import FirstStepCell
from sim.claims.claim import Entry
from sim.claims.evidence import Evidence
from sim.claims.ledger import CLAIMS, Ledger, ledger
from sim.course import StudentSpec
from sim.online.cell import OnlineCell, StudentCell, TeacherCell
from sim.online.options import no_theory
from sim.online.report import Report
from sim.online.summary import OnlineSummaryOfCell
from sim.online.window import Window, transition_of
from sim.probe import READINGS, ProbeSpec
from sim.probes import Group, Point, Probes, Reading
from sim.protocol.first_step import FirstStep
from sim.protocol.online import Online
from sim.ranges import record_grid
from sim.rates import RateSchedule
from sim.schedule import CrossEntropy as FirstCrossEntropy
from sim.schedule import Schedule
from sim.student_record import DIVERGED, OK, record
from sim.summary import CellSummary
from sim.supervision import CrossEntropy, Supervision
from sim.teacher_spec import TeacherSpec
from theory.intervals import SuccessCurve
from theory.verdict import Verdict
from theory.walsh import threshold_count

EVERY = 100_000
RATE = RateSchedule.parse("0.01")
Shape = Mapping[int, float]
"""A curve: the accuracy from a step on."""

CHANCE: Shape = {0: 0.5}


def teacher(
    seed: int = 0, *, n: int = 100, k: int = 6, width: int = 50_000, steps: int = 20_000_000
) -> TeacherSpec:
    """A teacher, by default the paper's."""
    return TeacherSpec(n, k, width, RATE, steps, EVERY, seed=seed)


def learns(at: int, then: float = 1.0) -> Shape:
    """At chance, then as accurate from a step on."""
    return {0: 0.5, at: then}


def _curve(shape: Shape, steps: Sequence[int]) -> list[float]:
    return [shape[max(start for start in shape if start <= step)] for step in steps]


def _summary(cell: OnlineCell, shapes: Sequence[Shape | None], batch: int) -> OnlineSummaryOfCell:
    records = {}
    points = cell.log_points()
    for number, shape in enumerate(shapes):
        curve = {} if shape is None else {"held_out": _curve(shape, points)}
        status, at = (DIVERGED, 1) if shape is None else (OK, None)
        records[number] = record(status, at, batch, points, curve)
    return OnlineSummaryOfCell(cell, no_theory(), records, None)


def taught(spec: TeacherSpec, shape: Shape) -> OnlineSummaryOfCell:
    """A teacher's summary."""
    return _summary(TeacherCell.of(Online.tag(), spec, EVERY, "cpu"), [shape], spec.batch)


def students(
    supervision: Supervision,
    shapes: Sequence[Shape | None],
    spec: TeacherSpec | None = None,
    *,
    width: int = 100,
    steps: int = 20_000_000,
) -> OnlineSummaryOfCell:
    """A student cell's summary, a shape a student; None: it diverged."""
    spec = teacher() if spec is None else spec
    cell = StudentCell(
        Online.tag(), spec.n, spec.k, spec.seed,
        None if isinstance(supervision, CrossEntropy) else spec,
        StudentSpec(width, RATE, supervision), steps, 1, spec.segment, EVERY,
    )  # fmt: skip
    return _summary(cell, shapes, 1)


def report(spec: TeacherSpec, shape: Shape, sizes: Mapping[int, float], off: float = 0.002) -> Report:
    """Probes whose degree-1 correlations are all of the sizes given by step."""
    probed = ProbeSpec(spec.n, tuple(range(spec.k)), 1, samples=1 << 20, off=4)
    points = []
    for step, size in sizes.items():
        values = tuple(size if len(monomial) == 1 else 0.0 for monomial in probed.inside)
        groups = tuple(
            Group(kind, degree, len(found), off, off, off, off, off) for kind, degree, found in probed.outside
        )
        reading = Reading(values, (0.0001,) * len(values), groups)
        points.append(Point(step, 0, dict.fromkeys(READINGS, reading)))
    summary = taught(spec, shape)
    assert isinstance(summary.cell, TeacherCell)
    steps = sorted(sizes)
    held_out = dict(zip(steps, _curve(shape, steps), strict=True))
    window = Window(steps[0], steps[-1], EVERY)
    transition = transition_of(summary.records[0])
    return Report(
        summary.cell, window, READINGS[0], True, transition, held_out, Probes(probed, tuple(points))
    )


def first_step(
    found_from: Sequence[int],
    bounds: Sequence[tuple[str, str, float]],
    *,
    n: int = 20,
    samples: int = 4096,
    schedule: Schedule | None = None,
) -> CellSummary:
    """A first-step cell whose students succeed from some B on; bounds by name, kind and samples."""
    cell = FirstStepCell(
        FirstStep.tag(), n, 2, threshold_count(n, 0), schedule or FirstCrossEntropy(), samples, 2, 0
    )
    grid = np.array(record_grid(samples, 2))
    curve = SuccessCurve(grid, np.array([grid >= B for B in found_from]))
    stored = {
        "delta": 0.1,
        "bounds": [{"name": name, "kind": kind, "samples": value} for name, kind, value in bounds],
    }
    return CellSummary(cell, stored, tuple(range(len(found_from))), curve, None)


def judged(evidence: Evidence, id: str) -> list[Entry]:
    """The rows of one claim in the whole ledger."""
    return [entry for entry in whole(evidence).entries if entry.claim.id == id]


def whole(evidence: Evidence) -> Ledger:
    """The ledger of all claims."""
    return ledger(evidence, CLAIMS)


def verdict(evidence: Evidence, id: str) -> Verdict | None:
    """Of the only row of a claim."""
    (entry,) = judged(evidence, id)
    return entry.verdict
