"""This process and processes of this machine: the same records, and what is done about a worker that ends."""

import ast
import inspect
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from sim.cell import Cell, FirstStepCell
from sim.errors import SimError
from sim.execution import driver, processes, threads
from sim.execution.base import Event, Executor, Failed, Finished, Lost, lacks_memory
from sim.execution.inline import Inline
from sim.execution.processes import Processes
from sim.execution.threads import set_threads, worker_count
from sim.protocol.base import Means, Part
from sim.protocol.first_step import FirstStep
from sim.protocol.registry import protocol_of
from sim.schedule import Progressive
from sim.units import Records, Unit
from tests.sim.conftest import TINY, _theory_of, call, cells, run_grid, table, touch
from tests.sim.executors import a_cell, half_an_answer, plant, runs

TWO = min(2, worker_count(None))
IMPOSSIBLE = FirstStepCell("first-step/1", 9, 3, 5, Progressive("phase-1", "hard", 8), 64, 1, 0)


def nothing(unit: Unit, share: float) -> None:
    pass


def small(count: int) -> list[Unit]:
    return [Unit((Part(a_cell(seed), (0, 1, 2)),), 0.1 * seed) for seed in range(count)]


def right(unit: Unit) -> Records:
    return protocol_of(unit.parts[0].cell).run(unit.parts, Means(), lambda share: None)


def events_of(executor: Executor, units: Sequence[Unit]) -> dict[Unit, Event]:
    """What comes of each unit, run as soon as there is room."""
    found: dict[Unit, Event] = {}
    waiting = list(units)
    while len(found) < len(units):
        while waiting and executor.free:
            executor.submit(waiting.pop(0), among=len(units))
        for event in executor.wait():
            assert event.unit not in found
            found[event.unit] = event
    return found


# this process


def test_in_this_process_units_are_run_in_order() -> None:
    shares: list[tuple[Unit, float]] = []
    with Inline(Means(), lambda unit, share: shares.append((unit, share))) as executor:
        assert (executor.slots, executor.free, executor.wait()) == (1, 1, ())
        executor.submit(small(1)[0], among=1)
        assert executor.free == 0
        executor.wait()
        found = events_of(executor, small(4))
    assert [unit for unit, share in shares if share == 1] == [small(1)[0], *small(4)]
    for unit, event in found.items():
        assert isinstance(event, Finished)
        assert event.records == right(unit)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (SimError("there is no such thing"), "there is no such thing"),
        (MemoryError(), "there was not enough memory (MemoryError)"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried\nto"),
            "there was not enough memory "
            "(RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried)",
        ),
    ],
)
def test_in_this_process_a_failure_is_a_sentence(
    error: Exception, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: object) -> Records:
        raise error

    (unit,) = small(1)
    with monkeypatch.context() as patch, Inline(Means(), nothing) as executor:
        patch.setattr(FirstStep, "run", run)
        assert events_of(executor, [unit])[unit] == Failed(unit, why)


def test_what_nobody_foresaw_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: object) -> Records:
        raise RuntimeError("an oversight")

    monkeypatch.setattr(FirstStep, "run", run)
    with Inline(Means(), nothing) as executor, pytest.raises(RuntimeError, match="an oversight"):
        events_of(executor, small(1))


def test_want_of_memory_is_told_from_other_errors() -> None:
    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ):
        assert lacks_memory(error)
    for error in (RuntimeError("shapes differ"), OSError(28, "No space left on device"), KeyError("memory")):
        assert not lacks_memory(error)
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert lacks_memory(caught.value)


# processes


def test_processes_give_the_same_records_and_a_failure_that_is_one_sentence() -> None:
    units = small(5)
    odd = Unit((Part(IMPOSSIBLE, (0,)),), 0.0)
    with Processes(2, Means(), nothing) as executor:
        assert (executor.slots, executor.free) == (2, 2)
        assert multiprocessing.active_children() == []
        found = events_of(executor, [*units, odd])
        assert len(multiprocessing.active_children()) == 2
        # While one unit is under way there is room for one more.
        executor.submit(Unit((Part(a_cell(9, 1 << 40), (0,)),), 60.0), among=1)
        assert executor.free == 1
    assert multiprocessing.active_children() == []
    executor.close()
    for unit in units:
        event = found[unit]
        assert isinstance(event, Finished)
        assert event.records == right(unit)
        assert event.seconds > 0
    failure = found[odd]
    assert isinstance(failure, Failed)
    assert "\n" not in failure.why


def test_threads_are_set_verified_and_shared_among_units_that_are_fewer_than_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, tmp_path, {})
    units = small(4)
    with Processes(6, Means(2), nothing) as executor:
        for unit, among in zip(units, (1, 6, 4, 100), strict=True):
            executor.submit(unit, among=among)
            found: list[Event] = []
            while not found:
                found += executor.wait()
            (event,) = found
            assert isinstance(event, Finished)
    threads_of = [runs(tmp_path, unit.parts[0].cell) for unit in units]
    assert len({process for [(process, _, _)] in threads_of}) == 1
    assert [(of_torch, of_pools) for [(_, of_torch, of_pools)] in threads_of] == [
        (12, 12),
        (2, 2),
        (2, 2),
        (2, 2),
    ]


def test_any_thread_may_set_threads_whichever_set_them_before() -> None:
    told, done, seen = threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        set_threads(2)
        told.set()
        done.wait(60)  # it lives on, as threads of a worker do

    def second() -> None:
        try:
            set_threads(1)
        except SimError as error:
            seen.append(str(error))

    before = threading.Thread(target=first)
    before.start()
    try:
        assert told.wait(60)
        after = threading.Thread(target=second)
        after.start()
        after.join()
        assert seen == []
        assert all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "blas")
    finally:
        done.set()
        before.join()
        set_threads(1)


@pytest.mark.parametrize("name", ["torch", "another library"])
def test_a_library_that_does_not_obey_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_threads(2)
    assert torch.get_num_threads() == 2
    if name == "torch":
        # Fewer are not what was asked for either.
        monkeypatch.setattr("torch.get_num_threads", lambda: 2)
        with pytest.raises(SimError, match="torch uses 2 threads where 3 were set: nothing is run with it"):
            set_threads(3)
    else:
        pools = [
            {"filepath": "/lib/liba.so", "num_threads": 1},
            {"filepath": "/lib/libb.so", "num_threads": 4},
        ]
        monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: pools)
        with pytest.raises(SimError, match=r"/lib/libb\.so uses 4 threads where 3 were set"):
            set_threads(3)
        set_threads(4)
    with pytest.raises(SimError):
        Inline(Means(1 if name == "torch" else 3), nothing)


def test_the_number_of_workers_is_checked_against_the_machine() -> None:
    available = len(os.sched_getaffinity(0))
    assert worker_count(None) == available
    assert worker_count(1) == 1
    assert worker_count(available) == available
    for wanted in (0, -1, available + 1):
        with pytest.raises(SimError, match=f"workers {wanted} are not allowed: this machine has {available}"):
            worker_count(wanted)
    for count in (0, threads.MAX_THREADS + 1):
        with pytest.raises(SimError, match=f"threads {count} are not allowed: give 1 to 256"):
            threads.check_threads(count)


def test_a_worker_that_is_killed_while_it_answers_is_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_work", half_an_answer)
    (unit,) = small(1)
    with Processes(1, Means(), nothing) as executor:
        event = events_of(executor, [unit])[unit]
    assert isinstance(event, Lost)
    assert (event.why, event.memory) == ("a worker ended (exit code -9)", False)


def test_a_kill_while_the_system_was_out_of_memory_is_for_want_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter([3, 4])
    monkeypatch.setattr(processes, "oom_kills", lambda: next(kills))
    (unit,) = small(1)
    plant(monkeypatch, tmp_path, {unit.parts[0].cell.id: "dies"})
    with Processes(1, Means(), nothing) as executor:
        event = events_of(executor, [unit])[unit]
    assert isinstance(event, Lost)
    assert (event.why, event.memory) == ("a worker ended (exit code -9, the system was out of memory)", True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_to_be_avoided_is_taken_only_if_there_can_be_no_other(workers: int) -> None:
    first, second = small(2)
    with Processes(workers, Means(), nothing) as executor:
        events_of(executor, [first])
        (worker,) = multiprocessing.active_children()
        executor.submit(second, among=1, avoid=str(worker.pid))
        assert len(multiprocessing.active_children()) == workers
    assert not worker.is_alive()


# a grid with trouble


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without figures, and with theory that was computed before."""
    monkeypatch.setattr("sim.plan.theory_of", _theory_of)
    monkeypatch.setattr("sim.verbs.common.draw", touch)


@pytest.mark.usefixtures("quick")
def test_of_a_grid_in_which_workers_die_and_starve_all_else_is_made(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if TWO < 2:
        pytest.skip("one processor")
    dead, unlucky, starved, broken, *_ = found = cells(tiny)
    faults = {dead.id: "dies", unlucky.id: "dies once", starved.id: "starves", broken.id: "breaks"}
    folder = tmp_path / "runs"
    folder.mkdir()
    out = tmp_path / "s.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(driver, "MOST_LOSSES", 2)
        plant(patch, folder, faults)
        result = call("run", *TINY, "--workers", 2, "--out", out)
    assert result.code == 3
    lines = result.err.splitlines()

    def named(cell: Cell) -> str:
        return f"{cell.label()}, replicates 0 to 5"

    memory = "RuntimeError: [enforce fail at alloc_cpu.cpp"
    again = [line for line in lines if line.endswith(": it is run again")]
    assert sorted(line for line in again if "memory" not in line) == sorted(
        f"a worker ended (exit code -9) during {named(cell)}: it is run again" for cell in (dead, unlucky)
    )
    (starving,) = (line for line in again if "memory" in line)
    assert starving.startswith(f"a worker had not enough memory ({memory}")
    assert starving.endswith(f" during {named(starved)}: it is run again")
    errors = sorted(line.removeprefix("error: ") for line in lines if line.startswith("error: "))
    expected = sorted(
        (
            f"{named(dead)} failed: a worker ended (exit code -9), twice",
            f"{named(starved)} failed: a worker had not enough memory ({memory}",
            f"{named(broken)} failed: KeyError: 'an oversight'",
        )
    )
    assert len(errors) == 3
    assert all(error.startswith(start) for error, start in zip(errors, expected, strict=True))
    assert lines[-1] == "18 replicates are missing for this; run the same command again to try again"
    assert "Traceback" not in result.err
    # Each was tried again in another process.
    for cell, times in ((dead, 2), (unlucky, 2), (starved, 2), (broken, 1)):
        assert len({process for process, *_ in runs(folder, cell)}) == len(runs(folder, cell)) == times
    # The table is printed, and what was made is what is made without trouble.
    assert "UNDECIDED" in result.out or "INCOMPLETE" in result.out
    lost = {dead.id, starved.id, broken.id}
    assert table(out).splitlines() == [
        line for line in table(tiny).splitlines() if line.partition(",")[0] not in lost
    ]
    assert len(found) == 6
    # And the next run makes the rest.
    assert run_grid(out).code in (0, 3)
    assert table(out) == table(tiny)


def test_where_nothing_was_made_it_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*arguments: object) -> Records:
        raise MemoryError

    monkeypatch.setattr(FirstStep, "run", run)
    refusal = run_grid(tmp_path / "s.sqlite").refusal
    assert "replicates 0 to 5 failed: there was not enough memory (MemoryError); 5 more failed too" in refusal


# clocks


def test_no_wall_clock_is_read() -> None:
    root = Path(inspect.getfile(driver)).parents[1]
    names = ("units.py", "progress.py", "artifacts.py", "store*.py", "store/*.py", "execution/*.py")
    files = [path for name in names for path in root.glob(name)]
    assert len(files) >= 12
    for file in files:
        tree = ast.parse(file.read_text())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "time"
        }
        imported = {
            name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in [getattr(node, "module", None), *(alias.name for alias in node.names)]
        }
        assert used <= {"monotonic", "sleep", "perf_counter", "process_time"}, file
        assert not imported & {"datetime", "calendar"}, file
        assert all(
            not (isinstance(node, ast.ImportFrom) and node.module == "time") for node in ast.walk(tree)
        ), file


@pytest.mark.usefixtures("quick")
def test_a_wall_clock_that_jumps_changes_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    started = time.time()

    def jumping() -> float:
        return started + chance.uniform(-9e5, 9e5)

    monkeypatch.setattr(time, "time", jumping)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * jumping()))
    assert abs(time.time() - time.time()) > 1
    out = tmp_path / "s.sqlite"
    result = call("run", *TINY, "--workers", TWO, "--out", out)
    assert result.code in (0, 3)
    assert "100%  6/6 cells" in result.err
    assert table(out) == table(tiny)
