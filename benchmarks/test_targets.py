"""What the kernels were built to reach, as ratios measured in one run; on request: `pytest benchmarks -m nightly`.

They say something on a machine that is otherwise idle.
"""

import os
import statistics
from collections.abc import Iterator

import pytest
import torch

import kernels
from benchmarks import first_step, training
from benchmarks.calibration import calibrate
from benchmarks.case import Case, measure
from benchmarks.peers import first_step as peers
from benchmarks.problems import FIRST_STEP_K
from benchmarks.side_by_side import interleave, ratios

ROUNDS = 11
THREADS = len(os.sched_getaffinity(0))

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        kernels.status().live not in ("avx2", "avx512"), reason="targets are set for processors with AVX2"
    ),
]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def over_limit(case: Case, threads: int) -> float:
    """How many times the machine's limit the case takes."""
    torch.set_num_threads(threads)
    alone = Case(case.kernel, case.size, case.unit, case.ours, {}, case.limit)
    over = measure(alone, calibrate(kernels.status().live, threads), ROUNDS).over_limit
    assert over is not None
    return over


def named(cases: list[Case], size: str) -> Case:
    return next(case for case in cases if case.size == size)


@pytest.mark.parametrize("n", [50, 100, 200])
def test_first_step_is_twenty_times_as_fast_as_matrix_products(n: int) -> None:
    torch.set_num_threads(1)
    ours = first_step.ours(n, 1024, 1 << 17)
    batches = [peers.draw(n, FIRST_STEP_K, m, 1, b) for m, b in ((64, 4096), (256, 4096), (1024, 4096))]
    mine, *others = interleave([ours, *map(peers.by_hand, batches)], ROUNDS)
    best = min(others, key=statistics.median)
    assert statistics.median(ratios(best, mine)) >= 20


@pytest.mark.parametrize("size", [f"n = {n}, m = {m}" for n, m in first_step.SHAPES])
def test_first_step_is_within_twice_its_vector_operations(size: str) -> None:
    over = over_limit(named(first_step.cases(THREADS), size), THREADS)
    assert over <= 2


@pytest.mark.parametrize(("size", "allowed"), [("width 1,000 x 32", 1.5), ("width 50,000 x 1", 2.0)])
def test_sgd_is_near_the_time_of_its_matrix_products(size: str, allowed: float) -> None:
    over = over_limit(named(training.cases(THREADS), size), THREADS)
    assert over <= allowed


def test_memory_does_not_grow_with_the_samples() -> None:
    few, many = (first_step.peak_megabytes(200, 1024, samples, 2) for samples in (10**5, 10**6))
    assert many < 300
    assert many - few < 10
