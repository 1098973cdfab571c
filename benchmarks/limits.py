"""What a unit of each kernel's work asks of the machine at least: operations, and bytes that cannot stay in registers.

Of the bit-sliced first step: the vector operations of its algorithm at the level that is live, counted from the source
(kernels/csrc), loads, stores and loop control left out. Of training: the 4 m (n + 1) floating-point operations of the
two matrix products of a step (the fp32 GEMM bound); the kernel itself looks up sums instead, and may be faster.
"""

from dataclasses import dataclass

import kernels
from benchmarks.case import Limit

BLOCK = 48  # steps that `sgd` takes at once by default (kDefaultRows in training.h)
NEAR = 1 << 20  # bytes of weights that stay in a core's second-level cache


@dataclass(frozen=True)
class Costs:
    """Vector operations of the primitives in kernels/csrc/simd.h and random.h at a level.

    Attributes:
        bits: of a vector.
        full_add: sum and carry of three bits; majority: the carry alone; xor3: the sum alone.
        and_xor: t & (a ^ b).
        draw: a step of the generator.
        spread: selectors of 64 groups (threes.h).
    """

    bits: int
    full_add: int
    majority: int
    xor3: int
    and_xor: int
    draw: float
    spread: int


COSTS = {
    "avx512": Costs(512, 2, 1, 1, 1, 9, 5),
    "avx2": Costs(256, 5, 4, 2, 2, 8.5, 22),
    "baseline": Costs(128, 5, 4, 2, 2, 10.25, 40),
}


def live_level() -> str:
    """The level whose operations are counted; that of the narrowest vectors without the extension."""
    live = kernels.status().live
    return live if live in COSTS else "baseline"


def first_step_operations(n: int, neurons: int, level: str) -> float:
    """Vector operations per pair of a sample and a neuron, the inputs' drawing shared by a stream's neurons."""
    costs = COSTS[level]
    rest = neurons % costs.bits
    few = rest if rest < costs.bits // 2 else 0
    tiles = (neurons - few + costs.bits - 1) // costs.bits
    drawn = n * costs.draw / costs.bits  # per sample, as all of these
    sliced = few * n * (costs.full_add + costs.and_xor + costs.full_add) / costs.bits
    # Wide: n / 2 full adders of the activation; 66 of 128 samples and a coordinate for the gradient; tables.
    groups = (n + 1) // 2
    tables = 64 * (4 * costs.majority + 4 + costs.xor3) / 128
    wide = tiles * (groups * costs.full_add + n * 66 * costs.full_add / 128 + tables)
    selectors = (groups + n / 2) * costs.spread / 64 if tiles else 0.0
    return (drawn + sliced + wide + selectors) / neurons


def first_step_bytes(n: int, neurons: int, level: str) -> float:
    """Bytes through the first-level cache per pair: inputs, counters and tables."""
    costs = COSTS[level]
    vector = costs.bits // 8
    if neurons < costs.bits // 2:
        return n * (2 + 4 / neurons) * vector / costs.bits
    tiles = -(-neurons // costs.bits)
    return tiles * n * vector / neurons


def first_step_limit(n: int, neurons: int) -> Limit:
    """Of `kernels.first_step`, at the live level."""
    level = live_level()
    return Limit("logic", first_step_operations(n, neurons, level), first_step_bytes(n, neurons, level), "L1")


def labels_limit(n: int) -> Limit:
    """Of `kernels.parity_labels`: the inputs must be drawn."""
    costs = COSTS[live_level()]
    return Limit("logic", n * costs.draw / costs.bits, 2 * n / 8, "L1")


def sgd_limit(n: int, width: int) -> Limit:
    """Of a step of `kernels.sgd`: two products; weights are read and written once a block, activations once.

    Step by step, weights are read and written in every one.
    """
    weights = 4 * width * (n + 1)  # bytes, and as many operations
    memory = "L2" if weights <= NEAR else "L3"
    return Limit("gemm", weights, 2 * weights / BLOCK + 8 * width, memory, stepwise=2.0 * weights)


def logits_limit(n: int, width: int) -> Limit:
    """Of a sample and a network in `kernels.logits`: one product; weights are read once a block."""
    weights = 4 * width * (n + 1)
    return Limit("gemm", weights / 2, weights / BLOCK, "L2" if weights <= NEAR else "L3")


def hinge_limit(width: int) -> Limit:
    """Of a step of `kernels.hinge_sgd`: its features, and its label, are read once from memory."""
    return Limit("bytes", 0.0, 8 * width + 1, "memory")
