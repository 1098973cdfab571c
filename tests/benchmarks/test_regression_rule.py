"""The rule by which a case is called slower: its level is exact, it finds slowdowns, its report names the kernel."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import binom

from benchmarks.regression import report
from benchmarks.regression.cases import LEVELS, MOST_CASES, selected
from benchmarks.regression.comparison import Comparison, Row, accepted, rows_of
from benchmarks.regression.rule import RATE, Interval, interval, needed, power, settled, tail
from benchmarks.regression.self_test import read
from benchmarks.regression.timing import SIDES, Times, one_round
from sim.errors import SimError
from tests.statistics import assert_proportion

ROUNDS, CASES = 56, 30  # of the command; of a processor with AVX-512
NO_COUNTS: dict[str, dict[str, int | None]] = {side: {} for side in SIDES}
SOLO = "first_step: n = 100, 1 neuron, avx2"
HASH = "0123456789abcdef"


@pytest.mark.parametrize("rounds", [20, 21, 48, 56, 400])
def test_the_level_is_that_of_the_binomial_tail(rounds: int) -> None:
    count = needed(rounds, CASES)
    assert count is not None
    assert tail(rounds, count) == pytest.approx(float(binom.sf(count - 1, rounds, 0.5)), rel=1e-9)
    assert tail(rounds, count) <= RATE / CASES < tail(rounds, count - 1)
    assert power(rounds, count, 0.5) == pytest.approx(tail(rounds, count), rel=1e-9)


def test_the_number_of_cases() -> None:
    assert CASES == MOST_CASES == len(selected(LEVELS))


def test_too_few_rounds_prove_nothing() -> None:
    assert needed(8, CASES) is None


def test_versions_that_behave_alike_are_called_slower_as_often_as_declared() -> None:
    """All outcomes of the coin, for ratios that are as bad as can be."""
    magnitudes = [1.2, 1.11, 3.0, 1.5, 1.3, 9.0, 1.15, 2.0]
    for count in (5, 6, 8):
        alarms = sum(
            interval([m**side for m, side in zip(magnitudes, sides, strict=True)], count).verdict == "slower"
            for sides in itertools.product((1, -1), repeat=len(magnitudes))
        )
        assert alarms / 2 ** len(magnitudes) == tail(len(magnitudes), count)


def test_ending_early_changes_no_verdict() -> None:
    """Whatever the ratios: the verdict where timing ends once it is settled is that of all rounds."""
    draw = random.Random(5)
    count, rounds = needed(ROUNDS, CASES), ROUNDS
    assert count is not None
    ended = set()
    for _ in range(3000):
        centre, noise = draw.uniform(-0.25, 0.25), draw.choice([0.01, 0.1, 0.3])
        ratios = [draw.lognormvariate(centre, noise) for _ in range(rounds)]
        measured = next((r for r in range(rounds) if settled(ratios[:r], rounds - count)), rounds)
        verdict = interval(ratios[:measured], count).verdict
        assert verdict == interval(ratios, count).verdict
        ended.add((verdict, measured < rounds))
    assert {("slower", False), ("faster", False), ("alike", True)} <= ended
    assert not {("slower", True), ("faster", True)} & ended
    assert settled([1.0] * 12, 11)
    assert not settled([1.0] * 11, 11)
    assert not settled([1.2] * 40 + [1.0] * 11, 11)


def test_the_interval_is_of_order_statistics() -> None:
    assert interval([5.0, 1.0, 4.0, 2.0, 3.0], 4) == Interval(2.0, 3.0, 4.0)
    assert interval([4.0, 1.0, 2.0, 8.0], 3).median == pytest.approx(8**0.5)


def _noisy(factor: float, noise: float, seed: int) -> list[Times]:
    draw = random.Random(seed)
    before = [draw.lognormvariate(0, noise) for _ in range(ROUNDS)]
    after = [factor * draw.lognormvariate(0, noise) for _ in range(ROUNDS)]
    return [Times(SOLO, "first_step", "solo.h", before, after)]


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (1.0, 0.5, "alike"),
        (1.05, 0.03, "alike"),
        (1.2, 0.03, "slower"),
        (1.5, 0.1, "slower"),
        (0.8, 0.03, "faster"),
    ],
)
def test_verdicts_of_noisy_times(factor: float, noise: float, verdict: str) -> None:
    for seed in range(20):
        (row,) = rows_of(_noisy(factor, noise, seed), NO_COUNTS, {}, ROUNDS)
        assert row.verdict == verdict
        assert row.before is not None


def test_instructions_make_a_case_slower_unless_times_show_the_contrary() -> None:
    counts: dict[str, dict[str, int | None]] = {"before": {SOLO: 1000}, "after": {SOLO: 1101}}
    (counted,) = rows_of([], counts, {}, ROUNDS)
    assert (counted.verdict, counted.instructions) == ("slower", 1.101)
    (timed,) = rows_of(_noisy(0.8, 0.03, 1), counts, {}, ROUNDS)
    assert timed.verdict == "faster"
    (alike,) = rows_of(_noisy(1.0, 0.03, 1), counts, {}, ROUNDS)
    assert alike.verdict == "slower"
    assert rows_of([], {"before": {SOLO: 1000}, "after": {SOLO: 1100}}, {}, ROUNDS)[0].verdict == "alike"
    assert rows_of([], {"before": {SOLO: 1000}, "after": {SOLO: None}}, {}, ROUNDS) == []


def test_the_order_is_random_and_balanced() -> None:
    coin, calls, firsts = random.Random(1), list[str](), list[str]()

    def call(side: str) -> Callable[[], None]:
        return lambda: calls.append(side)

    for _ in range(4000):
        calls.clear()
        one_round({side: call(side) for side in SIDES}, coin)
        assert calls[:2] == calls[2:]
        assert set(calls) == set(SIDES)
        firsts.append(calls[0])
    changes = sum(a != b for a, b in itertools.pairwise(firsts))
    for claim, number, trials in (
        ("the old version is first", firsts.count("before"), len(firsts)),
        ("the order changes", changes, len(firsts) - 1),
    ):
        assert_proportion(number, trials, 0.5, alternative=0.42, rate=1e-8, claim=claim)


def test_the_shorter_of_two_turns_counts_for_the_version_that_took_it() -> None:
    ticks = itertools.accumulate([0, 5, 0, 50, 0, 7, 0, 40])
    (first,) = {random.Random(3).random() < 0.5}
    times = one_round(dict.fromkeys(SIDES, lambda: None), random.Random(3), lambda: next(ticks))
    assert times == ((5, 40) if first else (40, 5))


def test_the_report_names_the_kernel_and_the_case() -> None:
    rows = rows_of(_noisy(1.3, 0.01, 1), {"before": {SOLO: 100}, "after": {SOLO: 120}}, {}, ROUNDS)
    (sentence,) = report.sentences(rows)
    for part in ("kernels.first_step is slower", "solo.h", SOLO, "1.3", "1.200 times the instructions"):
        assert part in sentence
    assert "slower" in report.table(rows)
    assert report.as_json(rows)[0]["verdict"] == "slower"
    text = report.counting(Comparison(rows, ["a case"]), None)
    assert "no AVX-512" in text
    assert "a case" in text
    assert report.counting(Comparison(rows, []), "valgrind is not installed").endswith(
        "valgrind is not installed."
    )
    assert "1.10" in report.rule(ROUNDS)


def test_what_cannot_be_compared_does_not_fail() -> None:
    times = [Times(SOLO, "first_step", "solo.h", reason="AttributeError: no such function")]
    (row,) = rows_of(times, NO_COUNTS, {}, ROUNDS)
    assert row.verdict == "not comparable"
    assert report.sentences([row]) == []
    assert "no such function" in report.table([row])


def _file(folder: Path, text: str) -> Path:
    path = folder / "accepted.toml"
    path.write_text(text)
    return path


def test_accepted_slowdowns_expire_with_the_sources(tmp_path: Path) -> None:
    path = _file(tmp_path, f'["{HASH[:12]}"]\n"{SOLO}" = "the standard\'s rounds"\n')
    reasons = accepted(HASH, path)
    assert reasons == {SOLO: "the standard's rounds"}
    (row,) = rows_of(_noisy(1.3, 0.01, 1), NO_COUNTS, reasons, ROUNDS)
    assert row.verdict == "accepted"
    assert report.sentences([row]) == []
    assert "accepted: the standard's rounds" in report.table([row])
    assert accepted("f" * 64, path) == {}
    (alike,) = rows_of(_noisy(1.0, 0.01, 1), NO_COUNTS, reasons, ROUNDS)
    assert alike.verdict == "alike"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("= 3", "is no TOML"),
        ('["0123"]', "'0123', but must have tables called by at least 12 digits"),
        (f'{HASH} = "all"', "tables"),
        (f'["{HASH}"]\n"first_stop" = "x"', "'first_stop' = 'x', but must map a case"),
        (f'["{HASH}"]\n"{SOLO}" = ""', "to a reason"),
    ],
)
def test_a_bad_list_of_accepted_slowdowns_is_refused(text: str, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(SimError, match=wanted):
        accepted(HASH, _file(tmp_path, text))


def test_the_list_in_the_repository_is_right() -> None:
    assert accepted(HASH) == {}


def test_a_tally_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "tally.jsonl"
    assert read(path) == []
    path.write_text('\n{"seed": 1}\n{"se\n{"seed": 2}')
    assert read(path) == [{"seed": 1}, {"seed": 2}]


def test_a_row_knows_its_ratio() -> None:
    assert Row("a", "b", "c").instructions is None
    assert Row("a", "b", "c", instructions_before=2, instructions_after=3).instructions == 1.5
