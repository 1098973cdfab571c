"""Peers of `kernels.logits` and `kernels.parity_labels`."""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.case import Peers
from benchmarks.problems import network, samples
from benchmarks.side_by_side import Contender


def logits(width: int, students: int, count: int = 4096) -> Peers:
    """f(x) of R networks at ready inputs, in chunks of at most 2^24 hidden activations."""
    W, b, a, c = network(width, students)
    count = min(count, (1 << 24) // (width * students))
    x = samples(count)[0]

    def by_hand() -> torch.Tensor:
        with torch.no_grad():
            h = torch.baddbmm(b[:, :, None], W, x.T.expand(students, -1, -1)).relu_()
            return torch.bmm(a[:, None], h)[:, 0] + c[:, None]

    def functional() -> torch.Tensor:
        def one(W: torch.Tensor, b: torch.Tensor, a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(x, W, b).relu() @ a + c

        with torch.no_grad():
            return torch.func.vmap(one)(W, b, a, c)

    def with_numpy() -> object:
        arrays = [tensor.numpy() for tensor in (W, b, a, c, x)]
        return (arrays[2][:, None] @ np.maximum(arrays[0] @ arrays[4].T + arrays[1][:, :, None], 0))[
            :, 0
        ] + arrays[3][:, None]

    def contenders(run: Callable[[], object]) -> list[Contender]:
        return [Contender(f"{count} samples", run, count * students)]

    def with_jax() -> list[Contender]:
        import jax
        import jax.numpy as jnp

        arrays = [jnp.asarray(tensor.numpy()) for tensor in (W, b, a, c, x)]

        def one(W, b, a, c, x):  # type: ignore[no-untyped-def]
            return jax.nn.relu(x @ W.T + b) @ a + c

        forward = jax.jit(jax.vmap(one, in_axes=(0, 0, 0, 0, None)))
        return contenders(lambda: jax.block_until_ready(forward(*arrays)))

    return {
        "PyTorch by hand": lambda: contenders(by_hand),
        "torch.func": lambda: contenders(functional),
        "JAX": with_jax,
        "numpy": lambda: contenders(with_numpy),
    }


def labels(n: int, k: int, count: int = 65_536) -> Peers:
    """Inputs drawn and multiplied. These peers have streams of their own: another generator, other labels."""
    generator = torch.Generator().manual_seed(1)
    random = np.random.default_rng(1)

    def by_hand() -> torch.Tensor:
        bits = torch.randint(0, 2, (count, n), dtype=torch.int8, generator=generator)
        return 1 - 2 * (bits[:, :k].sum(dim=1) & 1)

    def with_numpy() -> object:
        bits = np.unpackbits(np.frombuffer(random.bytes(count * n // 8), dtype=np.uint8)).reshape(n, count)
        return 1 - 2 * (np.bitwise_xor.reduce(bits[:k]).astype(np.int8))

    return {
        "PyTorch by hand": lambda: [Contender(f"{count} samples", by_hand, count)],
        "numpy": lambda: [Contender(f"{count} samples", with_numpy, count)],
    }
