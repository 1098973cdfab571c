"""At which steps of a teacher's run it is probed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from sim.errors import SimError
from sim.online.cell import TeacherCell
from sim.transition import Transition, find_transition

POINTS: Final = 40
"""About as many checkpoints are probed unless the user says how far they are apart."""

MAX_POINTS: Final = 2000

RULE: Final = (
    "from the start of the phase transition less its length to its end plus its length, within the run; the "
    "transition goes from the last log point before 55 % held-out accuracy to that with 95 %, and to the run's end "
    "where 95 % is not reached"
)


@final
@dataclass(frozen=True)
class Window:
    """Steps start, start + every, …, up to stop, all multiples of the teacher's segment."""

    start: int
    stop: int
    every: int

    @property
    def steps(self) -> range:
        """The steps."""
        return range(self.start, self.stop + 1, self.every)


def transition_of(record: Mapping[str, Any], batch: int = 1) -> Transition:
    """The phase transition of a teacher's stored curve.

    Args:
        record: of `sim.online.records`.
        batch: samples a step: the transition is in samples then; 1: in steps.
    """
    accuracies = [math.nan if a is None else float(a) for a in record["held_out"]]
    return find_transition([step * batch for step in record["steps"]], accuracies)


def last_step(cell: TeacherCell, record: Mapping[str, Any]) -> int:
    """The last step at which the teacher can have a checkpoint: that before it diverged, if it did."""
    segment, diverged = cell.teacher.segment, record["diverged_at"]
    return cell.teacher.steps if diverged is None else max(0, (diverged - 1) // segment * segment)


def window_of(
    cell: TeacherCell,
    record: Mapping[str, Any],
    transition: Transition,
    *,
    start: int | None = None,
    stop: int | None = None,
    every: int | None = None,
) -> Window:
    """The window that was asked for; what was not given is chosen.

    By default `RULE` gives the ends, and the steps are about a fortieth of the window apart: `every` is the multiple of
    the segment that is nearest to that.

    Args:
        cell: the teacher.
        record: its record.
        transition: of its curve, in steps.
        start: first step.
        stop: last step.
        every: steps between checkpoints.

    Raises:
        SimError: a step is outside the run or no multiple of the segment, an end is not given and there is no
            transition, or there are more than 2,000 steps.
    """
    segment, last = cell.teacher.segment, last_step(cell, record)
    for name, value, least in (("--from", start, 0), ("--until", stop, 0), ("--every", every, segment)):
        if value is not None and (value < least or value % segment):
            raise SimError(
                f"{name} {value} is not allowed: give a multiple of {segment}, the steps of one call of the kernel in "
                f"this run, from {least} on"
            )
    for name, value in (("--from", start), ("--until", stop)):
        if value is not None and value > last:
            end = "" if last == cell.teacher.steps else f", which diverged at step {record['diverged_at']}"
            raise SimError(f"{name} {value} is outside the run{end}: give 0 to {last}")
    if start is None or stop is None:
        low, high = _around(cell, record, transition, last)
        start, stop = low if start is None else start, high if stop is None else stop
    if start > stop:
        raise SimError(
            f"a window from step {start} to {stop} is empty: give --from and --until, the smaller first"
        )
    if every is None:
        every = max(1, round((stop - start) / (POINTS * segment))) * segment
    window = Window(start, stop, every)
    if len(window.steps) > MAX_POINTS:
        raise SimError(
            f"steps {start} to {stop} every {every} are {len(window.steps)} checkpoints: give at most {MAX_POINTS}"
        )
    return window


def _around(
    cell: TeacherCell, record: Mapping[str, Any], transition: Transition, last: int
) -> tuple[int, int]:
    """The ends of `RULE`."""
    if transition.start is None:
        best = max((a for a in record["held_out"] if a is not None), default=0.5)
        raise SimError(
            f"cell {cell.id[:12]} has no phase transition, its greatest held-out accuracy is {best:.4g}: give --from "
            "and --until"
        )
    end = last if transition.end is None else transition.end
    length = max(end - transition.start, cell.log_every)
    segment = cell.teacher.segment
    low, high = max(0, transition.start - length), min(last, end + length)
    return low // segment * segment, high // segment * segment
