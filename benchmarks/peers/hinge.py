"""Peers of `kernels.hinge_sgd`: output weights of R replicates, each on features of its own, float64."""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.case import Peers
from benchmarks.problems import hinge_problem
from benchmarks.side_by_side import Contender

Arguments = tuple[torch.Tensor, ...]  # of hinge_problem


def eager(arguments: Arguments) -> Contender:
    """A parameter, its loss, `backward` and torch.optim.SGD; one replicate after another."""
    features, labels, start, total, step_size = arguments
    replicates, steps, _ = features.shape
    y = labels.to(torch.float64)

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        weights, sums = start.clone(), total.clone()
        for r in range(replicates):
            a = torch.nn.Parameter(weights[r].clone())
            optimiser = torch.optim.SGD([a], lr=float(step_size[r]))
            for t in range(steps):
                sums[r] += a.detach()
                optimiser.zero_grad()
                (1 - y[r, t] * (a @ features[r, t])).relu().backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            weights[r] = a.detach()
        return weights, sums

    return Contender(f"{replicates} replicates in turn", run, replicates * steps)


def by_hand(arguments: Arguments) -> Contender:
    """Gradients written out, batched over the replicates."""
    features, labels, start, total, step_size = arguments
    replicates, steps, _ = features.shape
    y = labels.to(torch.float64)

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        weights, sums = start.clone(), total.clone()
        for t in range(steps):
            phi = features[:, t]
            sums += weights
            below = y[:, t] * (weights * phi).sum(1) < 1
            weights += (step_size * y[:, t] * below)[:, None] * phi
        return weights, sums

    return Contender(f"{replicates} replicates", run, replicates * steps)


def functional(arguments: Arguments) -> Contender:
    """torch.func: vmap of grad over the replicates."""
    features, labels, start, total, step_size = arguments
    replicates, steps, _ = features.shape
    y = labels.to(torch.float64)

    def loss(a: torch.Tensor, phi: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (1 - y * (a @ phi)).relu()

    gradient = torch.func.vmap(torch.func.grad(loss))

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        weights, sums = start.clone(), total.clone()
        for t in range(steps):
            sums += weights
            weights = weights - step_size[:, None] * gradient(weights, features[:, t], y[:, t])
        return weights, sums

    return Contender(f"{replicates} replicates", run, replicates * steps)


def with_jax(arguments: Arguments) -> Contender:
    """JAX: jit of a scan over steps of vmapped gradients, in float64."""
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        features, labels, start, total, step_size = (jnp.asarray(t.numpy()) for t in arguments)
        by_step = jnp.swapaxes(features, 0, 1), jnp.swapaxes(labels, 0, 1).astype(jnp.float64)

    def loss(a, phi, y):  # type: ignore[no-untyped-def]
        return jax.nn.relu(1 - y * (a @ phi))

    gradient = jax.vmap(jax.grad(loss))

    def step(state, of_step):  # type: ignore[no-untyped-def]
        weights, sums = state
        return (weights - step_size[:, None] * gradient(weights, *of_step), sums + weights), None

    scan = jax.jit(lambda state, xs: jax.lax.scan(step, state, xs)[0])

    def run() -> object:
        with jax.enable_x64(True):
            return jax.block_until_ready(scan((start, total), by_step))

    replicates, steps, _ = features.shape
    return Contender(f"{replicates} replicates", run, replicates * steps)


def with_numpy(arguments: Arguments) -> Contender:
    """Gradients written out in numpy, batched over the replicates."""
    features, labels, start, total, step_size = (tensor.numpy() for tensor in arguments)
    replicates, steps, _ = features.shape

    def run() -> tuple[np.ndarray, np.ndarray]:
        weights, sums = start.copy(), total.copy()
        for t in range(steps):
            phi, y = features[:, t], labels[:, t]
            sums += weights
            below = y * (weights * phi).sum(1) < 1
            weights += (step_size * y * below)[:, None] * phi
        return weights, sums

    return Contender(f"{replicates} replicates", run, replicates * steps)


def peers(width: int, replicates: int, steps: int = 200) -> Peers:
    """Every kind of peer; the eager one on few replicates, the others also on more."""

    def of(make: Callable[[Arguments], Contender], *counts: int) -> Callable[[], list[Contender]]:
        return lambda: [make(hinge_problem(width, r, steps)) for r in counts]

    many = replicates, 8 * replicates
    return {
        "eager PyTorch": of(eager, 4),
        "PyTorch by hand": of(by_hand, *many),
        "torch.func": of(functional, *many),
        "JAX": of(with_jax, *many),
        "numpy": of(with_numpy, *many),
    }
