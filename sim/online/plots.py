"""Figures of the online cells of a store, beside that of all curves: final accuracy against the chosen checkpoint,
results against temperature, samples over the widths of teacher and student.

A figure is of one setting: all that its axes and lines do not show is the same. Where a setting has cells of one seed,
values are those of its students; where it has several, those of its seeds, each by the median over its students, as in
`sim.online.summary`: students of a seed share teacher and samples, seeds share nothing.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from sim.cell import canonical_json
from sim.figures.base import MAX_PANELS, Drawing, limited
from sim.online.cell import OnlineCell, StudentCell, TeacherCell, teacher_setting, without
from sim.online.figures import (
    choice_figure,
    correlation_figure,
    temperature_figure,
    temperature_heat_figure,
    width_samples_figure,
)
from sim.online.marks import Series
from sim.online.report import Report
from sim.online.summary import OnlineSummary, OnlineSummaryOfCell
from sim.online.window import transition_of
from sim.student_record import samples_to_reach
from sim.supervision import Distilled, count_text, number_text
from sim.supervisions import Single, TwoShot
from sim.transition import Transition

MAX_LINES: Final = 14
"""More cannot be told apart; the figure says how many are left out."""

SUCCESS: Final = 0.9
ORIGIN_LEVEL: Final = 0.75
_ORIGIN: Final = f"teacher's {100 * ORIGIN_LEVEL:g} % crossing"

Group = list[OnlineSummaryOfCell]
T = TypeVar("T", int, float)


def drawings(kind: str, summary: OnlineSummary, report: Report | None = None) -> list[Drawing]:
    """The figures of a kind, one for each setting that has what they show; none where no setting has.

    Args:
        kind: `choice`, `temperature`, `widths`, `heat` or `correlations`.
        summary: of a store.
        report: for `choice`: its teacher's students only, with its correlations; for `correlations`: what is drawn, if
            its teacher taught one of the cells or is one.
    """
    students = [s for s in summary.cells if isinstance(s.cell, StudentCell) and s.records]
    match kind:
        case "choice":
            return limited(_choices(summary, students, report))
        case "temperature":
            return limited(_temperatures(students))
        case "widths":
            return limited(_widths(students))
        case "heat":
            return limited(_heats(students))
        case _:
            own = report is not None and any(_taught_by(report.cell, s.cell) for s in summary.cells)
            return [correlation_drawing(report)] if own and report is not None else []


def correlation_drawing(report: Report) -> Drawing:
    """The correlations of a probed teacher."""
    return correlation_figure(
        report.probes,
        title=report.cell.label(),
        reading=report.reading,
        transition=report.transition,
        peak=report.peak,
        batch=report.cell.teacher.batch,
    )


def _taught_by(teacher: TeacherCell, cell: OnlineCell) -> bool:
    return cell.teacher is not None and (cell.seed, teacher_setting(cell)) == (
        teacher.seed,
        teacher_setting(teacher),
    )


def _choices(summary: OnlineSummary, students: Group, report: Report | None) -> list[Callable[[], Drawing]]:
    chosen = [s for s in students if isinstance(_student(s).student.supervision, Single | TwoShot)]
    drawn: list[Callable[[], Drawing]] = []
    for group in _groups(chosen, _apart):
        if report is not None:
            # The probes are of one seed's teacher: students of others stand nowhere under their peak.
            group = [s for s in group if _taught_by(report.cell, s.cell)]
            if not group:
                continue
        drawn.append(partial(_choice, summary, group, report))
    return drawn


def _choice(summary: OnlineSummary, group: Group, report: Report | None) -> Drawing:
    of_seed = "" if report is None else f", seed {report.cell.seed}"
    teachers = {t.cell.id: t for s in group if (t := summary.teacher_of(s)) is not None and t.good}
    transition: Transition | None = None if report is None else report.transition
    if report is None and len(teachers) == 1:
        (one,) = teachers.values()
        transition = transition_of(one.good[0])
    origins = _origins(teachers.values()) if report is None else {}
    if not _shared(group, origins):
        origins = {}
    every = _lines(group, _choice_label, _chosen)
    lines = every[:MAX_LINES]

    def place(s: OnlineSummaryOfCell) -> float:
        return _chosen(s) - origins.get(s.cell.seed, 0)

    series = [_series(label, line, place, _accuracies, shared=bool(origins)) for label, line in lines]
    chosen_at = [x for item in series for x in item.x]
    return choice_figure(
        [*(_teachers(list(teachers.values()), chosen_at, origins) if chosen_at else []), *series],
        None if report is None else report.probes,
        title=f"{_title(group)}{of_seed}\n{_middle(group)}{_share(lines, every)}",
        reading="probability" if report is None else report.reading,
        transition=transition,
        peak=None if report is None else report.peak,
        batch=_student(group[0]).batch,
        origin=_ORIGIN if origins else None,
    )


def _origins(teachers: Iterable[OnlineSummaryOfCell]) -> dict[int, int]:
    """The step at which each seed's teacher reaches 75 %; none for one seed, or where a teacher does not.

    Transitions are narrow, and each teacher's is elsewhere: side by side, medians over seeds would mix what lies before
    with what lies after.
    """
    found = {}
    for teacher in teachers:
        steps = [c.step for c in transition_of(teacher.good[0]).crossings if c.level == ORIGIN_LEVEL]
        if not steps:
            return {}
        found[teacher.cell.seed] = steps[0]
    return found if len(found) > 1 else {}


def _shared(group: Group, origins: dict[int, int]) -> bool:
    """Whether some checkpoint is as far from the origin for every seed."""
    places: dict[int, set[float]] = {}
    for s in group:
        places.setdefault(s.cell.seed, set()).add(_chosen(s) - origins.get(s.cell.seed, 0))
    return bool(set.intersection(*places.values()))


def _temperatures(students: Group) -> list[Callable[[], Drawing]]:
    heated = [s for s in students if isinstance(_student(s).student.supervision, Distilled)]
    drawn: list[Callable[[], Drawing]] = []
    for group in _groups(heated, _apart):
        every = _lines(group, _temperature_label, _temperature)
        every = [line for line in every if len({_temperature(s) for s in line[1]}) > 1]
        if not every:
            continue
        drawn.append(partial(_temperature_drawing, group, every))
    return drawn


def _temperature_drawing(group: Group, every: Sequence[tuple[str, Group]]) -> Drawing:
    lines = every[:MAX_LINES]
    return temperature_figure(
        [_series(label, line, _temperature, _accuracies) for label, line in lines],
        [_series(label, line, _temperature, _samples) for label, line in lines],
        float(group[0].cell.horizon),
        title=f"{_title(group)}\n{_middle(group)}{_share(lines, every)}",
    )


def _widths(students: Group) -> list[Callable[[], Drawing]]:
    drawn: list[Callable[[], Drawing]] = []
    taught = [s for s in students if s.cell.teacher is not None]
    for group in _groups(
        taught, lambda cell: [teacher_setting(cell, "width"), without(cell.student.spec(), "width")]
    ):
        if len({_both_widths(s) for s in group}) > 1:
            drawn.append(partial(_width_drawing, group))
    return drawn


def _both_widths(summary: OnlineSummaryOfCell) -> tuple[int, int]:
    """Of teacher and student."""
    cell = _student(summary)
    assert cell.teacher is not None
    return cell.teacher.width, cell.student.width


def _width_drawing(group: Group) -> Drawing:
    teachers, widths = (sorted({_both_widths(s)[i] for s in group}) for i in (0, 1))
    cell = _student(group[0])
    assert cell.teacher is not None
    title = f"n={cell.n} k={cell.k}, {cell.student.supervision.label()}, rate={cell.student.rate.label()}, "
    title += f"teacher rate={cell.teacher.rate.label()}, {count_text(cell.horizon)} samples"
    title += f"\n{_middle(group, 'range')}"
    samples, accuracies = (_table(group, teachers, widths, _both_widths, v) for v in (_samples, _accuracies))
    return width_samples_figure(widths, teachers, samples, accuracies, title=title)


def _heats(students: Group) -> list[Callable[[], Drawing]]:
    drawn: list[Callable[[], Drawing]] = []
    heated = [s for s in students if isinstance(_student(s).student.supervision, Distilled)]
    for group in _groups(
        heated, lambda cell: [teacher_setting(cell), without(cell.student.spec(), "supervision", "width")]
    ):
        lines = _lines(group, _temperature_label, _temperature)
        if len({_heat_place(s) for s in group}) > 1:
            pages = [lines[i : i + MAX_PANELS] for i in range(0, len(lines), MAX_PANELS)]
            drawn += [
                partial(_heat_drawing, page, f", part {number} of {len(pages)}" if len(pages) > 1 else "")
                for number, page in enumerate(pages, 1)
            ]
    return drawn


def _heat_place(summary: OnlineSummaryOfCell) -> tuple[float, int]:
    """Temperature and width."""
    return _temperature(summary), _student(summary).student.width


def _heat_drawing(lines: Sequence[tuple[str, Group]], part: str) -> Drawing:
    panels = {}
    for label, group in lines:
        temperatures = sorted({_temperature(s) for s in group})
        widths = sorted({_student(s).student.width for s in group})
        samples, accuracies = (
            _table(group, temperatures, widths, _heat_place, v) for v in (_samples, _accuracies)
        )
        panels[label] = widths, temperatures, samples, accuracies
    group = lines[0][1]
    cell, teacher = _student(group[0]), _student(group[0]).teacher_cell()
    assert teacher is not None
    title = f"samples to 90 %: n={cell.n} k={cell.k}, {teacher.series}, students rate={cell.student.rate.label()}, "
    title += f"{count_text(cell.horizon)} samples{part}\n{_middle(group, 'range')}"
    return temperature_heat_figure(panels, title=title)


def _table(
    group: Group,
    rows: Sequence[T],
    widths: Sequence[int],
    place: Callable[[OnlineSummaryOfCell], tuple[T, int]],
    value: Callable[[OnlineSummaryOfCell], dict[int, float]],
) -> list[list[list[float]]]:
    """Values by row, student width and replicate or seed, for a heat map."""
    at: dict[tuple[T, int], Group] = {}
    for s in group:
        at.setdefault(place(s), []).append(s)
    return [[list(_values(at.get((row, w), []), value).values()) for w in widths] for row in rows]


# Settings


def _student(summary: OnlineSummaryOfCell) -> StudentCell:
    assert isinstance(summary.cell, StudentCell)
    return summary.cell


def _groups(students: Group, key: Callable[[StudentCell], Any]) -> list[Group]:
    """Cells of equal key, length, batch and log points."""
    found: dict[str, Group] = {}
    for s in students:
        cell = _student(s)
        found.setdefault(
            canonical_json([key(cell), cell.steps, cell.batch, cell.segment, cell.log_every]), []
        ).append(s)
    return sorted(found.values(), key=lambda group: (_rank(group[0]), _student(group[0]).label()))


def _rank(summary: OnlineSummaryOfCell) -> bool:
    """Schedules of one chosen checkpoint come last: there may be many."""
    return isinstance(_student(summary).student.supervision, Single | TwoShot)


def _apart(cell: StudentCell) -> Any:
    """Cells of which this differs are in different figures."""
    return [teacher_setting(cell), without(cell.student.spec(), "supervision")]


def _lines(
    group: Group, label: Callable[[StudentCell], tuple[str, Any]], x: Callable[[OnlineSummaryOfCell], float]
) -> list[tuple[str, Group]]:
    """Label and cells of each line, cells by x."""
    found: dict[str, tuple[str, Group]] = {}
    for s in sorted(group, key=lambda s: (_rank(s), x(s))):
        text, kind = label(_student(s))
        found.setdefault(canonical_json(kind), (text, []))[1].append(s)

    def place(line: tuple[str, Group]) -> tuple[bool, str, float, str]:
        first = line[1][0]
        last = _rank(first)
        return last, _student(first).student.supervision.name, _chosen(first) if last else 0.0, line[0]

    return sorted(found.values(), key=place)


def _chosen(summary: OnlineSummaryOfCell) -> float:
    supervision = _student(summary).student.supervision
    assert isinstance(supervision, Single | TwoShot)
    return float(supervision.checkpoint if isinstance(supervision, Single) else supervision.intermediate)


def _choice_label(cell: StudentCell) -> tuple[str, Any]:
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


def _temperature(summary: OnlineSummaryOfCell) -> float:
    supervision = _student(summary).student.supervision
    assert isinstance(supervision, Distilled)
    return supervision.temperature


def _temperature_label(cell: StudentCell) -> tuple[str, Any]:
    """The line of a schedule, without its temperature."""
    supervision = cell.student.supervision
    assert isinstance(supervision, Distilled)
    heat = f" τ={number_text(supervision.temperature)}" if supervision.temperature else " hard"
    before, _, after = supervision.label().rpartition(heat)
    return before + after, without(supervision.spec(), "temperature")


# Values


def _accuracies(summary: OnlineSummaryOfCell) -> dict[int, float]:
    """Final accuracy by replicate; NaN where it diverged."""
    bad = summary.bad
    return {
        r: math.nan if r in bad else float(record["held_out"][-1]) for r, record in summary.records.items()
    }


def _samples(summary: OnlineSummaryOfCell) -> dict[int, float]:
    """Samples to 90 % by replicate; inf where it was not reached, NaN where it diverged."""
    found = {}
    for r, record in summary.records.items():
        (samples,) = samples_to_reach(record, [SUCCESS])
        missing = math.nan if r in summary.bad else math.inf
        found[r] = missing if samples is None or r in summary.bad else float(samples)
    return found


def _seeds(group: Iterable[OnlineSummaryOfCell]) -> list[int]:
    return sorted({s.cell.seed for s in group})


def _values(
    cells: Sequence[OnlineSummaryOfCell],
    value: Callable[[OnlineSummaryOfCell], dict[int, float]],
    by_seed: bool | None = None,
) -> dict[int, float]:
    """Values of cells that differ in their seed only: by replicate for one seed, else by seed."""
    if not (len(_seeds(cells)) > 1 if by_seed is None else by_seed):
        return {r: v for s in cells for r, v in value(s).items()}
    found = {}
    for s in cells:
        kept = [v for v in value(s).values() if not math.isnan(v)]
        found[s.cell.seed] = float(statistics.median(kept)) if kept else math.nan
    return found


def _series(
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
        at = {place: here for place, here in at.items() if _seeds(here) == _seeds(cells)}
    several = len(_seeds(cells)) > 1
    columns = {place: _values(here, value, several) for place, here in sorted(at.items())}
    rows = sorted({r for column in columns.values() for r in column})
    values = tuple(tuple(column.get(r, math.nan) for column in columns.values()) for r in rows)
    return Series(label, tuple(columns), values)


def _teachers(teachers: Group, chosen: Sequence[float], origins: dict[int, int]) -> list[Series]:
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


def _middle(group: Group, band: str = "95 % interval") -> str:
    """What the marks are; of fewer than six values the range is the interval there is."""
    seeds = _seeds(group)
    few = max(len(s.records) for s in group) < 6 if len(seeds) == 1 else len(seeds) < 6
    over = "students" if len(seeds) == 1 else f"{len(seeds)} seeds"
    return f"median and {'range' if few else band} over {over}"


def _share(lines: Sequence[Any], every: Sequence[Any]) -> str:
    return "" if len(lines) == len(every) else f"; {len(lines)} of {len(every)} lines"


def _title(group: Group) -> str:
    cell = _student(group[0])
    teacher = cell.teacher_cell()
    assert teacher is not None
    own = cell.student.label().removeprefix(cell.student.supervision.label())
    return f"n={cell.n} k={cell.k}, {teacher.series}, students{own}, {count_text(cell.horizon)} samples"
