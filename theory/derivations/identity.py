"""What an identity is: a statement, a symbolic proof, and an exact check at concrete parameters."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import sympy

from theory.errors import Number, TheoryError

Exact = int | Fraction


@dataclass(frozen=True)
class Identity:
    """One identity.  Kind: exact.

    Attributes:
        name: short, the key.
        statement: the identity in plain text.
        parameters: their names, the size (N, n or m) first.
        domain: the parameters for which it is stated, in words.
        admits: whether concrete parameters are in the domain.
        check: both sides at concrete parameters, as exact numbers.
        expression: returns what must simplify to 0; how that proves the identity is in the comment or docstring of
            its function, or is the method of the module's docstring.
    """

    name: str
    statement: str
    parameters: tuple[str, ...]
    domain: str
    admits: Callable[..., bool]
    check: Callable[..., tuple[Exact, Exact]]
    expression: Callable[[], sympy.Expr]

    def prove(self) -> bool:
        """Return whether sympy simplifies `expression` to 0; False means: not proved."""
        return bool(sympy.simplify(self.expression()) == 0)

    def holds(self, *values: Number) -> bool:
        """Return whether both sides agree at these values, in the order of `parameters`.

        Raises TheoryError for a wrong number of values, or values outside the domain.
        """
        if len(values) != len(self.parameters) or not self.admits(*values):
            given = ", ".join(map(str, values))
            wanted = ", ".join(self.parameters)
            raise TheoryError(
                f"{self.name} is not stated at ({given}); ({wanted}) with {self.domain} is needed."
            )
        left, right = self.check(*values)
        return left == right

    def instances(self, size: int) -> Iterator[tuple[int, ...]]:
        """Yield the integer parameters of the domain with this size and all others in -1..size + 1."""
        others = itertools.product(range(-1, size + 2), repeat=len(self.parameters) - 1)
        return (values for rest in others if self.admits(*(values := (size, *rest))))
