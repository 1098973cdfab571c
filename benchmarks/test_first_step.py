"""`pytest benchmarks`: the op and its peer under pytest-benchmark, and the ratios that must hold.

The ratios are taken inside one process, the contenders interleaved round by round; see benchmarks/first_step.py.
"""

import statistics
import time

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import kernels
from benchmarks.first_step import PEER_SHAPES, N, ours, peak_megabytes, peer
from benchmarks.side_by_side import interleave

pytestmark = pytest.mark.skipif(not kernels.status().levels, reason="the extension is not built")


@pytest.fixture(autouse=True)
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [50, 100, 150, 200])
@pytest.mark.parametrize("neurons", [1, 64, 256, 1024])
@pytest.mark.parametrize("level", kernels.status().levels)
def test_op(benchmark: BenchmarkFixture, n: int, neurons: int, level: str) -> None:
    contender = ours(n, neurons, max(4096, 50_000_000 // (n * neurons)), level=level)
    benchmark.extra_info["pairs of a sample and a neuron"] = contender.work
    benchmark(contender.run)


@pytest.mark.parametrize("n", N)
@pytest.mark.parametrize(("neurons", "chunk"), PEER_SHAPES)
def test_peer(benchmark: BenchmarkFixture, n: int, neurons: int, chunk: int) -> None:
    contender = peer(n, neurons, chunk)
    benchmark.extra_info["pairs of a sample and a neuron"] = contender.work
    benchmark(contender.run)


@pytest.mark.skipif(
    kernels.status().live not in ("avx2", "avx512"), reason="the target was set for processors with AVX2"
)
@pytest.mark.parametrize("n", N)
def test_twenty_times_the_matrix_products(n: int) -> None:
    mine = ours(n, 1024, 1 << 18)
    theirs = [peer(n, neurons, chunk) for neurons, chunk in PEER_SHAPES]
    times = interleave([mine, *theirs], 15, time.process_time)
    best = min(times[1:], key=statistics.median)
    assert statistics.median(b / a for a, b in zip(times[0], best, strict=True)) >= 20


def test_memory_does_not_grow_with_the_samples() -> None:
    few, many = (peak_megabytes(200, 1024, samples, 2) for samples in (10**5, 10**6))
    assert many < 300
    assert many - few < 10
