import inspect
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import runner
from sim.cell import Cell
from sim.errors import SimError, WorkerError
from sim.protocol.registry import protocol_of
from sim.runner import Finished, Unit, plan_units, run_units, worker_count
from sim.schedule import CrossEntropy, Progressive
from sim.store import Store

CELLS = [
    Cell("first-step/1", n, 2, n // 2, CrossEntropy(), 1 << e, 1, 0) for n in (9, 30) for e in (6, 20, 34)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.sqlite", write=True) as store:
        store.add_cells((cell, {}) for cell in CELLS)
        yield store


def planned(units: list[Unit]) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for unit in units:
        result.setdefault(unit.cell.id, []).extend(unit.replicates)
    return {cell: sorted(replicates) for cell, replicates in result.items()}


def test_all_replicates_of_an_empty_store_are_planned_once(store: Store) -> None:
    assert planned(plan_units(CELLS, store, 10)) == {cell.id: list(range(10)) for cell in CELLS}


def test_exactly_the_missing_replicates_are_planned(store: Store) -> None:
    done = [{0, 3, 9}, set(range(10)), {5}, set(), {11, 12}, {1}]
    for cell, replicates in zip(CELLS, done, strict=True):
        store.add_records(cell.id, {r: {"success": "1"} for r in replicates})
    expected = {
        cell.id: sorted(set(range(10)) - replicates)
        for cell, replicates in zip(CELLS, done, strict=True)
        if set(range(10)) - replicates
    }
    assert planned(plan_units(CELLS, store, 10)) == expected
    assert planned(plan_units(CELLS[:2], store, 2)) == {CELLS[0].id: [1]}


def test_units_start_longest_first_and_are_short_or_single(store: Store) -> None:
    units = plan_units(CELLS, store, 50)
    assert [u.seconds for u in units] == sorted((u.seconds for u in units), reverse=True)
    for unit in units:
        assert unit.seconds == pytest.approx(protocol_of(unit.cell).seconds(unit.cell) * len(unit.replicates))
        assert unit.seconds <= runner.UNIT_SECONDS or len(unit.replicates) == 1
    assert len({len(unit.replicates) for unit in units}) > 1
    assert units == plan_units(reversed(CELLS), store, 50)


def small(count: int) -> list[Unit]:
    return [
        Unit(Cell("first-step/1", 9, 2, 4, CrossEntropy(), 64, 1, seed), (0, 1, 2), 0.1 * seed)
        for seed in range(count)
    ]


def test_one_worker_runs_in_this_process_in_order() -> None:
    units = small(4)
    shares: list[tuple[Unit, float]] = []
    finished = list(run_units(units, 1, 1, lambda unit, share: shares.append((unit, share))))
    assert [f.unit for f in finished] == units
    assert [unit for unit, share in shares if share == 1] == units
    for f in finished:
        assert f.records == protocol_of(f.unit.cell).run(f.unit.cell, [0, 1, 2], 1, lambda share: None)
    assert multiprocessing.active_children() == []


def collect(units: list[Unit], workers: int) -> tuple[list[Finished], Exception | None]:
    result: list[Finished] = []
    try:
        for finished in run_units(units, workers, 1, lambda unit, share: None):
            result.append(finished)
    except WorkerError as error:
        return result, error
    return result, None


def test_workers_give_the_same_records_and_end_at_a_failure_that_is_one_sentence() -> None:
    units = small(5)
    alone = {f.unit: f.records for f in run_units(units, 1, 1, lambda unit, share: None)}
    odd = Cell("first-step/1", 9, 3, 5, Progressive("phase-1", "hard", 8), 64, 1, 0)
    finished, error = collect([*units, Unit(odd, (0,), 0.0)], 2)
    # The failing unit is handed out last; the one before it may be under way.
    assert len(finished) >= 4
    assert all(f.records == alone[f.unit] for f in finished)
    assert isinstance(error, WorkerError)
    assert str(error).startswith("n=9 k=3 progressive phase-1 m=8 hard failed: ")
    assert "\n" not in str(error)
    assert multiprocessing.active_children() == []


def test_a_dead_worker_is_one_sentence_that_names_its_unit() -> None:
    long = Cell("first-step/1", 9, 2, 4, CrossEntropy(), 1 << 36, 1, 0)
    units = [Unit(long, (0, 1), 60.0), Unit(long, (2, 3), 60.0)]  # one worker gets to the first only
    killed: list[int] = []

    def kill(unit: Unit, share: float) -> None:
        if not killed:
            victim = multiprocessing.active_children()[0]
            assert victim.pid is not None
            killed.append(victim.pid)
            victim.kill()

    with pytest.raises(
        WorkerError, match=r"ended \(exit code -9\) during n=9 k=2 cross-entropy, replicates 0 to 1:"
    ) as e:
        list(runner._run_in_processes(units, 1, 1, kill))
    assert killed
    assert "run the same command again to continue" in str(e.value)
    assert multiprocessing.active_children() == []


def test_closing_the_iterator_ends_the_workers() -> None:
    units = [*small(3), Unit(Cell("first-step/1", 9, 2, 4, CrossEntropy(), 1 << 36, 1, 9), (0,), 60.0)]
    iterator: Any = runner._run_in_processes(units, 1, 1, lambda unit, share: None)
    next(iterator)
    assert len(multiprocessing.active_children()) == 1
    iterator.close()
    assert multiprocessing.active_children() == []


def test_the_number_of_workers_is_checked_against_the_machine() -> None:
    available = len(os.sched_getaffinity(0))
    assert worker_count(None) == available
    assert worker_count(1) == 1
    assert worker_count(available) == available
    for wanted in (0, -1, available + 1):
        with pytest.raises(SimError, match=f"workers {wanted} are not allowed: this machine has {available}"):
            worker_count(wanted)


@given(st.integers(1, 40), st.floats(1e-6, 100.0), st.sets(st.integers(0, 39)))
def test_planning_covers_for_any_cost(replicates: int, seconds: float, done: set[int]) -> None:
    class Stub:
        def replicates(self, cell: str) -> set[int]:
            return done

    class Costs:
        def seconds(self, cell: Cell) -> float:
            return seconds

    plan: Any = inspect.unwrap(plan_units)  # the stand-ins are not of the types that are checked in tests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "protocol_of", lambda cell: Costs())
        units = plan(CELLS[:1], Stub(), replicates)
    missing = sorted(set(range(replicates)) - done)
    assert sorted(r for unit in units for r in unit.replicates) == missing
