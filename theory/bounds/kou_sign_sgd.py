"""kou-sign-sgd: sign SGD learns a sparse parity with as few samples as its gradients allow.

**Problem.** A two-layer network with polynomial activation and 2^Theta(k) neurons is trained on a k-sparse parity in
dimension n by sign SGD, steps by the sign of the gradient with a dead zone around 0.

**Computed.** Nothing but the growth, as a limit of the form below; the number has the value NaN.

**Guarantee.** Kind: asymptotic (upper).  The source's main theorem: **O~(n^{k-1})** samples suffice.  A sample
answers about n scalar queries, so that this is O~(n^k) queries and matches the lower bound Omega(n^k) for
statistical queries; sq-dimension is that bound with a constant.

**Assumptions.** k = O(sqrt(n)), uniform inputs; the constant is not known, so nothing can be checked here.

**References.** Kou, Chen, Gu, Kakade 2024 (read in the source).

**Arguments.** `evaluate(n=, k=)`: dimension n > k, size k of the support.

**Returns.** `BoundValue` with the value NaN; `growth(k=)` is what can be compared.

**Example.**

>>> print(KouSignSGD().growth(k=4))
n^3
"""

from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import K, N, Values
from theory.bounds.references import KOU, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, AsymptoticTheorem
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


@final
class KouSignSGD(AboveSupport, AsymptoticTheorem):
    """kou-sign-sgd; see the module's docstring for the statement and where it comes from."""

    name = "kou-sign-sgd"
    statement = "Sign SGD on 2^Theta(k) neurons learns a k-sparse parity from O~(n^(k-1)) samples."
    reference = "Kou et al. 2024"
    sources = (Source(KOU, "", Standing.READ),)
    parameters = (N, K)
    asymptotic_side = Kind.UPPER
    standing = Standing.READ

    @property
    def formula(self) -> "sympy.Expr":
        """The stated form, without constants and logarithms."""
        from sympy import symbols

        n, k = symbols("n k", positive=True)
        return n ** (k - 1)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself."""
        return (substituted(self.formula, {"k": values["k"]}),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing that parameters tell."""
        return ()
