"""Exact moments of one mirrored teacher pair with leakage, alone and against one student unit, in integers.

A pair of the teacher after its first phase (`theory.teacher`) computes, in integer units,
`h(x) = relu(Q + B) - relu(-Q + B)`, `Q = scale_in <g_S, x_S> + scale_out <g_O, x_O>`, `B = 2 beta scale_in`,
with signs g in {-1, 1}^n, O the n - k coordinates off the support S, and beta = k b in -(k-1)..k-1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from theory.walsh import threshold_tau


@dataclass(frozen=True)
class Leak:
    """Integer weights of a pair on and off the support, and the sizes: the geometry all pairs share.

    scale_out/scale_in = tau_(k+1)/tau_(k-1) in lowest terms, scale_in > 0; it is -(k-1)/(D-k) with D = n for
    odd n and n + 1 for even n.  scale_out = 0 drops the leakage.
    """

    n: int
    k: int
    scale_in: int
    scale_out: int

    @classmethod
    def exact(cls, n: int, k: int) -> "Leak":
        """Return the geometry of the exact phase-1 teacher, k even."""
        q = (n - 1) // 2
        ratio = threshold_tau(k + 1, n, q) / threshold_tau(k - 1, n, q) if n > k else 0
        return cls(n, k, ratio.denominator, ratio.numerator)

    def bias(self, beta: int) -> int:
        """The integer bias B of the real bias beta/k."""
        return 2 * beta * self.scale_in

    def response(self, inside: int, outside: int, beta: int) -> int:
        """h for <g_S, x_S> = inside and <g_O, x_O> = outside."""
        slope, bias = self.scale_in * inside + self.scale_out * outside, self.bias(beta)
        return max(slope + bias, 0) - max(bias - slope, 0)

    @property
    def largest_argument(self) -> int:
        """Largest |Q| + |B| of any pair."""
        return self.scale_in * (3 * self.k - 2) + abs(self.scale_out) * (self.n - self.k)

    def largest_response(self, beta: int) -> int:
        """max |h|."""
        return self.response(self.k, (self.n - self.k) * (1 if self.scale_out > 0 else -1), beta)


@lru_cache(maxsize=1 << 12)
def degree_one_counts(leak: Leak, beta: int) -> tuple[int, int]:
    """Return 2^n E[h g_j x_j] for j on the support and for j off it (0 if n = k), as integers."""
    k, free = leak.k, leak.n - leak.k
    inside_sum = outside_sum = 0
    for u in range(k + 1):
        for v in range(free + 1):
            inside, outside = k - 2 * u, free - 2 * v
            weighted = leak.response(inside, outside, beta) * math.comb(k, u) * math.comb(free, v)
            inside_sum += weighted * inside
            outside_sum += weighted * outside
    return inside_sum // k, outside_sum // free if free else 0


class PairMoments(NamedTuple):
    """2^n E[h T w_j x_j] by the class of coordinate j: on or off the support, g_j = w_j or g_j = -w_j.

    0 for a class without members.
    """

    in_agreeing: int
    in_differing: int
    out_agreeing: int
    out_differing: int


@lru_cache(maxsize=1 << 15)
def pair_moments(leak: Leak, q: int, agree_in: int, agree_out: int, beta: int) -> PairMoments:
    """Return the moments of one pair against a student unit with threshold count q, as exact integers.

    agree_in, agree_out: how many coordinates on and off the support have g_j = w_j.  Within a class all
    coordinates are alike, so only the four counts of w_j x_j = -1 matter, one per class: u, v on the support
    (agreeing, differing), U, V off it.  T = 1 iff u + v + U + V <= q; Q depends on U, V through V - U only.
    """
    k, free = leak.k, leak.n - leak.k
    differ_in, differ_out = k - agree_in, free - agree_out
    in_a = in_d = out_a = out_d = 0
    by_limit = _outside_sums(agree_out, differ_out, q, k)
    for u in range(agree_in + 1):
        for v in range(differ_in + 1):
            z_a, z_d = agree_in - 2 * u, differ_in - 2 * v
            h, h_outside = _responses(leak, z_a - z_d, beta)
            counts, agreeing = by_limit[u + v]
            ways = math.comb(agree_in, u) * math.comb(differ_in, v)
            plain, moment = ways * sum(map(mul, h, counts)), ways * sum(map(mul, h, agreeing))
            in_a += plain * z_a
            in_d += plain * z_d
            out_a += moment
            out_d += moment - ways * sum(map(mul, h_outside, counts))  # differing = agreeing sum - <g_O, x_O>
    sums, sizes = (in_a, in_d, out_a, out_d), (agree_in, differ_in, agree_out, differ_out)
    return PairMoments(*(total // size if size else 0 for total, size in zip(sums, sizes, strict=True)))


@lru_cache(maxsize=1 << 10)
def _responses(leak: Leak, inside: int, beta: int) -> tuple[Sequence[int], Sequence[int]]:
    """For outside = <g_O, x_O> = -(n-k), ..., n-k in steps of 2: h, and h * outside."""
    free = leak.n - leak.k
    h = [leak.response(inside, outside, beta) for outside in range(-free, free + 1, 2)]
    return h, list(map(mul, h, range(-free, free + 1, 2)))


@lru_cache(maxsize=1 << 8)
def _outside_sums(agree: int, differ: int, q: int, k: int) -> Sequence[tuple[Sequence[int], Sequence[int]]]:
    """For s = 0..k, over d = V - U = -agree..differ: ways with U + V <= q - s, and their sum of agree - 2U.

    These d are <g_O, x_O> = agree - differ + 2d = -(n-k)..n-k in steps of 2, whatever the class sizes are.
    """
    by_limit: list[tuple[list[int], list[int]]] = [([], []) for _ in range(k + 1)]
    row_a = [math.comb(agree, u) for u in range(agree + 1)]
    row_d = [math.comb(differ, v) for v in range(differ + 1)]
    for d in range(-agree, differ + 1):
        first, last = max(0, -d), min(agree, differ - d)
        ways = list(map(mul, row_a[first : last + 1], row_d[first + d : last + d + 1]))
        total = [0, *accumulate(ways)]
        moment = [0, *accumulate(map(mul, ways, range(agree - 2 * first, agree - 2 * last - 1, -2)))]
        for s, (counts, moments) in enumerate(by_limit):
            stop = max(0, min(last, (q - s - d) // 2) - first + 1)
            counts.append(total[stop])
            moments.append(moment[stop])
    return by_limit
