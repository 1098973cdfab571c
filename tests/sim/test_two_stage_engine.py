"""Two-stage students against a naive computation, and what must change nothing; faults are planted and noticed."""

import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kernels
import sim.two_stage.first as first_module
from sim import gradients, phase_one, streams
from sim.gradients import GradientSums
from sim.protocol.base import Means, Part
from sim.protocol.two_stage import TwoStage
from sim.schedule import Progressive
from sim.two_stage import biases, signed
from sim.two_stage.cell import TwoStageCell
from tests.sim import two_stage_cases as naive
from tests.sim.two_stage_cases import BIASED, SIGNED
from theory.second_stage import OnlineHinge, bias_features, knot_features

PROTOCOL = TwoStage()
REPLICATES = [0, 3]


def run(cell: TwoStageCell, replicates: list[int], threads: int = 1) -> dict[int, dict[str, Any]]:
    part = Part(cell, tuple(replicates))
    records = PROTOCOL.run([part], Means(threads), lambda share: None)[cell.id]
    return {replicate: dict(record) for replicate, record in records.items()}


def check_signed(cell: TwoStageCell) -> int:
    """Compare records with the naive ones; the number of u with an odd number of -1 that were seen."""
    negative = 0
    for replicate, record in run(cell, REPLICATES).items():
        assert PROTOCOL.problem(cell, record) is None
        text, hits = naive.found(cell, replicate)
        assert record["found"] == text
        support = list(streams.draw_support(cell.id, cell.n, cell.k))
        other = [1 if i in support else 0 for i in range(cell.n)]
        flipped = [-v if i == support[0] else v for i, v in enumerate(other)]
        for u in [*hits[-1:], other, flipped]:
            losses, errors, online = naive.signed_second(cell, replicate, u)
            assert record["loss"] == pytest.approx(losses, rel=1e-9, abs=1e-12)
            assert record["error"] == pytest.approx(errors, abs=1e-12)
            assert record["online"] == pytest.approx(online, rel=1e-9)
        negative += sum(np.prod([v for v in u if v]) < 0 for u in hits)
    return negative


def check_all(cells: list[TwoStageCell]) -> None:
    for cell in cells:
        check_signed(cell)


@pytest.mark.parametrize("name", SIGNED)
def test_signed_students_equal_a_naive_computation(name: str) -> None:
    check_signed(SIGNED[name])


def test_the_cases_see_both_outcomes_and_both_signs() -> None:
    texts = [naive.found(cell, r)[0] for cell in SIGNED.values() for r in REPLICATES]
    assert any("1" in text for text in texts)
    assert any(text.endswith("0") for text in texts)
    hits = [
        u
        for cell in (SIGNED["cross-entropy"], SIGNED["phase-1"])
        for r in range(6)
        for u in naive.found(cell, r)[1]
    ]
    assert {int(np.prod([v for v in u if v])) for u in hits} == {-1, 1}


@pytest.mark.parametrize("name", BIASED)
def test_students_with_biases_equal_a_naive_computation(name: str) -> None:
    check_biased(BIASED[name])


def check_biased(cell: TwoStageCell) -> None:
    for replicate, record in run(cell, REPLICATES).items():
        assert PROTOCOL.problem(cell, record) is None
        losses, errors = naive.biased_losses(cell, replicate)
        assert record["loss"] == pytest.approx(losses, rel=1e-6, abs=1e-9)
        assert record["error"] == pytest.approx(errors, abs=2.5 / biases.HELD_OUT)


def test_population_features_are_those_of_one_direction_where_there_is_one() -> None:
    cell = BIASED["progressive, k = 4"]
    student = biases.Student.of(cell, 1)
    assert student.step_size == Fraction(2, cell.k)
    direction = [Fraction(1, cell.k)] * cell.k
    assert student.population == bias_features(direction, student.signs, student.biases)
    assert sum(student.signs) == 0
    assert all(-1 < b < 1 and (b * 2**20).denominator == 1 for b in student.biases)


def test_a_teacher_without_degree_one_teaches_nothing_and_breaks_nothing() -> None:
    schedule = Progressive("phase-1-projected", "logits", 2)
    cell = naive.biased(schedule, n=7)
    silent = [r for r in range(30) if biases.Student.of(cell, r).step_size == 0]
    assert silent
    record = run(cell, silent[:1])[silent[0]]
    assert PROTOCOL.problem(cell, record) is None


# Faults.


def plant(monkeypatch: pytest.MonkeyPatch, where: str, value: Any) -> None:
    monkeypatch.setattr(f"sim.two_stage.{where}", value)


def _finds(compare: Callable[[Any, Any], Any], zone: Fraction | None = None) -> Callable[..., Any]:
    def faulty(sums: GradientSums, dead_zone: Fraction, grid: Any, support: Any) -> Any:
        limits = np.array([sums.unit * (dead_zone if zone is None else zone) * B for B in grid], dtype=float)
        inside = np.isin(np.arange(sums.values.shape[-1]), support)
        return (compare(np.abs(sums.values[:, 0]), limits[:, None]) == inside).all(axis=-1)

    return faulty


def _noisy_table(features: Any) -> Any:
    return dataclasses.replace(features, labels=(*(-y for y in features.labels[:-1]), features.labels[-1]))


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "no dead zone": lambda patch: plant(patch, "signed.finds", _finds(np.greater, Fraction(0))),
    "a dead zone without its end": lambda patch: plant(patch, "signed.finds", _finds(np.greater_equal)),
    "half the step": lambda patch: patch.setattr(
        OnlineHinge, "step_size", property(lambda h: 1 / h.squared_radius)
    ),
    "wrong labels": lambda patch: plant(
        patch, "signed.knot_features", lambda k: _noisy_table(knot_features(k))
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_signed_student_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # At B = 4, 8, ... the equal teacher's gradient sums meet the dead zone exactly.
    cells = [dataclasses.replace(SIGNED["progressive"], resolution=1, seed=seed) for seed in range(12)]
    for cell in cells[:2]:
        check_signed(cell)
    FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError):
        check_all(cells)


BIASED_FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "twice the step": lambda patch: patch.setattr(
        biases.Student, "step_size", property(lambda s: Fraction(4, s.cell.k))
    ),
    "no signs": lambda patch: patch.setattr(biases.Student, "signs", property(lambda s: (1,) * s.cell.width)),
}


@pytest.mark.parametrize("fault", BIASED_FAULTS)
def test_a_fault_of_the_student_with_biases_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = BIASED["progressive"]
    BIASED_FAULTS[fault](monkeypatch)
    with pytest.raises(AssertionError):
        check_biased(cell)


# The dead zone.


@given(
    st.lists(st.integers(-6, 6), min_size=3, max_size=6),
    st.integers(1, 8),
    st.fractions(Fraction(1, 9), 2),
    st.data(),
)
def test_the_support_is_found_by_exact_comparison(
    values: list[int], B: int, dead_zone: Fraction, data: st.DataObject
) -> None:
    support = sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1)))
    unit = data.draw(st.sampled_from((Fraction(1), Fraction(3, 2), Fraction(7))))
    sums = GradientSums(np.array([[values]]), unit, np.array([0]))
    expected = [i for i, v in enumerate(values) if abs(Fraction(v) / unit / B) > dead_zone] == support
    assert signed.finds(sums, dead_zone, [B], support).tolist() == [expected]


def test_the_end_of_the_dead_zone_belongs_to_it() -> None:
    sums = GradientSums(np.array([[[5, 2, -2]], [[5, 3, -2]]]), Fraction(1), np.array([0]))
    assert signed.finds(sums, Fraction(1, 2), [4, 4], [0]).tolist() == [True, False]
    assert signed.finds(sums, Fraction(1, 2), [4, 4], [0, 1]).tolist() == [False, True]


def test_dead_zones_beyond_64_bits_are_compared() -> None:
    sums = GradientSums(np.array([[[1 << 62, 1]]]), Fraction(1), np.array([0]))
    assert signed.finds(sums, Fraction(1 << 10), [1 << 60], [0]).tolist() == [False]
    assert signed.finds(sums, Fraction(1, 4), [1 << 60], [0]).tolist() == [True]


floats = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.sampled_from((2, 4)), st.lists(floats, min_size=5, max_size=5), st.integers(1, 10**6))
def test_losses_of_averaged_iterates_are_exact(k: int, total: list[float], steps: int) -> None:
    features = knot_features(k)
    averaged = [Fraction(value) / steps for value in total[: k + 1]]
    exact = float(features.hinge_loss(averaged)), float(features.error(averaged))
    assert signed.measure(features, total[: k + 1], steps) == exact


# What changes nothing.

ALL = {f"signed {name}": cell for name, cell in SIGNED.items()}
ALL |= {f"biases {name}": cell for name, cell in BIASED.items()}
SOME = ("signed cross-entropy", "signed phase-1", "biases progressive", "biases phase-1")


@pytest.mark.parametrize("name", SOME)
def test_other_replicates_threads_and_calls_change_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = ALL[name]
    batch = run(cell, [4, 0, 7, 2, 1, 5])
    assert list(batch) == [4, 0, 7, 2, 1, 5]
    assert run(cell, [7]) == {7: batch[7]}
    assert run(cell, [4, 0], threads=2) == {r: batch[r] for r in (4, 0)}
    monkeypatch.setattr(first_module, "CALL_SECONDS", 0.0)
    monkeypatch.setattr(signed, "TOGETHER", 1)
    monkeypatch.setattr(biases, "WINDOW", 7)
    monkeypatch.setattr(biases, "BLOCK_NUMBERS", 1)
    monkeypatch.setattr(phase_one, "CHUNK", 13)
    assert run(cell, [4, 0]) == {r: batch[r] for r in (4, 0)}
    assert len({record["digest"] for record in batch.values()}) >= 3


@pytest.mark.parametrize("name", SOME)
def test_the_references_of_the_kernels_give_the_same_records(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = ALL[name]
    records = run(cell, [1])
    for kernel in ("first_step", "hinge_sgd"):
        monkeypatch.setattr(
            kernels, kernel, functools.partial(getattr(kernels, kernel), implementation="reference")
        )
    assert run(cell, [1]) == records


def test_windows_of_the_second_stage_change_online_losses_to_rounding_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = SIGNED["progressive"]
    before = run(cell, [0])[0]
    monkeypatch.setattr(signed, "WINDOW", 7)
    after = run(cell, [0])[0]
    assert after.pop("online") == pytest.approx(before.pop("online"), rel=1e-12)
    assert after == before


@pytest.mark.parametrize("labels", ["logits", "hard"])
def test_leaky_sums_of_many_units_are_exact(labels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Progressive("phase-1", labels, 8)
    cell = naive.biased(schedule, first=70, resolution=2)
    expected = naive.gradients(cell, 2, units=3)
    for integers in (False, True):
        if integers:  # as of a teacher whose sums would leave 2^53
            monkeypatch.setattr(phase_one, "CHUNK", 1 << 53)
        sums = gradients.leaky_sums(cell, schedule, 2, cell.first_grid, units=3)
        exact = [[[Fraction(int(v)) / sums.unit for v in row] for row in unit] for unit in sums.values]
        assert exact == expected


def test_first_layers_are_rounded_so_that_features_are_exact() -> None:
    cell = BIASED["cross-entropy"]
    student = biases.Student.of(cell, 0)
    sums = first_module.first_stage(cell, [0], 1, lambda share: None, cell.width)[0]
    x = kernels.draw_inputs(5, 0, cell.n, 0, 8).numpy()
    for layer, values, B in zip(student.first_layer(sums), sums.values, cell.first_grid, strict=True):
        allowed = Fraction(max(1.0, float(np.abs(layer).max()) * cell.n)) / 2**48
        for w, g, s in zip(layer, values, student.signs, strict=True):
            exact = [s * student.step_size * Fraction(int(v)) / sums.unit / B for v in g]
            assert all(abs(Fraction(float(a)) - b) <= allowed for a, b in zip(w, exact, strict=True))
            rational = [Fraction(float(a)) for a in w]
            products = [
                sum((a * int(v) for a, v in zip(rational, row, strict=True)), Fraction(0)) for row in x
            ]
            assert [Fraction(float(v)) for v in x.astype(float) @ w] == products


@pytest.mark.parametrize("name", ["signed progressive", "signed phase-1-projected", "biases progressive"])
def test_progress_rises_to_one(name: str) -> None:
    shares: list[float] = []
    PROTOCOL.run([Part(ALL[name], tuple(range(6)))], Means(), shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize("name", ALL)
def test_expected_seconds_are_positive_and_grow_with_each_horizon(name: str) -> None:
    cell = ALL[name]
    base = PROTOCOL.seconds([Part(cell, (0,))])
    assert base > 0
    for field in ("first", "second"):
        longer = dataclasses.replace(cell, **{field: 1 << 22})
        assert PROTOCOL.seconds([Part(longer, (0,))]) > base
    assert torch.get_num_threads() == 1
