"""B1: how many samples suffice, by Bernstein's inequality and a union bound.

**Problem.** One unit with threshold T, labels F with |F| <= M, Z_i = F T x_i with means mu_i, and g_i the
mean of Z_i over B samples.  Let mu_in = min_{i in S} |mu_i|, mu_out = |mu_o| for o not in S (all alike),
Delta = mu_in - mu_out, v = E[F^2 T] and mu = max_i |mu_i|.

**Computed.** The right side below, from exact rational moments; the maximum over the 2^k sign patterns of the
unit's weights on the support, so that it holds for every unit.

**Guarantee.** Kind: upper.  Theorem (B1): if Delta > 0 and

    B >= (8 v + (4/3) (M + mu) Delta) / Delta^2 * ln((2n - k)/delta),

then min_{i in S} |g_i| > max_{o not in S} |g_o| with probability >= 1 - delta.  It holds for every larger B too.
Not tight: a factor of about 2 above exact marginals (B1').

**Proof.** Put theta = (mu_in + mu_out)/2.  Success is implied by: sign(mu_i) g_i > theta for the k
coordinates of S, and g_o < theta and -g_o < theta for the n - k others.  The failure of any of these k + 2(n
- k) = 2n - k events is a one-sided deviation of a mean of B independent variables by at least Delta/2, since
|mu_i| - theta >= Delta/2 and theta - |mu_o| = Delta/2.  Such a variable differs from its mean by at most M +
mu and has variance at most E[Z_i^2] = v.  By Bernstein's inequality each has probability at most `exp(-B
(Delta/2)^2 / (2 (v + (M + mu) Delta/6))) = exp(-B Delta^2 / (8 v + (4/3)(M + mu) Delta)) <= delta/(2n - k)`.
The union bound ends the proof.

**Assumptions.** Independent uniform samples; Delta > 0 for every sign pattern (otherwise no B suffices for such a
unit, and the value is infinite).  The design's form has M^2 tau_0 for v (equal for +-1 labels, larger otherwise) and
ln(2n/delta); what is proved here is never larger.

**References.** Boucheron, Lugosi, Massart 2013, Corollary 2.11; the use of a Fourier gap for one large-batch step:
Barak et al. 2022.

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded up; infinite if an assumption fails.

**Example.** For b = 0, delta = 0.1 and the parity: 8.26e3 (n = 50, k = 2), 1.61e9 (n = 200, k = 4), 2.01e11
(n = 100, k = 6).

>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> round(Bernstein().samples(50, 2, threshold_count(50, 0), Parity(2), Fraction(1, 10)).value)
8264
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.parameters import Values
from theory.bounds.references import BARAK, BOUCHERON, Source, Standing
from theory.bounds.shapes import substituted
from theory.enclosure import ball, lower, tight, upper
from theory.gradient import FirstStepLaw, law_classes
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def bernstein_factor(law: FirstStepLaw) -> Fraction:
    """Return (8 v + (4/3)(M + mu) Delta)/Delta^2 exactly; Delta must be positive."""
    delta = law.margin
    largest = max(abs(mean) for mean in (*law.mean_in, law.mean_out))
    return (8 * law.second_moment + Fraction(4, 3) * (law.target.sup_norm + largest) * delta) / delta**2


def margin_assumption(n: int, q: int, target: Target) -> Assumption:
    """Return the assumption that Delta > 0 for every sign pattern, checked exactly."""
    smallest = min(law.margin for law, _ in law_classes(n, q, target))
    return Assumption("Delta > 0 for every sign pattern of the unit on the support", smallest > 0)


@final
class Bernstein(Bound):
    """B1 for any target; see the module's docstring for statement and proof."""

    name = "B1"
    kind = Kind.UPPER
    statement = "B >= (8 v + (4/3)(M + mu) Delta)/Delta^2 ln((2n - k)/delta) samples suffice."
    reference = "Bernstein's inequality (Boucheron, Lugosi, Massart 2013, Cor. 2.11) and a union bound"
    sources = (Source(BOUCHERON, "Corollary 2.11", Standing.STANDARD), Source(BARAK, "", Standing.READ))

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import Rational, log, symbols

        v, M, mu, gap, n, k, delta = symbols("v M mu Delta n k delta", positive=True)
        return (8 * v + Rational(4, 3) * (M + mu) * gap) / gap**2 * log((2 * n - k) / delta)

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The parity at an unbiased unit, n odd: both ends of the spectrum's envelopes."""
        from theory.bounds.shapes import parity_sides

        return parity_sides(values, self._symbolic)

    def _symbolic(self, inside: "sympy.Expr", outside: "sympy.Expr", values: Values) -> "sympy.Expr":
        from theory.growth import symbol_n

        given = {
            "v": "1/2",
            "M": 1,
            "mu": inside,
            "Delta": inside - outside,
            "k": values["k"],
            "n": symbol_n(),
        }
        return substituted(self.formula, given | {"delta": values["delta"]})

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Delta > 0."""
        return (margin_assumption(n, q, target),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        factors = [bernstein_factor(law) for law, _ in law_classes(n, q, target)]
        events = (2 * n - target.k) / delta
        value = tight(lambda: ball(max(factors)) * ball(events).log())
        best = tight(lambda: ball(min(factors)) * ball(events).log())
        return value, {"best_pattern": upper(best), "smallest_margin": lower(_smallest_margin(n, q, target))}


def _smallest_margin(n: int, q: int, target: Target) -> Fraction:
    return min(law.margin for law, _ in law_classes(n, q, target))
