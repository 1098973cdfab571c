"""Options of the two-stage protocol: refusals, what each changes, defaults."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.sim.conftest import TINY, Result, call, tree, without_costs
from theory.enclosure import upper
from theory.second_stage import OnlineHinge
from theory.signed_step import SignedStep, exact_sufficient, loss_floor
from theory.targets import EqualTeacher
from theory.teacher import degree_one_mean_square

SMALL = ("--protocol", "two-stage", "--n", "9", "--k", "2", "--schedule", "progressive", "--replicates", "2")
SIZES = ("--samples", "16", "--second", "32")


def dry_run(*options: object) -> Result:
    return call("run", *options, "--dry-run", "--json", "--workers", 1, "--out", "/nonexistent/s.sqlite")


def cells(*options: object) -> list[dict[str, Any]]:
    result = dry_run(*SMALL, *options)
    assert result.code == 0, result
    return without_costs(result.json["cells"])


REFUSALS: list[tuple[list[str], list[str]]] = [
    (["--n", "2"], ["n = 2 equals k", "n > k"]),
    (["--n", "1"], ["k = 2", "n = 1"]),
    (["--k", "3"], ["k = 3 is odd", "even k"]),
    (["--k", "11", "--n", "20"], ["k = 11"]),
    (["--loss", "0"], ["loss 0", "0 < loss < 1"]),
    (["--loss", "x"], ["--loss 'x'", "0.1,0.01"]),
    (["--loss", "0.1,"], ["empty entry"]),
    (["--loss", "0.5"], ["loss 0.5", "1/2", "k = 2"]),
    (["--loss", "0.25"], ["loss 0.25", "1/4", "error"]),
    (["--loss", "1e-9"], ["loss 1e-09", "--second"]),
    (["--student", "wise"], ["'wise'", "signed, biases"]),
    (["--width", "8"], ["--width 8", "no effect", "biases"]),
    (["--student", "biases", "--dead-zone", "1/4"], ["--dead-zone 1/4", "no effect", "signed"]),
    (["--student", "biases", "--width", "7"], ["width 7", "even number"]),
    (["--student", "biases", "--width", "0"], ["width 0"]),
    (["--student", "biases", "--loss", "1"], ["loss 1", "0 < loss < 1"]),
    (["--dead-zone", "0"], ["dead zone 0"]),
    (["--dead-zone", "-1"], ["dead zone -1"]),
    (["--dead-zone", "wide"], ["--dead-zone 'wide'"]),
    (["--dead-zone", "1/5"], ["no bound speaks of dead zone 1/5", "--samples", "1/4"]),
    (["--second", "0"], ["second 0"]),
    (["--second", "1e12"], ["second 1000000000000"]),
    (["--second", "x"], ["--second 'x'"]),
    (["--samples", "0"], ["samples 0"]),
    (["--delta", "0.3"], ["delta 0.3"]),
    (["--resolution", "0"], ["resolution 0"]),
    (["--replicates", "0"], ["replicates 0"]),
    (["--seed", "0,1"], ["--seed '0,1'", "not a whole number"]),
    (["--teacher", "final"], ["'final'"]),
    (["--teacher-width", "8"], ["--teacher-width 8", "no effect"]),
    (["--teacher-error", "1"], ["no effect", "one-shot"]),
    (["--degree", "1"], ["no effect", "low-degree"]),
    (["--teacher", "phase-1", "--labels", "hard"], ["--dead-zone", "1/16"]),
    (["--schedule", "one-shot", "--teacher-error", "1/2"], ["no dead zone serves", "--dead-zone"]),
    (["--bias", "1"], ["--bias 1", "no effect under protocol two-stage", "first-step"]),
    (["--lr", "1"], ["--lr 1", "no effect under protocol two-stage", "online"]),
]


@pytest.mark.parametrize(("options", "parts"), REFUSALS, ids=lambda value: " ".join(value)[:60])
def test_a_bad_option_is_one_sentence_and_nothing_is_written(
    options: list[str], parts: list[str], tmp_path: Path
) -> None:
    sentence = call("run", *SMALL, "--quiet", "--out", tmp_path / "s.sqlite", *options).refusal
    for part in parts:
        assert part in sentence
    assert len(sentence) < 400
    assert list(tmp_path.iterdir()) == []


OWN = [["--student", "signed"], ["--loss", "0.1"], ["--second", "9"], ["--dead-zone", "1"]]


@pytest.mark.parametrize("option", OWN, ids=str)
def test_its_options_are_refused_by_the_others(option: list[str], tiny: Path) -> None:
    before = tree(tiny.parent)
    sentence = call("run", *TINY, *option, "--out", tiny).refusal
    assert (
        f"{option[0]} {option[1]} has no effect under protocol first-step: it is for protocol two-stage"
        in sentence
    )
    assert tree(tiny.parent) == before


CHANGES = [
    ({"n"}, ["--n", "11"]),
    ({"k"}, ["--k", "4"]),
    ({"schedule"}, ["--schedule", "low-degree"]),
    ({"student", "dead_zone", "width"}, ["--student", "biases"]),
    ({"dead_zone"}, ["--dead-zone", "1/5"]),
    ({"first"}, ["--samples", "20"]),
    ({"second"}, ["--second", "33"]),
    ({"resolution"}, ["--resolution", "3"]),
    ({"seed"}, ["--seed", "1"]),
    ({"schedule", "dead_zone"}, ["--labels", "hard"]),
    ({"schedule", "dead_zone"}, ["--teacher", "phase-1"]),
    (set(), ["--replicates", "3"]),
    (set(), ["--delta", "0.01"]),
    (set(), ["--loss", "0.05"]),
]


@pytest.mark.parametrize(("fields", "option"), CHANGES, ids=str)
def test_an_option_changes_its_part_of_the_cell(fields: set[str], option: list[str]) -> None:
    (base,), (changed,) = cells(*SIZES), cells(*SIZES, *option)
    ignored = {"id", "label", "missing"}
    different = {f for f in {*base, *changed} - ignored if base.get(f) != changed.get(f)}
    assert different == fields
    assert (base["id"] != changed["id"]) == bool(fields)
    assert (base["missing"] != changed["missing"]) == ("--replicates" in option)


def test_horizons_are_what_the_bounds_ask() -> None:
    (cell,) = cells("--n", "21", "--loss", "0.1,0.05", "--delta", "0.2")
    delta = Fraction(0.2)
    assert cell["first"] == exact_sufficient(21, 10, EqualTeacher((1, 1)), Fraction(0.2 / 50))[1]
    assert cell["second"] == -(-upper(OnlineHinge.of_knots(2).confident(Fraction(1, 20), delta / 2)) // 1)
    (other,) = cells("--n", "21", "--loss", "0.1")
    assert other["second"] < cell["second"]


def test_defaults_are_what_the_help_says() -> None:
    assert cells() == cells("--loss", "0.01,0.1", "--student", "signed", "--delta", "0.1", "--seed", "0")
    assert cells(*SIZES) == cells(*SIZES, "--dead-zone", "0.25", "--resolution", "2")
    wide = cells("--student", "biases")
    assert wide == cells(
        "--student", "biases", "--width", "64", "--samples", str(2**20), "--second", str(2**17)
    )
    whole = dry_run("--protocol", "two-stage", *SIZES).json["cells"]
    assert [(c["k"], c["n"]) for c in whole] == [
        (k, n) for k in (2, 4) for _ in range(3) for n in (51, 101, 151, 201)
    ]
    assert {c["missing"] for c in whole} == {128}


def test_dead_zones_follow_their_rules() -> None:
    (leaky,) = cells("--schedule", "one-shot", "--n", "21", *SIZES)
    (cross,) = cells("--schedule", "cross-entropy", "--n", "21", *SIZES)
    assert Fraction(leaky["dead_zone"]) < Fraction(cross["dead_zone"]) < Fraction(1, 20)
    (equal,) = cells("--n", "21", *SIZES)
    assert (
        Fraction(equal["dead_zone"])
        == SignedStep.of(21, 10, EqualTeacher((1, 1))).dead_zone
        == Fraction(1, 4)
    )
    (drawn,) = cells("--teacher", "phase-1", "--teacher-width", "64", *SIZES)
    zone = Fraction(drawn["dead_zone"])
    assert (
        0 <= degree_one_mean_square(2, 64) / 16 - zone**2 < 2 * zone * Fraction(1, 2**24) + Fraction(1, 2**40)
    )
    (phase,) = cells("--teacher", "phase-1")
    assert phase["first"] == 2**17


def test_losses_at_the_floors_are_refused_and_just_below_are_not() -> None:
    for k in (2, 4):
        floor = loss_floor(k) / 2
        below = cells("--n", "9", "--k", str(k), *SIZES, "--loss", str(floor - Fraction(1, 1000)))
        assert len(below) == 1
        assert f"not below {floor}" in dry_run(*SMALL, "--k", k, *SIZES, "--loss", floor).refusal
