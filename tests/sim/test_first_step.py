import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kernels
import sim.protocol.first_step as module
from sim import phase_one
from sim.cell import FirstStepCell
from sim.channels import channels_of
from sim.errors import SimError
from sim.plan import _student
from sim.protocol.base import Part
from sim.protocol.first_step import FirstStep, succeeds
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.ranges import record_grid
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule
from tests.sim import dense
from theory.walsh import suggested_count, threshold_count

PROTOCOL = FirstStep()


def cell_of(
    schedule: Schedule, n: int = 9, k: int = 2, *, q: int | None = None, samples: int = 600, seed: int = 0
) -> FirstStepCell:
    return FirstStepCell(
        "first-step/1", n, k, threshold_count(n, 0) if q is None else q, schedule, samples, 2, seed
    )


def run(cell: FirstStepCell, replicates: list[int], threads: int = 1) -> dict[int, dict[str, str]]:
    return {r: dict(p) for r, p in PROTOCOL.run_cell(cell, replicates, threads, lambda share: None).items()}


CELLS = {
    "cross-entropy": cell_of(CrossEntropy()),
    "cross-entropy, n even": cell_of(CrossEntropy(), n=8, k=4),
    "cross-entropy, k odd": cell_of(CrossEntropy(), n=11, k=3, q=suggested_count(11, 3)),
    "never active": cell_of(CrossEntropy(), q=-1, samples=40),
    "always active": cell_of(CrossEntropy(), q=9),
    "n = k": cell_of(CrossEntropy(), n=4, k=4, samples=40),
    "wider than a word": cell_of(CrossEntropy(), n=70, samples=300),
    "one-shot": cell_of(OneShot(Fraction(1, 2))),
    "one-shot, likely to err": cell_of(OneShot(Fraction(1, 16)), n=8),
    "one-shot without error": cell_of(OneShot(None)),
    "one-shot logits": cell_of(OneShot(Fraction(1), "logits")),
    "progressive": cell_of(Progressive()),
    "progressive hard": cell_of(Progressive(labels="hard"), n=10, k=4),
    "low-degree 1": cell_of(LowDegreeCurriculum(1)),
    "low-degree 2": cell_of(LowDegreeCurriculum(2), n=8, k=3, q=5),
    "phase-1": cell_of(Progressive("phase-1", "logits", 8)),
    "phase-1 hard": cell_of(Progressive("phase-1", "hard", 8), n=10),
    "phase-1 k=4": cell_of(Progressive("phase-1", "logits", 32), n=11, k=4),
    "phase-1-projected": cell_of(Progressive("phase-1-projected", "logits", 8)),
    "phase-1-projected hard": cell_of(Progressive("phase-1-projected", "hard", 8), n=11, k=4),
}


@pytest.mark.parametrize("name", CELLS)
def test_records_equal_a_naive_dense_computation(name: str) -> None:
    cell = CELLS[name]
    records = run(cell, [0, 5])
    for replicate, record in records.items():
        assert record["success"] == dense.success(cell, replicate)
        schedule = cell.schedule
        target = schedule.target(cell.n, cell.k)
        if target is None:
            assert isinstance(schedule, Progressive)
            teacher = phase_one.draw_teacher(cell, schedule, replicate)
            junta = phase_one.projected_target(schedule, teacher)
            magnitudes = None if schedule.teacher == "phase-1" else channels_of(junta).magnitudes
        else:
            magnitudes = channels_of(target).magnitudes
        assert record["digest"] == dense.digest(cell, replicate, magnitudes)


BLOCKS = {
    "one-shot": cell_of(OneShot(Fraction(1, 2)), samples=5000),
    "one-shot logits": cell_of(OneShot(Fraction(1, 2), "logits"), samples=5000),
    "progressive hard": cell_of(Progressive(labels="hard"), n=10, k=4, samples=9000),
    "phase-1": cell_of(Progressive("phase-1", "hard", 8), samples=20000),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_records_beyond_a_block_equal_the_reference(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = BLOCKS[name]
    records = run(cell, [0, 3])
    monkeypatch.setattr(
        kernels, "first_step", functools.partial(kernels.first_step, implementation="reference")
    )
    monkeypatch.setattr(phase_one, "CHUNK", 777)
    assert run(cell, [0, 3]) == records


@pytest.mark.parametrize("name", CELLS)
def test_a_replicate_alone_equals_itself_in_a_batch(name: str) -> None:
    batch = run(CELLS[name], [4, 0, 7, 2])
    assert list(batch) == [4, 0, 7, 2]
    for replicate in (0, 7):
        assert run(CELLS[name], [replicate]) == {replicate: batch[replicate]}
    if name not in ("never active", "phase-1", "phase-1-projected"):  # those labels may be 0 everywhere
        assert len({record["digest"] for record in batch.values()}) == 4


@pytest.mark.parametrize("seconds", [0.0, 2e-7, 2e-6])
@pytest.mark.parametrize("name", ["cross-entropy", "one-shot", "phase-1-projected"])
def test_splitting_calls_changes_nothing(name: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = dataclasses.replace(CELLS[name], samples=150)
    expected = run(cell, [0, 1, 2])
    calls = []

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(kwargs["records"])
        return original(*args, **kwargs)

    original: Callable[..., object] = kernels.first_step
    monkeypatch.setattr(kernels, "first_step", counted)
    monkeypatch.setattr(module, "CALL_SECONDS", seconds)
    assert run(cell, [0, 1, 2]) == expected
    assert len(calls) > 3
    if seconds == 0.0:
        assert len(calls) >= 128


@pytest.mark.parametrize("name", CELLS)
def test_threads_change_nothing(name: str) -> None:
    expected = run(CELLS[name], [0, 1, 2])
    assert run(CELLS[name], [0, 1, 2], threads=2) == expected
    assert run(CELLS[name], [0, 1, 2], threads=3) == expected


@pytest.mark.parametrize("name", ["cross-entropy", "phase-1", "phase-1-projected"])
def test_progress_rises_to_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 1e-5)
    shares: list[float] = []
    PROTOCOL.run_cell(CELLS[name], [0, 1, 2, 3], 1, shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[0] > 0
    assert shares[-1] == 1


def test_the_seed_changes_everything_that_is_drawn() -> None:
    digests = {run(cell_of(CrossEntropy(), seed=seed), [0])[0]["digest"] for seed in range(4)}
    assert len(digests) == 4


@given(
    hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=6),
        elements=st.integers(-4, 4),
    ),
    st.data(),
)
def test_success_is_that_the_support_is_strictly_largest(gradients: np.ndarray, data: st.DataObject) -> None:
    n = gradients.shape[-1]
    support = sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n)))
    result = succeeds(gradients, support)
    assert result.shape == gradients.shape[:-1]
    for row, success in zip(gradients.reshape(-1, n).tolist(), result.reshape(-1).tolist(), strict=True):
        assert success == dense.succeeds(row, support)


def test_ties_count_as_failure() -> None:
    assert not succeeds(np.array([3, -3, 1]), [0])
    assert not succeeds(np.array([3, 2, -2, 0]), [0, 1])
    assert not succeeds(np.zeros(4, dtype=np.int64), [0])
    assert succeeds(np.array([3, -3, 2, 0]), [0, 1])


def test_all_coordinates_of_the_support_succeed_even_with_zero_gradients() -> None:
    assert succeeds(np.zeros(3, dtype=np.int64), [0, 1, 2])
    assert set(run(CELLS["n = k"], [0])[0]["success"]) == {"1"}


def test_success_is_decided_beyond_64_bits() -> None:
    large = np.array([2**70, -(2**70) - 1, 2**70 - 1], dtype=object)
    assert succeeds(large, [0, 1])
    assert not succeeds(large, [0, 2])


def test_one_unit_never_active_never_succeeds() -> None:
    assert set(run(CELLS["never active"], [0])[0]["success"]) == {"0"}


@pytest.mark.parametrize("teacher", ["phase-1", "phase-1-projected"])
def test_each_student_reaches_the_limit_that_theory_predicts_for_its_own_teacher(teacher: str) -> None:
    schedule = Progressive(teacher, "logits", 8)
    cell = cell_of(schedule, n=9, samples=1 << 14)
    replicates = list(range(60))
    models = [_student(cell, schedule, r) for r in replicates]
    # A clear margin: at this horizon the Gaussian model leaves no more than 1e-6 for the other outcome.
    B = float(cell.samples)
    clear = {r: limit for r, (success, limit) in enumerate(models) if abs(success(B) - limit) < 1e-6}
    limits = list(clear.values())
    assert limits.count(1.0) >= 5
    assert limits.count(0.0) >= 5
    records = run(cell, list(clear))
    assert {r: float(records[r]["success"][-1]) for r in clear} == clear


def test_too_many_samples_for_exact_sums_are_refused() -> None:
    cell = cell_of(Progressive("phase-1", "logits", 8), samples=1 << 43)
    schedule = cell.schedule
    assert isinstance(schedule, Progressive)
    teacher = phase_one.draw_teacher(cell, schedule, 0)
    teacher.__dict__["integer_bound"] = 1 << 20  # as of a much wider teacher
    with pytest.raises(SimError, match="too many for exact sums of this teacher: give fewer than"):
        phase_one.gradients(cell, schedule, teacher, 0, record_grid(cell.samples, 2))


def test_the_protocol_of_a_cell_is_found_by_name_and_version() -> None:
    assert protocol_of(CELLS["cross-entropy"]) is PROTOCOLS["first-step"]
    for tag in ("first-step/2", "first-step", "online/0", ""):
        with pytest.raises(SimError, match="not known here: this version runs first-step/1"):
            protocol_of(FirstStepCell(tag, 9, 2, 4, CrossEntropy(), 10, 2, 0))


@pytest.mark.parametrize("name", CELLS)
def test_expected_seconds_are_positive_and_grow_with_the_horizon(name: str) -> None:
    cell = CELLS[name]
    longer = FirstStepCell(cell.protocol, cell.n, cell.k, cell.q, cell.schedule, 1 << 30, 2, 0)
    assert 0 < PROTOCOL.seconds([Part(cell, (0,))]) < PROTOCOL.seconds([Part(longer, (0,))])
