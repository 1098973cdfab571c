"""How an expression grows with n, as limits that sympy computes: exponent, logarithmic power, leading constant.

**Definition.** A positive expression B(n) has growth C n^e (log n)^p if B/(n^e (log n)^p) -> C, finite and not 0.  The
limit is `sympy.limit`'s (Gruntz, *On computing limits in a symbolic manipulation system*, ETH 1996); e and p are
candidates read off B at 10^100 and 10^200 and then proved by that limit.  Where it is no such number, e is the
limit of log B / log n itself.

**Squeezing.** Limits of expressions with gamma functions do not terminate, so a spectrum enters through algebraic
envelopes that are proved for all n (`theory.derivations.envelopes`).  `growth` takes several expressions, an
envelope's lower and upper side for example: their exponents must agree, and what else agrees is reported.

>>> n = symbol_n()
>>> growth(3 * n**2 + n), str(growth((n + 1) ** 3 * sympy.log(5 * n), 2 * n**3)), str(growth(4 + 1 / n))
(Growth(exponent=2, logarithm=0, highest=0, constant=3), 'n^3 (log n)^(0..1)', '1')
"""

from dataclasses import dataclass
from functools import lru_cache

import mpmath
import sympy

from theory.errors import TheoryError

_DIGITS = 1000
_DENOMINATOR = 12


@dataclass(frozen=True)
class Growth:
    """constant n^exponent (log n)^logarithm, sympy numbers; the power of log n is between `logarithm` and `highest`.

    constant: None if it is not known, or the sides of a squeeze differ.
    """

    exponent: sympy.Expr
    logarithm: sympy.Expr
    highest: sympy.Expr
    constant: sympy.Expr | None = None

    def __str__(self) -> str:
        """For example `n^3`, `log n`, `n log n`, `1`, without the constant."""
        power = "" if self.exponent == 0 else "n" if self.exponent == 1 else f"n^{_plain(self.exponent)}"
        if self.logarithm != self.highest:
            log = f"(log n)^({self.logarithm}..{self.highest})"
        else:
            log = (
                ""
                if self.highest == 0
                else "log n"
                if self.highest == 1
                else f"(log n)^{_plain(self.highest)}"
            )
        return " ".join(part for part in (power, log) if part) or "1"

    def __truediv__(self, other: "Growth") -> "Growth":
        """Return the growth of a quotient: the quotient of the limits."""
        constant = None
        if self.constant is not None and other.constant is not None:
            constant = self.constant / other.constant
        return Growth(
            self.exponent - other.exponent,
            self.logarithm - other.highest,
            self.highest - other.logarithm,
            constant,
        )


def symbol_n() -> sympy.Symbol:
    """Return the symbol n, positive, that every growth is a limit in."""
    return sympy.Symbol("n", positive=True)


def growth(*expressions: sympy.Expr) -> Growth:
    """Return what positive expressions in `symbol_n()` have in common.

    Raises TheoryError if there is none, if two exponents differ, or if a limit is no finite number.
    """
    found = [_growth(sympy.sympify(expression)) for expression in expressions]
    exponents = {one.exponent for one in found}
    if len(exponents) != 1:
        raise TheoryError(
            f"{len(exponents)} different exponents {sorted(map(str, exponents))} are no squeeze; one is needed."
        )
    constants = {one.constant for one in found}
    lowest, highest = min(one.logarithm for one in found), max(one.highest for one in found)
    constant = constants.pop() if len(constants) == 1 and lowest == highest else None
    return Growth(exponents.pop(), lowest, highest, constant)


@lru_cache(maxsize=256)
def _growth(expression: sympy.Expr) -> Growth:
    n = symbol_n()
    for exponent, power in _candidates(expression):
        scaled = expression / (n**exponent * sympy.log(n) ** power)
        constant = sympy.limit(scaled, n, sympy.oo)
        if constant.is_finite and constant.is_nonzero:
            return Growth(exponent, power, power, sympy.cancel(constant))
    exponent = sympy.limit(sympy.log(expression) / sympy.log(n), n, sympy.oo)
    if not exponent.is_finite:
        raise TheoryError(f"{expression} grows like no power of n: log B / log n tends to {exponent}.")
    raise TheoryError(
        f"{expression} grows like n^{exponent}, but not like n^{exponent} (log n)^p for p = -1, 0, 1."
    )


def _candidates(expression: sympy.Expr) -> tuple[tuple[sympy.Rational, sympy.Integer], ...]:
    """The pairs (e, p), p = -1, 0 and 1, that fit B at 10^100 and 10^200, the likelier first."""
    with mpmath.workdps(_DIGITS):
        function = sympy.lambdify(symbol_n(), expression, "mpmath")
        near, far = (mpmath.log(abs(function(mpmath.mpf(10) ** x))) for x in (100, 200))
        slope = (far - near) / (100 * mpmath.log(10))
        rational = sympy.Rational(str(mpmath.nstr(slope, 12))).limit_denominator(_DENOMINATOR)
        rest = float((slope - mpmath.mpf(rational.p) / rational.q) * 100 * mpmath.log(10) / mpmath.log(2))
    powers = sorted((-1, 0, 1), key=lambda power: abs(rest - power))
    return tuple((rational, sympy.Integer(power)) for power in powers)


def _plain(value: sympy.Expr) -> str:
    return str(value) if value.is_Integer and value >= 0 else f"({value})"
