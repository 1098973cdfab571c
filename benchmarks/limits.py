"""What a unit of each kernel's work asks of the machine at least: operations, and bytes that cannot stay in registers.

Of the bit-sliced first step: the vector operations of its algorithm at the level that is live, counted from the source
(kernels/csrc). Loads, stores, moves, loop control and what is done once a block or once a call are left out (seeding,
labels, the wide engine's selectors), so that the limit is below what any schedule of the same algorithm could reach.

Of training: the 4 m (n + 1) floating-point operations of the two matrix products of a step (the fp32 GEMM bound); the
kernel itself looks up sums instead, and may be faster.
"""

import math
from dataclasses import dataclass

import kernels
from benchmarks.case import Limit

BLOCK = 48  # steps that `sgd` takes at once by default (kDefaultRows in training.h)
NEAR = 1 << 20  # bytes of weights that stay in a core's second-level cache
SUB = 512  # samples of a row of bits, which the generator draws in one step


@dataclass(frozen=True)
class Costs:
    """Vector operations of the primitives in kernels/csrc/simd.h and random.h at a level.

    Attributes:
        bits: of a vector.
        full_add: sum and carry of three bits; majority: the carry alone; xor3: the sum alone.
        and_xor: t & (a ^ b).
        step: of the generator, for one vector; its counter costs one more for each row of 512 samples.
        ones: count of ones.
        counts: whether few neurons count the ones of every vector (kFastCount), or add bits in vertical counters.
    """

    bits: int
    full_add: int
    majority: int
    xor3: int
    and_xor: int
    step: int
    ones: int
    counts: bool


COSTS = {
    "avx512": Costs(512, 2, 1, 1, 1, 8, 1, True),
    "avx2": Costs(256, 5, 4, 2, 2, 8, 7, False),
    "baseline": Costs(128, 5, 4, 2, 2, 10, 17, False),
}


def live_level() -> str:
    """The level whose operations are counted; that of the narrowest vectors without the extension."""
    live = kernels.status().live
    return live if live in COSTS else "baseline"


def _tree(costs: Costs, size: int, planes: int) -> int:
    """add_tree<size> and the ripple of its carry through the planes above (adders.h)."""
    return costs.full_add * (size - 1) + 2 * (planes - size.bit_length() + 1) + 1


def _sum(costs: Costs, length: int, planes: int, largest: int) -> int:
    """`length` inputs in trees of the largest size, and the rest in one of each smaller size."""
    rest = [1 << b for b in range(largest.bit_length() - 1) if length % largest >> b & 1]
    whole = length // largest * _tree(costs, largest, planes)
    return whole + sum(_tree(costs, size, planes) for size in rest)


def _draw(costs: Costs, n: int) -> float:
    """Inputs of one vector of samples."""
    return n * (costs.step + costs.bits / SUB)


def _activation(costs: Costs, n: int, q: int) -> int:
    """A neuron on one vector of samples, half of its weights being -1 (threshold.h)."""
    planes = max(5, math.ceil(math.log2(max(q + 1, n - q))))
    halves = (math.ceil(count / 4) * 4 for count in (n // 2, n - n // 2))
    return sum(_sum(costs, count, planes, 32) for count in halves) + planes + 2


def _few(costs: Costs, n: int, q: int, neurons: int) -> float:
    """One vector of samples, neuron by neuron (solo.h, sliced.h), its drawing left out."""
    add: float = costs.full_add if neurons == 1 else (15 * costs.full_add + costs.ones + 1) / 16
    if costs.counts:
        add = costs.ones + 1
    return neurons * (_activation(costs, n, q) + n * (costs.and_xor + add))


def _wide(costs: Costs, n: int, q: int) -> float:
    """One sample and one vector of neurons (wide.h)."""
    planes = max(4, math.ceil(math.log2(max(q + 1, n - q))) - 1)
    groups = (n - 1) // 2 + 1
    fire = _sum(costs, groups, planes, 16) + 1
    tables = 63 * (4 * costs.majority + 6 + costs.xor3) + 10  # of 128 samples, as what follows
    return fire + (tables + (n + 1) * (64 * costs.full_add + 3)) / 128


def first_step_operations(n: int, neurons: int, level: str) -> float:
    """Vector operations per pair of a sample and a neuron without a bias, inputs drawn once for a stream's neurons."""
    costs = COSTS[level]
    q = (n + 1) // 2 - 1
    rest = neurons % costs.bits
    few = rest if rest < costs.bits // 2 else 0
    tiles = math.ceil((neurons - few) / costs.bits)
    of_vector = _draw(costs, n) + (_few(costs, n, q, few) if few else 0.0)
    return (of_vector / costs.bits + tiles * _wide(costs, n, q)) / neurons


def first_step_bytes(n: int, neurons: int, level: str) -> float:
    """Bytes through the first-level cache per pair.

    Few neurons: a row of inputs is stored, loaded for the activation and, by two neurons together, for the gradient,
    and its count is loaded and stored. Many: an entry of a table a coordinate, half of them for each of the two sums.
    """
    costs = COSTS[level]
    vector = n / 8  # bytes of one vector a coordinate, by samples
    if neurons < costs.bits // 2:
        return vector * (4 if neurons == 1 else 1.5) + vector / neurons
    return math.ceil(neurons / costs.bits) * costs.bits * vector / neurons


def first_step_limit(n: int, neurons: int) -> Limit:
    """Of `kernels.first_step`, at the live level."""
    level = live_level()
    return Limit("logic", first_step_operations(n, neurons, level), first_step_bytes(n, neurons, level), "L1")


def labels_limit(n: int) -> Limit:
    """Of `kernels.parity_labels`: the inputs must be drawn, and are stored and read once."""
    costs = COSTS[live_level()]
    return Limit("logic", _draw(costs, n) / costs.bits, 2 * n / 8, "L1")


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
