"""Progress on stderr: a live display on a terminal, a line a minute otherwise, nothing when quiet."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, final, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sim.numbers import duration
from sim.units import Unit

LINE_SECONDS = 60.0
SHOW_SECONDS = 0.05


@runtime_checkable
class Display(Protocol):
    """Where progress goes; a context manager."""

    def __enter__(self) -> "Display": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def update(self, text: str, share: float, *, last: bool = False) -> None:
        """Show a line of text and the share (0 to 1) that is done."""


@final
class Tracker:
    """Adds up the work that is done: expected seconds of units, samples, cells.

    Args:
        seconds: expected, of all the work.
        missing: records to be made, by cell id.
        display: where it is shown.
    """

    def __init__(self, seconds: float, missing: Mapping[str, int], display: Display) -> None:
        self._display = display
        self._total = seconds
        self._samples = 0.0
        self._done = 0.0
        self._open: dict[Unit, float] = {}
        self._left = dict(missing)
        self._cells = len(self._left)
        self._start = time.monotonic()
        self._shown = -SHOW_SECONDS

    def share(self, unit: Unit, share: float) -> None:
        """A unit under way has come to `share` of its work."""
        self._open[unit] = share
        self._show()

    def finished(self, unit: Unit) -> None:
        """A unit has ended."""
        self._open.pop(unit, None)
        self._done += unit.seconds
        if not unit.prepares:
            self._samples += _samples(unit)
            for part in unit.parts:
                self._left[part.cell.id] -= len(part.replicates)
                if not self._left[part.cell.id]:
                    del self._left[part.cell.id]
        self._show()

    def dropped(self, unit: Unit) -> None:
        """What a unit under way has done is lost."""
        self._open.pop(unit, None)

    def _show(self) -> None:
        now, last = time.monotonic(), not self._left
        if now - self._shown < SHOW_SECONDS and not last:
            return
        self._shown = now
        elapsed = now - self._start
        under_way = sum(share * unit.seconds for unit, share in self._open.items())
        share = (self._done + under_way) / max(self._total, 1e-9)
        samples = self._samples + sum(
            share * _samples(unit) for unit, share in self._open.items() if not unit.prepares
        )
        rate = samples / max(elapsed, 1e-9)
        left = "" if last or share < 0.02 else f", about {duration(elapsed * (1 - share) / share)} left"
        text = f"{self._cells - len(self._left)}/{self._cells} cells, {rate:.2g} samples/s{left}"
        self._display.update(text, min(share, 1.0), last=last)


def _samples(unit: Unit) -> float:
    """Samples that the students of a unit take."""
    return float(sum(part.cell.horizon * len(part.replicates) for part in unit.parts))


@final
class LiveDisplay:
    """A bar on a terminal."""

    def __init__(self) -> None:
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task("starting", total=1.0)

    def __enter__(self) -> "LiveDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, text: str, share: float, *, last: bool = False) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=share, description=text)


@final
class LineDisplay:
    """A line a minute, and one at the end."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LINE_SECONDS

    def __enter__(self) -> "LineDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, text: str, share: float, *, last: bool = False) -> None:
        """Print a line when one is due."""
        now = time.monotonic()
        if last or now >= self._next:
            self._next = now + LINE_SECONDS
            print(f"{share:4.0%}  {text}", file=sys.stderr, flush=True)


@final
class QuietDisplay:
    """Nothing."""

    def __enter__(self) -> "QuietDisplay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, text: str, share: float, *, last: bool = False) -> None:
        """Show nothing."""


def display_for(*, quiet: bool) -> Display:
    """The display that suits stderr."""
    if quiet:
        return QuietDisplay()
    return LiveDisplay() if sys.stderr.isatty() else LineDisplay()
