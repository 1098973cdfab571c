"""The cases of `kernels.hinge_sgd`, the second stage of two-stage training: nanoseconds per step of a replicate."""

import torch

import kernels
from benchmarks.case import Case
from benchmarks.limits import hinge_limit
from benchmarks.peers import hinge as peers
from benchmarks.problems import hinge_problem
from benchmarks.side_by_side import Contender

SHAPES = ((5, 128), (64, 128))  # features, replicates


def ours(width: int, replicates: int, steps: int, *, threads: int = 1) -> Contender:
    """A stretch of steps."""
    arguments = hinge_problem(width, replicates, steps)

    def run() -> tuple[torch.Tensor, ...]:
        return kernels.hinge_sgd(*arguments, threads=threads)

    return Contender("kernels.hinge_sgd", run, steps * replicates)


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """A case for each shape."""

    def case(width: int, replicates: int) -> Case:
        steps = max(64, int(seconds * threads / (replicates * (2e-9 + width * 0.7e-9))))
        return Case(
            "hinge_sgd",
            f"m = {width}, {replicates} replicates",
            "step of a replicate",
            lambda: ours(width, replicates, steps, threads=threads),
            peers.peers(width, replicates),
            lambda: hinge_limit(width),
        )

    return [case(*shape) for shape in SHAPES]
