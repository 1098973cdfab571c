"""The verb plot: every kind of every protocol, its files and refusals; where drawings of online training stand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.figures import HEADER, Drawn, Panel
from sim.grid import build_parser
from sim.online.draw import draw_accuracy, draw_choice, draw_correlations, draw_degrees, draw_temperature
from sim.online.marks import Series
from sim.online.report import read_report
from sim.online.summary import OnlineSummary
from sim.protocol.base import Summary
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.store import Store
from sim.summary import GridSummary
from sim.transition import Crossing, Transition
from sim.two_stage.summary import TwoStageGrid
from tests.sim.conftest import Result, call, plotted, run_grid, table, tree
from tests.sim.figure_cases import INF, NAN, axes_of, draw, misplaced

SUMMARIES: tuple[type[Summary], ...] = (GridSummary, OnlineSummary, TwoStageGrid)

TWO_STAGE = (
    *("--protocol", "two-stage", "--n", "9,11", "--k", "2", "--schedule", "cross-entropy,progressive"),
    *("--samples", "512", "--second", "512", "--loss", "0.2,0.1", "--replicates", "4", "--resolution", "1"),
)


@pytest.fixture(scope="module")
def two_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of two-stage students."""
    path = tmp_path_factory.mktemp("two") / "grid.sqlite"
    result = run_grid(path, grid=TWO_STAGE)
    assert result.code in (0, 3), result
    return path


def summary_of(path: Path) -> Summary:
    with Store(path, write=False) as store:
        cells = store.cells()
        return protocol_of(cells[0].cell).summarise(store, cells, None)


def test_every_protocol_has_kinds_and_the_help_names_them() -> None:
    assert len(PROTOCOLS) == len(SUMMARIES)
    assert GridSummary.kinds == ("samples", "success", "heat")
    assert TwoStageGrid.kinds == ("totals", "success", "heat")
    assert OnlineSummary.kinds == ("accuracy", "choice", "temperature", "widths", "heat", "correlations")
    subs: Any = build_parser()._subparsers
    shown = subs._group_actions[0].choices["plot"].format_help()
    for kind in {kind for one in SUMMARIES for kind in one.kinds}:
        assert kind in shown


@pytest.mark.parametrize("kind", GridSummary.kinds)
def test_kinds_of_first_steps(kind: str, tiny: Path) -> None:
    check_kind(tiny, kind, GridSummary.kinds)


@pytest.mark.parametrize("kind", TwoStageGrid.kinds)
def test_kinds_of_two_stages(kind: str, two_stage: Path) -> None:
    check_kind(two_stage, kind, TwoStageGrid.kinds)


def test_totals_are_those_of_the_summary(two_stage: Path) -> None:
    summary = summary_of(two_stage)
    assert isinstance(summary, TwoStageGrid)
    for cell in summary.cells:
        for epsilon in cell.losses:
            curve, crossing = cell.total_curve(epsilon), cell.total(epsilon)
            assert curve is not None
            assert crossing is not None
            name = f"k = 2, to loss {float(epsilon):g}"
            (row,) = (
                r
                for r in summary.figure().rows
                if (r.panel, r.series, r.x) == (name, cell.cell.series, cell.cell.n)
            )
            ends = crossing.interval
            assert (row.low, row.high) == (ends.lower, ends.upper)
            assert row.y in (crossing.estimate, INF)
            rates = [
                r.y
                for d in summary.drawings("success")
                for r in d.rows
                if r.panel == f"{name}, {cell.cell.series}" and r.series == f"n = {cell.cell.n}"
            ]
            assert rates == list(curve.rates)
            fields = [
                r
                for d in summary.drawings("heat")
                if d.title.startswith(f"Samples in total for 90 % of students, to loss {float(epsilon):g} ")
                for r in d.rows
                if (r.panel, r.series, r.x) == (cell.cell.series, "k = 2", cell.cell.n)
            ]
            assert [(r.y, r.low, r.high) for r in fields] == [(row.y, row.low, row.high)]


@pytest.mark.parametrize("kind", [k for k in OnlineSummary.kinds if k not in ("widths", "correlations")])
def test_kinds_of_online_students(kind: str, learned_copy: Path) -> None:
    check_kind(learned_copy, kind, OnlineSummary.kinds)


def check_kind(path: Path, kind: str, kinds: tuple[str, ...]) -> None:
    """Drawn twice, the files are the same; they have what the summary says; each point is where its row is."""
    result = call("plot", "--kind", kind, "--out", path)
    assert result.code == 0, result
    files = [Path(line) for line in result.out.splitlines()]
    drawings = summary_of(path).drawings(kind)
    assert len(files) == 2 * len(drawings)
    stem = path.stem if kind == kinds[0] else f"{path.stem}.{kind}"
    numbers = [""] if len(drawings) == 1 else [f"-{i + 1}" for i in range(len(drawings))]
    assert [f.name for f in files] == [f"{stem}{i}{suffix}" for i in numbers for suffix in (".png", ".svg")]
    data = "figure" if kind == kinds[0] else kind
    for number, drawing in zip(numbers, drawings, strict=True):
        rows = plotted(path.with_suffix(f".{data}{number}.csv"))
        assert [tuple(row.values()) for row in rows] == [
            tuple("" if v is None else str(v) for v in row) for row in drawing.rows
        ]
        assert rows
        assert kind == "heat" or not any(misplaced(panel) for panel in drawing.panels)
    before = tree(path.parent)
    assert call("plot", "--kind", kind, "--out", path) == result
    assert tree(path.parent) == before


def test_correlations_are_those_of_the_probes(learned_copy: Path, probed: tuple[Path, Result]) -> None:
    given = ("plot", "--kind", "correlations", "--out", learned_copy)
    refusal = call(*given).refusal
    assert "has no cells for kind 'correlations': give --probes FILE, a file of the verb probe" in refusal
    result = call(*given, "--probes", probed[0])
    assert result.code == 0, result
    data = learned_copy.with_suffix(".correlations.csv")
    assert data.read_bytes() == probed[0].with_suffix(".csv").read_bytes()
    assert (
        learned_copy.with_suffix(".correlations.svg").read_bytes()
        == probed[0].with_suffix(".svg").read_bytes()
    )
    summary, report = summary_of(learned_copy), read_report(probed[0])
    assert summary.drawings("correlations") == []
    (drawing,) = summary.drawings("correlations", report)
    assert not any(misplaced(panel) for panel in drawing.panels)


def test_correlations_of_another_teacher_are_refused(online: Path, probed: tuple[Path, Result]) -> None:
    given = ("plot", "--kind", "correlations", "--out", online, "--probes", probed[0])
    refusal = call(*given).refusal
    assert "has no cells of the teacher of probes" in refusal
    assert refusal.endswith("give probes of one of its teachers")
    assert summary_of(online).drawings("correlations", read_report(probed[0])) == []


@pytest.mark.parametrize(
    ("kind", "names"), [("totals", "samples, success, heat"), ("", "samples, success, heat")]
)
def test_a_kind_of_another_protocol_is_refused(kind: str, names: str, tiny: Path) -> None:
    before = tree(tiny.parent)
    refusal = call("plot", "--kind", kind, "--out", tiny).refusal
    assert f"kind {kind!r} is none of protocol first-step: use one of {names}" in refusal
    assert tree(tiny.parent) == before


# Files


def test_a_table_exported_beside_the_store_is_left(tiny: Path) -> None:
    exported = tiny.with_suffix(".csv")
    assert call("export", "--to", exported, "--out", tiny).code == 0
    before = exported.read_bytes()
    for kind in GridSummary.kinds:
        assert call("plot", "--kind", kind, "--out", tiny).code == 0
    assert exported.read_bytes() == before
    refusal = call("plot", "--figure", tiny.with_suffix(".png"), "--out", tiny).refusal
    assert f"{exported} would be overwritten by a figure's data, and is none: move it, or" in refusal
    assert exported.read_bytes() == before
    assert call("export", "--to", exported, "--out", tiny).code == 0
    assert exported.read_text() == table(tiny)


def test_data_that_are_not_a_figures_are_not_overwritten_by_run(tiny: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "new.figure.csv"
    foreign.write_text("mine\n")
    before = tree(tmp_path)
    result = run_grid(tmp_path / "new.sqlite")
    assert f"{foreign} would be overwritten by a figure's data, and is none" in result.refusal
    assert tree(tmp_path) == before


def test_run_writes_the_data_too_and_again_when_lost(tiny: Path) -> None:
    data = tiny.with_suffix(".figure.csv")
    drawn = data.read_bytes()
    assert drawn.startswith(HEADER.encode())
    data.unlink()
    run_grid(tiny, figures=True)
    assert data.read_bytes() == drawn
    for text in ("", HEADER + "\nold\n"):
        data.write_text(text)
        assert call("plot", "--out", tiny).code == 0
        assert data.read_bytes() == drawn


def test_a_store_without_measurements_has_nothing_to_draw_but_samples(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "bare.sqlite"
    with Store(tiny, write=False) as source, Store(path, write=True) as store:
        store.add_cells([(stored.cell, stored.theory) for stored in source.cells()])
    assert call("plot", "--out", path).code == 0
    for kind in ("success", "heat"):
        refusal = call("plot", "--kind", kind, "--out", path).refusal
        assert f"has no cells for kind {kind!r}: run " in refusal


# Where drawings of online training stand

TRANSITION = Transition((Crossing(0.55, 200, 150, 250, True),), 150, None)
SERIES = [
    Series("one", (0.0, 0.5, 2.0), ((0.9, NAN, 0.7), (0.8, NAN, 0.6))),
    Series("two", (0.0, 0.5), ((0.5, 0.6), (0.7, 0.8))),
]


@pytest.mark.parametrize("drawer", [draw_accuracy, draw_choice])
def test_places_of_lines(drawer: Any) -> None:
    axes = axes_of()
    drawn: Drawn = drawer(axes, SERIES, transition=TRANSITION)
    panel = Panel.of(axes, drawn)
    assert misplaced(panel) == []
    assert [panel.place(row) for row in drawn if row.panel == "transition"] == [None]
    shown = [row for row in drawn if panel.place(row) is not None]
    assert len(shown) == (4 if drawer is draw_choice else 2)
    draw(axes)


def test_places_of_temperatures() -> None:
    for budget in (None, 1000.0):
        axes = axes_of()
        series = SERIES if budget is None else [Series("s", (0.0, 0.5), ((10.0, INF), (20.0, INF)))]
        drawn = draw_temperature(axes, series, budget=budget)
        panel = Panel.of(axes, drawn)
        assert misplaced(panel) == []
        hard = [panel.place(row) for row in drawn if row.x == 0]
        ticks = axes.get_xticks()
        assert all(p is not None and p[0] == pytest.approx(ticks[0], rel=0.1) for p in hard)
        assert len({p[0] for p in hard if p is not None}) == len(series)
        if budget is not None:
            assert [panel.place(row) for row in drawn if row.y == INF] == [(0.5, budget)]
        draw(axes)


def test_places_of_correlations(probed: tuple[Path, Result]) -> None:
    report = read_report(probed[0])
    for drawer in (draw_correlations, draw_degrees):
        axes = axes_of()
        drawn = drawer(axes, report.probes, transition=report.transition)
        panel = Panel.of(axes, drawn)
        assert misplaced(panel) == []
        at = [panel.place(row) for row in drawn if row.panel != "transition"]
        assert np.mean([p is not None for p in at]) > 0.8
        assert all(p is None or (drawer is draw_correlations or p[1] > 0) for p in at)
        assert all(math.isfinite(v) for p in at if p is not None for v in p)
