"""What probes of a teacher show: results and their specification as JSON, a table, and sentences.

The JSON file:

| entry | meaning |
|---|---|
| format | version of the file, 1 |
| cell | the teacher's cell: id, label and specification |
| window | first and last step, steps in between |
| rule | how the ends are chosen where they are not given |
| reading | of `sim.probe`, in which table, peak and figure are |
| agrees | whether the checkpoints have the held-out accuracies that the store has |
| transition | crossings of the stored curve with their intervals, start and end, in steps |
| peak | of the mean absolute degree-1 correlation, with its interval, in steps; null without a finite point |
| place | where the peak lies, see `Place`; null without peak or transition |
| held_out | pairs of step and held-out accuracy of the probed checkpoints |
| probes | specification and all readings, see `sim.probes.Probes` |
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from rich.console import Console
from rich.table import Table

from sim.cell import Cell
from sim.errors import SimError, reason
from sim.online.cell import TeacherCell
from sim.online.window import RULE, Window
from sim.probe import READINGS
from sim.probes import Probes, plain
from sim.transition import Crossing, Peak, Transition, find_peak

FORMAT: Final = 1
DEGREES: Final = (1, 3, 5)
"""Shown in the table as far as k goes."""


@final
@dataclass(frozen=True)
class Place:
    """Where the peak of the correlations lies.

    Attributes:
        reached: the highest accuracy that was crossed at or before the peak, or None.
        next: the lowest accuracy that was crossed after it, or None.
        interval: `within` the transition, `before`, `after`, or `overlapping`.
        at_edge: whether the interval reaches the first or last probed step, and the run goes on there: the true peak
            may be outside.
    """

    reached: float | None
    next: float | None
    interval: str
    at_edge: bool


@final
@dataclass(frozen=True)
class Report:
    """Probes of a teacher, with what its curve says.

    Attributes:
        cell: the teacher.
        window: the steps.
        reading: of `sim.probe`.
        agrees: whether the checkpoints have the held-out accuracies that the store has.
        transition: of the stored curve, in steps.
        held_out: accuracy at each probed step.
        probes: of the task's dimension and support.
    """

    cell: TeacherCell
    window: Window
    reading: str
    agrees: bool
    transition: Transition
    held_out: dict[int, float]
    probes: Probes

    @cached_property
    def peak(self) -> Peak | None:
        """Of the mean absolute degree-1 correlation."""
        return find_peak(self.probes, self.reading)

    @cached_property
    def place(self) -> Place | None:
        """Where the peak lies; None without peak or transition."""
        peak, t = self.peak, self.transition
        if peak is None or t.start is None:
            return None
        reached = [c.level for c in t.crossings if c.step <= peak.step]
        ahead = [c.level for c in t.crossings if c.step > peak.step]
        end = math.inf if t.end is None else t.end
        if t.start <= peak.low and peak.high <= end:
            interval = "within"
        elif peak.high < t.start:
            interval = "before"
        else:
            interval = "after" if peak.low > end else "overlapping"
        probed = [point.step for point in self.probes.points]
        edge = peak.low == min(probed) > 0 or peak.high == max(probed) < self.cell.teacher.steps
        return Place(max(reached, default=None), min(ahead, default=None), interval, edge)

    def to_json(self) -> dict[str, Any]:
        """Specification and results, null for what is not finite."""
        return {
            "format": FORMAT,
            "cell": self.cell.json(),
            "window": plain(self.window),
            "rule": RULE,
            "reading": self.reading,
            "agrees": self.agrees,
            "transition": plain(self.transition),
            "peak": plain(self.peak),
            "place": plain(self.place),
            "held_out": [[step, accuracy] for step, accuracy in sorted(self.held_out.items())],
            "probes": self.probes.to_json(),
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Report":
        """The report of `to_json()`.

        Raises:
            SimError: the values are none, or of a newer format.
        """
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise SimError(f"format {version} is newer than {FORMAT}: read it with the version that wrote it")
        try:
            cell = Cell.from_spec({k: v for k, v in values["cell"].items() if k not in ("id", "label")})
            t = values["transition"]
            transition = Transition(tuple(Crossing(**c) for c in t["crossings"]), t["start"], t["end"])
            held_out = {int(step): float(accuracy) for step, accuracy in values["held_out"]}
            window, agrees, reading = Window(**values["window"]), bool(values["agrees"]), values["reading"]
            probes = Probes.from_json(values["probes"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, SimError):
                raise
            raise SimError(f"these values are no probes of a teacher: {reason(error)}") from error
        if not isinstance(cell, TeacherCell) or reading not in READINGS:
            raise SimError("these values are no probes of a teacher: use what the verb probe wrote")
        return Report(cell, window, reading, agrees, transition, held_out, probes)

    def print(self, console: Console) -> None:
        """The table and the sentences."""
        console.print(self._table())
        for line in self.sentences():
            console.print(line, highlight=False, soft_wrap=True)

    def sentences(self) -> Iterator[str]:
        """The transition, the peak, and where it lies."""
        batch = self.cell.teacher.batch
        unit = "step" if batch == 1 else f"step (of {batch} samples)"
        if self.transition.start is None:
            yield "transition: none in the stored curve"
        else:
            found = ", ".join(f"{c.level:.0%} at {_crossing(c)}" for c in self.transition.crossings)
            yield f"transition, {unit} of the stored curve's log points [95 % intervals]: {found}"
        peak, place = self.peak, self.place
        if peak is None:
            yield "peak: none, no correlation is finite"
        else:
            yield (
                f"peak of the mean |degree-1 correlation|: {peak.value:.4f}, standard error at most {peak.error:.4f}, "
                f"at step {peak.step} [95 % interval {peak.low}, {peak.high}]"
            )
        if place is not None:
            yield f"place of the peak: {self._side(place)}; its interval {_interval(place.interval)}"
            if place.at_edge:
                yield "its interval reaches an end of the window: the peak may lie outside, probe a wider window"
        if not self.agrees:
            yield "the checkpoints are not those of the stored run: their held-out accuracies differ"

    def _side(self, place: Place) -> str:
        at = {c.level: f"{c.level:.0%} (step {c.step})" for c in self.transition.crossings}
        if place.reached is None:
            assert place.next is not None  # a transition has crossings
            return f"before the crossing of {at[place.next]}"
        if place.next is None:
            return f"at or after the crossing of {at[place.reached]}, the last one"
        return f"between the crossings of {at[place.reached]} and {at[place.next]}"

    def _table(self) -> Table:
        spec = self.probes.spec
        table = Table(
            title=f"{self.cell.label()}: correlations with monomials, reading {self.reading}, {spec.samples} samples; "
            "c: in the support, off: mean |c| of monomials disjoint from it",
            title_justify="left",
            header_style="",
        )
        table.add_column("step", justify="right")
        table.add_column("held out", justify="right")
        traces = [(d, self.probes.degree(d, self.reading)) for d in DEGREES if d <= len(spec.support)]
        for degree, trace in traces:
            range_of = "|c|" if len(trace.monomials) == 1 else "min..max |c|"
            for name in (f"degree {degree}: {range_of}", "s.e.", "off"):
                table.add_column(name, justify="right")
        for i, step in enumerate(traces[0][1].steps.tolist()):
            row = [str(step), f"{self.held_out[step]:.4f}" if step in self.held_out else "-"]
            for _, trace in traces:
                c, off = np.abs(trace.values[i]), trace.groups[i].get("off")
                ends = list(dict.fromkeys((_short(c.min()), _short(c.max()))))
                row += [
                    "..".join(ends),
                    _short(trace.errors[i].max()),
                    "-" if off is None else _short(off.mean),
                ]
            table.add_row(*row)
        return table


def read_report(path: Path) -> Report:
    """The report of a file that the verb probe wrote.

    Raises:
        SimError: the file cannot be read, or holds something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SimError(f"probes {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SimError(f"probes {path} are no JSON: give a file that the verb probe wrote") from error
    if not isinstance(values, dict):
        raise SimError(f"probes {path} are no JSON object: give a file that the verb probe wrote")
    try:
        return Report.from_json(values)
    except SimError as error:
        raise SimError(f"probes {path} cannot be used: {error}") from error


def _short(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _crossing(crossing: Crossing) -> str:
    high = "∞" if crossing.high is None else str(crossing.high)
    return f"{crossing.step} [{crossing.low}, {high}]" + ("" if crossing.confirmed else " (unconfirmed)")


def _interval(name: str) -> str:
    return {
        "within": "lies within the transition",
        "before": "lies before the transition",
        "after": "lies after the transition",
        "overlapping": "reaches beyond the transition",
    }[name]
