"""B2: how many samples are necessary, by the divergence between two supports to be told apart.

**Problem.** A unit with weights w, labels F(x_S), Z_i = F T x_i, G_i the sum of Z_i over B samples.  For i
in S and o not in S let S' be S with o in the place of i.  Only (G_i, G_o) decides between them: success
under S implies the event A = {|G_i| > |G_o|}, success under S' implies {|G_o| > |G_i|}, which is disjoint
from A.

**What is equivariant.** Exchanging the coordinates i and o of x turns the labels of S' into those of S and w
into w^io, its entries i and o exchanged.  So under (S', w) the pair (Z_i, Z_o) has the law of (Z_o, Z_i)
under (S, w^io), and the unit's failure probability under (S', w) is that under (S, w^io).  The latter
depends on the signs s = w_S only, call it delta_s: flipping x_o and w_o for o outside S changes the sign of
G_o and nothing else.  For the same reason w_o may be chosen freely.  Two choices give two pairs of laws, for
any i in S:

* w_o = +w_i: w^io = w.  P = law of (Z_i, Z_o), P' = P with its arguments exchanged; both fail with
  probability delta_s.
* w_o = -w_i: w^io has the signs s^i, s with s_i flipped.  P = law of (Z_i, Z_o) for s, P' = exchanged law of
  (Z_i, Z_o) for s^i (and w_o = +s_i); they fail with probabilities delta_s and delta_{s^i}.

**Theorem (B2).** Let D be the smaller of KL(P||P') and KL(P'||P), per sample.  Then (+)  `delta_s >= 1/4
exp(-B D+_{s,i})`, and (-)  `delta_s + delta_{s^i} >= 1/2 exp(-B D-_{s,i})`. Hence a unit with uniformly
random signs that succeeds with probability >= 1 - delta on average over them needs

    E_s exp(-B D_s) <= 4 delta,   D_s = min_i D+_{s,i},   and for each i   E_s exp(-B D-_{s,i}) <= 4 delta,

and B2 is the largest B at which one of these k + 1 conditions starts to hold.  If all D are equal, as for
the parity, it is **ln(1/(4 delta)) / D**.

**Proof.** For any event A, P^B(not A) + P'^B(A) >= 1/2 exp(-KL(P^B||P'^B)) (Bretagnolle and Huber 1979), and
the divergence of B independent samples is B D.  P^B(not A) is at most the failure probability under S,
P'^B(A) at most that under S'.  Average over s; the map s -> s^i is a bijection.  The left sides decrease in
B.

**Exact for +-1 labels.** With c = E[T x_i x_o] the pair has `P(a, b) = (tau_0 + a mu_i + b mu_o + ab c)/4`,
so that D = (d/2) ln((tau_0 - c + d)/(tau_0 - c - d)), d = mu_i - mu_o: about Delta^2/(tau_0 - c).  For the
parity, (+) has |d| = |tau_{k-1}| + |tau_{k+1}| and (-) has |d| = | |tau_{k-1}| - |tau_{k+1}| | (n odd, no
bias).

**Assumptions.** n > k; the unit is judged by the strict event above; labels come with fresh independent
samples; the same procedure serves S and S'.  Nothing is assumed of the labels but that they depend on x_S.
It bounds the average over the unit's random signs; a single sign pattern is bounded by (+) alone, and the
smallest such bound over s is in `details["any_pattern"]` (all patterns of the parity fail with the same
probability, so there it is B2 itself). For delta >= 1/4 the theorem says nothing and the value is 0.  Kind:
lower.

At b = 0, delta = 0.1, parity: 134.1 (n = 50, k = 2), 2.225e7 (n = 200, k = 4), 3.043e9 (n = 100, k = 6).

**B2h**, the same with a sharper inequality.  Let rho = sum sqrt(P P') be the affinity of two laws and D = -2
ln rho.  Le Cam's `TV <= sqrt(1 - rho^2)` gives P^B(not A) + P'^B(A) >= 1 - sqrt(1 - exp(-B D)), so (+) and
(-) hold with `1/2 (1 - sqrt(1 - exp(-B D)))` in place of `1/4 exp(-B D)`, and for equal D the bound is
**ln(1/(4 delta (1 - delta))) / D**.  It is never below B2, since D <= KL (Jensen) and the inequality of
Bretagnolle and Huber passes through rho.  As D is about KL/2 for close laws it is about twice B2, and it
says something for every delta < 1/2 and for laws of which neither dominates the other (real-valued labels,
where KL is infinite and B2 is 0).

**References.** Bretagnolle and Huber, *Estimation des densites: risque minimax*, Z.
Wahrscheinlichkeitstheorie 47 (1979); Le Cam, *Convergence of estimates under dimensionality restrictions*,
Ann. Statist. 1 (1973); both as in Tsybakov, *Introduction to Nonparametric Estimation* (2009), Lemmas 2.3
and 2.6 and Theorem 2.2.

>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> int(BretagnolleHuber().samples(50, 2, threshold_count(50, 0), Parity(2), Fraction(1, 10)).value)
134
"""

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, final

import flint

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.enclosure import ball, hull, lower, tight, upper
from theory.gradient import FirstStepLaw, law_classes
from theory.targets import Target, patterns
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

PairLaw = dict[tuple[Fraction, Fraction], Fraction]
_MAX_AVERAGED = 6  # above this k the (-) conditions need more than 2^k k pair laws and are left out


def divergence(law: PairLaw, other: PairLaw) -> flint.arb:
    """Return KL(law || other), certified to 2^-64; infinite if `law` has mass where `other` has none.

    >>> p, q = Fraction(1, 2), Fraction(1, 4)
    >>> a, b = (Fraction(0), Fraction(0)), (Fraction(1), Fraction(0))
    >>> float(divergence({a: p, b: 1 - p}, {a: q, b: 1 - q}))  # doctest: +ELLIPSIS
    0.143841036...
    """
    ratios = [(p, other.get(value, Fraction(0))) for value, p in law.items() if p]
    if any(q == 0 for _, q in ratios):
        return flint.arb.pos_inf()
    terms = [(p, p / q) for p, q in ratios if p != q]
    return tight(lambda: sum((ball(p) * ball(ratio).log() for p, ratio in terms), start=flint.arb(0)))


def exchanged(law: PairLaw) -> PairLaw:
    """Return the law of (b, a) for (a, b) of the given law."""
    return {(b, a): p for (a, b), p in law.items()}


def affinity_divergence(law: PairLaw, other: PairLaw) -> flint.arb:
    """Return -2 ln sum sqrt(P P'), certified to 2^-64; infinite for laws on disjoint sets."""
    pairs = [(law.get(value, Fraction(0)), other.get(value, Fraction(0))) for value in {*law, *other}]
    if not any(p and q for p, q in pairs):
        return flint.arb.pos_inf()
    differing = [(p, q) for p, q in pairs if p != q]
    # 1 - sum sqrt(P P') = 1/2 sum (sqrt P - sqrt P')^2 has no cancellation beyond that of the roots
    return tight(
        lambda: (
            -2
            * (-sum(((ball(p).sqrt() - ball(q).sqrt()) ** 2 for p, q in differing), flint.arb(0)) / 2).log1p()
        )
    )


def same_sign(law: FirstStepLaw, position: int) -> tuple[PairLaw, PairLaw]:
    """Return P and P' of (+): w_o = w_i, i the support's coordinate at `position`."""
    pair = _with_sign(law, position, law.signs[position])
    return pair, exchanged(pair)


def opposite_sign(law: FirstStepLaw, position: int) -> tuple[PairLaw, PairLaw]:
    """Return P and P' of (-): w_o = -w_i."""
    sign = law.signs[position]
    signs = tuple(-s if t == position else s for t, s in enumerate(law.signs))
    pair = _with_sign(law, position, -sign)
    return pair, exchanged(_with_sign(FirstStepLaw(law.n, law.q, law.target, signs), position, sign))


def _with_sign(law: FirstStepLaw, position: int, sign: int) -> PairLaw:
    """Law of (Z_i, Z_o) when w_o = sign; the law's second entry is Z_o w_o."""
    return {(a, sign * b): p for (a, b), p in law.pair_law(position).items()}


class _PairBound(Bound):
    """What B2 and B2h share: the divergences, their averages over sign patterns, and the largest root."""

    @property
    def kind(self) -> Kind:
        """Fewer samples do not suffice."""
        return Kind.LOWER

    @abstractmethod
    def information(self, delta: Fraction) -> flint.arb:
        """Return the x that B D must reach for a failure probability <= delta; 0 if there is none."""

    @abstractmethod
    def failure_floor(self, information: float) -> float:
        """Return a certified lower bound of the failure probability when B D <= information."""

    @abstractmethod
    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return the divergence D per sample that the bound uses."""

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Some coordinate is off the support, as `samples` requires; the rest holds by construction."""
        return (Assumption("n > k and the labels depend on the support only", n > target.k),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        needed = self.information(delta)
        if not needed > 0:
            return flint.arb(0), {"any_pattern": 0.0}
        k, classes = target.k, law_classes(n, q, target)
        plus = [
            (_least([self.divergence(*same_sign(law, i)) for i in range(k)]), size) for law, size in classes
        ]
        single = _least([_quotient(needed, value) for value, _ in plus])
        conditions = [plus]
        if len(classes) == 1:
            law = classes[0][0]
            minus = _least([self.divergence(*opposite_sign(law, i)) for i in range(k)])
            conditions.append([(minus, 1 << k)])
            single = _largest([single, _quotient(needed, minus)])
        elif k <= _MAX_AVERAGED:
            every = [FirstStepLaw(n, q, target, pattern) for pattern in patterns(k)]
            conditions += [[(self.divergence(*opposite_sign(law, i)), 1) for law in every] for i in range(k)]
        roots = [self._root(condition, delta, needed) for condition in conditions]
        return _largest(roots), {"any_pattern": max(0.0, lower(single))}

    def _root(
        self, condition: Sequence[tuple[flint.arb, int]], delta: Fraction, needed: flint.arb
    ) -> flint.arb:
        """Ball around the B where E_s failure_floor(B D_s) falls to delta; 0 if it starts there."""
        first = condition[0][0]
        if all(value.overlaps(first) for value, _ in condition):
            return _quotient(needed, functools.reduce(hull, (value for value, _ in condition)))
        total = sum(size for _, size in condition)
        finite = [(upper(value), size) for value, size in condition if value.is_finite()]

        def floor(B: float) -> float:
            return (
                math.fsum(size * self.failure_floor(B * D * (1 + 1e-14) if D else 0.0) for D, size in finite)
                / total
            )

        level = upper(delta) * (1 + 1e-12)
        if not floor(0.0) > level:
            return flint.arb(0)
        if floor(math.inf) > level:
            return flint.arb.pos_inf()
        low, high = 0.0, max(upper(_quotient(needed, ball(D))) for D, _ in finite if D) * (1 + 1e-9)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if floor(middle) > level else (low, middle)
        return hull(low, high * (1 + 1e-9))


def _quotient(needed: flint.arb, value: flint.arb) -> flint.arb:
    """needed/value, infinite for two laws that are the same and 0 for two that never are confused."""
    if not value.is_finite():
        return flint.arb(0)
    return flint.arb.pos_inf() if value.is_zero() else needed / value


def _least(values: Sequence[flint.arb]) -> flint.arb:
    """Ball around the minimum; infinite balls count as large."""
    finite = [value for value in values if value.is_finite()]
    result = finite[0] if finite else flint.arb.pos_inf()
    for value in finite[1:]:
        result = result.min(value)
    return result


def _largest(values: Sequence[flint.arb]) -> flint.arb:
    """Ball around the maximum."""
    if any(not value.is_finite() for value in values):
        return flint.arb.pos_inf()
    result = values[0]
    for value in values[1:]:
        result = result.max(value)
    return result


@final
class BretagnolleHuber(_PairBound):
    """B2; see the module's docstring for statement and proof."""

    @property
    def name(self) -> str:
        """Short identifier."""
        return "B2"

    @property
    def statement(self) -> str:
        """The theorem in one sentence."""
        return "Success with probability 1 - delta, on average over signs, needs B >= ln(1/(4 delta))/KL."

    @property
    def reference(self) -> str:
        """Where the argument comes from."""
        return "Bretagnolle and Huber 1979 (Tsybakov 2009, Lemma 2.6), applied to one pair of coordinates"

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import log, symbols

        delta, D = symbols("delta D_KL", positive=True)
        return log(1 / (4 * delta)) / D

    def information(self, delta: Fraction) -> flint.arb:
        """Return ln(1/(4 delta)), or 0 for delta >= 1/4."""
        return tight(lambda: -ball(4 * delta).log()) if delta < Fraction(1, 4) else flint.arb(0)

    def failure_floor(self, information: float) -> float:
        """Return exp(-x)/4, rounded down."""
        return 0.25 * math.exp(-information) * (1 - 1e-14)

    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return the smaller direction of KL: the inequality holds with either."""
        return _least([divergence(law, other), divergence(other, law)])


@final
class LeCam(_PairBound):
    """B2h; see the module's docstring for statement and proof."""

    @property
    def name(self) -> str:
        """Short identifier."""
        return "B2h"

    @property
    def statement(self) -> str:
        """The theorem in one sentence."""
        return "Success with probability 1 - delta needs B >= ln(1/(4 delta (1 - delta)))/(-2 ln rho)."

    @property
    def reference(self) -> str:
        """Where the argument comes from."""
        return "Le Cam 1973 (Tsybakov 2009, Lemma 2.3), applied to one pair of coordinates"

    @property
    def formula(self) -> "sympy.Expr":
        """The bound as a sympy expression."""
        from sympy import log, symbols

        delta, rho = symbols("delta rho", positive=True)
        return log(1 / (4 * delta * (1 - delta))) / (-2 * log(rho))

    def information(self, delta: Fraction) -> flint.arb:
        """Return ln(1/(4 delta (1 - delta))), or 0 for delta >= 1/2."""
        return tight(lambda: -ball(4 * delta * (1 - delta)).log()) if delta < Fraction(1, 2) else flint.arb(0)

    def failure_floor(self, information: float) -> float:
        """Return (1 - sqrt(1 - e^-x))/2, rounded down."""
        return 0.5 * math.exp(-information) / (1 + math.sqrt(-math.expm1(-information))) * (1 - 1e-14)

    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return -2 ln of the affinity."""
        return affinity_divergence(law, other)
