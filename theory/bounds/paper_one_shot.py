"""paper-one-shot: the paper's lower bound for distillation from the final checkpoint alone.

**Problem.** As for paper-progressive, but all labels come from the converged teacher, which errs with probability
n^-c or, in the limit, not at all.

**Computed.** Nothing but the growth, as a limit of the form below; the number has the value NaN.

**Guarantee.** Kind: asymptotic (lower).  Theorem 3.2 of the source, as a reviewer quotes it: one-shot distillation
needs at least `Omega(n^{k-1}, epsilon^-2)` samples, which is read here as n^{k-1} + epsilon^-2 (`labels="parity"`).
For a teacher of loss O(n^-c) the exponent is recalled to be min(2c, k - 1) in some version of the source
(`labels="leaky"`, recalled, not read).  Instead of n^{min(2c, k-1)} the form has

    1 / (n^{-2c} + n^{-(k-1)}),

which is the same up to a factor of 2 and has a limit that needs no case distinction.  B2-leaky is a theorem with
this exponent and with constants, for one unit.

**Assumptions.** Those of paper-progressive; labels of the teacher's final checkpoint.

**References.** Panigrahi, Liu, Malladi, Risteski, Goel 2025, Theorem 3.2: quoted in its public reviews for the parity,
recalled for a teacher that errs.

**Arguments.** `evaluate(n=, k=, epsilon=, labels=, c=)`: dimension n > k, size k of the support, loss epsilon in
(0, 1), labels `parity` or `leaky`, the exponent c of the teacher's error in (0, 16) for `leaky`.

**Returns.** `BoundValue` with the value NaN; `growth(k=, labels=, c=)` is what can be compared.

**Example.**

>>> print(PaperOneShot().growth(k=4), PaperOneShot().growth(k=4, labels="leaky", c=1), sep=", ")
n^3, n^2
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import (
    EPSILON,
    LABEL,
    TEACHER_ERROR,
    K,
    N,
    Values,
    check_teacher_error,
)
from theory.bounds.references import PANIGRAHI, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, AsymptoticTheorem
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class PaperOneShot(AboveSupport, AsymptoticTheorem):
    """paper-one-shot; see the module's docstring for the statement and where it comes from."""

    name = "paper-one-shot"
    statement = (
        "One-shot distillation needs Omega(n^(k-1), epsilon^-2) samples; n^min(2c, k-1) (recalled) if the teacher "
        "errs with probability n^-c."
    )
    reference = "Panigrahi et al. 2025, Theorem 3.2, as a reviewer quotes it; with c as recalled"
    sources = (
        Source(PANIGRAHI, "Theorem 3.2", Standing.QUOTED),
        Source(PANIGRAHI, "Theorem 3.2 for a teacher of loss O(n^-c)", Standing.RECALLED),
    )
    parameters = (N, K, EPSILON, LABEL, TEACHER_ERROR)
    asymptotic_side = Kind.LOWER
    standing = Standing.QUOTED

    @property
    def formula(self) -> "sympy.Expr":
        """The form for a teacher that errs with probability n^-c, up to constants."""
        from sympy import symbols

        n, k, c, epsilon = symbols("n k c epsilon", positive=True)
        return 1 / (n ** (-2 * c) + n ** (-(k - 1))) + epsilon**-2

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula at c, or its limit for c to infinity; none for an intermediate teacher."""
        from theory.growth import symbol_n

        if values["labels"] == "equal":
            return ()
        if values["labels"] == "parity":
            n = symbol_n()
            return (n ** (values["k"] - 1) + 1 / values["epsilon"] ** 2,)
        return (substituted(self.formula, {name: values[name] for name in ("k", "c", "epsilon")}),)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters; refuses n <= k, and a c for labels that do not err."""
        values = super().check(given)
        check_teacher_error(given, values)
        return values

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """An even k; labels of a converged teacher."""
        return (
            Assumption("k is even (recalled)", values["k"] % 2 == 0),
            Assumption("the labels are a converged teacher's", values["labels"] != "equal"),
        )
