"""The command line in this process: options, the second run, exit codes."""

from pathlib import Path
from typing import Any

import pytest

from sim.execution.threads import worker_count
from sim.grid import build_parser
from sim.store import Store
from sim.summary import GridSummary, summarise
from tests.sim.conftest import TINY, Result, call, run_grid, table, tree
from theory.verdict import Verdict


def test_a_second_run_does_no_work_and_changes_no_byte(tiny: Path, tiny_result: Result) -> None:
    before, touched = tree(tiny.parent), [p.stat().st_mtime_ns for p in tiny.parent.iterdir()]
    result = call("run", *TINY, "--workers", 1, "--out", tiny)
    assert [p.stat().st_mtime_ns for p in tiny.parent.iterdir()] == touched
    assert result.code == tiny_result.code
    assert result.out == tiny_result.out
    assert "nothing to run: all 6 replicates of 6 cells" in result.err
    assert tree(tiny.parent) == before


def test_a_lost_figure_is_drawn_again(tiny: Path) -> None:
    figure = tiny.with_suffix(".svg")
    drawn = figure.read_bytes()
    figure.unlink()
    run_grid(tiny, figures=True)
    assert figure.read_bytes() == drawn


def test_a_run_in_parts_equals_one_run(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.sqlite"
    run_grid(out, "--replicates", 2)
    run_grid(out, "--n", "9", "--schedule", "progressive")
    run_grid(out, "--replicates", 5, "--schedule", "one-shot")
    run_grid(out)
    assert table(out) == table(tiny)


def test_workers_and_threads_change_no_record(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "workers.sqlite"
    if worker_count(None) > 1:
        result = call("run", *TINY, "--workers", 2, "--quiet", "--out", out)
        assert result.code in (0, 3), result
        assert table(out) == table(tiny)
    threads = tmp_path / "threads.sqlite"
    run_grid(threads, "--threads", 2)
    assert table(threads) == table(tiny)


# Every option changes behaviour.

BASE = (
    "--n",
    "8",
    "--k",
    "2",
    "--schedule",
    "cross-entropy",
    "--samples",
    "16",
    "--replicates",
    "2",
    "--resolution",
    "1",
)


def dry_run(*options: object) -> Result:
    """A dry run; it shows nothing of the theory, which costs most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.plan.theory_of", lambda cell, delta, replicates: {})
        return call("run", *options, "--dry-run", "--json", "--workers", 1, "--out", "/nonexistent/s.sqlite")


def spec_of(*options: str) -> list[dict[str, Any]]:
    result = dry_run(*BASE, *options)
    assert result.code == 0, result
    cells = []
    for cell in result.json["cells"]:
        cells.append(
            {
                key: cell[key]
                for key in ("id", "n", "k", "q", "schedule", "samples", "resolution", "seed", "missing")
            }
        )
    return cells


CHANGES = [
    ("n", ["--n", "9"]),
    ("k", ["--k", "4"]),
    ("schedule", ["--schedule", "progressive"]),
    ("schedule", ["--schedule", "low-degree"]),
    ("q", ["--bias", "2"]),
    ("missing", ["--replicates", "3"]),
    ("samples", ["--samples", "32"]),
    ("resolution", ["--resolution", "2"]),
    ("seed", ["--seed", "1"]),
]


@pytest.mark.parametrize(("field", "options"), CHANGES, ids=str)
def test_an_option_changes_its_part_of_the_cell(field: str, options: list[str]) -> None:
    (base,), (changed,) = spec_of(), spec_of(*options)
    different = {key for key in base if base[key] != changed[key]} - {"id"}
    assert field in different
    assert different <= {field, "q"}  # q follows n
    assert (base["id"] != changed["id"]) == (field != "missing")


SCHEDULE_CHANGES = [
    (["--schedule", "one-shot"], ["--labels", "logits"]),
    (["--schedule", "one-shot"], ["--teacher-error", "0.5"]),
    (["--schedule", "one-shot"], ["--teacher-error", "inf"]),
    (["--schedule", "progressive"], ["--labels", "hard"]),
    (["--schedule", "progressive"], ["--teacher", "phase-1"]),
    (["--schedule", "progressive", "--teacher", "phase-1"], ["--teacher-width", "8"]),
    (["--schedule", "progressive", "--teacher", "phase-1"], ["--teacher", "phase-1-projected"]),
    (["--schedule", "low-degree"], ["--degree", "2"]),
]


@pytest.mark.parametrize(("schedule", "option"), SCHEDULE_CHANGES, ids=str)
def test_a_schedules_option_changes_its_cell(schedule: list[str], option: list[str]) -> None:
    (base,), (changed,) = spec_of(*schedule), spec_of(*schedule, *option)
    assert base["schedule"] != changed["schedule"]
    assert base["id"] != changed["id"]


def test_the_default_value_of_each_option_is_what_the_help_says() -> None:
    assert spec_of("--schedule", "one-shot") == spec_of(
        "--schedule", "one-shot", "--teacher-error", "1", "--labels", "hard"
    )
    assert spec_of("--schedule", "progressive") == spec_of(
        "--schedule", "progressive", "--teacher", "equal", "--labels", "logits"
    )
    assert spec_of("--schedule", "low-degree") == spec_of("--schedule", "low-degree", "--degree", "1")
    assert spec_of() == spec_of("--bias", "0", "--seed", "0", "--protocol", "first-step")
    width = ["--schedule", "progressive", "--teacher", "phase-1"]
    assert spec_of(*width) == spec_of(*width, "--teacher-width", "256")
    # k/2 at each k
    assert [c["schedule"]["teacher_error"] for c in spec_of("--schedule", "one-shot", "--k", "2,4")] == [
        "1",
        "2",
    ]


def test_equal_cells_are_planned_once() -> None:
    assert len(spec_of("--n", "8,8", "--schedule", "cross-entropy,cross-entropy")) == 1
    assert len(spec_of("--schedule", "one-shot", "--teacher-error", "0.5,1/2,inf")) == 2


def test_best_bias_makes_odd_k_run(tmp_path: Path) -> None:
    grid = (
        "--n",
        "9",
        "--k",
        "3",
        "--schedule",
        "cross-entropy",
        "--bias",
        "best",
        "--samples",
        "64",
        "--replicates",
        "2",
    )
    out = tmp_path / "s.sqlite"
    assert run_grid(out, grid=grid).code in (0, 3)
    assert call("status", "--out", out, "--json").json["cells"][0]["replicates"] == 2


def test_delta_changes_the_bounds_and_no_record(tmp_path: Path, tiny: Path) -> None:
    out = tmp_path / "d.sqlite"
    run_grid(out, "--delta", "0.01", "--n", "6", "--schedule", "cross-entropy")
    with Store(out, write=False) as strict, Store(tiny, write=False) as loose:
        (a,) = strict.cells()
        b = loose.find(a.cell.id)
        assert (a.theory["delta"], b.theory["delta"]) == (0.01, 0.1)
        upper = [{x["name"]: x["samples"] for x in s.theory["bounds"]} for s in (a, b)]
        assert upper[0]["B1'"] > upper[1]["B1'"]
        assert strict.records(a.cell.id) == loose.records(a.cell.id)


def test_without_samples_the_horizon_is_what_the_bounds_ask() -> None:
    result = dry_run("--n", 12, "--k", 2).json["cells"]
    strict = dry_run("--n", 12, "--k", 2, "--delta", "0.001").json["cells"]
    assert len(result) == 3
    assert all(a["samples"] > b["samples"] > 64 for a, b in zip(strict, result, strict=True))


def test_dry_run_writes_nothing(tmp_path: Path, tiny: Path) -> None:
    result = call("run", *TINY, "--dry-run", "--workers", 1, "--out", tmp_path / "new.sqlite")
    assert result.code == 0
    assert len(result.out.splitlines()) == 1 + 6 + 4  # head, cells, totals
    assert not (tmp_path / "new.sqlite").exists()
    before = tree(tiny.parent)
    again = call("run", *TINY, "--replicates", 9, "--dry-run", "--json", "--workers", 1, "--out", tiny)
    assert [cell["missing"] for cell in again.json["cells"]] == [3] * 6
    assert tree(tiny.parent) == before


def test_a_dry_run_computes_no_theory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("theory was computed")

    monkeypatch.setattr("sim.plan.theory_of", refuse)
    monkeypatch.setattr("sim.plan._bound", refuse)  # --samples sets the horizon
    for out in (tiny, tiny.parent / "new.sqlite"):
        assert call("run", *TINY, "--dry-run", "--workers", 1, "--out", out).code == 0
    with pytest.raises(AssertionError, match="theory was computed"):
        call("run", "--n", 12, "--k", 2, "--dry-run", "--workers", 1, "--out", tiny)


def test_quiet_says_nothing_and_otherwise_progress_is_on_stderr(tmp_path: Path) -> None:
    quiet = run_grid(tmp_path / "q.sqlite", "--replicates", 2)
    assert quiet.err == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.verbs.common.draw", lambda summary, figures, data: None)
        loud = call("run", *TINY, "--replicates", 2, "--workers", 1, "--out", tmp_path / "l.sqlite")
    assert loud.out == quiet.out
    assert "6/6 cells" in loud.err
    assert f"figure: {tmp_path / 'l.png'}" in loud.err
    assert "nothing to run" not in loud.err


def test_json_is_strict_json_with_everything_of_the_table(tiny: Path, tiny_result: Result) -> None:
    result = run_grid(tiny, "--json")
    assert result.code == tiny_result.code
    value = result.json
    assert value["complete"] is True
    assert {(cell["n"], cell["schedule"]["name"]) for cell in value["cells"]} == {
        (n, s) for n in (6, 9) for s in ("cross-entropy", "one-shot", "progressive")
    }
    assert all(cell["replicates"] == 6 for cell in value["cells"])
    assert len(value["growths"]) == 3
    for cell in value["cells"]:
        assert cell["verdict"] in ("consistent", "undecided", "contradicted")
        assert cell["success_at_horizon"]["interval"][0] <= cell["success_at_horizon"]["rate"]
        assert set(cell["samples_to_success"]) == {"half", "high"}


def test_the_table_has_a_row_a_cell_and_ends_with_the_verdict(tiny_result: Result) -> None:
    lines = tiny_result.out.splitlines()
    assert lines[-1] == f"verdict: {'CONSISTENT' if tiny_result.code == 0 else 'UNDECIDED'}"
    text = tiny_result.out
    for word in (
        "cross-entropy",
        "one-shot c=1",
        "progressive",
        "lower bound",
        "upper bound",
        "growth with n",
    ):
        assert word in text


@pytest.mark.parametrize(
    ("verdict", "complete", "code"),
    [
        (Verdict.CONSISTENT, True, 0),
        (Verdict.CONTRADICTED, True, 1),
        (Verdict.CONTRADICTED, False, 1),
        (Verdict.UNDECIDED, True, 3),
        (Verdict.CONSISTENT, False, 3),
    ],
)
def test_exit_codes(verdict: Verdict, complete: bool, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GridSummary, "verdict", verdict)
    monkeypatch.setattr(GridSummary, "complete", complete)
    assert GridSummary((), ()).exit_code == code


def test_a_contradicted_bound_exits_1_and_says_which(tiny: Path) -> None:
    # A planted bound: success from the first sample on.
    with Store(tiny, write=True) as store:
        cells = []
        for stored in store.cells():
            planted = {"name": "B0", "kind": "upper", "samples": 1.0, "statement": "s", "reference": "r"}
            cells.append((stored.cell, stored.theory | {"bounds": [planted]}))
            records = {r: {"success": "0000000", "digest": "d"} for r in range(100, 140)}
            store.add_records(stored.cell.id, records)
        store.add_cells(cells)
        summary = summarise(store, store.cells())
    assert summary.verdict is Verdict.CONTRADICTED
    assert summary.exit_code == 1
    explained = call("explain", cells[0][0].id[:12], "--out", tiny)
    assert "verdict: CONTRADICTED" in explained.out
    assert "upper bound 1" in explained.out


def test_help_names_every_option_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["run", "--help"], ["merge", "--help"]):
        with pytest.raises(SystemExit) as caught:
            build_parser().parse_args(arguments)
        assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in (
        "both ends are included",
        "--teacher-error",
        "Exit codes",
        "130",
        "status",
        "verify",
        "--out",
    ):
        assert word in text


def test_run_is_the_default_verb(tiny: Path, tiny_result: Result) -> None:
    assert call(*TINY, "--workers", 1, "--quiet", "--out", tiny) == tiny_result
