"""paper-progressive: the paper's sample complexity of progressive distillation.

**Problem.** A student of width 2^Theta(k) learns a k-sparse parity in dimension n (the paper writes d) from two
checkpoints of a teacher, an intermediate one and the final one, by a two-stage algorithm, to loss epsilon.

**Computed.** Nothing but the growth, as a limit of the form below: the source's constants and logarithms are not
known, and the number has the value NaN.

**Guarantee.** Kind: asymptotic (upper).  Theorem 3.2 of the source, as a reviewer quotes it: progressive distillation
with 2 checkpoints needs `O~(2^k n^2 / epsilon^2 + k^3)` samples in total.  A third party writes Theta~(2^k n^2); the
form O~(2^{O(k)} n^2 / epsilon^2 + k^3) has the same growth in n: **n^2**, whatever k is.  Not known to be tight: the
student of B1-intermediate finds the support with O(k log n) samples under assumptions that are stated there.

**Assumptions.** k even; a teacher wide enough, trained by the same algorithm, to a final loss O(n^-c), c >= 1; n large
against k; hinge loss and symmetric initialisation.  All of these are recalled, not read, and only the first can be
checked here.

**References.** Panigrahi, Liu, Malladi, Risteski, Goel 2025, Theorem 3.2, quoted in its public reviews; not read.

**Arguments.** `evaluate(n=, k=, epsilon=)`: dimension n > k, size k of the support, loss epsilon in (0, 1).

**Returns.** `BoundValue` with the value NaN; `growth(k=, epsilon=)` is what can be compared.

**Example.**

>>> print(PaperProgressive().growth(k=4))
n^2
"""

from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import EPSILON, K, N, Values
from theory.bounds.references import PANIGRAHI, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, AsymptoticTheorem
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class PaperProgressive(AboveSupport, AsymptoticTheorem):
    """paper-progressive; see the module's docstring for the statement and where it comes from."""

    name = "paper-progressive"
    statement = "Progressive distillation with 2 checkpoints takes O~(2^k n^2 / epsilon^2 + k^3) samples."
    reference = "Panigrahi et al. 2025, Theorem 3.2, as a reviewer quotes it"
    sources = (Source(PANIGRAHI, "Theorem 3.2", Standing.QUOTED),)
    parameters = (N, K, EPSILON)
    asymptotic_side = Kind.UPPER
    standing = Standing.QUOTED

    @property
    def formula(self) -> "sympy.Expr":
        """The quoted form, without constants and logarithms."""
        from sympy import symbols

        n, k, epsilon = symbols("n k epsilon", positive=True)
        return 2**k * n**2 / epsilon**2 + k**3

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself."""
        return (substituted(self.formula, {"k": values["k"], "epsilon": values["epsilon"]}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """An even k."""
        return (Assumption("k is even (recalled)", values["k"] % 2 == 0),)
