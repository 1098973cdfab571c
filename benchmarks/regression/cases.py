"""What is compared: calls of the public functions, one thread, such that every engine of the C++ is at work.

A case makes the same call of either version, on the same tensors: where data lie in memory can cost 10 %. Calls take
0.5 to 15 ms on one core of an Intel Xeon (family 6 model 207). Inputs are made here, not in benchmarks/problems.py,
which imports the installed kernels: a process that compares two versions has no third one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import torch

Call = Callable[[], object]
Bind = Callable[[ModuleType], Call]
Prepare = Callable[[str, float], Bind]

# Work that a level does in a given time, in that of avx512: of the bit kernels, of float arithmetic.
BITS = {"avx512": 1.0, "avx2": 0.6, "baseline": 0.4}
FLOATS = {"avx512": 1.0, "avx2": 0.62, "baseline": 0.32}


@dataclass(frozen=True)
class Case:
    """A call to compare.

    Attributes:
        kernel: the public function.
        about: what is special about the call; with the kernel and the level, its name.
        where: the C++ source (or Python module) in which most of its time goes.
        prepare: makes the inputs for a level and a share of the work, and returns what makes a package's call.
        every_level: compared at every level that the processor has, and not only at the best one.
    """

    kernel: str
    about: str
    where: str
    prepare: Prepare
    every_level: bool = False

    def name(self, level: str) -> str:
        """The case at a level."""
        return f"{self.kernel}: {self.about}, {level}"


def _size(amount: float, share: float, speed: float, step: int = 1) -> int:
    return max(1, round(amount * share * speed / step)) * step


def _first_step(n: int, neurons: int, samples: int, *, mixed: bool = False) -> Prepare:
    def prepare(level: str, share: float) -> Bind:
        generator = torch.Generator().manual_seed(n + neurons)
        weights = torch.randint(0, 2, (1, neurons, n), generator=generator) * 2 - 1
        tables = torch.tensor([[1 - 2 * (p.bit_count() & 1) for p in range(16)]], dtype=torch.int8)
        if mixed:  # two classes, one of which does not label every sample
            tables = torch.cat([tables, tables * (torch.arange(16) % 3 > 0)]).to(torch.int8)
        arguments = (
            7,
            torch.zeros(1, dtype=torch.int64),
            weights.to(torch.int8),
            torch.full((1, neurons), (n + 1) // 2 - 1),
            torch.arange(4),
            tables,
        )
        records = torch.tensor([_size(samples, share, BITS[level], 4096)])
        mixture = (3 << 61, -tables) if mixed else None
        return lambda kernels: (
            lambda: kernels.first_step(*arguments, records=records, mixture=mixture, implementation=level)
        )

    return prepare


def _network(width: int, students: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(width)

    def uniform(*size: int, fan_in: int) -> torch.Tensor:
        signed = torch.rand(size, generator=generator, dtype=dtype) * 2 - 1
        return signed.mul(fan_in**-0.5)

    return [
        uniform(students, width, 100, fan_in=100),
        uniform(students, width, fan_in=100),
        uniform(students, width, fan_in=width),
        uniform(students, fan_in=width),
    ]


def _sgd(
    width: int,
    students: int,
    steps: int,
    *,
    batch: int = 1,
    decay: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Prepare:
    def prepare(level: str, share: float) -> Bind:
        network = _network(width, students, dtype)
        count = _size(steps, share, FLOATS[level])
        labels = torch.randint(0, 2, (1, count * batch), generator=torch.Generator().manual_seed(1))
        targets = labels.to(dtype)
        rates = torch.full((1, count), 0.005, dtype=torch.float64)
        shrink = torch.full((1, 1), decay, dtype=torch.float64) if decay else None
        return lambda kernels: (
            lambda: kernels.sgd(
                7,
                0,
                kernels.Network(*network),
                targets,
                rates,
                batch=batch,
                decay=shrink,
                implementation=level,
            )
        )

    return prepare


def _logits(width: int, students: int, samples: int) -> Prepare:
    def prepare(level: str, share: float) -> Bind:
        network = _network(width, students, torch.float32)
        stop = _size(samples, share, FLOATS[level], 64)
        return lambda kernels: (
            lambda: kernels.logits(7, 0, kernels.Network(*network), 0, stop, implementation=level)
        )

    return prepare


def _hinge_sgd(width: int, steps: int, runs: int) -> Prepare:
    def prepare(level: str, share: float) -> Bind:
        generator = torch.Generator().manual_seed(width)
        features = torch.rand((2, steps, width), generator=generator, dtype=torch.float64)
        labels = (torch.randint(0, 2, (2, steps), generator=generator) * 2 - 1).to(torch.int8)
        zero = torch.zeros((2, width), dtype=torch.float64)
        rates = torch.full((2,), 0.1 / width, dtype=torch.float64)
        repeats = range(_size(runs, share, 1.0))

        def bind(kernels: ModuleType) -> Call:
            def call() -> None:  # several runs on features that stay in the processor's own cache
                for _ in repeats:
                    kernels.hinge_sgd(features, labels, zero, zero, rates, implementation=level)

            return call

        return bind

    return prepare


def _parity_labels(level: str, share: float) -> Bind:
    stop = _size(1_000_000, share, BITS[level], 4096)
    support = torch.arange(6) * 16
    return lambda kernels: lambda: kernels.parity_labels(7, 0, 100, support, 0, stop, implementation=level)


def _draw_inputs(level: str, share: float) -> Bind:
    return lambda kernels: lambda: kernels.draw_inputs(7, 0, 100, 0, 512)


CASES = (
    Case("first_step", "n = 100, 1 neuron", "solo.h", _first_step(100, 1, 3_000_000), every_level=True),
    Case("first_step", "n = 200, 1 neuron", "solo.h", _first_step(200, 1, 1_100_000)),
    Case("first_step", "n = 100, 48 neurons", "sliced.h", _first_step(100, 48, 90_000), every_level=True),
    Case(
        "first_step", "n = 100, 24 neurons, a mixture", "sliced.h", _first_step(100, 24, 110_000, mixed=True)
    ),
    Case("first_step", "n = 100, 256 neurons", "wide.h", _first_step(100, 256, 25_000), every_level=True),
    Case("first_step", "n = 100, 1,024 neurons", "wide.h", _first_step(100, 1024, 8_000)),
    Case("sgd", "width 100, 64 students", "sweep.h", _sgd(100, 64, 112), every_level=True),
    Case("sgd", "width 1,000, 4 students", "sweep.h", _sgd(1000, 4, 256), every_level=True),
    Case("sgd", "width 1,000, 32 students", "sweep.h", _sgd(1000, 32, 64)),
    Case("sgd", "width 8,192", "sweep.h", _sgd(8192, 1, 96)),
    Case("sgd", "width 200, 8 students, float64", "sweep.h", _sgd(200, 8, 160, dtype=torch.float64)),
    Case("sgd", "width 200, 8 students, weight decay", "sweep.h", _sgd(200, 8, 192, decay=0.01)),
    Case("sgd", "width 200, 8 students, batches of 16", "sweep.h", _sgd(200, 8, 32, batch=16)),
    Case("sgd", "width 200, 8 students, batches of 256", "sweep.h", _sgd(200, 8, 2, batch=256)),
    Case("logits", "width 1,000, 4 students", "forward.h", _logits(1000, 4, 1024), every_level=True),
    Case("hinge_sgd", "width 200, 2 replicates", "level_hinge.cpp", _hinge_sgd(200, 400, 24)),
    Case("parity_labels", "n = 100, k = 6", "samples.h", _parity_labels),
    Case("draw_inputs", "n = 100", "randomness.py", _draw_inputs),
)


LEVELS = ("avx512", "avx2", "baseline")
MOST_CASES = sum(len(LEVELS) if case.every_level else 1 for case in CASES)  # that one processor compares


def selected(levels: Sequence[str]) -> list[tuple[Case, str, float]]:
    """What is compared: a case, a level and a share of the work; levels: what the processor has, best first."""
    return [
        (case, level, 1.0 if level == levels[0] else 0.5)
        for level in levels
        for case in CASES
        if case.every_level or level == levels[0]
    ]
