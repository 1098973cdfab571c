"""Networks that tests of probes measure."""

import math

import torch

from kernels import Network


def random_network(seed: int, r: int, m: int, n: int, dtype: torch.dtype = torch.float64) -> Network:
    """Networks whose logits are of order one."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((r, m, n), (r, m), (r, m), (r,))
    w, b, a, c = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return Network(w / math.sqrt(n), b, a / math.sqrt(m), c)


def known_network(n: int = 5, dtype: torch.dtype = torch.float64) -> Network:
    """f(x) = x_1 / 2 + x_0 x_2 / 4 + 1 / 8, from x = relu(x) - relu(-x) and x y = relu(x + y) + relu(-x - y) - 1."""
    w = torch.zeros((1, 4, n), dtype=dtype)
    w[0, 0, 1], w[0, 1, 1] = 1, -1
    w[0, 2, [0, 2]], w[0, 3, [0, 2]] = 1, -1
    a = torch.tensor([[0.5, -0.5, 0.25, 0.25]], dtype=dtype)
    return Network(w, torch.zeros((1, 4), dtype=dtype), a, torch.tensor([-0.25 + 0.125], dtype=dtype))
