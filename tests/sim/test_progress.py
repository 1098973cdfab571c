"""Progress: what is done is added up from units in any order, on a clock that does not jump."""

from types import TracebackType

import pytest

from sim import progress
from sim.progress import LINE_SECONDS, LineDisplay, Tracker
from sim.protocol.base import Part
from sim.units import Unit
from tests.sim.executors import a_cell


class Shown:
    """A display that keeps what it was to show."""

    def __init__(self) -> None:
        self.all: list[tuple[str, float, bool]] = []

    def __enter__(self) -> "Shown":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, text: str, share: float, *, last: bool = False) -> None:
        self.all.append((text, share, last))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which stands still."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


FIRST, SECOND = a_cell(0, 100), a_cell(1, 300)


def test_work_is_added_up_from_units_in_any_order(clock: list[float]) -> None:
    shown = Shown()
    tracker = Tracker(10.0, {FIRST.id: 3, SECOND.id: 2}, shown)
    prepared = Unit((Part(FIRST, (0, 1, 2)), Part(SECOND, (0, 1))), 4.0, prepares=True)
    units = [
        Unit((Part(FIRST, (2,)),), 1.0),
        Unit((Part(SECOND, (0, 1)),), 3.0),
        Unit((Part(FIRST, (0, 1)),), 2.0),
    ]

    def after() -> tuple[str, float, bool]:
        clock[0] += 1.0
        return shown.all[-1]

    clock[0] += 1.0
    tracker.share(units[1], 0.5)
    # Half of 600 samples in a second, and 8.5 of 10 seconds are left.
    assert after() == ("0/2 cells, 3e+02 samples/s, about 6 s left", 0.15, False)
    tracker.finished(prepared)
    assert after() == ("0/2 cells, 1.5e+02 samples/s, about 2 s left", 0.55, False)
    tracker.finished(units[0])
    assert after()[1:] == (pytest.approx(0.65), False)
    tracker.finished(units[1])
    assert after() == ("1/2 cells, 1.8e+02 samples/s, about 1 s left", pytest.approx(0.8), False)
    tracker.finished(units[2])
    assert after() == ("2/2 cells, 1.8e+02 samples/s", pytest.approx(1.0), True)


def test_it_is_not_shown_more_often_than_can_be_seen_but_the_end_is(clock: list[float]) -> None:
    shown = Shown()
    tracker = Tracker(300.0, {FIRST.id: 300}, shown)
    for replicate in range(300):
        clock[0] += 1 / 64
        tracker.finished(Unit((Part(FIRST, (replicate,)),), 1.0))
    assert len(shown.all) == 75 + 1, "the first, every fourth after it, and the last"
    assert shown.all[-1][2]


def test_a_line_a_minute_and_one_at_the_end(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with LineDisplay() as display:
        for second in range(150):
            display.update(f"{second}", second / 150)
            clock[0] += 1.0
        display.update("end", 1.0, last=True)
    assert LINE_SECONDS == 60
    assert capsys.readouterr().err == " 40%  60\n 80%  120\n100%  end\n"
