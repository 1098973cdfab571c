"""What every protocol offers to the runner and the command line."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from sim.cell import Cell

Progress = Callable[[float], None]
"""Called with the share of the unit (0 to 1) that is done."""

Payload = Mapping[str, Any]
"""What one replicate showed, as JSON values."""


class Protocol(ABC):
    """One experiment: cell → records."""

    name: ClassVar[str]
    version: ClassVar[int]

    @classmethod
    def tag(cls) -> str:
        """Name and version, as it stands in a cell; the version rises when outcomes change."""
        return f"{cls.name}/{cls.version}"

    @abstractmethod
    def run(
        self, cell: Cell, replicates: Sequence[int], threads: int, progress: Progress
    ) -> dict[int, Payload]:
        """Records of the given replicates; each depends on (cell, replicate) only."""

    @abstractmethod
    def seconds(self, cell: Cell) -> float:
        """Expected seconds of one replicate on one thread of an ordinary processor."""
