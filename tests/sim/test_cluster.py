"""Grids on a Dask cluster: the same tables, whatever ends in between; and what is refused."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

from kernels import _load
from sim.errors import SimError
from sim.execution import cluster as module
from sim.execution import remote
from sim.execution.base import Failed, Finished, Lost
from sim.execution.cluster import Cluster
from sim.execution.driver import drive
from sim.protocol.base import Means, Part, Wanted
from sim.protocol.registry import protocol_of
from sim.store import Store
from sim.units import Queue, Unit, missing_parts
from tests.sim.conftest import ONLINE, TINY, call, cells, run_grid, table, tree
from tests.sim.dask_processes import Processes, local_cluster, plant
from tests.sim.test_processes import GRID, Launcher, stored, until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:distributed")

RUN = ("run", *GRID, "--quiet")


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """A cluster of two workers."""
    with Processes(tmp_path_factory.mktemp("two"), 2) as running:
        yield running


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of TINY and of ONLINE, run in this process, with the artifacts of the latter."""
    folder = tmp_path_factory.mktemp("plain")
    run_grid(folder / "tiny.sqlite")
    run_grid(folder / "online.sqlite", grid=ONLINE)
    return folder


def ignore(*what: object) -> None:
    pass


@pytest.mark.parametrize("workers", [2, 4])
def test_a_local_cluster_gives_the_table_of_one_process(workers: int, plain: Path, tmp_path: Path) -> None:
    with local_cluster(workers, tmp_path) as address:
        for name, grid in (("tiny", TINY), ("online", ONLINE)):
            out = tmp_path / f"{name}.sqlite"
            result = call("run", *grid, "--quiet", "--scheduler", address, "--out", out)
            assert result.code in (0, 3), result
            assert result.err == ""
            assert table(out) == table(plain / f"{name}.sqlite")


def test_a_teacher_is_trained_once_and_its_checkpoints_come_to_the_driver(
    two: Processes, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So short that teacher and students come back after each segment, and go on anywhere.
    monkeypatch.setattr(module, "STRETCH_SECONDS", 0.0)
    sent: list[Unit] = []
    send = Cluster._send
    monkeypatch.setattr(Cluster, "_send", lambda self, *what: sent.append(what[1]) or send(self, *what))
    out = tmp_path / "online.sqlite"
    assert call("run", *ONLINE, "--quiet", "--scheduler", two.address, "--out", out).code == 0
    assert table(out) == table(plain / "online.sqlite")
    assert sum(unit.prepares for unit in sent) == 8, "segments of the teacher"
    assert checkpoints(tmp_path) == checkpoints(plain)
    # Students of another grid find the teacher: nothing of it is made again.
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "online.artifacts").rglob("step-*")}
    more = call("run", *ONLINE, "--lr", "0.2", "--quiet", "--scheduler", two.address, "--out", out)
    assert more.code == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "online.artifacts").rglob("step-*")}
    assert before.items() <= after.items()


def test_a_damaged_checkpoint_is_called_by_its_path_here(two: Processes, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "online.sqlite"
    shutil.copy(plain / "online.sqlite", out)
    shutil.copytree(plain / "online.artifacts", tmp_path / "online.artifacts")
    (teacher,) = (tmp_path / "online.artifacts" / "teacher").iterdir()
    checkpoint = teacher / "step-00000000000400.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-5])
    more = ("--replicates", 4, "--scheduler", two.address, "--quiet", "--out", out)
    result = call("run", *ONLINE, *more)
    assert result.code == 3
    assert (
        f" failed: artifact {checkpoint} is damaged, it is truncated: delete it and run again" in result.err
    )
    checkpoint.unlink()
    assert call("run", *ONLINE, *more).code == 0


def checkpoints(folder: Path) -> dict[str, bytes]:
    """Contents of the teacher's files."""
    found = tree(folder / "online.artifacts" / "teacher")
    return {path: content for path, content in found.items() if path.endswith(".safetensors")}


def test_a_killed_driver_leaves_its_cluster_free_for_the_next(
    launcher: Launcher, two: Processes, tmp_path: Path
) -> None:
    out = tmp_path / "s.sqlite"
    long = ("run", "--n", 9, "--k", 2, "--samples", "8e12", "--replicates", 2, "--schedule", "cross-entropy")
    session = launcher.start(tmp_path, *long, "--quiet", "--scheduler", two.address, "--out", out)
    until(out.exists, 60, "no store")
    time.sleep(3)  # both workers are in units that would take hours
    os.kill(session, signal.SIGKILL)
    assert launcher.wait() == -signal.SIGKILL
    start = time.monotonic()
    result = call("run", *TINY, "--quiet", "--scheduler", two.address, "--out", tmp_path / "next.sqlite")
    assert result.code in (0, 3)
    assert time.monotonic() - start < 60


def test_ctrl_c_says_how_to_resume(launcher: Launcher, two: Processes, tmp_path: Path) -> None:
    out = tmp_path / "s.sqlite"
    session = launcher.start(tmp_path, *RUN, "--replicates", 5000, "--scheduler", two.address, "--out", out)
    until(lambda: stored(out) > 0, 60, "no record in a minute")
    os.killpg(session, signal.SIGINT)
    assert launcher.wait() == 130
    assert (tmp_path / "err").read_text() == (
        "interrupted: what was finished is stored; run the same command again to continue\n"
    )


def a_copy(folder: Path) -> Path:
    """The packages as they are here, in another folder."""
    for package in ("sim", "kernels", "theory"):
        shutil.copytree(package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "csrc"))
    if (core := _load.core()) is not None:
        shutil.copy(str(core.__file__), folder / "kernels")
    return folder


@pytest.mark.parametrize("more", ["", "# one line more\n"])
def test_a_worker_with_other_code_is_refused_and_one_with_a_copy_is_not(more: str, tmp_path: Path) -> None:
    other, out = a_copy(tmp_path / "other"), tmp_path / "s.sqlite"
    with (other / "sim" / "cell.py").open("a") as file:
        file.write(more)
    with Processes(tmp_path, 1, preload=plant(tmp_path / "plant.py", other)) as cluster:
        wait_for_workers(cluster, 1)
        result = call("run", *TINY, "--quiet", "--scheduler", cluster.address, "--out", out)
    if not more:
        assert result.code in (0, 3), result
        return
    assert result.refusal.startswith(f"no worker of {cluster.address} can be used: ")
    assert "it runs other code (version " in result.refusal
    assert stored(out) == 0


def test_a_worker_without_the_package_is_refused_beside_one_with_it(tmp_path: Path) -> None:
    said: list[str] = []
    with Processes(tmp_path, 1) as cluster:
        cluster.preload = plant(tmp_path / "plant.py", None)
        cluster.add_worker()
        wait_for_workers(cluster, 2)
        with Cluster(cluster.address, tmp_path / "a", None, ignore, said.append) as executor:
            seats(executor, 1)
            until(lambda: executor.wait() is not None and bool(executor._refused), 60, "it was not refused")
            assert executor.slots == 1
    assert len(said) == 1
    assert "is not used: it does not have this version of the package (ModuleNotFoundError: " in said[0]


def wait_for_workers(cluster: Processes, count: int) -> None:
    until(lambda: workers_or_none(cluster.address) == count, 60, "no workers in a minute")


def workers_or_none(address: str) -> int | None:
    try:
        return module.workers_of(address)
    except SimError:
        return None


def seats(executor: Cluster, count: int) -> list[Any]:
    until(lambda: executor.wait() is not None and len(executor._seats) >= count, 60, "no workers in a minute")
    return list(executor._seats.values())


def test_threads_are_those_of_the_worker_and_no_more_are_allowed(plain: Path, tmp_path: Path) -> None:
    with Processes(tmp_path, 1, threads=2) as cluster:
        wait_for_workers(cluster, 1)
        for asked, given in ((None, 2), (1, 1)):
            with Cluster(cluster.address, tmp_path / "a", asked, ignore, ignore) as executor:
                (seat,) = seats(executor, 1)
                assert seat.threads == given
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(remote, "work", Counting())
                    assert event_of(executor, unit_of(plain / "tiny.sqlite")).why == f"{given} threads"
        refusal = call(
            "run", *TINY, "--threads", 3, "--scheduler", cluster.address, "--quiet", "--out", tmp_path / "s"
        ).refusal
        assert refusal.endswith("it has 2 threads, where --threads 3 were asked for")


class Counting:
    """Stands for `remote.work`: runs the unit, and answers how many threads it had."""

    __name__ = "work"

    def __call__(self, job: remote.Job) -> remote.Answer:
        import torch

        assert remote.work(job).error is None
        return remote.Answer(error=f"{torch.get_num_threads()} threads")


def test_refusals(tmp_path: Path) -> None:
    out = tmp_path / "s.sqlite"
    for address in ("tcp://127.0.0.1:1", "nonsense", "tcp://127.0.0.1:notaport"):
        refusal = call("run", *TINY, "--scheduler", address, "--out", out).refusal
        assert refusal.startswith(f"no Dask scheduler answers at {address!r}: give the address")
    assert not out.exists()
    refusal = call("run", *TINY, "--scheduler", "tcp://127.0.0.1:1", "--workers", 1, "--out", out).refusal
    assert refusal.startswith("--workers 1 has no effect with --scheduler tcp://127.0.0.1:1")


def test_without_workers_it_waits_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 1.0)
    with Processes(tmp_path, 0) as cluster:
        until(lambda: workers_or_none(cluster.address) == 0, 60, "no scheduler")
        refusal = call(
            "run", *TINY, "--quiet", "--scheduler", cluster.address, "--out", tmp_path / "s"
        ).refusal
    assert refusal == (
        f"{cluster.address} has had no worker for 1 s: start some and run the same command again to continue"
    )


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refusal = call("run", *TINY, "--scheduler", "tcp://h:1", "--out", tmp_path / "s").refusal
    assert (
        refusal == "--scheduler tcp://h:1 needs Dask, which is not installed: install sparse-parity[cluster]"
    )


# one worker, by hand


def unit_of(path: Path) -> Unit:
    cell = cells(path)[0]
    return Unit((Part(cell, (0, 1)),), 1.0)


def event_of(executor: Cluster, unit: Unit) -> Any:
    executor.submit(unit, among=1)
    end = time.monotonic() + 60
    events: Sequence[Any] = ()
    while not events:
        assert time.monotonic() < end, "no answer in a minute"
        events = executor.wait()
    (event,) = events
    return event


def test_what_a_worker_answers_becomes_the_event_that_it_is(
    two: Processes, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = unit_of(plain / "tiny.sqlite")
    with Cluster(two.address, tmp_path / "a", None, ignore, ignore) as executor:
        seats(executor, 2)
        right = event_of(executor, unit)
        assert isinstance(right, Finished)
        assert right.records == protocol_of(unit.parts[0].cell).run(unit.parts, Means(), ignore)
        for answer, kind in (
            (remote.Answer(error="broken"), Failed),
            (remote.Answer(error="MemoryError", memory=True), Lost),
        ):
            monkeypatch.setattr(remote, "work", Answers(answer))
            event = event_of(executor, unit)
            assert isinstance(event, kind)
            assert answer.error is not None
            assert answer.error in event.why
            assert getattr(event, "memory", None) is (True if kind is Lost else None)


class Answers:
    """Stands for `remote.work`, on the worker too; without an answer the worker is of no use."""

    __name__ = "work"

    def __init__(self, answer: remote.Answer | None) -> None:
        self.answer = answer

    def __call__(self, job: remote.Job) -> remote.Answer:
        if self.answer is None:
            raise remote.RestartedError(job.token)
        return self.answer


def test_work_that_is_lost_comes_back_sooner_the_next_time(
    two: Processes, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, stretches = unit_of(plain / "tiny.sqlite"), list[float]()
    stretch = Cluster._stretch

    def noted(self: Cluster, unit: Unit) -> float:
        stretches.append(stretch(self, unit))
        return stretches[-1]

    monkeypatch.setattr(Cluster, "_stretch", noted)
    with Cluster(two.address, tmp_path / "a", None, ignore, ignore) as executor:
        for answer in (*[None] * 4, *[remote.Answer()] * 2, remote.Answer({}), remote.Answer()):
            seats(executor, 1)
            monkeypatch.setattr(remote, "work", Answers(answer))
            event_of(executor, unit)
    assert stretches == [60, 15, 3.75, 1, 1, 1, 3.75, 60]


def test_a_process_that_is_not_the_one_that_was_greeted_loses_its_unit_only(
    two: Processes, plain: Path, tmp_path: Path
) -> None:
    with Cluster(two.address, tmp_path / "a", None, ignore, ignore) as executor:
        for seat in seats(executor, 2):
            seat.token = "of another process"
        unit = unit_of(plain / "tiny.sqlite")
        event = event_of(executor, unit)
        assert isinstance(event, Lost)
        assert "RestartedError" in event.why
        assert not event.memory
        assert all(
            seat.token != "of another process" for seat in seats(executor, 2) if seat.address == event.worker
        )


def test_a_run_where_no_more_than_one_unit_is_on_a_worker(
    two: Processes, plain: Path, tmp_path: Path
) -> None:
    path = plain / "tiny.sqlite"
    with (
        Cluster(two.address, tmp_path / "a", None, ignore, ignore) as executor,
        Store(tmp_path / "s.sqlite", write=True) as store,
    ):
        found = cells(path)
        store.add_cells([(cell, {}) for cell in found])
        most = 0

        def sink(finished: Sequence[Finished]) -> None:
            nonlocal most
            most = max(most, sum(seat.unit is not None for seat in executor._seats.values()))
            store.add_units([one.records for one in finished if one.records])

        outcome = drive(
            Queue(missing_parts([Wanted(c, 6) for c in found], store.replicates)), executor, sink, ignore
        )
    assert outcome.failures == []
    assert most <= 2
    assert table(tmp_path / "s.sqlite") == table(path)
