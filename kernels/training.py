"""The ops of training, ``parity_kernels::sgd``, ``::logits`` and ``::parity_labels``: schemas, checks, fake
kernels, and the public wrappers.

The PyTorch reference is registered for every device; where the extension loads, C++ takes over for CPU
tensors.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from kernels import _load
from kernels.checks import (
    MAX_N,
    check_devices,
    check_key,
    check_not_negative,
    check_range,
    check_stream,
    check_support,
    check_target_of,
    check_targets,
    check_tensor,
    check_threads,
    check_training,
    choose,
    has_native,
)
from kernels.errors import KernelValueError
from kernels.randomness import MAX_SAMPLES, signed
from kernels.training_reference import logits_reference, parity_labels_reference, sgd_reference

_FLOATS = (torch.float32, torch.float64)
_WORD = (1 << 64) - 1


class Network(NamedTuple):
    """R networks f(x) = Σ_j a_j relu(<W_j, x> + b_j) + c of one width, float32 or float64.

    The two-class softmax with output weights a_0, a_1 and biases c_0, c_1 is the network with a = a_1 - a_0
    and c = c_1 - c_0: f is then the logit difference, and class 1 is the parity +1.

    Attributes:
        W: [R, m, n], weights of the hidden units.
        b: [R, m], their biases.
        a: [R, m], output weights.
        c: [R], output bias.
    """

    W: Float[Tensor, "R m n"]
    b: Float[Tensor, "R m"]
    a: Float[Tensor, "R m"]
    c: Float[Tensor, " R"]


class SGDResult(NamedTuple):
    """What a segment of training leaves.

    Attributes:
        network: the networks after the segment, in new tensors.
        logits: [R, steps * batch], f(x) of each sample just before the step that learns from it.
    """

    network: Network
    logits: Float[Tensor, "R samples"]


torch.library.define(
    "parity_kernels::sgd",
    "(int key, int stream, Tensor W, Tensor b, Tensor a, Tensor c, Tensor targets, Tensor target_of,"
    " Tensor rates, Tensor? decay, int start, int batch, float hidden_rate, float output_rate, str loss,"
    " int block, int threads, str level) -> (Tensor W, Tensor b, Tensor a, Tensor c, Tensor logits)",
)
torch.library.define(
    "parity_kernels::logits",
    "(int key, int stream, Tensor W, Tensor b, Tensor a, Tensor c, int start, int stop, int threads, str level)"
    " -> Tensor",
)
torch.library.define(
    "parity_kernels::parity_labels",
    "(int key, int stream, int n, Tensor support, int start, int stop, str level) -> Tensor",
)


@torch.library.register_fake("parity_kernels::sgd")  # type: ignore[untyped-decorator]
def _sgd_fake(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, targets: Tensor, target_of: Tensor,
    rates: Tensor, decay: Tensor | None, start: int, batch: int, hidden_rate: float, output_rate: float,
    loss: str, block: int, threads: int, level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    logits = W.new_empty((W.shape[0], rates.shape[1] * batch))
    return W.new_empty(W.shape), W.new_empty(b.shape), W.new_empty(a.shape), W.new_empty(c.shape), logits


@torch.library.impl("parity_kernels::sgd", "CompositeExplicitAutograd")
def _sgd_any_device(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, targets: Tensor, target_of: Tensor,
    rates: Tensor, decay: Tensor | None, start: int, batch: int, hidden_rate: float, output_rate: float,
    loss: str, block: int, threads: int, level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return sgd_reference(
        key & _WORD, stream, W, b, a, c, targets, target_of, rates, decay, start, batch, hidden_rate,
        output_rate, loss,
    )  # fmt: skip


def _sgd_native(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, targets: Tensor, target_of: Tensor,
    rates: Tensor, decay: Tensor | None, start: int, batch: int, hidden_rate: float, output_rate: float,
    loss: str, block: int, threads: int, level: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    core = _load.core()
    assert core is not None
    steps = rates.shape[1]
    new = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in (W, b, a, c)]
    logits = torch.empty((W.shape[0], steps * batch), dtype=W.dtype)
    factors = torch.empty((0, 0), dtype=W.dtype) if decay is None else (1 - rates * decay).to(W.dtype)
    if steps > 0:
        core.sgd(
            key & _WORD,
            stream,
            start,
            steps,
            batch,
            *(tensor.numpy() for tensor in new),
            targets.detach().contiguous().numpy(),
            target_of.contiguous().numpy(),
            rates.detach().to(W.dtype).contiguous().numpy(),
            factors.detach().contiguous().numpy(),
            hidden_rate,
            output_rate,
            loss,
            block,
            threads,
            _load.status().live if level == "auto" else level,
            logits.numpy(),
        )
    return new[0], new[1], new[2], new[3], logits


@torch.library.register_fake("parity_kernels::logits")  # type: ignore[untyped-decorator]
def _logits_fake(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, start: int, stop: int, threads: int,
    level: str,
) -> Tensor:  # fmt: skip
    return W.new_empty((W.shape[0], stop - start))


@torch.library.impl("parity_kernels::logits", "CompositeExplicitAutograd")
def _logits_any_device(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, start: int, stop: int, threads: int,
    level: str,
) -> Tensor:  # fmt: skip
    return logits_reference(key & _WORD, stream, W, b, a, c, start, stop)


def _logits_native(
    key: int, stream: int, W: Tensor, b: Tensor, a: Tensor, c: Tensor, start: int, stop: int, threads: int,
    level: str,
) -> Tensor:  # fmt: skip
    core = _load.core()
    assert core is not None
    out = torch.empty((W.shape[0], stop - start), dtype=W.dtype)
    if stop > start:
        arrays = (tensor.detach().contiguous().numpy() for tensor in (W, b, a, c))
        chosen = _load.status().live if level == "auto" else level
        core.logits(key & _WORD, stream, start, stop, *arrays, threads, chosen, out.numpy())
    return out


@torch.library.register_fake("parity_kernels::parity_labels")  # type: ignore[untyped-decorator]
def _parity_labels_fake(
    key: int, stream: int, n: int, support: Tensor, start: int, stop: int, level: str
) -> Tensor:
    return support.new_empty(stop - start, dtype=torch.int8)


@torch.library.impl("parity_kernels::parity_labels", "CompositeExplicitAutograd")
def _parity_labels_any_device(
    key: int, stream: int, n: int, support: Tensor, start: int, stop: int, level: str
) -> Tensor:
    return parity_labels_reference(key & _WORD, stream, n, support, start, stop)


def _parity_labels_native(
    key: int, stream: int, n: int, support: Tensor, start: int, stop: int, level: str
) -> Tensor:
    core = _load.core()
    assert core is not None
    out = torch.empty(stop - start, dtype=torch.int8)
    if stop > start:
        chosen = _load.status().live if level == "auto" else level
        coordinates = support.contiguous().numpy()
        core.parity_labels(key & _WORD, stream, start, stop, n, coordinates, chosen, out.numpy())
    return out


if has_native("sgd"):
    torch.library.impl("parity_kernels::sgd", "CPU")(_sgd_native)
if has_native("logits"):
    torch.library.impl("parity_kernels::logits", "CPU")(_logits_native)
if has_native("parity_labels"):
    torch.library.impl("parity_kernels::parity_labels", "CPU")(_parity_labels_native)


def _check_network(network: Network) -> Network:
    """The networks, without autograd history."""
    W = check_tensor("W", network.W, _FLOATS, ("R", "m", "n"))
    students, width, n = W.shape
    if students < 1 or width < 1:
        raise KernelValueError(f"W has shape {list(W.shape)}, but needs a network and a hidden unit.")
    if not 1 <= n <= MAX_N:
        raise KernelValueError(f"W has n = {n} coordinates, but 1 <= n <= {MAX_N} must hold.")
    b = check_tensor("b", network.b, (W.dtype,), (students, width))
    a = check_tensor("a", network.a, (W.dtype,), (students, width))
    c = check_tensor("c", network.c, (W.dtype,), (students,))
    check_devices({"b": b, "a": a, "c": c}, "W is", W.device)
    return Network(W.detach(), b.detach(), a.detach(), c.detach())


def sgd(
    key: int,
    stream: int,
    network: Network,
    targets: Tensor,
    rates: Tensor,
    *,
    start: int = 0,
    batch: int = 1,
    target_of: Tensor | None = None,
    loss: str = "logistic",
    decay: Tensor | None = None,
    hidden_rate: float = 1.0,
    output_rate: float = 2.0,
    block: int = 0,
    threads: int = 1,
    implementation: str = "auto",
) -> SGDResult:
    """A segment of SGD of R networks on one stream of samples, drawn inside.

    Step t = 0 .. steps - 1 uses the ``batch`` samples of :func:`kernels.draw_inputs` from ``start + t *
    batch`` on. With z = f(x), δ the slope ∂loss/∂z, η and λ the step's rate and decay, sums over the samples
    of the step, and everything on the right as it was before the step::

        W_j <- (1 - η λ) W_j - (η hidden_rate / batch) Σ δ a_j 1[h_j > 0] x        b_j likewise, with x = 1
        a_j <- (1 - η λ) a_j - (η output_rate / batch) Σ δ relu(h_j)               c likewise, with relu = 1

    where h_j = <W_j, x> + b_j. The slope δ is, for a target y: logistic σ(z) - y; hinge -y 1[y z < 1];
    correlation -y; squared z - y. A two-class softmax trained at the rate η is ``output_rate = 2`` (see
    :class:`Network`); a network with one output is ``output_rate = 1``.

    The compiled code gives the same bits for every number of threads, and whatever networks are beside one.
    Implementations, blocks, and segments cut otherwise differ in rounding. A rate too large makes logits
    infinite or NaN, which is no error.

    Args:
        key: seed of the samples, in [0, 2^64).
        stream: number of their stream, in [0, 2^63).
        network: R networks, float32 or float64; n <= 4095. Not modified.
        targets: [G, steps * batch], of the networks' dtype; column i belongs to sample start + i. Logistic
            loss: the probability of the class +1, in [0, 1]. Other losses: any finite y.
        rates: float64 [1 or R, steps], η of each step, finite and at least 0.
        start: number of samples of the stream to skip; all samples lie below 2^44.
        batch: samples of a step, at least 1.
        target_of: int64 [R], the row of ``targets`` of each network; by default row 0 if G = 1, and row r for
            network r if G = R.
        loss: "logistic", "hinge", "correlation" or "squared".
        decay: float64 [1 or R, 1 or steps], λ of each step, finite and at least 0; none by default.
        hidden_rate: factor of η for W and b, at least 0.
        output_rate: factor of η for a and c, at least 0.
        block: samples that the compiled code handles at once, at most 128; 0 leaves it the choice.
        threads: at least 1; of the compiled code.
        implementation: ``"auto"`` (the best one for the tensors' device), ``"reference"`` (plain PyTorch, any
            device), ``"native"`` (the extension's best level) or a level by name.

    Returns:
        SGDResult: the networks after the segment and the logits met on the way, on the networks' device.

    Raises:
        KernelValueError: if an argument has the wrong type, shape or range.
        KernelUnavailableError: if the implementation cannot run here.

    All tensors may be non-contiguous; they must be on one device.

    >>> one = torch.ones((1, 1))
    >>> network = Network(W=torch.zeros((1, 1, 3)), b=one, a=one, c=torch.zeros(1))
    >>> rates = torch.full((1, 1), 0.5, dtype=torch.float64)
    >>> result = sgd(7, 0, network, one, rates, loss="correlation", output_rate=1.0)
    >>> result.logits.tolist(), result.network.b.tolist(), result.network.c.tolist()
    ([[1.0]], [[1.5]], [0.5])
    """
    check_key(key)
    check_stream(stream)
    check_threads(threads)
    check_training(start, batch, loss, hidden_rate, output_rate, block)
    W, b, a, c = _check_network(network)
    students = W.shape[0]
    rates = check_tensor("rates", rates, (torch.float64,), ((1, students), "steps")).detach()
    steps = rates.shape[1]
    if start + steps * batch > MAX_SAMPLES:
        raise KernelValueError(
            f"the last sample is {start} + {steps} * {batch}, but a stream has {MAX_SAMPLES} samples."
        )
    targets = check_tensor("targets", targets, (W.dtype,), ("G", steps * batch)).detach()
    if decay is not None:
        decay = check_tensor("decay", decay, (torch.float64,), ((1, students), (1, steps))).detach()
    others = {"targets": targets, "rates": rates, "decay": decay, "target_of": target_of}
    check_devices(others, "the network is", W.device)
    check_targets(targets, loss)
    target_of = check_target_of(target_of, students, targets)
    check_not_negative("rates", rates)
    if decay is not None:
        check_not_negative("decay", decay)
    level = choose(implementation, W.device, "sgd")
    hidden_rate, output_rate = float(hidden_rate), float(output_rate)
    if level == "reference":
        *new, logits = sgd_reference(
            key, stream, W, b, a, c, targets, target_of, rates, decay, start, batch, hidden_rate, output_rate,
            loss,
        )  # fmt: skip
    else:
        *new, logits = torch.ops.parity_kernels.sgd(
            signed(key), stream, W, b, a, c, targets, target_of, rates, decay, start, batch, hidden_rate,
            output_rate, loss, block, threads, level,
        )  # fmt: skip
    return SGDResult(Network(*new), logits)


def logits(
    key: int,
    stream: int,
    network: Network,
    start: int,
    stop: int,
    *,
    threads: int = 1,
    implementation: str = "auto",
) -> Float[Tensor, "R samples"]:
    """f(x) of R networks at the samples ``start`` .. ``stop - 1`` of a stream.

    The result is the same for every number of threads; see :func:`sgd` for what the arguments are.

    Returns:
        [R, stop - start], of the networks' dtype and on their device.

    Raises:
        KernelValueError: if an argument has the wrong type, shape or range (0 <= start <= stop <= 2^44).
        KernelUnavailableError: if the implementation cannot run here.

    >>> network = Network(torch.ones((1, 1, 2)), torch.zeros((1, 1)), torch.ones((1, 1)), torch.ones(1))
    >>> sorted(set(logits(7, 0, network, 0, 100).flatten().tolist()))  # relu(x_0 + x_1) + 1
    [1.0, 3.0]
    """
    check_key(key)
    check_stream(stream)
    check_threads(threads)
    check_range(start, stop)
    W, b, a, c = _check_network(network)
    level = choose(implementation, W.device, "logits")
    if level == "reference":
        return logits_reference(key, stream, W, b, a, c, start, stop)
    out: Tensor = torch.ops.parity_kernels.logits(
        signed(key), stream, W, b, a, c, start, stop, threads, level
    )
    return out


def parity_labels(
    key: int, stream: int, n: int, support: Tensor, start: int, stop: int, *, implementation: str = "auto"
) -> Int8[Tensor, " samples"]:
    """The parity Π_{i in support} x_i, -1 or 1, of the samples ``start`` .. ``stop - 1`` of a stream.

    Args:
        key: seed of the samples, in [0, 2^64).
        stream: number of their stream, in [0, 2^63).
        n: coordinates of a sample, in [1, 4095].
        support: int64 [k], strictly increasing coordinates; 0 <= k <= n (the empty product is 1).
        start: first sample, at least 0.
        stop: one past the last sample, at least ``start`` and at most 2^44.
        implementation: as for :func:`sgd`.

    Returns:
        int8 [stop - start], on the device of ``support``.

    Raises:
        KernelValueError: if an argument has the wrong type, shape or range.
        KernelUnavailableError: if the implementation cannot run here.

    >>> from kernels import draw_inputs
    >>> x = draw_inputs(7, 0, 5, 10, 20)
    >>> parity_labels(7, 0, 5, torch.tensor([1, 4]), 10, 20).equal(x[:, 1] * x[:, 4])
    True
    """
    check_key(key)
    check_stream(stream)
    check_range(start, stop)
    if not isinstance(n, int) or not 1 <= n <= MAX_N:
        raise KernelValueError(f"n is {n!r}, but 1 <= n <= {MAX_N} must hold.")
    support = check_tensor("support", support, (torch.int64,), ("k",))
    check_support(support, n, MAX_N)
    level = choose(implementation, support.device, "parity_labels")
    if level == "reference":
        return parity_labels_reference(key, stream, n, support, start, stop)
    out: Tensor = torch.ops.parity_kernels.parity_labels(signed(key), stream, n, support, start, stop, level)
    return out
