"""The figures of online training: the data in them, degenerate data, hostile labels."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sim.errors import SimError
from sim.figures import COLOURS, Row, plain_text, save_drawing
from sim.online.draw import (
    draw_accuracy,
    draw_choice,
    draw_correlations,
    draw_degrees,
    draw_temperature,
)
from sim.online.figures import (
    choice_figure,
    correlation_figure,
    temperature_figure,
    width_samples_figure,
)
from sim.online.heat import draw_width_samples
from sim.online.marks import Series
from sim.online.summary import Median
from sim.probe import READINGS, ProbeSpec
from sim.probes import Group, Point, Probes, Reading
from sim.transition import Crossing, Peak, Transition
from tests.sim.figure_cases import INF, NAN, axes_of, draw, texts

TRANSITION = Transition(
    (
        Crossing(0.55, 200, 150, 250, True),
        Crossing(0.75, 250, 200, 300, True),
        Crossing(0.95, 300, 300, None, False),
    ),
    150,
    300,
)
HOSTILE = (
    "$", "$x", "a_$\\frac{$", "\\$", "_hidden", "__", "", "  ", "a\nb\t\x00\x1b[31m", "\ud800", "漢字 🙂", "x" * 5000,
    "%s {0} {", '"quoted", and; = 1+1', "$\\alpha$ and $\\beta$", "^_{}~&#",
)  # fmt: skip


def probes(correlation: tuple[float, ...], *, k: int = 2, error: float = 1e-3, groups: bool = True) -> Probes:
    """Probes at steps 100, 200, .. whose in-support correlations are all the given one."""
    spec = ProbeSpec(10, tuple(range(1, k + 1)), key=0)
    points = []
    for i, c in enumerate(correlation):
        outside = tuple(
            Group(kind, d, 8, c / 10, c / 20, c / 5, c / 4, 0.0)
            for kind, d in (("off", 1), ("off", 2), ("mixed", 2))
        )
        reading = Reading((c,) * 2**k, (error,) * 2**k, outside if groups else ())
        points.append(Point(100 * (i + 1), 0, dict.fromkeys(READINGS, reading)))
    return Probes(spec, tuple(points))


# The data


def test_accuracy_is_averaged_over_whole_seeds_only() -> None:
    seeds = ((0.5, 0.6, 0.9), (0.5, 0.7, 1.0), (0.5, 0.95, 0.95), (0.6, 0.9, NAN))
    axes = axes_of()
    rows = draw_accuracy(axes, [Series("one", (1.0, 2.0, 3.0), seeds)])
    kept = np.array(seeds[:3])
    assert [row.x for row in rows] == [1, 2, 3]
    assert [row.y for row in rows] == pytest.approx(kept.mean(axis=0))
    assert [row.low for row in rows] == pytest.approx(kept.min(axis=0))
    assert [row.high for row in rows] == pytest.approx(kept.max(axis=0))
    assert {(row.used, row.seeds) for row in rows} == {(3, 4)}
    assert axes.get_lines()[0].get_ydata() == pytest.approx(kept.mean(axis=0))
    assert texts(axes) == ["one (3 of 4)"]
    crosses = [line for line in axes.get_lines() if line.get_marker() == "x"]
    assert [(c.get_xdata()[0], c.get_ydata()[0]) for c in crosses] == [(2.0, 0.9)]


def test_teachers_are_black_and_schedules_are_told_apart() -> None:
    axes = axes_of()
    names = [f"schedule {i}" for i in range(8)]
    series = [Series("teacher", (1.0, 2.0), ((0.5, 1.0),), teacher=True)]
    draw_accuracy(axes, series + [Series(name, (1.0, 2.0), ((0.5, 0.6),)) for name in names])
    styles = [(to_hex(line.get_color()), line.get_linestyle()) for line in axes.get_lines()]
    assert styles[0] == ("#000000", "-")
    assert len(set(styles)) == 9
    assert {colour for colour, _ in styles[1:]} == {colour.lower() for colour in COLOURS} - {"#000000"}


def test_transition_and_peak_are_marked_in_samples() -> None:
    axes = axes_of()
    peak = Peak(200, 0.09, 0.001, 100, 300)
    rows = draw_correlations(axes, probes((0.01, 0.09, 0.02)), transition=TRANSITION, peak=peak, batch=32)
    assert [(r.series, r.x, r.y, r.x_low, r.x_high) for r in rows if r.panel == "transition"] == [
        ("crossing of 0.55", 6400, 0.55, 4800, 8000),
        ("crossing of 0.75", 8000, 0.75, 6400, 9600),
        ("crossing of 0.95", 9600, 0.95, 9600, None),
    ]
    assert Row("correlations", "peak of the mean", 6400, 0.09, 0.089, 0.091, 3200, 9600) in rows
    shade = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (shade.x0, shade.x1) == pytest.approx((150 * 32, 300 * 32))
    assert [(r.x, r.y, r.low, r.high) for r in rows if r.series == "coordinate 2"] == [
        (3200, 0.01, pytest.approx(0.009), pytest.approx(0.011)),
        (6400, 0.09, pytest.approx(0.089), pytest.approx(0.091)),
        (9600, 0.02, pytest.approx(0.019), pytest.approx(0.021)),
    ]
    outside = [r for r in rows if r.series == "outside the support"]
    assert [(r.y, r.low, r.high) for r in outside][1] == pytest.approx((0.009, 0.0045, 0.018))
    assert "teacher's transition, 55 % to 95 %" in texts(axes)
    draw(axes)
    early = axes_of()
    draw_accuracy(early, [], transition=Transition(TRANSITION.crossings[:1], 150, None))
    assert "teacher's transition begins" in texts(early)
    draw(early)


def test_correlations_are_drawn_without_their_sign() -> None:
    rows = draw_correlations(axes_of(), probes((-0.05,)))
    assert [r.y for r in rows if r.series == "coordinate 1"] == [0.05]


def test_degrees() -> None:
    axes = axes_of()
    rows = draw_degrees(axes, probes((0.01, -0.1), k=3))
    assert axes.get_yscale() == "log"
    assert {r.series for r in rows} == {
        "degree 1, 3 monomials", "degree 2, 3 monomials", "degree 3", "outside the support",
    }  # fmt: skip
    assert [r.y for r in rows if r.series == "degree 3"] == pytest.approx([0.01, 0.1])
    draw(axes)


def test_choices_have_a_median_checkpoint_by_checkpoint() -> None:
    axes = axes_of()
    series = Series("two-shot", (100.0, 200.0, 300.0), ((0.5, NAN, NAN), (0.7, 0.9, INF)))
    rows = draw_choice(axes, [series], batch=10)
    assert [(r.y, r.low, r.high, r.used, r.seeds) for r in rows] == [
        (pytest.approx(0.6), 0.5, 0.7, 2, 2),
        (0.9, 0.9, 0.9, 1, 2),
        (None, None, None, 0, 2),
    ]
    assert [r.x for r in rows] == [1000, 2000, 3000]
    assert [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "x"] == [2000, 3000]
    draw(axes)


def test_samples_not_reached_are_triangles_at_the_budget() -> None:
    axes = axes_of()
    values = ((10.0, 10.0, INF), (20.0, INF, INF), (30.0, INF, NAN))
    rows = draw_temperature(axes, [Series("one", (0.0, 0.1, 1.0), values)], budget=1000.0)
    assert [(r.x, r.y, r.low, r.high, r.used) for r in rows] == [
        (0.0, 20.0, 10.0, 30.0, 3),
        (0.1, INF, 10.0, INF, 3),
        (1.0, INF, INF, INF, 2),
    ]
    triangles = [line for line in axes.get_lines() if line.get_marker() == "^"]
    assert [(t.get_xdata()[0], t.get_ydata()[0]) for t in triangles] == [(0.1, 1000.0), (1.0, 1000.0)]
    draw(axes)


def test_hard_labels_stand_at_the_left() -> None:
    axes = axes_of()
    draw_temperature(axes, [Series("one", (0.0, 1e-4, 1.0), ((0.9, 0.8, 0.7),))])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["hard", "0.0001", "1"]
    assert axes.get_xticks()[0] < 1e-4
    draw(axes)


def test_heat_map_of_samples() -> None:
    axes = axes_of()
    samples = [[[2e4, 1e4, 3e4], [NAN]], [[], [5e4, INF, INF, NAN]]]
    accuracies = [[[1.0, 1.0, 1.0], [NAN]], [[], [0.95, 0.6, 0.7, NAN]]]
    rows = draw_width_samples(axes, (10, 100), (1000, 50_000), samples, accuracies)
    assert [(r.panel, r.series, r.x, r.y, r.low, r.high, r.used, r.seeds) for r in rows] == [
        ("samples to 90 %", "teacher width 1000", 10, 2e4, 1e4, 3e4, 3, 3),
        ("samples to 90 %", "teacher width 1000", 100, None, None, None, 0, 1),
        ("samples to 90 %", "teacher width 50000", 10, None, None, None, 0, 0),
        ("samples to 90 %", "teacher width 50000", 100, INF, 5e4, INF, 3, 4),
        ("final accuracy", "teacher width 50000", 100, 0.7, 0.6, 0.95, 3, 4),
    ]
    assert texts(axes) == [
        "20k\n10k–30k", "diverged", "no run", "not reached\naccuracy 0.700\n1 diverged",
    ]  # fmt: skip
    draw(axes)
    again = axes_of()
    draw_width_samples(again, (10, 100), (1,), [[[2e4], [8e4]]], [[[1.0], [1.0]]])
    draw(again)
    scale = again.figure.axes[1]
    assert [t.get_text() for t in scale.get_yticklabels()] == ["20k", "40k", "80k"]


def test_medians_have_the_interval_of_order_statistics() -> None:
    values = tuple((v,) for v in (0.9, 0.5, 0.6, 0.8, 0.7, 0.55, 1.0, 0.65, 0.75))
    (row,) = draw_choice(axes_of(), [Series("one", (1.0,), values)])
    assert (row.y, row.low, row.high) == (0.7, 0.55, 0.9)  # the second and the eighth of nine: 96 %


@pytest.mark.parametrize(("students", "expected"), [(6, (3.5, 1.0, 6.0)), (9, (5.0, 2.0, 8.0))])
def test_samples_have_the_median_and_interval_of_the_table(
    students: int, expected: tuple[float, float, float]
) -> None:
    values = [float(i) for i in range(1, students + 1)]
    series = Series("one", (1.0,), tuple((v,) for v in reversed(values)))
    (row,) = draw_temperature(axes_of(), [series], budget=100.0)
    assert (row.y, row.low, row.high) == expected
    median = Median.of(values)
    assert median is not None
    assert (median.value, median.low, median.high) == expected


def test_lines_at_one_place_are_drawn_apart_and_kept_together_in_the_data() -> None:
    for drawer, place in ((draw_choice, 200.0), (draw_temperature, 0.1)):
        axes = axes_of()
        series = [Series(name, (place, 10 * place), ((0.5, 0.6),)) for name in ("one", "two")]
        rows = drawer(axes, series)
        drawn = [float(line.get_xdata()[0]) for line in axes.get_lines() if line.get_marker() in ("o", "s")]
        assert [row.x for row in rows] == [place, 10 * place] * 2
        assert len(set(drawn)) == 2
        assert drawn == pytest.approx([place, place], rel=0.1)
        draw(axes)


# Degenerate data

DEGENERATE = {
    "no series": [],
    "no points": [Series("one", (), ())],
    "no seeds": [Series("one", (1.0, 2.0), ())],
    "one point": [Series("one", (1.0,), ((0.5,),))],
    "all missing": [Series("one", (1.0, 2.0), ((NAN, NAN), (NAN, NAN)))],
    "one missing point": [Series("one", (1.0,), ((NAN,),))],
    "diverged": [Series("one", (1.0, 2.0, 3.0), ((0.5, INF, -INF), (0.5, NAN, NAN)))],
    "same x": [Series("one", (5.0, 5.0), ((0.5, 0.6),))],
    "extremes": [Series("one", (1.0, 2.0), ((0.0, 1.0), (1.0, 0.0)))],
}

DRAWERS: dict[str, Callable[[Axes, list[Series]], list[Row]]] = {
    "accuracy": lambda axes, series: draw_accuracy(axes, series, transition=TRANSITION),
    "choice": lambda axes, series: draw_choice(axes, series, transition=TRANSITION),
    "temperature": draw_temperature,
    "samples": lambda axes, series: draw_temperature(axes, series, budget=100.0),
}


@pytest.mark.parametrize("data", DEGENERATE)
@pytest.mark.parametrize("drawer", DRAWERS)
def test_degenerate_series(drawer: str, data: str) -> None:
    axes = axes_of()
    before = dict(mpl.rcParams)
    rows = DRAWERS[drawer](axes, DEGENERATE[data])
    draw(axes)
    assert dict(mpl.rcParams) == before
    drawn = [row for row in rows if row.panel != "transition"]
    assert len(drawn) == sum(len(item.x) for item in DEGENERATE[data])
    assert ("no data" in texts(axes)) == (not drawn)


@pytest.mark.parametrize("correlation", [(), (0.0,), (0.1,), (NAN, NAN), (NAN, 0.1), (1e30, 1e-30)])
@pytest.mark.parametrize("drawer", [draw_correlations, draw_degrees])
def test_degenerate_probes(drawer: Callable[..., list[Row]], correlation: tuple[float, ...]) -> None:
    for groups, error in ((False, 0.0), (True, 1e-3), (True, NAN)):
        axes = axes_of()
        drawer(axes, probes(correlation, error=error, groups=groups), transition=TRANSITION)
        draw(axes)
        assert ("no data" in texts(axes)) == (not correlation)


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0), (1, 1)])
def test_degenerate_heat_maps(shape: tuple[int, int]) -> None:
    axes = axes_of()
    values: list[list[list[float]]] = [[[NAN] for _ in range(shape[1])] for _ in range(shape[0])]
    draw_width_samples(axes, range(1, shape[1] + 1), range(1, shape[0] + 1), values, values)
    draw(axes)
    assert ("no data" in texts(axes)) == (0 in shape)


def test_large_supports_have_a_style_a_coordinate() -> None:
    axes = axes_of()
    draw_correlations(axes, probes((0.1, 0.2), k=9), peak=None)
    lines = [line for line in axes.get_lines() if str(line.get_label()).startswith("coordinate")]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9


# Labels


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels(label: str) -> None:
    axes = axes_of()
    draw_accuracy(axes, [Series(label, (1.0, 2.0), ((0.5, 0.6),))])
    draw(axes)
    (shown,) = texts(axes)
    assert shown.strip()
    assert len(shown) <= 130
    assert "\n" not in shown


@given(st.text(max_size=200))
@settings(max_examples=60)
def test_any_text_is_drawn_as_it_is(text: str) -> None:
    line = plain_text(text)
    assert line
    assert not line.startswith("_")
    assert line.isprintable()
    assert line.count("$") == line.count(r"\$")
    if text and all("!" <= c <= "~" and c not in "$_" for c in text) and len(text) <= 60:
        assert line == text


# Files


def test_figures_are_saved_with_their_data(tmp_path: Path) -> None:
    hostile = '$_"quoted",\nand ; = 1+1 漢'
    data = probes((0.01, 0.09, NAN))
    peak = Peak(200, 0.09, 0.001, 100, 200)
    series = [Series(hostile, (100.0, 200.0, 300.0), ((0.5, 0.9, NAN), (0.5, 1.0, 0.6)))]
    drawings = {
        "correlations": correlation_figure(data, title="c", transition=TRANSITION, peak=peak),
        "choice": choice_figure(series, data, transition=TRANSITION, peak=peak),
        "alone": choice_figure(series, title=hostile),
        "temperature": temperature_figure(series, series, 1e6),
        "widths": width_samples_figure((1, 2), (3,), [[[5.0], [INF]]], [[[0.9], [0.6]]]),
    }
    for name, drawing in drawings.items():
        path = tmp_path / f"{name}.{'png' if name in ('choice', 'widths') else 'svg'}"
        save_drawing(drawing, path)
        assert path.read_bytes().startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")
        with (tmp_path / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == Row._fields
        assert rows == [["" if value is None else str(value) for value in row] for row in drawing.rows]
        assert len(rows) == len({tuple(row) for row in rows})
        assert "nan" not in {value for row in rows for value in row}
    again = correlation_figure(data, title="c", transition=TRANSITION, peak=peak)
    save_drawing(again, tmp_path / "again.svg", tmp_path / "again.png")
    for suffix in ("svg", "csv"):
        assert (tmp_path / f"again.{suffix}").read_bytes() == (
            tmp_path / f"correlations.{suffix}"
        ).read_bytes()
    assert (tmp_path / "again.png").stat().st_size


def test_choice_shows_the_candidates_range() -> None:
    many = probes((0.01,) * 50)
    drawing = choice_figure([Series("one", (1000.0, 2000.0), ((0.5, 0.9),))], many)
    assert drawing.figure.axes[1].get_xlim() == drawing.figure.axes[0].get_xlim() == (950.0, 2050.0)


def test_refusals() -> None:
    with pytest.raises(SimError, match="2 values of 'one' are refused: use one for each of 1 x"):
        Series("one", (1.0,), ((0.5, 0.6),))
    with pytest.raises(SimError, match=r"a budget of -1.0 samples is refused"):
        draw_temperature(axes_of(), [Series("one", (1.0,), ((0.5,),))], budget=-1.0)
    with pytest.raises(SimError, match="another shape than 1 teachers × 2 students"):
        draw_width_samples(axes_of(), (1, 2), (3,), [[[0.5]]], [[[0.5]]])


def test_a_figure_that_cannot_be_written_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = choice_figure([Series("one", (1.0,), ((0.5,),))])
    for suffix in (".svg", ".csv"):
        (tmp_path / f"f{suffix}").write_text("before")

    def full(*arguments: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    for what in ("figure", "data"):
        with monkeypatch.context() as patch:
            patch.setattr(
                *((Figure, "savefig") if what == "figure" else (csv, "writer")), lambda *a, **b: full()
            )
            with pytest.raises(SimError, match=rf"^{what} .* cannot be written: No space left on device$"):
                save_drawing(drawing, tmp_path / "f.svg")
        assert (tmp_path / "f.csv").read_text() == "before"
        assert ((tmp_path / "f.svg").read_text() == "before") == (what == "figure")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["f.csv", "f.svg"]
