"""B1: how many samples suffice, by Bernstein's inequality and a union bound.

**Problem.** One unit with threshold T, labels F with |F| <= M, Z_i = F T x_i with means mu_i, and g_i the
mean of Z_i over B samples.  Let mu_in = min_{i in S} |mu_i|, mu_out = |mu_o| for o not in S (all alike),
Delta = mu_in - mu_out, v = E[F^2 T] and mu = max_i |mu_i|.

**Theorem (B1).** If Delta > 0 and

    B >= (8 v + (4/3) (M + mu) Delta) / Delta^2 * ln((2n - k)/delta),

then min_{i in S} |g_i| > max_{o not in S} |g_o| with probability >= 1 - delta.

**Proof.** Put theta = (mu_in + mu_out)/2.  Success is implied by: sign(mu_i) g_i > theta for the k
coordinates of S, and g_o < theta and -g_o < theta for the n - k others.  The failure of any of these k + 2(n
- k) = 2n - k events is a one-sided deviation of a mean of B independent variables by at least Delta/2, since
|mu_i| - theta >= Delta/2 and theta - |mu_o| = Delta/2.  Such a variable differs from its mean by at most M +
mu and has variance at most E[Z_i^2] = v.  By Bernstein's inequality each has probability at most `exp(-B
(Delta/2)^2 / (2 (v + (M + mu) Delta/6))) = exp(-B Delta^2 / (8 v + (4/3)(M + mu) Delta)) <= delta/(2n - k)`.
The union bound ends the proof.  It holds for every larger B too.

**Constants.** The design's form has M^2 tau_0 for v (equal for +-1 labels, larger otherwise) and
ln(2n/delta); what is proved here is never larger.  For b = 0, delta = 0.1 and the parity: 8.26e3 (n = 50, k
= 2), 1.61e9 (n = 200, k = 4), 2.01e11 (n = 100, k = 6).  Kind: upper; not tight (by a factor of about 4 to 6
against exact marginals).

**Worst case.** `samples` returns the maximum over the 2^k sign patterns of the unit's weights on the
support, so it holds for every unit; it is infinite if some pattern has Delta <= 0, for then no B suffices
for such a unit.

**References.** Boucheron, Lugosi, Massart, *Concentration Inequalities*, Oxford 2013, Corollary 2.11; the
use of a Fourier gap for one large-batch step: Barak et al., *Hidden progress in deep learning*, NeurIPS
2022.

>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> round(Bernstein().samples(50, 2, threshold_count(50, 0), Parity(2), Fraction(1, 10)).value)
8264
"""

from fractions import Fraction
from typing import TYPE_CHECKING, final

from theory.bounds.base import Assumption, Bound, Evaluation
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

    @property
    def name(self) -> str:
        """Short identifier."""
        return "B1"

    @property
    def kind(self) -> Kind:
        """That many samples suffice."""
        return Kind.UPPER

    @property
    def statement(self) -> str:
        """The theorem in one sentence."""
        return "B >= (8 v + (4/3)(M + mu) Delta)/Delta^2 ln((2n - k)/delta) samples suffice."

    @property
    def reference(self) -> str:
        """Where the argument comes from."""
        return "Bernstein's inequality (Boucheron, Lugosi, Massart 2013, Cor. 2.11) and a union bound"

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import Rational, log, symbols

        v, M, mu, gap, n, k, delta = symbols("v M mu Delta n k delta", positive=True)
        return (8 * v + Rational(4, 3) * (M + mu) * gap) / gap**2 * log((2 * n - k) / delta)

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


@final
class IntermediateTeacher(Bound):
    """B1 for an intermediate teacher with equal degree-1 coefficients: logarithmic in n.

    **Theorem.** Let n be odd, the unit unbiased (q = (n - 1)/2) and the labels F = sum_{i in S} s_i x_i.
    Then

        B >= (16 k + (8/3)(k + 1/2)) ln((2n - k)/delta)

    samples find S with probability >= 1 - delta, for every unit.

    **Proof.** The unit is 1/2 plus an odd function of x, and F is odd, so E[F T x_i] = 1/2 E[F x_i], which
    is s_i/2 on S and 0 off S, and E[F^2 T] = 1/2 E[F^2] = k/2, because F x_i and F^2 are even functions.  So
    Delta = mu = 1/2, v = k/2 and M = k in B1.

    This is the separation: against the parity's own labels B2 grows like n^(k-1) for the same unit.
    Kind: upper.  Source: the design's section 4b; an instance of B1.
    """

    @property
    def name(self) -> str:
        """Short identifier."""
        return "B1-intermediate"

    @property
    def kind(self) -> Kind:
        """That many samples suffice."""
        return Kind.UPPER

    @property
    def statement(self) -> str:
        """The theorem in one sentence."""
        return (
            "B >= (16k + (8/3)(k + 1/2)) ln((2n - k)/delta) samples of sum_i s_i x_i find S, n odd, bias 0."
        )

    @property
    def reference(self) -> str:
        """Where the argument comes from."""
        return "B1 with the parity of odd and even functions"

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import Rational, log, symbols

        n, k, delta = symbols("n k delta", positive=True)
        return (16 * k + Rational(8, 3) * (k + Rational(1, 2))) * log((2 * n - k) / delta)

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """n odd, no bias, equal degree-1 coefficients and nothing else."""
        walsh = target.walsh
        linear = all(abs(c) == (mask.bit_count() == 1) for mask, c in enumerate(walsh))
        same = len(target.components) == 1 and linear
        return (
            Assumption(
                "n is odd and the unit is the majority (q = (n - 1)/2)", n % 2 == 1 and 2 * q == n - 1
            ),
            Assumption("the labels are sum_i s_i x_i over the support, s_i = +-1", same),
        )

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        k = target.k
        factor = 16 * k + Fraction(8, 3) * (k + Fraction(1, 2))
        value = tight(lambda: ball(factor) * ball((2 * n - k) / delta).log())
        return value, {"slope_in_log_n": upper(factor)}
