"""Two-stage students once more, naively: gradients in fractions, inputs in n dimensions, one sample after the other."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

import kernels
from sim import phase_one, streams
from sim.cell import StepCell
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.options import TAG
from tests.sim import dense
from theory.walsh import threshold_tau

Array = npt.NDArray[np.float64]


def signed(schedule: Schedule, dead_zone: Fraction, n: int = 9, k: int = 2, **changes: int) -> TwoStageCell:
    sizes = {"first": 90, "second": 60, "resolution": 2, "seed": 0} | changes
    return TwoStageCell(TAG, n, k, schedule, "signed", dead_zone, 0, **sizes)


def biased(schedule: Schedule, n: int = 9, k: int = 2, width: int = 6, **changes: int) -> TwoStageCell:
    sizes = {"first": 90, "second": 60, "resolution": 1, "seed": 0} | changes
    return TwoStageCell(TAG, n, k, schedule, "biases", None, width, **sizes)


SIGNED = {
    "progressive": signed(Progressive(), Fraction(1, 4)),
    "progressive, k = 4": signed(Progressive(), Fraction(1, 4), n=11, k=4),
    "progressive hard": signed(Progressive(labels="hard"), Fraction(1, 10), n=10, k=4),
    "cross-entropy": signed(CrossEntropy(), Fraction(1, 10), first=300, second=20),
    "one-shot": signed(OneShot(Fraction(1, 2)), Fraction(1, 9), n=8, first=30, second=90),
    "one-shot logits": signed(OneShot(Fraction(1), "logits"), Fraction(1, 10)),
    "low-degree": signed(LowDegreeCurriculum(2), Fraction(1, 5), n=12),
    "phase-1": signed(Progressive("phase-1", "logits", 8), Fraction(1, 100)),
    "phase-1 hard": signed(Progressive("phase-1", "hard", 8), Fraction(1, 16)),
    "phase-1-projected": signed(Progressive("phase-1-projected", "logits", 8), Fraction(1, 100)),
    "equal horizons": signed(Progressive(), Fraction(1, 4), first=64, second=64),
    "an odd horizon": signed(Progressive(), Fraction(1, 4), first=1, second=61, resolution=3),
}

BIASED = {
    "progressive": biased(Progressive()),
    "progressive, n even": biased(Progressive(), n=10, first=40, second=80),
    "progressive, k = 4": biased(Progressive(), n=11, k=4),
    "cross-entropy": biased(CrossEntropy(), first=300, second=30),
    "one-shot": biased(OneShot(Fraction(1)), n=8),
    "phase-1": biased(Progressive("phase-1", "logits", 32)),
    "phase-1-projected hard": biased(Progressive("phase-1-projected", "hard", 32), n=11, k=4),
}


@dataclasses.dataclass(frozen=True)
class _FirstStep(StepCell):
    """The first stage of a cell, as `tests.sim.dense` reads first-step cells."""

    cell: TwoStageCell

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cell, {"samples": "first"}.get(name, name))

    @property
    def id(self) -> str:
        return self.cell.id

    def spec(self) -> dict[str, Any]:
        return self.cell.spec()

    def label(self) -> str:
        return self.cell.label()

    @property
    def horizon(self) -> int:
        return self.cell.first

    @property
    def series(self) -> str:
        return self.cell.series


def gradients(cell: TwoStageCell, replicate: int, units: int = 1) -> list[list[list[Fraction]]]:
    """Exact gradient sums of each unit at every B of the first grid: [P][m][n]."""
    first: Any = _FirstStep(cell)
    x = dense.samples(first, replicate)
    labels = dense.labels_of(first, replicate, x)
    schedule = cell.schedule
    if isinstance(schedule, Progressive) and (schedule.teacher, schedule.labels) == ("phase-1", "logits"):
        scale = phase_one.draw_teacher(cell, schedule, replicate).scale
        labels = [scale * label for label in labels]
    drawn = kernels.draw_signs(streams.key(cell.id, "initialisation"), replicate, units * cell.n)
    weights = drawn.numpy().astype(int).reshape(units, cell.n)
    active = (x[:, None, :] * weights == -1).sum(axis=2) <= (cell.n - 1) // 2
    result, grid = [], set(cell.first_grid)
    total = [[Fraction(0)] * cell.n for _ in range(units)]
    for b, (row, on, label) in enumerate(zip(x.tolist(), active.tolist(), labels, strict=True), start=1):
        for j in range(units):
            if on[j] and label:
                total[j] = [g + label * v for g, v in zip(total[j], row, strict=True)]
        if b in grid:
            result.append([list(unit) for unit in total])
    return result


def direction(gradient: Sequence[Fraction], B: int, dead_zone: Fraction) -> list[int]:
    """u after B samples."""
    return [(1 if g > 0 else -1) if abs(g / B) > dead_zone else 0 for g in gradient]


def found(cell: TwoStageCell, replicate: int) -> tuple[str, list[list[int]]]:
    """Whether u is non-zero exactly on the support, at every B, and the u for which it is."""
    support = streams.draw_support(cell.id, cell.n, cell.k)
    assert cell.dead_zone is not None
    text, hits = "", []
    for B, (gradient,) in zip(cell.first_grid, gradients(cell, replicate), strict=True):
        u = direction(gradient, B, cell.dead_zone)
        hit = [i for i, v in enumerate(u) if v] == list(support)
        text += "1" if hit else "0"
        hits += [u] if hit else []
    return text, hits


def inner(a: Array, x: Array) -> float:
    """The inner product of at most 8 numbers, added up by halves as the kernel does: where margins are exactly 1,
    rounding decides, and it must do so alike.
    """
    sums = [p * q for p, q in zip(a.tolist(), x.tolist(), strict=True)]
    sums += [0.0] * (8 - len(sums))
    while len(sums) > 1:
        sums = [p + q for p, q in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :], strict=True)]
    return sums[0]


def summed_iterates(phi: Array, labels: Array, step: float, grid: Sequence[int]) -> tuple[list[Array], float]:
    """Plain online SGD on the hinge loss: the sum of the iterates before each step, at each T; and the summed loss."""
    a = np.zeros(phi.shape[1])
    total, online, totals = np.zeros(phi.shape[1]), 0.0, []
    for t, (x, y) in enumerate(zip(phi, labels, strict=True), start=1):
        total = total + a
        margin = y * inner(a, x)
        if margin < 1:
            online += 1 - margin
            a = a + step * y * x
        if t in set(grid):
            totals.append(total)
    return totals, online


def knots(k: int) -> Array:
    return np.array([-k - 2 + 2 * r for r in range(k + 1)], dtype=float)


def signed_second(
    cell: TwoStageCell, replicate: int, u: Sequence[int]
) -> tuple[list[float], list[float], float]:
    """Losses and errors at every T, and the summed online loss, of a student with this u in n dimensions."""
    support = list(streams.draw_support(cell.id, cell.n, cell.k))
    z = kernels.draw_inputs(streams.key(cell.id, "second stage"), replicate, cell.k, 0, cell.second).numpy()
    x = np.random.default_rng(replicate).choice([-1, 1], size=(cell.second, cell.n))
    x[:, support] = z * np.array(u)[support]
    phi = np.maximum(0.0, (x @ np.array(u))[:, None] - knots(cell.k))
    labels = x[:, support].prod(axis=1).astype(float)
    step = 2 / sum((2 * r) ** 2 for r in range(1, cell.k + 2))
    totals, online = summed_iterates(phi, labels, step, cell.second_grid)
    losses, errors = [], []
    every = np.array(list(product((-1, 1), repeat=cell.k)))
    features = np.maximum(0.0, (every @ np.array(u)[support])[:, None] - knots(cell.k))
    for total, T in zip(totals, cell.second_grid, strict=True):
        a = [Fraction(v) / T for v in total.tolist()]
        margins = [
            int(y) * sum((p * int(v) for p, v in zip(a, row, strict=True)), Fraction(0))
            for y, row in zip(every.prod(axis=1), features, strict=True)
        ]
        losses.append(float(sum((max(Fraction(0), 1 - m) for m in margins), Fraction(0)) / len(margins)))
        errors.append(sum(m <= 0 for m in margins) / len(margins))
    return losses, errors, online


def biases(cell: TwoStageCell, replicate: int) -> Array:
    drawn = kernels.draw_integers(streams.key(cell.id, "student biases"), replicate, cell.width, 2**20)
    return np.array([(2 * int(v) + 1) / 2**20 - 1 for v in drawn])


def step_size(cell: TwoStageCell, replicate: int) -> float:
    """eta, from formulas of its own where there are any."""
    schedule = cell.schedule
    if isinstance(schedule, CrossEntropy):
        return float(1 / (cell.k * abs(threshold_tau(cell.k - 1, cell.n, cell.q))))
    if isinstance(schedule, Progressive) and schedule.teacher != "equal":
        teacher = phase_one.draw_teacher(cell, schedule, replicate)
        if schedule.labels == "logits":
            return float(2 / sum(abs(c) for c in teacher.degree_one(leakage=False)))
        table = teacher.support_labels.table
        every = [[-1 if p >> t & 1 else 1 for t in range(cell.k)] for p in range(1 << cell.k)]
        sizes = [abs(sum(v * x[t] for v, x in zip(table, every, strict=True))) for t in range(cell.k)]
        return float(2 * (1 << cell.k) / sum(sizes))
    means = np.abs(population_means(cell, replicate, every_pattern=True))
    return float(1 / (cell.k * means.max()))


def population_means(cell: TwoStageCell, replicate: int, *, every_pattern: bool = False) -> Array:
    """E[F T x_i] on the support, [units or patterns, k], over all 2^n inputs."""
    support = list(streams.draw_support(cell.id, cell.n, cell.k))
    target = cell.schedule.target(cell.n, cell.k)
    if target is None:
        assert isinstance(cell.schedule, Progressive)
        teacher = phase_one.draw_teacher(cell, cell.schedule, replicate)
        target = phase_one.projected_target(cell.schedule, teacher)
    x = 1 - 2 * (np.arange(1 << cell.n)[:, None] >> np.arange(cell.n) & 1)
    labels = sum(
        float(p) * np.array([float(v) for v in table])[(x[:, support] == -1) @ (1 << np.arange(cell.k))]
        for p, table in target.components
    )
    if every_pattern:
        weights = np.ones((1 << cell.k, cell.n), dtype=int)
        weights[:, support] = list(product((-1, 1), repeat=cell.k))
    else:
        key = streams.key(cell.id, "initialisation")
        weights = kernels.draw_signs(key, replicate, cell.width * cell.n).numpy().reshape(cell.width, cell.n)
    active = (x[:, None, :] * weights == -1).sum(axis=2) <= (cell.n - 1) // 2
    return np.asarray((active * np.asarray(labels)[:, None]).T @ x[:, support] / len(x))


def biased_losses(cell: TwoStageCell, replicate: int) -> tuple[list[float], list[float]]:
    """Losses and errors at every (B, T) of the ladder, on the held-out set."""
    support = list(streams.draw_support(cell.id, cell.n, cell.k))
    signs = np.array([1] * (cell.width // 2) + [-1] * (cell.width // 2))
    b, eta = biases(cell, replicate), step_size(cell, replicate)
    key = streams.key(cell.id, "second stage")
    x = kernels.draw_inputs(key, replicate, cell.n, 0, cell.second).numpy().astype(float)
    held = kernels.draw_inputs(streams.key(cell.id, "evaluation"), replicate, cell.n, 0, 1 << 14).numpy()
    every = np.array(list(product((-1, 1), repeat=cell.k)))
    limit = signs[:, None] * eta * population_means(cell, replicate)
    squares = (np.maximum(0, every @ limit.T + b) ** 2).sum(axis=1)
    losses, errors = [], []
    layers = dict(zip(cell.first_grid, gradients(cell, replicate, cell.width), strict=True))
    for B, T in cell.ladder:
        w = signs[:, None] * eta * np.array([[float(g / B) for g in row] for row in layers[B]])
        phi = np.maximum(0, x[:T] @ w.T + b)
        labels = x[:T, support].prod(axis=1)
        (total,), _ = summed_iterates(phi, labels, 1 / squares.max(), [T])
        a = total / T
        margins = held[:, support].prod(axis=1) * (np.maximum(0, held @ w.T + b) @ a)
        losses.append(float(np.maximum(0, 1 - margins).mean()))
        errors.append(float((margins <= 0).mean()))
    return losses, errors
