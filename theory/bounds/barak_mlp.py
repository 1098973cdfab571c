"""barak-mlp: a two-layer ReLU network learns sparse parities by SGD with one large batch size.

**Problem.** SGD with batch size B on a ReLU network of width r with the hinge loss learns a k-sparse parity in
dimension n from its own labels, to an expected loss of epsilon.

**Computed.** Nothing but the growth, as a limit of the form below; the number has the value NaN.

**Guarantee.** Kind: asymptotic (upper).  Theorem 4 of the source: for every S there are an initialisation, learning
rates and weight decays such that with

    r = Omega(2^k k log(k/epsilon)),   B = Omega(n^k log(n/epsilon)),   T = O(k^3 r^2 n / epsilon^2)

the expected loss is at most epsilon after at most T iterations.  The theorem speaks of B and T, and each iteration
draws its own batch of B samples; the *samples* it takes are therefore **B T**, with r at its least: n^{k+1} log n.
That is far from tight, and more than the idea needs: at this B the support appears in the first step (a footnote of
the source), so its first batch alone, n^k log n samples, finds S.

**Assumptions.** k >= 2 even, n odd, n = Omega(k^4 log(nk/epsilon)), a schedule that wipes the first layer's
initialisation in the first step.  Only parities of k and n can be checked here, the rest has unknown constants.

**References.** Barak, Edelman, Goel, Kakade, Malach, Zhang 2022, Theorem 4 (read in the source).

**Arguments.** `evaluate(n=, k=, epsilon=)`: dimension n > k, size k of the support, loss epsilon in (0, 1).

**Returns.** `BoundValue` with the value NaN; `growth(k=, epsilon=)` is what can be compared.

**Example.**

>>> print(BarakMLP().growth(k=4))
n^5 log n
"""

from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import EPSILON, K, N, Values
from theory.bounds.references import BARAK, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, AsymptoticTheorem
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class BarakMLP(AboveSupport, AsymptoticTheorem):
    """barak-mlp; see the module's docstring for the statement and what is counted."""

    name = "barak-mlp"
    quantity = "samples, batch times iterations"
    statement = (
        "SGD on a ReLU network of width r = O(2^k k log(k/epsilon)) reaches loss epsilon with batches of B = O(n^k "
        "log(n/epsilon)) in T = O(k^3 r^2 n / epsilon^2) iterations."
    )
    reference = "Barak et al. 2022, Theorem 4"
    sources = (Source(BARAK, "Theorem 4", Standing.READ),)
    parameters = (N, K, EPSILON)
    asymptotic_side = Kind.UPPER
    standing = Standing.READ

    @property
    def formula(self) -> "sympy.Expr":
        """B T at the least width, without constants."""
        from sympy import log, symbols

        n, k, epsilon = symbols("n k epsilon", positive=True)
        width = 2**k * k * log(k / epsilon)
        return n**k * log(n / epsilon) * (k**3 * width**2 * n / epsilon**2)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself."""
        return (substituted(self.formula, {"k": values["k"], "epsilon": values["epsilon"]}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """An even k and an odd n."""
        return (Assumption("k is even", values["k"] % 2 == 0), Assumption("n is odd", values["n"] % 2 == 1))
