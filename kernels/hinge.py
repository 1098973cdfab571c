"""The op ``parity_kernels::hinge_sgd``: schema, checks, fake kernel, and the public wrapper.

The PyTorch reference is registered for every device; where the extension loads, C++ takes over for CPU
tensors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kernels import _load
from kernels.checks import (
    check_devices,
    check_not_negative,
    check_tensor,
    check_threads,
    choose,
    first_bad,
    has_native,
)
from kernels.errors import KernelValueError
from kernels.hinge_reference import hinge_sgd_reference


class HingeSGDResult(NamedTuple):
    """What a run of online SGD on the hinge loss leaves, in new tensors.

    Attributes:
        weights: float64 [R, m], the iterate after the last step.
        total: float64 [R, m], the given total plus the iterate before each step.
        loss: float64 [R], sum over the steps of the hinge loss at the iterate before the step.
        updates: int64 [R], number of steps that moved the iterate.
    """

    weights: Float64[Tensor, "R m"]
    total: Float64[Tensor, "R m"]
    loss: Float64[Tensor, " R"]
    updates: Int64[Tensor, " R"]


torch.library.define(
    "parity_kernels::hinge_sgd",
    "(Tensor features, Tensor labels, Tensor weights, Tensor total, Tensor step_size, int threads, str level)"
    " -> (Tensor weights, Tensor total, Tensor loss, Tensor updates)",
)


@torch.library.register_fake("parity_kernels::hinge_sgd")  # type: ignore[untyped-decorator]
def _hinge_sgd_fake(
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    total: Tensor,
    step_size: Tensor,
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    loss = weights.new_empty(step_size.shape)
    updates = weights.new_empty(step_size.shape, dtype=torch.int64)
    return weights.new_empty(weights.shape), weights.new_empty(total.shape), loss, updates


@torch.library.impl("parity_kernels::hinge_sgd", "CompositeExplicitAutograd")
def _hinge_sgd_any_device(
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    total: Tensor,
    step_size: Tensor,
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return hinge_sgd_reference(features, labels, weights, total, step_size)


def _hinge_sgd_native(
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    total: Tensor,
    step_size: Tensor,
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    core = _load.core()
    assert core is not None
    new, new_total = (
        tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in (weights, total)
    )
    loss = torch.zeros(step_size.shape, dtype=torch.float64)
    updates = torch.zeros(step_size.shape, dtype=torch.int64)
    core.hinge_sgd(
        features.detach().contiguous().numpy(),
        labels.contiguous().numpy(),
        new.numpy(),
        new_total.numpy(),
        step_size.detach().contiguous().numpy(),
        threads,
        _load.status().live if level == "auto" else level,
        loss.numpy(),
        updates.numpy(),
    )
    return new, new_total, loss, updates


if has_native("hinge_sgd"):
    torch.library.impl("parity_kernels::hinge_sgd", "CPU")(_hinge_sgd_native)


def hinge_sgd(
    features: Tensor,
    labels: Tensor,
    weights: Tensor,
    total: Tensor,
    step_size: Tensor,
    *,
    threads: int = 1,
    implementation: str = "auto",
) -> HingeSGDResult:
    """Online SGD of R sets of output weights on the hinge loss, with fixed features.

    The second stage of two-stage training (arXiv:2410.05464, Algorithm 1). For each replicate and each of its
    steps, with features φ, label y, step size η and everything on the right as it was before the step::

        total <- total + a
        if y <a, φ> < 1:    loss += 1 - y <a, φ>,    updates += 1,    a <- a + η y φ

    so that total / steps, for a total that began at 0, is the averaged iterate.

    The result is the same in every bit for every number of threads, instruction set and implementation, and
    whatever replicates are beside one: every product and sum is rounded on its own, and inner products are
    added up in a fixed order. Weights, total and updates are also the same however a run is cut into calls; the
    losses of the calls add up to the run's in another order, and so to rounding. Features that are not finite
    are no error: a margin of NaN counts as below 1, so that the loss is NaN from there on, and weights are not
    finite.

    Args:
        features: float64 [R, steps, m], φ of each step; R and m at least 1.
        labels: int8 [R, steps] of -1 and 1.
        weights: float64 [R, m], the iterates at the start. Not modified.
        total: float64 [R, m], sum of the iterates before. Not modified.
        step_size: float64 [R], η, finite and at least 0.
        threads: at least 1; threads above the number of replicates are not started.
        implementation: ``"auto"`` (the best one for the tensors' device), ``"reference"`` (plain PyTorch, any
            device), ``"native"`` (the extension's best level) or a level by name.

    Returns:
        HingeSGDResult: on the device of ``weights``.

    Raises:
        KernelValueError: if an argument has the wrong type, shape or range.
        KernelUnavailableError: if the implementation cannot run here.

    All tensors may be non-contiguous; they must be on one device.

    >>> features = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]], dtype=torch.float64)
    >>> labels, zero = torch.tensor([[1, -1]], dtype=torch.int8), torch.zeros((1, 2), dtype=torch.float64)
    >>> result = hinge_sgd(features, labels, zero, zero, torch.tensor([0.5], dtype=torch.float64))
    >>> result.weights.tolist(), result.total.tolist(), result.loss.tolist(), result.updates.tolist()
    ([[0.0, -0.5]], [[0.5, 0.0]], [2.5], [2])
    """
    check_threads(threads)
    weights = check_tensor("weights", weights, (torch.float64,), ("R", "m")).detach()
    replicates, width = weights.shape
    if replicates < 1 or width < 1:
        raise KernelValueError(
            f"weights has shape {list(weights.shape)}, but needs a replicate and a feature."
        )
    features = check_tensor("features", features, (torch.float64,), (replicates, "steps", width)).detach()
    labels = check_tensor("labels", labels, (torch.int8,), (replicates, features.shape[1]))
    total = check_tensor("total", total, (torch.float64,), (replicates, width)).detach()
    step_size = check_tensor("step_size", step_size, (torch.float64,), (replicates,)).detach()
    others = {"features": features, "labels": labels, "total": total, "step_size": step_size}
    check_devices(others, "weights are", weights.device)
    at = first_bad(labels.abs() != 1)
    if at is not None:
        raise KernelValueError(f"labels{list(at)} is {int(labels[at])}, but entries must be -1 or 1.")
    check_not_negative("step_size", step_size)
    level = choose(implementation, weights.device, "hinge_sgd")
    if level == "reference":
        return HingeSGDResult(*hinge_sgd_reference(features, labels, weights, total, step_size))
    return HingeSGDResult(
        *torch.ops.parity_kernels.hinge_sgd(features, labels, weights, total, step_size, threads, level)
    )
