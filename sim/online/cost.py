"""What online cells cost: seconds of one thread of an ordinary processor, bytes of memory, bytes on disk.

For plans, units and the display only: no number here changes a result. The constants are those of two cores of an
Intel Xeon (family 6 model 207, AVX-512); `sim.cost` corrects them for the machine it runs on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from sim.cost_disk import stored_bytes
from sim.course import log_points
from sim.online.cell import OnlineCell, StudentCell, TeacherCell
from sim.parity import EVALUATION_SAMPLES
from sim.student import CACHED_BYTES
from sim.supervision import Taught
from sim.supervisions import OneShot
from sim.teacher_spec import TeacherSpec

PASS_SECONDS: Final = 2.1e-7
"""A sample costs this, and a little for each coordinate, for all students of one shape together."""

ANSWER_SECONDS: Final = 8e-8
"""A sample of one network costs this whatever its size: its place in the kernel, its loss and its right answer."""

DRAWN_SECONDS: Final = 1.7e-7
"""Cost of a weight's first value."""

COPY_SECONDS: Final = 4e-9
"""Cost of a weight in a call of the kernel, which returns new tensors."""

FILE_SECONDS: Final = (1.5e-3, 1e-8)
"""Cost of a checkpoint written or read: of the file, and of a weight in it."""

SEGMENT_SECONDS: Final = (3e-4, 1e-4)
"""Cost of a call of the kernel: as such, and for each student."""

POINT_SECONDS: Final = 5e-4
"""Cost of a log point of students, their answers on the held-out set apart."""

LEAST_STEPS: Final = 64
MOST_TOGETHER: Final = 32
"""Of work that is timed as a sample of more."""

BYTES_A_POINT: Final = (48.0, 4.0)
"""Of a record: for each log point, and more of them where there is a teacher to agree with."""

Cells = Sequence[tuple[OnlineCell, Sequence[int]]]


def trained_seconds(n: int, width: int, batch: int) -> float:
    """Of a step of one network, for each of its samples."""
    alone = 1 / batch
    return width * (4.3e-10 + 3.5e-10 * alone + (1.58e-11 + 2.7e-12 * alone) * n)


def logit_seconds(n: int, width: int) -> float:
    """Of a logit of one network."""
    return 4e-8 + 4e-10 * n + width * (6e-11 + 6.5e-12 * n)


def teacher_seconds(teacher: TeacherSpec, steps: int | None = None, checkpoints: int | None = None) -> float:
    """Expected seconds of training on one thread.

    Args:
        teacher: that is trained.
        steps: how many of them; all when None.
        checkpoints: how many are made; those of its first and its last step when None.
    """
    steps = teacher.steps if steps is None else steps
    made = 2 if checkpoints is None else checkpoints
    n, weights = teacher.n, _weights(teacher.n, teacher.width)
    sample = PASS_SECONDS + 1.3e-9 * n + ANSWER_SECONDS + trained_seconds(n, teacher.width, teacher.batch)
    call = SEGMENT_SECONDS[0] + COPY_SECONDS * weights
    kept = FILE_SECONDS[0] + FILE_SECONDS[1] * weights + EVALUATION_SAMPLES * logit_seconds(n, teacher.width)
    return (
        DRAWN_SECONDS * weights
        + steps * teacher.batch * sample
        + steps / teacher.segment * call
        + made * kept
    )


def seconds(cells: Cells, *, afresh: bool = False) -> float:
    """Expected seconds of these cells, run together; what they share is counted once.

    Args:
        cells: with their replicates; where there are none, the labels alone are counted.
        afresh: students' teachers are to be trained too.
    """
    total = sum(
        teacher_seconds(teacher, checkpoints=len(steps))
        for teacher, steps in _teachers(cells, afresh).items()
    )
    courses: dict[tuple[object, ...], list[tuple[StudentCell, int]]] = {}
    for cell, replicates in cells:
        if isinstance(cell, StudentCell):
            courses.setdefault(_course(cell), []).append((cell, len(replicates)))
    return total + sum(_course_seconds(students) for students in courses.values())


def memory(cells: Cells) -> float:
    """Bytes that a process needs at the most for these cells, run together, beyond what it imports."""
    teachers = {cell.teacher for cell, _ in cells if isinstance(cell, TeacherCell)}
    largest = max((_teacher_memory(t) for t in teachers if t is not None), default=0.0)
    students = [(cell, len(rs)) for cell, rs in cells if isinstance(cell, StudentCell) and rs]
    if not students:
        return largest
    replicates = sum(count for _, count in students)
    widest = max(_weights(cell.n, cell.student.width) for cell, _ in students)
    own = sum(28.0 * _weights(cell.n, cell.student.width) * count for cell, count in students) + 60.0 * widest
    samples = max(cell.segment * cell.batch for cell, _ in students) * (4.0 * replicates + 60)
    taught = [_weights(cell.n, cell.teacher.width) for cell, _ in students if cell.teacher is not None]
    sources = {(cell.teacher, cell.student.supervision) for cell, _ in students if cell.teacher is not None}
    read = 8.0 * max(taught, default=0)
    cached = min(float(CACHED_BYTES), 4.0 * max(taught, default=0) * (len(sources) - 1)) if sources else 0.0
    return max(largest, own + samples + read + cached)


def store_bytes(cells: Cells) -> float:
    """Bytes of these records in a store."""
    return sum(stored_bytes(cell.spec(), 120.0, _record_bytes(cell), len(rs)) for cell, rs in cells)


def artifact_bytes(cells: Cells) -> float:
    """Bytes of checkpoints, which stay, and of the students' states, which go when their records are stored."""
    total = 0.0
    for teacher, steps in _teachers(cells, afresh=False).items():
        one = 1100 + 4.0 * _weights(teacher.n, teacher.width)
        total += len(steps) * (one + 8.0 * teacher.steps / teacher.segment)
    for cell, replicates in cells:
        if isinstance(cell, StudentCell):
            points = -(-cell.steps // cell.log_every)
            state = 4.0 * _weights(cell.n, cell.student.width) + 50 * points + 300
            total += state * len(replicates) + 1000
    return total


def _weights(n: int, width: int) -> int:
    return width * (n + 2) + 1


def _course(cell: StudentCell) -> tuple[object, ...]:
    """Equal for students that are trained beside one another."""
    return (
        cell.n,
        cell.k,
        cell.seed,
        cell.teacher,
        cell.steps,
        cell.batch,
        cell.segment,
        cell.log_every,
        cell.device,
    )


def _source(cell: StudentCell) -> tuple[object, ...]:
    """Equal for students of a course that see the same checkpoints; whatever the temperature."""
    spec = cell.student.supervision.spec()
    return tuple(
        (name, tuple(value) if isinstance(value, list) else value)
        for name, value in spec.items()
        if name not in ("temperature", "truth")
    )


def _teachers(cells: Cells, afresh: bool) -> dict[TeacherSpec, set[int]]:
    """The teachers that are trained, with the steps of their checkpoints."""
    found: dict[TeacherSpec, set[int]] = {}
    for cell, _ in cells:
        if cell.teacher is not None and (afresh or isinstance(cell, TeacherCell)):
            steps = found.setdefault(cell.teacher, {0, cell.teacher.steps})
            if isinstance(cell, TeacherCell):
                steps.update(cell.log_points())
    for cell, _ in cells:
        if isinstance(cell, StudentCell) and cell.teacher in found:
            found[cell.teacher].update(_asked(cell))
    return found


def _asked(cell: StudentCell) -> Iterable[int]:
    """Steps of the checkpoints that the student may see."""
    if cell.teacher is None:
        return ()
    return cell.student.supervision.checkpoints(cell.steps, cell.teacher.steps)


def _course_seconds(students: Sequence[tuple[StudentCell, int]]) -> float:
    """Of the students of one course."""
    first = students[0][0]
    n, batch, samples = first.n, first.batch, first.horizon
    calls, points = first.steps / first.segment, len(log_points(first.log_every, first.steps))
    shapes: dict[tuple[object, ...], None] = {}
    total = calls * SEGMENT_SECONDS[0] + points * POINT_SECONDS + FILE_SECONDS[0] + samples * 3e-8
    for cell, count in students:
        spec = cell.student
        weights, decays = _weights(n, spec.width), spec.decay > 0
        if count:
            shapes[spec.width, spec.initialisation, spec.dtype, spec.loss, spec.target, decays] = None
        total += count * (
            DRAWN_SECONDS * weights
            + samples * (ANSWER_SECONDS + trained_seconds(n, spec.width, batch))
            + calls * (SEGMENT_SECONDS[1] + COPY_SECONDS * weights)
            + points * EVALUATION_SAMPLES * logit_seconds(n, spec.width) / 2
            + FILE_SECONDS[1] * weights
        )
    total += len(shapes) * samples * (PASS_SECONDS + 1.3e-9 * n)
    sources = {_source(cell): cell for cell, _ in students if cell.teacher is not None}
    return total + sum(_labels_seconds(cell) for cell in sources.values())


def _labels_seconds(cell: StudentCell) -> float:
    """Of the labels of one source: checkpoints in turn cost as much as one, but for their files."""
    assert cell.teacher is not None
    width, weights = cell.teacher.width, _weights(cell.n, cell.teacher.width)
    changes = len(tuple(_asked(cell)))
    there = cell.teacher.steps / min(cell.log_every, cell.teacher.steps)
    file = FILE_SECONDS[0] + 1e-5 * there + FILE_SECONDS[1] * weights
    return cell.horizon * logit_seconds(cell.n, width) + changes * file


def _teacher_memory(teacher: TeacherSpec) -> float:
    """Bytes; most of them are those of its initial weights, drawn with 52 bits each."""
    return 90.0 * _weights(teacher.n, teacher.width) + 50.0 * teacher.segment * teacher.batch


def _record_bytes(cell: OnlineCell) -> float:
    """Characters of one record."""
    points = len(cell.log_points())
    if isinstance(cell, TeacherCell):
        return 150 + points * BYTES_A_POINT[0]
    taught = isinstance(cell.student.supervision, Taught)
    turns = len(tuple(_asked(cell)))
    return 150 + points * (BYTES_A_POINT[0] + taught * BYTES_A_POINT[1]) + 14.0 * turns


def smaller(cell: OnlineCell, replicates: Sequence[int], share: float) -> tuple[OnlineCell, tuple[int, ...]]:
    """The same kind of work with about this share of its seconds, or as little as there can be.

    Steps are taken away first, then replicates, then neurons. Students see the final checkpoint of a teacher that was
    hardly trained.
    """
    if isinstance(cell, TeacherCell):
        steps = cell.teacher.steps * share
        neurons = min(1.0, steps / LEAST_STEPS)
        taken, segment = _cut(steps, cell.teacher.segment)
        teacher = _cut_teacher(cell.teacher, taken, segment, neurons)
        return replace(cell, teacher=teacher, log_every=max(segment, _multiple(cell.log_every, segment))), (
            0,
        )
    kept = min(len(replicates), MOST_TOGETHER)
    steps = min(float(cell.steps), cell.steps * share * len(replicates) / kept)
    few = min(1.0, steps / LEAST_STEPS)
    left = max(1, int(kept * few))
    neurons = min(1.0, kept * few / left)
    taken, segment = _cut(steps, cell.segment)
    student, teacher_spec = cell.student, cell.teacher
    if teacher_spec is not None:
        own = min(teacher_spec.segment, LEAST_STEPS)
        teacher_spec = _cut_teacher(teacher_spec, own, own, neurons)
        heat = getattr(student.supervision, "temperature", 1.0)
        truth = getattr(student.supervision, "truth", 0.0)
        student = replace(student, supervision=OneShot(temperature=heat, truth=truth))
    return replace(
        cell,
        teacher=teacher_spec,
        student=replace(student, width=_cut_width(student.width, neurons)),
        steps=taken,
        segment=segment,
        log_every=max(segment, _multiple(cell.log_every, segment)),
    ), tuple(replicates[:left])


def _cut(steps: float, segment: int) -> tuple[int, int]:
    """Fewer steps, and a segment that divides them."""
    if steps >= segment:
        return _multiple(int(steps), segment), segment
    least = min(segment, max(LEAST_STEPS, int(steps)))
    return least, least


def _multiple(value: int, of: int) -> int:
    return value // of * of


def _cut_width(width: int, share: float) -> int:
    return width if share == 1 else max(2, round(width * share / 2) * 2)


def _cut_teacher(teacher: TeacherSpec, steps: int, segment: int, neurons: float) -> TeacherSpec:
    width = _cut_width(teacher.width, neurons)
    return replace(teacher, width=width, steps=steps, segment=segment, checkpoint_every=steps)
