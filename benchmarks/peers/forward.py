"""Peers of `kernels.logits` and `kernels.parity_labels`."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

from benchmarks.case import Peers
from benchmarks.problems import network, samples
from benchmarks.side_by_side import Contender

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]  # W, b, a, c, x


@lru_cache(maxsize=1)
def draw(width: int, students: int, count: int) -> Inputs:
    """Networks, and inputs [count, n]."""
    W, b, a, c = network(width, students)
    return W, b, a, c, samples(count)[0]


def by_hand(inputs: Inputs) -> Callable[[], object]:
    """Matrix products, batched over the networks."""
    W, b, a, c, x = inputs

    def run() -> torch.Tensor:
        with torch.no_grad():
            h = torch.baddbmm(b[:, :, None], W, x.T.expand(len(W), -1, -1)).relu_()
            return torch.bmm(a[:, None], h)[:, 0] + c[:, None]

    return run


def functional(inputs: Inputs) -> Callable[[], object]:
    """torch.func: vmap over the networks."""
    *networks, x = inputs

    def one(W: torch.Tensor, b: torch.Tensor, a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, W, b).relu() @ a + c

    def run() -> object:
        with torch.no_grad():
            return torch.func.vmap(one)(*networks)

    return run


def with_jax(inputs: Inputs) -> Callable[[], object]:
    """JAX: jit of a vmap over the networks."""
    import jax
    import jax.numpy as jnp

    arrays = [jnp.asarray(tensor.numpy()) for tensor in inputs]

    def one(W, b, a, c, x):  # type: ignore[no-untyped-def]
        return jax.nn.relu(x @ W.T + b) @ a + c

    forward = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, 0, None)))
    return lambda: jax.block_until_ready(forward(*arrays))


def with_numpy(inputs: Inputs) -> Callable[[], object]:
    """The same products in numpy."""
    W, b, a, c, x = (tensor.numpy() for tensor in inputs)

    def run() -> object:
        h = np.maximum(W @ x.T + b[:, :, None], 0)
        return (a[:, None] @ h)[:, 0] + c[:, None]

    return run


def logits(width: int, students: int, count: int = 4096) -> Peers:
    """f(x) of R networks at ready inputs, in chunks of at most 2^24 hidden activations."""
    chunk = min(count, (1 << 24) // (width * students))

    def of(make: Callable[[Inputs], Callable[[], object]]) -> Callable[[], list[Contender]]:
        return lambda: [Contender(f"{chunk} samples", make(draw(width, students, chunk)), chunk * students)]

    return {
        "PyTorch by hand": of(by_hand),
        "torch.func": of(functional),
        "JAX": of(with_jax),
        "numpy": of(with_numpy),
    }


def labels(n: int, k: int, count: int = 65_536) -> Peers:
    """Inputs drawn and multiplied. These peers have streams of their own: another generator, other labels."""

    def by_hand() -> list[Contender]:
        generator = torch.Generator().manual_seed(1)

        def run() -> torch.Tensor:
            bits = torch.randint(0, 2, (count, n), dtype=torch.int8, generator=generator)
            return 1 - 2 * (bits[:, :k].sum(dim=1) & 1)

        return [Contender(f"{count} samples", run, count)]

    def with_numpy() -> list[Contender]:
        random = np.random.default_rng(1)

        def run() -> object:
            bits = np.unpackbits(np.frombuffer(random.bytes(count * n // 8), dtype=np.uint8))
            return 1 - 2 * (np.bitwise_xor.reduce(bits.reshape(n, count)[:k]).astype(np.int8))

        return [Contender(f"{count} samples", run, count)]

    return {"PyTorch by hand": by_hand, "numpy": with_numpy}
