"""When a case is slower: an interval for the ratio of times that assumes nothing about how times are distributed.

A round times the call of the old version and that of the new one, in an order that a fair coin decides; its ratio is
new / old. Sort the R ratios; the interval reaches from the k-th largest to the k-th smallest. The case is slower iff
the whole interval lies above 1.10, that is, iff at least k of the R ratios do.

Theorem. If the two versions behave alike, the probability of that is at most P(Binomial(R, 1/2) >= k), whatever the
noise and however it depends on the past. Proof: given all times of a round as they were taken, exchanging the coin's
sides exchanges the names old and new, and turns the ratio r into 1 / r. At most one of r and 1 / r is above 1.10, so
given everything else the ratio is above 1.10 with probability at most 1/2, independently in each round.

Timing ends early where it can change nothing: a case with more than R - k ratios that are at most 1.10, and as many
that are at least 1 / 1.10, can become neither slower nor faster. Its verdict is that of all R rounds.

k is the smallest number for which this is at most `RATE` divided by the number of cases, so that all of them together
are falsely called slower with probability at most `RATE`. A slowdown for which a share p of the rounds is above 1.10
is found with the probability `power(rounds, k, p)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import binom

SLOWER = 1.10
RATE = 1e-4


@dataclass(frozen=True)
class Interval:
    """The median of the rounds' ratios, and where it may lie."""

    low: float
    median: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval says."""
        if self.low > SLOWER:
            return "slower"
        return "faster" if self.high < 1 / SLOWER else "alike"


def tail(rounds: int, count: int) -> float:
    """P(Binomial(rounds, 1/2) >= count).

    >>> tail(3, 2)
    0.5
    """
    return sum(math.comb(rounds, i) for i in range(count, rounds + 1)) / (1 << rounds)


def needed(rounds: int, cases: int) -> int | None:
    """How many ratios above 1.10 make a case slower, or None where all of them are too few to say so."""
    return next((k for k in range(rounds // 2 + 1, rounds + 1) if tail(rounds, k) <= RATE / cases), None)


def power(rounds: int, count: int, share: float) -> float:
    """P(Binomial(rounds, share) >= count)."""
    return float(binom.sf(count - 1, rounds, share))


def settled(ratios: Sequence[float], misses: int) -> bool:
    """Whether more than `misses` = R - k ratios speak against slower, and as many against faster."""
    return min(sum(r <= SLOWER for r in ratios), sum(r >= 1 / SLOWER for r in ratios)) > misses


def interval(ratios: Sequence[float], count: int) -> Interval:
    """From the count-th largest of the ratios to the count-th smallest; count is above half of all rounds.

    Of fewer ratios than that, from the smallest to the largest: a case that was settled early.
    """
    ordered = sorted(ratios)
    rounds = len(ordered)
    middle = float(ordered[(rounds - 1) // 2] * ordered[rounds // 2]) ** 0.5
    return Interval(ordered[max(0, rounds - count)], middle, ordered[min(count, rounds) - 1])
