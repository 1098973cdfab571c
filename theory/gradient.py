"""The first step of one unit, exactly: population gradients and the law of each sample's contribution.

At a symmetric initialisation the network is 0, so for every loss whose derivative there is -label the first
step of a unit is `a * mean_b label_b T(x_b) x_{b,i}`.  Its per-sample terms are `Z_i = label T x_i`.  Their
law depends on the dimension n, the unit's threshold count q, the target on the support, and the unit's
weights on the support (`signs`).  Off the support every coordinate is alike once multiplied by its weight:
`Z_o w_o` has the same law for every o.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from theory import errors
from theory.errors import TheoryError
from theory.targets import ScaledTable, Target, pattern_index, patterns
from theory.walsh import binomial_sum, threshold_tau

Position = int | Literal["out"]
"""A position t in 0..k-1 of the support, or "out": any coordinate off the support, times its weight."""

Value = TypeVar("Value", Fraction, tuple[Fraction, Fraction])


class Correlations(NamedTuple):
    """E[F u], E[F u x_i] for the k support positions, and E[F u x_o] w_o off the support, u a unit."""

    constant: Fraction
    inside: tuple[Fraction, ...]
    outside: Fraction


def correlations(
    walsh: Sequence[Fraction], signs: Sequence[int], spectrum: Sequence[Fraction]
) -> Correlations:
    """Return the correlations of a function F of the support with a unit u, by their Walsh expansions.

    For a unit with E[u chi_B] = s_|B| prod_{j in B} w_j,
    E[F u x_i] = sum_A F^(A) s_|A ^ {i}| prod_{j in A ^ {i}} w_j, ^ the symmetric difference.
    `threshold_spectrum(n, q, k + 1)` gives the gradient of a first layer; `relu_spectrum(n, bias, k + 1)`
    that of an output weight (`constant`) and the moments of a ReLU unit.
    walsh: 2^k coefficients by subset mask; signs: k of +-1; spectrum: s_0, s_1, ..., at least k + 2 values.
    `outside` has a meaning only if there is a coordinate off the support, n > k.
    Kind: exact, by expanding F in characters.  Raises TheoryError for wrong lengths.
    """
    k = len(walsh).bit_length() - 1
    chosen = errors.signs("signs", signs, k)
    if len(walsh) != 1 << k or len(spectrum) < k + 2:
        raise TheoryError(
            f"{len(walsh)} Walsh coefficients with {len(spectrum)} spectrum values are refused; "
            "2^k and at least k + 2 are needed."
        )
    flip = pattern_index(chosen)
    signed = [-c if (mask & flip).bit_count() % 2 else c for mask, c in enumerate(walsh)]

    def total(toggle: int, extra: int) -> Fraction:
        terms = (c * spectrum[(mask ^ toggle).bit_count() + extra] for mask, c in enumerate(signed) if c)
        return sum(terms, Fraction(0))

    return Correlations(total(0, 0), tuple(chosen[t] * total(1 << t, 0) for t in range(k)), total(0, 1))


@dataclass(frozen=True)
class FirstStepLaw:
    """Exact law of the terms Z_i = label T x_i of one unit: means, second moments, and laws of coordinates.

    n: dimension; q: threshold count of the unit, -1..n; target: the label law, k <= n; signs: the unit's k
    weights on the support, +-1.  Every number is an exact Fraction, computed by summing over the 2^k
    patterns of x_S with integer counts of the completions that activate the unit.
    Raises TheoryError for a target larger than n, q outside -1..n or wrong signs.
    """

    n: int
    q: int
    target: Target
    signs: Sequence[int]

    def __post_init__(self) -> None:
        """Check the parameters."""
        n = errors.integer("n", self.n, 1)
        if self.target.k > n:
            raise TheoryError(f"k = {self.target.k} is larger than n = {n}; k <= n is allowed.")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "q", errors.integer("q", self.q, -1, n))
        object.__setattr__(self, "signs", errors.signs("signs", self.signs, self.target.k))

    @property
    def k(self) -> int:
        """Size of the support."""
        return self.target.k

    @property
    def tau0(self) -> Fraction:
        """P(T = 1)."""
        return threshold_tau(0, self.n, self.q)

    @cached_property
    def mean_in(self) -> tuple[Fraction, ...]:
        """E[label T x_i] for the k support coordinates in increasing order."""
        return tuple(self._moment(self.target.scaled_table, 1 << t, 0) for t in range(self.k))

    @cached_property
    def mean_out(self) -> Fraction:
        """E[label T x_o] w_o, the same for every o off the support; 0 if there is none (n = k)."""
        return self._moment(self.target.scaled_table, 0, 1)

    @cached_property
    def margin(self) -> Fraction:
        """Delta = min_i |mean_in_i| - |mean_out|; enough samples find the support iff it is positive."""
        return min(abs(mean) for mean in self.mean_in) - abs(self.mean_out)

    @cached_property
    def second_moment(self) -> Fraction:
        """E[label^2 T] = E[Z_i^2], the same for every coordinate i."""
        return self._moment(self.target.scaled_squares, 0, 0)

    @cached_property
    def covariance_in(self) -> tuple[tuple[Fraction, ...], ...]:
        """k x k covariance of (Z_i, i in S)."""
        squares, mean, k = self.target.scaled_squares, self.mean_in, self.k
        upper = {
            (i, j): self._moment(squares, 1 << i ^ 1 << j, 0) - mean[i] * mean[j]
            for i in range(k)
            for j in range(i, k)
        }
        return tuple(tuple(upper[min(i, j), max(i, j)] for j in range(k)) for i in range(k))

    @cached_property
    def covariance_cross(self) -> tuple[Fraction, ...]:
        """Covariance of Z_i with Z_o w_o for the k support positions; zeros if n = k."""
        squares = self.target.scaled_squares
        return tuple(
            self._moment(squares, 1 << t, 1) - mean * self.mean_out for t, mean in enumerate(self.mean_in)
        )

    @cached_property
    def variance_out(self) -> Fraction:
        """Variance of Z_o for any o off the support; 0 if n = k."""
        return self.second_moment - self.mean_out**2 if self.n > self.k else Fraction(0)

    @cached_property
    def covariance_out(self) -> Fraction:
        """Covariance of Z_o w_o with Z_p w_p for two coordinates off the support; 0 if there are no two."""
        if self.n < self.k + 2:
            return Fraction(0)
        return self._moment(self.target.scaled_squares, 0, 2) - self.mean_out**2

    def pair_law(self, position: int) -> dict[tuple[Fraction, Fraction], Fraction]:
        """Return the joint law of (Z_i, Z_o w_o) as a dict from pairs of values to probabilities.

        position: t in 0..k-1, i the support coordinate at t; o is any coordinate off the support.  Keys are
        in increasing order; probabilities are positive.  Raises TheoryError for another position or n = k.
        """
        t = errors.integer("position", position, 0, self.k - 1)
        free = self.n - self.k - 1
        if free < 0:
            raise TheoryError(f"n = {self.n} equals k: no coordinate is off the support; n > k is needed.")
        counts: dict[tuple[Fraction, Fraction], int] = defaultdict(int)
        for label, x, h, weight in self._outcomes(t):
            for z in (-1, 1):
                counts[label * x, label * z] += weight * binomial_sum(free, self.q - h - (z < 0))
        return self._law(counts, (Fraction(0), Fraction(0)))

    def coordinate_law(self, position: Position) -> dict[Fraction, Fraction]:
        """Return the law of Z_i (position t of the support) or of Z_o w_o ("out"), value to probability.

        For +-1 labels it is the trinomial law with P(+-1) = (tau0 +- mean)/2.  Keys are in increasing order.
        Raises TheoryError for another position, or for "out" if n = k.
        """
        if position == "out":
            marginal: dict[Fraction, Fraction] = defaultdict(Fraction)
            for (_, value), mass in self.pair_law(0).items():
                marginal[value] += mass
            return dict(sorted(marginal.items()))
        t = errors.integer("position", position, 0, self.k - 1)
        counts: dict[Fraction, int] = defaultdict(int)
        for label, x, h, weight in self._outcomes(t):
            counts[label * x] += weight * binomial_sum(self.n - self.k, self.q - h)
        return self._law(counts, Fraction(0))

    def _moment(self, scaled: ScaledTable, inside: int, outside: int) -> Fraction:
        """E[f(x_S) T chi_A z_o...] for the subset mask A = `inside` and `outside` distinct z_o (0, 1 or 2).

        0 if there are not that many coordinates off the support.
        """
        free = self.n - self.k - outside
        if free < 0:
            return Fraction(0)
        by_count = [0] * (self.k + 1)  # sum of +-f over the patterns with h negative w_i x_i on the support
        for p, value in enumerate(scaled.values):
            by_count[(p ^ self._flip).bit_count()] += -value if (p & inside).bit_count() % 2 else value
        total = sum(
            value * (-1) ** e * math.comb(outside, e) * binomial_sum(free, self.q - h - e)
            for h, value in enumerate(by_count)
            for e in range(outside + 1)
        )
        return Fraction(total, scaled.scale << self.n)

    @cached_property
    def _flip(self) -> int:
        return pattern_index(self.signs)

    def _outcomes(self, t: int) -> list[tuple[Fraction, int, int, int]]:
        """List (label, x_{S_t}, number of w_i x_i = -1 on the support, weight of all such patterns)."""
        weights: dict[tuple[Fraction, int, int], int] = defaultdict(int)
        for (_, table), share in zip(self.target.components, self._shares, strict=True):
            for p, label in enumerate(table):
                weights[label, -1 if p >> t & 1 else 1, (p ^ self._flip).bit_count()] += share
        return [(*key, weight) for key, weight in weights.items()]

    @cached_property
    def _shares(self) -> tuple[int, ...]:
        """The mixture's probabilities as integers, over their sum."""
        probabilities = [p for p, _ in self.target.components]
        scale = math.lcm(*(p.denominator for p in probabilities))
        return tuple(int(p * scale) for p in probabilities)

    def _law(self, counts: Mapping[Value, int], zero: Value) -> dict[Value, Fraction]:
        """Turn weights of the outcomes with T = 1 into probabilities; T = 0, value `zero`, has the rest."""
        scale = sum(self._shares) << self.n
        complete = {**counts, zero: counts.get(zero, 0) + scale - sum(counts.values())}
        return {value: Fraction(complete[value], scale) for value in sorted(complete) if complete[value]}


def laws(n: int, q: int, target: Target) -> Iterator[FirstStepLaw]:
    """Yield the laws of the 2^k sign patterns of the unit on the support, in the order of pattern indices."""
    return (FirstStepLaw(n, q, target, pattern) for pattern in patterns(target.k))


def law_classes(n: int, q: int, target: Target) -> tuple[tuple[FirstStepLaw, int], ...]:
    """Return representatives of the 2^k laws with their multiplicities, which sum to 2^k.

    Two sign patterns share a class if their label laws, as functions of z_i = w_i x_i, agree after exchanges
    of support coordinates and a change of the label's sign; success probabilities and bounds are then the
    same.  The parity has one class; EqualTeacher has one for each number of agreeing signs, logits and their
    negatives together.
    """
    k = target.k
    indices = np.arange(1 << k)
    values = sorted({s * v for _, table in target.components for v in table for s in (-1, 1)})
    codes = {value: code for code, value in enumerate(values)}  # the code of -value is the last one less this
    kind = np.min_scalar_type(len(values))
    labels = np.array([[codes[value] for value in table] for _, table in target.components], dtype=kind)
    twisted = np.stack([labels[:, indices ^ flip] for flip in range(1 << k)])
    first: dict[bytes, int] = {}
    parent = [first.setdefault(rows.tobytes(), flip) for flip, rows in enumerate(twisted)]

    def root(flip: int) -> int:
        while parent[flip] != flip:
            flip = parent[flip]
        return flip

    images = [(len(values) - 1 - twisted).astype(kind), *(twisted[:, :, order] for order in _exchanges(k))]
    for image in images:
        for flip, rows in enumerate(image):
            other = first.get(rows.tobytes())
            if other is not None:
                low, high = sorted((root(flip), root(other)))
                parent[high] = low
    sizes = sorted(Counter(map(root, range(1 << k))).items())
    return tuple((FirstStepLaw(n, q, target, patterns(k)[flip]), size) for flip, size in sizes)


def _exchanges(k: int) -> Iterator[NDArray[np.int64]]:
    """Yield, for each two of k coordinates, the pattern indices with these two bits exchanged."""
    p = np.arange(1 << k)
    for i in range(k):
        for j in range(i):
            yield np.where((p >> i ^ p >> j) & 1, p ^ (1 << i | 1 << j), p)
