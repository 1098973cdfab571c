"""The machine's calibration, the limits that rest on it, and the counting of operations."""

import numpy as np
import pytest

import kernels
from benchmarks.calibration import Machine, aligned, cache_sizes, calibrate
from benchmarks.case import Case, Limit, measure
from benchmarks.limits import COSTS, first_step_operations, hinge_limit, logits_limit, sgd_limit
from benchmarks.side_by_side import Contender, interleave, ratios, spread, use_threads
from kernels import _load

MACHINE = Machine("avx2", 1, 256, 1e9, 1e9, 8e9, 4e9, {"L1": 64e9, "L2": 32e9, "memory": 8e9})
LEVELS = kernels.status().levels
needs_extension = pytest.mark.skipif(not LEVELS, reason="the extension is not built")


@needs_extension
@pytest.mark.parametrize("level", LEVELS)
def test_calibration_counts_its_operations(level: str) -> None:
    core = _load.core()
    assert core is not None
    buffer = aligned(4096)
    lanes = core.vector_bytes(level) // 4
    chains = 10
    assert (
        core.calibrate(level, "logic", 7, buffer)
        == core.calibrate(level, "popcount", 7, buffer)
        == 7 * chains
    )
    assert core.calibrate(level, "multiply_add", 7, buffer) == 7 * chains * 2 * lanes
    assert core.calibrate(level, "read", 7, buffer) == 7 * 4096
    assert 8 * core.vector_bytes(level) == COSTS[level].bits


@needs_extension
def test_calibration_refuses_what_it_cannot_read() -> None:
    core = _load.core()
    assert core is not None
    for what, buffer in (
        ("read", aligned(4096)[8:]),
        ("write", aligned(4096)),
        ("read", aligned(4096)[: 4096 - 64]),
    ):
        with pytest.raises(ValueError, match="inconsistent argument"):
            core.calibrate(LEVELS[0], what, 1, buffer)


@needs_extension
def test_rates_are_those_of_a_machine() -> None:
    """Orders of magnitude only: whatever else runs, no processor does less than a tenth or more than ten a cycle."""
    machine = calibrate(LEVELS[-1], 1)
    assert 1e8 < machine.logic < 6e10
    assert 1e8 < machine.multiply_add < 1e13
    assert machine.read["memory"] < machine.read["L1"]
    assert next(iter(machine.read)) == "L1"
    assert list(machine.read)[-1] == "memory"


def test_buffers_are_aligned_and_caches_ordered() -> None:
    for size in (1, 1024, 5000):
        buffer = aligned(size)
        assert buffer.ctypes.data % 64 == 0
        assert buffer.size == max(1024, size // 1024 * 1024)
        assert np.all(buffer == 1)
    first, second, _ = cache_sizes()
    assert 1024 <= first <= second


def test_a_limit_is_what_takes_longest() -> None:
    assert Limit("logic", 10, 64, "L1").nanoseconds(MACHINE) == 10
    assert Limit("logic", 10, 64, "L1").binding(MACHINE) == "vector operations"
    assert Limit("logic", 1, 6400, "L1").nanoseconds(MACHINE) == 100
    assert Limit("logic", 1, 6400, "L1").binding(MACHINE) == "bytes from L1"
    assert Limit("bytes", 0, 8, "L3").nanoseconds(MACHINE) == 1  # no such cache: memory
    assert Limit("gemm", 8, 0, "L2").per(4) == Limit("gemm", 2, 0, "L2")


def test_limits_of_training() -> None:
    assert sgd_limit(100, 1000).operations == 4 * 1000 * 101
    assert sgd_limit(100, 1000).memory == "L2"
    assert sgd_limit(100, 50_000).memory == "L3"
    assert logits_limit(100, 1000).operations == 2 * 1000 * 101
    assert hinge_limit(5).bytes == 41


@pytest.mark.parametrize("level", COSTS)
def test_operations_of_the_first_step(level: str) -> None:
    """Sharing the inputs and filling the vectors makes a pair cheaper; wider vectors do too."""
    bits = COSTS[level].bits
    alone, some, many = (first_step_operations(100, m, level) for m in (1, bits // 4, 16 * bits))
    assert many < some < alone
    assert first_step_operations(100, bits, level) < first_step_operations(100, bits - 1, level)
    assert 1.8 < first_step_operations(200, 16 * bits, level) / many < 2.1
    assert first_step_operations(100, 16 * bits, "avx512") <= many


def test_operations_that_were_counted_by_hand() -> None:
    """With AVX-512 and n = 100: 900 of drawing, 238 of the activation, 3 a coordinate of the gradient."""
    draw = 100 * 9
    halves = 2 * (
        31 * 2 + 2 * (6 - 5) + 1 + 15 * 2 + 2 * (6 - 4) + 1 + 3 * 2 + 2 * (6 - 2) + 1
    )  # 32 + 16 + 4 inputs
    assert first_step_operations(100, 1, "avx512") == pytest.approx((draw + halves + 6 + 2 + 3 * 100) / 512)
    assert first_step_operations(100, 2, "avx512") == pytest.approx(
        (draw / 2 + halves + 6 + 2 + 3 * 100) / 512
    )


def test_measuring_takes_the_fastest_variant_and_the_ratio_of_rounds() -> None:
    now = 0.0

    def takes(seconds: float) -> Contender:
        def run() -> None:
            nonlocal now
            now += seconds

        return Contender(f"{seconds}", run, 2)

    case = Case(
        "k",
        "s",
        "u",
        lambda: takes(1),
        {"slow": lambda: [takes(8), takes(6)]},
        lambda: Limit("logic", 1e8, 0, "L1"),
    )
    row = measure(case, MACHINE, 3, lambda: now)
    assert row.nanoseconds.median == 0.5e9
    assert row.peers[0].variant == "6"
    assert row.peers[0].times == (6, 6, 6)
    assert row.over_limit == pytest.approx(5)


def test_rounds_take_turns() -> None:
    order: list[str] = []
    contenders = [Contender(name, lambda name=name: order.append(name), 1) for name in "ab"]
    interleave(contenders, 2)
    assert order == ["a", "b", "a", "b", "a", "b"]  # the first ones warm up


def test_spreads() -> None:
    assert spread([5]) == (5, 5, 5)
    assert spread([1, 2, 3, 4, 5]) == (3, 2, 4)
    assert ratios([2, 9], [1, 3]) == [2, 3]


@pytest.mark.parametrize("threads", [0, -1, 10**6])
def test_threads_that_there_are_not(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads {threads} is not allowed: give 1 to"):
        use_threads(threads)
