import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.enclosure import Enclosure
from theory.errors import TheoryError
from theory.intervals import Interval
from theory.verdict import Judgement, Kind, Verdict, combine, judge, judge_exponent

C, U, X = Verdict.CONSISTENT, Verdict.UNDECIDED, Verdict.CONTRADICTED


def interval(low: float, high: float) -> Interval:
    return Interval(low, high, 0.05)


@pytest.mark.parametrize(
    ("low", "high", "value", "kind", "expected"),
    [
        (1.0, 2.0, 3.0, Kind.UPPER, C),
        (1.0, 3.0, 3.0, Kind.UPPER, C),
        (1.0, 4.0, 3.0, Kind.UPPER, U),
        (3.0, 4.0, 3.0, Kind.UPPER, U),
        (3.1, 4.0, 3.0, Kind.UPPER, X),
        (0.0, math.inf, 3.0, Kind.UPPER, U),
        (4.0, math.inf, 3.0, Kind.UPPER, X),
        (4.0, math.inf, math.inf, Kind.UPPER, C),
        (3.0, 4.0, 3.0, Kind.LOWER, C),
        (2.0, 4.0, 3.0, Kind.LOWER, U),
        (2.0, 3.0, 3.0, Kind.LOWER, U),
        (1.0, 2.0, 3.0, Kind.LOWER, X),
        (4.0, math.inf, 3.0, Kind.LOWER, C),
        (0.0, math.inf, 0.0, Kind.LOWER, C),
        (0.0, 5.0, math.inf, Kind.LOWER, X),
        (1.0, 2.0, 1.5, Kind.EXACT, C),
        (1.0, 2.0, 2.5, Kind.EXACT, X),
        (-math.inf, math.inf, 2.5, Kind.EXACT, U),
    ],
)
def test_table_of_the_docstring(low: float, high: float, value: float, kind: Kind, expected: Verdict) -> None:
    judgement = judge(interval(low, high), value, kind)
    assert judgement.verdict is expected
    assert judgement.reason.endswith(".")
    assert judgement.alpha == 0.05


def test_enclosures_get_the_benefit_of_the_doubt_only_against_contradiction() -> None:
    claim = Enclosure(2.0, 3.0)
    assert judge(interval(2.5, 2.6), claim, Kind.UPPER).verdict is U
    assert judge(interval(1.0, 2.0), claim, Kind.UPPER).verdict is C
    assert judge(interval(3.1, 4.0), claim, Kind.UPPER).verdict is X
    assert judge(interval(2.5, 2.6), claim, Kind.LOWER).verdict is U
    assert judge(interval(3.0, 4.0), claim, Kind.LOWER).verdict is C
    assert judge(interval(1.0, 1.9), claim, Kind.LOWER).verdict is X
    assert judge(interval(1.0, 4.0), claim, Kind.EXACT).verdict is C
    assert judge(interval(2.5, 4.0), claim, Kind.EXACT).verdict is U
    assert judge(interval(3.5, 4.0), claim, Kind.EXACT).verdict is X


finite = st.floats(-100, 100)


@given(
    ends=st.tuples(finite, finite).map(sorted),
    value=finite,
    truth=finite,
    kind=st.sampled_from(list(Kind)[:3]),
)
def test_a_covering_interval_never_misleads(
    ends: list[float], value: float, truth: float, kind: Kind
) -> None:
    """If the interval holds the truth: a true claim is not contradicted, a false one-sided claim not consistent."""
    low, high = min(ends[0], truth), max(ends[1], truth)
    holds = {Kind.UPPER: truth <= value, Kind.LOWER: truth >= value, Kind.EXACT: truth == value}[kind]
    verdict = judge(interval(low, high), value, kind).verdict
    if holds:
        assert verdict is not X
    elif kind is not Kind.EXACT:
        assert verdict is not C


def test_exponents_need_a_resolution() -> None:
    assert judge_exponent(interval(2.9, 3.4), 3.2).verdict is C
    assert judge_exponent(interval(2.9, 3.4), 3.2, resolution=0.1).verdict is U
    assert judge_exponent(interval(2.0, 4.0), 3.2).verdict is U
    assert judge_exponent(interval(2.9, 3.1), 3.2).verdict is X
    assert judge_exponent(interval(0.0, 2.0), 3.2).verdict is X


def test_asymptotic_values_are_not_judged() -> None:
    with pytest.raises(TheoryError, match="judge_exponent"):
        judge(interval(1.0, 2.0), 1.5, Kind.ASYMPTOTIC)
    with pytest.raises(TheoryError, match="NaN"):
        judge(interval(1.0, 2.0), math.nan, Kind.UPPER)


def test_combination_is_the_weakest_and_errors_add_up() -> None:
    parts = {v: Judgement(v, f"It is {v.value}.", 0.01) for v in Verdict}
    assert combine([parts[C], parts[C]]).verdict is C
    assert combine([parts[C], parts[U]]).verdict is U
    assert combine([parts[U], parts[X], parts[C]]).verdict is X
    assert combine([parts[U], parts[X], parts[C]]).reason == "It is contradicted."
    assert combine([]).verdict is U
    assert combine([parts[C]] * 3).alpha == pytest.approx(0.03)
    assert combine([parts[C]] * 300).alpha == 1.0
