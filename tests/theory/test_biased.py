"""Biased inputs: the exact first step against enumeration, biased-curriculum against exact probabilities of failure."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests.theory.enumeration import inputs
from theory.biased import biased_correlation, biased_first_step
from theory.bounds import BiasedCurriculum
from theory.bounds.biased_curriculum import best_squared_mean
from theory.errors import TheoryError
from theory.walsh import threshold_tau

TENTH = Fraction(1, 10)
means = st.fractions(-1, 1, max_denominator=12)


@given(st.data(), st.integers(1, 8), means)
def test_biased_correlations_by_enumeration(data: st.DataObject, n: int, mean: Fraction) -> None:
    w = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=n, max_size=n))
    q = data.draw(st.integers(-1, n))
    A = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    x = inputs(n)
    active = (x * np.array(w) < 0).sum(axis=1) <= q
    total = Fraction(0)
    for row, value in zip(x[active], x[active][:, A].prod(axis=1), strict=True):
        total += int(value) * math.prod(((1 + mean * int(one)) / 2 for one in row), start=Fraction(1))
    assert biased_correlation(w, A, q, mean) == total


@given(st.integers(1, 9), st.data())
def test_without_bias_they_are_the_spectrum(n: int, data: st.DataObject) -> None:
    w = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=n, max_size=n))
    q, r = data.draw(st.integers(-1, n)), data.draw(st.integers(0, n))
    expected = threshold_tau(r, n, q) * math.prod(w[:r])
    assert biased_correlation(w, range(r), q, 0) == expected


@given(st.integers(2, 8), st.data(), means)
def test_a_unit_that_is_always_active_has_the_gap_of_the_theorem(
    n: int, data: st.DataObject, mean: Fraction
) -> None:
    k = data.draw(st.integers(1, n - 1))
    S = sorted(data.draw(st.permutations(range(n)))[:k])
    w = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=n, max_size=n))
    step = biased_first_step(w, S, n, mean)
    assert step == tuple(mean ** (k - 1) if i in S else mean ** (k + 1) for i in range(n))


def test_a_threshold_unit_in_a_large_dimension() -> None:
    """Half the weights +1: a mean step that singles out the support at a rate that does not vanish with n."""
    gaps = []
    for n in (51, 101, 201):
        w = [1 if i % 2 else -1 for i in range(n)]
        step = biased_first_step(w, range(4), (n - 1) // 2, Fraction(3, 4))
        gaps.append(min(abs(one) for one in step[:4]) - max(abs(one) for one in step[4:]))
    assert all(gap > Fraction(1, 50) for gap in gaps)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (((1, 2), (0,), 1, 0), "weights"),
        (((1, 1), (2,), 1, 0), "coordinate"),
        (((1, 1), (0,), 3, 0), "q = 3"),
        (((1, 1), (0,), 1, 2), "mean = 2"),
        (((1, 1), (0,), 1, math.nan), "mean"),
    ],
)
def test_biased_steps_refuse_bad_input(arguments: tuple[Any, ...], word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        biased_correlation(*arguments)


def test_the_best_mean_by_sympy() -> None:
    mu, k = sympy.symbols("mu k", positive=True)
    slope = sympy.diff(sympy.log(mu ** (k - 1) * (1 - mu**2)), mu)
    (best,) = sympy.solve(sympy.simplify(slope * mu * (1 - mu**2)), mu)
    assert sympy.simplify(best**2 - (k - 1) / (k + 1)) == 0
    for size in (1, 2, 4, 7):
        assert best_squared_mean(size) == Fraction(str((best**2).subs(k, size)))
        at_best = BiasedCurriculum().evaluate(n=100, k=size).details["samples_at_best_mean"]
        for mean in (Fraction(j, 50) for j in range(1, 50)):
            assert at_best <= BiasedCurriculum().evaluate(n=100, k=size, mean=mean).value
    details = BiasedCurriculum().evaluate(n=100, k=4).details
    near = BiasedCurriculum().evaluate(n=100, k=4, mean=details["best_mean"])
    assert near.value == pytest.approx(details["samples_at_best_mean"], rel=1e-12)


def failure(B: int, mean: float) -> float:
    """P(min(|G_0|, |G_1|) <= |G_2|), S = {0, 1} in dimension 3: exact but for rounding.

    Z = (x_1, x_0, x_0 x_1 x_2).  Given how often (x_0, x_1) took each of its values, G_0 and G_1 are known and G_2
    depends on how often x_0 = x_1: a sum of two binomial variables.
    """
    p = (1 + mean) / 2
    logs = np.array([math.lgamma(j + 1) for j in range(B + 1)])
    a, b, c = np.meshgrid(*[np.arange(B + 1)] * 3, indexing="ij", sparse=True)
    inside = np.broadcast_to(a + b + c <= B, (B + 1,) * 3)
    a, b, c = (np.broadcast_to(one, inside.shape)[inside] for one in (a, b, c))  # (++), (+-), (-+)
    d = B - a - b - c
    log_p = logs[B] - logs[a] - logs[b] - logs[c] - logs[d]
    log_p += (2 * a + b + c) * math.log(p) + (2 * d + b + c) * math.log(1 - p)
    smallest = np.minimum(abs(a + c - b - d), abs(a + b - c - d))
    tails = np.empty((B + 1, B + 1))  # P(|G_2| >= t) given how many agree
    for agreeing in range(B + 1):
        one = binomial(agreeing, p)
        other = binomial(B - agreeing, 1 - p)
        law = np.convolve(one, other)
        sizes = np.bincount(abs(2 * np.arange(B + 1) - B), weights=law, minlength=B + 1)
        tails[agreeing] = sizes[::-1].cumsum()[::-1]
    return float((np.exp(log_p) * tails[a + d, smallest]).sum())


def binomial(n: int, p: float) -> np.ndarray:
    return np.array([math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1)])


@pytest.mark.parametrize(("mean", "delta"), [(Fraction(1, 2), Fraction(1, 2)), (Fraction(3, 5), TENTH)])
def test_biased_inputs_succeed_as_often_as_promised(mean: Fraction, delta: Fraction) -> None:
    B = math.ceil(BiasedCurriculum().evaluate(n=3, k=2, delta=delta, mean=mean).value)
    assert failure(B, float(mean)) <= delta
    assert failure(B // 12, float(mean)) > delta
