"""Reference by enumeration: every expectation over x in {-1, 1}^n as a sum over all 2^n inputs, in integers.

Written from the definitions alone: it shares no formula with the code under test.
"""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from theory.targets import Target


@lru_cache(maxsize=16)
def inputs(n: int) -> NDArray[np.int64]:
    """All 2^n inputs, [2^n, n]."""
    return np.array(list(product((1, -1), repeat=n)), dtype=np.int64).reshape(-1, n)


def activation(weights: Sequence[int], bias: Fraction) -> NDArray[np.int64]:
    """<w, x> + b in units of the bias's denominator, for every input."""
    weighted = inputs(len(weights)) @ np.array(weights)
    return weighted * bias.denominator + bias.numerator


def pattern_numbers(n: int, support: Sequence[int]) -> NDArray[np.int64]:
    """For every input, the number whose bit t (least significant first) is set iff coordinate S_t is -1."""
    bits = [(inputs(n)[:, i] == -1) * 2**t for t, i in enumerate(support)]
    return np.sum(bits, axis=0)


def labels(target: Target, n: int, support: Sequence[int]) -> list[tuple[Fraction, list[Fraction]]]:
    """For each component of the label law: its probability and the label of every input."""
    numbers = pattern_numbers(n, support).tolist()
    return [(p, [table[number] for number in numbers]) for p, table in target.components]


def expectation(
    target: Target, support: Sequence[int], factor: NDArray[np.int64], *, squared: bool = False
) -> Fraction:
    """E[label * factor(x)], or E[label^2 * factor(x)], for an integer-valued factor given on all inputs."""
    n = len(factor).bit_length() - 1
    numbers = pattern_numbers(n, support)
    sums = [int(factor[numbers == p].sum()) for p in range(1 << len(support))]
    total = Fraction(0)
    for probability, table in target.components:
        for value, count in zip(table, sums, strict=True):
            total += probability * (value * value if squared else value) * count
    return total / 2**n


def joint_law(
    target: Target, support: Sequence[int], active: NDArray[np.bool_], factors: Sequence[NDArray[np.int64]]
) -> dict[tuple[Fraction, ...], Fraction]:
    """Law of the tuple of label * T * factor, factors given on all inputs; positive probabilities only."""
    n = len(active).bit_length() - 1
    law: dict[tuple[Fraction, ...], Fraction] = defaultdict(Fraction)
    columns = [factor.tolist() for factor in factors]
    for probability, values in labels(target, n, support):
        for row, (label, on) in enumerate(zip(values, active.tolist(), strict=True)):
            law[tuple(label * on * column[row] for column in columns)] += probability / 2**n
    return {key: mass for key, mass in law.items() if mass}
