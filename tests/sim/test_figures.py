"""Figures of first steps: the data in them, where it is drawn, degenerate data, files, colours."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

from sim.errors import SimError
from sim.figures import COLOURS, HEADER, MARKERS, Drawing, Drawn, Panel, Row, save_data, save_drawing, settle
from sim.figures.base import MAX_FIGURES, head, limited, panel_axes, sentence
from sim.figures.samples import Measured, draw_band, draw_crossings, draw_samples, legible, samples_drawing
from sim.figures.settings import settings, spread
from sim.schedule import CrossEntropy
from sim.summary import CellSummary, number
from tests.sim.figure_cases import (
    INF,
    MANY,
    SUMMARIES,
    axes_of,
    curve,
    draw,
    drawn_at,
    first_step,
    grid_of,
    misplaced,
    placed,
    rounded,
    texts,
)
from theory.verdict import Kind

KINDS = ("samples", "success", "heat")


# All kinds


@pytest.mark.parametrize("data", SUMMARIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_survives(kind: str, data: str, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    summary = SUMMARIES[data]
    drawings = summary.drawings(kind)
    measured = any(cell.curve is not None for cell in summary.cells)
    assert bool(drawings) == (measured or kind == "samples")
    for index, drawing in enumerate(drawings):
        assert drawing.kind == kind
        assert drawing.title.endswith(".")
        save_drawing(drawing, tmp_path / f"{index}.svg")
        for panel in drawing.panels:
            assert panel.axes in drawing.figure.axes
            assert kind == "heat" or misplaced(panel) == []
            for row in panel.rows:
                place = panel.place(row)
                assert place is None or all(map(math.isfinite, place))
                assert not any(isinstance(v, float) and math.isnan(v) for v in row)
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    (first, *_), (again, *_) = MANY.drawings(kind), MANY.drawings(kind)
    save_drawing(first, tmp_path / "a.png", tmp_path / "a.svg")
    save_drawing(again, tmp_path / "b.svg", tmp_path / "b.png", data=tmp_path / "b.csv")
    for suffix in (".png", ".svg", ".csv"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_data_file_has_every_row_once(kind: str, tmp_path: Path) -> None:
    (drawing, *_) = MANY.drawings(kind)
    save_drawing(drawing, tmp_path / "a.svg")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert ",".join(header) == HEADER
    assert rows == [["" if v is None else str(v) for v in row] for row in drawing.rows]
    assert len(set(drawing.rows)) == len(drawing.rows)
    assert {row for panel in drawing.panels for row in panel.rows} == set(drawing.rows)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(SimError, match="kind 'pie' is not one of this protocol: use samples or success"):
        MANY.drawings("pie")


# Samples against n


def points(drawing: Drawing, series: str) -> dict[float, Row]:
    return {row.x: row for row in drawing.rows if row.series == series}


def test_samples_are_those_of_the_summary() -> None:
    drawing = MANY.figure()
    labels = {c.cell.schedule.label() for c in MANY.cells}
    assert len(labels) == 3
    for label in labels:
        rows = points(drawing, label)
        cells = {c.cell.n: c for c in MANY.cells if c.cell.schedule.label() == label}
        assert set(rows) == set(cells) == {7, 9, 11}
        predicted = points(drawing, f"{label}, predicted")
        for n, cell in cells.items():
            crossing = cell.crossing(cell.high)
            assert crossing is not None
            row = rows[n]
            assert row.panel == "k = 2"
            assert (row.y, row.low, row.high) == (
                crossing.estimate,
                crossing.interval.lower,
                crossing.interval.upper,
            )
            assert (row.used, row.seeds) == (3, 3)
            assert predicted[n].y == number(cell.theory["prediction"]["high"])


def bounds(cell: CellSummary, kind: Kind) -> list[tuple[float, str]]:
    return sorted((number(b["samples"]), b["name"]) for b in cell.theory["bounds"] if b["kind"] == kind.value)


def test_bands_are_series_of_their_own_between_the_best_bounds() -> None:
    drawing = MANY.figure()
    rows = [row for row in drawing.rows if "bounds (cross-entropy)" in row.series]
    cells = {c.cell.n: c for c in MANY.cells if isinstance(c.cell.schedule, CrossEntropy)}
    assert [row.x for row in rows] == [7, 9, 11]
    for row in rows:
        lower, upper = bounds(cells[int(row.x)], Kind.LOWER)[-1], bounds(cells[int(row.x)], Kind.UPPER)[0]
        assert row.y is None
        assert (row.low, row.high) == (lower[0], upper[0])
        assert lower[1] in row.series
        assert upper[1] in row.series
    (panel,) = drawing.panels
    assert all(panel.place(row) is None for row in rows)
    band = panel.axes.collections[0].get_paths()[0].vertices
    assert {rounded(*v) for v in band} >= {rounded(row.x, y) for row in rows for y in (row.low, row.high)}


def test_points_stand_where_they_are_drawn_and_apart() -> None:
    drawing = MANY.figure()
    (panel,) = drawing.panels
    shown = [row for row in panel.rows if row.used is not None and math.isfinite(row.y or INF)]
    assert len(shown) == 9
    places = [panel.place(row) for row in shown]
    assert len({p[0] for p in places if p is not None}) == 9
    for row, place in zip(shown, places, strict=True):
        assert place is not None
        assert place[1] == row.y
        assert place[0] == pytest.approx(row.x, rel=0.02)
        assert rounded(*place) in drawn_at(panel.axes)


def test_what_was_not_reached_is_infinite_and_nowhere_and_what_was_at_once_is_empty() -> None:
    measured = [
        Measured.of(7, curve([INF, INF]), 0.9),
        Measured.of(8, curve([1, 1]), 0.9),
        Measured.of(9, curve([1]), 0.9),
        Measured.of(10, curve([64, 64]), 0.9),
    ]
    axes = axes_of()
    drawn = draw_crossings(axes, measured, COLOURS[0], MARKERS[0], "one", 1.0, panel="p", series="s")
    assert [row.y for row in drawn] == [INF, None, None, measured[3].crossing.estimate]
    assert [drawn.place(row) is None for row in drawn] == [True, True, True, False]
    draw(axes)
    assert [one.at_once for one in measured] == [False, True, True, False]


def test_a_curve_that_falls_again_is_not_reached_at_once() -> None:
    falling = curve([1, 1])
    falling.successes[:, 1:] = False
    assert Measured.of(7, falling, 0.9).samples == INF


def test_band_without_one_of_its_bounds() -> None:
    axes = axes_of()
    drawn = draw_band(axes, [(7, 0, 8.0), (8, 2.0, INF), (9, 0, INF)], "#000000", panel="p", series="s")
    assert [(row.x, row.low, row.high) for row in drawn] == [(7, None, 8.0), (8, 2.0, INF)]
    assert not axes.collections
    assert placed(drawn) == []


def test_growth_is_in_the_legend_and_labels_are_plain() -> None:
    axes = axes_of()
    draw_samples(axes, MANY.cells, {"progressive": "3 per unit of log n"})
    assert "progressive: 3 per unit of log n" in texts(axes)
    assert "cross-entropy" in texts(axes)
    draw(axes)


def test_without_points_the_axes_say_so() -> None:
    for cells in ([], SUMMARIES["all failed"].cells, SUMMARIES["no replicates"].cells):
        axes = axes_of()
        draw_samples(axes, cells, {})
        assert texts(axes) == ["this success was not reached"]


def test_many_n_have_ticks_with_room() -> None:
    ns = list(range(7, 47, 2))
    kept = legible(ns)
    assert kept[0] == 7
    assert kept[-1] == 45
    assert set(kept) < set(ns)
    axes = axes_of()
    draw_samples(axes, [first_step(n, [100]) for n in ns], {})
    assert [t.get_text() for t in axes.get_xticklabels()] == [str(n) for n in kept]
    assert legible([50]) == [50]
    assert legible([50, 51]) == [50, 51]
    assert legible([50, 100, 150, 200]) == [50, 100, 150, 200]


def test_a_panel_for_each_k() -> None:
    ks = [first_step(11, k=k) for k in (2, 4, 6, 8)]
    drawing = samples_drawing(grid_of(*ks))
    assert [panel.axes.get_title() for panel in drawing.panels] == [f"k = {k}" for k in (2, 4, 6, 8)]
    assert {row.panel for row in drawing.rows} == {f"k = {k}" for k in (2, 4, 6, 8)}
    assert drawing.figure.get_figwidth() < 20


# What all figures have in common


def test_drawn_rows_know_their_places() -> None:
    drawn, other = Drawn([Row("p", "s", 1, 2.0)]), Drawn()
    other.add([Row("p", "t", 1, INF), Row("p", "t", 2, 3.0)], [(1.0, 9.0), None])
    drawn.take(other)
    drawn.take([Row("p", "u", 3, INF), Row("p", "u", 4), Row("p", "u", INF, 1.0)])
    assert [drawn.place(row) for row in drawn] == [(1.0, 2.0), (1.0, 9.0), None, None, None, None]
    with pytest.raises(ValueError):
        drawn.add([Row("p", "v", 1)], [])


def many_drawings(count: int) -> list[Callable[[], Drawing]]:
    def one() -> Drawing:
        figure, (axes,) = panel_axes(1)
        return Drawing(figure, (Panel.of(axes, Drawn()),), "A figure.", "samples")

    return [one] * count


def test_figures_that_are_left_out_are_said() -> None:
    assert [d.left_out for d in limited(many_drawings(MAX_FIGURES))] == [0] * MAX_FIGURES
    drawn = limited(many_drawings(MAX_FIGURES + 3))
    assert len(drawn) == MAX_FIGURES == 12
    assert {d.left_out for d in drawn} == {3}
    assert drawn[0].title == "A figure. 12 of 15 such figures are drawn."


def test_titles_are_one_sentence_and_as_wide_as_the_figure() -> None:
    assert sentence("What", "of n=5\nmedian") == "What: of n=5; median."
    assert sentence("What", "") == "What."
    figure, _ = panel_axes(1, width=4.0)
    head(figure, "word " * 60)
    assert max(map(len, figure.get_suptitle().split("\n"))) <= 52


def test_a_figure_is_laid_out_once() -> None:
    drawing = MANY.figure()
    settle(drawing.figure)
    before = [axes.get_position().bounds for axes in drawing.figure.axes]
    for _ in range(2):
        settle(drawing.figure)
        drawing.figure.draw_without_rendering()
    assert [axes.get_position().bounds for axes in drawing.figure.axes] == before


def test_data_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    save_data(MANY.figure(), tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text().startswith(HEADER + "\n")


def test_colours_are_told_apart_without_colour_vision() -> None:
    assert len(set(COLOURS)) == len(set(MARKERS)) == 7
    assert COLOURS[:2] == ("#0072B2", "#D55E00")


def test_settings_have_one_cell_for_each_n_and_k() -> None:
    cells = [
        first_step(7, samples=512),
        first_step(7),
        first_step(9),
        first_step(7, samples=HUGE, starts=()),
        first_step(7, seed=3),
        first_step(9, q=6),
    ]
    found = settings(cells)
    assert {name: [cells.index(c) for c in own] for name, own in found.items()} == {
        "cross-entropy, seed 0, threshold 1 of 2": [1, 2],
        "cross-entropy, seed 0, threshold 2 of 2": [5],
        "cross-entropy, seed 3": [4],
    }


HUGE = 8192


def test_spread_keeps_the_ends() -> None:
    assert spread(range(5), 9) == [0, 1, 2, 3, 4]
    assert spread(range(100), 3) == [0, 50, 99]
