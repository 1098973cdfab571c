"""The first stage of two-stage training, for any student: gradient sums of its units on one batch."""

from collections.abc import Sequence

from sim import gradients, phase_one
from sim.channels import channels_of
from sim.gradients import GradientSums
from sim.protocol.base import Progress
from sim.schedule import Progressive
from sim.two_stage.cell import TwoStageCell
from theory.targets import Target

CALL_SECONDS = 1.0
"""A call of the kernel aims at this length, so that progress is seen and interrupts are heard."""


def first_stage(
    cell: TwoStageCell,
    replicates: Sequence[int],
    threads: int,
    progress: Progress,
    units: int = 1,
) -> dict[int, GradientSums]:
    """Gradient sums of the first stage, by replicate, at every B of the first grid."""
    schedule, grid = cell.schedule, cell.first_grid

    def by_kernel(some: Sequence[int], target: Target, told: Progress) -> dict[int, GradientSums]:
        per_sample = gradients.seconds_per_sample(cell, units) * len(some) / threads
        call_samples = max(1, int(CALL_SECONDS / per_sample))
        return gradients.kernel_sums(
            cell, some, grid, channels_of(target), units=units, threads=threads, call_samples=call_samples,
            progress=told,
        )  # fmt: skip

    target = schedule.target(cell.n, cell.k)
    if target is not None:
        return by_kernel(replicates, target, progress)
    assert isinstance(schedule, Progressive)

    def one(replicate: int) -> GradientSums:
        if schedule.teacher == "phase-1":
            return gradients.leaky_sums(cell, schedule, replicate, grid, units)
        teacher = phase_one.draw_teacher(cell, schedule, replicate)
        target = phase_one.projected_target(schedule, teacher)
        return by_kernel([replicate], target, lambda done: None)[replicate]

    return gradients.teacher_by_teacher(replicates, one, progress)


def first_seconds(cell: TwoStageCell, replicates: int = 1, units: int = 1) -> float:
    """Expected seconds of the first stage of some replicates on one thread; for plans only."""
    return gradients.seconds(cell, cell.first, first_points(cell), replicates, units)


def first_points(cell: TwoStageCell) -> float:
    """How many points the first grid has, about."""
    return gradients.grid_points(cell.first, cell.resolution)
