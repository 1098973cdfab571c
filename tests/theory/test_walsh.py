import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.theory import enumeration
from theory.errors import TheoryError
from theory.walsh import (
    bias_interval,
    binomial_sum,
    double_factorial,
    krawtchouk,
    krawtchouk_row,
    leading_order,
    leading_order_ratio_bounds,
    relu_rho,
    relu_spectrum,
    representative_bias,
    signal,
    signal_sentence,
    suggested_bias,
    suggested_count,
    threshold_count,
    threshold_spectrum,
    threshold_tau,
    walsh_transform,
)

PI_LOW, PI_HIGH = Fraction("3.14159265358979"), Fraction("3.14159265358980")


@pytest.mark.parametrize(
    ("n", "k", "tau_in", "tau_out", "inverse_square"),
    [
        (50, 2, "5.614e-02", "-1.146e-03", "3.307e+02"),
        (50, 4, "-1.146e-03", "7.313e-05", "8.693e+05"),
        (100, 4, "-4.020e-04", "1.243e-05", "6.590e+06"),
        (100, 6, "1.243e-05", "-6.543e-07", "7.209e+09"),
        (200, 4, "-1.416e-04", "2.156e-06", "5.144e+07"),
        (200, 6, "2.156e-06", "-5.528e-08", "2.266e+11"),
    ],
)
def test_spectrum_has_its_known_values(
    n: int, k: int, tau_in: str, tau_out: str, inverse_square: str
) -> None:
    found = signal(n, threshold_count(n, 0), k)
    assert f"{float(found.tau_in):.3e}" == tau_in
    assert f"{float(found.tau_out):.3e}" == tau_out
    assert f"{float(1 / found.gap**2):.3e}" == inverse_square


def test_majority_coefficients_have_their_known_values() -> None:
    xi = {j: 2 * threshold_tau(j, 101, 50) for j in (1, 3, 5, 7)}
    assert f"{float(xi[1]):.4f}" == "0.0796"
    assert [f"{float(xi[3]):.2e}", f"{float(xi[5]):.3e}", f"{float(xi[7]):.3e}"] == [
        "-8.04e-04",
        "2.486e-05",
        "-1.309e-06",
    ]
    assert f"{float(abs(xi[5]) - abs(xi[7])):.3e}" == "2.356e-05"
    assert xi[7] / xi[5] == Fraction(-5, 95)


@pytest.mark.parametrize("n", range(1, 13))
def test_every_tau_equals_enumeration(n: int) -> None:
    x = enumeration.inputs(n)
    negatives = (x == -1).sum(axis=1)
    monomials = np.cumprod(np.hstack([np.ones((2**n, 1), dtype=np.int64), x]), axis=1)
    for q in range(-1, n + 1):
        for r, total in enumerate(monomials[negatives <= q].sum(axis=0)):
            assert threshold_tau(r, n, q) == Fraction(int(total), 2**n)


@given(st.data())
def test_any_unit_and_monomial_equal_enumeration(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 9))
    weights, bias = data.draw(strategies.signs(n)), data.draw(strategies.biases(n))
    subset = data.draw(st.sets(st.integers(0, n - 1)))
    value = enumeration.activation(weights, bias)
    monomial = enumeration.inputs(n)[:, sorted(subset)].prod(axis=1)
    sign = math.prod(weights[i] for i in subset)
    r, size = len(subset), 2**n
    assert threshold_tau(r, n, threshold_count(n, bias)) * sign == Fraction(
        int(monomial[value > 0].sum()), size
    )
    relu = int((np.maximum(value, 0) * monomial).sum())
    assert relu_rho(r, n, bias) * sign == Fraction(relu, size * bias.denominator)


@given(st.data())
def test_relu_closed_form(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 60))
    bias = data.draw(strategies.biases(n))
    r, q = data.draw(st.integers(2, n)), threshold_count(n, bias)
    alpha = n - 2 * q + bias
    closed = alpha * krawtchouk(q, r - 1, n - 1) + 2 * krawtchouk(q - 1, r - 2, n - 2)
    assert relu_rho(r, n, bias) == closed / 2**n


@given(st.integers(0, 14), st.data())
def test_krawtchouk_generating_function_and_symmetries(n: int, data: st.DataObject) -> None:
    r = data.draw(st.integers(0, n))
    row = np.poly1d([1])
    for factor in [-1] * r + [1] * (n - r):
        row *= np.poly1d([factor, 1])
    coefficients = [round(c) for c in row.coeffs[::-1]]
    numbers = [krawtchouk(t, r, n) for t in range(-2, n + 3)]
    assert numbers == [0, 0, *coefficients, 0, 0]
    assert krawtchouk_row(r, n) == tuple(coefficients)
    for t in range(n + 1):
        assert krawtchouk(n - t, r, n) == (-1) ** r * krawtchouk(t, r, n)
        assert math.comb(n, r) * krawtchouk(t, r, n) == math.comb(n, t) * krawtchouk(r, t, n)


def test_binomial_sums() -> None:
    for n, s in itertools.product(range(8), range(-3, 11)):
        assert binomial_sum(n, s) == sum(math.comb(n, t) for t in range(s + 1))


@given(st.data())
def test_threshold_count_and_its_inverse(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    bias = data.draw(strategies.biases(n))
    q = threshold_count(n, bias)
    assert [n - 2 * t + bias > 0 for t in range(n + 1)] == [t <= q for t in range(n + 1)]
    low, high = bias_interval(n, q)
    assert low is None or low < bias
    assert high is None or bias <= high
    for edge, inside in ((low, False), (high, True)):
        if edge is not None:
            assert (threshold_count(n, edge) == q) is inside
    assert threshold_count(n, representative_bias(n, q)) == q


def test_a_float_bias_is_exactly_what_it_holds() -> None:
    assert threshold_count(4, 5e-324) == 2
    assert threshold_count(4, 0.0) == threshold_count(4, -0.0) == 1
    assert threshold_count(3, 1e300) == 3
    assert threshold_count(3, -1e300) == -1


@given(st.integers(1, 120), st.data())
def test_majority_structure(m: int, data: st.DataObject) -> None:
    n = 2 * m + 1
    r = 2 * data.draw(st.integers(0, m)) + 1
    i = (r - 1) // 2
    tau = threshold_tau(r, n, m)
    # The closed form of the majority's coefficients, and its ratio.
    assert 2 * tau == (-1) ** i * Fraction(
        math.comb(m, i) * math.comb(2 * m, m), math.comb(2 * m, 2 * i) << 2 * m
    )
    if r + 2 <= n:
        assert abs(threshold_tau(r + 2, n, m) / tau) == Fraction(r, n - 1 - r)
        assert threshold_tau(r + 1, n, m) == 0
    # Even dimensions: both middle thresholds have the odd coefficients of the next odd dimension ...
    if r <= n - 1:
        for q in (m - 1, m):
            assert threshold_tau(r, n - 1, q) == tau
    # ... and even coefficients that come from the ties alone, of opposite signs.
    if r + 1 <= n - 1:
        j = (r + 1) // 2
        tie = (-1) ** j * Fraction(math.comb(m, j) * math.comb(2 * m, m), math.comb(2 * m, 2 * j) << 2 * m)
        assert threshold_tau(r + 1, 2 * m, m - 1) == -tie / 2
        assert threshold_tau(r + 1, 2 * m, m) == tie / 2


@given(st.integers(1, 400), st.data())
def test_leading_order_bounds_are_proved_bounds(n: int, data: st.DataObject) -> None:
    r = 2 * data.draw(st.integers(0, (n - 1) // 2)) + 1
    square = threshold_tau(r, n, threshold_count(n, 0)) ** 2
    ratio_over_pi = 2 * square * n**r / Fraction(double_factorial(r - 2) ** 2)
    low, high = leading_order_ratio_bounds(r, n)
    assert low <= ratio_over_pi * PI_LOW
    assert ratio_over_pi * PI_HIGH <= high


@pytest.mark.parametrize("r", [1, 3, 5, 7])
def test_leading_order_is_the_limit(r: int) -> None:
    for n in (10**4, 10**6, 10**8):
        low, high = leading_order_ratio_bounds(r, n)
        assert abs(low - 1) <= Fraction(r * r + 2, n)
        assert abs(high - 1) <= Fraction(r * r + 2, n)
    low, high = leading_order_ratio_bounds(r, 2001)
    square = (float(threshold_tau(r, 2001, 1000)) / leading_order(r, 2001)) ** 2
    assert float(low) * (1 - 1e-12) <= square <= float(high) * (1 + 1e-12)


@given(st.integers(1, 60), st.data())
def test_odd_parities_vanish_exactly_at_the_middle_of_odd_dimensions(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    for q in {(n - 1) // 2, n // 2}:
        found = signal(n, q, k)
        if k % 2 and k > 1 and n % 2:
            assert found == (0, 0, 0)
            assert not found.exists
            assert "even-degree" in signal_sentence(n, q, k)
        elif k % 2 and k > 1:
            assert found.tau_in != 0
            assert found.exists == (2 * k < n or k == n)
        else:
            assert found.tau_in != 0


def test_signal_sentences() -> None:
    assert signal_sentence(100, 49, 4).startswith("The first step has a signal at n = 100, k = 4")
    assert "<w, x> = 0 only" in signal_sentence(100, 49, 3)
    assert "bias -10" in signal_sentence(101, 50, 3)
    assert "no bias has one" in signal_sentence(5, 2, 4)
    assert "off-support" in signal_sentence(9, 4, 6)
    assert "on-support mean gradients are exactly 0" in signal_sentence(9, -1, 2)


@given(st.integers(2, 24), st.data())
def test_suggested_bias_has_the_largest_gap(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    gaps = {q: signal(n, q, k).gap for q in range(-1, n + 1)}
    best = max(gaps.values())
    if best <= 0:
        with pytest.raises(TheoryError, match=f"n = {n}, k = {k}"):
            suggested_count(n, k)
        return
    q = suggested_count(n, k)
    assert gaps[q] == best
    assert threshold_count(n, suggested_bias(n, k)) == q
    middle = [abs(2 * other + 1 - n) for other, gap in gaps.items() if gap == best]
    assert abs(2 * q + 1 - n) == min(middle)


def test_suggested_bias_is_zero_for_even_parities_and_not_for_odd_ones() -> None:
    for n, k in [(50, 2), (101, 4), (200, 6)]:
        assert suggested_bias(n, k) == 0
    for n, k in [(50, 3), (101, 3), (200, 5)]:
        assert suggested_bias(n, k) != 0
        assert signal(n, suggested_count(n, k), k).exists


def test_spectra_are_padded_with_zeros() -> None:
    assert threshold_spectrum(3, 1, 5) == (*(threshold_tau(r, 3, 1) for r in range(4)), 0, 0)
    assert relu_spectrum(2, 1, 3) == (*(relu_rho(r, 2, 1) for r in range(3)), 0)


@given(st.integers(0, 5), st.data())
def test_walsh_transform_is_its_definition(k: int, data: st.DataObject) -> None:
    table = data.draw(st.lists(strategies.rationals(), min_size=1 << k, max_size=1 << k))
    coefficients = walsh_transform(table)
    for subset in range(1 << k):
        total = sum(value * (-1) ** (p & subset).bit_count() for p, value in enumerate(table))
        assert coefficients[subset] == Fraction(total) / (1 << k)
    assert sum(c * c for c in coefficients) * (1 << k) == sum(value * value for value in table)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threshold_count(0, 0), "n = 0 is not an integer of at least 1"),
        (lambda: threshold_count(5, math.nan), "bias = nan is not a finite real number"),
        (lambda: threshold_count(5, -math.inf), "bias = -inf"),
        (lambda: threshold_tau(6, 5, 2), r"r = 6 is not an integer in 0\.\.5"),
        (lambda: threshold_tau(1, 5, 6), r"q = 6 is not an integer in -1\.\.5"),
        (lambda: threshold_tau(1, 5, -2), "q = -2"),
        (lambda: krawtchouk(0, -1, 3), "r = -1"),
        (lambda: krawtchouk_row(4, 3), "r = 4"),
        (lambda: relu_rho(4, 3, 0), "r = 4"),
        (lambda: signal(5, 2, 6), r"k = 6 is not an integer in 1\.\.5"),
        (lambda: suggested_bias(6, 5), "n = 6, k = 5 has no bias with a signal"),
        (lambda: leading_order_ratio_bounds(2, 9), "r = 2 is even"),
        (lambda: leading_order(4, 9), "r = 2 has no double factorial"),
        (lambda: walsh_transform([Fraction(1)] * 3), "A table of 3 values"),
        (lambda: bias_interval(3, 4), "q = 4"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call, message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert str(raised.value).count(". ") == 0
    assert str(raised.value).endswith(".")
