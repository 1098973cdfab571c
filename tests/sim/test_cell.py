import dataclasses
import hashlib
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.cell import MAX_N, MAX_SAMPLES, MAX_SEED, Cell, FirstStepCell, canonical_json
from sim.errors import SimError
from sim.ranges import record_grid
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule

BASE = FirstStepCell("first-step/1", 50, 4, 24, CrossEntropy(), 1 << 20, 2, 0)


def cells() -> st.SearchStrategy[FirstStepCell]:
    schedules: st.SearchStrategy[Schedule] = st.one_of(
        st.just(CrossEntropy()),
        st.builds(
            OneShot, st.fractions(Fraction(1, 9), 16, max_denominator=9), st.sampled_from(("hard", "logits"))
        ),
        st.builds(
            Progressive, st.just("phase-1"), st.sampled_from(("hard", "logits")), st.sampled_from((2, 64))
        ),
        st.builds(LowDegreeCurriculum, st.integers(1, 4)),
    )

    def make(
        n: int, k: int, q: int, schedule: Schedule, samples: int, resolution: int, seed: int
    ) -> FirstStepCell:
        return FirstStepCell("first-step/1", n, min(k, n), min(q, n), schedule, samples, resolution, seed)

    return st.builds(
        make,
        st.integers(1, MAX_N),
        st.integers(1, 10),
        st.integers(-1, MAX_N),
        schedules,
        st.integers(1, MAX_SAMPLES),
        st.integers(1, 16),
        st.integers(0, MAX_SEED),
    )


def test_identities_are_what_they_were() -> None:
    # An identity that changes orphans every store; if that is wanted, the protocol's version must rise.
    assert BASE.id == "9e24a7c130495c15b69378a76aff2a7054731c566bb772b564306bb6003d0b3a"
    one_shot = dataclasses.replace(BASE, schedule=OneShot(Fraction(1, 2)), n=51, q=25, k=2, seed=7)
    assert one_shot.id == "dfdea3eb7c20fff4079ba07bb3415d2c3200f88e2e839dcf648c47b1bd5c53fc"
    teacher = dataclasses.replace(BASE, schedule=Progressive("phase-1", "hard", 256), resolution=4)
    assert teacher.id == "e9ebbeecf29bb148614ec5b0127e735f3df95d4f282355e0c800c1f5dbeb819a"
    assert (
        dataclasses.replace(BASE, schedule=LowDegreeCurriculum(2)).id
        == "bd521b5e4e01804230e88031b46bab7cb734c1977c435c20c94a0f63528c0ed7"
    )


def test_the_identity_is_the_hash_of_all_fields_as_canonical_json() -> None:
    text = json.dumps(BASE.spec(), sort_keys=True, separators=(",", ":"))
    assert BASE.id == hashlib.sha256(text.encode()).hexdigest()
    assert set(BASE.spec()) == {field.name for field in dataclasses.fields(FirstStepCell)}


CHANGES: dict[str, Any] = {
    "protocol": "first-step/2",
    "n": 51,
    "k": 2,
    "q": 25,
    "schedule": Progressive(),
    "samples": (1 << 20) + 1,
    "resolution": 3,
    "seed": 1,
}


def test_every_field_has_a_change_in_the_table() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(FirstStepCell)}


@pytest.mark.parametrize("field", CHANGES)
def test_the_identity_changes_with_every_field(field: str) -> None:
    changed = dataclasses.replace(BASE, **{field: CHANGES[field]})
    assert changed.id != BASE.id
    assert changed != BASE


@given(cells(), cells())
def test_identities_are_equal_iff_cells_are(a: FirstStepCell, b: FirstStepCell) -> None:
    assert (a.id == b.id) == (a == b)
    assert a.id == dataclasses.replace(a).id


@given(cells())
def test_specs_round_trip_through_json(cell: FirstStepCell) -> None:
    again = Cell.from_spec(json.loads(canonical_json(cell.spec())))
    assert again == cell
    assert again.id == cell.id
    assert len(cell.id) == 64
    # The order of keys is nothing to the identity.
    assert Cell.from_spec(dict(reversed(cell.spec().items()))).id == cell.id


REFUSED = [
    ({"n": 0}, "n = 0"),
    ({"n": MAX_N + 1}, f"n = {MAX_N + 1}"),
    ({"k": 0}, "k = 0"),
    ({"k": 11}, "k = 11"),
    ({"n": 3, "q": 1}, "k = 4 is larger than n = 3"),
    ({"q": -2}, "q = -2"),
    ({"q": 51}, "q = 51"),
    ({"samples": 0}, "samples 0"),
    ({"samples": MAX_SAMPLES + 1}, f"samples {MAX_SAMPLES + 1}"),
    ({"resolution": 0}, "resolution 0"),
    ({"resolution": 17}, "resolution 17"),
    ({"seed": -1}, "seed -1"),
    ({"seed": MAX_SEED + 1}, f"seed {MAX_SEED + 1}"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_a_cell_out_of_range_is_refused(change: dict[str, int], reason: str) -> None:
    with pytest.raises(SimError, match=reason):
        dataclasses.replace(BASE, **change)
    with pytest.raises(SimError, match=reason):
        Cell.from_spec(BASE.spec() | change)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {**BASE.spec(), "extra": 1},
        {key: value for key, value in BASE.spec().items() if key != "seed"},
        {**BASE.spec(), "schedule": {}},
    ],
)
def test_what_describes_no_cell_is_refused_in_one_sentence(spec: Any) -> None:
    with pytest.raises(SimError) as caught:
        Cell.from_spec(spec)
    assert "\n" not in str(caught.value)


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"a": float("nan")})


def test_the_grid_of_a_cell_never_passes_its_horizon() -> None:
    assert record_grid(BASE.samples, BASE.resolution)[-1] == BASE.samples
