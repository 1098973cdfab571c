import math
import random
from collections.abc import Callable
from fractions import Fraction

import flint
import mpmath
import pytest

from theory.enclosure import (
    Enclosure,
    PrecisionError,
    Real,
    ball,
    certainly,
    exact_endpoints,
    hull,
    lower,
    precision,
    tight,
    upper,
)
from theory.errors import TheoryError

FUNCTIONS: dict[str, tuple[Callable[[flint.arb], flint.arb], Callable[[mpmath.mpf], mpmath.mpf]]] = {
    "sqrt": (lambda x: x.sqrt(), mpmath.sqrt),
    "exp": (lambda x: x.exp(), mpmath.exp),
    "log": (lambda x: x.log(), mpmath.log),
    "1/x": (lambda x: 1 / x, lambda x: 1 / x),
    "x^7": (lambda x: x**7, lambda x: x**7),
}


def random_rationals(count: int, seed: int) -> list[Fraction]:
    generator = random.Random(seed)
    return [
        Fraction(generator.randrange(1, 10**9), generator.randrange(1, 10**9))
        * Fraction(2) ** generator.randrange(-40, 8)
        for _ in range(count)
    ]


def check_sides(low: Callable[[Real], float], high: Callable[[Real], float]) -> None:
    """Every rounding must be on its side of the 60-digit value, and next to it."""
    with mpmath.workdps(60):
        for name, (certified, reference) in FUNCTIONS.items():
            for x in random_rationals(100, seed=len(name)):
                exact = reference(mpmath.mpf(x.numerator) / x.denominator)
                value = tight(lambda f=certified, x=x: f(ball(x)), bits=80)
                below, above = low(value), high(value)
                assert mpmath.mpf(below) <= exact <= mpmath.mpf(above), (name, x)
                assert above <= math.nextafter(math.nextafter(below, math.inf), math.inf), (name, x)


def nearest(x: Real) -> float:
    return float(ball(x))


def test_sides_against_60_digits() -> None:
    check_sides(lower, upper)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (upper, lower),  # the sides exchanged
        (nearest, upper),
        (lower, nearest),
        (lower, lambda x: math.nextafter(math.nextafter(upper(x), math.inf), math.inf)),  # sloppy
    ],
)
def test_planted_faults_in_rounding_are_caught(
    low: Callable[[Real], float], high: Callable[[Real], float]
) -> None:
    with pytest.raises(AssertionError):
        check_sides(low, high)


def test_second_opinion_of_mpmath_intervals() -> None:
    mpmath.iv.dps = 40
    for x in random_rationals(50, seed=3):
        other = mpmath.iv.log(mpmath.iv.mpf(x.numerator) / x.denominator)
        value = tight(lambda x=x: ball(x).log(), bits=80)
        low, high = exact_endpoints(value)
        with mpmath.workdps(60):
            assert mpmath.mpf(low.numerator) / low.denominator <= mpmath.mpf(other.b)
            assert mpmath.mpf(high.numerator) / high.denominator >= mpmath.mpf(other.a)


def test_rationals_round_outwards_and_dyadic_numbers_stay() -> None:
    third = Fraction(1, 3)
    for x in (third, -third, Fraction(10**30 + 1, 7)):
        assert lower(x) < x < upper(x)
        assert upper(x) == math.nextafter(lower(x), math.inf)
    for x in (0.1, 0.0, -2.5, 1e-300, 2.0**60):
        assert lower(x) == upper(x) == x


@pytest.mark.parametrize(
    ("value", "below", "above"),
    [
        (Fraction(1, 10**400), 0.0, 5e-324),
        (Fraction(-1, 10**400), -5e-324, 0.0),
        (10**400, 1.7976931348623157e308, math.inf),
        (-(10**400), -math.inf, -1.7976931348623157e308),
        (math.inf, math.inf, math.inf),
        (-math.inf, -math.inf, -math.inf),
        (flint.arb.nan(), -math.inf, math.inf),
        (flint.arb(0, math.inf), -math.inf, math.inf),
        (Fraction(3, 2**1075), 5e-324, 1e-323),
    ],
)
def test_extremes(value: Real, below: float, above: float) -> None:
    assert (lower(value), upper(value)) == (below, above)


def test_precision_is_restored() -> None:
    before = flint.ctx.prec
    with precision(300):
        assert flint.ctx.prec == 300
    with pytest.raises(ZeroDivisionError), precision(300):
        raise ZeroDivisionError
    assert flint.ctx.prec == before
    with pytest.raises(TheoryError, match="1 bits"), precision(1):
        pass


def test_tight_raises_precision_until_cancellation_is_gone() -> None:
    tiny = Fraction(1, 10**80)
    value = tight(lambda: ball(1 + tiny).log(), bits=64)
    assert value.rel_accuracy_bits() >= 64
    assert abs(float(value * ball(10**80)) - 1) < 1e-15
    with pytest.raises(PrecisionError):
        tight(lambda: ball(1 + tiny).log(), bits=64, limit=128)
    assert tight(flint.arb).is_zero()


def test_certainly_decides_or_refuses() -> None:
    tiny = Fraction(1, 10**60)
    assert certainly(lambda: (1 + ball(tiny)).log())  # noqa: PLW0108 (at each precision anew)
    assert not certainly(lambda: (1 - ball(tiny)).log())  # noqa: PLW0108
    with pytest.raises(PrecisionError):
        certainly(lambda: ball(Fraction(1, 3)) * 3 - 1, limit=256)


def test_enclosure_is_an_interval_of_floats() -> None:
    third = Enclosure.of(Fraction(1, 3))
    assert Fraction(1, 3) in third
    assert 0.34 not in third
    assert ball(Fraction(1, 3)) not in Enclosure(0.0, 0.3)
    assert Enclosure(math.inf, math.inf).width == 0
    assert Enclosure(0.0, 1.5).width == 1.5
    assert hull(1, 2).contains(flint.arb(1.5))
    for low, high in ((1.0, 0.0), (math.nan, 1.0)):
        with pytest.raises(TheoryError, match="not an interval"):
            Enclosure(low, high)
    with pytest.raises(TheoryError, match="NaN"):
        ball(math.nan)
    with pytest.raises(TheoryError, match="no finite ends"):
        exact_endpoints(flint.arb.pos_inf())
