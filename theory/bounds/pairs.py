"""What B2 and B2h share: the laws of a pair of coordinates under two supports, their divergences, the largest root.

The argument is in the docstring of `theory.bounds.bretagnolle_huber`.
"""

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import flint

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.parameters import Values
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


class PairBound(Bound):
    """What B2 and B2h share: the divergences, their averages over sign patterns, and the largest root."""

    kind = Kind.LOWER

    @abstractmethod
    def information(self, delta: Fraction) -> flint.arb:
        """Return the x that B D must reach for a failure probability <= delta; 0 if there is none."""

    @abstractmethod
    def failure_floor(self, information: float) -> float:
        """Return a certified lower bound of the failure probability when B D <= information."""

    @abstractmethod
    def divergence(self, law: PairLaw, other: PairLaw) -> flint.arb:
        """Return the divergence D per sample that the bound uses."""

    @property
    @abstractmethod
    def symbolic_information(self) -> "sympy.Expr":
        """`information` as an expression in delta, where it is not 0."""

    @abstractmethod
    def symbolic_divergence(self, d: "sympy.Expr") -> "sympy.Expr":
        """Return D for +-1 labels, n odd and no bias, where tau_0 - c = 1/2, as an expression in d = |mu_i - mu_o|."""

    def shape(self, values: Values) -> "tuple[sympy.Expr, ...]":
        """The parity at an unbiased unit, n odd: both ends of the spectrum's envelopes."""
        from theory.bounds.shapes import parity_sides, substituted

        needed = substituted(self.symbolic_information, {"delta": values["delta"]})
        return parity_sides(values, lambda near, far, _: needed / self.symbolic_divergence(near - far))

    def assumptions(self, n: int, q: int, target: Target) -> tuple[Assumption, ...]:
        """Some coordinate is off the support, as `samples` requires; the rest holds by construction."""
        return (Assumption("n > k and the labels depend on the support only", n > target.k),)

    def _evaluate(self, n: int, q: int, target: Target, delta: Fraction) -> Evaluation:
        needed = self.information(delta)
        if not needed > 0:
            return flint.arb(0), {"any_pattern": 0.0}
        k, classes = target.k, law_classes(n, q, target)
        plus = [
            (least([self.divergence(*same_sign(law, i)) for i in range(k)]), size) for law, size in classes
        ]
        single = least([quotient(needed, value) for value, _ in plus])
        conditions = [plus]
        if len(classes) == 1:
            law = classes[0][0]
            minus = least([self.divergence(*opposite_sign(law, i)) for i in range(k)])
            conditions.append([(minus, 1 << k)])
            single = largest([single, quotient(needed, minus)])
        elif k <= _MAX_AVERAGED:
            every = [FirstStepLaw(n, q, target, pattern) for pattern in patterns(k)]
            conditions += [[(self.divergence(*opposite_sign(law, i)), 1) for law in every] for i in range(k)]
        roots = [self._root(condition, delta, needed) for condition in conditions]
        return largest(roots), {"any_pattern": max(0.0, lower(single))}

    def _root(
        self, condition: Sequence[tuple[flint.arb, int]], delta: Fraction, needed: flint.arb
    ) -> flint.arb:
        """Ball around the B where E_s failure_floor(B D_s) falls to delta; 0 if it starts there."""
        first = condition[0][0]
        if all(value.overlaps(first) for value, _ in condition):
            return quotient(needed, functools.reduce(hull, (value for value, _ in condition)))
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
        low, high = 0.0, max(upper(quotient(needed, ball(D))) for D, _ in finite if D) * (1 + 1e-9)
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if floor(middle) > level else (low, middle)
        return hull(low, high * (1 + 1e-9))


def quotient(needed: flint.arb, value: flint.arb) -> flint.arb:
    """needed/value, infinite for two laws that are the same and 0 for two that never are confused."""
    if not value.is_finite():
        return flint.arb(0)
    return flint.arb.pos_inf() if value.is_zero() else needed / value


def least(values: Sequence[flint.arb]) -> flint.arb:
    """Ball around the minimum; infinite balls count as large."""
    finite = [value for value in values if value.is_finite()]
    result = finite[0] if finite else flint.arb.pos_inf()
    for value in finite[1:]:
        result = result.min(value)
    return result


def largest(values: Sequence[flint.arb]) -> flint.arb:
    """Ball around the maximum."""
    if any(not value.is_finite() for value in values):
        return flint.arb.pos_inf()
    result = values[0]
    for value in values[1:]:
        result = result.max(value)
    return result
