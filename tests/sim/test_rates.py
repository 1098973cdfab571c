import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import SimError
from sim.rates import KINDS, RateSchedule

PEAKS = st.floats(1e-300, 1e6)
SHARES = st.floats(0, 1, exclude_max=True)


@st.composite
def schedules(draw: st.DrawFn) -> RateSchedule:
    kind = draw(st.sampled_from(KINDS))
    final = draw(st.floats(0, 1)) if kind == "cosine" else 0.0
    return RateSchedule(draw(PEAKS), kind, draw(SHARES), final)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("5e-3", RateSchedule(0.005)),
        ("5e-3:constant", RateSchedule(0.005)),
        ("1/200", RateSchedule(0.005)),
        ("5e-3:cosine", RateSchedule(0.005, "cosine")),
        ("5e-3:cosine:warmup=0.06:final=0", RateSchedule(0.005, "cosine", 0.06, 0.0)),
        ("1e-3:final=0.1:cosine", RateSchedule(0.001, "cosine", 0.0, 0.1)),
        ("1e-3:warmup=0.5", RateSchedule(0.001, "constant", 0.5)),
    ],
)
def test_texts_and_what_they_mean(text: str, schedule: RateSchedule) -> None:
    assert RateSchedule.parse(text) == schedule


@given(schedules())
def test_labels_and_specs_are_read_back(schedule: RateSchedule) -> None:
    assert RateSchedule.parse(schedule.label()) == schedule
    assert RateSchedule.from_spec(schedule.spec()) == schedule


def test_labels_are_short() -> None:
    assert RateSchedule.parse("5e-3:cosine:warmup=.06:final=0").label() == "0.005:cosine:warmup=0.06"


def test_equal_rates_have_one_spec() -> None:
    assert str(RateSchedule.parse("1").spec()) == str(RateSchedule.parse("1.0").spec())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nan", "learning rate 'nan' is not a number"),
        ("inf", "learning rate 'inf' is not a number"),
        ("", "learning rate '' is not a number"),
        ("-1e-3", "learning rate -0.001 is not allowed: give a number above 0, at most 1e+06"),
        ("0", "learning rate 0.0 is not allowed"),
        ("1e999", "learning rate '1e999' is not allowed: it is beyond 1e+06"),
        ("1e-3:linear", "has a part 'linear': give PEAK"),
        ("1e-3:kind=cosine", "has a part 'kind=cosine'"),
        ("1e-3:warmup", "has a part 'warmup'"),
        ("1e-3:cosine:constant", "gives kind twice"),
        ("1e-3:warmup=0:warmup=0", "gives warmup twice"),
        ("1e-3:warmup=1", "warm-up share 1.0 is not allowed: give 0 <= share < 1"),
        ("1e-3:warmup=-1", "warm-up share -1.0 is not allowed"),
        ("1e-3:warmup=nan", "warmup share 'nan' is not a number"),
        ("1e-3:cosine:final=2", "final share 2.0 is not allowed: give 0 <= share <= 1"),
        ("1e-3:final=0.1", "final share 0.1 is for cosine rates"),
    ],
)
def test_refusals_are_one_sentence(text: str, message: str) -> None:
    with pytest.raises(SimError) as refusal:
        RateSchedule.parse(text)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.0, 2e6])
def test_peaks_that_are_no_rates_are_refused(value: float) -> None:
    with pytest.raises(SimError, match=r"learning rate .* is not allowed"):
        RateSchedule(value)


@pytest.mark.parametrize("field", ["warmup", "final"])
def test_shares_that_are_not_numbers_are_refused(field: str) -> None:
    with pytest.raises(SimError, match="share nan is not allowed"):
        RateSchedule(1.0, "cosine", **{field: math.nan})


def test_a_specification_of_something_else_is_refused() -> None:
    with pytest.raises(SimError, match="cannot be read"):
        RateSchedule.from_spec({"peak": 1.0, "colour": "red"})


@given(schedules(), st.integers(1, 400), st.data())
def test_rates_follow_the_formula_wherever_a_run_is_cut(
    schedule: RateSchedule, total: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, total))
    values = np.concatenate([schedule.values(0, cut, total), schedule.values(cut, total, total)])
    assert np.array_equal(values, schedule.values(0, total, total))
    assert values.dtype == np.float64
    warm = schedule.warmup * total
    for t, value in enumerate(values):
        if t < warm:
            share = t / warm
        elif schedule.kind == "constant":
            share = 1.0
        else:
            angle = math.pi * (t - warm) / (total - warm)
            share = schedule.final + (1 - schedule.final) * (1 + math.cos(angle)) / 2
        assert value == pytest.approx(schedule.peak * share, rel=1e-12, abs=1e-15 * schedule.peak)


def test_the_length_of_a_run_matters_only_where_it_is_used() -> None:
    assert not RateSchedule(1e-3).depends_on_total
    assert RateSchedule(1e-3, "cosine").depends_on_total
    assert RateSchedule(1e-3, warmup=0.1).depends_on_total


@pytest.mark.parametrize("steps", [(-1, 2, 4), (3, 2, 4), (0, 5, 4)])
def test_steps_outside_the_run_are_refused(steps: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must hold"):
        RateSchedule(1e-3).values(*steps)
