"""The signed student: one direction u, k + 1 neurons relu(⟨u, x⟩ − knot), output weights trained online.

**First stage.** w uniform in {−1, 1}^n, gradient g on B samples, u_i = sign(g_i) 1[|g_i| > λ]. The student has *found*
the support iff u is non-zero exactly on S: |G_i| > λB on S and |G_o| ≤ λB off it, G = B g, decided in integers. A
student that has not found it has a hinge loss of at least `theory.signed_step.loss_floor(k)` whatever comes after.

**Second stage.** Of a student that has found it only z_i = u_i x_i, i in S, matter: t = ⟨u, x⟩ = Σ z_i, and the parity
is ∏u_i ∏z_i. The stream of this stage draws z, which is uniform like x; and as a run on labels −y has the output
weights −a, bit for bit, the sign ∏u_i plays no part in the losses. So one run gives the losses after every T. They are
exact: the averaged iterate's population hinge loss and error over the k + 1 classes of t.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import final

import numpy as np
import numpy.typing as npt
import torch

import kernels
from sim import gradients, streams
from sim.gradients import GradientSums
from sim.protocol.base import Payload, Progress
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.first import first_points, first_seconds, first_stage
from sim.two_stage.outcomes import measures_problem
from theory.second_stage import Features, OnlineHinge, knot_features

TOGETHER = 4
"""Students whose second stages are run side by side; their number changes nothing."""

LARGEST = (1 << 63) - 1
"""No gradient sum in 64 bits is larger."""

WINDOW = 1 << 16
"""Most steps of one call of the second stage's kernel. Online losses are added up call by call, so it is part of the
results, to rounding."""

STEP_SECONDS = (3e-8, 9.6e-9)
"""Cost of a step of the second stage for one student, its samples included: constant, and for each of k; for plans
only."""

POINT_SECONDS = (6e-5, 8e-6)
"""Cost of its losses at one point of the grid, likewise."""


@final
@dataclass(frozen=True)
class SecondStage:
    """What one student's second stage showed.

    Attributes:
        loss: population hinge loss of the averaged iterate after each T of the grid, the float nearest to it.
        error: its P(y f ≤ 0), likewise.
        online: sum of the hinge losses of all T_h samples, each at the iterate before its step.
    """

    loss: tuple[float, ...]
    error: tuple[float, ...]
    online: float


def run(
    cell: TwoStageCell, replicates: Sequence[int], threads: int, progress: Progress
) -> dict[int, Payload]:
    """Records by replicate.

    `found`: one character 0 or 1 for each B of the first grid; `loss` and `error`: a number for each T of the second;
    `online`: Σ of the online losses; `digest` of all gradient sums of the first stage.
    """
    torch.set_num_threads(threads)
    share = first_seconds(cell, len(replicates)) / seconds(cell, len(replicates))
    first = first_stage(cell, replicates, threads, lambda done: progress(done * share))
    second = second_stage(cell, replicates, threads, lambda done: progress(share + done * (1 - share)))
    support = streams.draw_support(cell.id, cell.n, cell.k)
    assert cell.dead_zone is not None
    records: dict[int, Payload] = {}
    for replicate in replicates:
        sums, after = first[replicate], second[replicate]
        found = finds(sums, cell.dead_zone, cell.first_grid, support)
        digest = hashlib.sha256(np.ascontiguousarray(sums.counts, dtype="<i8").tobytes()).hexdigest()
        records[replicate] = {
            "found": "".join("1" if f else "0" for f in found),
            "loss": list(after.loss),
            "error": list(after.error),
            "online": after.online,
            "digest": digest[:32],
        }
    return records


def finds(
    sums: GradientSums, dead_zone: Fraction, grid: Sequence[int], support: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Whether |G_i| > λB on the support and |G_o| ≤ λB off it, at each B of the grid, exactly.

    Args:
        sums: of one replicate of one unit.
        dead_zone: λ.
        grid: the B.
        support: k coordinates.
    """
    # An integer is above a number iff it is above its floor.
    limits = [math.floor(sums.unit * dead_zone * B) for B in grid]
    if sums.values.dtype != object:
        limits = [min(limit, LARGEST) for limit in limits]
    above = np.abs(sums.values[:, 0]) > np.array(limits, dtype=sums.values.dtype)[:, None]
    inside = np.zeros(sums.values.shape[-1], dtype=bool)
    inside[list(support)] = True
    return np.asarray((above == inside).all(axis=-1), dtype=bool)


def second_stage(
    cell: TwoStageCell, replicates: Sequence[int], threads: int, progress: Progress
) -> dict[int, SecondStage]:
    """The second stage of each replicate: online SGD on the hinge loss from 0, step 2/G², averaged."""
    features = knot_features(cell.k)
    step = float(OnlineHinge.of_knots(cell.k).step_size)
    result: dict[int, SecondStage] = {}
    for start in range(0, len(replicates), TOGETHER):
        group = replicates[start : start + TOGETHER]
        runs = _train(cell, group, features, step, threads)
        result |= dict(zip(group, runs, strict=True))
        progress(len(result) / len(replicates))
    return result


def _train(
    cell: TwoStageCell, group: Sequence[int], features: Features, step: float, threads: int
) -> list[SecondStage]:
    table = torch.tensor([[float(v) for v in row] for row in features.values], dtype=torch.float64)
    signs = torch.tensor(features.labels, dtype=torch.int8)
    weights = torch.zeros((len(group), features.width), dtype=torch.float64)
    total, steps = weights, torch.full((len(group),), step, dtype=torch.float64)
    recorded = frozenset(cell.second_grid)
    online: list[list[float]] = [[] for _ in group]
    loss: list[list[float]] = [[] for _ in group]
    error: list[list[float]] = [[] for _ in group]
    for classes, stop in _classes(cell, group):
        result = kernels.hinge_sgd(table[classes], signs[classes], weights, total, steps, threads=threads)
        weights, total = result.weights, result.total
        for r, value in enumerate(result.loss.tolist()):
            online[r].append(value)
        if stop in recorded:
            for r, row in enumerate(total.tolist()):
                measured = measure(features, row, stop)
                loss[r].append(measured[0])
                error[r].append(measured[1])
    return [
        SecondStage(tuple(a), tuple(b), math.fsum(c)) for a, b, c in zip(loss, error, online, strict=True)
    ]


def measure(features: Features, total: Sequence[float], steps: int) -> tuple[float, float]:
    """Population hinge loss and error of the averaged iterate total/steps, each the float nearest to the exact number.

    Args:
        features: whole numbers, as those of knots.
        total: sum of the iterates.
        steps: their number.
    """
    # `Features.hinge_loss` and `error` in integers: floats are whole numbers over a power of 2.
    ratios = [value.as_integer_ratio() for value in total]
    unit = max(denominator for _, denominator in ratios)
    numerators = [numerator * (unit // denominator) for numerator, denominator in ratios]
    margins = [
        y * sum(a * int(v) for a, v in zip(numerators, row, strict=True))
        for y, row in zip(features.labels, features.values, strict=True)
    ]
    one = unit * steps
    scale = math.lcm(*(mass.denominator for mass in features.masses))
    masses = [int(mass * scale) for mass in features.masses]
    loss = sum(mass * max(0, one - margin) for mass, margin in zip(masses, margins, strict=True))
    wrong = sum(mass for mass, margin in zip(masses, margins, strict=True) if margin <= 0)
    return loss / (one * scale), wrong / scale


def _classes(cell: TwoStageCell, group: Sequence[int]) -> Iterator[tuple[torch.Tensor, int]]:
    """Classes j of z (how many z_i = −1), int64 [replicates, steps], of successive stretches with their last step + 1.

    A stretch ends at every T of the grid and at every multiple of `WINDOW`.
    """
    key = streams.key(cell.id, "second stage")
    ends = sorted({*cell.second_grid, *range(WINDOW, cell.second, WINDOW)})
    for first in range(0, cell.second, WINDOW):
        last = min(first + WINDOW, cell.second)
        drawn = torch.stack(
            [(kernels.draw_inputs(key, r, cell.k, first, last) < 0).sum(dim=1) for r in group]
        )
        inside = [first, *(end for end in ends if first < end <= last)]
        for start, stop in pairwise(inside):
            yield drawn[:, start - first : stop - first], stop


def seconds(cell: TwoStageCell, replicates: int = 1) -> float:
    """Expected seconds of some replicates on one thread; for plans only."""
    step = STEP_SECONDS[0] + STEP_SECONDS[1] * cell.k
    point = POINT_SECONDS[0] + POINT_SECONDS[1] * cell.k
    second = 7e-4 + cell.second * step + gradients.grid_points(cell.second, cell.resolution) * point
    # Fewer than `TOGETHER` are not so much shorter than as many.
    alone = 1 + 0.25 * (TOGETHER - min(TOGETHER, replicates))
    return first_seconds(cell, replicates) + replicates * alone * second


def memory(cell: TwoStageCell, replicates: int) -> float:
    """Bytes at the peak; for plans only."""
    first = gradients.memory(cell, first_points(cell), replicates)
    window = min(replicates, TOGETHER) * min(cell.second, WINDOW) * (16.0 + 12.0 * (cell.k + 1))
    return first + window


def record_bytes(cell: TwoStageCell) -> float:
    """Characters of a record, about; for plans only."""
    second = gradients.grid_points(cell.second, cell.resolution)
    loss = 16.0 if cell.k == 2 else 20.0
    return 110 + first_points(cell) + second * (loss + 2.5 + 0.3 * cell.k)


def problem(cell: TwoStageCell, payload: Payload) -> str | None:
    """Why a payload is no record of a signed student, in a few words; None if it is one."""
    found = payload.get("found")
    points = len(cell.first_grid)
    if not (isinstance(found, str) and len(found) == points and set(found) <= {"0", "1"}):
        return f"does not say for each of {points} sample counts whether the support was found"
    online = payload.get("online")
    if not isinstance(online, float | int) or isinstance(online, bool) or not 0 <= online < math.inf:
        return "has no sum of online losses"
    return measures_problem(payload, len(cell.second_grid))
