"""Plain PyTorch implementation of the hinge op, for any device; what the C++ is tested against, bit for bit.

One step after the other, for all replicates at once; nothing waits for the device. Every product and every sum is
rounded on its own and in the order of the C++.
"""

import torch
from torch import Tensor
from torch.nn import functional

_LANES = 8


def _inner(a: Tensor, x: Tensor) -> Tensor:
    """Inner products of rows [R, m]: product i is added to partial sum i mod 8, in the order of i; then the partial
    sums are added by halves, sum i to sum i + half.
    """
    products = functional.pad(a * x, (0, -a.shape[1] % _LANES)).reshape(a.shape[0], -1, _LANES)
    sums = products[:, 0]
    for block in range(1, products.shape[1]):
        sums = sums + products[:, block]
    half = _LANES // 2
    while half:
        sums = sums[:, :half] + sums[:, half:]
        half //= 2
    return sums[:, 0]


@torch.no_grad()
def hinge_sgd_reference(
    features: Tensor, labels: Tensor, weights: Tensor, total: Tensor, step_size: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The op's result for checked arguments; see :func:`kernels.hinge_sgd`."""
    a, total = (tensor.clone(memory_format=torch.contiguous_format) for tensor in (weights, total))
    loss = torch.zeros_like(step_size, memory_format=torch.contiguous_format)
    updates = torch.zeros_like(loss, dtype=torch.int64)
    signs = labels.to(a.dtype)
    for t in range(features.shape[1]):
        x, y = features[:, t], signs[:, t]
        margin = y * _inner(a, x)
        learns = ~(margin >= 1)
        total += a
        a = torch.where(learns[:, None], a + (step_size * y)[:, None] * x, a)
        loss += torch.where(learns, 1 - margin, torch.zeros_like(margin))
        updates += learns
    return a, total, loss, updates
