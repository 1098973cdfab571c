"""Students of the exact phase-1 teacher: its draw in each replicate, and first steps on its leaky labels.

The teacher with leakage depends on all n coordinates, so its labels are computed input by input, on the very
samples that the bit-sliced kernel would see; sums are exact integers.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import kernels
from sim import streams
from sim.cell import Cell, StepCell
from sim.errors import SimError
from sim.schedule import Progressive
from theory.targets import Target
from theory.teacher import PhaseOneTeacher

CHUNK = 1 << 15
"""Samples handled at once."""


def draw_teacher(cell: Cell, schedule: Progressive, replicate: int) -> PhaseOneTeacher:
    """The teacher of one replicate, from its named streams."""
    pairs = schedule.teacher_width // 2
    signs = kernels.draw_signs(streams.key(cell.id, "teacher weights"), replicate, pairs * cell.n)
    steps = kernels.draw_integers(streams.key(cell.id, "teacher biases"), replicate, pairs, 2 * cell.k - 1)
    return PhaseOneTeacher(
        cell.n,
        streams.draw_support(cell.id, cell.n, cell.k),
        signs.numpy().reshape(pairs, cell.n),
        steps.numpy(),
    )


def projected_target(schedule: Progressive, teacher: PhaseOneTeacher) -> Target:
    """The teacher with its leakage dropped: a junta."""
    return teacher.support_logits if schedule.labels == "logits" else teacher.support_labels


def gradients(
    cell: StepCell,
    schedule: Progressive,
    teacher: PhaseOneTeacher,
    replicate: int,
    grid: Sequence[int],
    units: int = 1,
) -> npt.NDArray[np.int64]:
    """Gradient sums of one student on the teacher's labels, leakage included.

    Args:
        cell: a cell whose schedule this is.
        schedule: its labels: `logits` (in units of `teacher.scale`) or `hard`.
        teacher: the replicate's teacher.
        replicate: the replicate's number.
        grid: increasing sample counts at which sums are returned.
        units: m, units of the student.

    Returns:
        int64 [P, m, n]: Σ_{b < B} label_b T(x_b) x_b of each unit at each B of the grid, exactly.

    Raises:
        SimError: the sums could leave 64 bits.
    """
    if schedule.labels == "logits" and teacher.integer_bound * grid[-1] >= 1 << 63:
        raise SimError(
            f"samples {grid[-1]} are too many for exact sums of this teacher: give fewer than "
            f"{(1 << 63) // teacher.integer_bound}"
        )
    weights = kernels.draw_signs(streams.key(cell.id, "initialisation"), replicate, units * cell.n).numpy()
    columns = weights.reshape(units, cell.n).T.astype(np.float32)
    key = streams.key(cell.id, "data")
    label = teacher.integer_logits if schedule.labels == "logits" else teacher.hard_labels
    # Below 2^53 sums of integers are exact in float64 too, whose products are much faster.
    largest = CHUNK * (teacher.integer_bound if schedule.labels == "logits" else 1)
    kind = np.dtype(np.float64 if largest < 1 << 53 else np.int64)
    total = np.zeros((units, cell.n), dtype=np.int64)
    sums = np.empty((len(grid), units, cell.n), dtype=np.int64)
    p = 0
    for first in range(0, grid[-1], CHUNK):
        last = min(first + CHUNK, grid[-1])
        inputs = kernels.draw_inputs(key, replicate, cell.n, first, last).numpy()
        # Active iff at most q of the w_i x_i are −1, that is <w, x> >= n − 2q; float32 is exact here.
        active = inputs.astype(np.float32) @ columns >= cell.n - 2 * cell.q
        labels = np.where(active.T, label(inputs), 0).astype(kind)
        values = inputs.astype(kind)
        start = first
        while start < last:
            stop = min(last, grid[p])
            part = slice(start - first, stop - first)
            total += (labels[:, part] @ values[part]).astype(np.int64)
            start = stop
            if stop == grid[p]:
                sums[p] = total
                p += 1
    return sums


def seconds_per_sample(cell: StepCell, schedule: Progressive, units: int = 1) -> float:
    """Expected seconds of one sample of a teacher with leakage on one thread; for plans only."""
    labels = 2e-7 + 1.65e-8 * cell.n + schedule.teacher_width * (2e-9 + 6.5e-12 * cell.n)
    return labels + (units - 1) * (8e-9 + 5e-11 * cell.n)


def drawing_seconds(cell: StepCell, schedule: Progressive) -> float:
    """Expected seconds of drawing a teacher and, where its leakage is dropped, of its labels; for plans only."""
    drawn = 1.2e-3 + 4e-9 * schedule.teacher_width * cell.n
    patterns = schedule.teacher_width << cell.k
    return drawn + (3.6e-7 * patterns if schedule.teacher == "phase-1-projected" else 3e-3)


def memory(cell: StepCell, schedule: Progressive) -> float:
    """Bytes of a chunk of samples of a teacher with leakage; for plans only."""
    return CHUNK * 34.0 * cell.n + 2e4 * schedule.teacher_width
