"""Plain PyTorch implementation of the training ops, for any device; what the C++ is tested against.

SGD is done one step after the other with explicit gradients, for all students at once. Samples are drawn on
the device of the network (:mod:`kernels.randomness`), and nothing in a segment waits for the device.
"""

import torch
from torch import Tensor

from kernels import randomness
from kernels.randomness import BLOCK

_NUMBERS_AT_ONCE = 1 << 23
"""Entries of the largest temporary: samples x n, or students x samples x width."""


def _inputs(key: int, stream: int, n: int, start: int, stop: int, like: Tensor) -> Tensor:
    """Samples start .. stop - 1 (at least one) of a stream as rows of -1 and 1: [samples, n], with the dtype
    and on the device of ``like``.
    """
    first = start // BLOCK
    blocks = torch.arange(first, -(-stop // BLOCK), dtype=torch.int64, device=like.device)
    streams = torch.full_like(blocks, stream)
    bits = randomness.input_bits(key, streams, blocks, n, randomness.needed_subs(first, stop))
    return (1 - 2 * bits.reshape(-1, n)[start - first * BLOCK : stop - first * BLOCK]).to(like.dtype)


def _slope(loss: str, z: Tensor, y: Tensor) -> Tensor:
    """∂loss/∂z, [R, batch]."""
    if loss == "logistic":
        return torch.sigmoid(z) - y
    if loss == "hinge":
        return torch.where(y * z < 1, -y, torch.zeros_like(y))
    if loss == "correlation":
        return -y
    if loss == "squared":
        return z - y
    raise AssertionError(loss)


@torch.no_grad()
def sgd_reference(
    key: int,
    stream: int,
    W: Tensor,
    b: Tensor,
    a: Tensor,
    c: Tensor,
    targets: Tensor,
    target_of: Tensor,
    rates: Tensor,
    decay: Tensor | None,
    start: int,
    batch: int,
    hidden_rate: float,
    output_rate: float,
    loss: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The op's result for checked arguments; see :func:`kernels.sgd`."""
    W, b, a, c = (tensor.clone(memory_format=torch.contiguous_format) for tensor in (W, b, a, c))
    n, steps = W.shape[2], rates.shape[1]
    logits = W.new_empty((W.shape[0], steps * batch))
    hidden_rates = (rates * (hidden_rate / batch)).to(W.dtype)
    output_rates = (rates * (output_rate / batch)).to(W.dtype)
    factors = None if decay is None else (1 - rates * decay).to(W.dtype)
    at_once = max(1, _NUMBERS_AT_ONCE // (n * batch))
    for first in range(0, steps, at_once):
        last = min(first + at_once, steps)
        drawn = _inputs(key, stream, n, start + first * batch, start + last * batch, W)
        wanted = targets[:, first * batch : last * batch][target_of]
        for t in range(first, last):
            part = slice((t - first) * batch, (t - first + 1) * batch)
            x, y = drawn[part], wanted[:, part]
            h = x @ W.mT + b[:, None, :]  # [R, batch, m]
            active = torch.relu(h)
            z = (active @ a[:, :, None]).squeeze(-1) + c[:, None]
            logits[:, t * batch : (t + 1) * batch] = z
            slope = _slope(loss, z, y)[:, :, None]
            back = torch.where(h > 0, slope * a[:, None, :], torch.zeros_like(h))
            eta, eta_out = hidden_rates[:, t, None], output_rates[:, t, None]
            forward = (slope * active).sum(dim=1)
            if factors is not None:
                keep = factors[:, t, None]
                W.mul_(keep[:, :, None])
                b.mul_(keep)
                a.mul_(keep)
                c.mul_(keep[:, 0])
            W.sub_(eta[:, :, None] * (back.mT @ x))
            b.sub_(eta * back.sum(dim=1))
            a.sub_(eta_out * forward)
            c.sub_((eta_out * slope.sum(dim=1))[:, 0])
    return W, b, a, c, logits


@torch.no_grad()
def logits_reference(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, start: int, stop: int
) -> Tensor:
    """The op's result for checked arguments; see :func:`kernels.logits`."""
    students, width, n = W.shape
    out = W.new_empty((students, stop - start))
    drawn_at_once = -(-_NUMBERS_AT_ONCE // (n * BLOCK)) * BLOCK
    at_once = max(1, _NUMBERS_AT_ONCE // (students * width))
    for first in range(start, stop, drawn_at_once):
        x = _inputs(key, stream, n, first, min(first + drawn_at_once, stop), W)
        for part in range(0, x.shape[0], at_once):
            rows = x[part : part + at_once]
            active = torch.relu(rows @ W.mT + b[:, None, :])
            z = (active @ a[:, :, None]).squeeze(-1) + c[:, None]
            out[:, first - start + part : first - start + part + rows.shape[0]] = z
    return out


def parity_labels_reference(key: int, stream: int, n: int, support: Tensor, start: int, stop: int) -> Tensor:
    """The op's result for checked arguments; see :func:`kernels.parity_labels`."""
    labels = torch.empty(stop - start, dtype=torch.int8, device=support.device)
    at_once = -(-_NUMBERS_AT_ONCE // (n * BLOCK)) * BLOCK
    for first in range(start, stop, at_once):
        last = min(first + at_once, stop)
        x = _inputs(key, stream, n, first, last, labels)
        labels[first - start : last - start] = x[:, support].prod(dim=1)
    return labels
