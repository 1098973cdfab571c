"""Cells of the two-stage protocol, and their ladder."""

import dataclasses
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cell import MAX_SAMPLES, Cell, canonical_json
from sim.errors import SimError
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.ranges import record_grid
from sim.schedule import CrossEntropy, Progressive
from sim.two_stage.cell import MAX_SECOND, TwoStageCell
from sim.two_stage.options import TAG
from sim.two_stage.outcomes import outcome_of
from tests.sim.two_stage_cases import BIASED, SIGNED

BASE = TwoStageCell(TAG, 51, 4, Progressive(), "signed", Fraction(1, 4), 0, 500, 70000, 2, 0)
BIASES = TwoStageCell(TAG, 51, 4, Progressive(), "biases", None, 64, 1 << 20, 1 << 17, 2, 0)


def test_identities_are_what_they_were() -> None:
    # An identity that changes orphans every store; if that is wanted, the protocol's version must rise.
    assert BASE.id == "3dcb4f69dd9b006e081e75fc62a3f9f730a54e2211a2bafe0183694a29947e29"
    assert BIASES.id == "d62e14baa257e8ac614d4a8f97ce89745d2dc2d6349ebc3fce2574d72263e5b9"


CHANGES: dict[str, Any] = {
    "protocol": "two-stage/2",
    "n": 53,
    "k": 2,
    "schedule": CrossEntropy(),
    "dead_zone": Fraction(1, 5),
    "first": 501,
    "second": 70001,
    "resolution": 3,
    "seed": 1,
}


@pytest.mark.parametrize("field", CHANGES)
def test_the_identity_changes_with_every_field(field: str) -> None:
    assert dataclasses.replace(BASE, **{field: CHANGES[field]}).id != BASE.id
    assert {*CHANGES, "student", "width", "q"} == {f.name for f in dataclasses.fields(TwoStageCell)}
    assert len({BASE.id, BIASES.id, dataclasses.replace(BIASES, width=66).id}) == 3


@pytest.mark.parametrize("cell", [*SIGNED.values(), *BIASED.values(), BASE, BIASES], ids=lambda c: c.label())
def test_specs_round_trip_through_json(cell: TwoStageCell) -> None:
    again = Cell.from_spec(json.loads(canonical_json(cell.spec())))
    assert again == cell
    assert again.id == cell.id
    assert protocol_of(again) is PROTOCOLS["two-stage"]
    assert cell.horizon == cell.first + cell.second == cell.totals[-1]


REFUSED = [
    ({"n": 4}, "n = 4 equals k"),
    ({"n": 3}, "k = 4 is larger"),
    ({"student": "wise"}, "student 'wise' is unknown"),
    ({"dead_zone": Fraction(0)}, "dead zone 0 is not allowed"),
    ({"dead_zone": None}, "signed ones alone"),
    ({"width": 8}, "width 8 does not fit"),
    ({"first": 0}, "samples 0"),
    ({"first": MAX_SAMPLES + 1}, "samples"),
    ({"second": 0}, "second 0"),
    ({"second": MAX_SECOND + 1}, "second"),
    ({"resolution": 17}, "resolution 17"),
    ({"seed": -1}, "seed -1"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=str)
def test_a_cell_out_of_range_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(SimError, match=reason):
        dataclasses.replace(BASE, **change)


@pytest.mark.parametrize("width", [0, 3, 5000])
def test_a_width_out_of_range_is_refused(width: int) -> None:
    with pytest.raises(SimError, match=f"width {width} is not allowed"):
        dataclasses.replace(BIASES, width=width)


@pytest.mark.parametrize(
    "change",
    [{"dead_zone": "2/8"}, {"dead_zone": "x"}, {"dead_zone": 0.25}, {"extra": 1}, {"q": 1}, {"width": 4}],
    ids=str,
)
def test_what_describes_no_cell_is_refused_in_one_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(SimError) as caught:
        Cell.from_spec(BASE.spec() | change)
    assert "\n" not in str(caught.value)


# The ladder.


def ladder_problem(cell: TwoStageCell) -> str | None:
    """What is wrong with a cell's ladder, from its definition."""
    largest = max(cell.first, cell.second)
    expected = [(min(x, cell.first), min(x, cell.second)) for x in record_grid(largest, cell.resolution)]
    if list(cell.ladder) != expected:
        return "not min(x, B_h) and min(x, T_h)"
    if list(cell.totals) != sorted({B + T for B, T in expected}):
        return "totals do not increase"
    if [*dict.fromkeys(B for B, _ in expected)] != list(cell.first_grid):
        return "another first grid"
    if [*dict.fromkeys(T for _, T in expected)] != list(cell.second_grid):
        return "another second grid"
    return None


sizes = st.integers(1, 5000)


@given(sizes, sizes, st.integers(1, 5), st.data())
def test_the_ladder_is_what_it_says_and_nearly_the_best_split(
    first: int, second: int, resolution: int, data: st.DataObject
) -> None:
    cell = dataclasses.replace(BASE, first=first, second=second, resolution=resolution)
    assert ladder_problem(cell) is None
    B, T = data.draw(st.integers(1, first)), data.draw(st.integers(1, second))
    more = cell.split(max(B, T))
    assert more[0] >= B
    assert more[1] >= T
    assert sum(more) < 2 * (B + T)


def test_a_ladder_that_is_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ladder_problem(BASE) is None
    monkeypatch.setattr(TwoStageCell, "split", lambda cell, x: (min(x, cell.first), min(x - 1, cell.second)))
    assert ladder_problem(dataclasses.replace(BASE)) is not None


def test_outcomes_are_read_along_the_ladder() -> None:
    cell = dataclasses.replace(BASE, first=4, second=16, resolution=1)
    assert cell.ladder == ((1, 1), (2, 2), (4, 4), (4, 8), (4, 16))
    payload = {"found": "011", "loss": [5.0, 4.0, 3.0, 0.2, 0.1], "error": [0.5, 0.0, 0.25, 0.0, 0.0]}
    outcome = outcome_of(cell, payload)
    assert outcome.found.tolist() == [False, True, True, True, True]
    assert outcome.reaches(outcome.loss, 0.2).tolist() == [False, False, False, True, True]
    assert outcome.reaches(outcome.error, 0.1).tolist() == [False, True, False, True, True]
    long_first = dataclasses.replace(BASE, first=16, second=4, resolution=1)
    payload = {"found": "00101", "loss": [3.0, 2.0, 0.5], "error": [1.0, 1.0, 0.0]}
    outcome = outcome_of(long_first, payload)
    assert outcome.reaches(outcome.loss, 0.5).tolist() == [False, False, True, False, True]
    assert outcome.loss.tolist() == [3.0, 2.0, 0.5, 0.5, 0.5]
