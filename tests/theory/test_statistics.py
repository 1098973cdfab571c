import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

from tests import ledger_plugin, statistics
from tests.statistics import (
    LEDGER,
    Ledger,
    StatisticalFailure,
    UnderpoweredError,
    assert_mean,
    assert_proportion,
    assert_proportion_at_least,
    assert_proportion_at_most,
    assert_uniform,
    trials_needed,
)


@pytest.fixture(autouse=True)
def _own_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests call the assertions on purpose-made counts: nothing random, nothing for the suite's ledger."""
    monkeypatch.setattr(statistics, "LEDGER", Ledger())


@pytest.mark.parametrize(("rate", "p"), [(1e-6, 0.5), (1e-6, 0.97), (1e-2, 0.03)])
def test_proportion_fails_by_chance_at_most_at_its_rate_and_no_wider_than_needed(
    rate: float, p: float
) -> None:
    """Over all possible counts, exactly."""
    trials = 900
    failing = 0.0
    alternative = p - 0.15 if p > 0.5 else p + 0.15
    for count in range(trials + 1):
        if binom.pmf(count, trials, p) < 1e-12:
            continue
        try:
            assert_proportion(count, trials, p, alternative=alternative, rate=rate)
        except StatisticalFailure:
            failing += float(binom.pmf(count, trials, p))
    assert rate / 10 < failing <= rate


@pytest.mark.parametrize(
    ("count", "passes"), [(5000, True), (5200, True), (5300, False), (4800, True), (4700, False)]
)
def test_proportion(count: int, passes: bool) -> None:
    if passes:
        assert_proportion(count, 10_000, 0.5, alternative=0.55)
    else:
        with pytest.raises(StatisticalFailure, match=str(count)):
            assert_proportion(count, 10_000, 0.5, alternative=0.55)


def test_one_sided_proportions() -> None:
    assert_proportion_at_least(9990, 10_000, 0.9, alternative=0.8)
    assert_proportion_at_most(10, 10_000, 0.1, alternative=0.2)
    with pytest.raises(StatisticalFailure):
        assert_proportion_at_least(8800, 10_000, 0.9, alternative=0.8)
    with pytest.raises(StatisticalFailure):
        assert_proportion_at_most(1200, 10_000, 0.1, alternative=0.2)
    with pytest.raises(ValueError, match=r"alternative = 0\.95"):
        assert_proportion_at_least(9, 10, 0.9, alternative=0.95)


@pytest.mark.parametrize(
    "weak",
    [
        lambda: assert_proportion(50, 100, 0.5, alternative=0.55),
        lambda: assert_proportion_at_least(90, 100, 0.9, alternative=0.85),
        lambda: assert_proportion_at_most(10, 100, 0.1, alternative=0.15),
        lambda: assert_mean(0, 100, 0, 1, low=-1, high=1, shift=0.1),
        lambda: assert_uniform([10] * 10, alternative=0.15),
    ],
)
def test_assertions_that_could_not_notice_the_alternative_fail_first(weak: Callable[[], None]) -> None:
    with pytest.raises(UnderpoweredError, match="noticed with probability"):
        weak()
    assert not statistics.LEDGER.entries  # nothing was asserted, nothing is charged


def test_power_is_real() -> None:
    """At the stated alternative the assertion does fail with the stated probability: exactly, over all counts."""
    trials, noticed = trials_needed(0.5, 0.57), 0.0
    for count in range(trials + 1):
        mass = float(binom.pmf(count, trials, 0.57))
        if mass > 1e-7:
            try:
                assert_proportion(count, trials, 0.5, alternative=0.57)
            except StatisticalFailure:
                noticed += mass
    assert noticed >= 0.99
    with pytest.raises(UnderpoweredError):
        assert_proportion(trials // 4, trials // 2, 0.5, alternative=0.57)


def test_mean_is_rigorous_and_notices() -> None:
    generator = np.random.default_rng(0)
    values = generator.choice([-1, 0, 1], size=100_000, p=[0.2, 0.5, 0.3])
    assert_mean(float(values.sum()), values.size, 0.1, 0.5, low=-1, high=1, shift=0.03)
    with pytest.raises(StatisticalFailure, match="mean"):
        assert_mean(float(values.sum()), values.size, 0.13, 0.5, low=-1, high=1, shift=0.03)
    # the allowed deviation is that of Bernstein's inequality, so a normal tail is well inside the rate
    allowed = statistics._bernstein_deviation(values.size, 0.5, 2.0, 5e-7)
    assert math.erfc(allowed * math.sqrt(values.size / 0.5) / math.sqrt(2)) < 1e-6
    assert statistics._bernstein_tail(values.size, 0.5, 2.0, allowed) == pytest.approx(5e-7)
    with pytest.raises(ValueError, match="out of range"):
        assert_mean(0, 10, 2, 1, low=-1, high=1, shift=0.1)


def test_uniform() -> None:
    assert_uniform([1000] * 16, alternative=0.1)
    with pytest.raises(StatisticalFailure, match="1300"):
        assert_uniform([1000] * 15 + [1300], alternative=0.1)
    with pytest.raises(ValueError, match="1 cells"):
        assert_uniform([5], alternative=0.1)


def test_planted_biased_generators_are_caught() -> None:
    generator = np.random.default_rng(1)
    fair = generator.random(20_000)
    assert_proportion(int((fair < 0.5).sum()), 20_000, 0.5, alternative=0.53)
    with pytest.raises(StatisticalFailure):
        assert_proportion(int((fair < 0.53).sum()), 20_000, 0.5, alternative=0.53)
    lame = np.floor(16 * generator.random(50_000) ** 1.1).astype(int)
    with pytest.raises(StatisticalFailure):
        assert_uniform(np.bincount(lame, minlength=16).tolist(), alternative=0.075)


def test_ledger_adds_rates_and_knows_its_limit() -> None:
    for _ in range(3):
        assert_proportion(5000, 10_000, 0.5, alternative=0.55, claim="fair")
    ledger = statistics.LEDGER
    assert ledger.total == pytest.approx(3e-6)
    assert ledger.entries[0].claim == "fair"
    assert "test_ledger_adds_rates" in ledger.entries[0].test
    assert not ledger.exceeded()
    for _ in range(97):
        ledger.enter("more", 1e-6)
    assert not ledger.exceeded()  # exactly the limit
    ledger.enter("one too many", 1e-6)
    assert ledger.exceeded()
    with pytest.raises(ValueError, match="rate = 0"):
        ledger.enter("free", 0.0)


def test_the_suite_has_one_ledger() -> None:
    assert ledger_plugin.LEDGER is LEDGER


def test_workers_send_their_ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Ledger()
    monkeypatch.setattr(ledger_plugin, "LEDGER", own)
    own.enter("claim", 6e-5)
    worker = SimpleNamespace(config=SimpleNamespace(workeroutput={}), exitstatus=0)
    ledger_plugin.pytest_sessionfinish(worker, pytest.ExitCode.OK)  # type: ignore[arg-type]
    node = SimpleNamespace(workeroutput=worker.config.workeroutput)
    ledger_plugin.pytest_testnodedown(node, None)
    assert own.total == pytest.approx(1.2e-4)
    controller = SimpleNamespace(config=SimpleNamespace(), exitstatus=pytest.ExitCode.OK)
    ledger_plugin.pytest_sessionfinish(controller, pytest.ExitCode.OK)  # type: ignore[arg-type]
    assert controller.exitstatus == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(("assertions", "code"), [(101, 1)])
def test_an_overdrawn_ledger_fails_a_suite_whose_tests_pass(
    tmp_path: Path, assertions: int, code: int
) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "conftest.py").write_text("from tests.ledger_plugin import *\n")
    (tmp_path / "test_it.py").write_text(
        "from tests.statistics import assert_proportion\n"
        "def test_it():\n"
        f"    for _ in range({assertions}):\n"
        "        assert_proportion(5000, 10_000, 0.5, alternative=0.55)\n"
    )
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        str(tmp_path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False, env=env)
    assert run.returncode == code, run.stdout + run.stderr
    assert "1 passed" in run.stdout
    assert ("above the limit" in run.stdout) == (code == 1)
