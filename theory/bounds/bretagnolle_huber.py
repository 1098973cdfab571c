"""B2: how many samples are necessary, by the divergence between two supports to be told apart.

**Problem.** A unit with weights w, labels F(x_S), Z_i = F T x_i, G_i the sum of Z_i over B samples.  For i
in S and o not in S let S' be S with o in the place of i.  Only (G_i, G_o) decides between them: success
under S implies the event A = {|G_i| > |G_o|}, success under S' implies {|G_o| > |G_i|}, which is disjoint
from A.

**Computed.** Let D be the smaller of KL(P||P') and KL(P'||P) per sample, for two choices of the pair of laws:

* (+), w_o = +w_i.  P = law of (Z_i, Z_o), P' = P with its arguments exchanged; both fail with probability
  delta_s.
* (-), w_o = -w_i.  P = law of (Z_i, Z_o) for s, P' = exchanged law of (Z_i, Z_o) for s^i, which is s with s_i
  flipped (and w_o = +s_i); they fail with probabilities delta_s and delta_{s^i}.

**Guarantee.** Kind: lower.  Theorem (B2): (+) `delta_s >= 1/4 exp(-B D+_{s,i})`, and (-)
`delta_s + delta_{s^i} >= 1/2 exp(-B D-_{s,i})`. Hence a unit with uniformly random signs that succeeds with
probability >= 1 - delta on average over them needs

    E_s exp(-B D_s) <= 4 delta,   D_s = min_i D+_{s,i},   and for each i   E_s exp(-B D-_{s,i}) <= 4 delta,

and B2 is the largest B at which one of these k + 1 conditions starts to hold.  If all D are equal, as for
the parity, it is **ln(1/(4 delta)) / D**.  For +-1 labels, with c = E[T x_i x_o], the pair has
`P(a, b) = (tau_0 + a mu_i + b mu_o + ab c)/4`, so that D = (d/2) ln((tau_0 - c + d)/(tau_0 - c - d)),
d = mu_i - mu_o: about Delta^2/(tau_0 - c).  For the parity, (+) has |d| = |tau_{k-1}| + |tau_{k+1}| and (-) has
|d| = | |tau_{k-1}| - |tau_{k+1}| | (n odd, no bias).

**Proof.** Exchanging the coordinates i and o of x turns the labels of S' into those of S and w into w^io, its
entries i and o exchanged.  So under (S', w) the pair (Z_i, Z_o) has the law of (Z_o, Z_i) under (S, w^io), and
the unit's failure probability under (S', w) is that under (S, w^io).  The latter depends on the signs s = w_S
only: flipping x_o and w_o for o outside S changes the sign of G_o and nothing else.  For the same reason w_o may
be chosen freely.  For any event A, P^B(not A) + P'^B(A) >= 1/2 exp(-KL(P^B||P'^B)) (Bretagnolle and Huber 1979),
and the divergence of B independent samples is B D.  P^B(not A) is at most the failure probability under S,
P'^B(A) at most that under S'.  Average over s; the map s -> s^i is a bijection.  The left sides decrease in B.

**Assumptions.** n > k; the unit is judged by the strict event above; labels come with fresh independent
samples; the same procedure serves S and S'.  Nothing is assumed of the labels but that they depend on x_S.
It bounds the average over the unit's random signs; a single sign pattern is bounded by (+) alone, and the
smallest such bound over s is in `details["any_pattern"]` (all patterns of the parity fail with the same
probability, so there it is B2 itself). For delta >= 1/4 the theorem says nothing and the value is 0.

**References.** Bretagnolle and Huber, *Estimation des densites: risque minimax*, Z. Wahrscheinlichkeitstheorie 47
(1979), as in Tsybakov 2009, Lemma 2.6 and Theorem 2.2.

**Arguments.** `samples(n, k, q, target, delta)`: dimension n > k, the target's k, threshold count q in -1..n, any
`theory.targets.Target`, delta in (0, 1); or `evaluate(n=, k=, delta=, bias=, labels=, c=)`.

**Returns.** `BoundValue`, a number of samples rounded down; 0 if the theorem says nothing.

**Example.** At b = 0, delta = 0.1, parity: 134.1 (n = 50, k = 2), 2.225e7 (n = 200, k = 4), 3.043e9 (n = 100,
k = 6).

>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> int(BretagnolleHuber().samples(50, 2, threshold_count(50, 0), Parity(2), Fraction(1, 10)).value)
134
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.pairs import PairBound, PairLaw, divergence, least
from theory.bounds.references import TSYBAKOV, Source, Standing
from theory.enclosure import ball, tight

if TYPE_CHECKING:
    import sympy


@final
class BretagnolleHuber(PairBound):
    """B2; see the module's docstring for statement and proof."""

    name = "B2"
    statement = "Success with probability 1 - delta, on average over signs, needs B >= ln(1/(4 delta))/KL."
    reference = "Bretagnolle and Huber 1979 (Tsybakov 2009, Lemma 2.6), applied to one pair of coordinates"

    sources = (Source(TSYBAKOV, "Lemma 2.6 and Theorem 2.2", Standing.STANDARD),)

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import symbols

        D = symbols("D_KL", positive=True)
        return self.symbolic_information / D

    @property
    def symbolic_information(self) -> "sympy.Expr":
        """The logarithm in the bound."""
        from sympy import log, symbols

        delta = symbols("delta", positive=True)
        return log(1 / (4 * delta))

    def information(self, delta: Fraction) -> flint.arb:
        """Return ln(1/(4 delta)), or 0 for delta >= 1/4."""
        return tight(lambda: -ball(4 * delta).log()) if delta < Fraction(1, 4) else flint.arb(0)

    def failure_floor(self, information: float) -> float:
        """Return exp(-x)/4, rounded down."""
        return 0.25 * math.exp(-information) * (1 - 1e-14)

    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return the smaller direction of KL: the inequality holds with either."""
        return least([divergence(law, other), divergence(other, law)])

    def symbolic_divergence(self, d: "sympy.Expr") -> "sympy.Expr":
        """Return (d/2) ln((1/2 + d)/(1/2 - d))."""
        from sympy import Rational, log

        return d / 2 * log((Rational(1, 2) + d) / (Rational(1, 2) - d))
