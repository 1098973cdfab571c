"""The online protocol: networks trained one step a sample, by the parity itself or by checkpoints of a teacher.

A teacher is a cell of one replicate; a kind of students is a cell of many, which differ in their initial weights.
All cells of one teacher are one group and are run in one unit: the teacher is trained, or goes on where it was
stopped, then all its students are trained at once, on one stream of samples. Students of the parity alone, of one
task, are a group of their own.

Checkpoints and the students' states are kept among the artifacts; a run that was killed goes on from there, with the
records of an uninterrupted one. Without artifacts all is trained again, in a folder that is then deleted.
"""

import argparse
import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from sim.artifacts import Artifacts
from sim.cell import Cell, canonical_json
from sim.errors import SimError
from sim.online import records
from sim.online.cell import (
    NAME,
    VERSION,
    OnlineCell,
    StudentCell,
    TeacherCell,
    cell_from_spec,
    check_device,
    online_cell,
    teacher_key,
    without,
)
from sim.parity import Outcome, Status
from sim.protocol.base import Json, Means, Options, Part, Payload, Progress, Protocol, Summary
from sim.store import Store, StoredCell
from sim.student import Students, discard_state, train_students
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec

SECONDS_PER_WEIGHT = (5e-11, 1e-11)
"""Cost of a sample for one weight of the hidden layer: trained, and read only; for the plan and the display only."""

SECONDS_PER_SAMPLE = 1e-7
"""Cost of a sample for one student whatever its size."""

Records = dict[str, dict[int, Payload]]


@final
class Online(Protocol):
    """Cells of the online protocol."""

    name: ClassVar[str] = NAME
    version: ClassVar[int] = VERSION
    together: ClassVar[bool] = True
    flags: ClassVar[tuple[str, ...]] = (
        *("width", "lr", "teacher_lr", "temperature", "mix", "checkpoints", "steps", "teacher_steps"),
        *("batch", "init", "teacher_init", "log_every", "device"),
    )
    columns: ClassVar[tuple[str, ...]] = records.TABLE
    integers: ClassVar[tuple[str, ...]] = records.INTEGERS
    reals: ClassVar[tuple[str, ...]] = records.REALS

    def cell_from_spec(self, spec: Mapping[str, Any]) -> Cell:
        """A teacher's or a student's cell."""
        return cell_from_spec(spec)

    def group(self, cell: Cell) -> str:
        """One for each teacher; one for each course without teacher."""
        cell = online_cell(cell)
        if cell.teacher is not None:
            return teacher_key(cell.teacher, cell.device)
        assert isinstance(cell, StudentCell)
        return _hash([cell.course().spec(), cell.device])

    def run(self, parts: Sequence[Part], means: Means, progress: Progress) -> Records:
        """Train the teacher, then the students; see `sim.online.records` for the records."""
        self.check(parts)
        cells = _cells(parts)
        with _artifacts(means, cells[0][0].device) as artifacts:
            return _Group(cells, artifacts, means.threads, progress).run()

    def check(self, parts: Sequence[Part]) -> None:
        """A teacher has replicate 0 only; the device has to be here."""
        for cell, replicates in _cells(parts):
            if isinstance(cell, TeacherCell) and max(replicates) > 0:
                raise SimError(
                    f"replicate {max(replicates)} of {cell.label()} is not allowed: a teacher has replicate 0 only"
                )
            check_device(cell.device)

    def seconds(self, parts: Sequence[Part], *, afresh: bool = False) -> float:
        """Expected seconds on one thread: teachers, the labels of each schedule, and students."""
        return _seconds(_cells(parts), afresh)

    def let_go(self, parts: Sequence[Part], means: Means) -> None:
        """The students' states; the teacher's checkpoints are for other students too."""
        if means.artifacts is not None:
            for course in _courses(_cells(parts)):
                first = course[0][0]
                discard_state(first.course(), _students(course), artifacts_in(means.artifacts, first.device))

    def problem(self, cell: Cell, payload: Payload) -> str | None:
        """A record has a status, and its curves a value for each log point."""
        return records.problem(online_cell(cell), payload)

    def theory_again(self, cell: Cell, stored: Json) -> Json:
        """That there is none."""
        from sim.online.options import no_theory

        return no_theory()

    def options(self, given: argparse.Namespace) -> Options:
        """Options of an online grid."""
        from sim.online.options import OnlineOptions

        return OnlineOptions.from_arguments(given)

    def summarise(
        self, store: Store, stored: Sequence[StoredCell], wanted: Mapping[str, int] | None
    ) -> Summary:
        """Samples to accuracy, and final accuracy."""
        from sim.online.summary import summarise

        return summarise(store, stored, wanted)

    def rows(self, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        """A row a (replicate, log point)."""
        return records.rows(online_cell(stored.cell), store.checked_records(stored.cell))


Cells = Sequence[tuple[OnlineCell, Sequence[int]]]
StudentCells = Sequence[tuple[StudentCell, Sequence[int]]]


def _cells(parts: Sequence[Part]) -> Cells:
    return [(online_cell(part.cell), part.replicates) for part in parts]


def _courses(cells: Cells) -> list[StudentCells]:
    """The students, those that are trained together at a time."""
    courses: dict[str, list[tuple[StudentCell, Sequence[int]]]] = {}
    for cell, replicates in cells:
        if isinstance(cell, StudentCell):
            courses.setdefault(_hash(cell.course().spec()), []).append((cell, replicates))
    return list(courses.values())


def _students(cells: StudentCells) -> Students:
    return [(cell.student, list(replicates)) for cell, replicates in cells]


class _Group:
    """The work of one unit: at most one teacher, and students."""

    def __init__(self, cells: Cells, artifacts: Artifacts, threads: int, progress: Progress) -> None:
        self._artifacts, self._threads = artifacts, threads
        self._device = cells[0][0].device
        self._teacher = cells[0][0].teacher
        self._teacher_cells = [cell for cell, _ in cells if isinstance(cell, TeacherCell)]
        self._courses = _courses(cells)
        self._progress = progress
        shares = [teacher_seconds(self._teacher)] if self._teacher is not None else []
        shares += [_seconds(course) for course in self._courses]
        self._shares, self._total, self._done = shares, max(sum(shares), 1e-9), 0.0

    def run(self) -> Records:
        """Records of all cells."""
        found: Records = {}
        outcome = Outcome(Status.OK)
        if self._teacher is not None:
            trajectory = Trajectory(self._teacher, self._artifacts, self._device)
            outcome = self._train_teacher(trajectory)
            for cell in self._teacher_cells:
                found[cell.id] = {0: self._teacher_record(cell, trajectory, outcome)}
        for course in self._courses:
            if outcome.status is Status.OK:
                found |= self._train(course)
            else:
                for student, replicates in course:
                    found[student.id] = dict.fromkeys(
                        replicates, records.untaught_record(student, outcome.step)
                    )
        return found

    def _train_teacher(self, trajectory: Trajectory) -> Outcome:
        """Train the teacher, with a checkpoint wherever one is asked for, in one pass."""
        report = self._reporter()
        steps = self._checkpoints(trajectory.spec)
        outcome = trajectory.ensure_steps(steps, self._threads, lambda text, share: report(share))
        self._finish()
        return outcome

    def _checkpoints(self, teacher: TeacherSpec) -> set[int]:
        """Steps at which the students, or the points of curves, need the teacher."""
        steps = {0, teacher.steps}
        for cell in self._teacher_cells:
            steps.update(cell.log_points())
        for course in self._courses:
            for student, _ in course:
                steps.update(student.course().checkpoints([student.student.supervision]))
        return steps

    def _teacher_record(self, cell: TeacherCell, trajectory: Trajectory, outcome: Outcome) -> Payload:
        came_to = trajectory.steps()
        curve = trajectory.curve(cell.log_every) if came_to and came_to[-1] > 0 else None
        return records.teacher_record(cell, outcome, curve)

    def _train(self, cells: StudentCells) -> Records:
        report = self._reporter()
        found = train_students(
            cells[0][0].course(),
            _students(cells),
            self._artifacts,
            threads=self._threads,
            device=self._device,
            progress=lambda text, share: report(share),
        )
        self._finish()
        return {cell.id: dict(of_cell) for (cell, _), of_cell in zip(cells, found, strict=True)}

    def _reporter(self) -> Progress:
        """Progress of the part of the work that begins here, as a share of all of it."""
        done, weight = self._done, self._shares[0]
        return lambda share: self._progress(min(1.0, (done + share * weight) / self._total))

    def _finish(self) -> None:
        self._done += self._shares.pop(0)


@contextlib.contextmanager
def _artifacts(means: Means, device: str) -> Iterator[Artifacts]:
    """Where artifacts are kept, or a folder for this time only."""
    if means.artifacts is not None:
        yield artifacts_in(means.artifacts, device)
        return
    with tempfile.TemporaryDirectory(prefix="online-") as folder:
        yield Artifacts(Path(folder))


def artifacts_in(folder: Path, device: str) -> Artifacts:
    """The artifacts of a device; rounding depends on it, so each has a folder of its own."""
    return Artifacts(folder if device == "cpu" else folder / device)


def _seconds(cells: Cells, afresh: bool = False) -> float:
    """Expected seconds; what is shared is counted once. Students' teachers are there unless all is done `afresh`."""
    teachers = {
        teacher_key(cell.teacher, cell.device): cell.teacher
        for cell, _ in cells
        if cell.teacher is not None and (afresh or isinstance(cell, TeacherCell))
    }
    total = sum(teacher_seconds(teacher) for teacher in teachers.values())
    labels: dict[str, float] = {}
    for cell, replicates in cells:
        if isinstance(cell, StudentCell):
            weights = cell.student.width * (cell.n + 2)
            one = SECONDS_PER_SAMPLE + SECONDS_PER_WEIGHT[0] * weights
            total += one * cell.horizon * len(replicates)
            if cell.teacher is not None:
                # Checkpoints in turn cost as much as one, whatever the temperature.
                spec = without(cell.student.supervision.spec(), "temperature", "truth")
                read = cell.horizon * cell.teacher.width * (cell.n + 2) * SECONDS_PER_WEIGHT[1]
                labels[_hash([spec, cell.course().spec()])] = read
    return total + sum(labels.values())


def teacher_seconds(teacher: TeacherSpec, steps: int | None = None) -> float:
    """Expected seconds of training on one thread; `steps`: how many of it, all when None."""
    return (
        (teacher.steps if steps is None else steps)
        * teacher.batch
        * teacher.width
        * (teacher.n + 2)
        * SECONDS_PER_WEIGHT[0]
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
