"""Exact gradient sums of a student's units after one step, at every sample count of a grid.

What the protocols with a first step share: a replicate's units have weights and samples of its own, on named streams
of the cell, and the sums Σ_{b ≤ B} F(x_b) T(x_b) x_b of the first B samples are integers up to one positive factor.
"""

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
from sim.channels import Channels
from sim.protocol.base import Progress
from sim.schedule import Progressive

SECONDS_PER_SAMPLE = (0.1e-9, 7.0e-12)
"""Cost of a sample for one neuron: constant, and per coordinate; for the plan and the progress display only."""


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
    schedule = cell.schedule
    if isinstance(schedule, Progressive) and schedule.teacher == "phase-1":
        return phase_one.seconds_per_sample(cell, schedule, units)
    constant, slope = SECONDS_PER_SAMPLE
    return units * (constant + slope * cell.n)


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
