"""One unit after the other, in this process."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import final

from sim.errors import SimError
from sim.execution.base import Event, Executor, Failed, Finished, OnShare, lacks_memory
from sim.execution.threads import set_threads
from sim.protocol.base import Means
from sim.units import Unit, run_unit


@final
class Inline(Executor):
    """This process.

    Args:
        means: with what units are run.
        on_share: told of progress within units.
    """

    def __init__(self, means: Means, on_share: OnShare) -> None:
        self._means, self._on_share = means, on_share
        self._unit: Unit | None = None
        set_threads(means.threads)

    @property
    def slots(self) -> int:
        """One."""
        return 1

    @property
    def free(self) -> int:
        """One, unless a unit waits to be run."""
        return int(self._unit is None)

    def submit(self, unit: Unit, *, among: int, avoid: str | None = None) -> None:
        """Keep the unit for `wait`."""
        self._unit = unit

    def wait(self) -> Sequence[Event]:
        """Run the unit."""
        unit = self._unit
        if unit is None:
            return ()
        self._unit = None
        return (run_here(unit, self._means, self._on_share),)

    def close(self) -> None:
        """Nothing is under way."""


def run_here(unit: Unit, means: Means, on_share: OnShare) -> Event:
    """Run a unit in this process."""
    start = time.monotonic()
    try:
        records = run_unit(unit, replace(means, stretch=None), lambda share: on_share(unit, share))
    except SimError as error:
        return Failed(unit, str(error))
    except (MemoryError, RuntimeError, OSError) as error:
        if not lacks_memory(error):
            raise
        return Failed(unit, f"there was not enough memory ({one_line(error)})")
    return Finished(unit, records, (time.monotonic() - start) * means.threads)


def one_line(error: BaseException) -> str:
    """Kind and first line of an exception."""
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
