"""Certified numbers: balls that contain the exact value, and their safe sides as floats.

A certified number is an `arb` of python-flint: a midpoint with a rigorous radius, so that every operation
returns a ball that contains the exact result (Johansson, *Arb: efficient arbitrary-precision midpoint-radius
interval arithmetic*, IEEE Trans. Comput. 66, 2017).  This module adds the three things that a bound needs on
top:

* `ball` makes a ball of an exact rational, `lower` and `upper` turn a ball into a float on the safe side;
* `tight` repeats a computation with more and more bits until its ball is narrow enough, so that no caller has
  to guess a precision;
* `certainly` decides an inequality, or says that it could not.

>>> lower(ball(Fraction(1, 3))) < Fraction(1, 3) < upper(ball(Fraction(1, 3)))
True
>>> tight(lambda: ball(2).sqrt(), bits=200).rel_accuracy_bits() >= 200
True
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import flint

from theory.errors import TheoryError

Real = int | float | Fraction | flint.arb
"""What can be made a ball; a float stands for the dyadic rational that it is."""

DEFAULT_BITS = 64
MAX_BITS = 1 << 16
_MIN_EXPONENT = -1200  # below 2^-1074 the smallest float is on the safe side; more bits would not change it
_MAX_EXPONENT = 1100


class PrecisionError(TheoryError):
    """No precision up to the allowed one separated two numbers or made a ball narrow enough."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Set the working precision of balls to `bits` >= 2 bits inside the block, and restore it after."""
    if bits < 2:
        raise TheoryError(f"A precision of {bits} bits is not usable; at least 2 are needed.")
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def ball(value: Real) -> flint.arb:
    """Return a ball that contains `value`, as narrow as the working precision allows.

    Raises TheoryError for a NaN.
    """
    if isinstance(value, flint.arb):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise TheoryError("NaN is not a number that can be enclosed; a real number is needed.")
        return flint.arb(value)
    if isinstance(value, int):
        return flint.arb(value)
    return flint.arb(flint.fmpq(value.numerator, value.denominator))


def exact_endpoints(value: flint.arb) -> tuple[Fraction, Fraction]:
    """Return the two ends of a finite ball as exact rationals.

    Raises TheoryError if the ball is not finite.
    """
    if not value.is_finite():
        raise TheoryError(f"The ball {value} has no finite ends.")
    middle, radius = _dyadic(value.mid()), _dyadic(value.rad())
    return middle - radius, middle + radius


def lower(value: Real) -> float:
    """Return a float that is never above any number of the ball, and next to its lower end.

    Minus infinity if the ball is not bounded below.
    """
    with precision(max(128, flint.ctx.prec)):
        return -_upper_end(ball(value).neg(exact=True))


def upper(value: Real) -> float:
    """Return a float that is never below any number of the ball, and next to its upper end.

    Infinity if the ball is not bounded above.
    """
    with precision(max(128, flint.ctx.prec)):
        return _upper_end(ball(value))


def _upper_end(number: flint.arb) -> float:
    if not number.is_finite():
        return -math.inf if bool(number < 0) and number.is_exact() else math.inf
    end = number.upper()  # an exact dyadic number, rounded towards +infinity
    mantissa, exponent = (int(part) for part in end.man_exp())
    size = mantissa.bit_length() + exponent
    if mantissa == 0:
        return 0.0
    if size < _MIN_EXPONENT:
        return math.ulp(0.0) if mantissa > 0 else -0.0
    if size > _MAX_EXPONENT:
        return math.inf if mantissa > 0 else -math.nextafter(math.inf, 0.0)
    exact = _shifted(mantissa, exponent)
    try:
        nearest = float(exact)
    except OverflowError:
        return math.inf if mantissa > 0 else -math.nextafter(math.inf, 0.0)
    return nearest if exact <= nearest else math.nextafter(nearest, math.inf)


def hull(low: Real, high: Real) -> flint.arb:
    """Return a ball that contains both arguments and everything between them."""
    return ball(low).union(ball(high))


def tight(compute: Callable[[], flint.arb], bits: int = DEFAULT_BITS, limit: int = MAX_BITS) -> flint.arb:
    """Return the ball of `compute`, evaluated at rising precision until `bits` bits of it are correct.

    An exact zero counts as tight.  Raises PrecisionError if `limit` bits of working precision do not
    suffice, which for a non-zero result means that `compute` itself loses that many bits.
    """
    working = max(32, bits + 16)
    while True:
        with precision(working):
            result = compute()
        if result.is_finite() and (result.is_zero() or result.rel_accuracy_bits() >= bits):
            return result
        if working >= limit:
            raise PrecisionError(
                f"{limit} bits of working precision did not give {bits} correct bits: {result}."
            )
        working = min(2 * working, limit)


def certainly(compute: Callable[[], flint.arb], limit: int = MAX_BITS) -> bool:
    """Return whether the number that `compute` encloses is > 0, raising the precision until that is certain.

    Raises PrecisionError if the ball still contains 0 at `limit` bits, for example because the number is 0.
    """
    working = 64
    while True:
        with precision(working):
            result = compute()
        if result.is_finite() and bool(result > 0):
            return True
        if result.is_finite() and bool(result <= 0):
            return False
        if working >= limit:
            raise PrecisionError(f"{limit} bits of working precision did not decide the sign of {result}.")
        working = min(2 * working, limit)


@dataclass(frozen=True)
class Enclosure:
    """Two floats with `lower <= exact value <= upper`; either may be infinite."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse empty and undefined intervals."""
        if not self.lower <= self.upper:
            raise TheoryError(f"[{self.lower}, {self.upper}] is not an interval; lower <= upper is needed.")

    @classmethod
    def of(cls, value: Real) -> "Enclosure":
        """Return the narrowest pair of floats around a ball."""
        return cls(lower(value), upper(value))

    @property
    def width(self) -> float:
        """Upper minus lower end."""
        return 0.0 if self.upper == self.lower else self.upper - self.lower

    def __contains__(self, value: Real) -> bool:
        """Return whether `value` is certainly inside: exact comparison, no rounding."""
        if isinstance(value, flint.arb):
            return self.lower <= lower(value) and upper(value) <= self.upper
        return self.lower <= value <= self.upper


def _dyadic(value: flint.arb) -> Fraction:
    mantissa, exponent = (int(part) for part in value.man_exp())
    return _shifted(mantissa, exponent)


def _shifted(mantissa: int, exponent: int) -> Fraction:
    return Fraction(mantissa << exponent) if exponent >= 0 else Fraction(mantissa, 1 << -exponent)
