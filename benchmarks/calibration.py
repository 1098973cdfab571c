"""What the machine can do at most, measured in a few seconds: the roofs that benchmarks are held against.

Loops of nothing but one operation, on data in registers or in a buffer of a given size (kernels/csrc/calibration.h),
and torch's product of large matrices. The fastest of several rounds counts, since a roof is what can be reached.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

import kernels
from kernels import _load

ROUNDS = 7
SECONDS = 0.03  # of a loop
_MINIMUM = 1 << 10
_MEMORY = 1 << 29  # bytes of the buffer that stands for memory; larger than most last-level caches


@dataclass(frozen=True)
class Machine:
    """Rates a second of all `threads` together, at one instruction-set level.

    Attributes:
        level: of the kernels' extension.
        threads: that ran at once.
        vector_bits: of one of the level's vectors.
        logic: exclusive ors of vectors in registers; every vector operation of the bit-sliced kernel counts as one.
        popcount: of vectors in registers.
        multiply_add: float32 operations of multiply-adds in registers.
        gemm: float32 operations of torch's product of 2048 x 2048 matrices.
        read: bytes read from a buffer that lies in the cache of a level, `L1` to `L3`, or in `memory`.
    """

    level: str
    threads: int
    vector_bits: int
    logic: float
    popcount: float
    multiply_add: float
    gemm: float
    read: dict[str, float]


def calibrate(level: str, threads: int) -> Machine:
    """Measure a level, in about three seconds.

    Raises:
        RuntimeError: the compiled extension is not there.
    """
    core = _load.core()
    if core is None:
        raise RuntimeError(f"limits are measured by the compiled extension: {kernels.status().reason}")
    nothing = aligned(_MINIMUM)

    def loop(what: str, buffer: npt.NDArray[np.uint8] = nothing) -> float:
        return _rate(lambda rounds: core.calibrate(level, what, rounds, buffer), threads)

    first, second, third = cache_sizes()
    shared = (
        {"L3": loop("read", aligned(min(8 * second, third // 2 // threads)))} if third > 4 * second else {}
    )
    return Machine(
        level,
        threads,
        8 * core.vector_bytes(level),
        loop("logic"),
        loop("popcount"),
        loop("multiply_add"),
        _gemm(threads),
        {
            "L1": loop("read", aligned(first // 2)),
            "L2": loop("read", aligned(second // 2)),
            **shared,
            "memory": loop("read", aligned(_MEMORY // threads)),
        },
    )


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Bytes that begin a line of the cache, all written to; `size` is rounded down to a multiple of 1,024."""
    size = max(_MINIMUM, size // _MINIMUM * _MINIMUM)
    raw = np.ones(size + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def cache_sizes() -> tuple[int, int, int]:
    """Bytes of the caches for data, by level; 32 KiB, 1 MiB and none where Linux does not tell."""
    sizes = {1: 32 << 10, 2: 1 << 20, 3: 0}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() in ("Data", "Unified"):
            text = (index / "size").read_text().strip()
            unit = {"K": 1 << 10, "M": 1 << 20}.get(text[-1], 1)
            sizes[int((index / "level").read_text())] = int(text.rstrip("KM")) * unit
    return sizes[1], sizes[2], sizes[3]


def _gemm(threads: int) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    a = torch.randn(2048, 2048)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        torch.mm(a, a)
        times.append(time.perf_counter() - start)
    torch.set_num_threads(before)
    return 2 * 2048**3 / min(times)


def _rate(loop: Callable[[int], int], threads: int) -> float:
    """Operations a second of `threads` threads that run the loop, which leaves the interpreter's lock free."""

    def run(rounds: int, done: list[int]) -> None:
        done.append(loop(rounds))

    rounds, seconds = 1, 0.0
    while seconds < SECONDS / 2:
        rounds *= 2
        start = time.perf_counter()
        loop(rounds)
        seconds = time.perf_counter() - start
    best = 0.0
    for _ in range(ROUNDS):
        done: list[int] = []
        workers = [threading.Thread(target=run, args=(rounds, done)) for _ in range(threads)]
        start = time.perf_counter()
        try:
            for worker in workers:
                worker.start()
        finally:  # the interpreter must not end while they run
            for worker in workers:
                if worker.ident is not None:
                    worker.join()
        best = max(best, sum(done) / (time.perf_counter() - start))
    return best
