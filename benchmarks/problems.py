"""What is computed: the arguments that the kernels and their peers share."""

import torch

import kernels

KEY = 1  # of the streams of samples
FIRST_STEP_K = 4
N, K, RATE = 100, 6, 0.005  # of training: the paper's n and k


def first_step_problem(
    n: int, neurons: int, streams: int = 1, k: int = FIRST_STEP_K
) -> dict[str, torch.Tensor]:
    """Arguments of the op: random signs, bias 0, the parity of the first k coordinates."""
    generator = torch.Generator().manual_seed(n)
    parity = [1 - 2 * (p.bit_count() & 1) for p in range(2**k)]
    return {
        "streams": torch.arange(streams),
        "weights": (torch.randint(0, 2, (streams, neurons, n), generator=generator) * 2 - 1).to(torch.int8),
        "q": torch.full((streams, neurons), (n + 1) // 2 - 1),
        "support": torch.arange(k),
        "tables": torch.tensor([parity], dtype=torch.int8),
    }


def network(width: int, students: int, n: int = N) -> kernels.Network:
    """Students with torch's default initialisation, as a scalar logit."""
    generator = torch.Generator().manual_seed(width)

    def uniform(*size: int, fan_in: int) -> torch.Tensor:
        return torch.empty(size).uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)

    return kernels.Network(
        uniform(students, width, n, fan_in=n),
        uniform(students, width, fan_in=n),
        uniform(students, width, fan_in=width) - uniform(students, width, fan_in=width),
        uniform(students, fan_in=width) - uniform(students, fan_in=width),
    )


def samples(steps: int, n: int = N, k: int = K) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [steps, n] and labels 0 and 1, those of stream 0."""
    x = kernels.draw_inputs(KEY, 0, n, 0, steps).to(torch.float32)
    return x, (x[:, :k].prod(dim=1) > 0).to(torch.float32)


def hinge_problem(width: int, replicates: int, steps: int) -> tuple[torch.Tensor, ...]:
    """Features [R, steps, m], labels [R, steps], weights and total [R, m], step sizes [R]; float64, labels int8."""
    generator = torch.Generator().manual_seed(width)
    features = torch.randn(replicates, steps, width, generator=generator, dtype=torch.float64)
    labels = (torch.randint(0, 2, (replicates, steps), generator=generator) * 2 - 1).to(torch.int8)
    zero = torch.zeros(replicates, width, dtype=torch.float64)
    return features, labels, zero, zero, torch.full((replicates,), 0.01, dtype=torch.float64)
