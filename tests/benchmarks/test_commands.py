"""The commands: table, figures, refusals."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.figure import Figure

from benchmarks import __main__ as command
from benchmarks import figures, scaling, table
from benchmarks.calibration import Machine
from benchmarks.case import Limit, PeerRow, Row
from benchmarks.options import run_main
from benchmarks.scaling import Curve, Point
from benchmarks.side_by_side import Spread

MACHINE = Machine("avx2", 2, 256, 2e10, 1e9, 8e10, 4e10, {"L1": 3e11, "L2": 1e11, "L3": 5e10, "memory": 2e10})
ROWS = [
    Row(
        "first_step", "n = 50, m = 1", "sample and neuron", Spread(0.123456, 0.1, 0.2), Limit("logic", 2, 60, "L1"),
        0.1, "vector operations", [PeerRow("numpy", "64 x 4096 samples", Spread(12, 11, 13), Spread(98.7, 90, 110))],
    ),
    Row(
        "sgd", "width 50,000 x 1", "step of a student", Spread(123_456, 120_000, 130_000),
        Limit("gemm", 2e7, 1e6, "L3", 4e7), 60_000, "float32 operations",
        [PeerRow("JAX", "1 students", Spread(1e6, 9e5, 2e6), Spread(8.1, 7.5, 1234.5))],
    ),
    Row("bound B1'", "n = 200", "call", Spread(2.5e9, 2e9, 3e9), None, None, None, []),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _processors() -> Iterator[None]:
    """Commands bind the process to processors and set torch's threads: both as before afterwards."""
    affinity, threads = os.sched_getaffinity(0), torch.get_num_threads()
    yield
    os.sched_setaffinity(0, affinity)
    torch.set_num_threads(threads)


def found() -> dict[str, object]:
    return json.loads(json.dumps(table.result(MACHINE, ROWS, 3, 2)))


def test_results_come_back_from_json() -> None:
    assert table.rows_of(found()) == (MACHINE, ROWS)
    assert table.rows_of({**found(), "machine": None}) == (None, ROWS)


@pytest.mark.parametrize(
    "other", [{}, [1], None, {"version": 99}, {"version": 1, "kind": "scaling", "rows": []}]
)
def test_what_is_no_result(other: object) -> None:
    with pytest.raises(table.ResultError, match="it is no table of version 1"):
        table.rows_of(other)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rows", [{}]), ("rows", 3), ("machine", {"level": "avx2"}), ("versions", None), ("kernels", {})],
)
def test_what_was_altered(key: str, value: object) -> None:
    with pytest.raises(table.ResultError, match="altered or cut short"):
        table.rows_of({**found(), key: value})


def test_a_time_that_is_no_number() -> None:
    kept = json.loads(json.dumps(found()).replace("0.123456", '"fast"'))
    with pytest.raises(table.ResultError, match="altered or cut short"):
        table.rows_of(kept)


def test_outputs_are_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("measured")

    monkeypatch.setattr(command, "measure", never)
    monkeypatch.setattr(scaling, "measure", never)
    (tmp_path / "a.json").mkdir()
    (tmp_path / "b-speedup.png").mkdir()
    (tmp_path / "c.svg").mkdir()
    for run, only, name in (
        (command.run, "hinge", "a"),
        (command.run, "hinge", "b"),
        (command.run, "hinge", "no/d"),
        (scaling.run, "n", "c"),
    ):
        assert run_main(run, ["--only", only, "--out", f"{tmp_path}/{name}.json"]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ")
        assert said.count("\n") == 1
    (tmp_path / "b.json").write_text(json.dumps(found()))
    assert run_main(command.run, ["--redraw", "--out", f"{tmp_path}/b.json"]) == 2
    assert capsys.readouterr().out == ""


def test_table() -> None:
    lines = table.markdown(ROWS).splitlines()
    assert lines[0] == "| what | size | time of a | ours | × the limit | JAX | numpy |"
    assert lines[2] == (
        "| first_step | n = 50, m = 1 | sample and neuron | 0.123 ns [0.1, 0.2] | 1.23 (vector operations) |  "
        "| 98.7× [90.0, 110] |"
    )
    assert "| 123 µs [120, 130] | 2.06 (float32 operations) | 8.10× [7.50, 1,230] |  |" in lines[3]
    assert "2.5 s [2, 3] |  |" in lines[4]
    assert len({line.count("|") for line in lines}) == 1


def test_heading_names_the_machine() -> None:
    text = table.heading(found())
    assert "2 threads" in text
    assert "torch" in text
    assert "20.0e9 vector operations a second (256 bits, level avx2)" in table.roofs(MACHINE)


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], ROWS[2:], []])
def test_figures_survive_whatever_there_is(rows: list[Row]) -> None:
    figure = Figure()
    axes = figure.subplots(1, 3)
    figures.draw_speedup(axes[0], rows)
    for panel, resource in zip(axes[1:], figures.PANELS, strict=True):
        figures.draw_roofline(panel, rows, MACHINE, resource)
    figure.canvas.draw()
    assert bool(axes[0].get_legend()) == any(row.peers for row in rows)


def test_redraw_writes_both_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "b.json"
    kept = found()
    out.write_text(json.dumps(kept))
    assert run_main(command.run, ["--redraw", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert table.markdown(ROWS) in printed.out
    for name in ("speedup", "roofline"):
        assert (tmp_path / f"b-{name}.png").read_bytes().startswith(b"\x89PNG")
        ElementTree.parse(tmp_path / f"b-{name}.svg")
    assert run_main(command.run, ["--redraw", "--json", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out) == kept


def test_a_run_measures_and_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "b.json"
    options = ["--only", "hinge", "--rounds", "1", "--seconds", "0.001", "--out", str(out)]
    assert run_main(command.run, options) == 0
    machine, rows = table.rows_of(json.loads(out.read_text()))
    assert [row.kernel for row in rows] == ["hinge_sgd"] * 2
    assert all(peer.times.median > 0 for row in rows for peer in row.peers)
    assert table.markdown(rows) in capsys.readouterr().out
    assert machine is None or rows[0].over_limit is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "k3"], "--only 'k3' is not known: give some of first-step,"),
        (["--rounds", "0"], "--rounds 0 is not allowed: give 1 to 1000"),
        (["--seconds", "nan"], "--seconds nan is not allowed: give more than 0 and at most 60"),
        (["--threads", "100000"], "--threads 100000 is not allowed: give 1 to "),
        (["--out", "here.txt"], "--out here.txt is not allowed: give a path that ends in .json"),
        (["--redraw", "--out", "missing.json"], "missing.json cannot be read as a result: "),
        (["--fast"], "unrecognized arguments: --fast; see python -m benchmarks --help"),
    ],
)
def test_refusals(
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(command.run, options) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {said}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_refusals_of_scaling(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(scaling.run, ["--only", "depth"]) == 2
    assert capsys.readouterr().err == (
        "error: --only 'depth' is not known: give some of threads,students,width,neurons,n,samples\n"
    )


def curve(*throughputs: float) -> Curve:
    points = [Point(2**i, Spread(t, t, t), 1.5) for i, t in enumerate(throughputs)]
    return Curve("width", "sgd", "weights", points)


def test_saturation_is_the_first_size_near_the_best() -> None:
    assert curve(1, 2, 4, 4.1, 3).saturated == 2
    assert curve(1, 2, 4, 8).saturated == 3
    assert curve(5).saturated == 0
    assert "| **4** | 4 [4, 4] weights | 0.98 | 1.50 |" in scaling.markdown([curve(1, 2, 4, 4.1, 3)])


def test_scaling_figure_survives_an_empty_axis() -> None:
    figure = Figure()
    axes = figure.subplots(1, 2)
    scaling.draw(axes[0], [curve(1, 2)], "width")
    scaling.draw(axes[1], [curve(1, 2)], "n")
    figure.canvas.draw()
    assert axes[0].get_legend() is not None
    assert axes[1].texts[0].get_text() == "not measured"


def test_series_have_sizes_and_units() -> None:
    for series in scaling.all_series(2, 1e-4):
        assert series.axis in scaling.PANELS
        assert series.sizes == tuple(sorted(set(series.sizes)))
        smallest = series.sizes[0]
        assert series.make(smallest).work > 0
        assert series.limit(smallest).nanoseconds(MACHINE) > 0
        assert 1 <= series.threads(smallest) <= 2
