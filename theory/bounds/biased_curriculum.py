"""biased-curriculum: with biased inputs the support shows after O(log n) samples.

**Problem.** A curriculum begins with inputs of independent coordinates of mean mu and goes on with uniform ones.
The first step on the biased inputs of a unit that is active on all of them (a linear one, or a large bias) has
Z_i = chi_S(x) x_i, G_i the sum of Z_i over B samples.

**Computed.** The right side below in ball arithmetic; `details["best_mean"]` is the mu at which it is least, and
`details["samples_at_best_mean"]` its value there.

**Guarantee.** Kind: upper.  Theorem: for mu in (0, 1) and

    B >= 8 ln((2n - k)/delta) / (mu^{k-1} (1 - mu^2))^2

min_{i in S} |G_i| > max_{o not in S} |G_o| with probability >= 1 - delta: **O_k(log n)** samples, where uniform inputs
(B2) take n^{k-1}.  The best mean is sqrt((k-1)/(k+1)).

**Proof.** chi_S x_i is a product of k - 1 coordinates for i in S and of k + 1 otherwise, so E[Z_i] = mu^{k-1} or
mu^{k+1}, and the gap is D = mu^{k-1} (1 - mu^2).  With theta half way between them, success is implied by
G_i > B theta for i in S and |G_o| < B theta for o not in S.  The failure of any of these k + 2 (n - k) = 2n - k
events is a deviation of a mean of variables in [-1, 1] by at least D/2, of probability at most exp(-2 B (D/2)^2 / 4)
= exp(-B D^2/8) <= delta/(2n - k) (Hoeffding).  The derivative of log D in mu, (k-1)/mu - 2 mu/(1 - mu^2), is
positive below mu^2 = (k-1)/(k+1) and negative above.

**Assumptions.** A unit that is always active; independent coordinates of the same mean.  A threshold unit has other
gaps, which `theory.biased.biased_first_step` gives exactly.  Of what follows the first step nothing is said.

**References.** Hoeffding 1963, Theorem 2.  Context: Cornacchia and Mossel 2023 learn k-parities in poly(n) time with
biased, then uniform inputs, and Abbe, Cornacchia, Lotfi 2023 with sparse inputs first; both are known here from
their abstracts only, and nothing is carried from them.

**Arguments.** `evaluate(n=, k=, delta=, mean=)`: dimension n > k, size k of the support, failure probability delta and
mean mu in (0, 1).

**Returns.** `BoundValue`, a number of samples rounded up.

**Example.**

>>> value = BiasedCurriculum().evaluate(n=100, k=4, mean=0.75)
>>> round(value.value), round(value.details["samples_at_best_mean"]), round(value.details["best_mean"], 4)
(1780, 1755, 0.7746)
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.above import AboveSupport
from theory.bounds.parameters import DELTA, INPUT_MEAN, K, N, Values
from theory.bounds.references import ABBE, CORNACCHIA, HOEFFDING, Source, Standing
from theory.bounds.shapes import substituted
from theory.bounds.theorem import Assumption, Evaluation
from theory.enclosure import ball, lower, tight, upper
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy


def squared_gap(k: int, squared_mean: Fraction) -> Fraction:
    """Return (mu^{k-1} (1 - mu^2))^2 from mu^2."""
    return Fraction(squared_mean ** (k - 1) * (1 - squared_mean) ** 2)


def best_squared_mean(k: int) -> Fraction:
    """Return the mu^2 in [0, 1] with the greatest gap, (k-1)/(k+1)."""
    return Fraction(k - 1, k + 1)


@final
class BiasedCurriculum(AboveSupport):
    """biased-curriculum; see the module's docstring for statement and proof."""

    name = "biased-curriculum"
    kind = Kind.UPPER
    quantity = "samples of the first step"
    statement = (
        "On inputs of mean mu, B >= 8 ln((2n-k)/delta)/(mu^(k-1) (1-mu^2))^2 samples find S at a linear unit."
    )
    reference = "Hoeffding's inequality (1963, Thm 2) and a union bound"
    sources = (
        Source(HOEFFDING, "Theorem 2", Standing.RECALLED),
        Source(CORNACCHIA, "abstract, as context", Standing.READ),
        Source(ABBE, "abstract, as context", Standing.READ),
    )
    parameters = (N, K, DELTA, INPUT_MEAN)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import log, symbols

        n, k, mu, delta = symbols("n k mu delta", positive=True)
        return 8 * log((2 * n - k) / delta) / (mu ** (k - 1) * (1 - mu**2)) ** 2

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The formula itself."""
        given = {"k": values["k"], "delta": values["delta"], "mu": values["mean"]}
        return (substituted(self.formula, given),)

    def conditions(self, values: Values) -> tuple[Assumption, ...]:
        """Nothing that parameters tell."""
        return ()

    def _value(self, values: Values) -> Evaluation:
        n, k = values["n"], values["k"]
        events = (2 * n - k) / values["delta"]
        best = best_squared_mean(k)
        gap, best_gap = squared_gap(k, values["mean"] ** 2), squared_gap(k, best)
        value = tight(lambda: 8 * ball(events).log() / ball(gap))
        least = tight(lambda: 8 * ball(events).log() / ball(best_gap))
        return value, {
            "best_mean": lower(tight(lambda: ball(best).sqrt())),
            "samples_at_best_mean": upper(least),
        }
