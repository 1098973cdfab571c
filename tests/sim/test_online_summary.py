"""Medians and their intervals; the summary of given records; the table and the figure of them."""

import dataclasses
import io
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binom

from sim.online.cell import OnlineCell
from sim.online.options import no_theory
from sim.online.records import rows
from sim.online.summary import LEVEL, Median, OnlineSummary, OnlineSummaryOfCell
from sim.protocol.online import Online
from tests.sim.test_online_cell import PARITY, TAUGHT, TAUGHT_BY

INF = math.inf


def test_medians_and_their_levels() -> None:
    assert Median.of([]) is None
    assert Median.of([3.0]) == Median(3.0, 3.0, 3.0, 0.0, (3.0,))
    assert Median.of([1.0, 5.0, 3.0]) == Median(3.0, 1.0, 5.0, 0.75, (1.0, 5.0, 3.0))
    assert Median.of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == Median(
        3.5, 1.0, 6.0, 1 - 2 / 64, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    )
    # The pair that leaves one out on each side covers with 1 - 2 (1 + 9) / 512.
    nine = Median.of([float(i) for i in range(1, 10)])
    assert nine is not None
    assert (nine.low, nine.high, nine.level) == (2.0, 8.0, pytest.approx(1 - 20 / 512))


@pytest.mark.parametrize("R", [2, 5, 6, 8, 9, 64, 1000, 5000])
def test_levels_are_those_of_the_binomial_law(R: int) -> None:
    median = Median.of([float(i) for i in range(1, R + 1)])
    assert median is not None
    j = int(median.low)
    assert median.high == R + 1 - j
    assert median.level == pytest.approx(1 - 2 * binom.cdf(j - 1, R, 0.5), abs=1e-12)
    # The next pair is too narrow, or there is none.
    assert j == R // 2 or 1 - 2 * binom.cdf(j, R, 0.5) < LEVEL


def test_what_was_not_reached_counts_as_infinite() -> None:
    one = Median.of([INF, 2.0, 1.0])
    assert one is not None
    assert (one.value, one.low, one.high) == (2.0, 1.0, INF)
    two = Median.of([INF, 2.0, INF])
    assert two is not None
    assert (two.value, two.low, two.high) == (INF, 2.0, INF)
    even = Median.of([1.0, 2.0, INF, INF])
    assert even is not None
    assert even.value == INF


@given(st.lists(st.one_of(st.floats(0, 1e9), st.just(INF)), min_size=1, max_size=60))
def test_an_interval_holds_its_median_and_does_not_depend_on_the_order(values: list[float]) -> None:
    median = Median.of(values)
    again = Median.of(sorted(values, reverse=True))
    assert median is not None
    assert again is not None
    assert median.low <= median.value <= median.high
    assert (median.value, median.low, median.high) == (again.value, again.low, again.high)
    assert (median.level >= LEVEL) == (len(values) >= 6)


@pytest.mark.parametrize("R", range(2, 13))
def test_the_interval_covers_the_median_as_often_as_it_says(R: int) -> None:
    # Of R independent values each lies below the distribution's median, 0, or above it, equally often.
    hits = 0
    for signs in itertools.product((-1, 1), repeat=R):
        median = Median.of([sign * (1.0 + i) for i, sign in enumerate(signs)])
        assert median is not None
        hits += median.low <= 0 <= median.high
    assert median is not None
    assert hits / 2**R == pytest.approx(median.level, abs=1e-12)


def record(cell: OnlineCell, accuracies: list[float | None], **changes: Any) -> dict[str, Any]:
    points = list(cell.log_points())
    assert len(points) == len(accuracies)
    return {
        "status": "OK",
        "diverged_at": None,
        "batch": 1,
        "steps": points,
        "accuracy": accuracies,
        "agreement": [None] * len(points),
        "loss": accuracies,
        "held_out": accuracies,
        "checkpoints": [],
        **changes,
    }


def summary_of(*parts: tuple[OnlineCell, dict[int, dict[str, Any]], int]) -> OnlineSummary:
    return OnlineSummary(tuple(OnlineSummaryOfCell(cell, no_theory(), r, n) for cell, r, n in parts))


LOST = {"status": "DIVERGED", "diverged_at": 250, "held_out": [0.5, None, None]}
EARLY, LATE, NEVER = [0.7, 0.95, 1.0], [0.5, 0.5, 0.95], [0.5, 0.55, 0.59]


def test_a_cell_says_when_its_students_got_there() -> None:
    records = {0: record(PARITY, EARLY), 1: record(PARITY, LATE), 2: record(PARITY, NEVER)}
    (cell,) = summary_of((PARITY, records, 3)).cells
    found = {threshold: median and median.values for threshold, median in cell.samples_to.items()}
    assert found == {0.6: (200.0, 600.0, INF), 0.9: (400.0, 600.0, INF), 0.99: (600.0, INF, INF)}
    assert cell.final_accuracy == Median(0.95, 0.59, 1.0, 0.75, (1.0, 0.95, 0.59))
    assert cell.status() == "OK"


def test_who_diverged_is_shown_and_in_no_median() -> None:
    records = {0: record(PARITY, EARLY), 1: record(PARITY, EARLY, **LOST), 2: record(PARITY, EARLY)}
    summary = summary_of((PARITY, records, 3))
    (cell,) = summary.cells
    assert cell.samples_to[0.9] == Median(400.0, 400.0, 400.0, 0.5, (400.0, 400.0))
    assert cell.status() == "1 of 3 DIVERGED at step 250"
    assert (summary.complete, summary.diverged, summary.exit_code) == (True, 1, 3)
    value = summary.json()["cells"][0]
    assert value["diverged"] == {"1": 250}


def test_who_is_missing_is_shown() -> None:
    summary = summary_of((PARITY, {0: record(PARITY, EARLY)}, 3))
    assert summary.cells[0].status() == "1 of 3"
    assert (summary.complete, summary.exit_code) == (False, 3)
    assert summary_of((PARITY, {0: record(PARITY, EARLY)}, 1)).exit_code == 0
    assert summary_of((PARITY, {}, 1)).exit_code == 3


def of_seed(seed: int) -> OnlineCell:
    return dataclasses.replace(PARITY, seed=seed)


def test_over_seeds_each_seed_counts_once() -> None:
    many = {r: record(PARITY, EARLY) for r in range(5)}
    cells = [
        (of_seed(0), many, 5),
        (of_seed(1), {0: record(PARITY, LATE)}, 1),
        (of_seed(2), {0: record(PARITY, NEVER)}, 1),
    ]
    (pool,) = summary_of(*cells).pooled
    median = pool.samples_to[0.9]
    assert median == Median(600.0, 400.0, INF, 0.75, (400.0, 600.0, INF))
    assert summary_of(*cells[:1]).pooled == ()


def longer(cell: OnlineCell) -> OnlineCell:
    """The same but for its teacher's steps."""
    assert cell.teacher is not None
    teacher = dataclasses.replace(cell.teacher, steps=1600, checkpoint_every=1600)
    return dataclasses.replace(cell, teacher=teacher)


def test_students_of_a_longer_teacher_are_no_other_seed() -> None:
    rows: list[float | None] = [0.5] * 8
    summary = summary_of(
        *((cell, {0: record(cell, EARLY)}, 1) for cell in (TAUGHT, longer(TAUGHT))),
        (longer(TAUGHT_BY), {0: record(longer(TAUGHT_BY), rows)}, 1),
    )
    assert summary.pooled == ()
    assert "all 2" not in printed(summary)
    titles = [axes.get_title(loc="left") for axes in summary.figure().figure.axes]
    assert titles == [f"n = 9, k = 2, {TAUGHT_BY.series}, {steps} steps" for steps in (1600, 800)]
    of_longer = [summary.teacher_of(cell) for cell in summary.cells]
    assert of_longer == [None, summary.cells[2], None]


def test_seeds_are_pooled_whoever_teaches() -> None:
    assert TAUGHT.teacher is not None
    other = dataclasses.replace(TAUGHT, seed=1, teacher=dataclasses.replace(TAUGHT.teacher, seed=1))
    (pool,) = summary_of(*((cell, {0: record(cell, EARLY)}, 1) for cell in (TAUGHT, other))).pooled
    assert [cell.cell.seed for cell in pool.cells] == [0, 1]


def test_numbers_of_samples_are_exact_in_the_table() -> None:
    cell = dataclasses.replace(PARITY, steps=12_345_700, log_every=12_345_700)
    text = printed(summary_of((cell, {0: record(cell, [1.0])}, 1)))
    assert "12345700" in text
    halves = {r: record(PARITY, row) for r, row in enumerate((EARLY, LATE))}
    assert "500 [400, 600]" in printed(summary_of((PARITY, halves, 2)))


def printed(summary: OnlineSummary) -> str:
    file = io.StringIO()
    summary.print(Console(width=160, file=file))
    return file.getvalue()


def everything() -> OnlineSummary:
    teacher_rows: list[float | None] = [0.5, 0.5, 0.8, 1.0]
    return summary_of(
        (TAUGHT_BY, {0: record(TAUGHT_BY, teacher_rows)}, 1),
        (TAUGHT, {0: record(TAUGHT, LATE), 1: record(TAUGHT, EARLY, **LOST)}, 3),
        *((of_seed(seed), {0: record(PARITY, NEVER)}, 1) for seed in (0, 1)),
    )


def test_the_table_has_a_row_a_cell_and_says_what_its_intervals_are() -> None:
    text = printed(everything())
    for part in (
        "teachers, n = 9, k = 2",
        "400..800",
        "one-shot τ=1",
        "2 of 3, 1 of 2 DIVERGED at step 250",
        "all 2",
        "order statistics",
        "share teacher and samples",
        "No bound speaks",
        "INCOMPLETE, 1 diverged",
        "∞",
    ):
        assert part in text, part
    assert "CONSISTENT" not in text.upper().replace("INCONSISTENT", "")


def test_json_has_everything_of_the_table() -> None:
    value = json.loads(json.dumps(everything().json(), allow_nan=False))
    teacher, student, *_ = value["cells"]
    assert teacher["transition"] == {
        "start": 400,
        "end": 800,
        "crossings": [
            {"accuracy": a, "samples": s, "interval": [s, s]}
            for a, s in ((0.55, 600), (0.75, 600), (0.95, 800))
        ],
    }
    assert student["teacher_cell"] == TAUGHT_BY.id
    assert student["samples_to"]["0.9"] == {
        "median": 600.0,
        "interval": None,
        "level": 0.0,
        "values": [600.0],
    }
    assert student["samples_to"]["0.99"]["median"] is None
    assert value["over_seeds"][0]["seeds"] == [0, 1]
    assert value["theory"] == no_theory()["statement"]


def test_explanations_show_the_curve() -> None:
    text = "\n".join(summary_of((TAUGHT_BY, {0: record(TAUGHT_BY, [0.5, 0.5, 0.8, 1.0])}, 1)).explain())
    assert text.count(" samples  ") == 4
    assert "transition: 400..800" in text
    text = "\n".join(
        summary_of((TAUGHT, {0: record(TAUGHT, EARLY), 1: record(TAUGHT, LATE, **LOST)}, 2)).explain()
    )
    for part in (TAUGHT.id, TAUGHT_BY.id[:12], "replicate 1: DIVERGED at step 250", "theory: No bound"):
        assert part in text


@pytest.mark.parametrize("kind", ["nothing", "no records", "all diverged", "everything", "many"])
def test_degenerate_summaries_are_printed_and_drawn(kind: str) -> None:
    summary = {
        "nothing": summary_of(),
        "no records": summary_of((TAUGHT_BY, {}, 1), (TAUGHT, {}, 3), (PARITY, {}, 3)),
        "all diverged": summary_of(
            (TAUGHT_BY, {0: record(TAUGHT_BY, [None] * 4, status="DIVERGED", diverged_at=0)}, 1),
            (TAUGHT, {0: record(TAUGHT, [None] * 3, status="TEACHER DIVERGED", diverged_at=0)}, 1),
        ),
        "everything": everything(),
        "many": summary_of(
            *(
                (dataclasses.replace(PARITY, n=n, seed=seed), {0: record(PARITY, EARLY)}, 1)
                for n, seed in itertools.product(range(9, 30), range(2))
            )
        ),
    }[kind]
    printed(summary)
    json.dumps(summary.json(), allow_nan=False)
    list(summary.explain())
    assert summary.figure().figure.axes


def test_every_row_of_the_table_has_every_column() -> None:
    records = {0: record(TAUGHT, EARLY, checkpoints=[[0, 200], [200, 400], [500, 800]])}
    found = [dict(zip(Online.columns, row, strict=True)) for row in rows(TAUGHT, records)]
    assert [row["checkpoint"] for row in found] == [200, 400, 800]
    assert [row["samples"] for row in found] == [200, 400, 600]
    assert {*Online.integers, *Online.reals} < set(Online.columns)
    for row in found:
        for name, value in row.items():
            kind = int if name in Online.integers else float if name in Online.reals else str
            assert value is None or isinstance(value, kind), name


PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"status": "FINE"}, "no status"),
    ({"steps": [200, 400]}, "not the 3 steps"),
    ({"held_out": [0.5]}, "no held_out for each of 3"),
    ({"held_out": None}, "no held_out"),
    ({"held_out": [0.5, 0.6, 1.7]}, "no share"),
    ({"held_out": [0.5, 0.6, "1"]}, "no share"),
    ({"held_out": [0.5, 0.6, None]}, "OK and no held-out"),
    ({"loss": [0.5, 0.6, True]}, "no number"),
    ({"diverged_at": 7}, "does not go with"),
    ({"status": "DIVERGED"}, "does not go with"),
    ({"checkpoints": 7}, "no list of checkpoints"),
    ({"checkpoints": [[1]]}, "no list of checkpoints"),
]


@pytest.mark.parametrize(("change", "part"), PROBLEMS)
def test_a_payload_that_is_no_record_is_noticed(change: dict[str, Any], part: str) -> None:
    good = record(TAUGHT, EARLY)
    assert Online().problem(TAUGHT, good) is None
    assert part in str(Online().problem(TAUGHT, good | change))
    missing = {name: value for name, value in good.items() if name not in change}
    assert Online().problem(TAUGHT, missing) is not None
