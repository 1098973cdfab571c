"""Exact gradient sums of a student's units after one step, at every sample count of a grid.

What the protocols with a first step share: a replicate's units have weights and samples of its own, on named streams
of the cell, and the sums Σ_{b ≤ B} F(x_b) T(x_b) x_b of the first B samples are integers up to one positive factor.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, final

import numpy.typing as npt
import torch
from jaxtyping import Int8
from torch import Tensor

import kernels
from sim import phase_one, streams
from sim.cell import Cell, StepCell
from sim.channels import Channels, channels_of
from sim.protocol.base import Progress
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule
from theory.targets import LowDegree

CALL_SECONDS = 1.7e-3
"""Cost of the replicates of one call together, whatever their number; this and the others for plans only."""

REPLICATE_SECONDS = 3.5e-4
"""Cost of a replicate whatever its samples."""

LARGE_SECONDS, LARGE_BYTES = 3.5e-7, 150.0
"""Cost of a sum that does not fit into 64 bits, as those of one-shot logits may not."""

SUM_BYTES = 34.0
"""Of a sum, at the peak: some tensors hold it at a time."""


@final
@dataclass(frozen=True)
class GradientSums:
    """Gradient sums of one replicate.

    Attributes:
        values: integers [P, m, n], one leading entry for each B of the grid: `unit` times the sums.
        unit: the positive factor.
        counts: the integers that were added up, for a digest; first axis P.
    """

    values: npt.NDArray[Any]
    unit: Fraction
    counts: npt.NDArray[Any]


def initial_weights(cell: Cell, replicate: int, units: int = 1) -> Int8[Tensor, "units n"]:
    """The ±1 weights of a replicate's units."""
    signs = kernels.draw_signs(streams.key(cell.id, "initialisation"), replicate, units * cell.n)
    return signs.reshape(units, cell.n)


def seconds_per_sample(cell: StepCell, units: int = 1) -> float:
    """Expected seconds of one sample of one replicate on one thread; for plans only."""
    schedule, n = cell.schedule, cell.n
    if isinstance(schedule, Progressive) and schedule.teacher == "phase-1":
        return phase_one.seconds_per_sample(cell, schedule, units)
    channels = channel_count(schedule, cell.k)
    one = 5e-11 + 6e-12 * n + (units - 1) * 1e-12 * n
    more = 2e-10 + 1.8e-12 * n + (units - 1) * 5e-13 * n
    mixed = isinstance(schedule, OneShot) and schedule.exponent is not None
    return one + (channels - 1) * more + (2e-10 if mixed else 0.0)


def seconds(cell: StepCell, samples: int, points: float, replicates: int, units: int = 1) -> float:
    """Expected seconds of the sums of some replicates on one thread; for plans only.

    Args:
        cell: whose sums they are.
        samples: of each replicate.
        points: of its grid, about.
        replicates: how many.
        units: m, units of each.
    """
    each = REPLICATE_SECONDS + samples * seconds_per_sample(cell, units)
    schedule, numbers = cell.schedule, points * units * cell.n
    teacher = schedule.teacher if isinstance(schedule, Progressive) else "equal"
    if isinstance(schedule, Progressive) and teacher != "equal":
        each += phase_one.drawing_seconds(cell, schedule)
    if teacher != "phase-1":
        channels = channel_count(schedule, cell.k)
        each += points * 1.4e-6 + numbers * (3e-8 + 4e-8 * (channels - 1))
        each += numbers * LARGE_SECONDS if _large(schedule) else 0.0
    # Teachers of their own: a call for each.
    return each * replicates + CALL_SECONDS * (1 if teacher == "equal" else replicates)


def memory(cell: StepCell, points: float, replicates: int, units: int = 1) -> float:
    """Bytes at the peak; for plans only. Arguments as for `seconds`."""
    schedule, numbers = cell.schedule, points * units * cell.n
    if isinstance(schedule, Progressive) and schedule.teacher == "phase-1":
        return phase_one.memory(cell, schedule) + replicates * numbers * 8.0
    together = 1 if isinstance(schedule, Progressive) and schedule.teacher != "equal" else replicates
    one = SUM_BYTES * channel_count(schedule, cell.k) + (LARGE_BYTES if _large(schedule) else 0.0)
    return numbers * (one * together + 16.0 * replicates)


def grid_points(samples: int, resolution: int) -> float:
    """How many points `sim.ranges.record_grid` has, about, without making it."""
    dense = resolution / math.log(2)  # below this every number is a point
    return float(samples) if samples <= dense else dense + resolution * math.log2(samples / dense)


def channel_count(schedule: Schedule, k: int) -> int:
    """How many channels the labels of a schedule have (`sim.channels`), of drawn teachers at most."""
    match schedule:
        case OneShot(exponent=None) | CrossEntropy():
            return 1
        case OneShot():
            return 1 if schedule.labels == "hard" else 2
        case Progressive(teacher="equal"):
            return 1 if schedule.labels == "hard" else (k + 1) // 2
        case Progressive():
            return 1 if schedule.labels == "hard" else 1 << (k - 1)
        case LowDegreeCurriculum():
            return _low_degree_channels(k, schedule.degree)
        case _:
            return 1


@functools.cache
def _low_degree_channels(k: int, degree: int) -> int:
    return len(channels_of(LowDegree(k, degree)).magnitudes)


def _large(schedule: Schedule) -> bool:
    return isinstance(schedule, OneShot) and schedule.exponent is not None and schedule.labels == "logits"


def kernel_sums(
    cell: StepCell,
    replicates: Sequence[int],
    grid: Sequence[int],
    channels: Channels,
    *,
    units: int = 1,
    threads: int = 1,
    call_samples: int,
    progress: Progress,
) -> dict[int, GradientSums]:
    """Sums by replicate, for labels that are a function of the support, by the kernel.

    Args:
        cell: whose streams they are.
        replicates: at least one.
        grid: increasing sample counts.
        channels: of the labels.
        units: m, units of each replicate.
        threads: threads of the kernel; they change nothing.
        call_samples: samples of one call of the kernel, about; it changes nothing.
        progress: told of the share that is done.
    """
    support = streams.draw_support(cell.id, cell.n, cell.k)
    recorded = frozenset(grid)
    weights = torch.stack([initial_weights(cell, r, units) for r in replicates])
    q = torch.full((len(replicates), units), cell.q)
    kept: list[Tensor] = []
    before: Tensor | int = 0
    start = 0
    for points in _calls(grid, call_samples):
        sums = (
            before
            + kernels.first_step(
                streams.key(cell.id, "data"),
                torch.tensor(replicates),
                weights,
                q,
                torch.tensor(support),
                channels.tables,
                records=torch.tensor(points),
                start=start,
                mixture=channels.mixture,
                threads=threads,
            ).sums
        )
        before, start = sums[-1], points[-1]
        kept.append(sums[[p for p, point in enumerate(points) if point in recorded]])
        progress(start / grid[-1])
    counts = torch.cat(kept)
    values = channels.gradient(counts)
    return {
        replicate: GradientSums(values[:, r], channels.unit, counts[:, r].contiguous().numpy())
        for r, replicate in enumerate(replicates)
    }


def leaky_sums(
    cell: StepCell, schedule: Progressive, replicate: int, grid: Sequence[int], units: int = 1
) -> GradientSums:
    """Sums of one replicate on the labels of its own phase-1 teacher, leakage included.

    Raises:
        SimError: the sums could leave 64 bits.
    """
    teacher = phase_one.draw_teacher(cell, schedule, replicate)
    sums = phase_one.gradients(cell, schedule, teacher, replicate, grid, units)
    unit = 1 / teacher.scale if schedule.labels == "logits" else Fraction(1)
    return GradientSums(sums, unit, sums)


def teacher_by_teacher(
    replicates: Sequence[int], one: Callable[[int], GradientSums], progress: Progress
) -> dict[int, GradientSums]:
    """Sums by replicate, each of a teacher of its own."""
    sums = {}
    for done, replicate in enumerate(replicates):
        sums[replicate] = one(replicate)
        progress((done + 1) / len(replicates))
    return sums


def _calls(grid: Sequence[int], limit: int) -> list[list[int]]:
    """Group the grid's points into calls of about `limit` samples, splitting long gaps at further points."""
    points: list[int] = []
    for before, after in pairwise((0, *grid)):
        points += [*range(before + limit, after, limit), after]
    calls: list[list[int]] = [[]]
    start = 0
    for point in points:
        if calls[-1] and point - start > limit:
            start = calls[-1][-1]
            calls.append([])
        calls[-1].append(point)
    return calls
