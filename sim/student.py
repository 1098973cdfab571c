"""Students: many networks trained at once on one stream of samples, each under its own supervision.

All students of a call share task, teacher, samples, batch and steps. In each segment of steps the sources of labels
that are in force are collected over all students, the logits of each checkpoint are computed once, whatever the
temperatures, and students of one shape are trained by one call of the kernel. A student's record depends on its
specification, its replicate and the course alone: not on the students beside it, on threads, or on when the state was
saved, killed and resumed (the kernel's reference on other devices rounds differently).

**Labels.** Logistic loss takes probabilities q of the label +1 (`sim.supervision`). The other losses take real targets:
the label's mean y = 2q − 1 (the parity itself, the teacher's sign, or tanh(f/2τ), mixed), or, with target `logit`, the
score α y + (1 − α) f/τ.

**Measured** since the log point before, on each sample before the step that learns from it: accuracy against the parity
(a student says +1 where its logit is above 0), agreement of signs with the teacher in force (where a logit of 0 counts
as +1), mean loss against the labels seen; and at log points the accuracy on the task's held-out set.
"""

import itertools
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, final, get_args

import numpy as np
import torch
from jaxtyping import Float64, Int8
from numpy import ndarray
from torch import Tensor

import kernels
from kernels import Network
from sim.artifacts import Artifacts, Layout, Run
from sim.cell import MAX_SAMPLES
from sim.errors import SimError
from sim.network import DTYPES, check_network, initialise, output_rate
from sim.parity import ParityTask
from sim.rates import RateSchedule
from sim.supervision import History, Source, Supervision, supervision_from_spec
from sim.teacher import MAX_BATCH, OnProgress, TeacherSpec, Trajectory

Loss = Literal["logistic", "hinge", "correlation", "squared"]
LOSSES: tuple[Loss, ...] = get_args(Loss)
Target = Literal["label", "logit"]
TARGETS: tuple[Target, ...] = get_args(Target)
MIN_TEMPERATURE = 1e-6
"""For logits as targets: float32 holds them then."""

SAVE_SECONDS = 60.0
CACHED_BYTES = 1 << 28
"""Teachers' weights kept in memory from one segment to the next."""

STATE = "state"
COLUMNS = ("accuracy", "agreement", "loss", "held_out")
Payload = dict[str, Any]


@final
@dataclass(frozen=True)
class StudentSpec:
    """A kind of student and how it is trained.

    Attributes:
        width: hidden neurons m.
        rate: learning rate of each step.
        supervision: what labels it sees.
        initialisation: `torch-default` or `symmetric`.
        loss: `logistic`, `hinge`, `correlation` or `squared`.
        target: what losses other than the logistic take for y, see the module: `label`, or `logit` (τ ≥ 10^−6).
        decay: weight decay λ ≥ 0: parameters are multiplied by 1 − ηλ at each step.
        dtype: `float32` or `float64`.

    Raises:
        SimError: a value is not allowed.
    """

    width: int
    rate: RateSchedule
    supervision: Supervision
    initialisation: str = "torch-default"
    loss: str = "logistic"
    target: str = "label"
    decay: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_network(self.initialisation, self.width, self.dtype)
        if self.loss not in LOSSES:
            raise SimError(f"loss {self.loss!r} is unknown: give one of {', '.join(LOSSES)}")
        if self.target not in TARGETS:
            raise SimError(f"target {self.target!r} is unknown: give one of {', '.join(TARGETS)}")
        if self.target == "logit" and self.loss == "logistic":
            raise SimError(
                "target 'logit' is not for the logistic loss, which takes probabilities: give 'label'"
            )
        heat = [getattr(self.supervision, name, 1.0) for name in ("temperature", "start", "end")]
        if self.target == "logit" and min(heat) < MIN_TEMPERATURE:
            raise SimError(
                f"target 'logit' divides by temperature {min(heat)}: give {MIN_TEMPERATURE:g} or more, or 'label'"
            )
        if not 0 <= self.decay < math.inf:
            raise SimError(f"weight decay {self.decay} is not allowed: give a finite number, at least 0")

    def spec(self) -> dict[str, Any]:
        """All fields, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "rate": self.rate.spec(), "supervision": self.supervision.spec()}

    def label(self) -> str:
        """One line for people; distinct for distinct specifications."""
        unusual = [
            f"{f.name}={getattr(self, f.name)}"
            for f in fields(self)[3:]
            if getattr(self, f.name) != f.default
        ]
        return " ".join([self.supervision.label(), f"width={self.width} rate={self.rate.label()}", *unusual])

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> "StudentSpec":
        """The student whose `spec()` this is.

        Raises:
            SimError: the specification does not describe one.
        """
        try:
            rate, supervision = (
                RateSchedule.from_spec(spec["rate"]),
                supervision_from_spec(spec["supervision"]),
            )
            return StudentSpec(**{**spec, "rate": rate, "supervision": supervision})
        except (KeyError, TypeError) as error:
            raise SimError(f"student {dict(spec)} cannot be read: {error}") from error


@final
@dataclass(frozen=True)
class Course:
    """What the students of a call have in common.

    Attributes:
        task: the parity and its samples.
        teacher: of the same task; None where all students see the parity.
        steps: steps of every student, a multiple of the segment.
        batch: samples a step.
        segment: steps of one call of the kernel, counted from step 0; rounding depends on it, supervision acts at its
            ends only.
        log_every: steps between log points, a multiple of the segment; the last step is always one.
        stream: number of the stream of `student data` that they see.

    Raises:
        SimError: a value is not allowed.
    """

    task: ParityTask
    teacher: TeacherSpec | None
    steps: int
    batch: int = 1
    segment: int = 10_000
    log_every: int = 100_000
    stream: int = 0

    def __post_init__(self) -> None:
        if self.teacher is not None and self.teacher.task != self.task:
            raise SimError(f"{self.teacher.label()} learns another task: give one of {self.task}")
        if not 1 <= self.batch <= MAX_BATCH:
            raise SimError(f"batch {self.batch} is not allowed: give 1 to {MAX_BATCH} samples a step")
        if self.segment < 1:
            raise SimError(f"segment {self.segment} is not allowed: give at least 1 step")
        for name, value in (("steps", self.steps), ("log_every", self.log_every)):
            if value < 1 or value % self.segment:
                raise SimError(
                    f"{name} {value} is not allowed: give a multiple of the segment, {self.segment}"
                )
        if self.steps * self.batch > MAX_SAMPLES:
            raise SimError(
                f"steps {self.steps} of batch {self.batch} are too many: at most {MAX_SAMPLES} samples can be drawn"
            )
        if not 0 <= self.stream < 1 << 63:
            raise SimError(f"stream {self.stream} is not allowed: give 0 to 2^63 − 1")

    def spec(self) -> dict[str, Any]:
        """All that changes a record besides the student, as JSON values."""
        teacher = self.teacher
        return {
            **{f.name: getattr(self, f.name) for f in fields(self)},
            "task": self.task.spec(),
            # Which checkpoints are kept changes nothing; which one is the final one does.
            "teacher": teacher and {"trajectory": teacher.trajectory(), "final": teacher.steps},
        }

    def checkpoints(self, supervisions: Iterable[Supervision]) -> tuple[int, ...]:
        """Steps of all checkpoints of the teacher that these may ask for, increasing: they have to be there."""
        if self.teacher is None:
            return ()
        final_step = self.teacher.steps
        return tuple(sorted({c for s in supervisions for c in s.checkpoints(self.steps, final_step)}))


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
    """
    return _Training(course, students, artifacts, threads, device).run(save_seconds, progress)


def discard_state(course: Course, students: Students, artifacts: Artifacts) -> None:
    """Delete the state of these students, when their records are stored elsewhere."""
    _state_run(course, students, artifacts).remove(STATE)


def samples_to_reach(
    payload: Mapping[str, Any], thresholds: Iterable[float], *, column: str = "held_out"
) -> list[int | None]:
    """Samples after which a student first was that accurate, rounded up to a log point; None if it never was.

    Args:
        payload: a record of `train_students`.
        thresholds: accuracies in [0, 1].
        column: `held_out`, or `accuracy`, which is a mean over the samples since the log point before.

    >>> record = {"batch": 2, "steps": [10, 20, 30], "held_out": [0.5, 0.9, None]}
    >>> samples_to_reach(record, [0.5, 0.75, 0.95])
    [20, 40, None]
    """
    points = [(s, a) for s, a in zip(payload["steps"], payload[column], strict=True) if a is not None]
    return [
        next((step * int(payload["batch"]) for step, accuracy in points if accuracy >= threshold), None)
        for threshold in thresholds
    ]


class _Student:
    """One student but for its weights."""

    def __init__(self, spec: StudentSpec, replicate: int, course: Course) -> None:
        self.spec, self.replicate = spec, replicate
        self.history = History(course.steps, course.batch)
        self.diverged_at: int | None = None
        self.curve: dict[str, list[float | None]] = {name: [] for name in COLUMNS}
        self.checkpoints: list[list[int]] = []
        self.correct = self.agreed = 0
        self.loss = 0.0

    def plan(self, step: int, teacher_steps: Sequence[int]) -> Source:
        """The source of the segment from `step` on, which is taken down."""
        source = self.spec.supervision.plan(step, self.history, teacher_steps)
        before, total = self.history, self.history.total
        if before.source is None or source.checkpoint != before.source.checkpoint:
            self.history = History(total, before.batch, source)
            if source.checkpoint is not None:
                self.checkpoints.append([step, source.checkpoint])
        else:
            self.history = History(total, before.batch, source, before.agreed)
        return source

    def measure(self, steps: int, correct: int, agreed: int, loss: float) -> None:
        """Add what a segment of so many steps showed."""
        self.correct, self.agreed, self.loss = self.correct + correct, self.agreed + agreed, self.loss + loss
        if self.spec.supervision.adaptive:
            h = self.history
            self.history = History(h.total, h.batch, h.source, (*h.agreed, (steps, agreed)))

    def log(self, samples: int, held_out: float) -> None:
        """Close the window of so many samples before a log point."""
        taught = self.history.source is not None and self.history.source.checkpoint is not None
        loss = self.loss / samples
        values = (
            self.correct / samples,
            self.agreed / samples if taught else None,
            loss if math.isfinite(loss) else None,
            held_out,
        )
        for name, value in zip(COLUMNS, values if self.diverged_at is None else (None,) * 4, strict=True):
            self.curve[name].append(value)
        self.correct = self.agreed = 0
        self.loss = 0.0

    def state(self) -> dict[str, Any]:
        """All that changes, as JSON values."""
        source = self.history.source
        return {
            "source": source and [source.checkpoint, source.temperature, source.truth],
            "agreed": [list(pair) for pair in self.history.agreed],
            "diverged_at": self.diverged_at,
            "curve": self.curve,
            "checkpoints": self.checkpoints,
            "window": [self.correct, self.agreed, self.loss if math.isfinite(self.loss) else None],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state()`."""
        source = None if state["source"] is None else Source(*state["source"])
        agreed = tuple((steps, signs) for steps, signs in state["agreed"])
        self.history = History(self.history.total, self.history.batch, source, agreed)
        self.diverged_at = state["diverged_at"]
        self.curve = {name: state["curve"][name] for name in COLUMNS}  # in this order, whatever the file's is
        self.checkpoints = state["checkpoints"]
        self.correct, self.agreed, loss = state["window"]
        self.loss = math.inf if loss is None else loss

    def record(self, log_points: Sequence[int]) -> Payload:
        """The finished student's record."""
        return {
            "status": "OK" if self.diverged_at is None else "DIVERGED",
            "diverged_at": self.diverged_at,
            "batch": self.history.batch,
            "steps": list(log_points),
            **{name: list(values) for name, values in self.curve.items()},
            "checkpoints": [list(pair) for pair in self.checkpoints],
        }


class _Group:
    """Students that one call of the kernel trains: of one shape, loss and kind of target, all or none with decay.

    `network` has a row for every member, the diverged ones included.
    """

    def __init__(self, members: list[_Student], task: ParityTask, device: str) -> None:
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
        self.kinds = [{r: _Student(spec, r, course) for r in replicates} for spec, replicates in students]
        for (spec, replicates), kind in zip(students, self.kinds, strict=True):
            if len(kind) < len(replicates) or min(kind, default=0) < 0:
                raise SimError(
                    f"replicates {list(replicates)} of {spec.label()} are not allowed: give each once, from 0"
                )
            spec.supervision.check(course.steps, course.segment, self.teacher_steps)
        self.students = [student for kind in self.kinds for student in kind.values()]
        by_key: dict[tuple[Any, ...], list[_Student]] = {}
        for student in self.students:
            by_key.setdefault(_Group.key(student.spec), []).append(student)
        self.groups = [_Group(members, course.task, device) for members in by_key.values()]
        self.teachers: dict[int, Network] = {}

    def run(self, save_seconds: float, progress: OnProgress | None) -> list[dict[int, Payload]]:
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
                if self.step == course.steps or time.monotonic() - saved >= save_seconds:
                    self._save()
                    saved = time.monotonic()
                report(f"students: {self.step:,} of {course.steps:,} steps", self.step / course.steps)
        points = sorted({*range(course.log_every, course.steps, course.log_every), course.steps})
        return [{r: student.record(points) for r, student in kind.items()} for kind in self.kinds]

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
