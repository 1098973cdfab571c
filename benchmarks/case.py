"""A benchmark: our contender, its peers, and the machine's limit, measured together."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.calibration import Machine
from benchmarks.peers import has_jax
from benchmarks.side_by_side import Contender, Spread, interleave, ratios, spread

PAUSE = 0.1
"""Seconds before each call, in which the threads of the contender before fall asleep (`benchmarks/__init__.py`)."""

Peers = Mapping[str, Callable[[], list[Contender]]]
"""By kind, what makes its variants, of which the fastest is measured."""


@dataclass(frozen=True)
class Limit:
    """What one unit of work asks of the machine at least.

    Attributes:
        resource: `logic` (vector operations), `gemm` (float32 operations), or `bytes` alone.
        operations: of that resource.
        bytes: that must come from `memory`.
        memory: the level that the bytes come from: L1, L2, L3 or memory.
        stepwise: the bytes of a program that goes step by step, as the peers do; 0 where that is no other number.
    """

    resource: str
    operations: float
    bytes: float
    memory: str
    stepwise: float = 0.0

    def nanoseconds(self, machine: Machine) -> float:
        """The least time of a unit: the larger one of its operations' and its bytes'."""
        return max(self._operations(machine), self.bytes / self.bandwidth(machine) * 1e9)

    def binding(self, machine: Machine) -> str:
        """Which of the two it is, in words."""
        words = {"logic": "vector operations", "gemm": "float32 operations"}
        if self._operations(machine) >= self.bytes / self.bandwidth(machine) * 1e9:
            return words[self.resource]
        return f"bytes from {self.memory}"

    def per(self, parts: float) -> "Limit":
        """The limit of one of so many equal parts of a unit; `parts` below 1: of several units."""
        return replace(
            self, operations=self.operations / parts, bytes=self.bytes / parts, stepwise=self.stepwise / parts
        )

    def bandwidth(self, machine: Machine) -> float:
        """Bytes a second; of memory where the machine has no such cache."""
        return machine.read.get(self.memory, machine.read["memory"])

    def _operations(self, machine: Machine) -> float:
        if self.resource == "bytes":
            return 0.0
        return self.operations / float(getattr(machine, self.resource)) * 1e9


@dataclass(frozen=True)
class Case:
    """What is measured together.

    Attributes:
        kernel: the group that the table shows it in.
        size: of the problem, in words.
        unit: of work, in words.
        ours: makes our contender.
        peers: the others by kind.
        limit: makes the machine's limit, where one can be stated.
    """

    kernel: str
    size: str
    unit: str
    ours: Callable[[], Contender]
    peers: Peers = field(default_factory=dict)
    limit: Callable[[], Limit] | None = None

    @property
    def name(self) -> str:
        """Kernel and size."""
        return f"{self.kernel}, {self.size}"


@dataclass(frozen=True)
class PeerRow:
    """A peer beside us: nanoseconds a unit, and how many times as long it takes as we do."""

    kind: str
    variant: str
    nanoseconds: Spread
    times: Spread


@dataclass(frozen=True)
class Row:
    """A case, measured: nanoseconds a unit, of us, of the limit, and of each peer."""

    kernel: str
    size: str
    unit: str
    nanoseconds: Spread
    limit: Limit | None
    limit_nanoseconds: float | None
    binding: str | None
    peers: list[PeerRow] = field(default_factory=list)

    @property
    def over_limit(self) -> float | None:
        """How many times the limit our time is."""
        return None if self.limit_nanoseconds is None else self.nanoseconds.median / self.limit_nanoseconds


def measure(
    case: Case, machine: Machine | None, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> Row:
    """All contenders in turns; of each kind of peer the variant that was fastest in a trial of two rounds."""
    ours = case.ours()
    chosen = {kind: fastest(make(), clock) for kind, make in case.peers.items() if kind != "JAX" or has_jax()}
    mine, *others = interleave([ours, *chosen.values()], rounds, clock, PAUSE if chosen else 0.0)
    row = Row(
        case.kernel,
        case.size,
        case.unit,
        spread(mine),
        None,
        None,
        None,
        [
            PeerRow(kind, peer.name, spread(times), spread(ratios(times, mine)))
            for (kind, peer), times in zip(chosen.items(), others, strict=True)
        ],
    )
    if machine is None or case.limit is None:
        return row
    limit = case.limit()
    return replace(
        row, limit=limit, limit_nanoseconds=limit.nanoseconds(machine), binding=limit.binding(machine)
    )


def fastest(variants: Sequence[Contender], clock: Callable[[], float] = time.perf_counter) -> Contender:
    """Of the variants of a kind, in a trial of two rounds."""
    if len(variants) == 1:
        return variants[0]
    times = interleave(variants, 2, clock)
    return min(zip(times, variants, strict=True), key=lambda pair: statistics.median(pair[0]))[1]
