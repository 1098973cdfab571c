"""Peers of `kernels.first_step`: the gradient of one large batch, for R streams of B samples and m neurons each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

import kernels
from benchmarks.case import Peers
from benchmarks.problems import KEY, first_step_problem
from benchmarks.side_by_side import Contender


@dataclass(frozen=True)
class Batch:
    """Inputs x [R, B, n], parities y [R, B] and weights w [R, m, n], all float32 of -1 and 1."""

    x: torch.Tensor
    y: torch.Tensor
    w: torch.Tensor

    @property
    def work(self) -> int:
        """Pairs of a sample and a neuron."""
        return self.y.numel() * self.w.shape[1]

    @property
    def label(self) -> str:
        """Its shape in words."""
        return f"{self.x.shape[0]} x {self.x.shape[1]} samples"


@lru_cache(maxsize=3)
def draw(n: int, k: int, neurons: int, streams: int, samples: int) -> Batch:
    """The samples and weights that the kernel has, and the parity of the first k coordinates."""
    x = torch.stack([kernels.draw_inputs(KEY, r, n, 0, samples) for r in range(streams)]).to(torch.float32)
    weights = first_step_problem(n, neurons, streams, k)["weights"].to(torch.float32)
    return Batch(x, x[..., :k].prod(dim=-1), weights)


def eager(batch: Batch) -> Contender:
    """A layer, its loss and `backward`, as published training code has them; one stream after another."""
    layer = torch.nn.Linear(batch.x.shape[2], batch.w.shape[1], bias=False)

    def run() -> torch.Tensor:
        sums = torch.empty_like(batch.w)
        for r in range(len(batch.x)):
            layer.weight.data.copy_(batch.w[r])
            layer.zero_grad()
            loss = -(layer(batch.x[r]).relu().sum(dim=1) * batch.y[r]).sum()
            loss.backward()
            assert layer.weight.grad is not None
            sums[r] = -layer.weight.grad
        return sums

    return Contender(batch.label, run, batch.work)


def by_hand(batch: Batch) -> Contender:
    """The step as fp32 matrix products, in place: H = X W^T, T = [H > 0], and (T * y)^T X."""
    weights = batch.w.transpose(1, 2).contiguous()
    h = torch.empty(*batch.y.shape, batch.w.shape[1])

    def run() -> torch.Tensor:
        torch.bmm(batch.x, weights, out=h)
        torch.gt(h, 0, out=h)
        h.mul_(batch.y[..., None])
        return torch.bmm(h.transpose(1, 2), batch.x)

    return Contender(batch.label, run, batch.work)


def functional(batch: Batch) -> Contender:
    """torch.func: vmap of grad over the streams."""

    def loss(w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return ((x @ w.T).relu().sum(dim=1) * y).sum()

    gradient = torch.func.vmap(torch.func.grad(loss))

    def run() -> object:
        return gradient(batch.w, batch.x, batch.y)

    return Contender(batch.label, run, batch.work)


def with_jax(batch: Batch) -> Contender:
    """JAX: jit of the vmapped gradient."""
    import jax
    import jax.numpy as jnp

    w, x, y = (jnp.asarray(t.numpy()) for t in (batch.w, batch.x, batch.y))

    def loss(w, x, y):  # type: ignore[no-untyped-def]
        return (jax.nn.relu(x @ w.T).sum(axis=1) * y).sum()

    gradient = jax.jit(jax.vmap(jax.grad(loss)))

    def run() -> object:
        return jax.block_until_ready(gradient(w, x, y))

    return Contender(batch.label, run, batch.work)


def with_numpy(batch: Batch) -> Contender:
    """The same products in numpy, in place."""
    w, x, y = (t.numpy() for t in (batch.w, batch.x, batch.y))
    h = np.empty((*y.shape, w.shape[1]), dtype=np.float32)

    def run() -> object:
        np.matmul(x, w.transpose(0, 2, 1), out=h)
        np.greater(h, 0, out=h, casting="unsafe")
        np.multiply(h, y[..., None], out=h)
        return h.transpose(0, 2, 1) @ x

    return Contender(batch.label, run, batch.work)


def peers(n: int, k: int, neurons: int, *, pairs: int = 1 << 22) -> Peers:
    """Every kind of peer, on batches of several shapes of at most `pairs` pairs of a sample and a neuron."""
    if neurons == 1:
        shapes = [(streams, min(4096, pairs // streams)) for streams in (8, 64)]
    else:
        shapes = [(1, min(samples, pairs // neurons)) for samples in (512, 2048, 8192)]

    def of(make: Callable[[Batch], Contender]) -> Callable[[], list[Contender]]:
        return lambda: [make(draw(n, k, neurons, *shape)) for shape in dict.fromkeys(shapes)]

    return {
        "eager PyTorch": of(eager),
        "PyTorch by hand": of(by_hand),
        "torch.func": of(functional),
        "JAX": of(with_jax),
        "numpy": of(with_numpy),
    }
