import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

import kernels
from kernels import Network
from sim.errors import SimError
from sim.network import (
    DTYPES,
    INITIALISATIONS,
    check_network,
    initialise,
    layout,
    output_rate,
    symmetric,
    torch_default,
)
from tests.statistics import assert_proportion, assert_uniform

KEY = 0x5EED
FLOAT64 = torch.float64
RATE = 1e-7


def cells(values: Tensor, count: int = 8) -> list[int]:
    """Counts of values in [0, 1) in equal cells."""
    flat = values.flatten()
    assert float(flat.min()) >= 0
    assert float(flat.max()) < 1
    return np.bincount((flat.numpy() * count).astype(int), minlength=count).tolist()


def triangular(values: Tensor) -> Tensor:
    """Distribution function of the difference of two uniforms on (−1, 1)."""
    return torch.where(values < 0, (values + 2) ** 2 / 8, 1 - (2 - values) ** 2 / 8)


@pytest.mark.parametrize("name", INITIALISATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_replicates_that_can_be_made_alone(name: str, dtype: str) -> None:
    networks = initialise(name, 7, 3, 10, KEY, [0, 5, 2], dtype)
    found = {field: (tuple(t.shape), t.dtype) for field, t in networks._asdict().items()}
    assert found == layout(7, 10, 3, dtype)
    for row, replicate in enumerate([0, 5, 2]):
        alone = initialise(name, 7, 3, 10, KEY, [replicate], dtype)
        assert all(torch.equal(t[row : row + 1], one) for t, one in zip(networks, alone, strict=True))
    first, second = networks.W[0], networks.W[1]
    assert not torch.equal(first, second)
    assert not torch.equal(first, initialise(name, 7, 3, 10, KEY + 1, [0], dtype).W[0])


@pytest.mark.parametrize("name", INITIALISATIONS)
def test_single_precision_is_double_precision_rounded(name: str) -> None:
    single, double = (initialise(name, 9, 4, 6, KEY, [3], dtype) for dtype in ("float32", "float64"))
    assert all(torch.equal(s, d.to(torch.float32)) for s, d in zip(single, double, strict=True))


def test_default_weights_are_uniform_and_outputs_are_differences_of_uniforms() -> None:
    n, width = 25, 4000
    network = torch_default(n, width, KEY, [0], FLOAT64)
    scaled = {
        "W": (network.W * math.sqrt(n) + 1) / 2,
        "b": (network.b * math.sqrt(n) + 1) / 2,
        "a": triangular(network.a * math.sqrt(width)),
    }
    for name, values in scaled.items():
        assert_uniform(cells(values), alternative=0.17, rate=RATE, claim=f"torch-default {name}")
    many = torch_default(1, 4, KEY, range(2000), FLOAT64)
    assert_uniform(
        cells(triangular(many.c * 2)), alternative=0.19, rate=RATE, claim="torch-default c over replicates"
    )


def test_no_draw_serves_twice() -> None:
    n, width = 7, 9
    drawn = kernels.draw_integers(KEY, 5, n * width + 3 * width + 2, 1 << 52).to(FLOAT64)
    # Odd multiples of 2^-52: symmetric about 0.
    uniform = (2 * (drawn - 2.0**51) + 1) / 2.0**52
    W, b, a_0, a_1, c = uniform.split([n * width, width, width, width, 2])
    network = torch_default(n, width, KEY, [5], FLOAT64)
    assert torch.equal(network.W[0], W.reshape(width, n) / math.sqrt(n))
    assert torch.equal(network.b[0], b / math.sqrt(n))
    assert torch.equal(network.a[0], a_1 / math.sqrt(width) - a_0 / math.sqrt(width))
    assert network.c[0] == (c[1] / math.sqrt(width) - c[0] / math.sqrt(width))
    signs = kernels.draw_signs(KEY, 5, 4 * n + 4).to(FLOAT64)
    network = symmetric(n, 3, 8, KEY, [5], FLOAT64)
    assert torch.equal(network.W[0, :4], signs[: 4 * n].reshape(4, n))
    assert torch.equal(network.a[0, :4], signs[4 * n :] / 8)


def test_the_law_is_that_of_torch_itself() -> None:
    torch.manual_seed(7)
    for inputs, outputs in ((16, 2000), (2000, 16)):
        layer = torch.nn.Linear(inputs, outputs)
        bound = 1 / math.sqrt(inputs)
        assert float(layer.weight.detach().abs().max()) <= bound * (1 + 1e-6)
        assert_proportion(
            int((layer.weight.detach().abs() > 0.9 * bound).sum()),
            inputs * outputs,
            0.1,
            alternative=0.085,
            rate=RATE,
            claim="torch's own weights are uniform on ±1/√inputs",
        )
    biases = torch.cat([torch.nn.Linear(16, 2000).bias.detach() for _ in range(3)]) * 4
    assert float(biases.abs().max()) <= 1 + 1e-6
    assert_proportion(
        int((biases.abs() > 0.9).sum()), 6000, 0.1, alternative=0.07, rate=RATE, claim="and so are its biases"
    )


def test_two_outputs_trained_by_torch_are_one_output_at_its_output_rate() -> None:
    n, width, steps, eta = 5, 12, 40, 0.1
    network = torch_default(n, width, KEY, [0], FLOAT64)
    start = [t.clone() for t in network]
    W, b = (t[0].clone().requires_grad_() for t in start[:2])
    # Any two outputs with this difference.
    A = torch.stack([torch.full((width,), 0.3, dtype=FLOAT64), start[2][0] + 0.3]).requires_grad_()
    C = torch.stack([torch.tensor(0.1, dtype=FLOAT64), start[3][0] + 0.1]).requires_grad_()
    x = kernels.draw_inputs(KEY, 0, n, 0, steps).to(FLOAT64)
    y = (x[:, :2].prod(1) > 0).to(torch.int64)
    for t in range(steps):
        loss = torch.nn.functional.cross_entropy(A @ torch.relu(W @ x[t] + b) + C, y[t])
        with torch.no_grad():
            for p, g in zip((W, b, A, C), torch.autograd.grad(loss, (W, b, A, C)), strict=True):
                p -= eta * g
    rates = torch.full((1, steps), eta, dtype=FLOAT64)
    rate = output_rate("torch-default")
    ours = kernels.sgd(KEY, 0, network, y[None].to(FLOAT64), rates, output_rate=rate).network
    theirs = Network(W.detach(), b.detach(), (A[1] - A[0]).detach(), (C[1] - C[0]).detach())
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one[0], other, rtol=1e-10, atol=1e-12)
    assert output_rate("symmetric") == 1.0


@pytest.mark.parametrize(("n", "k", "width"), [(6, 1, 2), (6, 2, 10), (7, 3, 64), (5, 4, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, FLOAT64])
def test_the_symmetric_network_is_zero_on_every_input(n: int, k: int, width: int, dtype: torch.dtype) -> None:
    W, b, a, c = (t[0] for t in symmetric(n, k, width, KEY, [4], dtype))
    half = width // 2
    # Exactly, in integers: k h_j and m a_j are whole.
    steps = (b.to(FLOAT64) * k).round().to(torch.int64)
    assert torch.equal((steps.to(FLOAT64) / k).to(dtype), b)
    signs = a.sign().to(torch.int64)
    assert torch.equal((signs.to(FLOAT64) / width).to(dtype), a)
    x = torch.tensor(list(itertools.product([1, -1], repeat=n)))
    h = k * x @ W.to(torch.int64).T + steps
    assert h.abs().max() > 0
    assert not (torch.relu(h) @ signs).any()
    assert c == 0
    # In floating point mirrored neurons are opposite term by term.
    assert torch.equal(W[:half], W[half:])
    assert torch.equal(b[:half], b[half:])
    assert torch.equal(a[:half], -a[half:])
    network = Network(*(t[None] for t in (W, b, a, c)))
    assert kernels.logits(1, 0, network, 0, 600).abs().max() < 1e-6


def test_the_laws_of_the_symmetric_network() -> None:
    n, k, width = 20, 3, 4000
    W, b, a = (t[0, :2000] for t in symmetric(n, k, width, KEY, [0], FLOAT64)[:3])
    assert set(W.unique().tolist()) == {-1.0, 1.0}
    assert_proportion(
        int((W > 0).sum()), W.numel(), 0.5, alternative=0.52, rate=RATE, claim="signs of W are fair"
    )
    points = [(i - (k - 1)) / k for i in range(2 * k - 1)]
    counts = [int((b == p).sum()) for p in points]
    assert sum(counts) == 2000
    assert_uniform(counts, alternative=0.28, rate=RATE, claim="biases are uniform on the grid")
    outputs = a * width
    assert set(outputs.unique().tolist()) == {-1.0, 1.0}
    for name, other in (("W", W[:, 0]), ("the neuron before", outputs.roll(1))):
        assert_proportion(
            int((outputs * other > 0).sum()),
            2000,
            0.5,
            alternative=0.59,
            rate=RATE,
            claim=f"signs of a are fair, given those of {name}",
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("he", 4, "float32"), "initialisation 'he' is unknown: give one of torch-default, symmetric"),
        (("symmetric", 5, "float32"), "width 5 is odd"),
        (("torch-default", 0, "float32"), "width 0 is not allowed: give 1 to 1048576 neurons"),
        (("torch-default", 1 << 21, "float32"), "width 2097152 is not allowed"),
        (("torch-default", 4, "float16"), "dtype 'float16' is unknown: give one of float32, float64"),
    ],
)
def test_refusals(arguments: tuple[str, int, str], message: str) -> None:
    with pytest.raises(SimError, match=message):
        check_network(*arguments)
    name, width, dtype = arguments
    with pytest.raises(SimError, match=message):
        initialise(name, 4, 2, width, KEY, [0], dtype)
