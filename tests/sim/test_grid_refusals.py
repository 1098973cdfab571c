"""The command line in this process: what it refuses, in one sentence, with the store left as it was."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.cell import MAX_N, MAX_SAMPLES
from sim.execution.threads import worker_count
from sim.store import Store
from tests.sim.conftest import call, run_grid, tree

TOO_MANY = worker_count(None) + 1

RUN_REFUSALS: list[tuple[list[str], list[str]]] = [
    # options of run, and what the sentence must say
    (["--n", "1", "--k", "2"], ["k = 2", "n = 1"]),
    (["--n", "0"], ["n = 0", "1 <= n"]),
    (["--n", str(MAX_N + 1)], [f"n = {MAX_N + 1}", f"n <= {MAX_N}"]),
    (["--n", "-3"], ["-3"]),
    (["--n", ""], ["--n ''", "50..200"]),
    (["--n", "200..50"], ["200..50", "reversed", "50..200"]),
    (["--n", "10..20:0"], ["10..20:0", "step"]),
    (["--n", "x"], ["'x'", "not a range"]),
    (["--n", "9.5"], ["'9.5'", "not a range"]),
    (["--n", "1..1000000:1"], ["10000", "larger step"]),
    (["--k", "0"], ["k = 0", "1 <= k"]),
    (["--k", "11", "--n", "20"], ["k = 11", "k <= 10"]),
    (["--k", "3"], ["k = 3 is odd", "vanishes", "--bias best"]),
    (["--k", "3", "--bias", "1/2"], ["k = 3 is odd", "1/2"]),
    (["--k", "1", "--n", "9"], ["k = 1 is odd"]),
    (["--protocol", "third-step"], ["'third-step'", "first-step"]),
    (["--schedule", "cramming"], ["'cramming'", "cross-entropy", "progressive"]),
    (["--schedule", "one-shot,"], ["'one-shot,'", "empty entry"]),
    (["--schedule", ""], ["--schedule ''", "empty"]),
    (["--labels", "soft"], ["'soft'", "logits", "hard"]),
    (["--schedule", "cross-entropy", "--labels", "hard"], ["--labels 'hard'", "no effect"]),
    (["--teacher", "final"], ["'final'", "phase-1-projected"]),
    (["--schedule", "one-shot", "--teacher", "equal"], ["--teacher 'equal'", "no effect"]),
    (["--teacher-width", "8"], ["--teacher-width 8", "no effect"]),
    (["--teacher", "equal", "--teacher-width", "8"], ["--teacher-width 8", "no effect"]),
    (["--teacher", "phase-1", "--teacher-width", "7"], ["width 7", "even"]),
    (["--teacher", "phase-1", "--teacher-width", "0"], ["width 0", "2 to 4096"]),
    (["--teacher", "phase-1", "--teacher-width", "5000"], ["width 5000", "4096"]),
    (["--teacher-error", "much"], ["'much'", "0.5,1 or inf"]),
    (["--teacher-error", "0"], ["exponent 0", "0 < c <= 16"]),
    (["--teacher-error", "99"], ["exponent 99", "0 < c <= 16"]),
    (["--teacher-error", "nan"], ["'nan'", "0.5,1 or inf"]),
    (["--teacher-error", "0.12345"], ["2469/20000", "denominator"]),
    (["--schedule", "progressive", "--teacher-error", "1"], ["no effect", "one-shot"]),
    (["--schedule", "low-degree", "--degree", "3"], ["degree 3", "k = 2"]),
    (["--schedule", "low-degree", "--degree", "0"], ["degree 0", "1 <= degree"]),
    (["--degree", "1"], ["--degree 1", "no effect"]),
    (["--bias", "nan"], ["--bias 'nan'", "not a number"]),
    (["--bias", "inf"], ["--bias 'inf'", "not a number"]),
    (["--bias", "1/0"], ["--bias '1/0'", "not a number"]),
    (["--bias", "1e9999999999"], ["--bias '1e9999999999'"]),
    (["--replicates", "0"], ["replicates 0", "1 to 100000"]),
    (["--replicates", "-1"], ["replicates -1"]),
    (["--replicates", "100001"], ["replicates 100001"]),
    (["--replicates", "many"], ["many"]),
    (["--delta", "0"], ["delta 0", "0 < delta"]),
    (["--delta", "0.25"], ["delta 0.25"]),
    (["--delta", "nan"], ["delta nan"]),
    (["--delta", "-0.1"], ["-0.1"]),
    (["--samples", "0"], ["samples 0", f"1 to {MAX_SAMPLES}"]),
    (["--samples", "1.5"], ["--samples '1.5'", "whole number"]),
    (["--samples", "1e99"], [f"1 to {MAX_SAMPLES}"]),
    (["--samples", "1e9999999999"], ["--samples '1e9999999999'"]),
    (["--samples", "nan"], ["--samples 'nan'", "not a number"]),
    (["--resolution", "0"], ["resolution 0", "1 to 16"]),
    (["--resolution", "17"], ["resolution 17"]),
    (["--seed", "-1"], ["seed -1"]),
    (["--seed", str(1 << 63)], [f"seed {1 << 63}"]),
    (["--seed", "x"], ["'x'"]),
    (["--workers", "0"], ["workers 0", "1 to"]),
    (["--workers", str(TOO_MANY)], [f"workers {TOO_MANY}", f"this machine has {TOO_MANY - 1}"]),
    (["--threads", "0"], ["threads 0"]),
    (["--threads", str(1 << 40)], [f"threads {1 << 40}"]),
    (["--schedule", "progressive", "--teacher", "phase-1", "--k", "3", "--bias", "best"], ["k = 3", "even"]),
    (
        [
            "--schedule",
            "progressive",
            "--teacher",
            "phase-1",
            "--labels",
            "hard",
            "--k",
            "3",
            "--bias",
            "best",
        ],
        ["k = 3", "even"],
    ),
    (["--schedule", "progressive", "--teacher", "phase-1", "--n", "2", "--k", "2"], ["n = 2"]),
    (["--speed", "9"], ["--speed"]),
    (["again"], ["again"]),
    (["--n"], ["--n", "expected one argument"]),
]


@pytest.mark.parametrize(("options", "parts"), RUN_REFUSALS, ids=lambda value: " ".join(value)[:60])
def test_a_bad_option_is_one_sentence_and_the_store_is_untouched(
    options: list[str], parts: list[str], tiny: Path
) -> None:
    before = tree(tiny.parent)
    base = [] if "--n" in options else ["--n", "9"]
    base += [] if "--k" in options else ["--k", "2"]
    sentence = call("run", *base, "--out", tiny, *options).refusal
    for part in parts:
        assert part in sentence
    assert len(sentence) < 400
    assert tree(tiny.parent) == before


def test_no_signal_without_a_horizon_is_refused_with_the_reason(tiny: Path) -> None:
    before = tree(tiny.parent)
    result = call(
        "run", "--n", 30, "--k", 2, "--bias", -31, "--schedule", "cross-entropy", "--quiet", "--out", tiny
    )
    sentence = result.refusal
    assert "--samples" in sentence
    assert tree(tiny.parent) == before


@pytest.mark.parametrize("options", [["--bias", "11"], ["--bias", "-100"], ["--bias", "1e400"]])
def test_no_signal_can_be_measured_all_the_same(options: list[str], tmp_path: Path) -> None:
    grid = ("--n", "12", "--k", "2", "--schedule", "cross-entropy", "--samples", "32", "--replicates", "2")
    result = run_grid(tmp_path / "s.sqlite", *options, grid=grid)
    assert result.code in (0, 3), result


def _locked(path: Path) -> Any:
    return Store(path, write=True)


def _not_ours(path: Path) -> None:
    path.write_text("mine")


def _other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


STORE_REFUSALS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "locked": (_locked, "in use by another run"),
    "not ours": (_not_ours, "not one of our files"),
    "another program's": (_other_database, "another program"),
    "newer": (_newer, "newer version (schema 99"),
}


@pytest.mark.parametrize("kind", STORE_REFUSALS)
def test_a_store_that_cannot_be_used_is_refused_and_left_alone(kind: str, tiny: Path) -> None:
    make, reason = STORE_REFUSALS[kind]
    held = make(tiny)
    before = tiny.read_bytes()
    result = run_grid(tiny, "--replicates", 9)
    assert reason in result.refusal
    assert str(tiny) in result.refusal
    assert tiny.read_bytes() == before
    for verb in ("status", "export"):
        result = call(verb, "--out", tiny)
        assert result.code == 0 if kind == "locked" else reason in result.refusal
    if held is not None:
        held.close()


@pytest.mark.parametrize("name", ["grid.png", "grid.svg", "grid.PNG"])
def test_a_store_is_never_overwritten_by_its_figure(name: str, tmp_path: Path) -> None:
    result = run_grid(tmp_path / name, "--replicates", 2, figures=True)
    if result.code == 2:
        assert name in result.refusal
        assert list(tmp_path.iterdir()) == []
    else:
        assert call("status", "--out", tmp_path / name).code == 0


def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    assert "is not a file" in run_grid(tmp_path).refusal
    assert "No such file or directory" in run_grid(tmp_path / "no" / "s.sqlite").refusal
    assert "File name too long" in run_grid(tmp_path / ("a" * 300)).refusal
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_does_not_depend_on_the_verb_being_named(tiny: Path) -> None:
    assert call("--n", "0", "--out", tiny).refusal == call("run", "--n", "0", "--out", tiny).refusal


def test_where_more_samples_are_needed_than_are_allowed_it_says_how_many(tmp_path: Path) -> None:
    options = ("--schedule", "cross-entropy", "--dry-run", "--out", tmp_path / "none")
    refusal = call("--n", 4095, "--k", 4, *options).refusal
    assert refusal == (
        "cross-entropy at n = 4095, k = 4 may need 9.4e+12 samples a student, more than the 8796093022208 that are "
        "allowed: give --samples up to that, or a smaller n"
    )
