"""Heat maps: over (n, k), and over student width and temperature."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.image import AxesImage

from sim.errors import SimError
from sim.figures.grid_heat import Shown, draw_grid
from sim.figures.heat import MAX_TEXTS, Field, draw_fields, engineering, log_norm
from sim.figures.samples import Measured
from sim.online.figures import temperature_heat_figure
from sim.online.heat import draw_temperature_samples
from sim.schedule import Progressive
from tests.sim.figure_cases import INF, NAN, axes_of, curve, draw, first_step, grid_of, texts


def shown(*starts: float) -> Shown:
    return Shown(Measured.of(7, curve(starts), 0.5), 4096)


def test_fields_over_n_and_k() -> None:
    axes = axes_of()
    cells = {
        (7, 2): shown(64, 128, 256),
        (9, 2): shown(INF, INF, INF),
        (7, 3): shown(1, 1, 1, 1, 1, 1),
        (9, 4): Shown(None, 64),
    }
    drawn = draw_grid(axes, cells, [7, 9], [2, 3, 4], "samples")
    first = cells[7, 2].measured
    assert first is not None
    assert [(row.series, row.x, row.y) for row in drawn] == [
        ("k = 2", 7, first.crossing.estimate),
        ("k = 2", 9, INF),
        ("k = 3", 7, None),
    ]
    assert [drawn.place(row) for row in drawn] == [(0, 0), (1, 0), (0, 1)]
    estimate, ends = engineering(first.crossing.estimate or 0), first.crossing.interval
    assert texts(axes) == [
        f"{estimate}\n{engineering(ends.lower)}–{engineering(ends.upper)}",
        "not reached\nby 4.1k",
        "at once\n≤ 1",
        *["no run"] * 3,
    ]
    # The places are where the texts and the colours are.
    assert [t.get_position() for t in axes.texts[:3]] == [(0, 0), (1, 0), (0, 1)]
    (image,) = (artist for artist in axes.get_children() if isinstance(artist, AxesImage))
    values = np.ma.filled(image.get_array(), NAN)
    assert values[0, 0] == first.crossing.estimate
    assert np.isnan(values).sum() == 5
    assert [patch.get_xy() for patch in axes.patches if patch.get_hatch()] == [(0.5, -0.5)]
    draw(axes)


def test_the_heat_maps_of_a_store_are_those_of_its_summary() -> None:
    schedule = Progressive("equal", "logits", 0)
    cells = [first_step(n, [n * 10, n * 20], k=k) for k in (2, 4) for n in (7, 9)]
    cells += [first_step(7, [5, 50], schedule=schedule), first_step(9, [INF, INF], schedule=schedule)]
    (drawing,) = grid_of(*cells).drawings("heat")
    assert [p.axes.get_title() for p in drawing.panels] == ["cross-entropy", "progressive"]
    rows = {(row.panel, row.series, row.x): row for row in drawing.rows}
    assert len(rows) == len(cells)
    for cell in cells:
        row = rows[cell.cell.schedule.label(), f"k = {cell.cell.k}", cell.cell.n]
        crossing = cell.crossing(cell.high)
        assert crossing is not None
        assert row.y == (INF if crossing.estimate is None else crossing.estimate)
        assert (row.low, row.high) == (crossing.interval.lower, crossing.interval.upper)
    norms = [
        image.norm for p in drawing.panels for image in p.axes.get_children() if isinstance(image, AxesImage)
    ]
    assert len({(norm.vmin, norm.vmax) for norm in norms}) == 1


@pytest.mark.parametrize(
    "values", [[], [[]], [[NAN]], [[INF]], [[0.0]], [[-1.0, 5.0]], [[5.0]], [[1e-300, 1e300]], [[3.0] * 40]]
)
def test_degenerate_fields(values: list[list[float]]) -> None:
    axes = axes_of()
    columns = [str(i) for i in range(len(values[0]) if values else 0)]
    fields = [[Field("$x_{", value, hatched=True) for value in row] for row in values]
    draw_fields(axes, columns, ["$"] * len(values), fields, "what $")
    draw(axes)
    assert ("no data" in texts(axes)) == (not columns)
    assert len(texts(axes)) == (len(columns) if 0 < len(columns) <= MAX_TEXTS else not columns)


def test_fields_of_another_shape_are_refused() -> None:
    with pytest.raises(SimError, match="another shape than 1 rows × 2 columns are refused: give one for"):
        draw_fields(axes_of(), ["a", "b"], ["c"], [[Field("")]], "what")


@pytest.mark.parametrize(
    ("value", "text"), [(INF, "∞"), (0.5, "500m"), (1, "1"), (999.96, "1k"), (1234567, "1.23M")]
)
def test_numbers_of_samples_are_short(value: float, text: str) -> None:
    assert engineering(value) == text


def test_colours_are_read_without_colour_vision_and_texts_on_them() -> None:
    axes = axes_of()
    draw_fields(axes, ["a", "b"], ["c"], [[Field("low", 1.0), Field("high", 100.0)]], "what")
    (image,) = (artist for artist in axes.get_children() if isinstance(artist, AxesImage))
    grey = [float(np.dot(image.cmap(image.norm(v))[:3], (0.299, 0.587, 0.114))) for v in (1.0, 10.0, 100.0)]
    assert grey == sorted(grey, reverse=True)
    dark, light = (to_rgba(t.get_color())[0] for t in axes.texts)
    assert (dark < 0.1, light > 0.9) == (True, True)


def test_scales_of_nothing() -> None:
    assert log_norm([]).vmin == log_norm([NAN, INF, 0, -1]).vmin == 1
    one = log_norm([5.0])
    assert one.vmin == 5.0
    assert float(one.vmax or 0) > 5


# Student width and temperature


SAMPLES = [[[2e4, 1e4, 3e4], [NAN]], [[], [5e4, INF, INF, NAN]]]
ACCURACIES = [[[1.0, 1.0, 1.0], [NAN]], [[], [0.95, 0.6, 0.7, NAN]]]


def test_heat_map_over_width_and_temperature() -> None:
    axes = axes_of()
    drawn = draw_temperature_samples(axes, (10, 100), (0, 0.5), SAMPLES, ACCURACIES, panel="one-shot")
    assert [(r.panel, r.series, r.x, r.y, r.used, r.seeds) for r in drawn] == [
        ("one-shot, samples to 90 %", "hard labels", 10, 2e4, 3, 3),
        ("one-shot, samples to 90 %", "hard labels", 100, None, 0, 1),
        ("one-shot, samples to 90 %", "temperature 0.5", 10, None, 0, 0),
        ("one-shot, samples to 90 %", "temperature 0.5", 100, INF, 3, 4),
        ("one-shot, final accuracy", "temperature 0.5", 100, 0.7, 3, 4),
    ]
    assert [drawn.place(row) for row in drawn] == [(0, 0), (1, 0), None, (1, 1), (1, 1)]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["hard", "0.5"]
    assert texts(axes) == [
        "20k\n10k–30k", "diverged", "no run", "not reached\naccuracy 0.700\n1 diverged",
    ]  # fmt: skip
    draw(axes)
    with pytest.raises(SimError, match="another shape than 1 temperatures × 2 students are refused: give"):
        draw_temperature_samples(axes_of(), (10, 100), (0,), SAMPLES, ACCURACIES)


def test_maps_of_schedules_have_one_scale() -> None:
    panels = {
        "one-shot": ((10, 100), (0.0, 0.5), SAMPLES, ACCURACIES),
        "single": ((10,), (1.0,), [[[1e3]]], [[[0.9]]]),
    }
    drawing = temperature_heat_figure(panels, title="n=20")
    images = [
        child for p in drawing.panels for child in p.axes.get_children() if isinstance(child, AxesImage)
    ]
    assert [(image.norm.vmin, image.norm.vmax) for image in images] == [(1e3, 2e4)] * 2
    assert drawing.title == "Samples to 90 % over student width and temperature: n=20."
    assert all(math.isfinite(v) for p in drawing.panels for r in p.rows for v in (p.place(r) or ()))
    assert temperature_heat_figure({}).rows == ()
