"""The seam between the driver and whatever runs its units."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar, final

from sim.units import Records, Unit

OnShare = Callable[[Unit, float], None]
"""Called now and then with a unit under way and the share of it that is done."""

OnNote = Callable[[str], None]
"""Called with a line for the user."""


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A unit came to its end, or to the end of its time.

    Attributes:
        records: by cell id and replicate; None where the unit is to be gone on with.
        seconds: that it took, times its threads.
    """

    unit: Unit
    records: Records | None
    seconds: float


@final
@dataclass(frozen=True, slots=True)
class Failed:
    """A unit cannot be run: it would fail again.

    Attributes:
        why: a sentence without its end.
    """

    unit: Unit
    why: str


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """A worker ended or gave up during a unit, which may succeed elsewhere.

    Attributes:
        why: in words, as in "a worker ended (exit code -9)".
        worker: its name.
        memory: whether it was for want of memory, as far as can be told.
    """

    unit: Unit
    why: str
    worker: str
    memory: bool = False


Event = Finished | Failed | Lost


Own = TypeVar("Own", bound="Executor")


class Executor(ABC):
    """Runs units, each at most once; a context manager that ends whatever is under way when it is left."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many units can be under way at a time, for now."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many units can be submitted now."""

    @abstractmethod
    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        """Start a unit; there is room for it.

        Args:
            unit: to be run.
            among: how many units share the workers now, this one included: where they are fewer than workers, each
                may have more threads.
            avoid: name of a worker that should not have it, if there is another.
        """

    @abstractmethod
    def wait(self) -> Sequence[Event]:
        """What has happened since; waits for something to happen, but not for long.

        Raises:
            WorkerError: there is no worker any more, and none came for a while.
        """

    @abstractmethod
    def close(self) -> None:
        """End all that is under way; closing twice is allowed."""

    def __enter__(self: Own) -> Own:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lacks_memory(error: BaseException) -> bool:
    """Whether an exception says that there was not enough memory."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | OSError)
        and any(
            words in str(error)
            for words in ("can't allocate memory", "Cannot allocate memory", "out of memory")
        )
    )
