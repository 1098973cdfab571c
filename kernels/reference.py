"""Plain PyTorch implementation of the op, for any device; what the C++ is tested against.

It draws the same samples as the C++ (:mod:`kernels.randomness`) but computes densely: inputs as rows of -1
and 1, the pre-activations as a matrix product, the sums as another. Every float here is an integer of at
most 24 bits, so the results are exact.
"""

import torch
from torch import Tensor

from kernels import randomness
from kernels.randomness import BLOCK

_BLOCKS_AT_ONCE = 16


def class_labels(inputs: Tensor, support: Tensor, tables: Tensor) -> Tensor:
    """Labels of each class: inputs int8 [..., n] of 0 and 1 (1 is x = -1), tables int8 [C, 2^k] -> int8
    [C, ...].
    """
    if support.numel() == 0:
        return tables[:, :1].reshape(-1, *[1] * (inputs.dim() - 1)).expand(-1, *inputs.shape[:-1])
    powers = 1 << torch.arange(support.numel(), dtype=torch.int64, device=inputs.device)
    pattern = (inputs[..., support].to(torch.int64) * powers).sum(dim=-1)
    return tables[:, pattern]


def _blocks_of_stream(
    key: int,
    stream: Tensor,
    weights: Tensor,
    q: Tensor,
    support: Tensor,
    tables: Tensor,
    probability: int,
    alternative: Tensor | None,
    first: int,
    last: int,
    subs: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels and activations of the blocks first .. last - 1 (their first sub-blocks), by sample.

    Returns x float32 [samples, n] of -1 and 1, labels float32 [C, samples], fires float32 [samples, m] of
    0 and 1.
    """
    blocks = torch.arange(first, last, dtype=torch.int64, device=weights.device)
    streams = stream.expand_as(blocks)
    bits = randomness.input_bits(key, streams, blocks, weights.shape[-1], subs).reshape(-1, weights.shape[-1])
    labels = class_labels(bits, support, tables)
    if alternative is not None:
        pick = randomness.mixture_bits(key, streams, blocks, probability, subs).reshape(-1)
        labels = torch.where(pick, class_labels(bits, support, alternative), labels)
    x = (1 - 2 * bits).to(torch.float32)
    agreement = x @ weights.to(torch.float32).T
    # <w, x> = n - 2 * (number of w_i x_i that are -1)
    disagreements = (weights.shape[-1] - agreement) / 2
    return x, labels.to(torch.float32), (disagreements <= q).to(torch.float32)


def first_step_reference(
    key: int,
    streams: Tensor,
    weights: Tensor,
    q: Tensor,
    support: Tensor,
    tables: Tensor,
    records: Tensor,
    start: int,
    probability: int,
    alternative: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The op's result for checked arguments; see :func:`kernels.first_step`.

    ``probability`` counts units of 2^-64 and is in [1, 2^64) if ``alternative`` is given.
    """
    count, neurons, n = weights.shape
    bounds = [start, *records.tolist()]
    sums = torch.zeros(
        (len(bounds) - 1, count, tables.shape[0], neurons, n), dtype=torch.int64, device=weights.device
    )
    active = torch.zeros((len(bounds) - 1, count, neurons), dtype=torch.int64, device=weights.device)
    last_block = -(-bounds[-1] // BLOCK)
    for r in range(count):
        for first in range(start // BLOCK, last_block, _BLOCKS_AT_ONCE):
            last = min(first + _BLOCKS_AT_ONCE, last_block)
            x, labels, fires = _blocks_of_stream(
                key,
                streams[r],
                weights[r],
                q[r],
                support,
                tables,
                probability,
                alternative,
                first,
                last,
                randomness.needed_subs(first, bounds[-1]),
            )
            for p in range(len(bounds) - 1):
                lo = max(bounds[p] - first * BLOCK, 0)
                hi = min(bounds[p + 1], last * BLOCK) - first * BLOCK
                if lo >= hi:
                    continue
                part = slice(lo, hi)
                weighted = labels[:, part, None] * fires[None, part]
                sums[p, r] += (weighted.transpose(1, 2) @ x[part]).to(torch.int64)
                active[p, r] += fires[part].sum(dim=0).to(torch.int64)
    return sums.cumsum(dim=0), active.cumsum(dim=0)
