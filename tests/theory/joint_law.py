"""Exact failure probabilities of tiny first steps, by convolving the joint law of all n coordinates."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from theory.targets import Target


def failure_probabilities(
    n: int, q: int, target: Target, signs: Sequence[int], most: int
) -> Float[np.ndarray, " most"]:
    """P(min_S |G_i| <= max_{not S} |G_o|) for B = 1..most, S the first k coordinates, w = signs then +1.

    The joint law of (G_1, ..., G_n) is kept on its whole grid, so n and `most` must be tiny; labels must be integers.
    In floats: the entries are sums of positive terms, so they are good to about 1e-14.
    """
    k, weights = target.k, (*signs, *[1] * (n - len(signs)))
    largest = int(target.sup_norm)
    step: dict[tuple[int, ...], float] = {}
    for x in itertools.product((1, -1), repeat=n):
        active = sum(a * b < 0 for a, b in zip(x, weights, strict=True)) <= q
        index = sum(1 << t for t in range(k) if x[t] < 0)
        for share, table in target.components:
            label = int(table[index]) if active else 0
            move = tuple(label * v for v in x)
            step[move] = step.get(move, 0.0) + float(share) / 2**n
    size = 2 * largest * most + 1
    law = np.zeros((size,) * n)
    law[(largest * most,) * n] = 1.0
    value = np.abs(np.arange(size) - largest * most)
    grids = np.meshgrid(*[value] * n, indexing="ij", sparse=True)
    inside = np.minimum.reduce(np.broadcast_arrays(*grids[:k]))
    outside = np.maximum.reduce(np.broadcast_arrays(*grids[k:]))
    failed = np.broadcast_to(inside <= outside, law.shape)
    result = np.empty(most)
    for B in range(most):
        law = sum(p * np.roll(law, move, axis=tuple(range(n))) for move, p in step.items())
        result[B] = law[failed].sum()
    return result
