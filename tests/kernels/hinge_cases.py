"""Random arguments of `kernels.hinge_sgd`, and what two runs of them must share."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

import kernels
from kernels import _load

NAN = float("nan")
HINGE_NATIVE = kernels.status().levels if hasattr(_load.core(), "hinge_sgd") else ()


@dataclass(frozen=True)
class HingeCase:
    """Arguments of `kernels.hinge_sgd`."""

    features: Tensor
    labels: Tensor
    weights: Tensor
    total: Tensor
    step_size: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.features, self.labels, self.weights, self.total, self.step_size)

    def run(self, implementation: str = "auto", threads: int = 1, **changes: Any) -> kernels.HingeSGDResult:
        case = replace(self, **changes)
        return kernels.hinge_sgd(*case.tensors, threads=threads, implementation=implementation)

    def alone(self, r: int) -> "HingeCase":
        """The same for replicate r only."""
        return HingeCase(*(tensor[r : r + 1] for tensor in self.tensors))

    def steps(self, first: int, last: int) -> "HingeCase":
        """Some of the steps."""
        return replace(self, features=self.features[:, first:last], labels=self.labels[:, first:last])


def make_hinge(seed: int, replicates: int, steps: int, width: int) -> HingeCase:
    """A case at a stable step size, its own for each replicate: labels of a linear rule, one in ten turned over, and
    weights at the start that are about half the rule, so that some steps learn and some do not.
    """
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((replicates, steps, width))
    rule = 4 * rng.standard_normal((replicates, width)) / width**0.5
    labels = np.where(np.einsum("rtm,rm->rt", features, rule) >= 0, 1, -1)
    labels *= np.where(rng.random((replicates, steps)) < 0.1, -1, 1)
    return HingeCase(
        torch.from_numpy(features),
        torch.from_numpy(labels.astype(np.int8)),
        torch.from_numpy(rule / 2 + 0.1 * rng.standard_normal((replicates, width))),
        torch.from_numpy(rng.standard_normal((replicates, width))),
        torch.from_numpy(rng.uniform(0.05, 0.2, replicates) / width),
    )


def same(first: kernels.HingeSGDResult, second: kernels.HingeSGDResult) -> bool:
    """Whether two results are equal in every bit, the sign of zero included; NaN equals NaN."""

    def bits(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        return torch.where(tensor.isnan(), torch.full_like(tensor, NAN), tensor).view(torch.int64)

    return all(torch.equal(bits(p), bits(q)) for p, q in zip(first, second, strict=True))
