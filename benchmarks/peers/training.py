"""Peers of `kernels.sgd`: online SGD of batch size 1, R students on one stream of samples."""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.case import Peers
from benchmarks.problems import RATE, K, N, network, samples
from benchmarks.side_by_side import Contender

Networks = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
# Rates of W, b, a, c in units of the step size: the two outputs of a softmax, see kernels.Network.
MOVES = (1, 1, 2, 2)


def eager(width: int, steps: int, n: int, k: int) -> Contender:
    """The loop of the paper's published code: one module, torch.optim.SGD, cross-entropy, batch size 1.

    One student, with the output weights of the scalar logit shared out between two outputs.
    """
    W, b, a, c = (tensor[0] for tensor in network(width, 1, n))
    x, y = samples(steps, n, k)
    labels = y.to(torch.int64)
    model = torch.nn.Sequential(torch.nn.Linear(n, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = torch.nn.CrossEntropyLoss()

    def run() -> Networks:
        with torch.no_grad():
            start = (W, b, torch.stack([-a / 2, a / 2]), torch.stack([-c / 2, c / 2]))
            for parameter, value in zip(model.parameters(), start, strict=True):
                parameter.copy_(value)
        for t in range(steps):
            optimiser.zero_grad()
            loss(model(x[t : t + 1]), labels[t : t + 1]).backward()
            optimiser.step()
        first, bias, second, output = (parameter.detach() for parameter in model.parameters())
        return first[None], bias[None], (second[1] - second[0])[None], (output[1] - output[0])[None]

    return Contender("one student", run, steps)


def by_hand(width: int, students: int, steps: int, n: int, k: int) -> Contender:
    """Gradients written out, batched over the students."""
    start: Networks = network(width, students, n)
    x, y = samples(steps, n, k)

    def run() -> Networks:
        W, b, a, c = (tensor.clone() for tensor in start)
        with torch.no_grad():
            for t in range(steps):
                h = W @ x[t] + b
                active = h.clamp(min=0)
                delta = torch.sigmoid((active * a).sum(1) + c) - y[t]
                step = -RATE * delta[:, None] * a * (h > 0)
                a.sub_(2 * RATE * delta[:, None] * active)
                c.sub_(2 * RATE * delta)
                W.add_(step[:, :, None] * x[t])
                b.add_(step)
        return W, b, a, c

    return Contender(f"{students} students", run, steps * students)


def functional(width: int, students: int, steps: int, n: int, k: int) -> Contender:
    """torch.func: vmap of grad over the students."""
    start: Networks = network(width, students, n)
    x, y = samples(steps, n, k)

    def loss(p: Networks, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        W, b, a, c = p
        z = (W @ x + b).relu() @ a + c
        return torch.nn.functional.softplus(z) - y * z

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))

    def run() -> Networks:
        p = start
        for t in range(steps):
            moves = gradient(p, x[t], y[t])
            W, b, a, c = (w - s * RATE * g for w, g, s in zip(p, moves, MOVES, strict=True))
            p = W, b, a, c
        return p

    return Contender(f"{students} students", run, steps * students)


def with_jax(width: int, students: int, steps: int, n: int, k: int) -> Contender:
    """JAX: jit of a scan over steps of vmapped gradients."""
    import jax
    import jax.numpy as jnp

    start = tuple(jnp.asarray(t.numpy()) for t in network(width, students, n))
    x, y = (jnp.asarray(t.numpy()) for t in samples(steps, n, k))

    def loss(p, x, y):  # type: ignore[no-untyped-def]
        W, b, a, c = p
        z = jax.nn.relu(W @ x + b) @ a + c
        return jax.nn.softplus(z) - y * z

    gradient = jax.vmap(jax.grad(loss), in_axes=(0, None, None))

    def step(p, xy):  # type: ignore[no-untyped-def]
        moves = gradient(p, *xy)
        return tuple(w - s * RATE * g for w, g, s in zip(p, moves, MOVES, strict=True)), None

    scan = jax.jit(lambda p, x, y: jax.lax.scan(step, p, (x, y))[0])

    def run() -> object:
        return jax.block_until_ready(scan(start, x, y))

    return Contender(f"{students} students", run, steps * students)


def with_numpy(width: int, students: int, steps: int, n: int, k: int) -> Contender:
    """Gradients written out in numpy, batched over the students."""
    start = [tensor.numpy() for tensor in network(width, students, n)]
    x, y = (tensor.numpy() for tensor in samples(steps, n, k))
    rate = np.float32(RATE)

    def run() -> tuple[np.ndarray, ...]:
        W, b, a, c = (array.copy() for array in start)
        for t in range(steps):
            h = W @ x[t] + b
            active = np.maximum(h, 0)
            delta = 1 / (1 + np.exp(-((active * a).sum(1) + c))) - y[t]
            step = -rate * delta[:, None] * a * (h > 0)
            a -= 2 * rate * delta[:, None] * active
            c -= 2 * rate * delta
            W += step[:, :, None] * x[t]
            b += step
        return W, b, a, c

    return Contender(f"{students} students", run, steps * students)


def peers(width: int, students: int) -> Peers:
    """Every kind of peer; of many students in batches of several sizes."""
    short = max(4, 400_000 // width)
    batches = (students,) if students == 1 else (max(1, students // 4), students, 4 * students)

    def of(
        make: Callable[[int, int, int, int, int], Contender], times: int = 1
    ) -> Callable[[], list[Contender]]:
        return lambda: [make(width, r, times * max(4, short // (4 * r)), N, K) for r in batches]

    return {
        "eager PyTorch": lambda: [eager(width, max(4, short // 2), N, K)],
        "PyTorch by hand": of(by_hand),
        "torch.func": of(functional),
        "JAX": of(with_jax, times=4),
        "numpy": of(with_numpy),
    }
