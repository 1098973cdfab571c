"""What a grid costs on this machine: seconds, memory and disk, after a calibration of a few seconds.

**Seconds.** Every protocol says how long a part takes on one thread of an ordinary processor, and what kind of work it
is. A *trial* is a small piece of the same kind of work, run here and now; how many times as long as expected it took,
in processor time of one thread, is the factor of its kind. Each kind has up to three trials, for its least, middle and
largest part, and a part has the factor of the trial that is nearest in the logarithm of its seconds. The largest come
first, of the kinds that cost most; calibration ends when its time is up. A kind without a trial has the median factor.

**Memory** of a worker: what this process has, which imports the same, and what the protocol says of the largest unit.

**Clock.** Workers share the work evenly at best, and need the longest chain at least: a teacher, then its students.
"""

import contextlib
import math
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sim.cost_disk import EMPTY_STORE
from sim.errors import SimError
from sim.execution.threads import set_threads
from sim.protocol.base import Means, Part, Piece, Protocol, Wanted
from sim.protocol.registry import protocol_of
from sim.units import UNIT_SECONDS, fitting

CALIBRATION_SECONDS: Final = 3.0

TRIAL_SECONDS: Final = (0.02, 0.3)
"""A trial is to take no less and no longer than this, where there is that much work."""

REPEATED_SECONDS: Final = (0.1, 0.25)
REPEATS: Final = 5
"""Trials are repeated until they took the first of these together, and no more often; once at least, unless the first
run took the second. The least time counts."""

RUNTIME_BYTES: Final = 2.5e7
"""What libraries take when they are first used."""

START_SECONDS: Final = 2.2
"""Of a process, until all is imported."""

END_SECONDS: Final = (1.2, 0.02)
"""Of the tables and figures at the end: as such, and for each cell up to 100."""


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One measurement.

    Attributes:
        kind: of work.
        size: logarithm of the expected seconds of the part for which it stands.
        factor: measured over expected seconds.
    """

    kind: str
    size: float
    factor: float


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    """What trials showed.

    Attributes:
        trials: may be none.
        seconds: that they took.
    """

    trials: tuple[Trial, ...] = ()
    seconds: float = 0.0

    @property
    def general(self) -> float:
        """How many times as long as expected work takes here, whatever its kind; 1 where nothing was timed."""
        return statistics.median(trial.factor for trial in self.trials) if self.trials else 1.0

    def factor(self, kind: str, expected: float) -> float:
        """The same of a part of this kind that is expected to take so many seconds."""
        near = [trial for trial in self.trials if trial.kind == kind]
        if not near or expected <= 0:
            return self.general
        return min(near, key=lambda trial: abs(trial.size - math.log(expected))).factor

    def part_seconds(self, part: Part) -> float:
        """Seconds that a part takes here on one thread."""
        protocol = protocol_of(part.cell)
        expected = protocol.seconds([part])
        return expected * self.factor(protocol.kind(part.cell), expected)


@final
@dataclass(frozen=True, slots=True)
class CellCost:
    """What is missing of one cell costs: seconds on one thread, and bytes.

    Attributes:
        seconds: of processor time on one thread.
        memory: of a process that runs a unit of it, all included.
        store: of its records.
        artifacts: at the most, beside the store.
    """

    seconds: float = 0.0
    memory: float = 0.0
    store: float = 0.0
    artifacts: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class GridCost:
    """What a grid costs.

    Attributes:
        cells: by cell id; cells that are finished cost nothing.
        work: seconds of processor time on one thread; what cells share is counted once.
        clock: seconds on the clock, with everything before and after the work.
        planning: seconds of these for horizons and theory.
        memory_worker: bytes of the largest worker.
        memory: bytes of all workers and of the driver.
        store, artifacts: bytes.
    """

    cells: dict[str, CellCost]
    work: float
    clock: float
    planning: float
    memory_worker: float
    memory: float
    store: float
    artifacts: float


def calibrate(parts: Iterable[Part], seconds: float = CALIBRATION_SECONDS) -> Calibration:
    """Time small pieces of the kinds of work that these parts are.

    Args:
        parts: what is to be done.
        seconds: of trials, about; one is run always, but with 0 none.
    """
    if seconds <= 0:
        return Calibration()
    chosen = _representatives(parts)
    start = time.monotonic()
    trials: list[Trial] = []
    each = min(TRIAL_SECONDS[1], max(TRIAL_SECONDS[0], seconds / max(1, len(chosen))))
    set_threads(1)
    for _, _, part in chosen[:1]:
        with contextlib.suppress(SimError):
            _run(protocol_of(part.cell).smaller(part, 0.0))  # the first use of anything takes longer
    for kind, size, part in chosen:
        trial = cut(part, each)
        expected = _afresh(trial) * Calibration(tuple(trials)).general
        if not trials or time.monotonic() - start + expected <= seconds:
            try:
                trials.append(Trial(kind, size, _factor(trial)))
            except SimError:
                continue  # what cannot be run here is said when it is run
    return Calibration(tuple(trials), time.monotonic() - start)


def cut(part: Part, seconds: float) -> Part:
    """A part of the same kind that takes about so many seconds, or as little as there can be; itself if it is short."""
    protocol, expected = protocol_of(part.cell), _afresh(part)
    trial, share = part, 1.0
    for _ in range(8):
        if expected <= 1.25 * seconds:
            break
        share *= seconds / expected
        trial = protocol.smaller(part, share)
        expected = _afresh(trial)
    return trial


def price(
    wanted: Sequence[Wanted],
    parts: Sequence[Part],
    calibration: Calibration,
    *,
    workers: int,
    planned: float,
    resident: float,
) -> GridCost:
    """What a grid costs.

    Args:
        wanted: its cells.
        parts: what is still to be done of them.
        calibration: of this machine.
        workers: that do the work.
        planned: seconds of processor time that making the cells took.
        resident: bytes of a process that has done nothing yet: `resident_bytes` before the calibration.
    """
    base = resident + RUNTIME_BYTES
    cells, groups = {}, dict[tuple[str, str], list[Part]]()
    for part in parts:
        protocol = protocol_of(part.cell)
        own = calibration.part_seconds(part)
        store, artifacts = protocol.disk([part])
        memory = base + protocol.memory([_unit(part, own)])
        cells[part.cell.id] = CellCost(own, memory, store, artifacts)
        groups.setdefault((part.cell.protocol, protocol.group(part.cell)), []).append(part)
    work = longest = artifacts = 0.0
    peak = max((cell.memory for cell in cells.values()), default=0.0)
    for group in groups.values():
        protocol = protocol_of(group[0].cell)
        stages = [pieces for pieces in protocol.pieces(group) if pieces]
        expected, alone = protocol.seconds(group), protocol.seconds([group[0]])
        if len(group) > 1:
            alone = sum(protocol.seconds([part]) for part in group)
        ratio = sum(cells[part.cell.id].seconds for part in group) / max(alone, 1e-12)
        work += expected * ratio
        longest = max(longest, ratio * sum(_longest(pieces) for pieces in stages))
        artifacts += protocol.disk(group)[1]
        peak = max(
            [peak, *(base + protocol.memory(p.parts) for pieces in stages for p in pieces if _whole(p))]
        )
    planning = max(planned, calibration.general * sum(_planning(w) for w in wanted))
    count = max(1, min(workers, sum(len(part.replicates) for part in parts)))
    # Where groups are fewer than workers, each is worked on by several threads.
    threads = max(1, workers // max(1, len(groups)))
    around = calibration.general * _around(
        len(wanted), starts=int(count > 1) if parts else 0, draws=bool(parts)
    )
    return GridCost(
        cells,
        work,
        planning + around + max(work / workers, longest / threads),
        planning,
        peak or base,
        base + count * peak if count > 1 else max(peak, base),
        sum((cell.store for cell in cells.values()), EMPTY_STORE if parts else 0.0),
        artifacts,
    )


def resident_bytes() -> float:
    """Bytes of memory that this process has now, as far as the system tells; else the most that it had."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most if sys.platform == "darwin" else most * 1024)
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:"))) * 1024


def _representatives(parts: Iterable[Part]) -> list[tuple[str, float, Part]]:
    """Kind, logarithm of expected seconds, and part: of each kind the largest, then the least, then one between."""
    kinds: dict[str, list[tuple[float, str, Part]]] = {}
    for part in parts:
        protocol = protocol_of(part.cell)
        kinds.setdefault(protocol.kind(part.cell), []).append((protocol.seconds([part]), part.cell.id, part))
    costly = sorted(kinds, key=lambda kind: -sum(entry[0] for entry in kinds[kind]))
    rounds: list[list[tuple[str, float, Part]]] = [[], [], []]
    for kind in costly:
        own = sorted(kinds[kind], key=lambda entry: entry[:2])
        middle = math.sqrt(own[0][0] * own[-1][0])
        between = min(range(len(own)), key=lambda i: abs(math.log(own[i][0] / middle)))
        for turn, index in zip(rounds, dict.fromkeys((len(own) - 1, 0, between)), strict=False):
            expected, _, part = own[index]
            turn.append((kind, math.log(expected), part))
    return [entry for turn in rounds for entry in turn]


def _afresh(part: Part) -> float:
    return protocol_of(part.cell).seconds([part], afresh=True)


def _factor(trial: Part) -> float:
    """How many times as long as expected a trial takes, in processor time of this process.

    Raises:
        SimError: it cannot be run here.
    """
    least, total, runs = math.inf, 0.0, 0
    while runs < REPEATS and total < REPEATED_SECONDS[int(runs < 2)]:
        took = _run(trial)
        least, total, runs = min(least, took), total + took, runs + 1
    return max(least, 1e-9) / _afresh(trial)


def _run(trial: Part) -> float:
    """Seconds of processor time of a trial, which leaves nothing behind."""
    protocol = protocol_of(trial.cell)
    protocol.check([trial])
    start = time.process_time()
    protocol.run([trial], Means(1), lambda share: None)
    return time.process_time() - start


def _unit(part: Part, seconds: float) -> Part:
    """As many replicates of a part as one unit has, about."""
    size = max(1, int(UNIT_SECONDS * len(part.replicates) / max(seconds, 1e-9)))
    unit = Part(part.cell, part.replicates[:size])
    return Part(part.cell, unit.replicates[: fitting(unit)])


def _whole(piece: Piece) -> bool:
    """Whether a piece is run in one go, by a worker."""
    return not (piece.divisible or piece.prepares or piece.here)


def _longest(pieces: Sequence[Piece]) -> float:
    """Seconds of what cannot be divided."""
    return max(p.seconds / len(p.parts[0].replicates) if p.divisible else p.seconds for p in pieces)


def _planning(wanted: Wanted) -> float:
    protocol: Protocol = protocol_of(wanted.cell)
    return protocol.planning(wanted.cell, wanted.replicates)


def _around(cells: int, *, starts: int, draws: bool) -> float:
    """Seconds before the planning and after the work, and of workers' imports."""
    end = END_SECONDS[0] + END_SECONDS[1] * min(cells, 100) if draws else 0.0
    return START_SECONDS * (1 + starts) + end
