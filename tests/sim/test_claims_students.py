"""The paper's results as claims, on curves that hold, fail, or cannot tell."""

import math
from collections.abc import Callable, Sequence

import pytest

from sim.claims.evidence import Evidence
from sim.claims.shares import Votes
from sim.claims.words import LEVEL
from sim.online.summary import OnlineSummaryOfCell
from sim.supervision import CrossEntropy
from sim.supervisions import OneShot, Progressive, TwoShot
from tests.sim.claim_cases import (
    CHANCE,
    EVERY,
    Shape,
    judged,
    learns,
    report,
    students,
    taught,
    teacher,
    verdict,
)
from theory.verdict import Verdict

CONSISTENT, CONTRADICTED, UNDECIDED = Verdict.CONSISTENT, Verdict.CONTRADICTED, Verdict.UNDECIDED
MILLION = 1_000_000
MANY = 12
"""Students that decide both ways, see `sim.claims.paper.REPLICATES`."""

TAUGHT = taught(teacher(), {0: 0.5, 10_200_000: 0.75, 10_300_000: 0.9, 10_400_000: 0.96, 10_800_000: 1.0})
PROGRESSIVE, ONE_SHOT = Progressive(EVERY), OneShot()


def online(*cells: OnlineSummaryOfCell) -> Evidence:
    return Evidence(online=cells)


def progressive(shapes: Sequence[Shape | None]) -> Evidence:
    return online(TAUGHT, students(PROGRESSIVE, shapes))


def one_shot(shapes: Sequence[Shape | None]) -> Evidence:
    return online(TAUGHT, students(ONE_SHOT, shapes))


def untaught(shapes: Sequence[Shape | None]) -> Evidence:
    return online(students(CrossEntropy(), shapes))


def order(shapes: Sequence[Shape | None]) -> Evidence:
    """Progressive students against one-shot ones that take 15M samples."""
    rivals = students(ONE_SHOT, [learns(15 * MILLION)] * len(shapes))
    return online(students(PROGRESSIVE, shapes), rivals)


def after(step: int) -> Callable[[Sequence[Shape | None]], Evidence]:
    """Students on one checkpoint for 1M samples, of 2M."""
    return lambda shapes: online(TAUGHT, students(TwoShot(step, MILLION), shapes, steps=2 * MILLION))


LATE, EARLY = learns(14 * MILLION), learns(10_500_000)
END = learns(1_700_000)
PARTS = [
    ("E1-progressive", progressive, EARLY, LATE),
    (
        "E1-progressive",
        progressive,
        learns(10_900_000),
        learns(11 * MILLION),
    ),  # 1.05 times 10.3M, and a log point
    ("E1-one-shot", one_shot, CHANCE, learns(19_900_000)),
    ("E1-cross-entropy", untaught, learns(18_100_000, 0.88), learns(17 * MILLION, 0.66)),
    ("E1-order", order, EARLY, learns(16 * MILLION)),
    ("E6-during", after(10_200_000), END, {0: 0.5, 200_000: 0.73}),
    ("E6-before", after(9_700_000), CHANCE, END),
    ("E6-after", after(10_800_000), CHANCE, END),
    ("E7-student", progressive, learns(12_900_000), LATE),
]


@pytest.mark.parametrize(("id", "evidence", "good", "bad"), PARTS)
def test_parts(
    id: str, evidence: Callable[[Sequence[Shape | None]], Evidence], good: Shape, bad: Shape
) -> None:
    assert verdict(evidence([good] * MANY), id) is CONSISTENT
    assert verdict(evidence([bad] * MANY), id) is CONTRADICTED
    assert verdict(evidence([good] * 8 + [bad] * 4), id) is UNDECIDED
    assert verdict(evidence([good] * 3), id) is UNDECIDED  # as many as there were in full size
    assert verdict(evidence([bad] * 3), id) is UNDECIDED
    (entry,) = judged(evidence([good] * 5), id)
    assert entry.verdict is CONSISTENT  # 2^-5 is below 5 %
    assert "initial weights" in entry.reason
    assert entry.tests == 1
    assert f"{10 if id == 'E1-order' else 5} students" in entry.ran


@pytest.mark.parametrize(("id", "evidence", "good", "bad"), PARTS)
def test_students_that_diverged_count_against_every_verdict(
    id: str, evidence: Callable[[Sequence[Shape | None]], Evidence], good: Shape, bad: Shape
) -> None:
    assert verdict(evidence([good] * 5 + [None] * 5), id) is UNDECIDED
    assert verdict(evidence([bad] * MANY + [None] * MANY), id) is UNDECIDED
    (entry,) = judged(evidence([bad] * 20 + [None]), id)
    assert entry.verdict is CONTRADICTED
    assert "1 diverged" in entry.ran


@pytest.mark.parametrize(
    ("id", "accuracy", "speaks"),
    [
        *[("E6-during", a, True) for a in (0.65, 0.75, 0.85)],
        *[("E6-during", a, False) for a in (0.5, 0.64, 0.86, 1.0)],
        *[("E6-before", a, a == 0.5) for a in (0.5, 0.52, 0.75)],
        *[("E6-after", a, a >= 0.99) for a in (0.96, 0.99, 1.0)],
    ],
)
def test_which_checkpoints_a_claim_is_about(id: str, accuracy: float, speaks: bool) -> None:
    own = taught(teacher(), {0: 0.5, 10 * MILLION: accuracy, 11 * MILLION: 1.0})
    cell = students(TwoShot(10 * MILLION, MILLION), [END] * MANY, steps=2 * MILLION)
    assert (verdict(online(own, cell), id) is not None) is speaks


def test_checkpoints_between_log_points_are_known_from_probes() -> None:
    cell = students(TwoShot(10_210_000, MILLION), [END] * MANY, steps=2 * MILLION)
    assert verdict(online(TAUGHT, cell), "E6-during") is None
    probes = report(
        teacher(), {0: 0.5, 10_210_000: 0.77, 10_300_000: 1.0}, {10_210_000: 0.09, 10_400_000: 0.01}
    )
    assert verdict(Evidence(online=(TAUGHT, cell), reports=(probes,)), "E6-during") is CONSISTENT


def test_seeds_are_units_where_there_are_several() -> None:
    def evidence(shapes: Sequence[Shape], replicates: int = 3) -> Evidence:
        cells = []
        for seed, shape in enumerate(shapes):
            spec = teacher(seed)
            cells += [taught(spec, learns(10 * MILLION)), students(PROGRESSIVE, [shape] * replicates, spec)]
        return online(*cells)

    assert verdict(evidence([EARLY] * 5), "E1-progressive") is CONSISTENT
    assert (
        verdict(evidence([EARLY] * 2, 30), "E1-progressive") is UNDECIDED
    )  # students do not stand for seeds
    assert verdict(evidence([LATE] * 11), "E1-progressive") is CONTRADICTED
    (entry,) = judged(evidence([EARLY] * 5), "E1-progressive")
    share = entry.measured[0]
    assert share.what.startswith("share of seeds")
    assert (share.value, share.level) == (1.0, LEVEL)
    assert "seeds 0, 1, 2, 3, 4" in entry.ran


def test_a_teacher_that_does_not_learn_leaves_its_students_undecided() -> None:
    cells = online(taught(teacher(), CHANCE), students(PROGRESSIVE, [CHANCE] * MANY))
    assert verdict(cells, "E1-progressive") is UNDECIDED


def test_reported_and_measured_stand_side_by_side() -> None:
    (entry,) = judged(progressive([EARLY] * 6), "E1-progressive")
    assert "10.5M" in entry.claim.reported
    found = {m.what: m for m in entry.measured}
    assert found["samples to 90 %, teacher"].value == 10_300_000
    own = found["samples to 90 %, progressive 100k,200k..×100k τ=1"]
    assert (own.value, own.low, own.high, own.level) == (10_500_000, 10_500_000, 10_500_000, 1 - 2 / 64)


def test_other_settings_are_marked_and_the_papers_stays_open() -> None:
    small = teacher(n=50, k=4, width=5000, steps=MILLION)
    rivals = students(ONE_SHOT, [learns(800_000)] * MANY, small, steps=MILLION)
    own = students(PROGRESSIVE, [learns(400_000)] * MANY, small, steps=MILLION)
    evidence = online(taught(small, learns(400_000)), own, rivals)
    first, other = judged(evidence, "E1-order")
    assert first.open
    assert first.setting == "n = 100, k = 6, teacher width 50,000, student width 100"
    assert first.claim.command is not None
    assert other.verdict is CONSISTENT
    assert other.setting == (
        "n = 50, k = 4, teacher width 5,000, student width 100, rate 0.01, 1.00e6 samples (not the paper's)"
    )
    # Numbers of samples mean nothing there.
    assert [e.verdict for e in judged(evidence, "E1-one-shot")] == [None]
    assert [e.verdict for e in judged(evidence, "E1-teacher")] == [None]
    wide = online(students(ONE_SHOT, [CHANCE] * MANY, width=1000))
    assert [e.verdict for e in judged(wide, "E1-one-shot")] == [None, CONSISTENT]
    assert "not the paper's" in judged(wide, "E1-one-shot")[1].setting


def test_temperatures_are_compared_each_with_its_own() -> None:
    hot = OneShot(temperature=3.0)
    evidence = online(students(PROGRESSIVE, [EARLY] * MANY), students(hot, [LATE] * MANY))
    assert verdict(evidence, "E1-order") is None
    both = online(
        *evidence.online, students(ONE_SHOT, [LATE] * MANY), students(CrossEntropy(), [CHANCE] * MANY)
    )
    (entry,) = judged(both, "E1-order")
    assert entry.tests == 2


# Teachers.


def several(shape: Shape, seeds: int) -> Evidence:
    return online(*(taught(teacher(seed), shape) for seed in range(seeds)))


QUICK: Shape = {0: 0.5, 10 * MILLION: 0.8, 10_400_000: 1.0}


@pytest.mark.parametrize("id", ["E1-teacher", "E4"])
def test_transitions(id: str) -> None:
    slow = {0: 0.5, 10 * MILLION: 0.8, 11_200_000: 1.0}
    assert verdict(several(QUICK, 5), id) is CONSISTENT
    assert verdict(several(slow, 11), id) is CONTRADICTED
    assert verdict(several({0: 0.5, 10 * MILLION: 0.8}, 11), id) is CONTRADICTED  # it never ends
    assert verdict(several(QUICK, 1), id) is UNDECIDED
    (entry,) = judged(several({0: 0.5, 4_800_000: 0.8, 4_900_000: 1.0}, 5), id)
    # Another place is no contradiction: it depends on rates that are not known.
    assert entry.verdict is CONSISTENT
    assert "10.0M to 10.5M" in entry.reason
    assert entry.measured[1].value == 4_800_000


PEAK = {9_500_000: 0.03, 10 * MILLION: 0.04, 10_200_000: 0.09, 10_400_000: 0.012, 11 * MILLION: 0.002}
BEFORE = PEAK | {9_500_000: 0.1}
LONG = PEAK | {11 * MILLION: 0.05}


def probes(sizes: dict[int, float], seeds: int, off: float = 0.002) -> Evidence:
    return Evidence(reports=tuple(report(teacher(seed), QUICK, sizes, off) for seed in range(seeds)))


@pytest.mark.parametrize(
    ("id", "good", "bad"),
    [
        ("E5-place", (PEAK, 0.002), (BEFORE, 0.002)),
        ("E5-together", (PEAK, 0.002), (BEFORE, 0.002)),
        ("E5-after", (PEAK, 0.002), (LONG, 0.002)),
        ("E5-off", (PEAK, 0.002), (PEAK, 0.05)),
    ],
)
def test_correlations(
    id: str, good: tuple[dict[int, float], float], bad: tuple[dict[int, float], float]
) -> None:
    assert verdict(probes(good[0], 5, good[1]), id) is CONSISTENT
    assert verdict(probes(bad[0], 11, bad[1]), id) is CONTRADICTED
    assert verdict(probes(good[0], 1, good[1]), id) is UNDECIDED


def test_probes_that_cannot_tell() -> None:
    early = {step: size for step, size in PEAK.items() if step <= 10_200_000}
    assert verdict(probes(early, 11), "E5-after") is UNDECIDED  # nothing was probed after the transition
    flat = dict.fromkeys(PEAK, 0.05)
    assert verdict(probes(flat, 11), "E5-place") is UNDECIDED  # the peak's interval goes beyond it


def test_widths() -> None:
    def evidence(narrow: Shape, wide: Shape, seeds: int) -> Evidence:
        specs = [
            (teacher(seed, width=width), shape)
            for seed in range(seeds)
            for width, shape in ((500, narrow), (5000, wide))
        ]
        return online(*(taught(spec, shape) for spec, shape in specs))

    assert verdict(evidence(LATE, EARLY, 5), "E7-width") is CONSISTENT
    assert verdict(evidence(EARLY, LATE, 11), "E7-width") is CONTRADICTED
    assert verdict(evidence(EARLY, EARLY, 11), "E7-width") is UNDECIDED  # at the same log point
    assert verdict(evidence(LATE, EARLY, 1), "E7-width") is UNDECIDED
    assert verdict(several(QUICK, 5), "E7-width") is None


# Votes.


@pytest.mark.parametrize(
    ("votes", "majority"),
    [
        (Votes(2, 1, 0), True),
        (Votes(1, 2, 0), False),
        (Votes(1, 1, 0), None),
        (Votes(2, 0, 2), None),
        (Votes(0, 3, 2), False),
    ],
)
def test_majorities(votes: Votes, majority: bool | None) -> None:
    assert votes.majority is majority


@pytest.mark.parametrize("units", [(0, 0, 0), (-1, 2, 0)])
def test_no_votes_are_refused(units: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no votes"):
        Votes(*units)


@pytest.mark.parametrize("alpha", [0.001, 1e-4, 1e-6])
def test_a_share_of_a_half_is_contradicted_by_as_many_failures_as_the_level_asks_for(alpha: float) -> None:
    needed = math.ceil(math.log2(2 / alpha))
    assert Votes(0, needed, 0).judge(alpha).verdict is CONTRADICTED
    assert Votes(0, needed - 1, 0).judge(alpha).verdict is UNDECIDED
    assert Votes(0, needed, 1).judge(alpha).verdict is UNDECIDED
