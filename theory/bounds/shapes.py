"""Expressions in n that have the growth of a bound, for `theory.growth`: substitution, and the parity's spectrum.

The spectrum enters through the algebraic envelopes of `theory.derivations.asymptotics`, which hold for all odd n.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from theory.bounds.parameters import Values

if TYPE_CHECKING:
    import sympy


def substituted(formula: "sympy.Expr", values: Mapping[str, Any]) -> "sympy.Expr":
    """Return the formula with symbols replaced by name; Fractions become rationals, and n is left as it is."""
    from sympy import Rational, sympify

    from theory.growth import symbol_n

    exact = {
        name: Rational(value.numerator, value.denominator) if isinstance(value, Fraction) else sympify(value)
        for name, value in values.items()
    }
    exact.setdefault("n", symbol_n())
    return formula.subs(
        {symbol: exact[symbol.name] for symbol in formula.free_symbols if symbol.name in exact}
    )


def parity_sides(
    values: Values,
    value: "Callable[[sympy.Expr, sympy.Expr, Values], sympy.Expr]",
    labels: tuple[str, ...] = ("parity",),
) -> "tuple[sympy.Expr, ...]":
    """Return `value(|tau_{k-1}|, |tau_{k+1}|, values)` at both ends of the envelopes; none for labels but `labels`.

    For even k, n odd and no bias; no expression is given for odd k, whose signal vanishes there, or with a bias.
    """
    from theory.derivations.asymptotics import tau_envelopes
    from theory.growth import symbol_n

    k = values["k"]
    if values["labels"] not in labels or k % 2 or values["bias"] != 0:
        return ()
    near, far = (tau_envelopes(r, symbol_n(), "odd") for r in (k - 1, k + 1))
    # n large, the ends of |tau_{k-1}| pair with the opposite ends of |tau_{k+1}|, which is of smaller order
    return value(near[0], far[1], values), value(near[1], far[0], values)
