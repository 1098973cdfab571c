import json
import math
import subprocess
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import catalogue, listing
from theory.__main__ import main
from theory.bounds import REGISTRY
from theory.enclosure import Enclosure
from theory.listing import interval, rounded, table

ROOT = Path(__file__).parents[2]
Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: str) -> str:
    """The output of a command that works; nothing goes to the other stream."""
    assert main(arguments) == 0
    output, complaints = capsys.readouterr()
    assert complaints == ""
    return output


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def read(text: str) -> dict[str, Any]:
    result = json.loads(text, parse_constant=refuse_constant)
    assert isinstance(result, dict)
    return result


# The list.


def test_the_list_has_every_bound_in_110_columns(capsys: Captured) -> None:
    lines = run(capsys).splitlines()
    assert max(map(len, lines)) <= 110
    starts = [line.split()[0] for line in lines if line and not line.startswith(" ")]
    assert starts[: 1 + len(REGISTRY)] == ["bound", *REGISTRY]
    row = next(line for line in lines if line.startswith("paper-one-shot"))
    assert row.split()[1:4] == ["~lower", "quoted", "n^3"]
    text = " ".join(" ".join(lines).split())
    for theorem in catalogue.theorems():
        assert theorem.statement in text


def test_the_list_as_json(capsys: Captured) -> None:
    bounds = read(run(capsys, "--json"))["bounds"]
    assert [bound["name"] for bound in bounds] == list(REGISTRY)
    by_name = {bound["name"]: bound for bound in bounds}
    gap = by_name["barak-gap"]
    assert (gap["kind"], gap["side"], gap["standing"]) == ("lower", "lower", "proved")
    assert (gap["growth"]["exponent"], gap["growth"]["constant"], gap["growth"]["text"]) == (
        "-3/2",
        "3/100",
        "n^(-3/2)",
    )
    assert [source["standing"] for source in gap["sources"]] == ["read", "recalled"]
    assert by_name["paper-progressive"]["side"] == "upper"
    assert by_name["B1-intermediate"]["growth"]["labels"] == "equal"
    delta = by_name["B2"]["parameters"][2]
    assert (delta["name"], delta["default"], delta["range"]) == ("delta", "1/10", "(0, 1)")


def test_all_works_are_cited_once(capsys: Captured) -> None:
    text = run(capsys, "--cite")
    keys = [line for line in text.splitlines() if line.startswith("@")]
    assert len(keys) == len(set(keys)) == len(catalogue.references(*catalogue.theorems()))
    assert "@inproceedings{panigrahi2025progressive," in keys


def test_the_page(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.page.page", lambda: "# Bounds\n")
    assert run(capsys, "--page") == "# Bounds\n"


# One bound.


@pytest.mark.parametrize("name", ["barak-gap", "paper-progressive", "gaussian-elimination", "T2"])
def test_all_about_one(capsys: Captured, name: str) -> None:
    theorem = REGISTRY[name]()
    output = run(capsys, name)
    assert output.startswith(f"{name}: ")
    assert theorem.standing.value in output.splitlines()[0]
    assert catalogue.documentation(theorem) in output
    for parameter in theorem.parameters:
        line = next(line for line in output.splitlines() if line.strip().startswith(f"--{parameter.name} "))
        assert parameter.meaning in line
        assert parameter.range in line
        assert ("needed" if parameter.default is None else str(parameter.default)) in line
    assert max(map(len, output.splitlines())) <= 120


def test_one_as_json_has_its_docstring(capsys: Captured) -> None:
    found = read(run(capsys, "sq-dimension", "--json"))
    assert "**Proof.**" in found["documentation"]
    assert found["growth"]["text"] == "n^4"


def test_latex_and_sources(capsys: Captured) -> None:
    assert run(capsys, "kou-sign-sgd", "--latex") == "n^{k - 1}\n"
    assert run(capsys, "kou-sign-sgd", "--cite").startswith(
        "@inproceedings{kou2024matching,\n  author = {Kou"
    )


# Values.


def test_values_over_ranges(capsys: Captured) -> None:
    output = run(capsys, "B2", "--n", "50..200", "--k", "2,4", "--delta", "0.1")
    lines = output.splitlines()
    assert "delta = 1/10, bias = 0, labels = parity" in lines
    rows = [line.split() for line in lines[4:]]
    assert rows[0] == ["n", "k", "value", "enclosure"]
    assert [row[:2] for row in rows[1:]] == [[str(n), str(k)] for n in (50, 100, 150, 200) for k in (2, 4)]
    for n, k, value, low, high in (row for row in rows[1:]):
        exact = REGISTRY["B2"]().evaluate(n=int(n), k=int(k)).enclosure
        assert Decimal(value) == Decimal(low.strip("[,")) <= Decimal(exact.lower)
        assert Decimal(exact.upper) <= Decimal(high.strip("]"))


@pytest.mark.parametrize(("name", "more"), [("B1", []), ("B1-intermediate", ["--labels", "equal"])])
def test_upper_bounds_are_rounded_up(capsys: Captured, name: str, more: list[str]) -> None:
    *_, row = run(capsys, name, "--n", "51", "--k", "2", *more).splitlines()
    value = catalogue.evaluate(
        REGISTRY[name](), {"n": 51, "k": 2, **dict(zip(["labels"], more[1:], strict=False))}
    )
    shown = Decimal(row.split()[2])
    assert Decimal(value.value.value) <= shown <= Decimal(value.value.value) * Decimal("1.00001")


def test_options_come_from_the_parameters(capsys: Captured) -> None:
    leaky = run(
        capsys, "B2-leaky", "--n", "51", "--labels", "leaky", "--c", "2", "--bias", "-1/3", "--delta=1/7"
    )
    assert "delta = 1/7, bias = -1/3, labels = leaky, c = 2" in leaky
    assert "surplus = 3" in run(capsys, "gaussian-elimination", "--n", "5", "--surplus", "3")
    with pytest.raises(SystemExit) as stopped:
        main(["edelman-iterates", "--help"])
    assert stopped.value.code == 0
    usage = capsys.readouterr().out
    for parameter in REGISTRY["edelman-iterates"]().parameters:
        assert f"--{parameter.name} VALUE" in usage


def test_a_bound_without_n(capsys: Captured) -> None:
    rows = [line.split() for line in run(capsys, "T2", "--k", "2..3").splitlines() if line[:1].isdigit()]
    assert [row[0] for row in rows] == ["2", "3"]
    assert Decimal(rows[0][1]) < Decimal(rows[1][1])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["barak-gap", "--n", "50..53:1", "--k", "2..4"], "said at n = 50, 52: it is assumed that n is odd."),
        (["barak-gap", "--n", "50..53:1", "--k", "2..4"], "said at k = 3: it is assumed that k is even."),
        (["barak-gap", "--n", "5,9", "--k", "2,4"], "Nothing is said at n = 5, k = 4: it is assumed that n >= 2k + 1."),
        (["barak-gap", "--n", "50"], "Nothing is said here: it is assumed that n is odd."),
        (["barak-gap", "--n", "50,52"], "Nothing is said in any row: it is assumed that n is odd."),
        (["B2", "--n", "50", "--delta", "1/3"], "Nothing is said here: the bound is trivial there."),
        (["B2", "--n", "21,50", "--k", "3"], "The bound is infinite at n = 21: no number of samples is enough."),
        (["barak-mlp", "--n", "51", "--k", "2,4"], "growth in n is known: n^3 log n at k = 2, n^5 log n at k = 4."),
        (["paper-one-shot", "--n", "51", "--labels", "leaky", "--c", "1"], "growth in n is known: n^2 at k = 4."),
        (["paper-one-shot", "--n", "51", "--labels", "equal"], "No growth is known for these labels."),
    ],
)  # fmt: skip
def test_what_is_not_said_is_said(capsys: Captured, arguments: list[str], sentence: str) -> None:
    assert sentence in " ".join(run(capsys, *arguments).split())


def test_many_failures_are_summarised(capsys: Captured) -> None:
    output = " ".join(run(capsys, "barak-gap", "--n", "50..80:2").split())
    assert "Nothing is said in any row: it is assumed that n is odd." in output
    output = " ".join(run(capsys, "barak-gap", "--n", "50..81:1").split())
    assert "at n = 50, 52, 54, 56, 58, 60, 62, 64 and 8 more: it is assumed that n is odd." in output


def test_values_as_json(capsys: Captured) -> None:
    found = read(run(capsys, "B2", "--n", "51", "--k", "2..4", "--json"))
    assert found["name"] == "B2"
    assert "growth" not in found
    says = [row["says"] for row in found["rows"]]
    assert says == ["value", "infinite", "value"]
    first, second, _ = found["rows"]
    assert first["parameters"] == {"n": 51, "k": 2, "delta": "1/10", "bias": "0", "labels": "parity"}
    exact = REGISTRY["B2"]().evaluate(n=51, k=2)
    assert first["value"] == exact.value
    assert first["enclosure"] == [exact.enclosure.lower, exact.enclosure.upper]
    assert second["value"] is None
    failed = read(run(capsys, "barak-gap", "--n", "50", "--json"))["rows"][0]
    assert (failed["says"], failed["value"]) == ("nothing", None)
    assert {one["statement"]: one["holds"] for one in failed["assumptions"]}["n is odd"] is False
    growing = read(run(capsys, "paper-progressive", "--n", "50", "--json"))
    assert growing["rows"][0]["says"] == "growth"
    assert growing["rows"][0]["enclosure"] == [None, None]
    assert growing["growth"]["4"]["text"] == "n^2"
    unbounded = read(run(capsys, "B1-intermediate", "--n", "51", "--json"))["rows"][0]
    assert (unbounded["says"], unbounded["enclosure"]) == ("nothing", [None, None])


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["B3"], ["'B3'", "nearest is B2"]),
        (["sq-dimensoin"], ["'sq-dimensoin'", "nearest is sq-dimension"]),
        (["PAPER-ONE-SHOT"], ["nearest is paper-one-shot"]),
        (["x" * 5000], ["is unknown"]),
        ([""], ["''", "is unknown"]),
        (["B2", "--n", "abc"], ["--n 'abc'", "is not a range"]),
        (["B2", "--n", "200..50"], ["--n '200..50'", "reversed"]),
        (["B2", "--n", "50..60:0"], ["step 0"]),
        (["B2", "--n", "1..9000:1", "--k", "1..16"], ["144000 rows", "10000"]),
        (["B2", "--n", "0"], ["n = 0", "at least 1"]),
        (["B2", "--n", "50", "--k", "17"], ["k = 17", "1..16"]),
        (["B2", "--n", "4", "--k", "4"], ["n = 4", "n > k"]),
        (["B2", "--n", "50", "--delta", "2"], ["delta = 2", "(0, 1)"]),
        (["B2", "--n", "50", "--delta", "nan"], ["delta = 'nan'"]),
        (["B2", "--n", "50", "--delta", "1/0"], ["delta = '1/0'"]),
        (["B2", "--n", "50", "--labels", "none"], ["labels = 'none'", "'leaky'"]),
        (["B2", "--n", "50", "--c", "2"], ["c = 2", "no effect"]),
        (["gaussian-elimination", "--n", "50", "--surplus", "1.5"], ["surplus = '1.5'", "whole number"]),
        (["gaussian-elimination", "--n", "50", "--surplus", "-1"], ["surplus = -1"]),
        (["gaussian-elimination", "--n", "50", "--k", "4"], ["no option '--k'", "--surplus"]),
        (["B2", "--delta", "0.1"], ["needs --n", "dimension"]),
        (["B2", "--foo", "3"], ["no option '--foo'", "--delta"]),
        (["B2", "50"], ["no option '50'"]),
        (["B2", "--n"], ["--n", "expected one argument"]),
        (["B2", "--n", "50", "--latex"], ["--latex", "without --n"]),
        (["B2", "--json", "--latex"], ["not allowed"]),
        (["--n", "50", "B2"], ["'--n'", "no bound before it"]),
        (["--frobnicate"], ["'--frobnicate'"]),
    ],
)
def test_refusals_are_one_sentence(capsys: Captured, arguments: Sequence[str], words: Sequence[str]) -> None:
    assert main(arguments) == 2
    output, complaint = capsys.readouterr()
    assert output == ""
    assert complaint.startswith("error: ")
    assert complaint.endswith("\n")
    assert "\n" not in complaint[:-1]
    assert len(complaint) < 300
    for word in words:
        assert word in complaint


def test_an_interruption_ends_cleanly(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "evaluate", interrupted)
    assert main(["B2", "--n", "50"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "theory", "gaussian-elimination-samples", "--n", "1..50:1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 141


# Numbers as text.


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_keeps_its_side_and_six_digits(value: float) -> None:
    low, high = Decimal(rounded(value, ROUND_FLOOR)), Decimal(rounded(value, ROUND_CEILING))
    assert low <= Decimal(value) <= high
    assert high - low <= abs(Decimal(value)) * Decimal("1.0001e-5")
    for one in (low, high):
        assert len(one.normalize().as_tuple().digits) <= 6


def test_a_number_rounded_to_the_wrong_side_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    value = REGISTRY["B2"]().evaluate(n=50, k=2)
    assert Decimal(listing.safe(value)) <= Decimal(value.value)
    monkeypatch.setattr(listing, "_ROUNDING", {value.kind: ROUND_CEILING})
    assert Decimal(listing.safe(value)) > Decimal(value.value)


def test_numbers_are_short() -> None:
    assert [rounded(x) for x in (0.0, 1.0, 104.0, 1e6, 999999.0, 1234567.0, 1e-4, 0.00001234, -2.5)] == [
        "0", "1", "104", "1e+06", "999999", "1.23457e+06", "0.0001", "1.234e-05", "-2.5",
    ]  # fmt: skip
    assert [rounded(x) for x in (math.inf, -math.inf, math.nan)] == ["inf", "-inf", "-"]
    assert interval(Enclosure(-math.inf, math.inf)) == "-"
    assert interval(Enclosure(0.1, 0.2)) == "[0.1, 0.200001]"
    assert interval(Enclosure(math.inf, math.inf)) == "[inf, inf]"


def test_tables_are_aligned() -> None:
    assert table(("a", "long"), [("123", "x")], left=("a",)) == "a    long\n123     x"
