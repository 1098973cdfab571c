"""All claims, and what the evidence says of each."""

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import final

from sim.claims.asymptotic import ASYMPTOTIC
from sim.claims.bounds import BOUNDS
from sim.claims.claim import Claim, Entry
from sim.claims.evidence import Evidence
from sim.claims.paper import RESULTS
from sim.claims.predictions import PREDICTIONS
from sim.levels import ALPHA_CONTRADICTED
from theory.verdict import Verdict

CLAIMS: tuple[Claim, ...] = (*RESULTS, *BOUNDS, *ASYMPTOTIC, *PREDICTIONS)

FAMILY_ERROR = 0.05
"""With at most this probability a ledger calls any true claim CONTRADICTED."""


@final
@dataclass(frozen=True)
class Ledger:
    """The rows, and how they were corrected for their number.

    Attributes:
        entries: in the order of the claims.
        tests: sides of tests that could have contradicted a claim.
        alpha: two-sided error of each.
    """

    entries: tuple[Entry, ...]
    tests: int
    alpha: float

    @property
    def correction(self) -> str:
        """The correction in a sentence."""
        many = f"{self.tests} one-sided tests (an equality counts as two) could contradict a claim"
        if self.tests * ALPHA_CONTRADICTED <= 2 * FAMILY_ERROR:
            rule = f"each does at a one-sided error of {self.alpha / 2:.2g}, as in the tables of grids"
        else:
            rule = f"each does at a one-sided error of {FAMILY_ERROR}/{self.tests} = {self.alpha / 2:.2g} (Bonferroni)"
        family = math.ceil(1e4 * min(FAMILY_ERROR, self.tests * self.alpha / 2) - 1e-9) / 1e4
        return (
            f"{many}; {rule}, so that all of them together call any true claim contradicted with probability at most "
            f"{family:g}. Consistent means that every comparison supports the claim: lower bounds and shares at a "
            "one-sided error of 5 %; upper bounds by excluding, at 5 %, that so many samples fail twice as often as "
            "the bound allows; slopes and plateaus by not being contradicted where their interval is narrow enough "
            "to tell. That all comparisons have to agree makes a correction needless."
        )

    @cached_property
    def counts(self) -> dict[Verdict | None, int]:
        """Rows by verdict; None: open."""
        found = Counter(entry.verdict for entry in self.entries)
        return {verdict: found[verdict] for verdict in (*Verdict, None)}

    @property
    def verdict(self) -> Verdict | None:
        """The weakest of all rows that are not open; None if all are."""
        for verdict in (Verdict.CONTRADICTED, Verdict.UNDECIDED, Verdict.CONSISTENT):
            if self.counts[verdict]:
                return verdict
        return None


def level(tests: int) -> float:
    """The two-sided error of each of some comparisons: that of every verdict, or less where they are many."""
    return min(ALPHA_CONTRADICTED, 2 * FAMILY_ERROR / max(tests, 1))


def ledger(evidence: Evidence, claims: tuple[Claim, ...] = CLAIMS) -> Ledger:
    """Hold the evidence against all claims."""
    found = [(claim, tuple(claim.cases(evidence))) for claim in claims]
    tests = sum(case.sides for _, cases in found for case in cases)
    alpha = level(tests)
    entries = tuple(entry for claim, cases in found for entry in claim.entries(cases, alpha))
    return Ledger(entries, tests, alpha)
