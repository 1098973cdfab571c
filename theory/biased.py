"""The first step of a threshold unit on biased inputs, exactly: independent coordinates in {-1, 1} of the same mean.

The unit T(x) = 1[<w, x> + b > 0] is active iff at most q of the z_i = w_i x_i are -1 (`theory.walsh`).  z_i is -1
with probability (1 - w_i mu)/2, so the number of -1 is a sum of two binomial variables, and

    E[T prod_{i in A} z_i] = sum_{t <= q} [u^t] prod_i (p_i + e_i (1 - p_i) u),   p_i = (1 + w_i mu)/2,

e_i = -1 for i in A and 1 otherwise.  For mu = 0 it is tau_|A|.  Kind: exact; compared with enumeration for n <= 8.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction
from functools import lru_cache

from theory import errors
from theory.errors import Number, TheoryError


def biased_correlation(weights: Sequence[int], subset: Collection[int], q: int, mean: Number) -> Fraction:
    """Return E[T chi_A] for a unit with these weights and threshold count q, inputs of the given mean.

    weights: n signs; subset: A, indices of coordinates; q in -1..n; mean in [-1, 1], a float meaning the rational
    that it is.  Raises TheoryError outside these ranges.

    >>> biased_correlation((1, 1, 1), (0, 1), 1, 0), biased_correlation((1, -1, 1), (0, 2), 1, Fraction(1, 2))
    (Fraction(0, 1), Fraction(15, 32))
    """
    w = errors.signs("weights", weights)
    n = len(w)
    q = errors.integer("q", q, -1, n)
    mu = _mean(mean)
    chosen = frozenset(errors.integer("a coordinate of the subset", i, 0, n - 1) for i in subset)
    inside = [w[i] for i in chosen]
    plus, minus = w.count(1), w.count(-1)
    total = _active(plus, minus, inside.count(1), inside.count(-1), q, mu)
    return -total if inside.count(-1) % 2 else total


def biased_first_step(
    weights: Sequence[int], support: Collection[int], q: int, mean: Number
) -> tuple[Fraction, ...]:
    """Return E[chi_S T x_i] for all coordinates i; arguments and refusals as of `biased_correlation`."""
    chosen = frozenset(support)
    return tuple(biased_correlation(weights, chosen ^ {i}, q, mean) for i in range(len(weights)))


@lru_cache(maxsize=1 << 12)
def _active(plus: int, minus: int, inside_plus: int, inside_minus: int, q: int, mean: Fraction) -> Fraction:
    """Return E[T prod_{i in A} z_i], A of so many coordinates with w = +1 and w = -1."""
    high, low = mean.denominator + mean.numerator, mean.denominator - mean.numerator
    coefficients = [1]
    for first, second, count in (
        (high, low, plus - inside_plus),
        (high, -low, inside_plus),
        (low, high, minus - inside_minus),
        (low, -high, inside_minus),
    ):
        for _ in range(count):
            coefficients = [
                first * a + second * b for a, b in zip([*coefficients, 0], [0, *coefficients], strict=True)
            ]
    return Fraction(sum(coefficients[: q + 1]), (2 * mean.denominator) ** (plus + minus))


def _mean(value: Number) -> Fraction:
    mean = errors.rational("mean", value)
    if not -1 <= mean <= 1:
        raise TheoryError(f"mean = {value} is not in [-1, 1].")
    return mean
