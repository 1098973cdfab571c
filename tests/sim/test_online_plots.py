"""The kinds of the verb plot, in this process, of a store with students in several settings."""

import math
import statistics
from pathlib import Path

import pytest

from sim.cell import Cell
from sim.online import plots
from sim.online.cell import StudentCell, TeacherCell
from sim.student_record import samples_to_reach
from tests.sim.conftest import QUICK, Result, call, cells, plotted, records, run_grid, teacher, tree

SEEDS = (
    *("--protocol", "online", "--n", "6", "--k", "2", "--teacher-width", "8", "--width", "4"),
    *("--schedule", "single:40..80/40", "--steps", "80", "--teacher-steps", "120", "--log-every", "20"),
    *("--lr", "0.1", "--teacher-lr", "0.1", "--replicates", "3", "--seed", "0,1"),
)
"""Students of two seeds, by teachers of another task."""


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A store of them."""
    path = tmp_path / "seeds.sqlite"
    assert run_grid(path, grid=SEEDS).code == 0
    return path


def final(path: Path, cell: Cell) -> list[float]:
    return [r["held_out"][-1] for r in records(path, cell).values()]


def samples(path: Path, cell: Cell) -> list[float]:
    """Samples to 90 % of each student."""
    reached = [samples_to_reach(r, [0.9])[0] for r in records(path, cell).values()]
    return [math.inf if value is None else value for value in reached]


def ends(row: dict[str, str]) -> tuple[float, ...]:
    """Of three students, the median with least and greatest."""
    return tuple(float(row[name]) for name in ("y", "low", "high"))


def student(path: Path, label: str) -> StudentCell:
    (cell,) = (c for c in cells(path) if isinstance(c, StudentCell) and c.student.label() == label)
    return cell


def test_choice(learned_copy: Path) -> None:
    result = call("plot", "--kind", "choice", "--out", learned_copy)
    assert result.code == 0, result
    names = ["g.choice-1.png", "g.choice-1.svg", "g.choice-2.png", "g.choice-2.svg"]
    assert [Path(line).name for line in result.out.splitlines()] == names
    assert all((learned_copy.parent / name).stat().st_size for name in names)
    rows = plotted(learned_copy.parent / "g.choice-1.csv")  # students of width 16
    lines = {"single τ=1", "single hard", "two-shot ×200 τ=1", "two-shot ×200 hard"}
    chosen = [row for row in rows if row["series"] in lines]
    assert {row["series"] for row in rows if row["panel"] == "final accuracy"} == lines | {"teacher"}
    assert sorted({float(row["x"]) for row in chosen}) == [300, 400, 500, 600]
    assert {row["panel"] for row in rows} == {"transition", "final accuracy"}
    for row in chosen:
        step = f"{float(row['x']):.0f}"
        text = row["series"].replace("single", f"single {step}").replace("×", f"{step}×")
        values = final(learned_copy, student(learned_copy, f"{text} width=16 rate=0.1"))
        assert [float(row[name]) for name in ("y", "low", "high")] == pytest.approx(
            [statistics.median(values), min(values), max(values)]
        )
        assert (row["used"], row["seeds"]) == ("3", "3")
    # Of three students the interval is the range.
    assert "median and range over students" in (learned_copy.parent / "g.choice-1.svg").read_text()
    curve = records(learned_copy, teacher(learned_copy))[0]
    shown = {float(row["x"]): float(row["y"]) for row in rows if row["series"] == "teacher"}
    assert {s: a for s, a in zip(curve["steps"], curve["held_out"], strict=True) if s in shown} == shown
    assert min(shown) == 300


def test_choice_with_probes(learned_copy: Path, probed: tuple[Path, Result], seeds: Path) -> None:
    figure = learned_copy.parent / "c.png"
    arguments = ("--kind", "choice", "--probes", probed[0], "--figure", figure, "--out", learned_copy)
    assert call("plot", *arguments).out.splitlines() == [str(figure.with_stem(f"c-{i}")) for i in (1, 2)]
    panels = {row["panel"] for row in plotted(learned_copy.parent / "c-1.csv")}
    assert panels == {"transition", "final accuracy", "correlations"}
    # Another teacher's students have chosen checkpoints too.
    refusal = call("plot", "--kind", "choice", "--probes", probed[0], "--out", seeds).refusal
    assert "has no students of single:STEP or two-shot:I:T by the teacher of probes" in refusal


def test_temperature(learned_copy: Path) -> None:
    assert call("plot", "--kind", "temperature", "--out", learned_copy).code == 0
    rows = plotted(learned_copy.parent / "g.temperature-1.csv")
    assert {float(row["x"]) for row in rows} == {0, 1}
    for row in rows:
        if row["series"] == "one-shot":
            heat = "τ=1" if float(row["x"]) else "hard"
            cell = student(learned_copy, f"one-shot {heat} width=16 rate=0.1")
            values = (final if row["panel"] == "final accuracy" else samples)(learned_copy, cell)
            assert ends(row) == pytest.approx((statistics.median(values), min(values), max(values)))
    of_one_shot = [row["panel"] for row in rows if row["series"] == "one-shot"]
    assert of_one_shot == ["final accuracy"] * 2 + ["samples to 90 %"] * 2
    assert len({row["series"] for row in rows}) == 9


def test_widths(learned_copy: Path) -> None:
    result = call(
        "plot", "--kind", "widths", "--figure", learned_copy.parent / "w.png", "--out", learned_copy
    )
    assert result.code == 0
    assert "12 of 18 figures are drawn" in result.err
    assert len(result.out.splitlines()) == 12
    rows = plotted(learned_copy.parent / "w-1.csv")
    # Of each width the median of the samples, and the accuracy where that is infinite.
    expected = []
    for width in (8, 16):
        cell = student(learned_copy, f"one-shot hard width={width} rate=0.1")
        panels = {"samples to 90 %": samples(learned_copy, cell)}
        if statistics.median(panels["samples to 90 %"]) == math.inf:
            panels["final accuracy"] = final(learned_copy, cell)
        for panel, values in panels.items():
            three = statistics.median(values), min(values), max(values)
            expected.append((panel, str(width), pytest.approx(three)))
    assert [(row["panel"], row["x"], ends(row)) for row in rows] == expected
    assert {panel for panel, *_ in expected} == {"samples to 90 %", "final accuracy"}
    assert any(math.isfinite(float(row["low"])) for row in rows if row["panel"] == "samples to 90 %")


def by_seed(path: Path, step: str) -> dict[int, list[float]]:
    """Final accuracies of the students of a checkpoint."""
    label = f"single {float(step):.0f} τ=1"
    found = [c for c in cells(path) if isinstance(c, StudentCell) and c.student.supervision.label() == label]
    return {cell.seed: final(path, cell) for cell in found}


def test_several_seeds_count_by_their_medians_from_where_their_teachers_learn(seeds: Path) -> None:
    assert call("plot", "--kind", "choice", "--out", seeds).code == 0
    rows = [row for row in plotted(seeds.with_suffix(".choice.csv")) if row["series"] == "single τ=1"]
    origin = {}
    for cell in cells(seeds):
        if isinstance(cell, TeacherCell):
            (record,) = records(seeds, cell).values()
            pairs = zip(record["steps"], record["held_out"], strict=True)
            origin[cell.seed] = next(step for step, accuracy in pairs if accuracy >= 0.75)
    chosen = {s: {step for step in range(0, 200, 20) if s in by_seed(seeds, str(step))} for s in origin}
    shared = set.intersection(*({step - origin[s] for step in chosen[s]} for s in origin))
    assert len(origin) == 2
    assert shared
    assert [float(row["x"]) for row in rows] == sorted(shared)
    for row in rows:
        places = [str(float(row["x"]) + origin[s]) for s in origin]
        medians = [statistics.median(by_seed(seeds, at)[s]) for s, at in zip(origin, places, strict=True)]
        assert float(row["y"]) == pytest.approx(statistics.mean(medians))
        assert (row["used"], row["seeds"]) == ("2", "2")
    assert "from the teacher's 75 % crossing" in seeds.with_suffix(".choice.svg").read_text()


def test_where_no_checkpoint_is_as_far_for_every_seed_they_are_drawn_as_they_are(
    seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "_origins", lambda teachers: {0: 0, 1: 7})
    assert call("plot", "--kind", "choice", "--out", seeds).code == 0
    rows = [row for row in plotted(seeds.with_suffix(".choice.csv")) if row["series"] == "single τ=1"]
    assert [float(row["x"]) for row in rows] == [40, 80]
    assert "crossing" not in seeds.with_suffix(".choice.svg").read_text()


def test_rows_are_by_number_and_those_of_all_seeds_come_last(seeds: Path) -> None:
    more = ("--schedule", "single:20..120/20,cross-entropy", "--temperature", "1")
    lines = run_grid(seeds, *more, grid=SEEDS).out.splitlines()
    rows = [[part.strip() for part in line.split("│")[1:6]] for line in lines if line.startswith("│")]
    students = rows[[row[0].startswith(("cross", "one-shot", "single")) for row in rows].index(True) :]
    of_seeds = [row[4] for row in students if row[4]]
    assert of_seeds == ["0", "1", "all 2"] * (len(of_seeds) // 3)
    chosen = [row[0] for row in students if row[0].startswith("single")]
    assert chosen == sorted(chosen, key=lambda label: int(label.split()[1]))
    assert len(chosen) > 2


def test_over_probes_stand_the_students_of_their_teacher_only(seeds: Path) -> None:
    to = seeds.with_name("p.json")
    of_seed_1 = next(c for c in cells(seeds) if isinstance(c, TeacherCell) and c.seed == 1)
    given = ("--from", 0, "--until", 120, "--out", seeds, "--to", to)
    assert call("probe", of_seed_1.id, *QUICK, *given).code == 0
    assert call("plot", "--kind", "choice", "--probes", to, "--out", seeds).code == 0
    rows = [row for row in plotted(seeds.with_suffix(".choice.csv")) if row["series"] == "single τ=1"]
    assert len(rows) == 2
    for row in rows:
        assert float(row["y"]) == pytest.approx(statistics.median(by_seed(seeds, row["x"])[1]))
        assert row["seeds"] == "3"
    drawn = seeds.with_suffix(".choice.svg").read_text()
    assert ", seed 1" in drawn
    assert "over students" in drawn


# Refusals


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--kind", "choice"], "has no cells for kind 'choice': run students of schedules single:STEP"),
        (["--kind", "temperature"], "has no cells for kind 'temperature': run students at two temperatures"),
        (["--kind", "widths"], "has no cells for kind 'widths': run students of two widths"),
        (["--kind", "pie"], "kind 'pie' is none of protocol online: use one of accuracy, choice, "),
        (["--kind", "choice", "--protocol", "first-step"], "has no cells of protocol 'first-step'"),
        (["--kind", "widths", "--probes", "p.json"], "--probes p.json has no effect with kind widths"),
        (["--probes", "p.json"], "--probes p.json has no effect with the default kind: it is for"),
        (["--kind", "samples"], "kind 'samples' is none of protocol online: use one of accuracy, choice, "),
        (["--kind", "choice", "--probes", "p.json"], "probes p.json cannot be read: No such file"),
        (["--kind", "choice", "--figure", "f.pdf"], "figure f.pdf is not allowed"),
    ],
)
def test_plot_refuses(online: Path, arguments: list[str], sentence: str) -> None:
    before = tree(online.parent)
    assert sentence in call("plot", *arguments, "--out", online).refusal
    assert tree(online.parent) == before


def test_plot_refuses_a_store_of_the_other_protocol_and_unwritable_figures(tiny: Path, learned: Path) -> None:
    for kind in ("choice", "temperature", "widths", "accuracy", "pie"):
        refusal = call("plot", "--kind", kind, "--out", tiny).refusal
        assert f"kind {kind!r} is none of protocol first-step: use one of samples" in refusal
    figure = learned.parent / "nowhere" / "f.png"
    refusal = call("plot", "--kind", "choice", "--figure", figure, "--out", learned).refusal
    assert "cannot be written: No such directory" in refusal


@pytest.mark.parametrize("figure", ["h.png", "h-7.png"])
def test_plot_refuses_to_overwrite_the_store_by_its_data(figure: str, learned_copy: Path) -> None:
    """Not by the data of a numbered figure either, whether there will be so many or not."""
    out = learned_copy.with_name(figure).with_suffix(".csv")
    learned_copy.rename(out)
    before = tree(out.parent)
    arguments = ("plot", "--kind", "choice", "--out", out, "--figure", out.with_name("h.png"))
    assert f"{out} would overwrite the store" in call(*arguments).refusal
    assert tree(out.parent) == before


def test_plot_refuses_to_overwrite_the_probes_or_by_another_name(
    learned_copy: Path, probed: tuple[Path, Result]
) -> None:
    probes, figure = learned_copy.with_name("p.csv"), learned_copy.with_name("p.png")
    probes.write_bytes(probed[0].read_bytes())
    arguments = ("plot", "--kind", "choice", "--probes", probes, "--out", learned_copy, "--figure")
    assert f"{probes} would overwrite the probes" in call(*arguments, figure).refusal
    figure.symlink_to(learned_copy)
    for kind in ("accuracy", "choice"):
        refusal = call("plot", "--kind", kind, "--figure", figure, "--out", learned_copy).refusal
        assert "p.png would overwrite the store" in refusal


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
