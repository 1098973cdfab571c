"""Checks of arguments that the ops share, and the choice of an implementation."""

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kernels import _load
from kernels.errors import KernelUnavailableError, KernelValueError
from kernels.randomness import MAX_SAMPLES, MAX_STREAM

MAX_N = 4095
MAX_BLOCK = 128
LOSSES = ("logistic", "hinge", "correlation", "squared")
_IMPLEMENTATIONS = ("auto", "reference", "native", "baseline", "avx2", "avx512")


def check_key(key: int) -> None:
    """Raise KernelValueError unless the key is an integer in [0, 2^64)."""
    if not isinstance(key, int) or not 0 <= key < 1 << 64:
        raise KernelValueError(f"key is {key!r}, but must be an integer in [0, 2^64).")


def check_stream(stream: int) -> None:
    """Raise KernelValueError unless the stream number is an integer in [0, 2^63)."""
    if not isinstance(stream, int) or not 0 <= stream <= MAX_STREAM:
        raise KernelValueError(f"stream is {stream!r}, but must be an integer in [0, {MAX_STREAM}].")


def check_threads(threads: int) -> None:
    """Raise KernelValueError unless the number of threads is an integer of at least 1."""
    if not isinstance(threads, int) or threads < 1:
        raise KernelValueError(f"threads is {threads!r}, but must be an integer of at least 1.")


def check_range(start: int, stop: int) -> None:
    """Raise KernelValueError unless 0 <= start <= stop <= 2^44."""
    if not 0 <= start <= stop <= MAX_SAMPLES:
        raise KernelValueError(
            f"samples {start} to {stop} were asked for, but 0 <= start <= stop <= {MAX_SAMPLES} must hold."
        )


def check_tensor(
    name: str, value: object, dtypes: tuple[torch.dtype, ...], shape: tuple[object, ...]
) -> Tensor:
    """The value, if it is a tensor of one of the dtypes and of the shape, whose entries are sizes that must
    match, tuples of sizes one of which must, or letters for free ones.

    Raises:
        KernelValueError: otherwise.
    """
    if not isinstance(value, Tensor):
        raise KernelValueError(f"{name} is a {type(value).__name__}, but must be a torch tensor.")
    if value.dtype not in dtypes:
        allowed = " or ".join(str(dtype) for dtype in dtypes)
        raise KernelValueError(f"{name} has dtype {value.dtype}, but must be {allowed}.")
    fits = value.dim() == len(shape) and all(map(_fits, value.shape, shape))
    if not fits:
        wanted = ", ".join(_size_text(size) for size in shape)
        raise KernelValueError(f"{name} has shape {list(value.shape)}, but must have shape [{wanted}].")
    return value


def _fits(have: int, want: object) -> bool:
    if isinstance(want, tuple):
        return have in want
    return have == want if isinstance(want, int) else True


def _size_text(size: object) -> str:
    if isinstance(size, tuple):
        return " or ".join(str(one) for one in dict.fromkeys(size))
    return str(size)


def first_bad(bad: Tensor) -> tuple[int, ...] | None:
    """Index of the first True, if there is one."""
    where = bad.nonzero()
    return tuple(where[0].tolist()) if where.numel() else None


def check_support(support: Tensor, n: int, most: int) -> None:
    """Raise KernelValueError unless the support has at most min(n, most) strictly increasing coordinates."""
    k = support.numel()
    if k > n or k > most:
        allowed = f"min(n, {most}) = {min(n, most)}" if most < MAX_N else f"n = {n}"
        raise KernelValueError(f"support has k = {k} coordinates, but may have at most {allowed}.")
    values = support.tolist()
    if any(not 0 <= i < n for i in values) or any(b <= a for a, b in itertools.pairwise(values)):
        raise KernelValueError(f"support is {values}, but must be strictly increasing in [0, {n - 1}].")


def check_targets(targets: Tensor, loss: str) -> None:
    """Raise KernelValueError unless the targets are finite, and for the logistic loss in [0, 1]."""
    bad = ~((targets >= 0) & (targets <= 1)) if loss == "logistic" else ~targets.isfinite()
    at = first_bad(bad)
    if at is not None:
        allowed = "in [0, 1] for the logistic loss" if loss == "logistic" else "finite"
        raise KernelValueError(f"targets{list(at)} is {float(targets[at])}, but must be {allowed}.")


def check_target_of(target_of: Tensor | None, students: int, targets: Tensor) -> Tensor:
    """The row of targets [G, ...] of each network; by default the only one, or one each.

    Raises:
        KernelValueError: if there is no default, or a row does not exist.
    """
    rows = targets.shape[0]
    if target_of is None:
        if rows not in (1, students):
            raise KernelValueError(
                f"targets has {rows} rows, but without target_of must have 1 or one for each of the {students}"
                " networks."
            )
        return torch.arange(students, device=targets.device) % rows
    target_of = check_tensor("target_of", target_of, (torch.int64,), (students,))
    at = first_bad((target_of < 0) | (target_of >= rows))
    if at is not None:
        raise KernelValueError(
            f"target_of{list(at)} is {int(target_of[at])}, but must be a row of targets, in [0, {rows - 1}]."
        )
    return target_of


def check_not_negative(name: str, tensor: Tensor) -> None:
    """Raise KernelValueError unless all entries are finite and at least 0."""
    at = first_bad(~((tensor >= 0) & tensor.isfinite()))
    if at is not None:
        raise KernelValueError(f"{name}{list(at)} is {float(tensor[at])}, but must be finite and at least 0.")


def check_training(
    start: int, batch: int, loss: str, hidden_rate: float, output_rate: float, block: int
) -> None:
    """Raise KernelValueError unless the options of a training segment are in their ranges."""
    if not isinstance(start, int) or not 0 <= start <= MAX_SAMPLES:
        raise KernelValueError(f"start is {start!r}, but must be an integer in [0, {MAX_SAMPLES}].")
    if not isinstance(batch, int) or batch < 1:
        raise KernelValueError(f"batch is {batch!r}, but must be an integer of at least 1.")
    if loss not in LOSSES:
        raise KernelValueError(f"loss is {loss!r}, but must be one of {', '.join(LOSSES)}.")
    for name, rate in {"hidden_rate": hidden_rate, "output_rate": output_rate}.items():
        if not 0 <= rate < math.inf:
            raise KernelValueError(f"{name} is {rate!r}, but must be finite and at least 0.")
    if not isinstance(block, int) or not 0 <= block <= MAX_BLOCK:
        raise KernelValueError(f"block is {block!r}, but must be an integer in [0, {MAX_BLOCK}].")


def check_devices(tensors: Mapping[str, Tensor | None], owner: str, device: torch.device) -> None:
    """Raise KernelValueError unless the tensors are all on the device, where ``owner`` is (or are)."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.device != device:
            raise KernelValueError(f"{name} is on {tensor.device}, but {owner} on {device}.")


def has_native(function: str) -> bool:
    """Whether the compiled extension is loaded and computes this function."""
    return hasattr(_load.core(), function)


def choose(implementation: str, device: torch.device, function: str) -> str:
    """A level of the extension, or ``"reference"``.

    Raises:
        KernelValueError: if there is no implementation of that name.
        KernelUnavailableError: if it cannot run here, or not on that device.
    """
    if implementation not in _IMPLEMENTATIONS:
        allowed = ", ".join(_IMPLEMENTATIONS)
        raise KernelValueError(f"implementation is {implementation!r}, but must be one of {allowed}.")
    status = _load.status()
    if implementation == "reference":
        return "reference"
    if implementation == "auto":
        return status.live if device.type == "cpu" and has_native(function) else "reference"
    if device.type != "cpu":
        raise KernelUnavailableError(
            f"implementation {implementation!r} runs on the CPU only, but the tensors are on {device};"
            " use 'auto' or 'reference'."
        )
    if _load.core() is None:
        raise KernelUnavailableError(f"implementation {implementation!r} is not available: {status.reason}")
    if not has_native(function):
        raise KernelUnavailableError(
            f"implementation {implementation!r} is not available: the compiled extension has no {function};"
            " use 'auto' or 'reference'."
        )
    if implementation == "native":
        return status.live
    if implementation not in status.levels:
        raise KernelUnavailableError(
            f"implementation {implementation!r} does not run here, but {', '.join(status.levels)} can."
        )
    return implementation
