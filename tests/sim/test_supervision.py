"""Supervisions: sequences of sources worked out by hand, labels at limits, identities and refusals."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import SimError
from sim.source import PARITY, History, Source
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import (
    SUPERVISIONS,
    Annealed,
    OneShot,
    Progressive,
    Single,
    TillSaturate,
    TwoShot,
    supervision_from_spec,
)

TEACHER = tuple(range(0, 501, 100))
"""Checkpoints at 0, 100, …, 500."""


def plan(supervision: Supervision, steps: int, segment: int = 50) -> list[Source]:
    """Sources of a student whose agreement is never asked for."""
    supervision.check(steps, segment, TEACHER)
    return [supervision.plan(t, History(steps), TEACHER) for t in range(0, steps, segment)]


def checkpoints(supervision: Supervision, steps: int, segment: int = 50) -> list[int | None]:
    """Checkpoints of those sources; they are exactly the ones that were announced."""
    sources = [s.checkpoint for s in plan(supervision, steps, segment)]
    assert supervision.checkpoints(steps, TEACHER[-1]) == tuple(sorted({c for c in sources if c is not None}))
    return sources


def test_fixed_schedules() -> None:
    assert plan(CrossEntropy(), 150) == [PARITY] * 3
    assert checkpoints(CrossEntropy(), 150) == [None] * 3
    assert plan(OneShot(temperature=2.0), 150) == [Source(500, 2.0)] * 3
    assert plan(OneShot(temperature=0.0, truth=0.25), 100) == [Source(500, 0.0, 0.25)] * 2
    assert plan(Single(200), 100) == [Source(200, 1.0)] * 2
    assert checkpoints(Single(200), 100) == [200, 200]


def test_two_shot_switches_at_its_step() -> None:
    assert checkpoints(TwoShot(300, 100), 250) == [300, 300, 500, 500, 500]
    assert checkpoints(TwoShot(300, 100), 100) == [300, 300]


def test_progressive_is_taught_by_the_end_of_the_window() -> None:
    """The paper's rule: (1 + ⌊t/R⌋) R."""
    assert checkpoints(Progressive(100), 700) == [
        *(100,) * 2,
        *(200,) * 2,
        *(300,) * 2,
        *(400,) * 2,
        *(500,) * 6,
    ]
    assert checkpoints(Progressive(200), 700) == [200] * 4 + [400] * 4 + [500] * 6
    for t, source in enumerate(plan(Progressive(100), 500, segment=1)):
        assert source.checkpoint == (1 + t // 100) * 100


def test_progressive_with_its_options() -> None:
    assert checkpoints(Progressive(100, 50), 350) == [100, 200, 300, 400, 500, 500, 500]
    assert checkpoints(Progressive(100, 50, first=0), 200) == [0, 100, 200, 300]
    assert checkpoints(Progressive(100, 50, first=200, last=300), 200) == [200, 300, 500, 500]
    assert checkpoints(Progressive(200, 50, last=450), 200) == [200, 400, 500, 500]
    assert checkpoints(Progressive(100, 100, first=300, last=300), 200) == [300, 300, 500, 500]


def test_equal_rules_have_equal_specifications() -> None:
    assert Progressive(100) == Progressive(100, 100, 100)
    assert Progressive(100, last=450) == Progressive(100, last=400)
    assert Progressive(100, 50, first=300, last=300) == Progressive(70, 50, first=300, last=300)


def saturate(rule: TillSaturate, agreements: list[int], segment: int) -> list[int | None]:
    """Checkpoints in force when segment i of a student ends with the i-th number of agreeing samples."""
    history, out = History(segment * len(agreements)), []
    for i, agreed in enumerate(agreements):
        source = rule.plan(i * segment, history, TEACHER)
        if history.source is None or source.checkpoint != history.source.checkpoint:
            history = History(history.total, 1, source)
        history = History(history.total, 1, source, (*history.agreed, (segment, agreed)))
        out.append(source.checkpoint)
    return out


def test_till_saturate_by_hand() -> None:
    rule = TillSaturate(listed=(100, 300), window=100, patience=1, gain=0.05)
    # 50 → 60 → 64: the last gains 0.04 < 0.05. Then 50 → 55 gains exactly 0.05, which counts; 50 does not.
    assert saturate(rule, [50, 60, 64, 50, 55, 50, 1, 1, 1], 100) == [100] * 3 + [300] * 3 + [500] * 3


def test_till_saturate_waits_for_its_patience() -> None:
    rule = TillSaturate(every=200, window=100, patience=2, gain=0.05)
    assert rule.checkpoints(1, 500) == (200, 400, 500)
    # One window without gain is forgiven: 60 is compared with 50 through the best of two.
    assert saturate(rule, [50, 50, 60, 60, 60, 0], 100) == [200] * 5 + [400]
    assert saturate(rule, [50, 40, 40, 0], 100) == [200] * 3 + [400]


def test_till_saturate_adds_segments_to_windows() -> None:
    rule = TillSaturate(listed=(100,), window=100, patience=1, gain=0.05)
    halves = [20, 30, 30, 30, 33, 31, 0, 0]  # windows 50, 60, 64
    assert saturate(rule, halves, 50) == [100] * 6 + [500] * 2


def test_till_saturate_counts_samples_of_a_batch() -> None:
    rule = TillSaturate(listed=(100,), window=100, patience=1, gain=0.05)
    source = Source(100, 1.0)
    for batch, moved in ((1, False), (2, True)):  # 6 more agreeing samples: 0.06 at batch 1, 0.03 at batch 2
        history = History(1000, batch, source, ((100, 50), (100, 56)))
        assert (rule.plan(200, history, TEACHER).checkpoint == 500) == moved


def test_annealed_is_log_linear_over_its_share() -> None:
    sources = plan(Annealed(4.0, 0.25, 0.5, truth=0.125), 400, 50)
    expected = [4.0, 2.0, 1.0, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert [s.temperature for s in sources] == pytest.approx(expected, rel=1e-15)
    assert {(s.checkpoint, s.truth) for s in sources} == {(500, 0.125)}
    assert [sources[0].temperature, sources[-1].temperature] == [4.0, 0.25]  # the ends exactly


Y = np.array([1, 1, -1, -1, 1], dtype=np.int8)
F = np.array([2.0, -0.5, 0.0, -3.0, -0.0])


def test_targets_by_hand() -> None:
    assert PARITY.probabilities(Y, None).tolist() == [1, 1, 0, 0, 1]
    assert Source(1, 0.0).probabilities(Y, F).tolist() == [1, 0, 1, 0, 1]  # a logit of 0 counts as +1
    half = Source(1, 2.0).probabilities(Y, F)
    assert half == pytest.approx([1 / (1 + math.exp(-f / 2)) for f in F], abs=1e-15)
    mixed = Source(1, 2.0, 0.25).probabilities(Y, F)
    assert mixed == pytest.approx(
        [0.25 * (y > 0) + 0.75 * h for y, h in zip(Y, half, strict=True)], abs=1e-15
    )
    assert Source(1, 0.0, 0.25).probabilities(Y, F).tolist() == [1, 0.25, 0.75, 0, 1]
    assert Source(1, 2.0, 1.0).probabilities(Y, F).tolist() == PARITY.probabilities(Y, None).tolist()
    assert Source(1, 2.0, 0.25).scores(Y, F).tolist() == [1.0, 0.0625, -0.25, -1.375, 0.25]
    assert PARITY.scores(Y, None).tolist() == Y.tolist()


@pytest.mark.parametrize("tiny", [1e-20, 1e-300, 5e-324])
def test_cold_targets_tend_to_hard_ones(tiny: float) -> None:
    """All but a logit of exactly 0, where the limit is 1/2 and hard labels are 1."""
    away = np.flatnonzero(F)
    cold = Source(1, tiny).probabilities(Y, F)
    assert cold[away].tolist() == Source(1, 0.0).probabilities(Y, F)[away].tolist()
    assert cold[F == 0].tolist() == [0.5, 0.5]


@given(st.floats(-50, 50), st.floats(1e-3, 1e3))
def test_targets_are_symmetric_and_real_targets_a_tanh(f: float, temperature: float) -> None:
    """q(−f) = 1 − q(f), and 2q − 1 = tanh(f / 2τ)."""
    q = Source(1, temperature).probabilities(np.array([1, 1]), np.array([f, -f]))
    assert q[0] + q[1] == pytest.approx(1, abs=1e-15)
    assert 2 * q[0] - 1 == pytest.approx(math.tanh(f / temperature / 2), abs=1e-14)


EXAMPLES: list[Supervision] = [
    CrossEntropy(),
    *(OneShot(temperature=t) for t in (0.0, 1.0, 1.0000001, 1e-20)),
    OneShot(truth=0.1),
    OneShot(temperature=0.0, truth=0.1),
    Single(100),
    Single(100_000),
    Single(10_200_000),
    Single(10_250_000, temperature=0.0),
    Single(10_200_000, truth=0.5),
    TwoShot(100, 200),
    TwoShot(200, 100),
    TwoShot(200, 100, temperature=0.0),
    Progressive(100),
    Progressive(200),
    Progressive(100, 50),
    Progressive(100, 50, first=0),
    Progressive(100, 50, last=100),
    Progressive(100, 50, last=200),
    Progressive(100, 50, last=300),
    Progressive(100, 50, first=100, truth=0.5),
    TillSaturate(every=100),
    TillSaturate(every=200),
    TillSaturate(listed=(100,)),
    TillSaturate(listed=(100, 200)),
    TillSaturate(every=100, window=1000),
    TillSaturate(every=100, patience=3),
    TillSaturate(every=100, gain=0.02),
    TillSaturate(every=100, temperature=0.0),
    Annealed(2.0, 1.0),
    Annealed(1.0, 2.0),
    Annealed(2.0, 1.0, 0.5),
    Annealed(2.0, 1.0, truth=0.5),
]


def test_labels_and_specifications_are_distinct_and_round_trip() -> None:
    assert len({s.label() for s in EXAMPLES}) == len(EXAMPLES)
    assert len({json.dumps(s.spec()) for s in EXAMPLES}) == len(EXAMPLES)
    assert {type(s) for s in EXAMPLES} == set(SUPERVISIONS.values())
    for supervision in EXAMPLES:
        again = supervision_from_spec(json.loads(json.dumps(supervision.spec())))
        assert again == supervision
        assert again.spec() == supervision.spec()


def test_labels_read_well() -> None:
    assert OneShot(temperature=0.0).label() == "one-shot hard"
    assert Single(10_200_000, truth=0.5).label() == "single 10.2M τ=1 α=0.5"
    assert TwoShot(10_200_000, 1_000_000).label() == "two-shot 10.2M×1M τ=1"
    assert Progressive(100_000).label() == "progressive 100k,200k..×100k τ=1"
    assert Progressive(100_000, 50_000, last=100_000).label() == "progressive 100k×50k τ=1"
    assert TillSaturate(every=100_000).label() == "till-saturate 100k.. (10k,2,0.01) τ=1"
    assert Annealed(4.0, 0.5, 0.25).label() == "annealed τ=4..0.5 over 0.25"


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("temperature -1.0", {"name": "one-shot", "temperature": -1.0}),
    ("temperature inf", {"name": "one-shot", "temperature": math.inf}),
    ("temperature nan", {"name": "one-shot", "temperature": math.nan}),
    ("weight 1.5", {"name": "one-shot", "truth": 1.5}),
    ("weight nan", {"name": "annealed", "start": 1.0, "end": 2.0, "truth": math.nan}),
    ("checkpoint -1", {"name": "single", "checkpoint": -1}),
    ("switch 0", {"name": "two-shot", "intermediate": 5, "switch": 0}),
    ("spacing of the checkpoints 0", {"name": "progressive", "every": 0}),
    ("steps on each checkpoint 0", {"name": "progressive", "every": 5, "stay": 0}),
    ("last checkpoint 3", {"name": "progressive", "every": 5, "last": 3}),
    ("spacing None and list []", {"name": "till-saturate"}),
    ("spacing 5 and list [5]", {"name": "till-saturate", "every": 5, "listed": [5]}),
    ("checkpoints [5, 5]", {"name": "till-saturate", "listed": [5, 5]}),
    ("patience 0", {"name": "till-saturate", "every": 5, "patience": 0}),
    ("gain 0.0", {"name": "till-saturate", "every": 5, "gain": 0.0}),
    ("temperature 0.0", {"name": "annealed", "start": 0.0, "end": 1.0}),
    ("share 0.0", {"name": "annealed", "start": 2.0, "end": 1.0, "share": 0.0}),
    ("supervision 'oneshot'", {"name": "oneshot"}),
    ("cannot be read", {"name": "single"}),
    ("cannot be read", {"temperature": 1}),
    ("cannot be read", {"name": "one-shot", "heat": 1}),
]


@pytest.mark.parametrize(("message", "spec"), REFUSED)
def test_refusals(message: str, spec: dict[str, Any]) -> None:
    with pytest.raises(SimError) as refusal:
        supervision_from_spec(spec)
    assert message in str(refusal.value)


def test_check_refuses_before_any_work() -> None:
    with pytest.raises(SimError, match=r"two-shot 300×75 τ=1 switches after 75 steps.*multiple of 50"):
        TwoShot(300, 75).check(200, 50, TEACHER)
    TwoShot(300, 75).check(75, 50, TEACHER)  # never reached
    with pytest.raises(SimError, match=r"no checkpoint at step 250: the nearest are at 200 and 300"):
        Single(250).check(200, 50, TEACHER)
    with pytest.raises(SimError, match=r"no checkpoint at step 150"):
        Progressive(150, 50).check(50, 50, TEACHER)
    with pytest.raises(SimError, match=r"one-shot τ=1 has no teacher"):
        OneShot().check(50, 50, ())
    CrossEntropy().check(50, 50, ())
    with pytest.raises(SimError, match=r"no checkpoint at step 250"):
        Single(250).plan(0, History(100), TEACHER)
