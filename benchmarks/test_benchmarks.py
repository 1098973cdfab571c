"""`pytest benchmarks`: every case, its peers and the scaling series under pytest-benchmark.

`--benchmark-autosave` keeps a run and `--benchmark-compare` compares with it; `--benchmark-only -k sgd` picks. Calls of
ours and of peers do different amounts of work, so each has a group of its own, in which `--benchmark-compare` puts the
earlier run beside the present one; `extra_info` has nanoseconds a unit of work, which compare across groups of a case,
and the machine's limit. `python -m benchmarks` is what compares us with peers, in turns.
"""

import os
from collections.abc import Iterator

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import kernels
from benchmarks.__main__ import GROUPS, cases
from benchmarks.calibration import Machine, calibrate
from benchmarks.case import Case, fastest
from benchmarks.peers import NO_JAX, has_jax
from benchmarks.scaling import Series, all_series
from benchmarks.side_by_side import Contender

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
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


def run(benchmark: BenchmarkFixture, group: str, contender: Contender, unit: str) -> None:
    """One contender, in a group of its own."""
    benchmark.group = group
    benchmark.extra_info[f"work of a call ({unit})"] = contender.work
    benchmark(contender.run)
    if benchmark.stats is not None:
        benchmark.extra_info["nanoseconds a unit"] = benchmark.stats.stats.median / contender.work * 1e9


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_ours(benchmark: BenchmarkFixture, case: Case, machine: Machine) -> None:
    if case.limit is not None:
        benchmark.extra_info["limit, nanoseconds a unit"] = case.limit().nanoseconds(machine)
    run(benchmark, case.name, case.ours(), case.unit)


@pytest.mark.parametrize(("name", "kind"), PEERS, ids=[f"{name}: {kind}" for name, kind in PEERS])
def test_peer(benchmark: BenchmarkFixture, name: str, kind: str) -> None:
    if kind == "JAX" and not has_jax():
        pytest.skip(NO_JAX)
    case = CASES[name]
    variants = case.peers[kind]()
    run(benchmark, f"{name}: {kind}", fastest(variants) if benchmark.enabled else variants[0], case.unit)


@pytest.mark.parametrize(("name", "size"), SIZES, ids=[f"{name}: {size}" for name, size in SIZES])
def test_scaling(benchmark: BenchmarkFixture, name: str, size: int) -> None:
    series: Series = SERIES[name]
    run(benchmark, name, series.make(size), series.unit)
