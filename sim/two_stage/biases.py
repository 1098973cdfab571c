"""The student with biases: m neurons that keep their first step itself as weights, output weights trained online.

**First stage.** Neuron j has signs w_j uniform in {−1, 1}^n, a sign s_j of its output weight in that step (+1 for the
first half of the neurons, −1 for the other), and a bias b_j uniform on (−1, 1), to which the first step does nothing:
its unit is unbiased. After B samples its weights are s_j η g_j, g_j the mean of F T_j x; the initialisation is wiped.
η = 1/(k μ), μ the largest |E g_ji| on the support over the patterns of signs; of phase-1 teachers, whose coefficients
are unequal, η = 2/Σ|c_i|, c the degree-1 coefficients of the teacher with its leakage dropped. So for an intermediate
teacher and n odd, |⟨u, x_S⟩| ≤ 1 in the limit.

**Second stage.** Features relu(⟨s_j η g_j, x⟩ + b_j) of inputs in n dimensions, output weights from 0 by online SGD on
the hinge loss, step 1/G², averaged; G² is the largest ‖φ‖² of the *population* features, those of E g_j on the support
(`theory.raw_step`). Loss and error are means over a held-out set of 2^14 inputs.

**Exactness.** Weights are rounded to multiples of a power of 2, about n max|w| 2^−50, and biases are multiples of
2^−20, so that features are exact in float64 in whatever order they are added up (while n max|w| < 2^30): records do not
depend on the machine.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import final

import numpy as np
import numpy.typing as npt
import torch

import kernels
from sim import gradients, phase_one, streams
from sim.gradients import GradientSums
from sim.protocol.base import Payload, Progress
from sim.schedule import Progressive
from sim.two_stage.cell import TwoStageCell
from sim.two_stage.first import first_points, first_seconds, first_stage
from sim.two_stage.outcomes import measures_problem
from theory.gradient import FirstStepLaw, law_classes
from theory.second_stage import Features, neuron_features
from theory.targets import Target

HELD_OUT = 1 << 14
BIAS_STEPS = 1 << 20
"""Biases are odd multiples of 1 over this."""

EXACT_BITS = 50
BLOCK_NUMBERS = 1 << 20
"""Features that are computed at once; they change nothing."""

WINDOW = 1 << 15
"""Samples that are drawn at once; their number changes nothing."""

HELD_OUT_SECONDS = (2.7e-9, 2.9e-11)
"""Cost of a feature of a held-out input: constant, and for each of n; this and the others for plans only."""

STEP_SECONDS = (4e-9, 1.5e-11)
"""Cost of a feature of a step, likewise."""

DRAWN_SECONDS = 2.8e-8
"""Cost of a coordinate of an input."""

PATTERN_SECONDS = 2.2e-5
"""Cost of a neuron's population feature on one pattern of the support, exactly."""

WEIGHT_SECONDS = 7e-8
"""Cost of a weight of the first layer at one B."""


@final
@dataclass(frozen=True)
class Student:
    """One replicate's initialisation and limit.

    Attributes:
        cell: its cell.
        replicate: its number.
        target: what its labels are, of a phase-1 teacher with leakage dropped.
    """

    cell: TwoStageCell
    replicate: int
    target: Target

    @classmethod
    def of(cls, cell: TwoStageCell, replicate: int) -> "Student":
        """The student of one replicate, with its own teacher where its schedule draws one."""
        target = cell.schedule.target(cell.n, cell.k)
        if target is None:
            assert isinstance(cell.schedule, Progressive)
            teacher = phase_one.draw_teacher(cell, cell.schedule, replicate)
            target = phase_one.projected_target(cell.schedule, teacher)
        return cls(cell, replicate, target)

    @cached_property
    def signs(self) -> tuple[int, ...]:
        """s_j."""
        half = self.cell.width // 2
        return (1,) * half + (-1,) * half

    @cached_property
    def biases(self) -> tuple[Fraction, ...]:
        """b_j."""
        key = streams.key(self.cell.id, "student biases")
        drawn = kernels.draw_integers(key, self.replicate, self.cell.width, BIAS_STEPS)
        return tuple(Fraction(2 * int(v) + 1 - BIAS_STEPS, BIAS_STEPS) for v in drawn)

    @cached_property
    def step_size(self) -> Fraction:
        """η; 0 for labels that are 0 on the whole of the first step."""
        cell = self.cell
        if cell.schedule.target(cell.n, cell.k) is None:
            size = sum((abs(self.target.walsh[1 << t]) for t in range(cell.k)), Fraction(0)) / 2
        else:
            laws = law_classes(cell.n, cell.q, self.target)
            size = cell.k * max(abs(mean) for law, _ in laws for mean in law.mean_in)
        return 1 / size if size else Fraction(0)

    @cached_property
    def population(self) -> Features:
        """The features of the population step on the 2^k patterns of the support, exactly."""
        cell = self.cell
        support = list(streams.draw_support(cell.id, cell.n, cell.k))
        weights = gradients.initial_weights(cell, self.replicate, cell.width)[:, support].tolist()
        means = {
            pattern: FirstStepLaw(cell.n, cell.q, self.target, pattern).mean_in
            for pattern in {tuple(row) for row in weights}
        }
        directions = {p: [self.step_size * mean for mean in own] for p, own in means.items()}
        neurons = [
            [s * value for value in directions[tuple(w)]] for s, w in zip(self.signs, weights, strict=True)
        ]
        return neuron_features(cell.k, neurons, self.biases)

    def first_layer(self, sums: GradientSums) -> npt.NDArray[np.float64]:
        """Weights after each B of the first grid, float64 [P, m, n], rounded as the module says."""
        grid = self.cell.first_grid
        factors = np.array([float(self.step_size / (sums.unit * B)) for B in grid])
        signed = np.array(self.signs, dtype=np.float64)[None, :, None]
        weights = sums.values.astype(np.float64) * factors[:, None, None] * signed
        largest = np.abs(weights).max(axis=(1, 2)) * self.cell.n
        exponents = np.ceil(np.log2(np.maximum(largest, 1.0))).astype(int) - EXACT_BITS
        unit = np.ldexp(1.0, exponents)[:, None, None]
        return np.asarray(np.rint(weights / unit) * unit)


def run(
    cell: TwoStageCell, replicates: Sequence[int], threads: int, progress: Progress
) -> dict[int, Payload]:
    """Records by replicate: `loss` and `error`, a number for each x of the ladder; `digest` of all gradient sums."""
    records: dict[int, Payload] = {}
    share = first_seconds(cell, units=cell.width) / seconds(cell)
    for done, replicate in enumerate(replicates):

        def told(value: float, start: float, size: float, done: int = done) -> None:
            progress((done + start + value * size) / len(replicates))

        torch.set_num_threads(threads)
        sums = first_stage(cell, [replicate], threads, lambda v: told(v, 0.0, share), cell.width)[replicate]
        student = Student.of(cell, replicate)
        measured = second_stage(student, sums, threads, lambda v: told(v, share, 1 - share))
        digest = hashlib.sha256(np.ascontiguousarray(sums.counts, dtype="<i8").tobytes()).hexdigest()
        records[replicate] = {
            "loss": [measured[point][0] for point in cell.ladder],
            "error": [measured[point][1] for point in cell.ladder],
            "digest": digest[:32],
        }
    return records


def second_stage(
    student: Student, sums: GradientSums, threads: int, progress: Progress
) -> Mapping[tuple[int, int], tuple[float, float]]:
    """Held-out loss and error after the second stage, at every (B, T) of the ladder.

    Each B has a run of its own on the same samples, as long as the ladder asks.
    """
    cell = student.cell
    layers = dict(zip(cell.first_grid, student.first_layer(sums), strict=True))
    biases = torch.tensor([float(b) for b in student.biases], dtype=torch.float64)
    ends = {B: max(T for first, T in cell.ladder if first == B) for B in cell.first_grid}
    points = set(cell.ladder)
    held_out = HeldOut.of(cell, student.replicate)
    radius = student.population.squared_radius
    step = float(1 / radius) if radius else 0.0
    active = list(cell.first_grid)
    first = torch.tensor(np.stack([layers[B].T for B in active]))
    weights = torch.zeros((len(active), cell.width), dtype=torch.float64)
    total = weights
    result: dict[tuple[int, int], tuple[float, float]] = {}
    for inputs, labels, stop in _samples(cell, student.replicate, len(active)):
        features = torch.relu(torch.matmul(inputs, first) + biases)
        steps = torch.full((len(active),), step, dtype=torch.float64)
        many = labels.expand(len(active), -1)
        after = kernels.hinge_sgd(features, many, weights, total, steps, threads=threads)
        weights, total = after.weights, after.total
        for r, B in enumerate(active):
            if (B, stop) in points:
                result[B, stop] = held_out.measure(layers[B], student.biases, total[r].numpy() / stop)
        left = [r for r, B in enumerate(active) if ends[B] > stop]
        if len(left) < len(active):
            active = [active[r] for r in left]
            first, weights, total = first[left], weights[left], total[left]
        progress(stop / cell.second)
    return result


def _samples(
    cell: TwoStageCell, replicate: int, runs: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
    """Inputs, float64 [1, steps, n], and labels, int8 [steps], of successive stretches with their last step + 1.

    A stretch ends at every T of the grid and at every multiple of `WINDOW`.
    """
    key = streams.key(cell.id, "second stage")
    support = list(streams.draw_support(cell.id, cell.n, cell.k))
    ladder_ends = sorted({T for _, T in cell.ladder})
    for start in range(0, cell.second, WINDOW):
        end = min(start + WINDOW, cell.second)
        drawn = kernels.draw_inputs(key, replicate, cell.n, start, end)
        labels = drawn[:, support].prod(dim=1).to(torch.int8)
        for first, last in pairwise((start, *(T for T in cell.second_grid if start < T < end), end)):
            # Runs on fewer samples have ended; those that are left share the memory.
            left = max(1, runs - sum(first >= T for T in ladder_ends))
            size = max(64, BLOCK_NUMBERS // (left * cell.width))
            for low in range(first, last, size):
                high = min(low + size, last)
                part = slice(low - start, high - start)
                yield drawn[part].to(torch.float64)[None], labels[part], high


@final
@dataclass(frozen=True, eq=False)
class HeldOut:
    """A replicate's held-out set: inputs float64 [n, 2^14], labels float64 [2^14]."""

    inputs: npt.NDArray[np.float64]
    labels: npt.NDArray[np.float64]

    @classmethod
    def of(cls, cell: TwoStageCell, replicate: int) -> "HeldOut":
        """The set of one replicate."""
        key = streams.key(cell.id, "evaluation")
        drawn = kernels.draw_inputs(key, replicate, cell.n, 0, HELD_OUT).numpy()
        support = list(streams.draw_support(cell.id, cell.n, cell.k))
        return cls(drawn.T.astype(np.float64), drawn[:, support].prod(axis=1).astype(np.float64))

    def measure(
        self, layer: npt.NDArray[np.float64], biases: Sequence[Fraction], output: npt.NDArray[np.float64]
    ) -> tuple[float, float]:
        """Mean hinge loss, and share of y f ≤ 0, of a network: first layer [m, n], biases, output weights [m]."""
        slopes = layer @ self.inputs
        logits = np.zeros(self.labels.shape)
        for slope, bias, weight in zip(
            slopes, biases, output, strict=True
        ):  # in a fixed order, whatever the machine
            logits += weight * np.maximum(slope + float(bias), 0.0)
        margins = self.labels * logits
        loss = math.fsum(np.maximum(0.0, 1.0 - margins)) / len(margins)
        return loss, int((margins <= 0).sum()) / len(margins)


def seconds(cell: TwoStageCell) -> float:
    """Expected seconds of one replicate on one thread; for plans only."""
    n, m = cell.n, cell.width
    steps = sum(max(T for first, T in cell.ladder if first == B) for B in cell.first_grid)
    measured = len(cell.ladder) * HELD_OUT * m * (HELD_OUT_SECONDS[0] + HELD_OUT_SECONDS[1] * n)
    drawn = (cell.second + HELD_OUT) * n * DRAWN_SECONDS
    layers = len(cell.first_grid) * m * n * WEIGHT_SECONDS
    exact = 0.028 + PATTERN_SECONDS * (m << cell.k)
    schedule = cell.schedule
    if isinstance(schedule, Progressive) and schedule.teacher != "equal":
        exact += 1.2e-3 + 3.6e-7 * (schedule.teacher_width << cell.k)
    trained = steps * m * (STEP_SECONDS[0] + STEP_SECONDS[1] * n)
    return first_seconds(cell, units=m) + exact + drawn + layers + measured + trained


def memory(cell: TwoStageCell) -> float:
    """Bytes at the peak; for plans only."""
    n, m, points = cell.n, cell.width, first_points(cell)
    layers = points * m * n * 32.0
    block = BLOCK_NUMBERS * 8.0 * (3 + n / m)
    held_out = HELD_OUT * 16.0 * (n + m)
    return max(gradients.memory(cell, points, 1, m), 4e7 + layers + block + held_out)


def record_bytes(cell: TwoStageCell) -> float:
    """Characters of a record, about; for plans only."""
    return 70 + 29.0 * len(cell.ladder)


def problem(cell: TwoStageCell, payload: Payload) -> str | None:
    """Why a payload is no record of a student with biases, in a few words; None if it is one."""
    return measures_problem(payload, len(cell.ladder))
