"""The verb probe and the kinds of the verb plot, in this process, with a teacher that learns in a moment."""

import csv
import json
import math
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.artifacts import Artifacts
from sim.cell import Cell
from sim.errors import SimError
from sim.online.cell import StudentCell, TeacherCell
from sim.online.report import Report, read_report
from sim.online.verbs import parse_samples
from sim.online.window import Window, last_step, transition_of, window_of
from sim.probe import ProbeSpec, correlations
from sim.store import Store
from sim.teacher import Trajectory
from sim.transition import Crossing, Transition
from tests.sim.conftest import Result, call, run_grid, tree

GRID = (
    *("--protocol", "online", "--n", "8", "--k", "3", "--teacher-width", "64", "--width", "8,16"),
    *("--schedule", "one-shot,single:300..600/100,two-shot:300..600/100:200", "--temperature", "0,1"),
    *("--steps", "600", "--teacher-steps", "1200", "--log-every", "20", "--lr", "0.1", "--teacher-lr", "0.1"),
    *("--replicates", "3"),
)
"""A teacher that learns between steps 280 and 620, and its students."""

QUICK = ("--samples", "2^12", "--off", "8", "--quiet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store, its artifacts beside it; not to be changed."""
    path = tmp_path_factory.mktemp("verbs") / "g.sqlite"
    assert run_grid(path, grid=GRID).code == 0
    return path


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    """A copy."""
    shutil.copytree(whole.parent, tmp_path / "s")
    return tmp_path / "s" / "g.sqlite"


@pytest.fixture(scope="module")
def probed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Probes of a copy of the store, and what was printed."""
    folder = tmp_path_factory.mktemp("probed")
    shutil.copytree(whole.parent, folder / "s")
    path = folder / "s" / "g.sqlite"
    to, figure = folder / "p.json", folder / "p.svg"
    result = call("probe", teacher(path).id[:12], *QUICK, "--out", path, "--to", to, "--figure", figure)
    assert result.code == 0, result
    return to, result


def teacher(path: Path) -> TeacherCell:
    (cell,) = (cell for cell in cells(path) if isinstance(cell, TeacherCell))
    return cell


def cells(path: Path) -> list[Cell]:
    with Store(path, write=False) as store:
        return [stored.cell for stored in store.cells()]


def record(path: Path, cell: Cell) -> dict[int, dict[str, Any]]:
    with Store(path, write=False) as store:
        return store.records(cell.id)


def trajectory(path: Path) -> Trajectory:
    return Trajectory(teacher(path).teacher, Artifacts(path.with_suffix(".artifacts")))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# The window

CELL_RECORD: dict[str, Any] = {"diverged_at": None, "held_out": [0.5, 0.6]}


def transition(start: int | None, end: int | None) -> Transition:
    crossing = () if start is None else (Crossing(0.55, start + 20, start, None, True),)
    return Transition(crossing, start, end)


@pytest.mark.parametrize(
    ("found", "given", "expected"),
    [
        ((280, 620), {}, (0, 960, 20)),
        ((280, 380), {}, (180, 480, 20)),
        ((280, None), {}, (0, 1200, 40)),  # it goes on to the end of the run
        ((20, 20), {}, (0, 40, 20)),  # at least as long as the log points are apart
        ((400, 900), {}, (0, 1200, 40)),
        ((280, 380), {"start": 0}, (0, 480, 20)),
        ((280, 380), {"stop": 1200, "every": 60}, (180, 1200, 60)),
        ((None, None), {"start": 40, "stop": 140}, (40, 140, 20)),
    ],
)
def test_windows(
    whole: Path, found: tuple[int | None, int | None], given: dict[str, int], expected: tuple[int, int, int]
) -> None:
    window = window_of(teacher(whole), CELL_RECORD, transition(*found), **given)
    assert window == Window(*expected)


def test_about_40_points(whole: Path) -> None:
    spec = teacher(whole).teacher
    for start, stop in ((0, 800), (0, 1200), (100, 1180), (400, 1200)):
        count = len(
            window_of(teacher(whole), CELL_RECORD, transition(None, None), start=start, stop=stop).steps
        )
        assert 27 <= count <= 61
        assert spec.segment == 20


def test_a_window_ends_before_a_divergence(whole: Path) -> None:
    cell = teacher(whole)
    for diverged, last in ((621, 620), (639, 620), (640, 620), (7, 0), (0, 0)):
        diverging = CELL_RECORD | {"diverged_at": diverged}
        assert last_step(cell, diverging) == last
        assert window_of(cell, diverging, transition(280, None), start=0).stop == last
        with pytest.raises(
            SimError, match=f"outside the run, which diverged at step {diverged}: give 0 to {last}"
        ):
            window_of(cell, diverging, transition(280, None), stop=last + 20)


# What probe shows


def test_probe_measures_the_checkpoints_of_the_run(probed: tuple[Path, Result], whole: Path) -> None:
    to, result = probed
    values = json.loads(to.read_text())
    cell = teacher(whole)
    run = trajectory(whole)
    assert values["cell"] == cell.json()
    assert values["window"] == {"start": 0, "stop": 960, "every": 20}
    assert values["agrees"] is True
    report = read_report(to)
    steps = [point.step for point in report.probes.points]
    assert steps == list(range(0, 961, 20))
    task = cell.teacher.task
    spec = ProbeSpec(8, task.support, task.key("probe"), samples=4096, off=8)
    assert report.probes.spec == spec
    for step in (300, 600):
        alone = correlations(spec, run.load(step)).values[0, 0]
        (point,) = (p for p in report.probes.points if p.step == step)
        assert point.readings["probability"].values == pytest.approx(alone[:8].tolist(), rel=1e-5, abs=1e-6)
    stored = record(whole, cell)[0]
    for step, accuracy in zip(stored["steps"], stored["held_out"], strict=True):
        assert report.held_out.get(step, accuracy) == accuracy
    assert report.transition == transition_of(stored)
    # The table has a row a checkpoint.
    trace = report.probes.degree(1)
    rows = [line for line in result.out.splitlines() if line.startswith("│")]
    assert len(rows) == len(steps)
    fields = [part.strip() for part in rows[15].split("│")[1:-1]]
    c = np.abs(trace.values[15])
    assert fields[:5] == [
        "300",
        f"{report.held_out[300]:.4f}",
        f"{c.min():.4f}..{c.max():.4f}",
        f"{trace.errors[15].max():.4f}",
        f"{trace.groups[15]['off'].mean:.4f}",
    ]
    cubic = report.probes.degree(3)
    assert fields[5] == f"{abs(cubic.values[15, 0]):.4f}"
    assert len(fields) == 8


def test_probe_says_where_the_peak_lies(probed: tuple[Path, Result]) -> None:
    to, result = probed
    report = read_report(to)
    peak, place = report.peak, report.place
    assert peak is not None
    assert place is not None
    means = np.abs(report.probes.degree(1).values).mean(axis=1)
    assert peak.step == 20 * int(means.argmax())
    lines = result.out.splitlines()
    assert any(line.startswith("transition, step of") and "55% at 300" in line for line in lines)
    (line,) = (line for line in lines if line.startswith("peak of the mean"))
    assert f"{peak.value:.4f}" in line
    assert f"step {peak.step} [95 % interval {peak.low}, {peak.high}]" in line
    assert any(line.startswith("place of the peak: ") for line in lines)


def report_with(
    probed: tuple[Path, Result], crossings: Sequence[tuple[float, int]], start: int | None, end: int | None
) -> Report:
    values = read_report(probed[0]).to_json()
    found = [
        {"level": level, "step": step, "low": step, "high": step, "confirmed": True}
        for level, step in crossings
    ]
    return Report.from_json(values | {"transition": {"crossings": found, "start": start, "end": end}})


def test_places(probed: tuple[Path, Result]) -> None:
    peak = read_report(probed[0]).peak
    assert peak is not None
    at, low, high = peak.step, peak.low, peak.high
    before = report_with(probed, [(0.55, at + 20), (0.75, at + 40)], high + 20, None)
    assert before.place is not None
    assert (before.place.reached, before.place.next, before.place.interval) == (None, 0.55, "before")
    between = report_with(probed, [(0.55, at), (0.75, at + 20), (0.95, at + 40)], low, high)
    assert between.place is not None
    assert (between.place.reached, between.place.next, between.place.interval) == (0.55, 0.75, "within")
    beyond = report_with(
        probed, [(0.55, at), (0.95, at)], low + 20 if low < high else low, max(low, high - 20)
    )
    assert beyond.place is not None
    assert (beyond.place.reached, beyond.place.next) == (0.95, None)
    assert beyond.place.interval == ("overlapping" if low < high else "within")
    after = report_with(probed, [(0.55, 0), (0.95, 0)], 0, low - 20)
    assert after.place is not None
    assert after.place.interval == "after"
    none = report_with(probed, [], None, None)
    assert none.place is None
    assert next(iter(none.sentences())) == "transition: none in the stored curve"
    for report in (before, between, beyond, after):
        assert any(line.startswith("place of the peak: ") for line in report.sentences())


def test_a_peak_at_the_edge_is_called_so(probed: tuple[Path, Result]) -> None:
    report = read_report(probed[0])
    peak = report.peak
    assert peak is not None
    values = report.to_json()
    kept = [p for p in values["probes"]["points"] if p["step"] <= peak.step]
    cut = Report.from_json(values | {"probes": {**values["probes"], "points": kept}})
    assert cut.place is not None
    assert cut.place.at_edge
    assert "probe a wider window" in list(cut.sentences())[-1]
    assert report.place is not None
    assert report.place.at_edge == (peak.low == 0 or peak.high == 960)


def test_probe_writes_json_and_figures_with_their_data(probed: tuple[Path, Result], store: Path) -> None:
    to, _ = probed
    assert sorted(p.name for p in to.parent.iterdir()) == ["p.csv", "p.json", "p.svg", "s"]
    rows = table(to.with_suffix(".csv"))
    assert {row["panel"] for row in rows} == {"transition", "correlations", "degrees"}
    assert to.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    cell = teacher(store).id
    same = call("probe", cell, *QUICK, "--out", store, "--json")
    assert same.code == 0
    assert same.json == json.loads(to.read_text())
    other = store.parent / "q.json"
    arguments = ("--out", store, "--to", other, "--reading", "sign", "--threads", "2")
    assert call("probe", cell, *QUICK, *arguments).code == 0
    assert {p.name for p in store.parent.glob("q.*")} == {"q.json", "q.png", "q.svg", "q.csv"}
    sign = json.loads(other.read_text())
    assert sign["probes"] == same.json["probes"]
    assert sign["reading"] == "sign"


# Training again


def test_missing_checkpoints_are_trained_again_and_kept(store: Path, probed: tuple[Path, Result]) -> None:
    cell, run = teacher(store), trajectory(store)
    before = tree(run.run.folder)
    removed = [f for f in run.run.folder.glob("step-*") if 300 < int(f.name[5:19]) < 600]
    for file in removed:
        file.unlink()
    assert removed
    arguments = ("probe", cell.id, *QUICK[:-1], "--out", store, "--json")
    result = call(*arguments)
    assert result.json == json.loads(probed[0].read_text())
    assert f"{len(removed)} of 49 checkpoints are not in" in result.err
    assert "300 steps" in result.err  # from 300 to the next that is there, to compare
    assert tree(run.run.folder) == before
    again = call(*arguments)
    assert "trained again" not in again.err
    assert again.out == result.out


def test_a_coarse_window_is_called_so(store: Path) -> None:
    for until, few in ((560, True), (580, True), (600, True), (700, False)):
        given = ("--from", "300", "--until", until, "--samples", "64", "--json")
        err = call("probe", teacher(store).id, *given, "--out", store).err
        assert ("checkpoints only, every 20 steps" in err) == few


def test_probing_without_any_artifact(store: Path, probed: tuple[Path, Result]) -> None:
    before = tree(store.with_suffix(".artifacts") / "teacher")
    shutil.rmtree(store.with_suffix(".artifacts"))
    result = call("probe", teacher(store).id, *QUICK, "--out", store, "--json")
    assert result.json == json.loads(probed[0].read_text())
    after = tree(store.with_suffix(".artifacts") / "teacher")
    assert after.items() <= before.items()


def test_other_checkpoints_than_those_of_the_run_are_noticed(store: Path) -> None:
    cell = teacher(store)
    altered = record(store, cell)[0]
    altered["held_out"][20] = 0.5
    shutil.copy(store, store.with_name("a.sqlite"))
    store.with_suffix(".artifacts").rename(store.with_name("a.artifacts"))
    path = store.with_name("a.sqlite")
    alter(path, "UPDATE records SET payload = ? WHERE cell = ?", json.dumps(altered), cell.id)
    result = call("probe", cell.id, *QUICK, "--out", path, "--json")
    assert result.code == 0
    assert "are not those of the stored run" in result.err
    assert result.json["agrees"] is False


def alter(path: Path, sql: str, *values: object) -> None:
    import sqlite3

    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, values).rowcount > 0
    connection.close()


# Figures of a store


def final(path: Path, cell: Cell) -> list[float]:
    return [r["held_out"][-1] for r in record(path, cell).values()]


def student(path: Path, label: str) -> StudentCell:
    (cell,) = (c for c in cells(path) if isinstance(c, StudentCell) and c.student.label() == label)
    return cell


def test_choice(store: Path) -> None:
    result = call("plot", "--kind", "choice", "--out", store)
    assert result.code == 0, result
    names = ["g.choice-1.png", "g.choice-1.svg", "g.choice-2.png", "g.choice-2.svg"]
    assert [Path(line).name for line in result.out.splitlines()] == names
    assert all((store.parent / name).stat().st_size for name in names)
    rows = table(store.parent / "g.choice-1.csv")  # students of width 16
    lines = {"single τ=1", "single hard", "two-shot ×200 τ=1", "two-shot ×200 hard"}
    chosen = [row for row in rows if row["series"] in lines]
    assert {row["series"] for row in rows if row["panel"] == "final accuracy"} == lines | {"teacher"}
    assert sorted({float(row["x"]) for row in chosen}) == [300, 400, 500, 600]
    assert {row["panel"] for row in rows} == {"transition", "final accuracy"}
    for row in chosen:
        step = f"{float(row['x']):.0f}"
        text = row["series"].replace("single", f"single {step}").replace("×", f"{step}×")
        values = final(store, student(store, f"{text} width=16 rate=0.1"))
        assert [float(row[name]) for name in ("y", "low", "high")] == pytest.approx(
            [statistics.median(values), min(values), max(values)]
        )
        assert (row["used"], row["seeds"]) == ("3", "3")
    # Of three students the interval is the range.
    assert "median and range over students" in (store.parent / "g.choice-1.svg").read_text()
    curve = record(store, teacher(store))[0]
    shown = {float(row["x"]): float(row["y"]) for row in rows if row["series"] == "teacher"}
    assert {s: a for s, a in zip(curve["steps"], curve["held_out"], strict=True) if s in shown} == shown
    assert min(shown) == 300


def test_choice_with_probes(store: Path, probed: tuple[Path, Result], online: Path) -> None:
    figure = store.parent / "c.png"
    arguments = ("--kind", "choice", "--probes", probed[0], "--figure", figure, "--out", store)
    assert call("plot", *arguments).out.splitlines() == [str(figure.with_stem(f"c-{i}")) for i in (1, 2)]
    panels = {row["panel"] for row in table(store.parent / "c-1.csv")}
    assert panels == {"transition", "final accuracy", "correlations"}
    refusal = call("plot", "--kind", "choice", "--probes", probed[0], "--out", online).refusal
    assert "has no students of single:STEP or two-shot:I:T by the teacher of probes" in refusal


def test_temperature(store: Path) -> None:
    assert call("plot", "--kind", "temperature", "--out", store).code == 0
    rows = table(store.parent / "g.temperature-1.csv")
    assert {float(row["x"]) for row in rows} == {0, 1}
    for row in rows:
        if row["series"] == "one-shot":
            heat = "τ=1" if float(row["x"]) else "hard"
            cell = student(store, f"one-shot {heat} width=16 rate=0.1")
            if row["panel"] == "final accuracy":
                values = final(store, cell)
            else:
                values = [
                    next((s for s, a in zip(r["steps"], r["held_out"], strict=True) if a >= 0.9), math.inf)
                    for r in record(store, cell).values()
                ]
            assert float(row["y"]) == pytest.approx(statistics.median(values))
    assert len({row["series"] for row in rows}) == 9


def test_widths(store: Path) -> None:
    result = call("plot", "--kind", "widths", "--figure", store.parent / "w.png", "--out", store)
    assert result.code == 0
    assert "12 of 18 figures are drawn" in result.err
    assert len(result.out.splitlines()) == 12
    rows = table(store.parent / "w-1.csv")
    assert [(row["panel"], row["x"]) for row in rows if row["panel"].startswith("samples")] == [
        ("samples to 90 %", "8"),
        ("samples to 90 %", "16"),
    ]
    for row in rows:
        if row["panel"] == "final accuracy":
            values = final(store, student(store, f"one-shot hard width={row['x']} rate=0.1"))
            assert float(row["y"]) == pytest.approx(statistics.median(values))


def test_several_seeds_count_by_their_medians(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    grid = (
        *("--protocol", "online", "--n", "6", "--k", "2", "--teacher-width", "8", "--width", "4"),
        *("--schedule", "single:40..80/40", "--steps", "80", "--teacher-steps", "120", "--log-every", "20"),
        *("--lr", "0.1", "--teacher-lr", "0.1", "--replicates", "3", "--seed", "0,1"),
    )
    assert run_grid(path, grid=grid).code == 0
    assert call("plot", "--kind", "choice", "--out", path).code == 0
    rows = [row for row in table(tmp_path / "s.choice.csv") if row["series"] == "single τ=1"]
    for row in rows:
        label = f"single {float(row['x']):.0f} τ=1"
        found = [
            c for c in cells(path) if isinstance(c, StudentCell) and c.student.supervision.label() == label
        ]
        medians = [statistics.median(final(path, cell)) for cell in found]
        assert len(medians) == 2
        assert float(row["y"]) == pytest.approx(statistics.mean(medians))
        assert (row["used"], row["seeds"]) == ("2", "2")


def test_kind_accuracy_is_the_figure_of_before(online: Path) -> None:
    before = tree(online.parent)
    assert call("plot", "--kind", "accuracy", "--out", online).code == 0
    assert tree(online.parent) == before


# Refusals


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "10"], "--from 10 is not allowed: give a multiple of 20"),
        (["--until", "310"], "--until 310 is not allowed: give a multiple of 20"),
        (["--every", "30"], "--every 30 is not allowed"),
        (["--every", "0"], "--every 0 is not allowed"),
        (["--from", "-20"], "--from -20 is not allowed"),
        (["--from", "x"], "--from 'x' is not a number"),
        (["--until", "1220"], "--until 1220 is outside the run: give 0 to 1200"),
        (["--from", "600", "--until", "400"], "a window from step 600 to 400 is empty"),
        (["--from", "1000"], "is empty"),
        (["--samples", "0"], "0 samples are refused"),
        (["--samples", "2^99"], "samples are refused"),
        (["--samples", "2^x"], "--samples '2^x' is not a number"),
        (["--off", "-1"], "-1 monomials off the support are refused"),
        (["--threads", "0"], "threads 0"),
        (["--reading", "p"], "invalid choice: 'p'"),
        (["--figure", "f.pdf"], "figure f.pdf is not allowed"),
        (["--to", "nowhere/p.json"], "nowhere/p.json cannot be written: No such directory"),
        (["--to", "."], "cannot be written: Is a directory"),
        (["--to", "f.csv", "--figure", "f.png"], "f.csv would overwrite another file of these results"),
    ],
)
def test_probe_refuses(whole: Path, arguments: list[str], sentence: str) -> None:
    before = tree(whole.parent)
    given = arguments if "--to" in arguments else [*arguments, "--json"]
    assert sentence in call("probe", teacher(whole).id[:12], *QUICK, *given, "--out", whole).refusal
    assert tree(whole.parent) == before


def test_probe_refuses_other_cells_and_files(whole: Path, tiny: Path, probed: tuple[Path, Result]) -> None:
    of_student = next(c for c in cells(whole) if isinstance(c, StudentCell))
    refusal = call("probe", of_student.id[:12], "--json", "--out", whole).refusal
    assert f"is of students, which are not kept: give their teacher's, {teacher(whole).id[:12]}" in refusal
    assert "cell 'zz' matches no cell" in call("probe", "zz", "--json", "--out", whole).refusal
    first = cells(tiny)[0]
    assert (
        "probe needs a teacher of protocol online" in call("probe", first.id, "--json", "--out", tiny).refusal
    )
    assert "give --to FILE, or --json" in call("probe", teacher(whole).id, "--out", whole).refusal
    for to in (whole, whole.with_suffix(".json")):  # the second's default figures are the store's own
        assert (
            "would overwrite the store"
            in call("probe", teacher(whole).id, "--to", to, "--out", whole).refusal
        )


def test_probe_refuses_a_teacher_without_curve_or_transition(online: Path) -> None:
    cell = next(c for c in cells(online) if isinstance(c, TeacherCell))
    flat = record(online, cell)[0]
    flat["held_out"] = [0.5] * len(flat["held_out"])
    alter(online, "UPDATE records SET payload = ? WHERE cell = ?", json.dumps(flat), cell.id)
    refusal = call("probe", cell.id, "--json", "--out", online).refusal
    assert (
        "has no phase transition, its greatest held-out accuracy is 0.5: give --from and --until" in refusal
    )
    alter(online, "DELETE FROM records WHERE cell = ?", cell.id)
    assert "has no curve in" in call("probe", cell.id, "--json", "--out", online).refusal


def test_an_unwritable_file_leaves_what_was_there(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    to = tmp_path / "p.json"
    to.write_text("before")

    def full(self: Path, text: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    result = call("probe", teacher(store).id, *QUICK, "--to", to, "--out", store)
    assert "p.json cannot be written: No space left on device" in result.refusal
    assert to.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir() if p.name != "s"] == ["p.json"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--kind", "choice"], "has no cells for kind 'choice': run students of schedules single:STEP"),
        (["--kind", "temperature"], "has no cells for kind 'temperature': run students at two temperatures"),
        (["--kind", "widths"], "has no cells for kind 'widths': run students of two widths"),
        (["--kind", "pie"], "invalid choice: 'pie'"),
        (["--kind", "choice", "--protocol", "first-step"], "has no figure under protocol first-step"),
        (["--kind", "widths", "--probes", "p.json"], "--probes p.json has no effect with kind widths"),
        (["--probes", "p.json"], "--probes p.json has no effect with kind accuracy"),
        (["--kind", "choice", "--probes", "p.json"], "probes p.json cannot be read: No such file"),
        (["--kind", "choice", "--figure", "f.pdf"], "figure f.pdf is not allowed"),
    ],
)
def test_plot_refuses(online: Path, arguments: list[str], sentence: str) -> None:
    before = tree(online.parent)
    assert sentence in call("plot", *arguments, "--out", online).refusal
    assert tree(online.parent) == before


def test_plot_refuses_a_store_of_the_other_protocol_and_unwritable_figures(tiny: Path, whole: Path) -> None:
    for kind in ("choice", "temperature", "widths"):
        assert "has no cells of protocol 'online'" in call("plot", "--kind", kind, "--out", tiny).refusal
    figure = whole.parent / "nowhere" / "f.png"
    refusal = call("plot", "--kind", "choice", "--figure", figure, "--out", whole)
    assert (refusal.code, refusal.out) == (2, "")
    assert "cannot be written: No such file or directory" in refusal.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "are no JSON"),
        ("[]", "are no JSON object"),
        ("{}", "are no probes of a teacher"),
        ('{"format": 2}', "format 2 is newer than 1"),
    ],
)
def test_files_that_are_no_probes_are_refused(text: str, sentence: str, online: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    assert sentence in call("plot", "--kind", "choice", "--probes", path, "--out", online).refusal


def test_probes_of_another_kind_of_cell_are_refused(probed: tuple[Path, Result], whole: Path) -> None:
    values = json.loads(probed[0].read_text())
    of_student = next(c for c in cells(whole) if isinstance(c, StudentCell))
    with pytest.raises(SimError, match="no probes of a teacher"):
        Report.from_json(values | {"cell": of_student.json()})
    with pytest.raises(SimError, match="no probes of a teacher"):
        Report.from_json(values | {"reading": "p"})
    assert Report.from_json(values).to_json() == values


def test_samples() -> None:
    assert [parse_samples(text) for text in ("2^0", "2^20", "1e6", "77")] == [1, 1 << 20, 10**6, 77]
    with pytest.raises(SimError, match="not a whole number"):
        parse_samples("0.5")
