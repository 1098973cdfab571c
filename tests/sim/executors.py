"""What the tests of the queue, of the driver and of executors share: plans, scripted workers, workers with faults."""

import os
import resource
import signal
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info

from sim.cell import Cell, FirstStepCell
from sim.execution import processes
from sim.execution.base import Event, Executor, Finished
from sim.protocol.base import Means, Part, Payload, Piece, Progress
from sim.protocol.first_step import FirstStep
from sim.schedule import CrossEntropy
from sim.units import Queue, Records, Unit


def a_cell(seed: int, samples: int = 64) -> FirstStepCell:
    return FirstStepCell("first-step/1", 9, 2, 4, CrossEntropy(), samples, 1, seed)


def numbers(unit: Unit) -> list[tuple[str, int]]:
    """Cell id and number of each record that a unit makes."""
    if unit.prepares:
        return []
    return [(part.cell.id, replicate) for part in unit.parts for replicate in part.replicates]


def made_up(unit: Unit) -> Records:
    """Records of the right numbers."""
    records: Records = {}
    for cell, replicate in numbers(unit):
        records.setdefault(cell, {})[replicate] = {"success": "1", "digest": f"{cell} {replicate}"}
    return records


Groups = Sequence[Sequence[Sequence[Piece]]]
"""Pieces by group and stage."""


class Plan:
    """A grid whose protocol plans given pieces: stands for the protocol of all cells."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self._group = {
            part.cell.id: number
            for number, stages in enumerate(groups)
            for stage in stages
            for piece in stage
            for part in piece.parts
        }

    def group(self, cell: Cell) -> str:
        return str(self._group[cell.id])

    def memory(self, parts: Sequence[Part]) -> float:
        return 0.0

    def pieces(self, parts: Sequence[Part]) -> list[list[Piece]]:
        return [list(stage) for stage in self.groups[self._group[parts[0].cell.id]]]

    def parts(self) -> list[Part]:
        found = {part: None for piece in self.all() if not piece.prepares for part in piece.parts}
        return list(found)

    def all(self) -> list[Piece]:
        return [piece for stages in self.groups for stage in stages for piece in stage]

    def replicates(self) -> list[tuple[str, int]]:
        """Cell id and number of all records, in order."""
        return sorted((part.cell.id, replicate) for part in self.parts() for replicate in part.replicates)

    def queue(self, patch: pytest.MonkeyPatch) -> Queue:
        patch.setattr("sim.units.protocol_of", lambda cell: self)
        return Queue(self.parts())


def single(seconds: Iterable[float], replicates: int = 1, divisible: bool = True) -> Plan:
    """Groups of one piece each, that takes so many seconds."""
    return Plan(
        [
            [[Piece((Part(a_cell(seed), tuple(range(replicates))),), cost, divisible=divisible)]]
            for seed, cost in enumerate(seconds)
        ]
    )


class Scripted(Executor):
    """Workers of which the script says what happens: events for what is under way, all or some of it.

    Args:
        script: given what is under way, in the order in which it was submitted, what `wait` returns.
        slots: workers, or how many there are after each `wait`.
    """

    def __init__(
        self, script: Callable[[list[Unit]], Sequence[Event]], slots: int | Callable[[], int] = 2
    ) -> None:
        self._script, self._each_time = script, slots
        self._count = self._look()
        self.under_way: list[Unit] = []
        self.submitted: list[tuple[Unit, int, str | None]] = []
        self.closed = 0

    def _look(self) -> int:
        return self._each_time if isinstance(self._each_time, int) else self._each_time()

    @property
    def slots(self) -> int:
        return max(1, self._count)

    @property
    def free(self) -> int:
        return max(0, self._count - len(self.under_way))

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        assert self.free > 0
        assert unit not in self.under_way
        self.under_way.append(unit)
        self.submitted.append((unit, among, avoid))

    def wait(self) -> Sequence[Event]:
        events = self._script(list(self.under_way))
        for event in events:
            if event.unit in self.under_way:
                self.under_way.remove(event.unit)
        self._count = self._look()
        return events

    def close(self) -> None:
        self.closed += 1


def finish(unit: Unit, seconds: float | None = None) -> Finished:
    return Finished(unit, made_up(unit), unit.seconds if seconds is None else seconds)


# Workers with faults: a worker's main function is replaced in the driver, and imported from here by the worker.


def plant(patch: pytest.MonkeyPatch, folder: Path, faults: Mapping[str, str]) -> None:
    """Have workers commit faults by cell id, and leave a file a call of `FirstStep.run`; see `Faulty`."""
    patch.setattr(processes, "_work", Faulty(folder, dict(faults)))


class Faulty:
    """A worker's main function. Faults are

    - `dies`: kill -9 in the middle, always; `dies once`: the first time only;
    - `starves`: the process may have no more memory, and asks for 16 GB;
    - `breaks`: an exception that nobody foresaw.
    """

    def __init__(self, folder: Path, faults: dict[str, str]) -> None:
        self.folder, self.faults = folder, faults

    def __call__(self, connection: Connection, means: Means, parent: int) -> None:
        right = FirstStep.run

        def run(
            protocol: FirstStep, parts: Sequence[Part], means: Means, progress: Progress
        ) -> dict[str, dict[int, Payload]]:
            (part,) = parts
            first = self.note(part)
            match self.faults.get(part.cell.id):
                case "dies once" if not first:
                    pass
                case "dies" | "dies once":
                    progress(0.5)
                    os.kill(os.getpid(), signal.SIGKILL)
                case "starves":
                    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26), resource.RLIM_INFINITY))
                    torch.empty(1 << 34, dtype=torch.uint8)
                case "breaks":
                    raise KeyError("an oversight")
            return right(protocol, parts, means, progress)

        FirstStep.run = run  # type: ignore[method-assign]
        WORK(connection, means, parent)

    def note(self, part: Part) -> bool:
        """Leave a file that says who ran what with how many threads; whether it is the first of its part."""
        pools = [pool["num_threads"] for pool in threadpool_info()]
        start = f"{part.cell.id[:12]} {part.replicates[0]}"
        before = list(self.folder.glob(f"{start} *"))
        name = f"{start} {len(before)} {os.getpid()} {torch.get_num_threads()} {max(pools, default=1)}"
        (self.folder / name).touch()
        return not before


WORK = processes._work


def runs(folder: Path, cell: Cell) -> list[list[int]]:
    """Process, torch's threads and the most of any pool, for each run of a cell's parts, in order."""
    found = sorted(path.name.split() for path in folder.glob(f"{cell.id[:12]} *"))
    return [[int(number) for number in numbers] for _, _, _, *numbers in found]


def half_an_answer(connection: Connection, means: Means, parent: int) -> None:
    """A worker that is killed while it sends what it has."""
    connection.recv()
    os.write(connection.fileno(), struct.pack("!i", 1000) + b"half")
    os.kill(os.getpid(), signal.SIGKILL)
