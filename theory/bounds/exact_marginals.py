"""B1': how many samples suffice, by the exact laws of the coordinates and a union bound.

**Problem.** As for B1: one unit, G_i the sum of Z_i = F T x_i over B samples, success min_S |G_i| > max_{not
S} |G_o|.

**Theorem (B1').** For every threshold t and every B,

    P(failure) <= e(B, t) = sum_{i in S} P(|G_i| <= t) + (n - k) P(|G_o| > t),

and B1' is the least B found with min_t e(B, t) <= delta.

**Proof.** If no event on the right happens, |G_i| > t >= |G_o| for all i in S and o not in S.  Union bound.

**What is computed.** The marginals are sums of B independent terms of a known finite law, so their tails are
exact (`theory.tails`): e(B, t) is certified to relative 2^-24 and compared with delta from its upper end.

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

B1' <= B1: Bernstein's inequality bounds each tail from above, at t = B theta.

**Worst case.** The maximum over the 2^k sign patterns; infinite if some pattern has Delta <= 0.  Kind:
upper; loses only the union bound, so it is close to the true B_{1-delta} for small delta.

At b = 0, delta = 0.1, parity: 3861 (n = 50, k = 2), 8.19e8 (n = 200, k = 4), 1.072e11 (n = 100, k = 6),
about half of B1.

**References.** Union bound with exact binomial-type tails: e.g. Langford, *Tutorial on practical prediction
theory for classification*, JMLR 6 (2005); Bahadur and Rao, *On deviations of the sample mean*, Ann. Math.
Statist. 31 (1960).
"""

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, final

import flint
from scipy.optimize import minimize_scalar

from theory.bounds.base import Assumption, Bound, Evaluation
from theory.bounds.bernstein import bernstein_factor, margin_assumption
from theory.chernoff import Law, chernoff_rate, mirrored
from theory.enclosure import ball, lower, precision, tight, upper
from theory.gradient import FirstStepLaw, law_classes
from theory.inversion import tilt_for
from theory.tails import MAX_TOP, Lattice, LatticeSum
from theory.targets import Target
from theory.verdict import Kind

if TYPE_CHECKING:
    import sympy

_BITS = 24
_TOLERANCE = 2.0**-13
_ROUGHEST = 100.0  # beyond, exact tails need too many frequencies each


@dataclass(frozen=True)
class Marginals:
    """The marginal laws of one unit's coordinates, and the union bound e(B, t) on them.

    law: any first-step law with positive margin and n > k.
    """

    law: FirstStepLaw

    @cached_property
    def inside(self) -> tuple[tuple[Law, int], ...]:
        """Laws of the support's coordinates, turned so that their means are positive, with multiplicities."""
        counts: Counter[tuple[tuple[Fraction, Fraction], ...]] = Counter()
        for position, mean in enumerate(self.law.mean_in):
            law = self.law.coordinate_law(position)
            counts[tuple(sorted((law if mean > 0 else mirrored(law)).items()))] += 1
        return tuple((dict(items), count) for items, count in counts.items())

    @cached_property
    def outside(self) -> tuple[Law, int]:
        """Law of a coordinate off the support, and how many there are."""
        return self.law.coordinate_law("out"), self.law.n - self.law.k

    @cached_property
    def on_lattice(self) -> bool:
        """True iff all values lie on a lattice coarse enough for exact tails in milliseconds."""
        return all(lattice.top <= MAX_TOP and lattice.roughness <= _ROUGHEST for lattice in self.lattices)

    @cached_property
    def lattices(self) -> tuple[Lattice, ...]:
        """Lattices of the laws inside, then of the one outside."""
        return (*(Lattice.of(law) for law, _ in self.inside), Lattice.of(self.outside[0]))

    @property
    def ends(self) -> tuple[float, float]:
        """|mean| off the support and the least |mean| on it: thresholds per sample lie between them."""
        return float(abs(self.law.mean_out)), float(min(abs(mean) for mean in self.law.mean_in))

    def failure(self, B: int, threshold: Fraction, bits: int = _BITS) -> flint.arb:
        """Return e(B, threshold) as a ball of relative width 2^-bits."""
        with precision(bits + 32):
            total = flint.arb(0)
            (*inside, outside), count = self.lattices, self.outside[1]
            for lattice, (_, multiplicity) in zip(inside, self.inside, strict=True):
                total += multiplicity * LatticeSum(lattice, B).absolute_at_most(threshold, bits)
            return total + count * LatticeSum(outside, B).absolute_above(threshold, bits)

    def threshold(self, B: int, u: float) -> Fraction:
        """Return a threshold near B (mu_out + u (mu_in - mu_out)), between two values of the sum."""
        low, high = self.ends
        span = self.lattices[-1].span
        return (B * Fraction(low + u * (high - low)) // span) * span + span / 2

    def height(self, B: int, u: float) -> float:
        """Return log e(B, t) at the threshold of u, as a float."""
        return _log(self.failure(B, self.threshold(B, u)))

    def best_position(self, B: int, start: float = 0.5, width: float = 0.5) -> float:
        """Return a u, within `width` of `start`, that nearly minimises e(B, .); any is valid, this one is good."""
        bounds = max(0.01, start - width), min(0.99, start + width)
        found = minimize_scalar(
            lambda u: self.height(B, float(u)), bounds=bounds, method="bounded", options={"xatol": 0.004}
        )
        return float(found.x)

    def chernoff_samples(self, delta: Fraction) -> tuple[float, Fraction]:
        """Return (B, c): P(failure) <= delta for all B' >= B, by Chernoff's bound at c B', c optimised."""
        low, high = self.ends

        def at(u: float) -> Fraction:
            return Fraction(low + u * (high - low))

        found = minimize_scalar(
            lambda u: math.log(self._chernoff_at(at(u), delta)), bounds=(0.02, 0.98), options={"xatol": 1e-4}
        )
        c = at(float(found.x))
        return self._chernoff_at(c, delta), c

    def _chernoff_at(self, c: Fraction, delta: Fraction) -> float:
        terms = [(float(count), lower(chernoff_rate(mirrored(law), -c))) for law, count in self.inside]
        law, count = self.outside
        terms += [(float(count), lower(chernoff_rate(side, c))) for side in (law, mirrored(law))]
        return _least_samples(terms, delta, 1.0)

    def persistent_samples(self, start: int, threshold: Fraction, delta: Fraction) -> float:
        """Return B >= start with P(failure) <= delta for all B' >= B, by the envelope of the docstring."""
        c = threshold / start
        terms = [_envelope(law, start, c, -1, count) for law, count in self.inside]
        law, count = self.outside
        terms += [_envelope(side, start, c, +1, count) for side in (law, mirrored(law))]
        return _least_samples(terms, delta, float(start))


def _envelope(law: Law, start: int, c: Fraction, side: int, count: int) -> tuple[float, float]:
    """(A, I) with count * P(side * S >= side * c B) <= A exp(-B I) for all B >= start; side is 1 or -1."""
    lattice = Lattice.of(law)
    position = (c - lattice.offset) / lattice.span
    if side * (position - (lattice.top if side > 0 else 0)) > 0:
        return 0.0, math.inf
    tilt = tilt_for(lattice.masses, position, start)
    if side * (tilt - 1) <= 0:
        return float(count), 0.0

    def rate() -> flint.arb:
        generating = sum((ball(p) * ball(tilt) ** m for m, p in lattice.masses), start=flint.arb(0))
        return ball(position) * ball(tilt).log() - generating.log()

    highest = LatticeSum(law, start).concentration(tilt)
    prefactor = count * highest / (1 - ball(tilt ** (-side)))
    return upper(prefactor), max(0.0, lower(tight(rate, bits=40)))


def _least_samples(terms: list[tuple[float, float]], delta: Fraction, start: float) -> float:
    """A B >= start with sum A exp(-B I) <= delta from there on, on the safe side; infinite if none."""
    level = lower(delta) * (1 - 1e-9)
    if any(rate <= 0 and factor > 0 for factor, rate in terms):
        return math.inf

    def holds(B: float) -> bool:
        return math.fsum(factor * math.exp(-B * rate) for factor, rate in terms if factor) <= level

    if holds(start):
        return start
    low, high = start, 2 * start
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1e-7 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _log(value: flint.arb) -> float:
    return float(value.mid().log()) if value.mid() > 0 else -math.inf


@final
class ExactMarginals(Bound):
    """B1'; see the module's docstring for statement and proof."""

    @property
    def name(self) -> str:
        """Short identifier."""
        return "B1'"

    @property
    def kind(self) -> Kind:
        """That many samples suffice."""
        return Kind.UPPER

    @property
    def statement(self) -> str:
        """The theorem in one sentence."""
        return "P(failure) <= delta at this B, as min_t k P(|G_in| <= t) + (n - k) P(|G_out| > t) <= delta."

    @property
    def reference(self) -> str:
        """Where the argument comes from."""
        return "union bound over exact marginal tails"

    @property
    def formula(self) -> "sympy.Expr":
        """The failure bound e(B, t), whose least root in B is the value, as a sympy expression."""
        from sympy import Function, symbols

        B, t, n, k = symbols("B t n k", positive=True)
        inside, outside = Function("P_in")(B, t), Function("P_out")(B, t)
        return k * inside + (n - k) * outside

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
