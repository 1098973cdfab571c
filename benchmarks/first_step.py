"""The cases of `kernels.first_step`: nanoseconds per pair of a sample and a neuron, inputs drawn inside."""

import subprocess
import sys

import torch

import kernels
from benchmarks.case import Case
from benchmarks.limits import first_step_limit
from benchmarks.peers import first_step as peers
from benchmarks.problems import FIRST_STEP_K, KEY, first_step_problem
from benchmarks.side_by_side import Contender

SHAPES = (
    (50, 1),
    (100, 1),
    (200, 1),
    (100, 64),
    (200, 64),
    (100, 256),
    (50, 1024),
    (100, 1024),
    (200, 1024),
)  # n, m


def ours(
    n: int,
    neurons: int,
    samples: int,
    *,
    streams: int = 1,
    threads: int = 1,
    level: str = "auto",
    k: int = FIRST_STEP_K,
) -> Contender:
    """The op on `samples` samples of each stream."""
    arguments = first_step_problem(n, neurons, streams, k)
    records = torch.tensor([samples])

    def run() -> torch.Tensor:
        sums = kernels.first_step(
            KEY, *arguments.values(), records=records, threads=threads, implementation=level
        )  # fmt: skip
        return sums.sums[0, :, 0]

    return Contender("kernels.first_step", run, samples * neurons * streams)


def samples_for(n: int, neurons: int, seconds: float) -> int:
    """Samples that a thread does in about that time."""
    pair = (0.01 if neurons == 1 else 0.003 if neurons < 256 else 0.0014) * n * 1e-9  # seconds
    return max(4096, int(seconds / (pair * neurons)))


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """A case for each shape."""

    def case(n: int, neurons: int) -> Case:
        streams = threads if neurons == 1 else 1
        samples = samples_for(n, neurons, seconds) * threads // streams
        return Case(
            "first_step",
            f"n = {n}, m = {neurons}",
            "sample and neuron",
            lambda: ours(n, neurons, samples, streams=streams, threads=threads),
            peers.peers(n, FIRST_STEP_K, neurons),
            lambda: first_step_limit(n, neurons),
        )

    return [case(n, neurons) for n, neurons in SHAPES]


def peak_megabytes(n: int, neurons: int, samples: int, threads: int) -> float:
    """How far the op raises a fresh process's memory at its peak, its arguments and results included (Linux)."""
    script = (
        "from benchmarks.first_step import ours; from benchmarks.side_by_side import memory;"
        "ours(8, 2, 100).run(); before = memory(reset=True);"
        f"ours({n}, {neurons}, {samples}, threads={threads}).run(); print(memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return int(done.stdout) / 1e6
