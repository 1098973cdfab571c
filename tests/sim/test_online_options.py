"""Options of the online protocol: what the grid is, and what is refused."""

import contextlib
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import SimError
from sim.online.cell import StudentCell, TeacherCell
from sim.online.grammar import parse_schedule
from sim.online.options import OnlineOptions
from sim.rates import RateSchedule
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import SUPERVISIONS, Annealed, OneShot, Progressive, Single, TillSaturate, TwoShot
from tests.sim.conftest import ONLINE, TINY, Result, call, tree, without_costs

GRAMMAR: list[tuple[str, list[Supervision]]] = [
    ("cross-entropy", [CrossEntropy()]),
    ("one-shot", [OneShot(temperature=t) for t in (1.0, 0.0)]),
    ("single:300", [Single(300, temperature=t) for t in (1.0, 0.0)]),
    ("single:3e2", [Single(300, temperature=t) for t in (1.0, 0.0)]),
    ("single:100..200/50", [Single(s, temperature=t) for s in (100, 150, 200) for t in (1.0, 0.0)]),
    ("single:100..210/1e2", [Single(s, temperature=t) for s in (100, 200, 210) for t in (1.0, 0.0)]),
    ("two-shot:300:1e6", [TwoShot(300, 1_000_000, temperature=t) for t in (1.0, 0.0)]),
    (
        "two-shot:100..200/100:50",
        [TwoShot(s, 50, temperature=t) for s in (100, 200) for t in (1.0, 0.0)],
    ),
    ("progressive", [Progressive(s, temperature=t) for s in (10, 20) for t in (1.0, 0.0)]),
    (
        "progressive:stay=5:first=30:last=90",
        [Progressive(s, 5, 30, 90, temperature=t) for s in (10, 20) for t in (1.0, 0.0)],
    ),
    ("till-saturate", [TillSaturate(s, temperature=t) for s in (10, 20) for t in (1.0, 0.0)]),
    (
        "till-saturate:gain=0.5:window=7:patience=3",
        [
            TillSaturate(s, window=7, patience=3, gain=0.5, temperature=t)
            for s in (10, 20)
            for t in (1.0, 0.0)
        ],
    ),
    ("annealed:4:1/2", [Annealed(4.0, 0.5)]),
    ("annealed:4:0.5:share=0.25", [Annealed(4.0, 0.5, 0.25)]),
]


@pytest.mark.parametrize(
    ("text", "meaning"), GRAMMAR, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_schedule_is_read_for_all_values_that_it_depends_on(text: str, meaning: list[Supervision]) -> None:
    assert parse_schedule(text, (1.0, 0.0), (0.0,), (10, 20)) == meaning


def test_the_grammar_has_every_supervision() -> None:
    assert {s.name for _, meaning in GRAMMAR for s in meaning} == set(SUPERVISIONS)


def test_weights_of_the_true_labels_are_read_by_all_that_have_a_teacher() -> None:
    for text, _ in GRAMMAR:
        found = parse_schedule(text, (1.0,), (0.0, 0.5), (10,))
        if text != "cross-entropy":
            assert [getattr(s, "truth", None) for s in found] == [0.0, 0.5] * (len(found) // 2)


BAD_SCHEDULES = [
    ("cramming", "unknown"),
    ("single", "write single:STEP"),
    ("single:1:2", "write single:STEP"),
    ("single:x", "not a number"),
    ("single:1.5", "not a whole number"),
    ("single:1..2", "without a step"),
    ("single:1/2", "no range"),
    ("single:5..2/1", "smaller end first"),
    ("single:1..5/0", "step of 1"),
    ("single:0..1e9/1", "10000 values"),
    ("single:-1", "-1"),
    ("two-shot:1", "write two-shot:I:T"),
    ("two-shot:1:0", "switch 0"),
    ("one-shot:3", "write one-shot"),
    ("cross-entropy:x=1", "option 'x'"),
    ("progressive:5", "write progressive"),
    ("progressive:stay=0", "stay|steps on each checkpoint 0"),
    ("progressive:stay=5:stay=6", "option 'stay'"),
    ("progressive:speed=5", "option 'speed'"),
    ("progressive:first=50:last=40", "last checkpoint 40"),
    ("till-saturate:gain=2", "gain 2.0"),
    ("till-saturate:gain=1e999", "beyond"),
    ("till-saturate:patience=0", "patience 0"),
    ("annealed", "write annealed:T0:T1"),
    ("annealed:1:0", "temperature 0"),
    ("annealed:1:x", "not a number"),
    ("annealed:1:2:share=0", "share 0"),
    ("", "unknown"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_SCHEDULES)
def test_a_schedule_outside_the_grammar_is_refused(text: str, reason: str) -> None:
    with pytest.raises(SimError, match=reason) as caught:
        parse_schedule(text, (1.0,), (0.0,), (10,))
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="abchinorstwe-:=.0123456789/", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    for prefix in ("", "single:", "progressive:", "two-shot:", "annealed:", "till-saturate:"):
        with contextlib.suppress(SimError):  # any other exception fails
            parse_schedule(prefix + text, (1.0,), (0.0,), (10,))


REFUSALS: list[tuple[list[str], list[str]]] = [
    # for another protocol
    (["--delta", "0.1"], ["--delta 0.1", "no effect under protocol online", "first-step"]),
    (["--bias", "0"], ["--bias 0", "no effect"]),
    (["--samples", "1e6"], ["--samples 1e6", "no effect"]),
    (["--resolution", "2"], ["--resolution 2", "no effect"]),
    (["--labels", "hard"], ["--labels hard", "no effect"]),
    (["--teacher", "equal"], ["--teacher equal", "no effect"]),
    (["--teacher-error", "1"], ["--teacher-error 1", "no effect"]),
    (["--degree", "1"], ["--degree 1", "no effect"]),
    # that nothing reads
    (["--schedule", "cross-entropy", "--teacher-width", "8"], ["--teacher-width", "no effect", "teacher"]),
    (["--schedule", "cross-entropy", "--teacher-lr", "1"], ["--teacher-lr", "no effect"]),
    (["--schedule", "cross-entropy", "--teacher-steps", "200"], ["--teacher-steps", "no effect"]),
    (["--schedule", "cross-entropy", "--teacher-init", "symmetric"], ["--teacher-init", "no effect"]),
    (["--schedule", "cross-entropy", "--mix", "0.5"], ["--mix", "no effect"]),
    (
        ["--schedule", "cross-entropy,annealed:2:1", "--temperature", "1"],
        ["--temperature", "no effect", "one-shot"],
    ),
    (["--schedule", "one-shot", "--checkpoints", "200"], ["--checkpoints", "no effect", "progressive"]),
    # values
    (["--schedule", "cramming"], ["'cramming'", "till-saturate"]),
    (["--schedule", "low-degree"], ["'low-degree'", "progressive"]),
    (["--n", "1"], ["k = 2", "n = 1"]),
    (["--k", "0"], ["k = 0"]),
    (["--width", "0"], ["width 0", "1 to"]),
    (["--width", "7", "--init", "symmetric"], ["width 7", "even"]),
    (["--teacher-width", "7", "--teacher-init", "symmetric"], ["width 7", "even"]),
    (["--teacher-width", "wide"], ["--teacher-width 'wide'", "not a range"]),
    (["--init", "zero"], ["'zero'", "torch-default", "symmetric"]),
    (["--teacher-init", "zero"], ["'zero'"]),
    (["--lr", "0"], ["0", "above 0"]),
    (["--lr", "nan"], ["'nan'"]),
    (["--lr", "-1"], ["-1"]),
    (["--lr", "0.1,"], ["'0.1,'", "empty entry"]),
    (["--lr", "0.1:linear"], ["'linear'", "cosine"]),
    (["--teacher-lr", "inf"], ["'inf'"]),
    (["--temperature", "-1"], ["-1", "0 (hard labels)"]),
    (["--temperature", "soft"], ["'soft'", "hard"]),
    (["--temperature", "1e-400"], ["1e-400"]),
    (["--mix", "2"], ["2.0", "0 to 1"]),
    (["--mix", "x"], ["'x'"]),
    (["--checkpoints", "150"], ["150", "multiple of 100"]),
    (["--checkpoints", "0"], ["0", "multiple of 100"]),
    (["--steps", "650"], ["steps 650", "multiple of 100"]),
    (["--steps", "0"], ["steps 0"]),
    (["--steps", "1.5"], ["'1.5'", "whole number"]),
    (["--steps", "1e30"], ["too many"]),
    (["--teacher-steps", "650"], ["teacher-steps 650", "multiple of 100"]),
    (["--log-every", "0"], ["log-every 0", "1 to 10000"]),
    (["--log-every", "15000"], ["log-every 15000", "multiple of 10000"]),
    (["--batch", "0"], ["batch 0"]),
    (["--batch", "x"], ["'x'"]),
    (["--device", "tpu"], ["'tpu'", "cpu, cuda"]),
    (["--replicates", "0"], ["replicates 0"]),
    (["--seed", "-1"], ["'-1'"]),
    (["--seed", str(1 << 63)], ["seed"]),
    (["--schedule", "progressive,single:900"], ["no checkpoint at step 900", "700 and 800"]),
    (["--schedule", "progressive,single:150"], ["no checkpoint at step 150", "100 and 200"]),
    (["--schedule", "progressive,two-shot:100:50"], ["inside a segment", "multiple of 100"]),
    (["--schedule", "progressive,two-shot:100:600"], ["two-shot:100:600", "never switch within --steps 600"]),
    (["--schedule", "progressive,two-shot:100:900"], ["two-shot:100:900", "never switch within --steps 600"]),
    (["--checkpoints", "800"], ["--checkpoints 800", "only the final one of --teacher-steps 800"]),
    (["--schedule", "till-saturate", "--checkpoints", "900"], ["--checkpoints 900", "only the final one"]),
    (["--width", "1..200", "--lr", ",".join(str(i) for i in range(1, 60))], ["more than 10000 cells"]),
    (["--threads", "0"], ["threads 0"]),
    (["--workers", "0"], ["workers 0"]),
]


@pytest.mark.parametrize(("options", "parts"), REFUSALS, ids=lambda value: " ".join(value)[:60])
def test_a_bad_option_is_one_sentence_and_the_store_is_untouched(
    options: list[str], parts: list[str], online: Any
) -> None:
    before = tree(online.parent)
    base = list(ONLINE)
    if "--schedule" in options and any("no effect" in part for part in parts):
        task = base[: base.index("--teacher-width")]
        base = [*task, "--width", "8", "--steps", "600", "--log-every", "100"]
    sentence = call("run", *base, "--out", online, *options).refusal
    for part in parts:
        assert part in sentence
    assert len(sentence) < 400
    assert tree(online.parent) == before


FIRST_STEP_REFUSALS = [
    ["--width", "8"],
    ["--lr", "1"],
    ["--teacher-lr", "1"],
    ["--temperature", "1"],
    ["--mix", "0"],
    ["--checkpoints", "100"],
    ["--steps", "100"],
    ["--teacher-steps", "100"],
    ["--batch", "1"],
    ["--init", "symmetric"],
    ["--teacher-init", "symmetric"],
    ["--log-every", "100"],
    ["--device", "cpu"],
]


@pytest.mark.parametrize("option", FIRST_STEP_REFUSALS, ids=lambda option: str(option[0]))
def test_options_of_the_online_protocol_are_refused_by_the_other(option: list[str], tiny: Any) -> None:
    before = tree(tiny.parent)
    sentence = call("run", *TINY, *option, "--out", tiny).refusal
    assert (
        f"{option[0]} {option[1]} has no effect under protocol first-step: it is for protocol online"
        in sentence
    )
    assert tree(tiny.parent) == before


@pytest.mark.parametrize("option", ["--seed", "--teacher-width"])
def test_what_is_a_range_there_is_one_number_here(option: str, tiny: Any) -> None:
    extra = ["--teacher", "phase-1"] if option == "--teacher-width" else []
    sentence = call("run", *TINY, *extra, option, "8,16", "--out", tiny).refusal
    assert f"{option} '8,16' is not a whole number" in sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none(tmp_path: Any) -> None:
    sentence = call("run", *ONLINE, "--device", "cuda", "--out", tmp_path / "s.sqlite").refusal
    assert "device 'cuda' is not there" in sentence
    assert list(tmp_path.iterdir()) == []


def dry_run(*options: object) -> Result:
    result = call(
        "run", *ONLINE, *options, "--dry-run", "--json", "--workers", 1, "--out", "/nonexistent/s.sqlite"
    )
    assert result.code == 0, result
    return result


def cells_of(*options: object) -> list[dict[str, Any]]:
    return without_costs(dry_run(*options).json["cells"])


def test_the_grid_is_the_product_of_what_each_cell_depends_on() -> None:
    cells = cells_of(
        *("--n", "9,10", "--width", "8,12", "--teacher-width", "16,32", "--lr", "0.1,0.2", "--seed", "0,1"),
        *("--temperature", "1,hard", "--checkpoints", "200,400"),
    )
    assert len({cell["id"] for cell in cells}) == len(cells)
    teachers = [cell for cell in cells if cell["role"] == "teacher"]
    students = [cell for cell in cells if cell["role"] == "student"]
    names = [cell["student"]["supervision"]["name"] for cell in students]
    assert len(teachers) == 2 * 2 * 2  # n, teacher width, seed
    assert names.count("cross-entropy") == 2 * 2 * 2 * 2  # n, width, rate, seed; no teacher
    assert names.count("one-shot") == 2 * 2 * 2 * 2 * 2 * 2  # teacher width and temperature too
    assert names.count("progressive") == 2 * names.count("one-shot")  # and spacing
    assert [cell["missing"] for cell in teachers] == [1] * len(teachers)
    assert {cell["missing"] for cell in students} == {3}


CHANGES = [
    (["--n", "10"], {"n", "teacher"}),
    (["--k", "3"], {"k", "teacher"}),
    (["--seed", "1"], {"seed", "teacher"}),
    (["--width", "12"], {"student"}),
    (["--lr", "0.2:cosine"], {"student"}),
    (["--init", "symmetric"], {"student"}),
    (["--temperature", "0"], {"student"}),
    (["--mix", "0.5"], {"student"}),
    (["--checkpoints", "400"], {"student"}),
    (["--teacher-width", "32"], {"teacher"}),
    (["--teacher-lr", "0.2"], {"teacher"}),
    (["--teacher-init", "symmetric"], {"teacher"}),
    (["--teacher-steps", "900"], {"teacher"}),
    (["--steps", "700"], {"steps"}),
    (["--batch", "2"], {"batch", "teacher"}),
    (["--log-every", "200"], {"log_every", "segment", "teacher"}),
    (["--replicates", "4"], {"missing"}),
]


@pytest.mark.parametrize(("option", "fields"), CHANGES, ids=str)
def test_an_option_changes_its_part_of_the_cell(option: list[str], fields: set[str]) -> None:
    only = ("--schedule", "progressive")
    base, changed = cells_of(*only)[1], cells_of(*only, *option)[1]
    assert base["role"] == changed["role"] == "student"
    assert {key for key in base if base[key] != changed[key]} - {"id", "label"} == fields
    assert (base["id"] != changed["id"]) == (fields != {"missing"})


def test_hard_and_0_are_one_temperature_and_equal_cells_are_planned_once() -> None:
    once = cells_of("--temperature", "0")
    assert (
        cells_of("--temperature", "hard,0,0.0", "--seed", "0,0", "--schedule", ONLINE[11] + ",one-shot")
        == once
    )


def test_the_defaults_are_the_fast_version() -> None:
    wanted = OnlineOptions().wanted()
    cells = [w.cell for w in wanted]
    teacher = next(cell for cell in cells if isinstance(cell, TeacherCell))
    assert (teacher.n, teacher.k, teacher.teacher.width, teacher.teacher.steps) == (50, 4, 5000, 400_000)
    assert teacher.teacher.rate == RateSchedule(0.01)
    students = [cell for cell in cells if isinstance(cell, StudentCell)]
    assert [cell.student.supervision for cell in students] == [CrossEntropy(), OneShot(), Progressive(10_000)]
    assert {cell.student.width for cell in students} == {100}
    assert [w.replicates for w in wanted] == [6, 1, 6, 6]


def test_dry_run_writes_nothing_and_knows_what_is_there(online: Any, tmp_path: Any) -> None:
    result = call("run", *ONLINE, "--dry-run", "--workers", 1, "--out", tmp_path / "new.sqlite")
    assert result.code == 0
    assert len(result.out.splitlines()) == 1 + 4 + 4  # head, cells, totals
    assert not (tmp_path / "new.sqlite").exists()
    before = tree(online.parent)
    again = call(
        "run", *ONLINE, "--replicates", 5, "--dry-run", "--json", "--workers", 1, "--out", online
    ).json
    assert [cell["missing"] for cell in again["cells"]] == [2, 0, 2, 2]
    assert again["seconds"] > 0
    assert tree(online.parent) == before
