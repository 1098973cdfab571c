"""Exponents as limits, and the published bound of the gap, against certified values; intervals of two libraries."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import flint
import pytest
import sympy
from mpmath import iv

from theory.bounds.leaky_teacher import necessary_samples
from theory.derivations import published
from theory.derivations.asymptotics import (
    GapAsymptotics,
    ScaleAsymptotics,
    fourier_gap,
    gap_envelope,
    leaky_envelope,
    leaky_exponent,
    majority_tau,
    squeeze,
    tau_envelopes,
)
from theory.derivations.envelopes import Envelope, gap_quotients
from theory.enclosure import ball, exact_endpoints, precision
from theory.errors import TheoryError
from theory.walsh import signal, threshold_count

BITS = 240  # 70 digits
_n = sympy.Symbol("n", positive=True)


def certified(expression: sympy.Expr, n: int) -> flint.arb:
    """The value of a sympy expression at n, to 60 digits, with a radius far above their rounding."""
    return flint.arb(str(sympy.N(expression.subs(_n, n), 60))) * flint.arb(1, "1e-55")


@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_exponents_are_those_of_precise_ratios(k: int) -> None:
    n, digits = 10**6, flint.arb(10) ** -5
    for stated, exponent in ((GapAsymptotics(k), Fraction(1 - k, 2)), (ScaleAsymptotics(k), Fraction(k - 1))):
        assert Fraction(str(stated.exponent)) == exponent
        with precision(BITS):
            slope = (stated.exact(n**2) / stated.exact(n)).log() / flint.arb(n).log()
            assert abs(slope - ball(exponent)) < digits


def leaky_bound(k: int, n: int, error: flint.arb, information: flint.arb) -> flint.arb:
    """B2-leaky from its formula, for odd n, at any size."""
    d = majority_tau(k - 1, n) + majority_tau(k + 1, n) + 4 * error
    a = flint.arb(0.5)
    return information / (d / 2 * ((a + d) / (a - d)).log())


@pytest.mark.parametrize(
    ("k", "c"),
    [(2, Fraction(1, 3)), (2, 1), (4, Fraction(3, 2)), (4, 3), (6, Fraction(7, 4)), (6, 4)],
)
def test_the_leaky_exponent_is_the_smaller_one(k: int, c: int | Fraction) -> None:
    exponent = Fraction(str(leaky_exponent(k, c)))
    assert exponent == min(2 * c, k - 1)
    n = 10**6 + 1
    with precision(2 * BITS):
        small, large = (
            leaky_bound(k, each, flint.arb(each) ** -ball(Fraction(c)), flint.arb(1)) for each in (n, n**2)
        )
        slope = (large / small).log() / flint.arb(n).log()
        assert abs(slope - ball(exponent)) < flint.arb(10) ** -2


@pytest.mark.parametrize(("k", "c"), [(2, 1), (4, 1), (4, 3), (6, 2)])
def test_b2_leaky_lies_in_its_algebraic_envelope(k: int, c: int) -> None:
    delta, some = Fraction(1, 10), (41, 101, 1001, 10**4 + 1)
    with precision(BITS):
        information = -ball(4 * delta).log()
        envelope = leaky_envelope(k, c, _n, sympy.Integer(1))
        for n in some:
            value = necessary_samples(n, k, threshold_count(n, 0), Fraction(1, n**c), delta) / information
            assert certified(envelope.low, n) <= value
            assert value <= certified(envelope.high, n)
            assert value.overlaps(leaky_bound(k, n, 1 / flint.arb(n) ** c, flint.arb(1)))
        assert certified(envelope.high, some[-1]) < certified(envelope.low, some[-1]) * flint.arb(1.001)


@pytest.fixture
def seventy_digits() -> Iterator[None]:
    before, iv.dps = iv.dps, 70
    with precision(BITS):
        yield
    iv.dps = before


def ends(value: Any) -> tuple[Fraction, Fraction]:
    """The ends of an interval of mpmath, exactly."""
    low, high = ((-1) ** sign * Fraction(int(man)) * Fraction(2) ** exp for sign, man, exp, _ in value._mpi_)
    return low, high


def agree(value: flint.arb, other: Any) -> bool:
    """Whether both enclosures are narrower than 10^-50 of their size, and meet."""
    first, second = exact_endpoints(value), ends(other)
    narrow = all((high - low) * 10**50 < abs(high) for low, high in (first, second))
    return narrow and first[0] <= second[1] and second[0] <= first[1]


def second_tau(r: int, n: int) -> Any:
    """|tau_r| at bias 0, n odd, from C(m, i)/C(2m, 2i) a_m/2 in mpmath's intervals."""
    m, i = (n - 1) // 2, (r - 1) // 2
    central = iv.exp(iv.loggamma(iv.mpf(n) / 2) - iv.loggamma(iv.mpf(m + 1))) / iv.sqrt(iv.pi)
    quotient = iv.mpf(1)
    for j in range(i):
        quotient *= iv.mpf((m - j) * (2 * j + 1) * (2 * j + 2)) / (
            (j + 1) * (2 * m - 2 * j) * (2 * m - 2 * j - 1)
        )
    return quotient * central / 2


@pytest.mark.parametrize(("n", "k"), [(9, 4), (101, 2), (101, 6), (10**4 + 1, 4), (10**6 + 1, 6)])
def test_two_interval_libraries_agree_on_the_gap(n: int, k: int, seventy_digits: None) -> None:
    other = second_tau(k - 1, n) - second_tau(k + 1, n)
    assert agree(fourier_gap(k, n), other)
    if n < 10**5:
        low, high = ends(other)
        assert low <= signal(n, threshold_count(n, 0), k).gap <= high


@pytest.mark.parametrize(("n", "k", "c"), [(101, 2, 2), (101, 4, 1), (10**6 + 1, 4, 3), (10**6 + 1, 6, 2)])
def test_two_interval_libraries_agree_on_b2_leaky(n: int, k: int, c: int, seventy_digits: None) -> None:
    d = second_tau(k - 1, n) + second_tau(k + 1, n) + 4 / iv.mpf(n) ** c
    a = iv.mpf(1) / 2
    other = -iv.log(iv.mpf(4) / 10) / (d / 2 * iv.log((a + d) / (a - d)))
    information = -ball(Fraction(4, 10)).log()
    assert agree(leaky_bound(k, n, 1 / flint.arb(n) ** c, information), other)
    if n < 10**5:
        low, high = ends(other)
        value = necessary_samples(n, k, threshold_count(n, 0), Fraction(1, n**c), Fraction(1, 10))
        assert low <= exact_endpoints(value)[1]
        assert exact_endpoints(value)[0] <= high


@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_the_published_gap_is_implied_exactly_from_2k_on(k: int) -> None:
    for n in [*range(k + 1, 8 * k), 101, 200, 10**4, 10**4 + 1]:
        found = published.compare(n, k)
        assert found.gap == 2 * signal(n, threshold_count(n, 0), k).gap
        assert found.implied == (n >= 2 * k)
        if found.implied:
            assert published.uniform_floor(k) <= found.square
            bound = Fraction(3, 100) ** 2 / Fraction(n - 1) ** (k - 1)
            assert found.square == found.gap**2 / bound
            assert (
                Fraction(found.looseness.lower) ** 2 <= found.square <= Fraction(found.looseness.upper) ** 2
            )


def test_the_published_gap_is_looser_by_the_known_factor() -> None:
    assert f"{published.compare(101, 6).looseness.lower:.1f}" == "78.5"
    for k in (2, 6):
        limit = published.limiting_looseness(k)
        assert abs(published.compare(10**4 + 1, k).looseness.lower / float(limit) - 1) < 1e-3
    assert f"{float(published.limiting_looseness(6)):.1f}" == "79.8"


def test_the_published_gap_is_proved_for_all_dimensions_and_supports(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(published.proved_for(k) for k in range(2, 17, 2))
    floors = [published.uniform_floor(k) for k in range(2, 61, 2)]
    assert min(floors) == floors[1] > 1
    assert floors[1:] == sorted(floors[1:])
    monkeypatch.setattr(published, "CONSTANT", Fraction(1))
    assert not published.proved_for(4)  # the gap's own leading constant is 0.8 there


def refuse_different_limits() -> None:
    squeeze(Envelope(1 / _n, 1 + 1 / _n), _n)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GapAsymptotics(3), "k = 3 is odd; the gap at bias 0 is that of even k"),
        (lambda: ScaleAsymptotics(0), "k = 0 is not an integer of at least 2"),
        (lambda: gap_envelope(4, 7), "n = 7 is not an integer of at least 8"),
        (lambda: gap_quotients(4, "any"), "parity = 'any' is not one of 'odd', 'even'"),
        (lambda: GapAsymptotics(4).first_dimension("both"), "parity = 'both'"),
        (lambda: GapAsymptotics(4).exact(7), "n = 7"),
        (lambda: GapAsymptotics(4).enclosure(7), "n = 7"),
        (lambda: tau_envelopes(2, _n, "odd"), "r = 2 is even"),
        (lambda: majority_tau(5, 4), "n = 4 is not an integer of at least 5"),
        (lambda: fourier_gap(4, 4), "n = 4 is not an integer of at least 5"),
        (lambda: leaky_exponent(4, 0), "c = 0 is refused"),
        (lambda: leaky_exponent(5, 1), "k = 5 is odd"),
        (lambda: published.compare(6, 6), "n = 6 is not an integer of at least 7"),
        (lambda: published.uniform_floor(3), "k = 3 is odd"),
        (refuse_different_limits, "The limits 0 and 1 differ"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert str(raised.value).endswith(".")
