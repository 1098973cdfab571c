"""What every protocol offers: to the runner, to the store and to the command line.

A protocol is one experiment. It has a class of cells, of options and of summaries, each with the interface of this
module, so that the runner, the store and the verbs know none of them by name.
"""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, final

from rich.console import Console

from sim.cell import Cell
from sim.errors import SimError
from sim.online.report import Report
from sim.report.table import Table
from sim.store import Store, StoredCell

Progress = Callable[[float], None]
"""Called with the share of the unit (0 to 1) that is done."""

Payload = Mapping[str, Any]
"""What one replicate showed, as JSON values."""

Json = dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Part:
    """Some replicates of one cell."""

    cell: Cell
    replicates: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """Work as the queue orders it.

    Attributes:
        parts: of cells of one group.
        seconds: expected on one thread.
        divisible: one part, whose replicates may be run apart at no further cost.
        prepares: makes artifacts that later pieces of its group need, and no records.
        here: takes next to no time and needs all artifacts: it is run where they are, by the driver.
    """

    parts: tuple[Part, ...]
    seconds: float
    divisible: bool = False
    prepares: bool = False
    here: bool = False


@final
@dataclass(frozen=True, slots=True)
class Files:
    """Artifacts of a unit, by paths relative to their folder.

    Attributes:
        read: those that are there and that it reads.
        kept: those that are there, and that it need not make.
    """

    read: tuple[str, ...]
    kept: frozenset[str]


@final
@dataclass(frozen=True, slots=True)
class Means:
    """With what a unit of work is done; nothing here changes a result.

    Attributes:
        threads: threads of this process.
        artifacts: folder for checkpoints and other files that make a resumed run cheap; None for none to be kept.
        kept: artifacts, relative to that folder, that are kept elsewhere: they need not be made.
        stretch: seconds after which work that can go on from artifacts stops, raising Paused; None for never.
    """

    threads: int = 1
    artifacts: Path | None = None
    kept: frozenset[str] = frozenset()
    stretch: float | None = None


@final
@dataclass(frozen=True, slots=True)
class Wanted:
    """A cell of a grid, and how many replicates of it are wanted."""

    cell: Cell
    replicates: int


class Options(ABC):
    """A grid of one protocol, checked. Concrete options are frozen dataclasses."""

    @abstractmethod
    def wanted(self) -> list[Wanted]:
        """The cells, each once, in the order in which they are shown.

        Raises:
            SimError: the options do not make a grid.
        """

    @abstractmethod
    def theory(self, cell: Cell, replicates: int) -> Json:
        """What is stored beside a cell, as JSON values; a pure function of these options and arguments."""


class Summary(ABC):
    """What a store says about cells of one protocol.

    Attributes:
        kinds: of its figures; the first is that which a run draws.
        title: of the protocol, in a word or two.
        lead: what it is, in a sentence.
    """

    kinds: ClassVar[tuple[str, ...]]
    title: ClassVar[str]
    lead: ClassVar[str]

    @property
    @abstractmethod
    def exit_code(self) -> int:
        """0 done and consistent, 1 contradicted, 3 undecided, incomplete or diverged."""

    @abstractmethod
    def print(self, console: Console) -> None:
        """The tables, for people."""

    @abstractmethod
    def json(self) -> Json:
        """The tables as JSON values; `cells` has an entry a cell."""

    @abstractmethod
    def explain(self) -> Iterator[str]:
        """All that there is to say about the cells, in lines; used for one cell."""

    @abstractmethod
    def page_tables(self) -> list[Table]:
        """The tables of a report; those that have no rows may be left out."""

    @abstractmethod
    def drawings(self, kind: str, report: Report | None = None) -> Sequence[Any]:
        """The figures of a kind, at most 12, whose titles say how many are left out.

        Args:
            kind: one of `kinds`; those of the first are there even if there is nothing to draw.
            report: probes of a teacher, for kinds that show them.

        Returns:
            Drawings (`sim.figures.base.Drawing`), each drawn when it is asked for (matplotlib is imported when it is
            needed); none where no cell has what the kind shows.

        Raises:
            SimError: there is no such kind.
        """

    def figure(self) -> Any:
        """The figure that a run draws: the first of the first kind."""
        return self.drawings(self.kinds[0])[0]

    def refuse_kind(self, kind: str) -> None:
        """Raise SimError for a kind that there is not."""
        if kind not in self.kinds:
            raise SimError(f"kind {kind!r} is not one of this protocol: use {' or '.join(self.kinds)}")


class Protocol(ABC):
    """One experiment.

    Attributes:
        name, version: the version rises when outcomes change.
        together: whether all cells of a group are run in one unit; otherwise replicates are divided freely.
        flags: options of the command line that only some protocols read, and this one does, as attribute names.
        columns: of the exported table, in order; those in `integers` and `reals` are numbers, the others text.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    together: ClassVar[bool] = False
    flags: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]]
    integers: ClassVar[tuple[str, ...]] = ()
    reals: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def tag(cls) -> str:
        """Name and version, as it stands in a cell."""
        return f"{cls.name}/{cls.version}"

    # identity

    @abstractmethod
    def cell_from_spec(self, spec: Mapping[str, Any]) -> Cell:
        """The cell whose `spec()` this is; errors of any kind where there is none are the caller's to word."""

    def group(self, cell: Cell) -> str:
        """Cells of equal group share costly work; by default every cell is a group of its own."""
        return cell.id

    # work

    @abstractmethod
    def check(self, parts: Sequence[Part]) -> None:
        """Refuse, before any work, what cannot be run on this machine, or at all.

        Raises:
            SimError: there can be no such replicate, or something that it needs is not here.
        """

    def pieces(self, parts: Sequence[Part]) -> list[list[Piece]]:
        """The pieces of one group's work in stages, each stage once all of the stage before is done."""
        return [[Piece((part,), self.seconds([part]), divisible=True) for part in parts]]

    def prepare(self, parts: Sequence[Part], means: Means, progress: Progress) -> None:
        """Make the artifacts that running these parts needs, and no records.

        Raises:
            Paused: its time was up.
        """
        raise TypeError(f"protocol {self.name} prepares nothing")

    def files(self, parts: Sequence[Part], means: Means, *, prepares: bool) -> Files:
        """What there is for a unit to go on from, by default nothing."""
        return Files((), frozenset())

    @abstractmethod
    def run(self, parts: Sequence[Part], means: Means, progress: Progress) -> dict[str, dict[int, Payload]]:
        """Records by cell id and replicate; each depends on (cell, replicate) only.

        Args:
            parts: of cells of one group; not all of it, and not all replicates, need be given.
            means: with what it is done.
            progress: told of the share that is done.

        Raises:
            Paused: its time was up.
        """

    @abstractmethod
    def seconds(self, parts: Sequence[Part], *, afresh: bool = False) -> float:
        """Expected seconds on one thread of an ordinary processor.

        Args:
            parts: of cells of one protocol.
            afresh: without artifacts, so that what the parts depend on has to be run too.
        """

    @abstractmethod
    def let_go(self, parts: Sequence[Part], means: Means) -> None:
        """Records of these parts, run together, are stored: delete what only made their run resumable.

        Raises:
            SimError: it cannot be deleted.
        """

    # what it costs: for plans and displays only, see `sim.cost`

    @abstractmethod
    def memory(self, parts: Sequence[Part]) -> float:
        """Bytes that a process needs at the most to run these parts in one go, beyond what it imports."""

    @abstractmethod
    def disk(self, parts: Sequence[Part]) -> tuple[float, float]:
        """Bytes of these parts in a store, and of artifacts at the most."""

    @abstractmethod
    def kind(self, cell: Cell) -> str:
        """A name for the kind of work: what is said wrongly of some cells of a kind is said wrongly of all."""

    @abstractmethod
    def smaller(self, part: Part, share: float) -> Part:
        """A cell of its own, to be timed: the same kind of work, with about this share (0 to 1) of its seconds.

        Shapes stay the same as far as they can; there is a least amount of work, which may be more than the share.
        """

    @abstractmethod
    def planning(self, cell: Cell, replicates: int) -> float:
        """Expected seconds until the cell is there with what is stored beside it."""

    # what is stored

    @abstractmethod
    def problem(self, cell: Cell, payload: Payload) -> str | None:
        """Why a payload is no record of the cell, in a few words; None if it is one."""

    @abstractmethod
    def theory_again(self, cell: Cell, stored: Json) -> Json:
        """What is stored beside a cell, computed again with the parameters that the stored one says it had.

        Raises:
            KeyError, TypeError, ValueError: the stored one does not say them.
            SimError: there is no theory with these parameters.
        """

    # the command line

    @abstractmethod
    def options(self, given: argparse.Namespace) -> Options:
        """Options from the command line.

        Raises:
            SimError: they are not allowed.
        """

    @abstractmethod
    def summarise(
        self, store: Store, stored: Sequence[StoredCell], wanted: Mapping[str, int] | None
    ) -> Summary:
        """Read a store.

        Args:
            store: an open store.
            stored: cells of this protocol.
            wanted: replicates that a run asked for, by cell id; those with higher numbers are left out. None: all.
        """

    @abstractmethod
    def rows(self, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        """The cell's part of the exported table, one value for each of `columns`."""
