"""separation: how many times more samples one-shot needs than progressive, for the same student.

**Problem.** The signed student, once taught by a converged teacher in both stages (one-shot) and once by an
intermediate teacher with equal coefficients first (progressive); both to hinge loss epsilon with probability 1 - delta.

**Computed.** N-one-shot divided by N-progressive, rounded down; above 1 progressive certainly wins.

**Guarantee.** Kind: lower.  Theorem (separation): the ratio of the least totals is at least

    B2h(n, k, delta) / N-progressive(n, k, delta, epsilon),

which grows like n^(k-1)/log n.

**Proof.** The numerator is a lower bound of one total, the denominator an upper bound of the other.

**Assumptions.** Those of both; n > k.  For odd k the value is infinite: at an unbiased unit, n odd, the parity has no
signal at all, and one-shot never learns.

**References.** Those of both; it is the separation of Panigrahi et al. 2025, Theorem 3.2, with constants.

**Arguments.** `evaluate(n=, k=, delta=, epsilon=)`.

**Returns.** `BoundValue`, a factor rounded down; details: the two totals.

**Example.**

>>> [float(f"{Separation().evaluate(n=n, k=4, epsilon=0.1).value:.3g}") for n in (21, 51, 101, 201)]
[1.42, 18.0, 136.0, 1060.0]
"""

from typing import TYPE_CHECKING, Any, ClassVar, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import DELTA, EPSILON, K, N, Parameter, Values
from theory.bounds.references import PANIGRAHI, Source, Standing
from theory.bounds.theorem import Assumption, Evaluation
from theory.bounds.total_one_shot import TotalOneShot
from theory.bounds.total_progressive import TotalProgressive
from theory.enclosure import ball
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

    from theory.growth import Growth


@final
class Separation(AboveSupport):
    """separation; see the module's docstring for statement and proof."""

    name = "separation"
    kind = Kind.LOWER
    quantity = "factor between one-shot and progressive"
    statement = "One-shot needs at least N-one-shot/N-progressive times the samples of progressive."
    reference = "N-one-shot and N-progressive"
    sources = (Source(PANIGRAHI, "Theorem 3.2: the separation", Standing.QUOTED),)
    parameters: ClassVar[tuple[Parameter, ...]] = (N, K, DELTA, EPSILON)

    @property
    def formula(self) -> "sympy.Expr":
        """The quotient of the two expressions."""
        return TotalOneShot().formula / TotalProgressive().formula

    def growth(self, **given: Any) -> "Growth":
        """Return the quotient of the two growths."""
        given.setdefault("n", 10**6 + 1)
        values = self.check(given)
        above, below = TotalOneShot().growth(**values), TotalProgressive().growth(**values)
        assert above is not None
        assert below is not None
        return above / below

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Those of both."""
        one_shot = TotalOneShot()
        return one_shot.conditions(one_shot.check(values)) + TotalProgressive().conditions(values)

    def _value(self, values: Values) -> Evaluation:
        needed = TotalOneShot().evaluate(**values).value
        enough = TotalProgressive().evaluate(**values).value
        return ball(needed) / ball(enough), {"one_shot": needed, "progressive": enough}


def crossover(k: int, *, factor: float = 1.0, largest: int = 2001, **given: object) -> int | None:
    """Return the least odd n <= largest from which on, up to `largest`, the separation exceeds `factor`; else None.

    given: delta, epsilon.  Every odd n in k + 1..largest is evaluated from above, down to the first that does not.
    """
    found = None
    for n in range(largest - 1 + largest % 2, k, -2):
        if not Separation().evaluate(n=n, k=k, **given).value > factor:
            break
        found = n
    return found
