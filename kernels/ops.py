"""The op ``parity_kernels::first_step``: schema, checks, fake kernel, and the public wrapper.

The PyTorch reference is registered for every device; where the extension loads, C++ takes over for CPU
tensors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from kernels import _load
from kernels.checks import (
    MAX_N,
    check_devices,
    check_key,
    check_support,
    check_tensor,
    check_threads,
    choose,
    first_bad,
)
from kernels.errors import KernelValueError
from kernels.randomness import MAX_SAMPLES, MAX_STREAM, signed
from kernels.reference import first_step_reference

MAX_K = 10


class FirstStepSums(NamedTuple):
    """Running totals at each record.

    Attributes:
        sums: int64 [P, R, C, m, n]; sum over the samples b in [start, records[p]) of label_c(x_b) T(x_b)
            x_{b,i}.
        active: int64 [P, R, m]; number of those samples with T = 1.
    """

    sums: Int64[Tensor, "P R C m n"]
    active: Int64[Tensor, "P R m"]


torch.library.define(
    "parity_kernels::first_step",
    "(int key, Tensor streams, Tensor weights, Tensor q, Tensor support, Tensor tables, Tensor records,"
    " int start, int probability, Tensor? alternative, int threads, str level)"
    " -> (Tensor sums, Tensor active)",
)


@torch.library.register_fake("parity_kernels::first_step")  # type: ignore[untyped-decorator]
def _first_step_fake(
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
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor]:
    count, neurons, n = weights.shape
    sums = weights.new_empty((records.shape[0], count, tables.shape[0], neurons, n), dtype=torch.int64)
    return sums, weights.new_empty((records.shape[0], count, neurons), dtype=torch.int64)


@torch.library.impl("parity_kernels::first_step", "CompositeExplicitAutograd")
def _first_step_any_device(
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
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor]:
    word = (1 << 64) - 1
    return first_step_reference(
        key & word, streams, weights, q, support, tables, records, start, probability & word, alternative
    )


def _first_step_native(
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
    threads: int,
    level: str,
) -> tuple[Tensor, Tensor]:
    core = _load.core()
    assert core is not None
    count, neurons, n = weights.shape
    sums = torch.empty((records.shape[0], count, tables.shape[0], neurons, n), dtype=torch.int64)
    active = torch.empty((records.shape[0], count, neurons), dtype=torch.int64)
    word = (1 << 64) - 1
    core.first_step(
        key & word,
        streams.contiguous().numpy(),
        weights.contiguous().numpy(),
        q.contiguous().numpy(),
        support.contiguous().numpy(),
        tables.contiguous().numpy(),
        records.contiguous().numpy(),
        start,
        probability & word if alternative is not None else 0,
        (tables if alternative is None else alternative).contiguous().numpy(),
        threads,
        _load.status().live if level == "auto" else level,
        sums.numpy(),
        active.numpy(),
    )
    return sums, active


if _load.core() is not None:
    torch.library.impl("parity_kernels::first_step", "CPU")(_first_step_native)


def _check_tables(name: str, value: object, classes: object, k: int) -> Tensor:
    tables = check_tensor(name, value, (torch.int8,), (classes, 2**k))
    if tables.shape[0] < 1:
        raise KernelValueError(f"{name} has shape {list(tables.shape)}, but needs at least one class.")
    at = first_bad((tables > 1) | (tables < -1))
    if at is not None:
        raise KernelValueError(f"{name}{list(at)} is {int(tables[at])}, but entries must be -1, 0 or 1.")
    return tables


def _check_records(records: Tensor, start: int) -> None:
    if records.numel() == 0:
        raise KernelValueError("records is empty, but needs at least one sample count.")
    if not 0 <= start < MAX_SAMPLES:
        raise KernelValueError(f"start is {start}, but must be in [0, {MAX_SAMPLES}).")
    if int(records[0]) <= start:
        raise KernelValueError(f"records begins with {int(records[0])}, but must be above start = {start}.")
    at = first_bad(records[1:] <= records[:-1])
    if at is not None:
        before, after = int(records[at[0]]), int(records[at[0] + 1])
        raise KernelValueError(f"records has {after} after {before}, but must be strictly increasing.")
    if int(records[-1]) > MAX_SAMPLES:
        raise KernelValueError(
            f"records ends with {int(records[-1])}, but a stream has {MAX_SAMPLES} samples."
        )


def _check_neurons(streams: Tensor, weights: Tensor, q: Tensor) -> None:
    count, neurons, n = weights.shape
    if count < 1 or neurons < 1:
        raise KernelValueError(f"weights has shape {list(weights.shape)}, but needs a stream and a neuron.")
    if not 1 <= n <= MAX_N:
        raise KernelValueError(f"weights has n = {n} coordinates, but 1 <= n <= {MAX_N} must hold.")
    at = first_bad(streams < 0)
    if at is not None:
        raise KernelValueError(f"streams{list(at)} is {int(streams[at])}, but must be in [0, {MAX_STREAM}].")
    at = first_bad((weights != 1) & (weights != -1))
    if at is not None:
        raise KernelValueError(f"weights{list(at)} is {int(weights[at])}, but entries must be -1 or 1.")
    at = first_bad((q < -1) | (q > n))
    if at is not None:
        raise KernelValueError(f"q{list(at)} is {int(q[at])}, but must be in [-1, n] = [-1, {n}].")


def first_step(
    key: int,
    streams: Tensor,
    weights: Tensor,
    q: Tensor,
    support: Tensor,
    tables: Tensor,
    *,
    records: Tensor,
    start: int = 0,
    mixture: tuple[int, Tensor] | None = None,
    threads: int = 1,
    implementation: str = "auto",
) -> FirstStepSums:
    """Exact sums of the first gradient step of threshold units on a junta, over samples drawn inside.

    For each stream r, neuron j and class c: the sum over samples b of label_c(x_b) T_j(x_b) x_{b,i}, where
    T_j(x) = 1 iff at most q_j of the w_i x_i are -1, and the number of samples with T_j = 1. A real-valued
    label sum_c v_c table_c is served by one class for each absolute value v_c.

    The result is the same for every number of threads, split of the work, instruction set and
    implementation, and samples are those of :func:`kernels.draw_inputs`: the totals over [a, b) and [b, c)
    add up to those over [a, c).

    Args:
        key: seed of all randomness, in [0, 2^64).
        streams: int64 [R], stream numbers, at least 0; equal numbers share their samples.
        weights: int8 [R, m, n] of -1 and 1; 1 <= n <= 4095.
        q: int32 or int64 [R, m], threshold counts in [-1, n].
        support: int64 [k], strictly increasing coordinates; 0 <= k <= min(n, 10).
        tables: int8 [C, 2^k] of labels -1, 0, 1 by pattern index: bit t is 1 iff x at support position t
            is -1.
        records: int64 [P], strictly increasing numbers of samples above ``start``, at most 2^44.
        start: number of samples of each stream to skip.
        mixture: (p, alternative): each sample independently takes its labels from ``alternative`` (int8
            [C, 2^k]) with probability p / 2^64, p an integer in [0, 2^64].
        threads: at least 1; threads above the number of work items are not started.
        implementation: ``"auto"`` (the best one for the tensors' device), ``"reference"`` (plain PyTorch, any
            device), ``"native"`` (the extension's best level) or a level by name.

    Returns:
        FirstStepSums: sums int64 [P, R, C, m, n] and active int64 [P, R, m], on the device of ``weights``.

    Raises:
        KernelValueError: if an argument has the wrong type, shape or range.
        KernelUnavailableError: if the implementation cannot run here.

    All tensors may be non-contiguous; they must be on one device.

    >>> ones = torch.ones((1, 1, 3), dtype=torch.int8)
    >>> parity = torch.tensor([[1, -1, -1, 1]], dtype=torch.int8)
    >>> result = first_step(7, torch.tensor([0]), ones, torch.tensor([[3]]), torch.tensor([0, 1]), parity,
    ...                     records=torch.tensor([10, 1000]))
    >>> result.active.flatten().tolist()  # q = n: the unit always fires
    [10, 1000]
    >>> result.sums.shape
    torch.Size([2, 1, 1, 1, 3])
    """
    check_key(key)
    check_threads(threads)
    weights = check_tensor("weights", weights, (torch.int8,), ("R", "m", "n"))
    count, neurons, n = weights.shape
    streams = check_tensor("streams", streams, (torch.int64,), (count,))
    q = check_tensor("q", q, (torch.int32, torch.int64), (count, neurons)).to(torch.int64)
    _check_neurons(streams, weights, q)
    support = check_tensor("support", support, (torch.int64,), ("k",))
    check_support(support, n, MAX_K)
    tables = _check_tables("tables", tables, "C", support.numel())
    records = check_tensor("records", records, (torch.int64,), ("P",))
    _check_records(records, start)
    probability, alternative = 0, None
    if mixture is not None:
        probability = mixture[0]
        if not isinstance(probability, int) or not 0 <= probability <= 1 << 64:
            raise KernelValueError(
                f"mixture has probability {probability!r}, but it must be an integer in [0, 2^64]."
            )
        alternative = _check_tables("the mixture's table", mixture[1], tables.shape[0], support.numel())
    others = {
        "streams": streams,
        "q": q,
        "support": support,
        "tables": tables,
        "records": records,
        "the mixture": alternative,
    }
    check_devices(others, "weights are", weights.device)
    if alternative is not None and probability == 1 << 64:
        tables, alternative = alternative, None
    elif probability == 0:
        alternative = None
    level = choose(implementation, weights.device, "first_step")
    if level == "reference":
        sums, active = first_step_reference(
            key, streams, weights, q, support, tables, records, start, probability, alternative
        )
    else:
        sums, active = torch.ops.parity_kernels.first_step(
            signed(key),
            streams,
            weights,
            q,
            support,
            tables,
            records,
            start,
            signed(probability) if alternative is not None else 0,
            alternative,
            threads,
            level,
        )
    return FirstStepSums(sums, active)
