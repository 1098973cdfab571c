"""Figures of the online cells of a store, beside that of all curves: final accuracy against the chosen checkpoint,
results against temperature, samples over widths and temperatures.

A figure is of one setting: all that its axes and lines do not show is the same.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from sim.figures.base import MAX_PANELS, Drawing, limited
from sim.online.cell import OnlineCell, StudentCell, TeacherCell, teacher_setting, without
from sim.online.figures import (
    choice_figure,
    correlation_figure,
    temperature_figure,
    temperature_heat_figure,
    width_samples_figure,
)
from sim.online.groups import (
    Group,
    all_but_schedule,
    choice_label,
    chosen_step,
    final_accuracies,
    groups_of,
    lines_of,
    marks_text,
    samples_to_success,
    series_of,
    share_text,
    student_of,
    teacher_series,
    temperature_label,
    temperature_of,
    title_of,
    values_of,
)
from sim.online.report import Report
from sim.online.summary import OnlineSummary, OnlineSummaryOfCell
from sim.online.window import transition_of
from sim.supervision import Distilled, count_text
from sim.supervisions import Single, TwoShot
from sim.transition import Transition

MAX_LINES: Final = 14
"""More cannot be told apart; the figure says how many are left out."""

ORIGIN_LEVEL: Final = 0.75
_ORIGIN: Final = f"teacher's {100 * ORIGIN_LEVEL:g} % crossing"

T = TypeVar("T", int, float)


def drawings(kind: str, summary: OnlineSummary, report: Report | None = None) -> Sequence[Drawing]:
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
    chosen = [s for s in students if isinstance(student_of(s).student.supervision, Single | TwoShot)]
    drawn: list[Callable[[], Drawing]] = []
    for group in groups_of(chosen, all_but_schedule):
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
    every = lines_of(group, choice_label, chosen_step)
    lines = every[:MAX_LINES]

    def place(s: OnlineSummaryOfCell) -> float:
        return chosen_step(s) - origins.get(s.cell.seed, 0)

    series = [series_of(label, line, place, final_accuracies, shared=bool(origins)) for label, line in lines]
    chosen_at = [x for item in series for x in item.x]
    return choice_figure(
        [*(teacher_series(list(teachers.values()), chosen_at, origins) if chosen_at else []), *series],
        None if report is None else report.probes,
        title=f"{title_of(group)}{of_seed}\n{marks_text(group)}{share_text(lines, every)}",
        reading="probability" if report is None else report.reading,
        transition=transition,
        peak=None if report is None else report.peak,
        batch=student_of(group[0]).batch,
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
        places.setdefault(s.cell.seed, set()).add(chosen_step(s) - origins.get(s.cell.seed, 0))
    return bool(set.intersection(*places.values()))


def _temperatures(students: Group) -> list[Callable[[], Drawing]]:
    heated = [s for s in students if isinstance(student_of(s).student.supervision, Distilled)]
    drawn: list[Callable[[], Drawing]] = []
    for group in groups_of(heated, all_but_schedule):
        every = lines_of(group, temperature_label, temperature_of)
        every = [line for line in every if len({temperature_of(s) for s in line[1]}) > 1]
        if not every:
            continue
        drawn.append(partial(_temperature_drawing, group, every))
    return drawn


def _temperature_drawing(group: Group, every: Sequence[tuple[str, Group]]) -> Drawing:
    lines = every[:MAX_LINES]
    return temperature_figure(
        [series_of(label, line, temperature_of, final_accuracies) for label, line in lines],
        [series_of(label, line, temperature_of, samples_to_success) for label, line in lines],
        float(group[0].cell.horizon),
        title=f"{title_of(group)}\n{marks_text(group)}{share_text(lines, every)}",
    )


def _widths(students: Group) -> list[Callable[[], Drawing]]:
    drawn: list[Callable[[], Drawing]] = []
    taught = [s for s in students if s.cell.teacher is not None]
    for group in groups_of(
        taught, lambda cell: [teacher_setting(cell, "width"), without(cell.student.spec(), "width")]
    ):
        if len({_both_widths(s) for s in group}) > 1:
            drawn.append(partial(_width_drawing, group))
    return drawn


def _both_widths(summary: OnlineSummaryOfCell) -> tuple[int, int]:
    """Of teacher and student."""
    cell = student_of(summary)
    assert cell.teacher is not None
    return cell.teacher.width, cell.student.width


def _width_drawing(group: Group) -> Drawing:
    teachers, widths = (sorted({_both_widths(s)[i] for s in group}) for i in (0, 1))
    cell = student_of(group[0])
    assert cell.teacher is not None
    title = f"n={cell.n} k={cell.k}, {cell.student.supervision.label()}, rate={cell.student.rate.label()}, "
    title += f"teacher rate={cell.teacher.rate.label()}, {count_text(cell.horizon)} samples"
    title += f"\n{marks_text(group, 'range')}"
    samples, accuracies = (
        _table(group, teachers, widths, _both_widths, v) for v in (samples_to_success, final_accuracies)
    )
    return width_samples_figure(widths, teachers, samples, accuracies, title=title)


def _heats(students: Group) -> list[Callable[[], Drawing]]:
    drawn: list[Callable[[], Drawing]] = []
    heated = [s for s in students if isinstance(student_of(s).student.supervision, Distilled)]
    for group in groups_of(
        heated, lambda cell: [teacher_setting(cell), without(cell.student.spec(), "supervision", "width")]
    ):
        lines = lines_of(group, temperature_label, temperature_of)
        if len({_heat_place(s) for s in group}) > 1:
            pages = [lines[i : i + MAX_PANELS] for i in range(0, len(lines), MAX_PANELS)]
            drawn += [
                partial(_heat_drawing, page, f", part {number} of {len(pages)}" if len(pages) > 1 else "")
                for number, page in enumerate(pages, 1)
            ]
    return drawn


def _heat_place(summary: OnlineSummaryOfCell) -> tuple[float, int]:
    """Temperature and width."""
    return temperature_of(summary), student_of(summary).student.width


def _heat_drawing(lines: Sequence[tuple[str, Group]], part: str) -> Drawing:
    panels = {}
    for label, group in lines:
        temperatures = sorted({temperature_of(s) for s in group})
        widths = sorted({student_of(s).student.width for s in group})
        samples, accuracies = (
            _table(group, temperatures, widths, _heat_place, v)
            for v in (samples_to_success, final_accuracies)
        )
        panels[label] = widths, temperatures, samples, accuracies
    group = lines[0][1]
    cell, teacher = student_of(group[0]), student_of(group[0]).teacher_cell()
    assert teacher is not None
    title = f"n={cell.n} k={cell.k}, {teacher.series}, students rate={cell.student.rate.label()}, "
    title += f"{count_text(cell.horizon)} samples{part}\n{marks_text(group, 'range')}"
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
    return [[list(values_of(at.get((row, w), []), value).values()) for w in widths] for row in rows]
