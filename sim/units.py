"""Units of work, and the queue that hands them out.

A *piece* is work that knows its order: a cell's replicates, which may be divided freely, or what is run in one go. A
*unit* is what one worker does at a time. Units are handed out longest expected first; what can be divided is divided
into units that become shorter as the work runs out, so that all workers end together. How it is divided changes no
record.
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import final

from sim.cell import Cell
from sim.errors import Paused
from sim.protocol.base import Means, Part, Payload, Piece, Progress, Wanted
from sim.protocol.registry import protocol_of

UNIT_SECONDS = 4.0
"""A unit aims at this expected length: short enough to resume cheaply, long enough to hide its overhead."""

LEAST_SECONDS = 0.25
"""Units that become shorter do not become shorter than this."""

DRIVER_SECONDS = 0.02
"""On many workers units are longer, also at the end, so that one comes back no more often than this."""

UNIT_BYTES = 256 * 2**20
"""Many replicates at a time need no more memory than this, or are divided further."""

SHARES = 2
"""A unit takes no more than one in this many shares of the work that is left for each worker."""

Records = dict[str, dict[int, Payload]]
"""By cell id and replicate."""


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """What one worker does at a time.

    Attributes:
        parts: some replicates of one cell, or of the cells of one group.
        seconds: expected on one thread.
        prepares: makes artifacts that other units of its group need, and no records.
        here: takes next to no time and needs the driver's artifacts.
        group: number of its group in the queue.
    """

    parts: tuple[Part, ...]
    seconds: float
    prepares: bool = False
    here: bool = False
    group: int = 0

    def label(self) -> str:
        """For messages: the first cell, its replicates, and how many cells there are beside it."""
        first = self.parts[0]
        more = f" and {len(self.parts) - 1} more cells" if len(self.parts) > 1 else ""
        if self.prepares:
            return f"the teacher of {first.cell.label()}{more}"
        return f"{first.cell.label()}, replicates {first.replicates[0]} to {first.replicates[-1]}{more}"

    @property
    def replicates(self) -> int:
        """How many records it makes."""
        return 0 if self.prepares else sum(len(part.replicates) for part in self.parts)


def run_unit(unit: Unit, means: Means, progress: Progress) -> Records | None:
    """Records of a unit by cell id and replicate; None where its time was up before it was finished."""
    protocol = protocol_of(unit.parts[0].cell)
    try:
        if unit.prepares:
            protocol.prepare(unit.parts, means, progress)
            return {}
        return protocol.run(unit.parts, means, progress)
    except Paused:
        return None


def missing_parts(wanted: Iterable[Wanted], stored: Callable[[str], Set[int]]) -> list[Part]:
    """What is still to be done of each cell, cells that are finished left out.

    Args:
        wanted: cells of the grid with the wanted number R of replicates, which are numbered 0 … R − 1.
        stored: the replicates of a cell id that are there.
    """
    parts = []
    for cell, replicates in ((w.cell, w.replicates) for w in wanted):
        there = stored(cell.id)
        missing = tuple(r for r in range(replicates) if r not in there)
        if missing:
            parts.append(Part(cell, missing))
    return parts


@final
class Queue:
    """The work that is left, in the order in which it is handed out.

    What is handed out comes back by exactly one of `finished`, `again` and `failed`.

    Args:
        parts: of any cells, each cell once.
    """

    def __init__(self, parts: Iterable[Part]) -> None:
        groups: dict[tuple[str, str], list[Part]] = {}
        for part in parts:
            groups.setdefault((part.cell.protocol, protocol_of(part.cell).group(part.cell)), []).append(part)
        self.missing = Counter({p.cell.id: len(p.replicates) for g in groups.values() for p in g})
        self.seconds = 0.0
        self._waiting: list[list[list[Piece]]] = []  # by group, the next stage last
        self._open: list[int] = []
        self._heap: list[tuple[float, str, int, Piece, int]] = []
        self._front: deque[Unit] = deque()
        self._ratios: dict[tuple[str, str], list[float]] = {}
        for own in groups.values():
            own.sort(key=lambda part: part.cell.id)
            stages = [s for s in protocol_of(own[0].cell).pieces(own) if s]
            self.seconds += sum(piece.seconds for stage in stages for piece in stage)
            self._waiting.append(stages[::-1])
            self._open.append(0)
            self._begin(len(self._open) - 1)
        self.left = self.seconds

    def __len__(self) -> int:
        """Pieces and returned units that can be handed out now."""
        return len(self._heap) + len(self._front)

    def next(self, slots: int) -> Unit | None:
        """The next unit to hand out; None when there is none, for now or for good.

        Args:
            slots: workers that share the work.
        """
        if self._front:
            unit = self._front.popleft()
            self.left -= unit.seconds
            return unit
        if not self._heap:
            return None
        key, name, start, piece, group = heapq.heappop(self._heap)
        if not piece.divisible:
            unit = Unit(piece.parts, piece.seconds, piece.prepares, piece.here, group)
        else:
            (part,) = piece.parts
            each = piece.seconds / len(part.replicates)
            size = fitting(
                Part(part.cell, part.replicates[start : start + self._size(part.cell, each, slots)])
            )
            some = part.replicates[start : start + size]
            if start + size < len(part.replicates):
                heapq.heappush(self._heap, (key, name, start + size, piece, group))
                self._open[group] += 1
            unit = Unit((Part(part.cell, some),), each * len(some), group=group)
        self.left -= unit.seconds
        return unit

    def few(self, limit: int) -> int:
        """How many workers could have a unit now, at most `limit`."""
        count = len(self._front)
        for _, _, start, piece, _ in self._heap:
            if count >= limit:
                break
            count += len(piece.parts[0].replicates) - start if piece.divisible else 1
        return min(count, limit)

    def finished(self, unit: Unit) -> None:
        """A unit's records are stored, or what it prepares is there."""
        self._open[unit.group] -= 1
        if not self._open[unit.group]:
            self._begin(unit.group)

    def again(self, unit: Unit) -> None:
        """A unit was not finished: it is the next one."""
        self.left += unit.seconds
        self._front.appendleft(unit)

    def failed(self, unit: Unit) -> None:
        """A unit will not be finished, nor will later stages of its group be begun."""
        self.left -= sum(piece.seconds for stage in self._waiting[unit.group] for piece in stage)
        self._waiting[unit.group].clear()
        self._open[unit.group] -= 1

    def took(self, unit: Unit, seconds: float) -> None:
        """Learn from the seconds of processor time that a unit took how long its kind takes on this machine."""
        cell = unit.parts[0].cell
        total = self._ratios.setdefault((cell.protocol, cell.series), [0.0, 0.0])
        total[0] += seconds
        total[1] += unit.seconds

    def _size(self, cell: Cell, each: float, slots: int) -> int:
        measured, expected = self._ratios.get((cell.protocol, cell.series), (0.0, 0.0))
        ratio = measured / expected if expected > 0 else 1.0
        length, least = (max(seconds, DRIVER_SECONDS * slots) for seconds in (UNIT_SECONDS, LEAST_SECONDS))
        if slots > 1:
            length = min(length, max(least, self.left * ratio / (SHARES * slots)))
        return max(1, int(length / max(each * ratio, 1e-9)))

    def _begin(self, group: int) -> None:
        """Let the next stage of a group in."""
        if not self._waiting[group]:
            return
        stage = self._waiting[group].pop()
        self._open[group] += len(stage)
        # What others wait for is as long as they are, too.
        chain = sum(max(piece.seconds for piece in later) for later in self._waiting[group])
        for piece in stage:
            first = piece.parts[0]
            each = piece.seconds / len(first.replicates) if piece.divisible else piece.seconds
            name = f"{first.cell.id} {first.replicates[0] if first.replicates else -1}"
            heapq.heappush(self._heap, (-each - chain, name, 0, piece, group))


def fitting(part: Part) -> int:
    """How many replicates of a part, from the first on, can be run at a time."""
    size, protocol = len(part.replicates), protocol_of(part.cell)
    while size > 1 and protocol.memory([Part(part.cell, part.replicates[:size])]) > UNIT_BYTES:
        size //= 2
    return size
