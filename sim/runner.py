"""The runner: units of work over local processes, with nothing lost and nothing counted twice.

A *unit* is a range of replicates of one cell. Units are handed out longest first; the driver alone writes the
store, one transaction a unit. Workers end with the driver, whatever ends it.
"""

import contextlib
import functools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import final

from sim.cell import Cell
from sim.errors import SimError, WorkerError
from sim.protocol.base import Payload
from sim.protocol.registry import protocol_of
from sim.store import Store

UNIT_SECONDS = 4.0
"""A unit aims at this expected length: short enough to resume cheaply, long enough to hide its overhead."""

PROGRESS_SECONDS = 0.25
MAX_THREADS = 256


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """A range of replicates of one cell; `seconds` is its expected length."""

    cell: Cell
    replicates: tuple[int, ...]
    seconds: float


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A finished unit and its records by replicate."""

    unit: Unit
    records: dict[int, Payload]


OnShare = Callable[[Unit, float], None]
"""Called now and then with a unit under way and the share of it that is done."""


def plan_units(cells: Iterable[Cell], store: Store, replicates: int) -> list[Unit]:
    """The units that are still to be done, longest expected first.

    Args:
        cells: cells of the grid.
        store: records that are there are not planned again.
        replicates: wanted replicates of each cell; their numbers are 0 … replicates − 1.
    """
    units = []
    for cell in cells:
        missing = sorted(set(range(replicates)) - store.replicates(cell.id))
        seconds = protocol_of(cell).seconds(cell)
        size = max(1, min(len(missing), int(UNIT_SECONDS / max(seconds, 1e-9))))
        for start in range(0, len(missing), size):
            part = tuple(missing[start : start + size])
            units.append(Unit(cell, part, seconds * len(part)))
    return sorted(units, key=lambda unit: (-unit.seconds, unit.cell.id, unit.replicates))


def run_units(units: Sequence[Unit], workers: int, threads: int, on_share: OnShare) -> Iterator[Finished]:
    """Run units and yield them as they finish; closing the iterator ends the workers.

    Args:
        units: in the order in which they are to be started.
        workers: processes; 1 runs in this process.
        threads: threads of each worker.
        on_share: told of progress within units.

    Raises:
        WorkerError: a worker ended or failed; the message names the unit.
    """
    if workers == 1 or len(units) <= 1:
        for unit in units:
            share = functools.partial(on_share, unit)
            yield Finished(unit, protocol_of(unit.cell).run(unit.cell, unit.replicates, threads, share))
    else:
        yield from _run_in_processes(units, min(workers, len(units)), threads, on_share)


def _run_in_processes(
    units: Sequence[Unit], workers: int, threads: int, on_share: OnShare
) -> Iterator[Finished]:
    context = multiprocessing.get_context("spawn")
    queue = list(reversed(units))
    busy: dict[Connection, tuple[SpawnProcess, Unit]] = {}
    processes: list[tuple[SpawnProcess, Connection]] = []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_worker, args=(theirs, threads, os.getpid()), daemon=True)
            with _interrupts_held():
                process.start()
            theirs.close()
            processes.append((process, ours))
            busy[ours] = (process, _hand_out(queue, ours))
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                process, unit = busy[ready]
                try:
                    kind, value = ready.recv()
                except (EOFError, ConnectionError) as error:
                    process.join(5)
                    raise WorkerError(
                        f"a worker ended (exit code {process.exitcode}) during {unit.cell.label()}, replicates "
                        f"{unit.replicates[0]} to {unit.replicates[-1]}: run the same command again to continue"
                    ) from error
                if kind == "share":
                    on_share(unit, value)
                    continue
                if kind == "error":
                    raise WorkerError(f"{unit.cell.label()} failed: {value}")
                del busy[ready]
                if queue:
                    busy[ready] = (process, _hand_out(queue, ready))
                yield Finished(unit, value)
    finally:
        for process, connection in processes:
            connection.close()
            process.kill()
        for process, _ in processes:
            process.join(5)


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


def _hand_out(queue: list[Unit], connection: Connection) -> Unit:
    unit = queue.pop()
    # A worker that died is noticed by the receiving side, which can say where.
    with contextlib.suppress(BrokenPipeError, ConnectionError):
        connection.send((unit.cell.spec(), unit.replicates))
    return unit


def _worker(connection: Connection, threads: int, parent: int) -> None:
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
            spec, replicates = connection.recv()
            try:
                cell = Cell.from_spec(spec)
                value = protocol_of(cell).run(cell, replicates, threads, progress)
            except SimError as error:
                connection.send(("error", str(error)))
            except (BrokenPipeError, ConnectionError):
                raise
            except Exception as error:
                connection.send(("error", "".join(traceback.format_exception_only(error)).strip()))
            else:
                connection.send(("records", value))


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, even in the middle of a unit."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def worker_count(wanted: int | None) -> int:
    """Checked number of worker processes; all processors of this process when None.

    Raises:
        SimError: less than 1 or more than the machine has.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if wanted is None:
        return available
    if not 1 <= wanted <= available:
        raise SimError(
            f"workers {wanted} are not allowed: this machine has {available}, give 1 to {available}"
        )
    return wanted


def check_threads(threads: int) -> None:
    """Refuse a number of threads for which there can be no machine.

    Raises:
        SimError: fewer than 1 or more than 256.
    """
    if not 1 <= threads <= MAX_THREADS:
        raise SimError(f"threads {threads} are not allowed: give 1 to {MAX_THREADS}")
