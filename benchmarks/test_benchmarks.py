"""`pytest benchmarks`: every case, its peers and the scaling series under pytest-benchmark.

`--benchmark-autosave` keeps a run and `--benchmark-compare` compares with it; `--benchmark-only -k sgd` picks. A peer
and what it is a peer of are in one group. Times of different groups are not of one unit: `extra_info` has the units of
work of a call, and the machine's limit.
"""

import os

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import kernels
from benchmarks.__main__ import GROUPS, cases
from benchmarks.calibration import Machine, calibrate
from benchmarks.case import Case
from benchmarks.peers import NO_JAX, has_jax
from benchmarks.scaling import Series, all_series

THREADS = len(os.sched_getaffinity(0))
SECONDS = 0.02
CASES = {case.name: case for case in cases(list(GROUPS), THREADS, SECONDS)}
PEERS = [(name, kind) for name, case in CASES.items() for kind in case.peers]
SERIES = {f"{series.axis}: {series.name}": series for series in all_series(THREADS, SECONDS)}
SIZES = [(name, size) for name, series in SERIES.items() for size in series.sizes]

pytestmark = pytest.mark.skipif(not kernels.status().levels, reason="the extension is not built")


@pytest.fixture(scope="module")
def machine() -> Machine:
    return calibrate(kernels.status().live, THREADS)


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_ours(benchmark: BenchmarkFixture, case: Case, machine: Machine) -> None:
    benchmark.group = case.name
    contender = case.ours()
    benchmark.extra_info[f"work ({case.unit})"] = contender.work
    if case.limit is not None:
        benchmark.extra_info["limit, seconds a call"] = case.limit.nanoseconds(machine) * contender.work / 1e9
    benchmark(contender.run)


@pytest.mark.parametrize(("name", "kind"), PEERS, ids=[f"{name}: {kind}" for name, kind in PEERS])
def test_peer(benchmark: BenchmarkFixture, name: str, kind: str) -> None:
    if kind == "JAX" and not has_jax():
        pytest.skip(NO_JAX)
    case = CASES[name]
    benchmark.group = name
    contender = case.peers[kind]()[-1]
    benchmark.extra_info[f"work ({case.unit})"] = contender.work
    benchmark(contender.run)


@pytest.mark.parametrize(("name", "size"), SIZES, ids=[f"{name}: {size}" for name, size in SIZES])
def test_scaling(benchmark: BenchmarkFixture, name: str, size: int) -> None:
    series: Series = SERIES[name]
    benchmark.group = name
    contender = series.make(size)
    benchmark.extra_info[f"work ({series.unit})"] = contender.work
    benchmark(contender.run)
