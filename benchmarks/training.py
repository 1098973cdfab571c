"""Batch-1 SGD side by side: the op `kernels.sgd` and the ways in which one would write it in PyTorch and JAX.

Run `python -m benchmarks.training` for a Markdown table, `--json` for the numbers. Times are microseconds per step of
one student, all threads together. Every round times all contenders once; a ratio is the median of the rounds' ratios.
The peers get their inputs and labels as ready tensors; the op draws its inputs itself, which its times include.

Limits: the two matrix products of a step, H = X W^T and W += C^T X, as fp32 GEMMs of 64 samples by torch, and their
4 m (n + 1) floating-point operations at the rate of torch's 2048 x 2048 x 2048 product.

JAX is looked for and left out with a message where it is not installed (`pip install -e '.[peers]'`).
"""

import argparse
import importlib.util
import json
import statistics
import sys
from collections.abc import Callable

import torch

import kernels
from benchmarks.side_by_side import Contender, interleave, markdown, processor, ratio

N_INPUTS, K, RATE = 100, 6, 0.005
STEPS = 10_000  # of one call of the op: into segments of as many are runs cut
SHAPES = ((50_000, 1), (1000, 32), (100, 64))  # width, students


def network(width: int, students: int) -> kernels.Network:
    """Students with torch's default initialisation, as a scalar logit."""
    generator = torch.Generator().manual_seed(width)

    def uniform(*size: int, fan_in: int) -> torch.Tensor:
        return (torch.rand(size, generator=generator) * 2 - 1) / fan_in**0.5

    return kernels.Network(
        uniform(students, width, N_INPUTS, fan_in=N_INPUTS),
        uniform(students, width, fan_in=N_INPUTS),
        uniform(students, width, fan_in=width) - uniform(students, width, fan_in=width),
        uniform(students, fan_in=width) - uniform(students, fan_in=width),
    )


def samples(steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [steps, n] and labels 0 and 1."""
    x = kernels.draw_inputs(1, 0, N_INPUTS, 0, steps).to(torch.float32)
    return x, (x[:, :K].prod(dim=1) > 0).to(torch.float32)


def ours(width: int, students: int, steps: int, threads: int) -> Contender:
    """The op."""
    start = network(width, students)
    targets = samples(steps)[1][None]
    rates = torch.full((1, steps), RATE, dtype=torch.float64)

    def run() -> object:
        return kernels.sgd(1, 0, start, targets, rates, threads=threads)

    return Contender("kernels.sgd", run, steps * students)


def eager(width: int, steps: int) -> Contender:
    """The loop of the paper's published code: one module, torch.optim.SGD, cross-entropy, batch size 1."""
    model = torch.nn.Sequential(torch.nn.Linear(N_INPUTS, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    loss = torch.nn.CrossEntropyLoss()
    x, y = samples(steps)
    labels = y.to(torch.int64)

    def run() -> None:
        for t in range(steps):
            optimiser.zero_grad()
            loss(model(x[t : t + 1]), labels[t : t + 1]).backward()
            optimiser.step()

    return Contender("eager PyTorch, one student", run, steps)


def by_hand(width: int, students: int, steps: int) -> Contender:
    """Gradients written out, batched over the students."""
    W, b, a, c = network(width, students)
    x, y = samples(steps)

    def run() -> None:
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

    return Contender(f"PyTorch by hand, {students} students", run, steps * students)


def functional(width: int, students: int, steps: int) -> Contender:
    """torch.func: vmap of grad over the students."""
    parameters = tuple(network(width, students))
    x, y = samples(steps)

    def loss(p: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        W, b, a, c = p
        z = (W @ x + b).relu() @ a + c
        return torch.nn.functional.softplus(z) - y * z

    gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))

    def run() -> None:
        p = parameters
        for t in range(steps):
            p = tuple(
                w - scale * RATE * g
                for w, g, scale in zip(p, gradient(p, x[t], y[t]), (1, 1, 2, 2), strict=True)
            )

    return Contender(f"torch.func, {students} students", run, steps * students)


def with_jax(width: int, students: int, steps: int) -> Contender:
    """JAX: jit of a scan over steps of vmapped gradients."""
    import jax
    import jax.numpy as jnp

    start = tuple(jnp.asarray(t.numpy()) for t in network(width, students))
    x, y = (jnp.asarray(t.numpy()) for t in samples(steps))

    def loss(p, x, y):  # type: ignore[no-untyped-def]
        W, b, a, c = p
        z = jnp.maximum(W @ x + b, 0) @ a + c
        return jax.nn.softplus(z) - y * z

    gradient = jax.vmap(jax.grad(loss), in_axes=(0, None, None))

    def step(p, xy):  # type: ignore[no-untyped-def]
        moves = gradient(p, *xy)
        return tuple(w - s * RATE * g for w, g, s in zip(p, moves, (1, 1, 2, 2), strict=True)), None

    scan = jax.jit(lambda p, x, y: jax.lax.scan(step, p, (x, y))[0])

    def run() -> None:
        jax.block_until_ready(scan(start, x, y))

    return Contender(f"JAX jit(scan(vmap(grad))), {students} students", run, steps * students)


def products(width: int, students: int, rows: int = 64) -> Contender:
    """The two matrix products of `rows` steps of all students, and nothing else."""
    W = torch.randn(students, width, N_INPUTS + 1)
    x = torch.randn(rows, N_INPUTS + 1)
    c = torch.randn(students, width, rows)

    def run() -> None:
        for r in range(students):
            torch.mm(x, W[r].T)
            W[r].addmm_(c[r], x)

    return Contender("the products as fp32 GEMMs", run, rows * students)


def operations_per_second(rounds: int = 5) -> float:
    """Of torch's fp32 product of 2048 x 2048 matrices."""
    a = torch.randn(2048, 2048)
    (times,) = interleave([Contender("", lambda: a @ a, 1)], rounds)
    return 2 * 2048**3 / (min(times) * 1e-9)


def peers(width: int, students: int, *, jax: bool) -> list[list[Contender]]:
    """Groups of contenders of one kind, in various batches; of each group the fastest counts."""
    short = max(4, 400_000 // width)
    batches = (students,) if students == 1 else (students // 4, students, 4 * students)
    steps = [max(4, short // (4 * r)) for r in batches]
    groups = [
        [eager(width, short // 2)],
        [by_hand(width, r, s) for r, s in zip(batches, steps, strict=True)],
        [functional(width, r, s) for r, s in zip(batches, steps, strict=True)],
    ]
    if jax:
        groups.append([with_jax(width, r, 4 * s) for r, s in zip(batches, steps, strict=True)])
    return groups


def table(
    rounds: int, threads: int, *, jax: bool, progress: Callable[[str], None]
) -> list[dict[str, object]]:
    """One row a (shape, contender)."""
    rate = operations_per_second()
    rows: list[dict[str, object]] = []
    for width, students in SHAPES:
        progress(f"width {width}, {students} students")
        groups = [[ours(width, students, STEPS, threads)], [products(width, students)]]
        groups += peers(width, students, jax=jax)
        flat = [contender for group in groups for contender in group]
        times = iter(interleave(flat, rounds))
        mine: list[float] = []
        for group in groups:
            measured = [next(times) for _ in group]
            best = min(measured, key=statistics.median)
            mine = mine or best
            median, lowest = ratio(best, mine)
            rows.append(
                {
                    "width x students": f"{width} x {students}",
                    "contender (its best batch)": group[measured.index(best)].name,
                    "µs per student-step": statistics.median(best) / 1000,
                    "lowest": min(best) / 1000,
                    "times the op's": median,
                    "least of the rounds": lowest,
                    "times the FLOP bound": statistics.median(best)
                    * 1e-9
                    * rate
                    / (4 * width * (N_INPUTS + 1)),
                }
            )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of every contender")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    jax = importlib.util.find_spec("jax") is not None

    def progress(text: str) -> None:
        print(f"... {text}", file=sys.stderr, flush=True)

    rows = table(options.rounds, options.threads, jax=jax, progress=progress)
    if options.json:
        print(json.dumps({"status": str(kernels.status()), "rows": rows}, indent=1))
        return
    print(f"\n{processor()}, {options.threads} threads; {kernels.status()}")
    if not jax:
        print("JAX is not installed: its rows are left out; pip install -e '.[peers]' brings it")
    print(f"\n{markdown(rows)}")


if __name__ == "__main__":
    main()
