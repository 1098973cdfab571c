"""The first-step protocol once more, naively: dense samples, Python fractions, one sample after the other."""

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch

import kernels
from kernels.randomness import BLOCK, mixture_bits
from sim import streams
from sim.cell import FirstStepCell
from sim.phase_one import draw_teacher
from sim.ranges import record_grid
from sim.schedule import Progressive
from theory.targets import Target

Array = npt.NDArray[np.int64]


def samples(cell: FirstStepCell, replicate: int) -> Array:
    """The replicate's inputs, [B, n]."""
    key = streams.key(cell.id, "data")
    return kernels.draw_inputs(key, replicate, cell.n, 0, cell.samples).numpy().astype(np.int64)


def weights(cell: FirstStepCell, replicate: int) -> Array:
    """The neuron's weights, [n]."""
    drawn = kernels.draw_signs(streams.key(cell.id, "initialisation"), replicate, cell.n)
    return drawn.numpy().astype(np.int64)


def target_labels(cell: FirstStepCell, replicate: int, target: Target, x: Array) -> list[Fraction]:
    """One label a sample."""
    support = streams.draw_support(cell.id, cell.n, cell.k)
    patterns = sum((x[:, i] == -1).astype(int) << t for t, i in enumerate(support))
    components = target.components
    if len(components) == 1:
        return [components[0][1][p] for p in patterns]
    (p0, t0), (p1, t1) = components
    rare, common = ((p1, t1), (p0, t0)) if p1 < p0 else ((p0, t0), (p1, t1))
    blocks = torch.arange(-(-len(x) // BLOCK))
    key = streams.key(cell.id, "data")
    chosen = mixture_bits(key, torch.full_like(blocks, replicate), blocks, int(rare[0] * 2**64))
    picks = chosen.reshape(-1)[: len(x)].tolist()
    return [(rare if pick else common)[1][p] for pick, p in zip(picks, patterns, strict=True)]


def labels_of(cell: FirstStepCell, replicate: int, x: Array) -> list[Fraction]:
    """The labels that the cell's schedule gives."""
    schedule = cell.schedule
    target = schedule.target(cell.n, cell.k)
    if target is not None:
        return target_labels(cell, replicate, target, x)
    assert isinstance(schedule, Progressive)
    teacher = draw_teacher(cell, schedule, replicate)
    if schedule.teacher == "phase-1":
        inputs = x.astype(np.int8)
        logits = (
            teacher.integer_logits(inputs) if schedule.labels == "logits" else teacher.hard_labels(inputs)
        )
        return [Fraction(int(value)) for value in logits]
    junta = teacher.support_logits if schedule.labels == "logits" else teacher.support_labels
    return target_labels(cell, replicate, junta, x)


def gradients(cell: FirstStepCell, replicate: int) -> list[list[Fraction]]:
    """The exact gradient sums at every B of the record grid."""
    x, w = samples(cell, replicate), weights(cell, replicate)
    active = (x * w == -1).sum(axis=1) <= cell.q
    labels = labels_of(cell, replicate, x)
    total = [Fraction(0)] * cell.n
    result, grid = [], set(record_grid(cell.samples, cell.resolution))
    for b, (row, on, label) in enumerate(zip(x.tolist(), active.tolist(), labels, strict=True), start=1):
        if on and label:
            total = [g + label * v for g, v in zip(total, row, strict=True)]
        if b in grid:
            result.append(total)
    return result


def succeeds(gradient: Sequence[Fraction], support: Sequence[int]) -> bool:
    """Whether every coordinate of the support is strictly larger than every other one."""
    size = [abs(g) for g in gradient]
    return all(size[i] > size[o] for i in support for o in range(len(size)) if o not in support)


def success(cell: FirstStepCell, replicate: int) -> str:
    """The record's `success`."""
    support = streams.draw_support(cell.id, cell.n, cell.k)
    return "".join("1" if succeeds(g, support) else "0" for g in gradients(cell, replicate))


def digest(cell: FirstStepCell, replicate: int, magnitudes: Sequence[Fraction] | None) -> str:
    """The record's `digest`: of the sums of each magnitude of the label, or of the gradient itself."""
    x, w = samples(cell, replicate), weights(cell, replicate)
    active = ((x * w == -1).sum(axis=1) <= cell.q).astype(np.int64)
    labels = labels_of(cell, replicate, x)
    signed = (
        [np.array([int(v) for v in labels])]
        if magnitudes is None
        else [np.array([(v > 0) - (v < 0) if abs(v) == m else 0 for v in labels]) for m in magnitudes]
    )
    rows = [B - 1 for B in record_grid(cell.samples, cell.resolution)]
    sums = np.stack([(active * s)[:, None] * x for s in signed], axis=1).cumsum(axis=0)[rows]
    return hashlib.sha256(sums.astype("<i8").tobytes()).hexdigest()[:32]
