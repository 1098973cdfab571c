"""The verb probe, in this process, of a teacher that learns in a moment."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sim.artifacts import Artifacts
from sim.errors import SimError
from sim.online.cell import StudentCell, TeacherCell
from sim.online.options import no_theory
from sim.online.report import Report, read_report
from sim.online.verbs import parse_samples
from sim.online.window import transition_of
from sim.probe import ProbeSpec, correlations
from sim.store import Store
from sim.teacher import Trajectory
from tests.sim.conftest import QUICK, Result, alter, call, cells, plotted, records, teacher, tree


def trajectory(path: Path) -> Trajectory:
    return Trajectory(teacher(path).teacher, Artifacts(path.with_suffix(".artifacts")))


# What probe shows


def test_probe_measures_the_checkpoints_of_the_run(probed: tuple[Path, Result], learned: Path) -> None:
    to, result = probed
    values = json.loads(to.read_text())
    cell = teacher(learned)
    run = trajectory(learned)
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
    stored = records(learned, cell)[0]
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
    assert report.place.at_edge == (peak.high == 960)
    # There is nothing to probe before the first step of the run, or after its last.
    after = [p for p in values["probes"]["points"] if p["step"] >= peak.step]
    for points, move in ((kept, 1200 - peak.step), (after, -peak.step)):
        moved = [p | {"step": p["step"] + move} for p in points]
        ends = Report.from_json(values | {"probes": {**values["probes"], "points": moved}})
        assert ends.peak is not None
        assert ends.place is not None
        assert ends.peak.step in (0, 1200)
        assert not ends.place.at_edge
        assert "wider window" not in "".join(ends.sentences())


def test_that_the_checkpoints_are_others_is_said_without_a_peak_too(probed: tuple[Path, Result]) -> None:
    values = read_report(probed[0]).to_json()
    none = Report.from_json(values | {"agrees": False, "probes": {**values["probes"], "points": []}})
    assert none.peak is None
    *_, peak, last = none.sentences()
    assert peak == "peak: none, no correlation is finite"
    assert "are not those of the stored run" in last


def test_probe_writes_json_and_figures_with_their_data(
    probed: tuple[Path, Result], learned_copy: Path
) -> None:
    to, _ = probed
    assert sorted(p.name for p in to.parent.iterdir()) == ["p.csv", "p.json", "p.svg", "s"]
    rows = plotted(to.with_suffix(".csv"))
    assert {row["panel"] for row in rows} == {"transition", "correlations", "degrees"}
    assert to.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    cell = teacher(learned_copy).id
    same = call("probe", cell, *QUICK, "--out", learned_copy, "--json")
    assert same.code == 0
    assert same.json == json.loads(to.read_text())
    other = learned_copy.parent / "q.json"
    arguments = ("--out", learned_copy, "--to", other, "--reading", "sign", "--threads", "2")
    assert call("probe", cell, *QUICK, *arguments).code == 0
    assert {p.name for p in learned_copy.parent.glob("q.*")} == {"q.json", "q.png", "q.svg", "q.csv"}
    sign = json.loads(other.read_text())
    assert sign["probes"] == same.json["probes"]
    assert sign["reading"] == "sign"


# Training again


def test_missing_checkpoints_are_trained_again_and_kept(
    learned_copy: Path, probed: tuple[Path, Result]
) -> None:
    cell, run = teacher(learned_copy), trajectory(learned_copy)
    before = tree(run.run.folder)
    removed = [f for f in run.run.folder.glob("step-*") if 300 < int(f.name[5:19]) < 600]
    for file in removed:
        file.unlink()
    assert removed
    arguments = ("probe", cell.id, *QUICK[:-1], "--out", learned_copy, "--json")
    result = call(*arguments)
    assert result.json == json.loads(probed[0].read_text())
    assert f"{len(removed)} of 49 checkpoints are not in" in result.err
    assert "300 steps" in result.err  # from 300 to the next that is there, to compare
    assert tree(run.run.folder) == before
    again = call(*arguments)
    assert "trained again" not in again.err
    assert again.out == result.out


def test_a_coarse_window_is_called_so(learned_copy: Path) -> None:
    for until, few in ((560, True), (580, True), (600, True), (700, False)):
        given = ("--from", "300", "--until", until, "--samples", "64", "--json")
        err = call("probe", teacher(learned_copy).id, *given, "--out", learned_copy).err
        assert ("checkpoints only, every 20 steps" in err) == few


def test_probing_without_any_artifact(learned_copy: Path, probed: tuple[Path, Result]) -> None:
    before = tree(learned_copy.with_suffix(".artifacts") / "teacher")
    shutil.rmtree(learned_copy.with_suffix(".artifacts"))
    result = call("probe", teacher(learned_copy).id, *QUICK, "--out", learned_copy, "--json")
    assert result.json == json.loads(probed[0].read_text())
    after = tree(learned_copy.with_suffix(".artifacts") / "teacher")
    assert after.items() <= before.items()
    steps = {int(Path(name).name[5:19]) for name in after if "step-" in name}
    assert steps >= set(range(0, 961, 20))


def test_other_checkpoints_than_those_of_the_run_are_noticed(learned_copy: Path) -> None:
    cell = teacher(learned_copy)
    altered = records(learned_copy, cell)[0]
    altered["held_out"][20] = 0.5
    shutil.copy(learned_copy, learned_copy.with_name("a.sqlite"))
    learned_copy.with_suffix(".artifacts").rename(learned_copy.with_name("a.artifacts"))
    path = learned_copy.with_name("a.sqlite")
    alter(path, "UPDATE records SET payload = ? WHERE cell = ?", json.dumps(altered), cell.id)
    result = call("probe", cell.id, *QUICK, "--out", path, "--json")
    assert result.code == 0
    assert "are not those of the stored run" in result.err
    assert result.json["agrees"] is False


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
def test_probe_refuses(learned: Path, arguments: list[str], sentence: str) -> None:
    before = tree(learned.parent)
    given = arguments if "--to" in arguments else [*arguments, "--json"]
    assert sentence in call("probe", teacher(learned).id[:12], *QUICK, *given, "--out", learned).refusal
    assert tree(learned.parent) == before


def test_probe_refuses_other_cells_and_files(learned: Path, tiny: Path, probed: tuple[Path, Result]) -> None:
    of_student = next(c for c in cells(learned) if isinstance(c, StudentCell))
    refusal = call("probe", of_student.id[:12], "--json", "--out", learned).refusal
    assert f"is of students, which are not kept: give their teacher's, {teacher(learned).id[:12]}" in refusal
    assert "cell 'zz' matches no cell" in call("probe", "zz", "--json", "--out", learned).refusal
    first = cells(tiny)[0]
    assert (
        "probe needs a teacher of protocol online" in call("probe", first.id, "--json", "--out", tiny).refusal
    )
    assert "give --to FILE, or --json" in call("probe", teacher(learned).id, "--out", learned).refusal
    before = tree(learned.parent)
    link = probed[0].parent / "l.json"
    link.symlink_to(learned)
    beside = learned.parent / "g.artifacts" / ".." / "g.sqlite"
    # The second's default figures are the store's own.
    for to in (learned, learned.with_suffix(".json"), beside, link):
        refusal = call("probe", teacher(learned).id, "--to", to, "--out", learned).refusal
        assert "would overwrite the store" in refusal
    link.unlink()
    assert tree(learned.parent) == before


def test_probing_where_the_device_is_not(learned_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is trained again needs it; checkpoints that are there do not."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    cell = teacher(learned_copy)
    elsewhere = dataclasses.replace(cell, device="cuda")
    with Store(learned_copy, write=True) as store:
        store.add_cells([(elsewhere, no_theory())])
        store.add_records(elsewhere.id, records(learned_copy, cell))
    probe = ("probe", elsewhere.id, *QUICK, "--json", "--out", learned_copy)
    assert "device 'cuda' is not there" in call(*probe).refusal
    folder = learned_copy.with_suffix(".artifacts")
    shutil.copytree(folder / "teacher", folder / "cuda" / "teacher")
    assert call(*probe).code == 0


def test_probe_refuses_a_teacher_without_curve_or_transition(online: Path) -> None:
    cell = next(c for c in cells(online) if isinstance(c, TeacherCell))
    flat = records(online, cell)[0]
    flat["held_out"] = [0.5] * len(flat["held_out"])
    alter(online, "UPDATE records SET payload = ? WHERE cell = ?", json.dumps(flat), cell.id)
    refusal = call("probe", cell.id, "--json", "--out", online).refusal
    assert (
        "has no phase transition, its greatest held-out accuracy is 0.5: give --from and --until" in refusal
    )
    alter(online, "DELETE FROM records WHERE cell = ?", cell.id)
    assert "has no curve in" in call("probe", cell.id, "--json", "--out", online).refusal


def test_an_unwritable_file_leaves_what_was_there(
    learned_copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    to = tmp_path / "p.json"
    to.write_text("before")

    def full(self: Path, text: str, encoding: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    result = call("probe", teacher(learned_copy).id, *QUICK, "--to", to, "--out", learned_copy)
    assert "p.json cannot be written: No space left on device" in result.refusal
    assert to.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir() if p.name != "s"] == ["p.json"]


def test_probes_of_another_kind_of_cell_are_refused(probed: tuple[Path, Result], learned: Path) -> None:
    values = json.loads(probed[0].read_text())
    of_student = next(c for c in cells(learned) if isinstance(c, StudentCell))
    with pytest.raises(SimError, match="no probes of a teacher"):
        Report.from_json(values | {"cell": of_student.json()})
    with pytest.raises(SimError, match="no probes of a teacher"):
        Report.from_json(values | {"reading": "p"})
    assert Report.from_json(values).to_json() == values


def test_samples() -> None:
    assert [parse_samples(text) for text in ("2^0", "2^20", "1e6", "77")] == [1, 1 << 20, 10**6, 77]
    with pytest.raises(SimError, match="not a whole number"):
        parse_samples("0.5")
