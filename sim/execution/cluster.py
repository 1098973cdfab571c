"""A Dask cluster: any that has a scheduler to connect to (dask-jobqueue, Kubernetes, LocalCluster, by hand).

The driver keeps a *seat* for each worker process, gives it one unit at a time, and names the worker that is to run it:
Dask carries messages, and the driver knows which unit was where when a worker goes. Workers need the same version of
this package, and no common file system: artifacts go through the driver, one file at a time.
"""

import contextlib
import importlib
import logging
import queue
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from distributed import Client

from sim.artifacts import write_artifact
from sim.errors import SimError, WorkerError
from sim.execution import remote
from sim.execution.base import Event, Executor, Failed, Finished, Lost, OnNote, OnShare
from sim.execution.inline import one_line, run_here
from sim.protocol.base import Files, Means
from sim.protocol.registry import protocol_of
from sim.units import Unit
from sim.versions import fingerprint

CONNECT_SECONDS = 10.0
POLL_SECONDS = 1.0
WAIT_SECONDS = 0.5
PATIENCE_SECONDS = 120.0
"""For so long the driver waits for a scheduler that went away, for a first worker, or for another one."""

RESULT_SECONDS = 60.0
"""A file or a finished result that has not come after so long is lost."""

STRETCH_SECONDS = 60.0
"""Work that can go on elsewhere comes back after so long, so that no more is lost with a worker."""

SHORTER = 4.0
LEAST_STRETCH_SECONDS = 1.0
"""Each time it is lost with a worker, it comes back so many times sooner, but no sooner than this: where workers do not
live for a minute, it gets on all the same. Each time it comes back it is trusted with as much more again."""

TRANSFERS = 8
STARVED = 0.8
"""A worker that ends with more than this share of its memory in use is taken to have run out of it."""


@final
@dataclass(eq=False, slots=True)
class _Seat:
    """A worker process that may be used."""

    address: str
    token: str
    threads: int
    memory: float = 0.0
    unit: Unit | None = None
    future: Any = None
    has: dict[str, tuple[int, int]] = field(default_factory=dict)


@final
class Cluster(Executor):
    """A Dask cluster.

    Args:
        address: of its scheduler.
        artifacts: the driver's folder of artifacts.
        threads: of each worker; None for as many as it has.
        on_share: told of progress of units that are run in this process.
        on_note: told of workers and schedulers that come and go.

    Raises:
        SimError: dask is not installed, or no scheduler answers.
    """

    def __init__(
        self, address: str, artifacts: Path, threads: int | None, on_share: OnShare, on_note: OnNote
    ) -> None:
        self._address, self._threads, self._name = address, threads, uuid.uuid4().hex
        self._means = Means(1, artifacts)
        self._folder = artifacts
        self._on_share, self._on_note = on_share, on_note
        self._seats: dict[str, _Seat] = {}
        self._asked: dict[str, Any] = {}
        self._refused: dict[str, str] = {}
        self._losses = Counter[Unit]()
        self._held: list[tuple[Unit, str | None, float]] = []
        self._events: queue.SimpleQueue[tuple[_Seat | None, Event]] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="transfer")
        self._polled = -POLL_SECONDS
        self._alone_since: float | None = None
        self._client = _connected(address)

    @property
    def slots(self) -> int:
        """Workers that may be used, at least one."""
        return max(1, len(self._seats))

    @property
    def free(self) -> int:
        """Workers without a unit."""
        return sum(seat.unit is None for seat in self._seats.values())

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        """Have a free worker run the unit; what is to be run where the artifacts are is run at once."""
        if unit.here:
            self._events.put((None, run_here(unit, self._means, self._on_share)))
            return
        self._held.append((unit, avoid, time.monotonic()))
        self._place()

    def _place(self) -> None:
        """Give units to workers. One waits for a while rather than go to the worker that it should not have."""
        held, self._held = self._held, []
        for unit, avoid, since in held:
            others = [seat for seat in self._seats.values() if seat.address != avoid]
            choosy = (others or self._asked) and time.monotonic() - since < PATIENCE_SECONDS
            seats = others if choosy else self._seats.values()
            seat = next((seat for seat in seats if seat.unit is None), None)
            if seat is None:
                self._held.append((unit, avoid, since))
            else:
                self._start(seat, unit)

    def _start(self, seat: _Seat, unit: Unit) -> None:
        seat.unit = unit
        files = protocol_of(unit.parts[0].cell).files(unit.parts, self._means, prepares=unit.prepares)
        if files.read:
            self._pool.submit(self._reporting, seat, unit, lambda: self._carry(seat, unit, files))
        else:
            self._send(seat, unit, files)

    def wait(self) -> Sequence[Event]:
        """Results, and units of workers that are gone."""
        events = self._poll() if time.monotonic() - self._polled >= POLL_SECONDS else []
        try:
            item = self._events.get(timeout=0 if events else WAIT_SECONDS)
            while True:
                seat, event = item
                if seat is None:
                    events.append(event)
                elif self._seats.get(seat.address) is seat and seat.unit is event.unit:
                    self._leave(seat, event)
                    events.append(event)
                item = self._events.get_nowait()
        except queue.Empty:
            self._place()
            return events

    def close(self) -> None:
        """Cancel what is under way and leave the cluster as it was."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(Exception):
            if self._client.status == "running":
                self._client.cancel([seat.future for seat in self._seats.values() if seat.future is not None])
                for address in self._seats:
                    self._call(address, remote.forget, self._name)
        with contextlib.suppress(Exception):
            self._client.close(timeout=2)
        self._seats.clear()

    # workers

    def _call(self, address: str, function: Any, *arguments: Any) -> Any:
        """A future of a function on one worker, and on no other."""
        return self._client.submit(
            function,
            *arguments,
            workers=[address],
            allow_other_workers=False,
            pure=False,
            key=f"{function.__name__}-{uuid.uuid4().hex}",
        )

    def _poll(self) -> list[Event]:
        """See which workers there are.

        Raises:
            WorkerError: there has been none for a while.
        """
        workers = self._workers()
        self._polled = time.monotonic()
        lost = [self._gone(seat) for address, seat in list(self._seats.items()) if address not in workers]
        for seat in self._seats.values():
            seat.memory = _share_of_memory(workers[seat.address])
        for gone in (self._asked.keys() | self._refused.keys()) - workers.keys():
            self._asked.pop(gone, None)
            self._refused.pop(gone, None)
        for address in workers:
            if address not in self._seats and address not in self._refused:
                self._greet(address)
        self._check_patience()
        return [event for event in lost if event is not None]

    def _workers(self) -> dict[str, Any]:
        """What the scheduler says of its workers; none while it is away."""
        if self._client.status == "closed":
            with contextlib.suppress(SimError):
                self._client = _connected(self._address)
        if self._client.status != "running":
            return {}
        try:
            found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception:  # it went away just now
            return {}
        return found if self._client.status == "running" else {}

    def _greet(self, address: str) -> None:
        """Ask a worker who it is, and give it a seat when it has answered.

        First it has to import what it will be asked to do: one that cannot could not even read the question.
        """
        if address not in self._asked:
            self._asked[address] = self._call(address, importlib.import_module, remote.__name__)
        future = self._asked[address]
        if not future.done():
            return
        try:
            if future.key.startswith(importlib.import_module.__name__):
                if future.status == "error":
                    raise future.exception(timeout=RESULT_SECONDS)
                self._asked[address] = self._call(address, remote.hello, self._threads)
                return
            said = future.result(timeout=RESULT_SECONDS)
        except SimError as error:
            self._refuse(address, str(error))
        except (ImportError, AttributeError) as error:
            self._refuse(address, f"it does not have this version of the package ({one_line(error)})")
        except Exception as error:
            if future.status == "error":
                self._refuse(address, one_line(error))
        else:
            if said.fingerprint == fingerprint():
                self._seats[address] = _Seat(address, said.token, said.threads)
            else:
                self._refuse(
                    address,
                    f"it runs other code (version {said.version}, fingerprint {said.fingerprint[:12]}, "
                    f"here {fingerprint()[:12]})",
                )
        self._asked.pop(address)

    def _refuse(self, address: str, why: str) -> None:
        self._refused[address] = why
        self._on_note(f"worker {address} is not used: {why}")

    def _leave(self, seat: _Seat, event: Event) -> None:
        """The seat's unit came to its end."""
        if isinstance(event, Lost):
            self._losses[event.unit] += 1
        elif isinstance(event, Finished) and event.records is None:
            self._losses[event.unit] = max(0, self._losses[event.unit] - 1)
        else:
            del self._losses[event.unit]
        if isinstance(event, Lost) and not event.memory:  # if it is still there, it is asked anew who it is
            del self._seats[seat.address]
            if seat.future is not None:
                seat.future.cancel()
        seat.unit = seat.future = None

    def _gone(self, seat: _Seat) -> Event | None:
        del self._seats[seat.address]
        if seat.unit is None:
            return None
        self._losses[seat.unit] += 1
        starved = seat.memory >= STARVED
        why = f"worker {seat.address} ended{', nearly out of memory' if starved else ''}"
        return Lost(seat.unit, why, seat.address, memory=starved)

    def _check_patience(self) -> None:
        now = time.monotonic()
        if self._seats:
            self._alone_since = None
            return
        if self._refused and not self._asked:
            address, why = next(iter(self._refused.items()))
            raise WorkerError(f"no worker of {self._address} can be used: {address} is not used, as {why}")
        if self._alone_since is None:
            self._alone_since = now
        elif now - self._alone_since >= PATIENCE_SECONDS:
            raise WorkerError(
                f"{self._address} has had no worker for {PATIENCE_SECONDS:.0f} s: start some and run the same "
                "command again to continue"
            )

    # units

    def _send(self, seat: _Seat, unit: Unit, files: Files) -> None:
        job = remote.Job(
            token=seat.token,
            driver=self._name,
            artifacts=str(self._folder),
            parts=tuple((part.cell.spec(), part.replicates) for part in unit.parts),
            prepares=unit.prepares,
            threads=seat.threads,
            kept=files.kept,
            stretch=self._stretch(unit),
        )
        future = self._call(seat.address, remote.work, job)
        seat.future = future

        def collect(done: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the driver has left
                self._pool.submit(self._reporting, seat, unit, lambda: self._collect(seat, unit, done))

        future.add_done_callback(collect)

    def _stretch(self, unit: Unit) -> float:
        least = min(LEAST_STRETCH_SECONDS, STRETCH_SECONDS)
        return max(least, STRETCH_SECONDS * SHORTER ** -self._losses[unit])

    def _reporting(self, seat: _Seat, unit: Unit, action: Any) -> None:
        """Do something in a thread; what comes of it is an event."""
        try:
            event = action()
        except SimError as error:  # of the driver's own disk
            event = Failed(unit, str(error))
        except Exception as error:
            event = Lost(unit, f"worker {seat.address} did not answer ({one_line(error)})", seat.address)
        if event is not None:
            self._events.put((seat, event))

    def _carry(self, seat: _Seat, unit: Unit, files: Files) -> None:
        """Send the files that the worker lacks, then the unit."""
        for name in files.read:
            path = self._folder / name
            mark = _mark(path)
            if seat.has.get(name) != mark:
                data = path.read_bytes()
                call = self._call(seat.address, remote.put, seat.token, self._name, name, data)
                call.result(timeout=RESULT_SECONDS)
                seat.has[name] = mark
        self._send(seat, unit, files)

    def _collect(self, seat: _Seat, unit: Unit, future: Any) -> Event:
        """The event that a worker's answer is, after the files that it made have come."""
        answer: remote.Answer = future.result(timeout=RESULT_SECONDS)
        if answer.memory:
            return Lost(
                unit,
                f"worker {seat.address} had not enough memory ({answer.error})",
                seat.address,
                memory=True,
            )
        if answer.error is not None:
            return Failed(unit, answer.error)
        for name in answer.made:
            call = self._call(seat.address, remote.get, seat.token, self._name, name)
            path = self._folder / _safe(name)
            write_artifact(path, call.result(timeout=RESULT_SECONDS))
            seat.has[name] = _mark(path)
        return Finished(unit, answer.records, answer.seconds * seat.threads)


def workers_of(address: str) -> int:
    """How many workers a cluster has now.

    Raises:
        SimError: no scheduler answers.
    """
    with _connected(address) as client:
        return len(client.scheduler_info(n_workers=-1)["workers"])


def _connected(address: str) -> Any:
    """A client of a scheduler.

    Raises:
        SimError: none answers.
    """
    # What Dask logs of workers that go and come is said here, in words.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise SimError(
            f"no Dask scheduler answers at {address!r}: give the address that it shows, such as tcp://host:8786"
        ) from error


def _safe(name: str) -> str:
    """A relative path that leads nowhere else."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SimError(f"artifact {name!r} is no path in a folder of artifacts: nothing is written")
    return name


def _mark(path: Path) -> tuple[int, int]:
    """What changes when a file is replaced."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _share_of_memory(worker: Any) -> float:
    limit = worker.get("memory_limit") or 0
    return float(worker.get("metrics", {}).get("memory", 0)) / limit if limit else 0.0
