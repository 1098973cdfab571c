"""The runner: units of work over local processes, with nothing lost and nothing counted twice.

A *unit* is a range of replicates of one cell, or of all cells of a group where their protocol runs them together.
Units are handed out longest first; the driver alone writes the store, one transaction a unit. Workers end with the
driver, whatever ends it.
"""

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import final

from sim.cell import Cell
from sim.errors import SimError, WorkerError
from sim.protocol.base import Means, Part, Payload, Progress, Protocol, Wanted
from sim.protocol.registry import protocol_of

UNIT_SECONDS = 4.0
"""A unit aims at this expected length: short enough to resume cheaply, long enough to hide its overhead."""

PROGRESS_SECONDS = 0.25
MAX_THREADS = 256


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """Replicates of one cell, or of the cells of one group; `seconds` is the expected length on one thread."""

    parts: tuple[Part, ...]
    seconds: float

    def label(self) -> str:
        """For messages: the first cell, its replicates, and how many cells there are beside it."""
        first = self.parts[0]
        more = f" and {len(self.parts) - 1} more cells" if len(self.parts) > 1 else ""
        return f"{first.cell.label()}, replicates {first.replicates[0]} to {first.replicates[-1]}{more}"


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A finished unit and its records by cell id and replicate."""

    unit: Unit
    records: dict[str, dict[int, Payload]]


OnShare = Callable[[Unit, float], None]
"""Called now and then with a unit under way and the share of it that is done."""


def plan_units(wanted: Iterable[Wanted], stored: Callable[[str], Set[int]]) -> list[Unit]:
    """The units that are still to be done, longest expected first.

    Args:
        wanted: cells of the grid with the wanted number R of replicates, which are numbered 0 … R − 1.
        stored: the replicates of a cell id that are there, which are not planned again.
    """
    groups: dict[str, list[Part]] = {}
    for cell, replicates in ((w.cell, w.replicates) for w in wanted):
        missing = sorted(set(range(replicates)) - stored(cell.id))
        if missing:
            groups.setdefault(protocol_of(cell).group(cell), []).append(Part(cell, tuple(missing)))
    units = []
    for parts in groups.values():
        protocol = protocol_of(parts[0].cell)
        if protocol.together:
            parts = sorted(parts, key=lambda part: part.cell.id)
            units.append(Unit(tuple(parts), protocol.seconds(parts)))
        else:
            units += [unit for part in parts for unit in _divide(part, protocol)]
    return sorted(units, key=lambda u: (-u.seconds, [(part.cell.id, part.replicates) for part in u.parts]))


def _divide(part: Part, protocol: Protocol) -> Iterator[Unit]:
    seconds = protocol.seconds([part]) / len(part.replicates)
    size = max(1, int(UNIT_SECONDS / max(seconds, 1e-9)))
    for start in range(0, len(part.replicates), size):
        some = part.replicates[start : start + size]
        yield Unit((Part(part.cell, some),), seconds * len(some))


def run_unit(unit: Unit, means: Means, progress: Progress) -> dict[str, dict[int, Payload]]:
    """Records of a unit by cell id and replicate."""
    return protocol_of(unit.parts[0].cell).run(unit.parts, means, progress)


def run_units(units: Sequence[Unit], workers: int, means: Means, on_share: OnShare) -> Iterator[Finished]:
    """Run units and yield them as they finish; closing the iterator ends the workers.

    Args:
        units: in the order in which they are to be started.
        workers: processes; 1 runs in this process. Where there are fewer units, each has more threads instead.
        means: of each worker.
        on_share: told of progress within units.

    Raises:
        WorkerError: a worker ended or failed; the message names the unit.
    """
    if 0 < len(units) < workers:
        threads = min(MAX_THREADS, means.threads * workers // len(units))
        means = dataclasses.replace(means, threads=threads)
        workers = len(units)
    if workers == 1 or not units:
        for unit in units:
            yield Finished(unit, run_unit(unit, means, functools.partial(on_share, unit)))
    else:
        yield from _run_in_processes(units, workers, means, on_share)


def _run_in_processes(
    units: Sequence[Unit], workers: int, means: Means, on_share: OnShare
) -> Iterator[Finished]:
    context = multiprocessing.get_context("spawn")
    queue = list(reversed(units))
    busy: dict[Connection, tuple[SpawnProcess, Unit]] = {}
    processes: list[tuple[SpawnProcess, Connection]] = []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_worker, args=(theirs, means, os.getpid()), daemon=True)
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
                        f"a worker ended (exit code {process.exitcode}) during {unit.label()}: "
                        "run the same command again to continue"
                    ) from error
                if kind == "share":
                    on_share(unit, value)
                    continue
                if kind == "error":
                    raise WorkerError(f"{unit.label()} failed: {value}")
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
        connection.send([(part.cell.spec(), part.replicates) for part in unit.parts])
    return unit


def _worker(connection: Connection, means: Means, parent: int) -> None:
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
            specs = connection.recv()
            try:
                parts = tuple(Part(Cell.from_spec(spec), replicates) for spec, replicates in specs)
                value = run_unit(Unit(parts, 0.0), means, progress)
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
