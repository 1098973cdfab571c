"""The window of steps in which a teacher is probed."""

from pathlib import Path
from typing import Any

import pytest

from sim.errors import SimError
from sim.online.window import Window, last_step, window_of
from sim.transition import Crossing, Transition
from tests.sim.conftest import teacher

CELL_RECORD: dict[str, Any] = {"diverged_at": None, "held_out": [0.5, 0.6]}


def transition(start: int | None, end: int | None) -> Transition:
    crossing = () if start is None else (Crossing(0.55, start + 20, start, None, True),)
    return Transition(crossing, start, end)


@pytest.mark.parametrize(
    ("found", "given", "expected"),
    [
        ((280, 620), {}, (0, 960, 20)),
        ((280, 380), {}, (180, 480, 20)),
        ((280, None), {}, (0, 1200, 40)),  # it goes on to the end of the run
        ((20, 20), {}, (0, 40, 20)),  # at least as long as the log points are apart
        ((400, 900), {}, (0, 1200, 40)),
        ((280, 380), {"start": 0}, (0, 480, 20)),
        ((280, 380), {"stop": 1200, "every": 60}, (180, 1200, 60)),
        ((None, None), {"start": 40, "stop": 140}, (40, 140, 20)),
    ],
)
def test_windows(
    learned: Path, found: tuple[int | None, int | None], given: dict[str, int], expected: tuple[int, int, int]
) -> None:
    window = window_of(teacher(learned), CELL_RECORD, transition(*found), **given)
    assert window == Window(*expected)


def test_steps_are_about_a_fortieth_of_the_window_apart(learned: Path) -> None:
    cell = teacher(learned)
    assert cell.teacher.segment == 20
    found = {
        (start, stop): window_of(cell, CELL_RECORD, transition(None, None), start=start, stop=stop).every
        for start, stop in ((0, 800), (0, 1180), (0, 1200), (100, 1180), (400, 1200), (0, 20), (0, 0))
    }
    assert found == {
        (0, 800): 20, (0, 1180): 20, (0, 1200): 40, (100, 1180): 20, (400, 1200): 20, (0, 20): 20, (0, 0): 20,
    }  # fmt: skip


def test_a_window_ends_before_a_divergence(learned: Path) -> None:
    cell = teacher(learned)
    for diverged, last in ((621, 620), (639, 620), (640, 620), (7, 0), (0, 0)):
        diverging = CELL_RECORD | {"diverged_at": diverged}
        assert last_step(cell, diverging) == last
        assert window_of(cell, diverging, transition(280, None), start=0).stop == last
        with pytest.raises(
            SimError, match=f"outside the run, which diverged at step {diverged}: give 0 to {last}"
        ):
            window_of(cell, diverging, transition(280, None), stop=last + 20)
