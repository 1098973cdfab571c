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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from sim.artifacts import Artifacts
from sim.cell import Cell, canonical_json
from sim.course import Course
from sim.online import records
from sim.online.cell import (
    NAME,
    VERSION,
    OnlineCell,
    StudentCell,
    TeacherCell,
    cell_from_spec,
    online_cell,
    teacher_key,
)
from sim.parity import Outcome, Status
from sim.protocol.base import Json, Means, Options, Part, Payload, Progress, Protocol, Summary
from sim.store import Store, StoredCell
from sim.student import train_students
from sim.teacher import TeacherSpec, Trajectory

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
        cells = [(online_cell(part.cell), part.replicates) for part in parts]
        with _artifacts(means, cells[0][0].device) as artifacts:
            return _Group(cells, artifacts, means.threads, progress, self.seconds).run()

    def seconds(self, parts: Sequence[Part]) -> float:
        """Expected seconds on one thread: teachers, the labels of each schedule, and students."""
        return _seconds([(online_cell(part.cell), part.replicates) for part in parts])

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


class _Group:
    """The work of one unit: at most one teacher, and students."""

    def __init__(
        self,
        cells: Cells,
        artifacts: Artifacts,
        threads: int,
        progress: Progress,
        seconds: Callable[[Sequence[Part]], float],
    ) -> None:
        self._artifacts, self._threads = artifacts, threads
        self._device = cells[0][0].device
        self._teacher = cells[0][0].teacher
        self._teacher_cells = [cell for cell, _ in cells if isinstance(cell, TeacherCell)]
        courses: dict[str, list[tuple[StudentCell, Sequence[int]]]] = {}
        for cell, replicates in cells:
            if isinstance(cell, StudentCell):
                courses.setdefault(_hash(cell.course().spec()), []).append((cell, replicates))
        self._courses = list(courses.values())
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
        steps = self._checkpoints(trajectory.spec)
        outcome = Outcome(Status.OK)
        report = self._reporter()
        before = 0
        for step in steps:

            def share(text: str, value: float, a: int = before, b: int = step) -> None:
                report((a + value * (b - a)) / steps[-1])

            outcome = trajectory.densify(step, step, trajectory.spec.segment, self._threads, share)
            if outcome.status is not Status.OK:
                break
            before = step
        self._finish()
        return outcome

    def _checkpoints(self, teacher: TeacherSpec) -> list[int]:
        """Steps at which the students, or the points of curves, need the teacher, increasing."""
        steps = {0, teacher.steps}
        for cell in self._teacher_cells:
            steps.update(cell.log_points())
        for course in self._courses:
            for student, _ in course:
                steps.update(student.course().checkpoints([student.student.supervision]))
        return sorted(steps)

    def _teacher_record(self, cell: TeacherCell, trajectory: Trajectory, outcome: Outcome) -> Payload:
        came_to = trajectory.steps()
        curve = trajectory.curve(cell.log_every) if came_to and came_to[-1] > 0 else None
        return records.teacher_record(cell, outcome, curve)

    def _train(self, cells: Sequence[tuple[StudentCell, Sequence[int]]]) -> Records:
        course: Course = cells[0][0].course()
        report = self._reporter()
        found = train_students(
            course,
            [(cell.student, list(replicates)) for cell, replicates in cells],
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
    """The folder of artifacts; rounding depends on the device, so each has its own."""
    if means.artifacts is not None:
        yield Artifacts(means.artifacts if device == "cpu" else means.artifacts / device)
        return
    with tempfile.TemporaryDirectory(prefix="online-") as folder:
        yield Artifacts(Path(folder))


def _seconds(cells: Cells) -> float:
    """Expected seconds; what is shared is counted once."""
    teachers = {
        _hash(cell.teacher.spec()): cell.teacher
        for cell, _ in cells
        if isinstance(cell, TeacherCell) and cell.teacher
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
                spec = {
                    k: v
                    for k, v in cell.student.supervision.spec().items()
                    if k not in ("temperature", "truth")
                }
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
