import inspect
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import runner
from sim.cell import FirstStepCell
from sim.errors import SimError, WorkerError
from sim.protocol.base import Means, Part, Wanted
from sim.protocol.registry import protocol_of
from sim.runner import Finished, Unit, plan_units, run_units, worker_count
from sim.schedule import CrossEntropy, Progressive
from sim.store import Store

CELLS = [
    FirstStepCell("first-step/1", n, 2, n // 2, CrossEntropy(), 1 << e, 1, 0)
    for n in (9, 30)
    for e in (6, 20, 34)
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "s.sqlite", write=True) as store:
        store.add_cells((cell, {}) for cell in CELLS)
        yield store


def wanted(cells: Iterable[FirstStepCell], replicates: int) -> list[Wanted]:
    return [Wanted(cell, replicates) for cell in cells]


def unit(cell: FirstStepCell, replicates: tuple[int, ...], seconds: float) -> Unit:
    return Unit((Part(cell, replicates),), seconds)


def planned(units: list[Unit]) -> dict[str, list[int]]:
    result: dict[str, list[int]] = {}
    for part in (part for unit in units for part in unit.parts):
        result.setdefault(part.cell.id, []).extend(part.replicates)
    return {cell: sorted(replicates) for cell, replicates in result.items()}


def test_all_replicates_of_an_empty_store_are_planned_once(store: Store) -> None:
    assert planned(plan_units(wanted(CELLS, 10), store.replicates)) == {
        cell.id: list(range(10)) for cell in CELLS
    }


def test_exactly_the_missing_replicates_are_planned(store: Store) -> None:
    done = [{0, 3, 9}, set(range(10)), {5}, set(), {11, 12}, {1}]
    for cell, replicates in zip(CELLS, done, strict=True):
        store.add_records(cell.id, {r: {"success": "1"} for r in replicates})
    expected = {
        cell.id: sorted(set(range(10)) - replicates)
        for cell, replicates in zip(CELLS, done, strict=True)
        if set(range(10)) - replicates
    }
    assert planned(plan_units(wanted(CELLS, 10), store.replicates)) == expected
    assert planned(plan_units(wanted(CELLS[:2], 2), store.replicates)) == {CELLS[0].id: [1]}


def test_units_start_longest_first_and_are_short_or_single(store: Store) -> None:
    units = plan_units(wanted(CELLS, 50), store.replicates)
    assert [u.seconds for u in units] == sorted((u.seconds for u in units), reverse=True)
    for u in units:
        (part,) = u.parts
        assert u.seconds == pytest.approx(protocol_of(part.cell).seconds([part]))
        assert u.seconds <= runner.UNIT_SECONDS or len(part.replicates) == 1
    assert len({len(u.parts[0].replicates) for u in units}) > 1
    assert units == plan_units(wanted(reversed(CELLS), 50), store.replicates)


def small(count: int) -> list[Unit]:
    return [
        unit(FirstStepCell("first-step/1", 9, 2, 4, CrossEntropy(), 64, 1, seed), (0, 1, 2), 0.1 * seed)
        for seed in range(count)
    ]


def test_one_worker_runs_in_this_process_in_order() -> None:
    units = small(4)
    shares: list[tuple[Unit, float]] = []
    finished = list(run_units(units, 1, Means(), lambda unit, share: shares.append((unit, share))))
    assert [f.unit for f in finished] == units
    assert [unit for unit, share in shares if share == 1] == units
    for f in finished:
        cell = f.unit.parts[0].cell
        assert f.records == protocol_of(cell).run([Part(cell, (0, 1, 2))], Means(), lambda share: None)
        assert list(f.records[cell.id]) == [0, 1, 2]
    assert multiprocessing.active_children() == []


def collect(units: list[Unit], workers: int) -> tuple[list[Finished], Exception | None]:
    result: list[Finished] = []
    try:
        for finished in run_units(units, workers, Means(), lambda unit, share: None):
            result.append(finished)
    except WorkerError as error:
        return result, error
    return result, None


def test_workers_give_the_same_records_and_end_at_a_failure_that_is_one_sentence() -> None:
    units = small(5)
    alone = {f.unit: f.records for f in run_units(units, 1, Means(), lambda unit, share: None)}
    odd = FirstStepCell("first-step/1", 9, 3, 5, Progressive("phase-1", "hard", 8), 64, 1, 0)
    finished, error = collect([*units, unit(odd, (0,), 0.0)], 2)
    # The failing unit is handed out last; the one before it may be under way.
    assert len(finished) >= 4
    assert all(f.records == alone[f.unit] for f in finished)
    assert isinstance(error, WorkerError)
    assert str(error).startswith("n=9 k=3 progressive phase-1 m=8 hard, replicates 0 to 0 failed: ")
    assert "\n" not in str(error)
    assert multiprocessing.active_children() == []


def test_a_dead_worker_is_one_sentence_that_names_its_unit() -> None:
    long = FirstStepCell("first-step/1", 9, 2, 4, CrossEntropy(), 1 << 36, 1, 0)
    units = [unit(long, (0, 1), 60.0), unit(long, (2, 3), 60.0)]  # one worker gets to the first only
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
        list(runner._run_in_processes(units, 1, Means(), kill))
    assert killed
    assert "run the same command again to continue" in str(e.value)
    assert multiprocessing.active_children() == []


def test_closing_the_iterator_ends_the_workers() -> None:
    units = [
        *small(3),
        unit(FirstStepCell("first-step/1", 9, 2, 4, CrossEntropy(), 1 << 36, 1, 9), (0,), 60.0),
    ]
    iterator: Any = runner._run_in_processes(units, 1, Means(), lambda unit, share: None)
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
    class Costs:
        together = False

        def group(self, cell: FirstStepCell) -> str:
            return cell.id

        def seconds(self, parts: list[Part]) -> float:
            return seconds * sum(len(part.replicates) for part in parts)

    plan: Any = inspect.unwrap(plan_units)  # the stand-ins are not of the types that are checked in tests
    divide: Any = inspect.unwrap(runner._divide)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "protocol_of", lambda cell: Costs())
        patch.setattr(runner, "_divide", divide)
        units = plan(wanted(CELLS[:1], replicates), lambda cell: done)
    missing = sorted(set(range(replicates)) - done)
    assert sorted(r for u in units for part in u.parts for r in part.replicates) == missing
