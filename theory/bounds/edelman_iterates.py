"""edelman-iterates: how many noisy gradient steps a model needs before they can depend on the target.

**Problem.** A model with r parameters is trained on a k-sparse parity in dimension n by T gradient steps, whose
gradients an adversary may change by at most tau in each coordinate, for a loss with l'(y^, y) = -y + l_0(y^) and
gradients of the model of at most 1.

**Computed.** The right side below, in exact rational arithmetic.

**Guarantee.** Kind: lower.  Proposition 3 of the source: if r T / (tau^2 delta) <= C(n, k)/2, there is a parity for
which with probability >= 1 - delta over the initialisation all T iterates are independent of the target.  So a method
whose iterates depend on every target with probability above delta needs

    T > C(n, k) tau^2 delta / (2 r)

steps.  It says nothing where the right side is below 1.  Samples enter through tau only: a gradient that is averaged
over B samples has errors of order B^{-1/2}, but random ones, while the proposition speaks of an adversary's; no bound
on samples is derived from it here.

**Assumptions.** Those of the problem; none can be checked from n, k, r, tau and delta.

**References.** Edelman, Goel, Kakade, Malach, Zhang 2023, Proposition 3 (read in the source).

**Arguments.** `evaluate(n=, k=, r=, tolerance=, delta=)`: dimension n > k, size k of the support, parameters r >= 1,
tolerance tau and probability delta in (0, 1).

**Returns.** `BoundValue`, a number of steps rounded down, which T must exceed.

**Example.** Exactly 1.9606125 for n = 100, k = 4, r = 1000, tau = delta = 1/10.

>>> round(EdelmanIterates().evaluate(n=100, k=4, r=1000).value, 7)
1.9606125
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import K, N, Parameter, Values
from theory.bounds.references import EDELMAN, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation
from theory.enclosure import ball
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

_TENTH = Fraction(1, 10)
PARAMETERS = Parameter("r", "trainable parameters of the model", low=Fraction(1), default=1000)
NOISE = Parameter(
    "tolerance",
    "error tau of a gradient's coordinate",
    "real",
    Fraction(0),
    Fraction(1),
    _TENTH,
    open_ends=True,
)
DEPENDENCE = Parameter(
    "delta", "probability of a dependent iterate", "real", Fraction(0), Fraction(1), _TENTH, open_ends=True
)


@final
class EdelmanIterates(AboveSupport):
    """edelman-iterates; see the module's docstring for the statement and where it comes from."""

    name = "edelman-iterates"
    kind = Kind.LOWER
    quantity = "gradient steps"
    statement = (
        "Up to T = C(n,k) tau^2 delta/(2r) steps with errors tau, the iterates of r parameters can be independent of "
        "the target."
    )
    reference = "Edelman et al. 2023, Proposition 3"
    sources = (Source(EDELMAN, "Proposition 3", Standing.READ),)
    parameters = (N, K, PARAMETERS, NOISE, DEPENDENCE)
    standing = Standing.READ

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import binomial, symbols

        n, k, r, tau, delta = symbols("n k r tau delta", positive=True)
        return binomial(n, k) * tau**2 * delta / (2 * r)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula, its binomial coefficient as a polynomial in n."""
        from sympy import expand_func

        given = {name: values[name] for name in ("k", "r", "delta")} | {"tau": values["tolerance"]}
        return (expand_func(substituted(self.formula, given)),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing that parameters tell."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        return ball(necessary_steps(values)), {}


def necessary_steps(values: Values) -> Fraction:
    """Return C(n, k) tau^2 delta/(2 r) exactly."""
    parities = math.comb(values["n"], values["k"])
    return Fraction(parities * values["tolerance"] ** 2 * values["delta"] / (2 * values["r"]))
