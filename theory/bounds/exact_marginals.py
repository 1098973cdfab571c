"""B1': how many samples suffice, by the exact laws of the coordinates and a union bound.

**Problem.** As for B1: one unit, G_i the sum of Z_i = F T x_i over B samples, success min_S |G_i| > max_{not
S} |G_o|.

**Computed.** The marginals are sums of B independent terms of a known finite law, so their tails are
exact (`theory.tails`): e(B, t) below is certified to relative 2^-24 and compared with delta from its upper end.

* *Which B is returned.* e is not known to be monotone in B.  The value is an integer B at which e(B, t) <=
  delta *certainly* holds for some t and every sign pattern, about 10^-3 (or 1) above a B where the search found
  no such t.  So B_{1-delta} = inf{B : P(success) >= 1 - delta} is at most
  the value: that is what is claimed, and it needs no monotonicity.
* *For all larger B.* `details["persistent"]` is a B such that P(failure) <= delta for *every* B' >= B.  With
  threshold c B', and for the law tilted by r to mean c, `P(G <= c B') <= exp(-B' I) Q_B / (1 - r)` for all
  B' >= B (r < 1, likewise upper tails), where I = c log r - log E r^Z and Q_B >= max_s P~(G = s) at B terms,
  which cannot rise when terms are added.  This decreases in B', and is within a few per cent of the exact
  tail (the prefactor of Bahadur and Rao 1960 without its asymptotics).
* *Real labels.* A real-valued teacher's labels lie on a lattice too, and are treated alike unless it is so fine that
  exact tails would take seconds.  Then the Cramer-Chernoff bound with the optimal exponent takes the tails'
  place, with threshold c B and c optimised; it decreases in B, so value and `persistent` agree
  (`details["exact_tails"]` is 0).

**Guarantee.** Kind: upper.  Theorem (B1'): for every threshold t and every B,

    P(failure) <= e(B, t) = sum_{i in S} P(|G_i| <= t) + (n - k) P(|G_o| > t),

and B1' is the least B found with min_t e(B, t) <= delta, the maximum over the 2^k sign patterns.  It loses only the
union bound, so it is close to the true B_{1-delta} for small delta.  B1' <= B1: Bernstein's inequality bounds each
tail from above, at t = B theta.

**Proof.** If no event on the right happens, |G_i| > t >= |G_o| for all i in S and o not in S.  Union bound.

**Assumptions.** Independent uniform samples; Delta > 0 for every sign pattern, otherwise the value is infinite.

**References.** Union bound with exact binomial-type tails: e.g. Langford 2005; Bahadur and Rao, *On deviations of
the sample mean*, Ann. Math. Statist. 31 (1960).

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded up; infinite if an assumption fails.

**Example.** At b = 0, delta = 0.1, parity: 3861 (n = 50, k = 2), 8.19e8 (n = 200, k = 4), 1.072e11 (n = 100, k = 6),
about half of B1.

>>> from theory.targets import Parity
>>> int(ExactMarginals().samples(50, 2, 24, Parity(2), Fraction(1, 10)).value)
3861
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.bernstein import Bernstein, bernstein_factor, margin_assumption
from theory.bounds.bretagnolle_huber import BretagnolleHuber
from theory.bounds.parameters import Values
from theory.bounds.references import LANGFORD, Source, Standing
from theory.enclosure import lower, upper
from theory.gradient import law_classes
from theory.marginals import Marginals
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

_TOLERANCE = 2.0**-13


@final
class ExactMarginals(Bound):
    """B1'; see the module's docstring for statement and proof."""

    name = "B1'"
    kind = Kind.UPPER
    statement = "P(failure) <= delta at this B, as min_t k P(|G_in| <= t) + (n - k) P(|G_out| > t) <= delta."
    reference = "union bound over exact marginal tails"
    sources = (Source(LANGFORD, "", Standing.STANDARD),)

    @property
    def formula(self) -> "sympy.Expr":
        """The failure bound e(B, t), whose least root in B is the value, as a sympy expression."""
        from sympy import Function, symbols

        B, t, n, k = symbols("B t n k", positive=True)
        inside, outside = Function("P_in")(B, t), Function("P_out")(B, t)
        return k * inside + (n - k) * outside

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """B2 <= B1' <= B1: a squeeze, as the root itself has no closed form."""
        return BretagnolleHuber().shape(values) + Bernstein().shape(values)

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Delta > 0."""
        return (margin_assumption(n, q, target),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        laws = sorted((law for law, _ in law_classes(n, q, target)), key=bernstein_factor, reverse=True)
        marginals = [Marginals(law) for law in laws]
        if not all(m.on_lattice for m in marginals):
            value = max(m.chernoff_samples(delta)[0] for m in marginals)
            return flint.arb(math.ceil(value)), {"persistent": float(math.ceil(value)), "exact_tails": 0.0}
        easy = [m.chernoff_samples(delta) for m in marginals]  # each holds from there on
        B, thresholds = self._search(marginals, easy, delta)
        lasting = [
            float(B) if value <= B else min(value, m.persistent_samples(B, t, delta))
            for m, t, (value, _) in zip(marginals, thresholds, easy, strict=True)
        ]
        return flint.arb(B), {"persistent": float(math.ceil(max(lasting))), "exact_tails": 1.0}

    def _search(
        self, marginals: list[Marginals], easy: list[tuple[float, Fraction]], delta: Fraction
    ) -> tuple[int, list[Fraction]]:
        """Return a B that certainly holds for all, and a threshold for each."""
        B = self._root(marginals[0], easy[0], 1, delta)  # the hardest: most others then hold already
        for m, chernoff in zip(marginals[1:], easy[1:], strict=True):
            if self._certified(m, chernoff, B, delta) is None:
                B = self._root(m, chernoff, B, delta)
        while True:
            found = [self._certified(m, c, B, delta) for m, c in zip(marginals, easy, strict=True)]
            thresholds = [t for t in found if t is not None]
            if len(thresholds) == len(marginals):
                return B, thresholds
            B = max(B + 1, math.ceil(B * (1 + _TOLERANCE)))

    def _certified(
        self, m: Marginals, chernoff: tuple[float, Fraction], B: int, delta: Fraction
    ) -> Fraction | None:
        """Return a threshold with e(B, t) <= delta for certain, if one is found."""
        if chernoff[0] <= B:
            return B * chernoff[1]
        threshold = m.threshold(B, m.best_position(B))
        return threshold if upper(m.failure(B, threshold)) <= lower(delta) else None

    def _root(self, m: Marginals, chernoff: tuple[float, Fraction], low: int, delta: Fraction) -> int:
        """Return a least B >= low that is found to hold; the best u at one B serves for the next descent."""
        (value, c), ends, goal = chernoff, m.ends, math.log(lower(delta))
        high, u = max(low, math.ceil(value)), (float(c) - ends[0]) / (ends[1] - ends[0])
        for width in (0.3, 0.15, 0.1, 0.05):
            u = m.best_position(high, u, width)
            before, high = high, _descend(m, u, goal, low, high)
            if high > before * (1 - _TOLERANCE):
                break
        return high


def _descend(m: Marginals, u: float, goal: float, low: int, high: int) -> int:
    """Least B in [low, high] with log e <= goal at u that regula falsi finds; `high` if e is above goal there."""
    at_high = m.height(high, u) - goal
    if at_high > 0 or high <= low:
        return high
    below, step = high, 0.8
    at_below = at_high
    while at_below <= 0:  # a B that fails, or `low`
        high, at_high = below, at_below
        if below <= low:
            return low
        below, step = max(low, int(below * step)), step / 2
        at_below = m.height(below, u) - goal
    while high - below > max(1, _TOLERANCE * high):
        share = at_below / (at_below - at_high) if math.isfinite(at_below - at_high) else 0.5
        middle = below + round((high - below) * min(max(share, 0.02), 0.98))
        middle = min(max(middle, below + 1), high - 1)
        at_middle = m.height(middle, u) - goal
        if at_middle <= 0:
            high, at_high = middle, at_middle
        else:
            below, at_below = middle, at_middle
    return high
