"""Students: many networks trained at once on one stream of samples, each under its own supervision.

All students of a call share task, teacher, samples, batch and steps. In each segment of steps the sources of labels
that are in force are collected over all students, the logits of each checkpoint are computed once, whatever the
temperatures, and students of one shape are trained by one call of the kernel. A student's record depends on its
specification, its replicate and the course alone: not on the students beside it, on threads, or on when the state was
saved, killed and resumed (the kernel's reference on other devices rounds differently).

What labels they see is said in `sim.course`, what is measured on the way in `sim.student_record`.
"""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float64, Int8
from numpy import ndarray
from torch import Tensor

import kernels
from kernels import Network
from sim.artifacts import Artifacts, Layout, Run
from sim.course import Course, StudentSpec, log_points
from sim.errors import Paused, SimError
from sim.network import DTYPES, initialise, output_rate
from sim.parity import ParityTask
from sim.source import Source
from sim.student_record import Payload, StudentRecord
from sim.teacher import OnProgress, Trajectory

SAVE_SECONDS = 60.0
CACHED_BYTES = 1 << 28
"""Teachers' weights kept in memory from one segment to the next."""

STATE = "state"

Students = Sequence[tuple[StudentSpec, Sequence[int]]]
"""Kinds of students, and the replicates (numbers from 0 on) of each; a replicate selects the initial weights."""


def train_students(
    course: Course,
    students: Students,
    artifacts: Artifacts,
    *,
    threads: int = 1,
    device: str = "cpu",
    save_seconds: float = SAVE_SECONDS,
    progress: OnProgress | None = None,
    until: float | None = None,
) -> list[dict[int, Payload]]:
    """Train students from their first step, or from where an earlier call with the same students was stopped.

    Args:
        course: what they have in common. Its teacher's checkpoints `course.checkpoints(…)` are there.
        students: specifications with replicates; no replicate of a specification twice.
        artifacts: where the teacher's checkpoints are, and where the students' state is kept; see `discard_state`.
        threads: threads of the kernel.
        device: `cpu`, or another device of torch for the kernels' reference.
        save_seconds: the state is saved at the first end of a segment this long after the time before, and at the end.
        progress: told how far the work is.
        until: moment of the monotonic clock at which training stops, with its state saved; None for never.

    Returns:
        For each specification the records by replicate, as JSON values. `status` is `OK` or `DIVERGED`; `diverged_at`
        the first step with a logit that is not finite, or the end of the segment after which a parameter is not, else
        None; `batch` samples a step; `steps` the log points; `accuracy`, `agreement`, `loss`, `held_out` a number for
        each log point, None where there is none: no teacher, or diverged before the log point; `checkpoints` the pairs
        (student step, teacher step) at which another checkpoint came into force.

    Raises:
        SimError: no students, a replicate twice, a supervision that cannot be carried out, or a teacher that is not
            trained to its last step.
        ArtifactError: a file is damaged or cannot be written.
        Paused: the time was up.
    """
    return _Training(course, students, artifacts, threads, device).run(save_seconds, progress, until)


def discard_state(course: Course, students: Students, artifacts: Artifacts) -> None:
    """Delete the state of these students, when their records are stored elsewhere."""
    _state_run(course, students, artifacts).remove(STATE)


def state_file(course: Course, students: Students, artifacts: Artifacts) -> str:
    """Path of the state of these students, relative to the folder of artifacts; it need not be there."""
    return _state_run(course, students, artifacts).relative(STATE)


class _Group:
    """Students that one call of the kernel trains: of one shape, loss and kind of target, all or none with decay.

    `network` has a row for every member, the diverged ones included.
    """

    def __init__(self, members: list[StudentRecord], task: ParityTask, device: str) -> None:
        self.members, spec = members, members[0].spec
        self.loss, self.target, self.dtype = spec.loss, spec.target, DTYPES[spec.dtype]
        self.output_rate = output_rate(spec.initialisation)
        replicates = [member.replicate for member in members]
        key = task.key("initialisation")
        network = initialise(spec.initialisation, task.n, task.k, spec.width, key, replicates, spec.dtype)
        self.network = Network(*(tensor.to(device) for tensor in network))

    @staticmethod
    def key(spec: StudentSpec) -> tuple[Any, ...]:
        """Students of equal keys go together."""
        return spec.width, spec.initialisation, spec.dtype, spec.loss, spec.target, spec.decay > 0

    def living(self) -> list[int]:
        """Rows of the members that have not diverged."""
        return [row for row, member in enumerate(self.members) if member.diverged_at is None]

    def rows(self, rows: Sequence[int]) -> Network:
        """Some rows of the network."""
        if len(rows) == len(self.members):
            return self.network
        return Network(*(tensor[list(rows)] for tensor in self.network))

    def replace(self, rows: Sequence[int], network: Network) -> None:
        """Put rows back."""
        if len(rows) == len(self.members):
            self.network = network
        else:
            for whole, part in zip(self.network, network, strict=True):
                whole[list(rows)] = part


@final
@dataclass(frozen=True, slots=True)
class _Segment:
    """Steps start … stop − 1, and what is known of their samples: parities, and logits by checkpoint."""

    start: int
    stop: int
    parity: Int8[ndarray, " samples"]
    logits: dict[int, Float64[ndarray, " samples"]]

    def teacher(self, source: Source) -> Float64[ndarray, " samples"] | None:
        """Logits of the source's checkpoint."""
        return None if source.checkpoint is None else self.logits[source.checkpoint]

    def targets(self, source: Source, loss: str, target: str) -> Float64[ndarray, " samples"]:
        """The kernel's targets."""
        if target == "logit":
            return source.scores(self.parity, self.teacher(source))
        q = source.probabilities(self.parity, self.teacher(source))
        return q if loss == "logistic" else 2 * q - 1


class _Training:
    """A call of `train_students`."""

    def __init__(
        self, course: Course, students: Students, artifacts: Artifacts, threads: int, device: str
    ) -> None:
        if not any(replicates for _, replicates in students):
            raise SimError("there are no students to train: give at least one replicate")
        self.course, self.threads, self.device, self.step = course, threads, device, 0
        self.trajectory = None if course.teacher is None else Trajectory(course.teacher, artifacts)
        self.teacher_steps = self._checked_teacher()
        self.artifacts = _state_run(course, students, artifacts)
        self.kinds = [
            {r: StudentRecord(spec, r, course) for r in replicates} for spec, replicates in students
        ]
        for (spec, replicates), kind in zip(students, self.kinds, strict=True):
            if len(kind) < len(replicates) or min(kind, default=0) < 0:
                raise SimError(
                    f"replicates {list(replicates)} of {spec.label()} are not allowed: give each once, from 0"
                )
            spec.supervision.check(course.steps, course.segment, self.teacher_steps)
        self.students = [student for kind in self.kinds for student in kind.values()]
        by_key: dict[tuple[Any, ...], list[StudentRecord]] = {}
        for student in self.students:
            by_key.setdefault(_Group.key(student.spec), []).append(student)
        self.groups = [_Group(members, course.task, device) for members in by_key.values()]
        self.teachers: dict[int, Network] = {}

    def run(
        self, save_seconds: float, progress: OnProgress | None, until: float | None
    ) -> list[dict[int, Payload]]:
        """Train to the end."""
        report: OnProgress = progress or (lambda text, share: None)
        course = self.course
        with self.artifacts.lock(
            lambda: report("students: waiting for another process that trains them", 0.0)
        ):
            if self.artifacts.exists(STATE):
                self._restore()
            saved = time.monotonic()
            while self.step < course.steps:
                self._advance()
                up = until is not None and time.monotonic() >= until and self.step < course.steps
                if self.step == course.steps or up or time.monotonic() - saved >= save_seconds:
                    self._save()
                    saved = time.monotonic()
                if up:
                    raise Paused
                report(f"students: {self.step:,} of {course.steps:,} steps", self.step / course.steps)
        points = log_points(course.log_every, course.steps)
        return [{r: student.payload(points) for r, student in kind.items()} for kind in self.kinds]

    def _checked_teacher(self) -> tuple[int, ...]:
        if self.trajectory is None:
            return ()
        steps, teacher = self.trajectory.steps(), self.trajectory.spec
        if teacher.steps not in steps:
            status = self.trajectory.outcome().status
            raise SimError(
                f"{teacher.label()} cannot teach, it is {status.value}: train it to step {teacher.steps}"
            )
        return steps

    def _advance(self) -> None:
        """One segment of all students."""
        course, start = self.course, self.step
        stop = start + course.segment
        living = [s for s in self.students if s.diverged_at is None]
        sources = {student: student.plan(start, self.teacher_steps) for student in living}
        if living:
            segment = self._segment(start, stop, {source.checkpoint for source in sources.values()})
            for group in self.groups:
                rows = group.living()
                if rows:
                    self._train(group, rows, [sources[group.members[row]] for row in rows], segment)
        self.step = stop
        if stop % course.log_every == 0 or stop == course.steps:
            self._log((stop - 1) // course.log_every * course.log_every)

    def _segment(self, start: int, stop: int, checkpoints: set[int | None]) -> _Segment:
        """Labels of the segment, and the logits of each checkpoint once."""
        course, samples = self.course, (start * self.course.batch, stop * self.course.batch)
        asked = sorted(c for c in checkpoints if c is not None)
        self.teachers = {c: network for c, network in self.teachers.items() if c in asked}
        logits = {}
        for checkpoint in asked:
            network = self._teacher(checkpoint)
            key = course.task.key("student data")
            z = kernels.logits(key, course.stream, network, *samples, threads=self.threads)
            logits[checkpoint] = _numpy(z[0])
        parity = course.task.labels("student data", course.stream, *samples).numpy()
        return _Segment(start, stop, parity, logits)

    def _teacher(self, checkpoint: int) -> Network:
        if checkpoint in self.teachers:
            return self.teachers[checkpoint]
        assert self.trajectory is not None
        network = Network(*(tensor.to(self.device) for tensor in self.trajectory.load(checkpoint)))
        if sum(t.nbytes for n in (network, *self.teachers.values()) for t in n) <= CACHED_BYTES:
            self.teachers[checkpoint] = network
        return network

    def _train(self, group: _Group, rows: list[int], sources: list[Source], segment: _Segment) -> None:
        """The segment of the living members of a group."""
        course, members = self.course, [group.members[row] for row in rows]
        distinct = list(dict.fromkeys(sources))
        targets = np.stack([segment.targets(source, group.loss, group.target) for source in distinct])
        values = {
            rate: rate.values(segment.start, segment.stop, course.steps)
            for rate in {m.spec.rate for m in members}
        }
        rates = np.stack([values[member.spec.rate] for member in members])
        decay = torch.tensor([[m.spec.decay] for m in members], dtype=torch.float64)
        network, logits = kernels.sgd(
            course.task.key("student data"),
            course.stream,
            group.rows(rows),
            torch.from_numpy(targets).to(device=self.device, dtype=group.dtype),
            torch.from_numpy(rates).to(self.device),
            start=segment.start * course.batch,
            batch=course.batch,
            target_of=torch.tensor([distinct.index(source) for source in sources]).to(self.device),
            loss=group.loss,
            decay=decay.to(self.device) if bool(decay.any()) else None,
            output_rate=group.output_rate,
            threads=self.threads,
        )
        group.replace(rows, network)
        finite = _finite(network)
        positive = segment.parity > 0
        signs = {c: f >= 0 for c, f in segment.logits.items()}
        for i, (member, source) in enumerate(zip(members, sources, strict=True)):
            z = _numpy(logits[i])
            bad = np.flatnonzero(~np.isfinite(z))
            if len(bad):
                member.diverged_at = segment.start + int(bad[0]) // course.batch
            elif not finite[i]:
                member.diverged_at = segment.stop
            else:
                correct = np.count_nonzero((z > 0) == positive)
                agreed = (
                    0 if source.checkpoint is None else np.count_nonzero((z >= 0) == signs[source.checkpoint])
                )
                loss = _loss(group.loss, z, targets[distinct.index(source)])
                member.measure(segment.stop - segment.start, int(correct), int(agreed), loss)

    def _log(self, since: int) -> None:
        """A log point, at the end of the window that began at step `since`."""
        samples = (self.step - since) * self.course.batch
        for group in self.groups:
            rows, held_out = group.living(), [0.0] * len(group.members)
            if rows:
                accuracy = self.course.task.accuracy(group.rows(rows), threads=self.threads)
                for row, value in zip(rows, accuracy.tolist(), strict=True):
                    held_out[row] = value
            for member, value in zip(group.members, held_out, strict=True):
                member.log(samples, value)

    def _save(self) -> None:
        notes = {"step": self.step, "students": [student.state() for student in self.students]}
        self.artifacts.save(STATE, self._tensors(), notes)

    def _restore(self) -> None:
        layout: Layout = {name: (tuple(t.shape), t.dtype) for name, t in self._tensors().items()}
        state = self.artifacts.load(STATE, layout)
        self.step = state.notes["step"]
        for student, saved in zip(self.students, state.notes["students"], strict=True):
            student.restore(saved)
        for i, group in enumerate(self.groups):
            group.network = Network(
                *(state.tensors[f"{name}-{i}"].to(self.device) for name in Network._fields)
            )

    def _tensors(self) -> dict[str, Tensor]:
        pairs = itertools.product(enumerate(self.groups), Network._fields)
        return {f"{name}-{i}": getattr(group.network, name) for (i, group), name in pairs}


def _state_run(course: Course, students: Students, artifacts: Artifacts) -> Run:
    who = [[spec.spec(), list(replicates)] for spec, replicates in students]
    return artifacts.run("students", {"students": "sgd/1", "course": course.spec(), "who": who})


def _numpy(tensor: Tensor) -> Float64[ndarray, "..."]:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)


def _finite(network: Network) -> list[bool]:
    """Whether all parameters of each network are finite."""
    rows = torch.stack(
        [tensor.flatten(1).isfinite().all(dim=1) for tensor in (network.W, network.b, network.a)]
    )
    return [bool(value) for value in (rows.all(dim=0) & network.c.isfinite()).tolist()]


def _loss(loss: str, z: Float64[ndarray, " samples"], y: Float64[ndarray, " samples"]) -> float:
    """Sum of the losses of one student's samples; numpy's sum of one row does not depend on what is beside it."""
    with np.errstate(over="ignore"):  # an infinite loss is left out of the curve
        match loss:
            case "logistic":
                each = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
            case "hinge":
                each = np.maximum(0, 1 - y * z)
            case "correlation":
                each = -y * z
            case _:
                each = (z - y) ** 2 / 2
        return float(each.sum())
