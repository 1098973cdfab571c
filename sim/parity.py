"""The online task: the parity of k hidden of n ±1 inputs, its named streams of samples, its held-out set; and how a
run that learns it stands and is measured.
"""

import enum
import functools
import hashlib
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Float64, Int8
from torch import Tensor

import kernels
from kernels import Network
from sim import streams
from sim.cell import canonical_json, check_seed, check_shape

EVALUATION_SAMPLES = 4096


@final
@dataclass(frozen=True)
class ParityTask:
    """A sparse parity with its samples.

    Whoever has the same n, k and seed has the same support, the same held-out set and the same streams of samples:
    teachers and students of one task can be compared sample by sample.

    Attributes:
        n: inputs, 1 to 4095.
        k: size of the support, 1 to min(n, 10).
        seed: 0 to 2^63 − 1.
    """

    n: int
    k: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_shape(self.n, self.k)
        check_seed(self.seed)

    def spec(self) -> dict[str, Any]:
        """All that identifies the task, as JSON values."""
        return {"task": "parity/1", "n": self.n, "k": self.k, "seed": self.seed}

    @functools.cached_property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of `spec()`, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.spec()).encode()).hexdigest()

    @functools.cached_property
    def support(self) -> tuple[int, ...]:
        """The k hidden coordinates, increasing, uniform among all such sets."""
        return streams.draw_support(self.id, self.n, self.k)

    def key(self, name: str) -> int:
        """Key of a named stream, one of `sim.streams.NAMES`; samples are those of `kernels.draw_inputs`."""
        return streams.key(self.id, name)

    def labels(self, name: str, stream: int, start: int, stop: int) -> Int8[Tensor, " samples"]:
        """Parities, ±1, of samples start, …, stop − 1 of a stream: int8 [stop − start]."""
        support = torch.tensor(self.support, dtype=torch.int64)
        return kernels.parity_labels(self.key(name), stream, self.n, support, start, stop)

    def accuracy(
        self, network: Network, *, samples: int = EVALUATION_SAMPLES, threads: int = 1
    ) -> Float64[Tensor, " R"]:
        """Share of the held-out set that each network gets right: float64 [R], in [0, 1].

        The held-out set is the first `samples` samples of stream 0 of `evaluation`. A network says +1 where its logit
        is above 0, else −1 (also at 0, as an argmax of two equal outputs would).

        Args:
            network: R networks of n inputs.
            samples: size of the held-out set, at least 1.
            threads: threads of the computation; the result does not depend on them.
        """
        logits = kernels.logits(self.key("evaluation"), 0, network, 0, samples, threads=threads)
        labels = _held_out(self, samples)
        right = (logits.cpu() > 0) == (labels > 0)
        return right.sum(dim=1, dtype=torch.int64).to(torch.float64) / samples


@functools.lru_cache(maxsize=8)
def _held_out(task: ParityTask, samples: int) -> Tensor:
    return task.labels("evaluation", 0, 0, samples)


def probabilities(labels: Int8[Tensor, " samples"], dtype: torch.dtype) -> Float[Tensor, " samples"]:
    """Labels ±1 as probabilities of class +1, 0 or 1, as the logistic loss takes them."""
    return (labels.to(dtype) + 1) / 2


def right_answers(
    logits: Float[Tensor, "R samples"], labels: Int8[Tensor, " samples"]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """How well logits fit labels, as sums, so that windows of samples add up.

    Args:
        logits: [R, samples], finite.
        labels: int8 [samples] of ±1.

    Returns:
        Numbers of right answers, int64 [R], and sums of the logistic loss log(1 + exp(−y z)) in nats, float64 [R].
        Of numpy, in one thread: the same for any number of threads.
    """
    z, y = logits.numpy().astype(np.float64), labels.numpy()
    correct = np.count_nonzero((z > 0) == (y > 0), axis=1)
    return np.asarray(correct, dtype=np.int64), np.logaddexp(0.0, -y * z).sum(axis=1)


@final
class Status(enum.Enum):
    """How a training run stands."""

    INCOMPLETE = "incomplete: some of its checkpoints are not there"
    OK = "ok: trained to its last step"
    DIVERGED = "diverged: it came to numbers that are not finite"


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run stands; `step` is the step at which it diverged, None if it did not.

    A run diverges at step t if the logit of a sample of step t is not finite, or if a parameter is not, at the end of a
    segment, after t steps.
    """

    status: Status
    step: int | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A learning curve of P points.

    Attributes:
        steps: int64 [P], increasing.
        accuracy: float64 [P], share of right answers to the samples since the point before, each asked before the
            step that learned from it.
        loss: float64 [P], mean logistic loss of the same samples, in nats.
        held_out: float64 [P], accuracy on the held-out set; NaN where there is no checkpoint at that step.
    """

    steps: npt.NDArray[np.int64]
    accuracy: npt.NDArray[np.float64]
    loss: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.float64]
