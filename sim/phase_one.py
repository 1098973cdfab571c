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
    """Expected seconds of one sample on one thread; for plans only."""
    labels = (
        2e-8 + 1.5e-9 * cell.n + cell.n * schedule.teacher_width / 2 * 3e-11 + schedule.teacher_width * 1e-9
    )
    return labels + (units - 1) * (4e-9 + 1e-10 * cell.n)
