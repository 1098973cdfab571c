"""The correction for many comparisons: how the level shrinks, and how often a ledger of true claims raises an alarm."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import pytest
from scipy.stats import binom

from sim.claims.claim import Case, Claim, Reliability, Source
from sim.claims.evidence import Evidence
from sim.claims.ledger import CLAIMS, FAMILY_ERROR, ledger, level
from sim.claims.shares import Votes, share
from sim.levels import ALPHA_CONTRADICTED, growth_students, judge_bound, judge_rate, stricter
from tests.sim.claim_cases import first_step, students, verdict
from tests.sim.test_claims_students import EARLY, LATE, MANY, PROGRESSIVE, TAUGHT, one_shot, online
from tests.sim.test_growth import growth
from tests.statistics import StatisticalFailure, assert_proportion_at_most
from theory.intervals import Interval
from theory.verdict import Judgement, Kind, Verdict, judge

M, UNITS = 400, 51

FEW, USUAL, LEDGERS = 20, 0.05, 150
"""Fewer comparisons, at a laxer usual level: then ledgers take a moment, and those without the correction raise many
alarms, see `family`.
"""


@final
@dataclass(frozen=True)
class Coins(Claim):
    """That heads come up at least half of the time, of coins for which that is just true."""

    heads: tuple[int, ...]

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        votes = [Votes(h, UNITS - h, 0) for h in self.heads]
        return [Case("", "coins", tuple(share("heads", v, ()) for v in votes))]


def coins(rng: np.random.Generator, tests: int = M) -> tuple[Claim, ...]:
    heads = rng.binomial(UNITS, 0.5, size=(4, tests // 4))
    return tuple(
        Coins(
            f"c{i}",
            "t",
            "s",
            Source("w", ""),
            Reliability.DERIVED,
            "r",
            None,
            "no command",
            tuple(row.tolist()),
        )
        for i, row in enumerate(heads)
    )


def alarms() -> int:
    """Ledgers with a claim that is called contradicted, of `LEDGERS` in which all are true."""
    rng = np.random.default_rng(20)
    found = (ledger(Evidence(), coins(rng, FEW)) for _ in range(LEDGERS))
    return sum(one.verdict is Verdict.CONTRADICTED for one in found)


def family(alpha: float) -> float:
    """The exact probability that one of `FEW` coins is contradicted at a two-sided error alpha."""
    alarm = max(
        (binom.cdf(h, UNITS, 0.5) for h in range(UNITS) if binom.cdf(h, UNITS, 0.5) <= alpha / 2), default=0
    )
    return float(1 - (1 - alarm) ** FEW)


@pytest.mark.usefixtures("_usual")
def test_a_ledger_of_true_claims_raises_an_alarm_in_one_case_of_twenty_at_most() -> None:
    assert 0.02 < family(level(FEW)) <= FAMILY_ERROR < 0.3 < family(USUAL)
    assert_proportion_at_most(alarms(), LEDGERS, FAMILY_ERROR, alternative=0.3)


@pytest.mark.usefixtures("private_ledger", "_usual")
def test_without_the_correction_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the test: the level of a single verdict, for each of the comparisons."""
    monkeypatch.setattr("sim.claims.ledger.level", lambda tests: USUAL)
    with pytest.raises(StatisticalFailure):
        assert_proportion_at_most(alarms(), LEDGERS, FAMILY_ERROR, alternative=0.3)


@pytest.fixture
def _usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.claims.ledger.ALPHA_CONTRADICTED", USUAL)


def test_the_level_shrinks_with_the_number_of_tests() -> None:
    assert level(0) == level(1) == level(100) == ALPHA_CONTRADICTED
    assert level(101) < ALPHA_CONTRADICTED
    assert level(1000) == pytest.approx(1e-4)
    for tests in (1, 100, 101, 5000):
        assert tests * level(tests) / 2 <= FAMILY_ERROR * (1 + 1e-12)


def test_the_correction_is_stated() -> None:
    few = ledger(one_shot([LATE] * MANY))
    assert few.tests == 3  # two of the teacher
    assert few.correction.startswith("3 one-sided tests")
    assert "0.0005" in few.correction
    rng = np.random.default_rng(1)
    many = ledger(Evidence(), coins(rng))
    assert many.tests == M
    assert many.alpha == pytest.approx(2 * FAMILY_ERROR / M)
    assert "0.05/400" in many.correction
    assert "Bonferroni" in many.correction
    assert "probability at most 0.05" in many.correction


def test_many_other_comparisons_take_a_contradiction_back() -> None:
    """12 failures of 12 contradict a share of a half alone, at 2^-12 = 0.00024, and not among 400 tests."""
    alone = one_shot([LATE] * MANY)
    assert verdict(alone, "E1-one-shot") is Verdict.CONTRADICTED
    rng = np.random.default_rng(1)
    among = ledger(alone, (*CLAIMS, *coins(rng)))
    (entry,) = (e for e in among.entries if e.claim.id == "E1-one-shot")
    assert entry.verdict is Verdict.UNDECIDED
    more = ledger(one_shot([LATE] * 14), (*CLAIMS, *coins(rng)))
    (entry,) = (e for e in more.entries if e.claim.id == "E1-one-shot")
    assert entry.verdict is Verdict.CONTRADICTED


def test_support_needs_no_correction() -> None:
    rng = np.random.default_rng(1)
    evidence = online(TAUGHT, students(PROGRESSIVE, [EARLY] * 5))
    (entry,) = (e for e in ledger(evidence, (*CLAIMS, *coins(rng))).entries if e.claim.id == "E1-progressive")
    assert entry.verdict is Verdict.CONSISTENT


def test_a_claim_of_many_cells_is_supported_by_all_or_not() -> None:
    """An intersection-union test: a share of exactly a half, in the worst of three cells, is supported in 5 %."""
    rng = np.random.default_rng(3)
    supported = 0
    for heads in rng.binomial(UNITS, 0.5, size=2000).tolist():
        votes = (Votes(UNITS, 0, 0), Votes(heads, UNITS - heads, 0), Votes(UNITS, 0, 0))
        supported += all(v.judge(0.001).verdict is Verdict.CONSISTENT for v in votes)
    assert_proportion_at_most(supported, 2000, 0.05, alternative=0.1)


# The rules at a stricter level.


def test_bounds_and_rates_at_a_stricter_level() -> None:
    curve = first_step([1024] * 5, []).curve
    assert curve is not None
    # 5 students that all fail before 1,024 samples: 3/4 is excluded at 4^-5 = 0.00098.
    for alpha, expected in ((0.002, Verdict.CONTRADICTED), (0.0019, Verdict.UNDECIDED)):
        judgement = judge_bound(curve, 0.75, 512.0, Kind.UPPER, alpha)
        assert judgement is not None
        assert judgement.verdict is expected
    assert judge_rate(11, 11, 0.5, 0.001).verdict is Verdict.CONTRADICTED
    assert judge_rate(11, 11, 0.5, 0.0009).verdict is Verdict.UNDECIDED
    assert judge_rate(0, 100, 0.1, 1e-9).verdict is Verdict.CONSISTENT


def test_only_the_contradiction_is_stricter() -> None:
    def judged(center: float) -> object:
        def at(alpha: float) -> Judgement:
            half = math.sqrt(-math.log(alpha)) / 10
            return judge(Interval(center - half, center + half, alpha), 0.0, Kind.EXACT, resolution=0.6)

        return [stricter(at, alpha).verdict for alpha in (ALPHA_CONTRADICTED, 1e-6, 1e-20)]

    # Wide intervals at strict levels say nothing against an agreement that the usual one has shown.
    assert judged(0.1) == [Verdict.CONSISTENT] * 3
    assert judged(0.3) == [Verdict.CONTRADICTED, Verdict.UNDECIDED, Verdict.UNDECIDED]
    assert judged(0.5) == [Verdict.CONTRADICTED, Verdict.CONTRADICTED, Verdict.UNDECIDED]


def test_slopes_at_a_stricter_level_need_more_students() -> None:
    assert growth_students(1e-4) == 15
    assert growth(11).judged().verdict is Verdict.CONTRADICTED
    assert growth(11).judged(1e-4).verdict is Verdict.UNDECIDED
    assert growth(15).judged(1e-4).verdict is Verdict.CONTRADICTED
    assert replace(growth(15), predicted=3.0).judged(1e-4).verdict is Verdict.CONSISTENT
