"""The cases of training and forward passes: `kernels.sgd`, `kernels.logits` and `kernels.parity_labels`.

Batch size 1, n = 100, k = 6, the set-up of the paper; nanoseconds per step of one student, per sample and network, and
per label.
"""

import torch

import kernels
from benchmarks.case import Case
from benchmarks.limits import labels_limit, logits_limit, sgd_limit
from benchmarks.peers import forward as forward_peers
from benchmarks.peers import training as peers
from benchmarks.problems import KEY, RATE, K, N, network
from benchmarks.side_by_side import Contender

SHAPES = ((50_000, 1), (5_000, 1), (1_000, 32), (100, 64))  # width, students
FORWARD = ((50_000, 1), (1_000, 32))


def ours(width: int, students: int, steps: int, *, threads: int = 1, n: int = N, k: int = K) -> Contender:
    """A segment of training."""
    start = network(width, students, n)
    labels = kernels.parity_labels(KEY, 0, n, torch.arange(k), 0, steps)
    targets = (labels > 0).to(torch.float32)[None]
    rates = torch.full((1, steps), RATE, dtype=torch.float64)

    def run() -> kernels.Network:
        return kernels.sgd(KEY, 0, start, targets, rates, threads=threads).network

    return Contender("kernels.sgd", run, steps * students)


def forward(width: int, students: int, count: int, *, threads: int = 1) -> Contender:
    """Logits of networks on samples of a stream."""
    networks = network(width, students)

    def run() -> torch.Tensor:
        return kernels.logits(KEY, 0, networks, 0, count, threads=threads)

    return Contender("kernels.logits", run, count * students)


def labels(count: int) -> Contender:
    """Parities of samples of a stream."""
    support = torch.arange(K)

    def run() -> torch.Tensor:
        return kernels.parity_labels(KEY, 0, N, support, 0, count)

    return Contender("kernels.parity_labels", run, count)


def steps_for(width: int, students: int, seconds: float, n: int = N) -> int:
    """Steps of a segment of about that length, but so many that laying out the network before and after is not felt."""
    return max(4000 // students, min(20_000, int(seconds / (width * students * (2 + n / 2) * 3e-11 + 2e-7))))


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """A case for each shape and op."""

    def sgd(width: int, students: int) -> Case:
        return Case(
            "sgd",
            f"width {width:,} x {students}",
            "step of a student",
            lambda: ours(width, students, steps_for(width, students, seconds), threads=threads),
            peers.peers(width, students),
            lambda: sgd_limit(N, width),
        )

    def logits(width: int, students: int) -> Case:
        count = steps_for(width, students, 4 * seconds)
        return Case(
            "logits",
            f"width {width:,} x {students}",
            "sample and network",
            lambda: forward(width, students, count, threads=threads),
            forward_peers.logits(width, students),
            lambda: logits_limit(N, width),
        )

    return [
        *(sgd(*shape) for shape in SHAPES),
        *(logits(*shape) for shape in FORWARD),
        Case(
            "parity_labels",
            f"n = {N}, k = {K}",
            "label",
            lambda: labels(int(seconds * 2e9 / N)),
            forward_peers.labels(N, K),
            lambda: labels_limit(N),
        ),
    ]
