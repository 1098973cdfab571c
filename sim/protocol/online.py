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
import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from sim.artifacts import Artifacts, step_name
from sim.cell import Cell, canonical_json
from sim.errors import SimError
from sim.online import cost, records
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
from sim.online.cost import teacher_seconds
from sim.parity import Outcome, Status
from sim.protocol.base import Files, Json, Means, Options, Part, Payload, Piece, Progress, Protocol, Summary
from sim.store import Store, StoredCell
from sim.student import Students, discard_state, state_file, train_students
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec

BUNDLE_SECONDS = 30.0
"""Students of one source of labels are not divided into units shorter than this."""

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

    def pieces(self, parts: Sequence[Part]) -> list[list[Piece]]:
        """The teacher first; then its record, and its students, those of one source of labels together.

        Students of one source are divided only where training them takes longer than their labels, which all of them
        need; by the numbers of the replicates, so that a run that goes on finds the state of the one before.
        """
        cells = _cells(parts)
        students = [Piece(own, self.seconds(own)) for own in _bundles(cells)]
        teacher = cells[0][0].teacher
        if teacher is None:
            return [students]
        teachers = tuple(part for part in parts if isinstance(part.cell, TeacherCell))
        record = [Piece(teachers, 0.0, here=True)] if teachers else []
        return [[Piece(tuple(parts), teacher_seconds(teacher), prepares=True)], [*record, *students]]

    def prepare(self, parts: Sequence[Part], means: Means, progress: Progress) -> None:
        """Train the teacher, with all checkpoints that these parts need."""
        self.check(parts)
        cells = _cells(parts)
        with _artifacts(means, cells[0][0].device) as artifacts:
            _Group(cells, artifacts, means, progress).train_teacher()

    def files(self, parts: Sequence[Part], means: Means, *, prepares: bool) -> Files:
        """Of a teacher the checkpoints where training goes on or arrives; of students those they see, and a state."""
        assert means.artifacts is not None
        cells = _cells(parts)
        device = cells[0][0].device
        artifacts = artifacts_in(means.artifacts, device)
        found = _Group(cells, artifacts, means, lambda share: None).files(prepares=prepares)
        prefix = artifacts.root.relative_to(means.artifacts)
        return Files(
            tuple((prefix / name).as_posix() for name in found.read),
            frozenset((prefix / name).as_posix() for name in found.kept),
        )

    def run(self, parts: Sequence[Part], means: Means, progress: Progress) -> Records:
        """Train the teacher, then the students; see `sim.online.records` for the records."""
        self.check(parts)
        cells = _cells(parts)
        with _artifacts(means, cells[0][0].device) as artifacts:
            return _Group(cells, artifacts, means, progress).run()

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

    def memory(self, parts: Sequence[Part]) -> float:
        """Mostly the weights, and their first values."""
        return cost.memory(_cells(parts))

    def disk(self, parts: Sequence[Part]) -> tuple[float, float]:
        """Curves; checkpoints, and the students' states."""
        cells = _cells(parts)
        return cost.store_bytes(cells), cost.artifact_bytes(cells)

    def kind(self, cell: Cell) -> str:
        """Teachers, students of a teacher, students of the parity."""
        own = online_cell(cell)
        if isinstance(own, TeacherCell):
            return "online teacher"
        return "online students" if own.teacher is None else "online students of a teacher"

    def smaller(self, part: Part, share: float) -> Part:
        """Fewer steps; the teacher of students is hardly trained."""
        return Part(*cost.smaller(online_cell(part.cell), part.replicates, share))

    def planning(self, cell: Cell, replicates: int) -> float:
        """There is no theory."""
        return 1e-4

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


def _bundles(cells: Cells) -> Iterator[tuple[Part, ...]]:
    """The students of each course and source of labels, divided where that pays; see `Online.pieces`."""
    bundles: dict[str, list[tuple[StudentCell, Sequence[int]]]] = {}
    for cell, replicates in cells:
        if isinstance(cell, StudentCell):
            bundles.setdefault(_labels_key(cell), []).append((cell, replicates))
    for own in bundles.values():
        nobody = [(cell, ()) for cell, _ in own]
        labels = _seconds(nobody)
        one_each = _seconds([(cell, (0,)) for cell, _ in own]) - labels
        size = max(1, math.ceil(max(labels, BUNDLE_SECONDS) / max(one_each, 1e-9)))
        for chunk in sorted({replicate // size for _, replicates in own for replicate in replicates}):
            numbers = [(cell, tuple(r for r in rs if r // size == chunk)) for cell, rs in own]
            yield tuple(Part(cell, some) for cell, some in numbers if some)


def _labels_key(cell: StudentCell) -> str:
    """Students of equal keys see labels of the same checkpoints on the same samples."""
    if cell.teacher is None:
        return _hash([cell.course().spec()])
    # Checkpoints in turn cost as much as one, whatever the temperature.
    spec = without(cell.student.supervision.spec(), "temperature", "truth")
    return _hash([spec, cell.course().spec()])


def _students(cells: StudentCells) -> Students:
    return [(cell.student, list(replicates)) for cell, replicates in cells]


class _Group:
    """The work of one unit: at most one teacher, and students."""

    def __init__(self, cells: Cells, artifacts: Artifacts, means: Means, progress: Progress) -> None:
        self._artifacts, self._threads = artifacts, means.threads
        self._until = None if means.stretch is None else time.monotonic() + means.stretch
        self._device = cells[0][0].device
        self._teacher = cells[0][0].teacher
        self._teacher_cells = [cell for cell, _ in cells if isinstance(cell, TeacherCell)]
        self._courses = _courses(cells)
        self._progress = progress
        self._trajectory = (
            None if self._teacher is None else Trajectory(self._teacher, artifacts, self._device)
        )
        shares = [] if self._trajectory is None else [self._teacher_seconds(self._trajectory)]
        shares += [_seconds(course) for course in self._courses]
        self._shares, self._total, self._done = shares, max(sum(shares), 1e-9), 0.0

    def run(self) -> Records:
        """Records of all cells."""
        found: Records = {}
        outcome = Outcome(Status.OK)
        if self._trajectory is not None:
            outcome = self.train_teacher()
            for cell in self._teacher_cells:
                found[cell.id] = {0: self._teacher_record(cell, self._trajectory, outcome)}
        for course in self._courses:
            if outcome.status is Status.OK:
                found |= self._train(course)
            else:
                for student, replicates in course:
                    found[student.id] = dict.fromkeys(
                        replicates, records.untaught_record(student, outcome.step)
                    )
        return found

    def train_teacher(self) -> Outcome:
        """Train the teacher, with a checkpoint wherever one is asked for, in one pass."""
        assert self._trajectory is not None
        report = self._reporter()
        steps = self._checkpoints(self._trajectory.spec)
        outcome = self._trajectory.ensure_steps(
            steps, self._threads, lambda text, share: report(share), self._until
        )
        self._finish()
        return outcome

    def files(self, *, prepares: bool) -> Files:
        """What the teacher's training, or all of it, goes on from."""
        found: list[str] = []
        kept: list[str] = []
        if self._trajectory is not None:
            run, steps = self._trajectory.run, self._checkpoints(self._trajectory.spec)
            names = self._trajectory.ends(steps)
            if not prepares:
                names = (*names, *(name for name in map(step_name, sorted(steps)) if run.exists(name)))
            found += [run.relative(name) for name in dict.fromkeys(names)]
            kept += [run.relative(name) for name in run.names()]
        if not prepares:
            states = [
                state_file(own[0][0].course(), _students(own), self._artifacts) for own in self._courses
            ]
            found += [state for state in states if (self._artifacts.root / state).is_file()]
        return Files(tuple(found), frozenset(kept))

    def _teacher_seconds(self, trajectory: Trajectory) -> float:
        """Of what is still to be trained, about."""
        if not trajectory.missing(self._checkpoints(trajectory.spec)):
            return 0.0
        return teacher_seconds(trajectory.spec)

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
            until=self._until,
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
        folder = artifacts_in(means.artifacts, device).root
        prefix = folder.relative_to(means.artifacts).as_posix().removeprefix(".")
        start = f"{prefix}/" if prefix else ""
        kept = (path.removeprefix(start) for path in means.kept if path.startswith(start))
        yield Artifacts(folder, frozenset(kept))
        return
    with tempfile.TemporaryDirectory(prefix="online-") as temporary:
        yield Artifacts(Path(temporary))


def artifacts_in(folder: Path, device: str) -> Artifacts:
    """The artifacts of a device; rounding depends on it, so each has a folder of its own."""
    return Artifacts(folder if device == "cpu" else folder / device)


def _seconds(cells: Cells, afresh: bool = False) -> float:
    """Expected seconds; what is shared is counted once. Students' teachers are there unless all is done `afresh`."""
    return cost.seconds(cells, afresh=afresh)


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
