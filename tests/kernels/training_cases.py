"""Random arguments of `kernels.sgd`, a run of them by torch's autograd, and what two runs must share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import kernels
from kernels import _load

NATIVE = kernels.status().levels if hasattr(_load.core(), "sgd") else ()
IMPLEMENTATIONS = ("reference", *NATIVE)
NATIVE_PARAMS = NATIVE or (
    pytest.param("", marks=pytest.mark.skip(reason="the extension is not built, or does not train")),
)
LOSSES = ("logistic", "hinge", "correlation", "squared")

Objective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TrainingCase:
    """Arguments of `kernels.sgd`."""

    key: int
    stream: int
    network: kernels.Network
    targets: Tensor
    rates: Tensor
    start: int = 0
    batch: int = 1
    target_of: Tensor | None = None
    loss: str = "logistic"
    decay: Tensor | None = None
    hidden_rate: float = 1.0
    output_rate: float = 2.0
    block: int = 0

    @property
    def n(self) -> int:
        return self.network.W.shape[2]

    @property
    def students(self) -> int:
        return self.network.W.shape[0]

    @property
    def steps(self) -> int:
        return self.rates.shape[1]

    def run(self, implementation: str = "auto", threads: int = 1, **changes: Any) -> kernels.SGDResult:
        case = replace(self, **changes)
        arguments = {name: getattr(case, name) for name in case.__dataclass_fields__}
        return kernels.sgd(**arguments, threads=threads, implementation=implementation)

    def inputs(self) -> Tensor:
        """Samples of all steps, int8 [steps * batch, n]."""
        stop = self.start + self.steps * self.batch
        return kernels.draw_inputs(self.key, self.stream, self.n, self.start, stop)

    def cast(self, dtype: torch.dtype) -> "TrainingCase":
        network = kernels.Network(*(tensor.to(dtype) for tensor in self.network))
        return replace(self, network=network, targets=self.targets.to(dtype))

    def alone(self, r: int) -> "TrainingCase":
        """The same for student r only."""
        one = slice(r, r + 1)
        return replace(
            self,
            network=kernels.Network(*(tensor[one] for tensor in self.network)),
            rates=self.rates if len(self.rates) == 1 else self.rates[one],
            decay=self.decay if self.decay is None or len(self.decay) == 1 else self.decay[one],
            target_of=None if self.target_of is None else self.target_of[one],
        )


def make_training(
    seed: int,
    n: int,
    width: int,
    steps: int,
    *,
    students: int = 1,
    batch: int = 1,
    loss: str = "logistic",
    decay: bool = False,
    dtype: torch.dtype = torch.float64,
    **options: Any,
) -> TrainingCase:
    """A case at a stable rate: initialised as torch does, its own rate for each student, soft and hard
    targets, two rows of them. Decay varies by student and step.
    """
    rng = np.random.default_rng(seed)

    def uniform(scale: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.uniform(-scale, scale, shape)).to(dtype)

    count = steps * batch
    hard = rng.integers(0, 2, (2, count)).astype(np.float64)
    soft = rng.uniform(0, 1, (2, count))
    targets = np.where(rng.integers(0, 2, (2, count)) > 0, hard, soft)
    if loss != "logistic":
        targets = 2 * targets - 1
    network = kernels.Network(
        W=uniform(n**-0.5, students, width, n),
        b=uniform(n**-0.5, students, width),
        a=uniform(width**-0.5, students, width),
        c=uniform(width**-0.5, students),
    )
    # the slope of z at one's own sample along a step is at most about 1 + width / 3 + n / 6
    rates = 0.3 / (1 + (width + n) / 3) * rng.uniform(0.5, 1, (students, 1)) * np.ones((1, steps))
    return TrainingCase(
        key=int(rng.integers(0, 2**64, dtype=np.uint64)),
        stream=int(rng.integers(0, 2**63 - 1)),
        network=network,
        targets=torch.from_numpy(targets).to(dtype),
        rates=torch.from_numpy(rates),
        batch=batch,
        target_of=torch.from_numpy(rng.integers(0, 2, students)),
        loss=loss,
        decay=torch.from_numpy(rng.uniform(0, 0.3, (students, steps))) if decay else None,
        **options,
    )


def distance(first: kernels.SGDResult, second: kernels.SGDResult) -> float:
    """Largest difference in any tensor of two results, in units of that tensor's largest entry or 1."""
    pairs = zip((*first.network, first.logits), (*second.network, second.logits), strict=True)
    return max(
        float((p.double() - q.double()).abs().max() / q.double().abs().max().clamp(min=1)) for p, q in pairs
    )


def assert_equal(first: kernels.SGDResult, second: kernels.SGDResult) -> None:
    """Equal in every bit (NaN equal to NaN)."""
    pairs = zip((*first.network, first.logits), (*second.network, second.logits), strict=True)
    for p, q in pairs:
        torch.testing.assert_close(p, q, rtol=0, atol=0, equal_nan=True)


def pick(result: kernels.SGDResult, r: int) -> kernels.SGDResult:
    """Student r's part of a result."""
    one = slice(r, r + 1)
    return kernels.SGDResult(kernels.Network(*(t[one] for t in result.network)), result.logits[one])


def with_torch(case: TrainingCase, outputs: int, objective: Objective) -> kernels.SGDResult:
    """The case by autograd and torch.optim.SGD, one network after the other.

    objective: mean loss of the network's outputs [batch, outputs] and the student's targets [batch].
    """
    x = case.inputs().double()
    results = []
    for r in range(case.students):
        W, b, a, c = (tensor[r] for tensor in case.network)
        model = torch.nn.Sequential(
            torch.nn.Linear(case.n, W.shape[0]), torch.nn.ReLU(), torch.nn.Linear(W.shape[0], outputs)
        ).double()
        first = torch.linspace(-1, 1, W.shape[0], dtype=torch.float64) / W.shape[0]
        with torch.no_grad():
            model[0].weight.copy_(W)
            model[0].bias.copy_(b)
            model[2].weight.copy_(a[None] if outputs == 1 else torch.stack([first, first + a]))
            model[2].bias.copy_(c[None] if outputs == 1 else torch.stack([c - c + 0.25, c + 0.25]))
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        targets = case.targets[0 if case.target_of is None else int(case.target_of[r])]
        rates = case.rates.expand(case.students, -1)[r].tolist()
        decay = None if case.decay is None else case.decay.expand(case.students, case.steps)[r].tolist()
        logits = []
        for t, rate in enumerate(rates):
            part = slice(t * case.batch, (t + 1) * case.batch)
            out = model(x[part])
            logits.append((out[:, -1] - (out[:, 0] if outputs == 2 else 0)).detach())
            optimiser.param_groups[0].update(lr=rate, weight_decay=0.0 if decay is None else decay[t])
            optimiser.zero_grad()
            objective(out, targets[part]).backward()
            optimiser.step()
        weight, bias = model[2].weight.detach(), model[2].bias.detach()
        if outputs == 2:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        network = kernels.Network(model[0].weight.detach(), model[0].bias.detach(), weight[0], bias[0])
        results.append((*network, torch.cat(logits)))
    *network, logits = (torch.stack(parts) for parts in zip(*results, strict=True))
    return kernels.SGDResult(kernels.Network(*network), logits)
