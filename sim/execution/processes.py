"""Processes of this machine. A worker that ends is replaced; workers end with the driver, whatever ends it."""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, final

from sim.cell import Cell
from sim.errors import SimError
from sim.execution.base import Event, Executor, Failed, Finished, Lost, OnShare, lacks_memory
from sim.execution.inline import one_line
from sim.execution.threads import MAX_THREADS, set_threads
from sim.protocol.base import Means, Part
from sim.units import Unit, run_unit

PROGRESS_SECONDS = 0.25
WAIT_SECONDS = 0.5


@final
@dataclass(eq=False, slots=True)
class _Worker:
    process: SpawnProcess
    connection: Connection
    unit: Unit | None = None
    threads: int = 1

    @property
    def name(self) -> str:
        return str(self.process.pid)


@final
class Processes(Executor):
    """Processes of this machine, started when they are first needed.

    Args:
        workers: how many there may be.
        means: of each worker.
        on_share: told of progress within units.
    """

    def __init__(self, workers: int, means: Means, on_share: OnShare) -> None:
        self._count, self._means, self._on_share = workers, means, on_share
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._kills = oom_kills()

    @property
    def slots(self) -> int:
        """The number of workers."""
        return self._count

    @property
    def free(self) -> int:
        """Workers without a unit, those that are not started yet included."""
        return self._count - sum(worker.unit is not None for worker in self._workers)

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        """Send the unit to an idle worker, or to a new one."""
        idle = [worker for worker in self._workers if worker.unit is None]
        worker = next((worker for worker in idle if worker.name != avoid), None)
        if worker is None:
            worker = self._start() if len(self._workers) < self._count else idle[0]
        worker.unit = unit
        worker.threads = min(MAX_THREADS, self._means.threads * max(1, self._count // max(1, among)))
        # A worker that died is noticed by the receiving side, which can say where.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            specs = [(part.cell.spec(), part.replicates) for part in unit.parts]
            worker.connection.send((specs, unit.prepares, worker.threads))

    def wait(self) -> Sequence[Event]:
        """What workers have sent, or that one ended."""
        by_connection = {worker.connection: worker for worker in self._workers if worker.unit is not None}
        events = []
        for ready in wait(list(by_connection), WAIT_SECONDS):
            assert isinstance(ready, Connection)
            event = self._receive(by_connection[ready])
            if event is not None:
                events.append(event)
        return events

    def close(self) -> None:
        """Kill the workers."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.connection.close()
            worker.process.kill()
        for worker in workers:
            worker.process.join(5)

    def _receive(self, worker: _Worker) -> Event | None:
        unit = worker.unit
        assert unit is not None
        try:
            kind, value = worker.connection.recv()
        except (EOFError, OSError):  # the latter in the middle of a message
            return self._ended(worker, unit)
        if kind == "share":
            self._on_share(unit, value)
            return None
        worker.unit = None
        if kind == "memory":
            # What it has left may not be enough for the next unit either.
            self._drop(worker)
            return Lost(unit, f"a worker had not enough memory ({value})", worker.name, memory=True)
        if kind == "error":
            return Failed(unit, value)
        records, seconds = value
        return Finished(unit, records, seconds * worker.threads)

    def _ended(self, worker: _Worker, unit: Unit) -> Lost:
        self._drop(worker)
        code, kills = worker.process.exitcode, oom_kills()
        starved = code == -signal.SIGKILL and kills > self._kills
        self._kills = kills
        why = f"a worker ended (exit code {code}{', the system was out of memory' if starved else ''})"
        return Lost(unit, why, worker.name, memory=starved)

    def _drop(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(5)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._means, os.getpid()), daemon=True)
        worker = _Worker(process, ours)
        with _interrupts_held():
            process.start()
            theirs.close()
            self._workers.append(worker)
        return worker


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, for this thread and for a process that is started here (which inherits it for good).

    A terminal sends Ctrl-C to workers too: one that is still importing would show a traceback.
    """
    resource_tracker.ensure_running()  # started on demand, it would let interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def oom_kills() -> int:
    """How many processes the system has killed for want of memory, as far as this process can see."""
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError):
            fields = (line.split() for line in Path(path).read_text().splitlines())
            count += sum(int(value) for name, value in fields if name == "oom_kill")
    return count


def _work(connection: Connection, means: Means, parent: int) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    reported = 0.0

    def progress(share: float) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= PROGRESS_SECONDS:
            reported = now
            connection.send(("share", share))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionError):
        while True:
            specs, prepares, threads = connection.recv()
            connection.send(_answer(specs, prepares, dataclasses.replace(means, threads=threads), progress))


def _answer(specs: Any, prepares: bool, means: Means, progress: Any) -> tuple[str, Any]:
    start = time.monotonic()
    try:
        set_threads(means.threads)
        parts = tuple(Part(Cell.from_spec(spec), replicates) for spec, replicates in specs)
        records = run_unit(Unit(parts, 0.0, prepares), means, progress)
    except SimError as error:
        return "error", str(error)
    except (BrokenPipeError, ConnectionError):
        raise
    except Exception as error:
        return "memory" if lacks_memory(error) else "error", one_line(error)
    return "records", (records, time.monotonic() - start)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even in the middle of a unit."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
