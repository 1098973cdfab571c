"""The figure of online cells: accuracy against samples, a panel for each teacher setting."""

import math
from collections import Counter
from collections.abc import Sequence

from sim.figures.base import Drawing, Panel, empty_figure, plain_text
from sim.online.cell import StudentCell, TeacherCell, teacher_setting
from sim.online.draw import draw_accuracy
from sim.online.marks import Series
from sim.online.summary import OnlineSummary, OnlineSummaryOfCell
from sim.supervision import count_text

MAX_PANELS = 12
MAX_SERIES = 20
"""More cannot be told apart; the figure says how many are left out."""


def accuracy_drawing(summary: OnlineSummary) -> Drawing:
    """The figure of a grid: one panel an (n, k, teacher); students of the parity are in all panels of their n and k."""
    panels = _panels(summary)
    shown = panels[:MAX_PANELS]
    figure = empty_figure(10.0, 0.8 + 3.4 * max(1, len(shown)))
    drawn = []
    for row, (title, cells) in enumerate(shown):
        axes = figure.add_subplot(max(1, len(shown)), 1, row + 1)
        series = _series(cells)
        teachers = [cell for cell in cells if isinstance(cell.cell, TeacherCell)]
        transition = teachers[0].transition if len(teachers) == 1 else None
        own = draw_accuracy(axes, series[:MAX_SERIES], transition=transition, panel=title)
        drawn.append(Panel.of(axes, own))
        more = f" ({MAX_SERIES} of {len(series)} lines)" if len(series) > MAX_SERIES else ""
        axes.set_title(plain_text(title, 110) + more, fontsize=9, loc="left")
    if not shown:
        draw_accuracy(figure.add_subplot(1, 1, 1), [])
    more = f"; {len(shown)} of {len(panels)} teachers" if len(panels) > len(shown) else ""
    title = f"Accuracy on held-out samples: mean and range over students{more}"
    figure.suptitle(title, fontsize=10)
    return Drawing(figure, tuple(drawn), f"{title}, against samples, a panel for each teacher.", "accuracy")


def _panels(summary: OnlineSummary) -> list[tuple[str, list[OnlineSummaryOfCell]]]:
    """Cells of each panel, all seeds together, teachers first."""
    panels: dict[tuple[int, int, str, str], list[OnlineSummaryOfCell]] = {}
    alone: dict[tuple[int, int], list[OnlineSummaryOfCell]] = {}
    for cell in summary.cells:
        c = cell.cell
        if c.teacher is None:
            alone.setdefault((c.n, c.k), []).append(cell)
            continue
        teacher = c if isinstance(c, TeacherCell) else c.teacher_cell()
        assert teacher is not None
        panels.setdefault((c.n, c.k, teacher.series, teacher_setting(c)), []).append(cell)
    for (n, k), cells in alone.items():
        homes = [key for key in panels if key[:2] == (n, k)] or [(n, k, "no teacher", "")]
        for key in homes:
            panels.setdefault(key, []).extend(cells)
    named = Counter(key[:3] for key in panels)
    return [
        (
            f"n = {n}, k = {k}, {text}{_length(cells) if named[n, k, text] > 1 else ''}",
            sorted(cells, key=lambda c: (isinstance(c.cell, StudentCell), c.cell.series)),
        )
        for (n, k, text, _), cells in sorted(panels.items(), key=lambda panel: panel[0])
    ]


def _length(cells: Sequence[OnlineSummaryOfCell]) -> str:
    """How long the teacher is trained, which its name leaves out."""
    return next(f", {count_text(c.cell.teacher.steps)} steps" for c in cells if c.cell.teacher is not None)


def _series(cells: Sequence[OnlineSummaryOfCell]) -> list[Series]:
    """A line for each setting, with a row for each replicate of each seed."""
    groups: dict[str, list[OnlineSummaryOfCell]] = {}
    for cell in cells:
        groups.setdefault(cell.setting, []).append(cell)
    found = []
    for group in groups.values():
        first = group[0].cell
        if isinstance(first, TeacherCell):
            label, batch = "teacher", first.teacher.batch
        else:
            label, batch = first.student.label(), first.batch
        values = tuple(
            tuple(math.nan if a is None else float(a) for a in record["held_out"])
            for cell in group
            for record in cell.records.values()
        )
        if values:
            x = tuple(float(step * batch) for step in first.log_points())
            found.append(Series(label, x, values, isinstance(first, TeacherCell)))
    return found
