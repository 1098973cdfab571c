"""Online students in groups, lines and places, for the figures of `sim.online.plots`, and their values.

Where a setting has cells of one seed, values are those of its students; where it has several, those of its seeds, each
by the median over its students, as in `sim.online.summary`: students of a seed share teacher and samples, seeds share
nothing.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from sim.cell import canonical_json
from sim.online.cell import StudentCell, teacher_setting, without
from sim.online.marks import Series
from sim.online.summary import OnlineSummaryOfCell
from sim.student_record import samples_to_reach
from sim.supervision import Distilled, count_text, number_text
from sim.supervisions import Single, TwoShot

SUCCESS: Final = 0.9

Group = list[OnlineSummaryOfCell]


def student_of(summary: OnlineSummaryOfCell) -> StudentCell:
    """The cell, which is of students."""
    assert isinstance(summary.cell, StudentCell)
    return summary.cell


def groups_of(students: Group, key: Callable[[StudentCell], Any]) -> list[Group]:
    """Cells of equal key, length, batch and log points."""
    found: dict[str, Group] = {}
    for s in students:
        cell = student_of(s)
        found.setdefault(
            canonical_json([key(cell), cell.steps, cell.batch, cell.segment, cell.log_every]), []
        ).append(s)
    return sorted(found.values(), key=lambda group: (_rank(group[0]), student_of(group[0]).label()))


def _rank(summary: OnlineSummaryOfCell) -> bool:
    """Schedules of one chosen checkpoint come last: there may be many."""
    return isinstance(student_of(summary).student.supervision, Single | TwoShot)


def all_but_schedule(cell: StudentCell) -> Any:
    """Cells of which this differs are in different figures."""
    return [teacher_setting(cell), without(cell.student.spec(), "supervision")]


def lines_of(
    group: Group, label: Callable[[StudentCell], tuple[str, Any]], x: Callable[[OnlineSummaryOfCell], float]
) -> list[tuple[str, Group]]:
    """Label and cells of each line, cells by x."""
    found: dict[str, tuple[str, Group]] = {}
    for s in sorted(group, key=lambda s: (_rank(s), x(s))):
        text, kind = label(student_of(s))
        found.setdefault(canonical_json(kind), (text, []))[1].append(s)

    def place(line: tuple[str, Group]) -> tuple[bool, str, float, str]:
        first = line[1][0]
        last = _rank(first)
        return last, student_of(first).student.supervision.name, chosen_step(first) if last else 0.0, line[0]

    return sorted(found.values(), key=place)


def chosen_step(summary: OnlineSummaryOfCell) -> float:
    """The step of the chosen checkpoint, or of the intermediate one of two."""
    supervision = student_of(summary).student.supervision
    assert isinstance(supervision, Single | TwoShot)
    return float(supervision.checkpoint if isinstance(supervision, Single) else supervision.intermediate)


def choice_label(cell: StudentCell) -> tuple[str, Any]:
    """The line of a schedule, without its checkpoint."""
    supervision = cell.student.supervision
    if isinstance(supervision, Single):
        name, label = (
            "checkpoint",
            supervision.label().replace(f" {count_text(supervision.checkpoint)}", "", 1),
        )
    else:
        assert isinstance(supervision, TwoShot)
        name, text = "intermediate", count_text(supervision.intermediate)
        label = supervision.label().replace(f" {text}×", " ×", 1)
    return label, without(supervision.spec(), name)


def temperature_of(summary: OnlineSummaryOfCell) -> float:
    """The temperature at which students are distilled; 0 for hard labels."""
    supervision = student_of(summary).student.supervision
    assert isinstance(supervision, Distilled)
    return supervision.temperature


def temperature_label(cell: StudentCell) -> tuple[str, Any]:
    """The line of a schedule, without its temperature."""
    supervision = cell.student.supervision
    assert isinstance(supervision, Distilled)
    heat = f" τ={number_text(supervision.temperature)}" if supervision.temperature else " hard"
    before, _, after = supervision.label().rpartition(heat)
    return before + after, without(supervision.spec(), "temperature")


def final_accuracies(summary: OnlineSummaryOfCell) -> dict[int, float]:
    """Final accuracy by replicate; NaN where it diverged."""
    bad = summary.bad
    return {
        r: math.nan if r in bad else float(record["held_out"][-1]) for r, record in summary.records.items()
    }


def samples_to_success(summary: OnlineSummaryOfCell) -> dict[int, float]:
    """Samples to 90 % by replicate; inf where it was not reached, NaN where it diverged."""
    found = {}
    for r, record in summary.records.items():
        (samples,) = samples_to_reach(record, [SUCCESS])
        missing = math.nan if r in summary.bad else math.inf
        found[r] = missing if samples is None or r in summary.bad else float(samples)
    return found


def seeds_of(group: Iterable[OnlineSummaryOfCell]) -> list[int]:
    """The seeds that there are, increasing."""
    return sorted({s.cell.seed for s in group})


def values_of(
    cells: Sequence[OnlineSummaryOfCell],
    value: Callable[[OnlineSummaryOfCell], dict[int, float]],
    by_seed: bool | None = None,
) -> dict[int, float]:
    """Values of cells that differ in their seed only: by replicate for one seed, else by seed."""
    if not (len(seeds_of(cells)) > 1 if by_seed is None else by_seed):
        return {r: v for s in cells for r, v in value(s).items()}
    found = {}
    for s in cells:
        kept = [v for v in value(s).values() if not math.isnan(v)]
        found[s.cell.seed] = float(statistics.median(kept)) if kept else math.nan
    return found


def series_of(
    label: str,
    cells: Group,
    x: Callable[[OnlineSummaryOfCell], float],
    value: Callable[[OnlineSummaryOfCell], dict[int, float]],
    *,
    shared: bool = False,
) -> Series:
    """A line: a row a replicate or seed, NaN where one is missing; `shared`: only where all seeds have cells."""
    at: dict[float, Group] = {}
    for s in cells:
        at.setdefault(x(s), []).append(s)
    if shared:
        at = {place: here for place, here in at.items() if seeds_of(here) == seeds_of(cells)}
    several = len(seeds_of(cells)) > 1
    columns = {place: values_of(here, value, several) for place, here in sorted(at.items())}
    rows = sorted({r for column in columns.values() for r in column})
    values = tuple(tuple(column.get(r, math.nan) for column in columns.values()) for r in rows)
    return Series(label, tuple(columns), values)


def teacher_series(teachers: Group, chosen: Sequence[float], origins: dict[int, int]) -> list[Series]:
    """Held-out accuracy of the teachers over the range of the chosen checkpoints, as one line."""
    low, high = min(chosen), max(chosen)
    margin = 0.05 * (high - low)
    curves = []
    for teacher in teachers:
        record = teacher.good[0]
        origin = origins.get(teacher.cell.seed, 0)
        pairs = [(s - origin, a) for s, a in zip(record["steps"], record["held_out"], strict=True)]
        curves.append({float(s): float(a) for s, a in pairs if low - margin <= s <= high + margin})
    steps = sorted({s for curve in curves for s in curve if not origins or all(s in c for c in curves)})
    values = tuple(tuple(curve.get(s, math.nan) for s in steps) for curve in curves)
    return [Series("teacher", tuple(steps), values, teacher=True)] if steps else []


def marks_text(group: Group, band: str = "95 % interval") -> str:
    """What the marks are; of fewer than six values the range is the interval there is."""
    seeds = seeds_of(group)
    few = max(len(s.records) for s in group) < 6 if len(seeds) == 1 else len(seeds) < 6
    over = "students" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return f"median and {'range' if few else band} over {over}"


def share_text(lines: Sequence[Any], every: Sequence[Any]) -> str:
    """How many lines are drawn, where not all are."""
    return "" if len(lines) == len(every) else f"; {len(lines)} of {len(every)} lines"


def title_of(group: Group) -> str:
    """What all cells of the group have in common, but for the schedule."""
    cell = student_of(group[0])
    teacher = cell.teacher_cell()
    assert teacher is not None
    own = cell.student.label().removeprefix(cell.student.supervision.label())
    return f"n={cell.n} k={cell.k}, {teacher.series}, students{own}, {count_text(cell.horizon)} samples"
