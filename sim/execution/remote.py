"""What a worker of a cluster does: functions that the driver has it run, each in a thread of the worker's process.

A worker has a folder of artifacts for each driver. The driver puts there what a unit reads, and gets from there what
it made, one file at a time; the driver's own folder is the one that lasts.
"""

import contextlib
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from distributed import get_worker

from sim.artifacts import write_artifact
from sim.cell import Cell
from sim.errors import SimError
from sim.execution.base import lacks_memory
from sim.execution.inline import one_line
from sim.execution.threads import set_threads
from sim.protocol.base import Means, Part
from sim.protocol.registry import protocol_of
from sim.units import Records, Unit, run_unit
from sim.versions import fingerprint, versions

_TOKEN = uuid.uuid4().hex
_ONE_AT_A_TIME = threading.Lock()


class RestartedError(Exception):
    """The worker's process is not the one that the driver knows: what it had is gone."""


class AbandonedError(Exception):
    """Nobody waits for this unit any more."""


@final
@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself.

    Attributes:
        token: of its process.
        fingerprint: of the code that it runs.
        version: of the package.
        threads: that its units have.
    """

    token: str
    fingerprint: str
    version: str
    threads: int


@final
@dataclass(frozen=True, slots=True)
class Job:
    """A unit for a worker.

    Attributes:
        token: of the process that it is for.
        driver: name of the driver, and of its folder.
        artifacts: path of the driver's own folder, by which errors call its files.
        parts: specification and replicates of each part.
        prepares: as in `Unit`.
        threads: that it has.
        kept: as in `Means`.
        stretch: as in `Means`.
    """

    token: str
    driver: str
    artifacts: str
    parts: tuple[tuple[dict[str, Any], tuple[int, ...]], ...]
    prepares: bool
    threads: int
    kept: frozenset[str]
    stretch: float


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a job.

    Attributes:
        records: of a unit that was finished.
        error: why it failed; None if it did not.
        memory: whether it failed for want of memory.
        seconds: that it took.
        made: files that the driver is to get, relative to the folder of artifacts.
    """

    records: Records | None = None
    error: str | None = None
    memory: bool = False
    seconds: float = 0.0
    made: tuple[str, ...] = ()


def hello(threads: int | None) -> Hello:
    """Say who this is, and set and check threads.

    Raises:
        SimError: it has fewer threads than asked for, or they cannot be set.
    """
    own = int(get_worker().state.nthreads)
    if threads is not None and threads > own:
        raise SimError(f"it has {own} threads, where --threads {threads} were asked for")
    with _ONE_AT_A_TIME:
        set_threads(threads or own)
    return Hello(_TOKEN, fingerprint(), str(versions()["package"]), threads or own)


def put(token: str, driver: str, name: str, data: bytes) -> None:
    """Write a file into the driver's folder."""
    _check(token)
    write_artifact(_folder(driver) / name, data)


def get(token: str, driver: str, name: str) -> bytes:
    """Read a file of the driver's folder."""
    _check(token)
    return (_folder(driver) / name).read_bytes()


def forget(driver: str) -> None:
    """Delete the driver's folder."""
    shutil.rmtree(_folder(driver), ignore_errors=True)


def work(job: Job) -> Answer:
    """Run a unit, after those that this process runs already."""
    _check(job.token)
    with _ONE_AT_A_TIME:
        start = time.monotonic()
        try:
            return _run(job, start)
        except SimError as error:
            return Answer(error=str(error).replace(str(_folder(job.driver)), job.artifacts))
        except AbandonedError:
            raise
        except Exception as error:
            return Answer(error=one_line(error), memory=lacks_memory(error))


def _run(job: Job, start: float) -> Answer:
    set_threads(job.threads)
    folder = _folder(job.driver)
    parts = tuple(Part(Cell.from_spec(spec), replicates) for spec, replicates in job.parts)
    means = Means(job.threads, folder, job.kept, job.stretch)
    before = dict(_files(folder))
    records = run_unit(Unit(parts, 0.0, job.prepares), means, _stop_if_abandoned())
    seconds = time.monotonic() - start
    if records is not None and not job.prepares:
        protocol_of(parts[0].cell).let_go(parts, means)
        return Answer(records, seconds=seconds)
    made = tuple(sorted(name for name, mark in _files(folder) if before.get(name) != mark))
    return Answer(records, seconds=seconds, made=made)


def _stop_if_abandoned() -> Any:
    """A listener to progress that ends a unit which the scheduler has cancelled: a driver may be gone."""
    worker = get_worker()
    key = worker.get_current_task()

    def progress(share: float) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state in ("cancelled", "resumed"):
            raise AbandonedError(key)

    return progress


def _check(token: str) -> None:
    if token != _TOKEN:
        raise RestartedError(token)


def _folder(driver: str) -> Path:
    return Path(get_worker().local_directory) / f"sparse-parity-{driver}"


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Artifacts in a folder with what changes when they do."""
    for path in folder.rglob("[!.]*.safetensors"):
        with contextlib.suppress(OSError):
            found = path.stat()
            yield path.relative_to(folder).as_posix(), (found.st_mtime_ns, found.st_size)
