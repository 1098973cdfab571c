"""Progress on stderr: a live display on a terminal, a line a minute otherwise, nothing when quiet."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, final, runtime_checkable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sim.runner import Unit

LINE_SECONDS = 60.0


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
    """Adds up the work that is done: expected seconds of units, samples, cells."""

    def __init__(self, units: Sequence[Unit], display: Display, workers: int) -> None:
        self._display = display
        self._workers = workers
        self._total = sum(unit.seconds for unit in units)
        self._samples = 0.0
        self._done = 0.0
        self._open: dict[tuple[str, int], float] = {}
        self._left: dict[str, int] = {}
        for unit in units:
            self._left[unit.cell.id] = self._left.get(unit.cell.id, 0) + 1
        self._cells = len(self._left)
        self._start = time.monotonic()

    def share(self, unit: Unit, share: float) -> None:
        """A unit under way has come to `share` of its work."""
        self._open[unit.cell.id, unit.replicates[0]] = share * unit.seconds
        self._show(last=False)

    def finished(self, unit: Unit) -> None:
        """A unit has ended."""
        self._open.pop((unit.cell.id, unit.replicates[0]), None)
        self._done += unit.seconds
        self._samples += unit.cell.samples * len(unit.replicates)
        self._left[unit.cell.id] -= 1
        self._show(last=not any(self._left.values()))

    def _show(self, *, last: bool) -> None:
        elapsed = time.monotonic() - self._start
        share = (self._done + sum(self._open.values())) / max(self._total, 1e-9)
        cells = sum(1 for left in self._left.values() if left == 0)
        rate = self._samples / max(elapsed, 1e-9)
        left = "" if last or share < 0.02 else f", about {duration(elapsed * (1 - share) / share)} left"
        text = f"{cells}/{self._cells} cells, {rate:.2g} samples/s{left}"
        self._display.update(text, min(share, 1.0), last=last)


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


def duration(seconds: float) -> str:
    """For example `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
