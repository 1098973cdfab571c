"""Success against samples: measured rates, predictions and bounds, and where they are drawn."""

import math
from fractions import Fraction

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sim.cell import FirstStepCell
from sim.figures.success import MAX_LINES, Line, draw_success, line_colours
from sim.plan import predicted_success, theory_of
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule
from sim.summary import number
from tests.sim.figure_cases import (
    GRID,
    INF,
    MANY,
    NAN,
    axes_of,
    curve,
    draw,
    drawn_at,
    first_step,
    grid_of,
    placed,
    rounded,
    texts,
)
from theory.intervals import clopper_pearson
from theory.verdict import Kind
from theory.walsh import threshold_count


def test_rates_have_exact_intervals() -> None:
    axes = axes_of()
    drawn = draw_success(axes, [Line("n = 9", curve([64, 64, 256, INF]))], 0.9)
    assert [row.x for row in drawn] == list(GRID)
    for row in drawn:
        successes = 0 if row.x < 64 else 2 if row.x < 256 else 3
        interval = clopper_pearson(successes, 4, 0.05)
        assert (row.y, row.low, row.high) == (successes / 4, interval.lower, interval.upper)
        assert (row.used, row.seeds, row.series) == (4, 4, "n = 9")
    # Two points before the first success, and all after it.
    assert [row.x for row in placed(drawn)] == [B for B in GRID if B >= 16]
    assert {rounded(row.x, row.y or 0) for row in placed(drawn)} <= drawn_at(axes)
    assert not any(x < 16 for x, _ in drawn_at(axes) if x > 1)
    draw(axes)


def test_figures_show_what_the_summary_has() -> None:
    (drawing,) = MANY.drawings("success")
    assert len(drawing.panels) == 3
    for cell in MANY.cells:
        (panel,) = (p for p in drawing.panels if p.axes.get_title() == cell.cell.schedule.label())
        rows = [row for row in panel.rows if row.series == f"n = {cell.cell.n}"]
        assert cell.curve is not None
        assert [row.x for row in rows] == list(cell.curve.grid)
        assert [row.y for row in rows] == list(cell.curve.rates)
        assert {row.panel for row in rows} == {f"k = 2, {cell.cell.schedule.label()}"}
        marks = [
            row
            for row in panel.rows
            if row.series.startswith(f"n = {cell.cell.n},") and "bound" in row.series
        ]
        for row in marks:
            kind = Kind.LOWER if "lower" in row.series else Kind.UPPER
            own = [
                (number(b["samples"]), b["name"]) for b in cell.theory["bounds"] if b["kind"] == kind.value
            ]
            best = max(own) if kind is Kind.LOWER else min(own)
            assert (row.x, row.y) == (best[0], pytest.approx(0.9))
            assert best[1] in row.series
            place = panel.place(row)
            assert place is not None
            assert place[0] == row.x
            assert place[1] > 1
            assert rounded(*place) in drawn_at(panel.axes)
        assert len(marks) == len({b["kind"] for b in cell.theory["bounds"]})


SCHEDULES: list[Schedule] = [
    CrossEntropy(),
    OneShot(Fraction(1), "hard"),
    Progressive("equal", "logits", 0),
    LowDegreeCurriculum(1),
    Progressive("phase-1", "logits", 8),
    Progressive("phase-1-projected", "hard", 8),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.label())
def test_the_predicted_curve_is_that_of_which_theory_states_where_it_crosses(schedule: Schedule) -> None:
    cell = FirstStepCell("first-step/1", 9, 2, threshold_count(9, 0), schedule, 4096, 1, 0)
    stated, predicted = theory_of(cell, 0.1, 5)["prediction"], predicted_success(cell, 5)
    assert predicted is not None
    reached = 0
    for name, level in (("half", 0.5), ("high", 0.9)):
        samples = number(stated[name])
        if 1 < samples < INF:
            reached += 1
            # Of drawn teachers it is found to one per cent of the samples.
            assert predicted(samples * 0.98) < level <= predicted(samples * 1.001) + 1e-9
    assert reached or stated["plateau"] < 0.5


def test_nothing_is_predicted_for_hard_labels_with_leakage_and_all_for_n_equal_k() -> None:
    fields = ("first-step/1", 9, 2, threshold_count(9, 0))
    leaky = FirstStepCell(*fields, Progressive("phase-1", "hard", 8), 64, 1, 0)
    assert predicted_success(leaky, 5) is None
    whole = FirstStepCell("first-step/1", 2, 2, threshold_count(2, 0), CrossEntropy(), 1, 1, 0)
    predicted = predicted_success(whole, 0)
    assert predicted is not None
    assert predicted(1.0) == 1.0


def test_predictions_are_dashed_over_the_range_and_as_in_the_data() -> None:
    axes = axes_of()
    drawn = draw_success(axes, [Line("n = 9", curve([64, 128]), lambda B: B / (B + 64.0))], 0.9)
    rows = [row for row in drawn if row.series == "n = 9, predicted"]
    (line,) = (line for line in axes.get_lines() if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [row.x for row in rows]
    assert list(line.get_ydata()) == [row.y for row in rows] == [row.x / (row.x + 64) for row in rows]
    assert rows[-1].x == pytest.approx(GRID[-1])


def test_what_is_not_finite_is_not_drawn() -> None:
    axes = axes_of()
    lines = [
        Line("nan", curve([64]), lambda B: NAN, ("", 0.0), ("", INF)),
        Line("far", curve([64]), None, ("L", 1e-12), ("U", 1e40)),
        Line("none", None, None, None, ("U", 100.0)),
    ]
    drawn = draw_success(axes, lines, 0.9)
    assert [row.series for row in drawn if row.used is None] == [
        "far, lower bound L of the samples for 0.9",
        "far, upper bound U of the samples for 0.9",
        "none, upper bound U of the samples for 0.9",
    ]
    assert [row.series[:4] for row in placed(drawn) if row.used is None] == ["none"]
    low, high = axes.get_xlim()
    assert low > 1
    assert high < 1e5
    draw(axes)


@pytest.mark.parametrize("label", ["$", "__x", "a\nb", "漢字 🙂", "x" * 5000, "", "%s {0}"])
def test_hostile_labels(label: str) -> None:
    axes = axes_of()
    draw_success(axes, [Line(label, curve([64]), None, (label, 9.0), (label, 99.0))], 0.9)
    draw(axes)
    (shown,) = texts(axes)
    assert len(shown) <= 40


def test_without_lines_or_measurements() -> None:
    for lines in ([], [Line("n = 9", None)]):
        axes = axes_of()
        assert draw_success(axes, lines, 0.9) == []
        assert texts(axes) == ["no data"]
        draw(axes)


def test_many_lines_have_shades_and_more_are_thinned_out() -> None:
    cells = [first_step(n, [100]) for n in range(5, 55, 2)]
    (drawing,) = grid_of(*cells).drawings("success")
    (panel,) = drawing.panels
    assert f"({MAX_LINES} of 25 lines)" in panel.axes.get_title()
    assert {"n = 5", "n = 53"} <= {row.series for row in panel.rows}
    colours = line_colours(20)
    grey = [float(np.dot(to_rgb(colour), (0.299, 0.587, 0.114))) for colour in colours]
    assert grey == sorted(grey)
    assert math.isclose(len(set(colours)), 20)


def test_more_panels_are_in_further_figures() -> None:
    cells = [first_step(7, [100], seed=seed) for seed in range(8)]
    drawings = grid_of(*cells).drawings("success")
    assert [len(d.panels) for d in drawings] == [6, 2]
    assert "part 2 of 2" in drawings[1].title
