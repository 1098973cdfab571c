"""The signed first step: u_i = sign(g_i) 1[|g_i| > lambda], a dead zone as in Kou et al. 2024, exactly and certified.

**Problem.** A student's first-layer weights after one step on B samples are u in {-1, 0, 1}^n: the sign of the
gradient g_i where it leaves a dead zone lambda, 0 elsewhere; its initialisation is wiped.  The second stage sees x
through t = <u, x> only.  The student *succeeds* iff u is non-zero exactly on S: signs do not matter, since chi_S =
prod_{i in S} u_i (-1)^((k-t)/2) for any of them (`theory.second_stage.knot_features`).

**Why only exact success counts.** `loss_floor(k)` bounds the loss of every other outcome from below, whatever the
second stage does and however long: a missed i in S makes f independent of x_i, so E max(0, 1 - chi_S f) >= 1 - E chi_S
f = 1; with e >= 1 coordinates too many, f is a function of a sum of k + e signs and

    min_f E max(0, 1 - chi_S f) = 1 - A_e,   A_e = max_{|f| <= 1} E chi_S f(t) = 2^-(k+e) sum_j |K_j(k; k+e)|,

since the best f(t) is the sign of E[chi_S | t], and the loss given t is then 1 - |E[chi_S | t]|.  A_e does not increase
with e (averaging f(t + z) over one more sign z is a function of t), and A_1 = 2^-k C(k, floor(k/2)) by telescoping.
The error P(chi_S f <= 0) of such a student is at least half as much, (1 - A_1)/2.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import flint

from theory import errors
from theory.enclosure import ball, lower, tight, upper
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw, law_classes
from theory.marginals import Marginals
from theory.targets import MAX_SUPPORT, Target
from theory.walsh import krawtchouk


def advantage(k: int, extra: int) -> Fraction:
    """Return A_e: the largest E chi_S f(t) over |f| <= 1, t the sum of the k signs of S and e = extra others.

    Kind: exact; 1 for e = 0.

    >>> advantage(4, 0), advantage(4, 1)
    (Fraction(1, 1), Fraction(3, 8))
    """
    k, extra = errors.integer("k", k, 1, MAX_SUPPORT), errors.integer("extra", extra, 0)
    size = k + extra
    return Fraction(sum(abs(krawtchouk(j, k, size)) for j in range(size + 1)), 1 << size)


def loss_floor(k: int) -> Fraction:
    """Return 1 - A_1: no student whose u is not non-zero exactly on S has a smaller hinge loss.  Kind: lower.

    >>> [loss_floor(k) for k in (2, 4, 6)]
    [Fraction(1, 2), Fraction(5, 8), Fraction(11, 16)]
    """
    return 1 - Fraction(math.comb(errors.integer("k", k, 1, MAX_SUPPORT), k // 2), 1 << k)


def error_floor(k: int) -> Fraction:
    """Return (1 - A_1)/2: no such student has a smaller error.  Kind: lower."""
    return loss_floor(k) / 2


@dataclass(frozen=True)
class SignedStep:
    """A dead zone that serves all sign patterns of a unit, and the moments that bound its failure.

    dead_zone: lambda, half-way between the least |mean| on the support and the largest off it, over all patterns of
    the unit's weights; margin: Delta, the distance between the two, > 0; second_moment: the largest E[F^2 T];
    sup_norm: |F| <= M; mean: the largest |mean|.
    """

    dead_zone: Fraction
    margin: Fraction
    second_moment: Fraction
    sup_norm: Fraction
    mean: Fraction

    @classmethod
    def of(cls, n: int, q: int, target: Target) -> "SignedStep":
        """Return the step of a unit of threshold count q; raises TheoryError if no dead zone serves all patterns."""
        return _of_target(n, q, target)

    @classmethod
    def between(
        cls, inside: Fraction, outside: Fraction, second_moment: Fraction, sup_norm: Fraction, mean: Fraction
    ) -> "SignedStep":
        """Return the step for a least |mean| `inside` on the support and a largest `outside` off it.

        Raises TheoryError unless inside > outside.
        """
        if inside <= outside:
            raise TheoryError(
                f"Means of {float(inside):.3g} on the support and {float(outside):.3g} off it leave no dead zone "
                "between them; the first must be larger."
            )
        return cls((inside + outside) / 2, inside - outside, second_moment, sup_norm, mean)

    @classmethod
    def of_equal(cls, k: int) -> "SignedStep":
        """Return the step for F = sum_{i in S} s_i x_i, n odd and no bias, in closed form, whatever n is."""
        k = errors.integer("k", k, 1, MAX_SUPPORT)
        half = Fraction(1, 2)
        return cls(half / 2, half, Fraction(k, 2), Fraction(k), half)

    def sufficient(self, n: int, k: int, delta: Fraction) -> flint.arb:
        """Return the B of theorem S1 (`theory.bounds.signed_step`); it and every larger number suffice."""
        factor = 8 * self.second_moment + Fraction(4, 3) * (self.sup_norm + self.mean) * self.margin
        events = (2 * n - k) / delta
        return tight(lambda: ball(factor / self.margin**2) * ball(events).log())


@lru_cache(maxsize=512)
def _of_target(n: int, q: int, target: Target) -> SignedStep:
    laws = [law for law, _ in law_classes(n, q, target)]
    means = [abs(mean) for law in laws for mean in law.mean_in]
    outside = max(abs(law.mean_out) for law in laws)
    second = max(law.second_moment for law in laws)
    return SignedStep.between(min(means), outside, second, target.sup_norm, max(*means, outside))


@lru_cache(maxsize=512)
def exact_sufficient(n: int, q: int, target: Target, delta: Fraction) -> tuple[int, float]:
    """Return (B, persistent) of theorem S1' (`theory.bounds.signed_step_exact`).

    At B samples the union bound over exact marginals at threshold lambda B is certainly <= delta, for every pattern; a
    number about 10^-3 (or 1) below is not certified.  From `persistent` on every number suffices.  Where a target's
    lattice is too fine for exact tails, Chernoff's bound takes their place.
    Raises TheoryError if no dead zone serves all patterns.
    """
    step = SignedStep.of(n, q, target)
    marginals = [Marginals(law) for law, _ in law_classes(n, q, target)]
    easy = [math.ceil(m.chernoff_at(step.dead_zone, delta)) for m in marginals]
    if not all(m.on_lattice for m in marginals):
        return max(easy), float(max(easy))
    found = 1
    for m, sufficient in sorted(zip(marginals, easy, strict=True), key=lambda pair: -pair[1]):
        found = max(found, _least(m, step.dead_zone, delta, found, sufficient))
    lasting = [
        float(found)
        if b <= found
        else min(float(b), m.persistent_samples(found, found * step.dead_zone, delta))
        for m, b in zip(marginals, easy, strict=True)
    ]
    return found, float(math.ceil(max(lasting)))


def _least(m: Marginals, dead_zone: Fraction, delta: Fraction, low: int, high: int) -> int:
    """Least certified B in [low, high] that bisection finds, to 10^-3; `high` certainly holds."""

    def holds(B: int) -> bool:
        return bool(upper(m.failure(B, B * dead_zone)) <= lower(delta))

    if high <= low or holds(low):
        return low
    below, above = low, high
    while above - below > max(1, above // 1000):
        middle = (below + above) // 2
        below, above = (below, middle) if holds(middle) else (middle, above)
    return above


def exact_failure(law: FirstStepLaw, dead_zone: Fraction, B: int) -> flint.arb:
    """Return sum_{i in S} P(|G_i| <= lambda B) + (n - k) P(|G_o| > lambda B), a ball.  Kind: upper, of P(failure)."""
    return Marginals(law).failure(errors.integer("B", B, 1), B * dead_zone)
