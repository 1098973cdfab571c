"""Initialisations of one-hidden-layer ReLU networks f(x) = Σ_j a_j relu(<w_j, x> + b_j) + c.

Randomness is counter-based: replicate r draws from stream r under the given key, so that each network can be made
alone. Values are drawn in double precision and rounded once: float32 and float64 networks of one key agree.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kernels import Network, draw_integers, draw_signs
from sim.artifacts import Layout
from sim.errors import SimError

InitialisationName = Literal["torch-default", "symmetric"]
INITIALISATIONS: tuple[InitialisationName, ...] = get_args(InitialisationName)
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
MAX_WIDTH = 1 << 20
_BITS = 52


def check_network(initialisation: str, width: int, dtype: str) -> None:
    """Refuse a width, an initialisation or a dtype that there is not.

    Raises:
        SimError: one of them is not allowed.
    """
    if initialisation not in INITIALISATIONS:
        raise SimError(
            f"initialisation {initialisation!r} is unknown: give one of {', '.join(INITIALISATIONS)}"
        )
    if not 1 <= width <= MAX_WIDTH:
        raise SimError(f"width {width} is not allowed: give 1 to {MAX_WIDTH} neurons")
    if initialisation == "symmetric" and width % 2:
        raise SimError(
            f"width {width} is odd: symmetric initialisation mirrors its neurons, give an even width"
        )
    if dtype not in DTYPES:
        raise SimError(f"dtype {dtype!r} is unknown: give one of {', '.join(DTYPES)}")


def initialise(
    initialisation: str, n: int, k: int, width: int, key: int, replicates: Sequence[int], dtype: str
) -> Network:
    """Networks of an initialisation by name, one a replicate: see `torch_default` and `symmetric`.

    Raises:
        SimError: the width, the initialisation or the dtype is not allowed.
    """
    check_network(initialisation, width, dtype)
    if initialisation == "symmetric":
        return symmetric(n, k, width, key, replicates, DTYPES[dtype])
    return torch_default(n, width, key, replicates, DTYPES[dtype])


def output_rate(initialisation: str) -> float:
    """How many times the learning rate the output layer (a, c) learns at.

    2 where the scalar output stands for the difference of two trained outputs, as in `torch-default`; 1 where there
    is one output, as in `symmetric`.
    """
    return 2.0 if initialisation == "torch-default" else 1.0


def layout(n: int, width: int, replicates: int, dtype: str) -> Layout:
    """Shapes and dtypes of the tensors of R = `replicates` networks, by their names in `kernels.Network`."""
    shapes = {
        "W": (replicates, width, n),
        "b": (replicates, width),
        "a": (replicates, width),
        "c": (replicates,),
    }
    return {name: (shape, DTYPES[dtype]) for name, shape in shapes.items()}


def torch_default(n: int, width: int, key: int, replicates: Sequence[int], dtype: torch.dtype) -> Network:
    """Two `torch.nn.Linear` layers with two outputs, as torch initialises them, folded into the logit difference.

    Entries of W and b are uniform on ±1/√n, entries of both outputs' weights and biases uniform on ±1/√m;
    a = a_1 − a_0, c = c_1 − c_0. Drawn in the order W, b, a_0, a_1, c_0, c_1. Learns with `output_rate` 2.

    Args:
        n: inputs, at least 1.
        width: neurons m, at least 1.
        key: key of the stream of randomness.
        replicates: R stream numbers.
        dtype: float32 or float64.

    Returns:
        Networks: W [R, m, n], b [R, m], a [R, m], c [R].
    """
    hidden, output = width * n + width, 2 * width + 2
    drawn = torch.stack([_symmetric_uniform(key, r, hidden + output) for r in replicates])
    inner = drawn[:, :hidden] / math.sqrt(n)
    outer = drawn[:, hidden:] / math.sqrt(width)
    W, b = inner[:, : width * n].reshape(-1, width, n), inner[:, width * n :]
    a = outer[:, width : 2 * width] - outer[:, :width]
    c = outer[:, 2 * width + 1] - outer[:, 2 * width]
    return _network(W, b, a, c, dtype)


def symmetric(n: int, k: int, width: int, key: int, replicates: Sequence[int], dtype: torch.dtype) -> Network:
    """Sign initialisation with mirrored neurons, so that f ≡ 0 (Barak et al., *Hidden progress in deep learning*).

    Entries of W are ±1, those of b uniform on the 2k − 1 points −1 + 1/k, −1 + 2/k, …, 1 − 1/k, those of a ±1/m;
    neuron j + m/2 is neuron j with −a; c = 0. Learns with `output_rate` 1.

    Args:
        n: inputs, at least 1.
        k: size of the support, at least 1; it sets the grid of biases.
        width: neurons m, even.
        key: key of the stream of randomness.
        replicates: R stream numbers.
        dtype: float32 or float64.

    Returns:
        Networks: W [R, m, n], b [R, m], a [R, m], c [R].
    """
    half = width // 2
    signs = torch.stack([draw_signs(key, r, half * (n + 1)) for r in replicates]).to(torch.float64)
    steps = torch.stack([draw_integers(key, r, half, 2 * k - 1) for r in replicates])
    W = signs[:, : half * n].reshape(-1, half, n)
    b = (steps - (k - 1)).to(torch.float64) / k
    a = signs[:, half * n :] / width
    c = torch.zeros(len(replicates), dtype=torch.float64)
    return _network(torch.cat([W, W], 1), torch.cat([b, b], 1), torch.cat([a, -a], 1), c, dtype)


def _symmetric_uniform(key: int, stream: int, count: int) -> Float64[Tensor, " count"]:
    """Uniform on (−1, 1), odd multiples of 2^−52: symmetric about 0, never 0."""
    drawn = draw_integers(key, stream, count, 1 << _BITS).numpy()
    values = (2 * drawn + 1 - (1 << _BITS)).astype(np.float64)
    return torch.from_numpy(values) / (1 << _BITS)


def _network(W: Tensor, b: Tensor, a: Tensor, c: Tensor, dtype: torch.dtype) -> Network:
    return Network(*(tensor.to(dtype).contiguous() for tensor in (W, b, a, c)))
