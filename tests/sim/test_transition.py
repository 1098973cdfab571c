"""Where the transition and the peak are found."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from sim.errors import SimError
from sim.probe import READINGS, ProbeSpec
from sim.probes import Point, Probes, Reading
from sim.transition import LEVELS, find_peak, find_transition
from tests.statistics import assert_proportion_at_most

RATE = 1e-7
STEPS = tuple(range(0, 6000, 100))
TRUE = tuple(0.5 + 0.5 / (1 + math.exp(-(s - 3020) / 150)) for s in STEPS)


def true_crossing(level: float) -> int:
    return next(s for s, a in zip(STEPS, TRUE, strict=True) if a >= level)


def test_a_clean_curve() -> None:
    found = find_transition(STEPS, TRUE, evaluations=10**9)
    assert [c.level for c in found.crossings] == list(LEVELS)
    for crossing in found.crossings:
        assert crossing.step == crossing.low == crossing.high == true_crossing(crossing.level)
        assert crossing.confirmed
    assert (found.start, found.end) == (true_crossing(0.55) - 100, true_crossing(0.95))


def test_the_interval_is_as_documented() -> None:
    steps = range(2500, 3500)
    curve = [0.5 + (s - 2500) / 2000 for s in steps]
    d = math.sqrt(math.log(2 * 1000 / 0.05) / (2 * 4096))
    crossing = find_transition(steps, curve).crossings[1]
    assert crossing.step == 3000
    assert crossing.low == next(s for s, a in zip(steps, curve, strict=True) if a >= 0.75 - d)
    assert crossing.high == next(s for s, a in zip(steps, curve, strict=True) if a >= 0.75 + d)


def test_only_lasting_crossings_count() -> None:
    steps = range(10)
    spike = [0.5, 0.9, 0.9, 0.5, 0.5, 0.8, 0.8, 0.8, 0.5, 0.5]
    found = find_transition(steps, spike, evaluations=10**9)
    assert [(c.level, c.step, c.confirmed) for c in found.crossings] == [(0.55, 5, True), (0.75, 5, True)]
    assert (found.start, found.end) == (4, None)
    once = find_transition(steps, spike, evaluations=10**9, persistence=1)
    assert [c.step for c in once.crossings] == [1, 1]
    late = find_transition(steps, [0.5] * 8 + [0.97] * 2, evaluations=10**9)
    assert [(c.step, c.confirmed) for c in late.crossings] == [(8, False)] * 3
    gap = find_transition(steps, [0.5, 0.97, math.nan, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97])
    assert [c.step for c in gap.crossings] == [3, 3, 3]


def test_curves_without_a_transition() -> None:
    for curve in ([], [0.5], [0.5] * 20, [math.nan] * 20):
        found = find_transition(range(len(curve)), curve)
        assert (found.crossings, found.start, found.end) == ((), None, None)
    from_the_start = find_transition([7, 8, 9], [1.0, 1.0, 1.0])
    assert (from_the_start.start, from_the_start.end) == (7, 7)
    assert all(c.low == c.high == 7 for c in from_the_start.crossings[:2])
    assert from_the_start.crossings[2].high == 7


@pytest.mark.parametrize("shared", [False, True], ids=["fresh evaluations", "the same evaluations"])
def test_intervals_hold_as_often_as_declared(shared: bool) -> None:
    generator, trials, missed, n, alpha = np.random.default_rng(5), 300, 0, 256, 0.05
    for _ in range(trials):
        uniform = generator.random((1 if shared else len(STEPS), n))
        curve = (uniform <= np.array(TRUE)[:, None]).mean(axis=1).tolist()
        found = find_transition(STEPS, curve, evaluations=n, alpha=alpha)
        missed += not all(
            c.low <= true_crossing(c.level) and (c.high is None or true_crossing(c.level) <= c.high)
            for c in found.crossings
        )
        assert len(found.crossings) == 3
    assert_proportion_at_most(
        missed, trials, alpha, alternative=0.2, rate=RATE, claim="intervals of the crossings"
    )


def test_a_student_at_chance_raises_no_alarm() -> None:
    generator, trials, t = np.random.default_rng(6), 500, 100
    curves = generator.binomial(4096, 0.5, (trials, t)) / 4096
    alarms = sum(bool(find_transition(range(t), curve.tolist(), persistence=1).crossings) for curve in curves)
    bound = t * float(binom.sf(math.ceil(0.55 * 4096) - 1, 4096, 0.5))
    assert bound < 1e-7
    assert_proportion_at_most(
        alarms, trials, 1e-7, alternative=0.02, rate=1e-6, claim="false alarms at chance"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"accuracies": [0.5]}, "2 steps with 1 accuracies"),
        ({"steps": [1, 1]}, "use increasing steps"),
        ({"evaluations": 0}, "0 evaluations"),
        ({"persistence": 0}, "persistence 0"),
        ({"alpha": 1.0}, "alpha 1.0"),
        ({"levels": ()}, "levels"),
        ({"levels": (0.7, 0.6)}, "levels"),
        ({"levels": (0.7, 1.0)}, "levels"),
        ({"accuracies": [0.5, 50.0]}, "50.0 are refused"),
    ],
)
def test_curves_refused(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(SimError, match=sentence):
        find_transition(**({"steps": [1, 2], "accuracies": [0.5, 0.6]} | arguments))  # type: ignore[arg-type]


# The peak
def synthetic(means: np.ndarray, errors: np.ndarray, steps: tuple[int, ...], replicate: int = 0) -> Probes:
    """Probes of k = 2 whose degree-1 correlations are given, [steps, 2]."""
    points = []
    for step, values, error in zip(steps, means, errors, strict=True):
        reading = Reading((0.0, *map(float, values), 0.0), (error, *(error,) * 2, error), ())
        points.append(Point(step, replicate, dict.fromkeys(READINGS, reading)))
    return Probes(ProbeSpec(9, (0, 1), key=0), tuple(points))


def test_the_peak_and_its_interval() -> None:
    steps = (10, 20, 30, 40, 50, 60)
    height = np.array([0.0, 0.02, 0.0895, 0.09, 0.05, math.nan])
    values = np.stack([height, -height], axis=1)
    peak = find_peak(synthetic(values, np.full(6, 1e-3), steps))
    assert peak is not None
    assert (peak.step, peak.low, peak.high) == (40, 30, 40)
    assert peak.value == pytest.approx(0.09)
    assert peak.error == pytest.approx(1e-3)
    sharp = find_peak(synthetic(values, np.full(6, 1e-5), steps))
    assert sharp is not None
    assert (sharp.low, sharp.high) == (40, 40)
    blunt = find_peak(synthetic(values, np.full(6, 1e-1), steps))
    assert blunt is not None
    assert (blunt.low, blunt.high) == (10, 50)
    assert find_peak(synthetic(values, np.full(6, 1e-3), steps), replicate=1) is None


def test_the_peaks_interval_holds_as_often_as_declared() -> None:
    generator, trials, missed, error = np.random.default_rng(7), 300, 0, 0.02
    steps = tuple(range(40))
    truth = 0.09 * np.exp(-(((np.arange(40) - 21) / 6) ** 2))
    for _ in range(trials):
        noisy = truth[:, None] * [1, -1] + error * generator.standard_normal((40, 2))
        peak = find_peak(synthetic(noisy, np.full(40, error), steps), alpha=0.05)
        assert peak is not None
        assert peak.low <= peak.step <= peak.high
        missed += not peak.low <= 21 <= peak.high
    assert_proportion_at_most(missed, trials, 0.05, alternative=0.2, rate=RATE, claim="interval of the peak")


def test_levels_of_the_peak_that_are_refused() -> None:
    probes = synthetic(np.zeros((1, 2)), np.ones(1), (10,))
    with pytest.raises(SimError, match=r"alpha 0\.0 is refused"):
        find_peak(probes, alpha=0.0)
