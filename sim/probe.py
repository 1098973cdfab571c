"""What a network's output says about the hidden support: its correlations with monomials, sampled or exact.

The correlation of a reading g of the logit f with the monomial χ_T(x) = Π_{i in T} x_i is E[g(f(x)) χ_T(x)] over
uniform x, a Fourier coefficient of g∘f. Three readings: `probability` is tanh(f/2) = p_1 − p_0, which a student
of KL divergence sees; `sign` is the sign of f (0 where f = 0), which hard labels show; `logit` is f itself.

**How many samples.** χ² = 1, so an estimate from N samples has standard error sqrt((E g² − c²)/N), at most 1/√N
for readings bounded by 1. The default N = 2^20 makes it at most 1/1024 < 0.001: correlations of 0.002 and 0.01
are then at least 8 standard errors of one estimate apart, and 5.7 of a difference of independent ones. Half as
exact is four times as cheap: at N = 2^18 it is still 4 and 2.8.

All networks of a probe see the same samples, so differences between checkpoints are more exact than that.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import chain, combinations
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int8
from torch import Tensor

import kernels
from kernels import Network
from kernels.randomness import MAX_SAMPLES
from sim.errors import SimError

READINGS: Final = ("probability", "sign", "logit")
DEFAULT_SAMPLES: Final = 1 << 20
MAX_SUPPORT: Final = 12
MAX_ENUMERATED: Final = 20
CHUNK: Final = 4096
DRAWN: Final = 1 << 16
"""Samples drawn at once; a chunk divides or exceeds them."""

SUMMED = 2048
"""Samples of one float32 product: more of them would round the more."""

Monomial = tuple[int, ...]


@final
@dataclass(frozen=True)
class ProbeSpec:
    """Which correlations, from which samples.

    Attributes:
        n: dimension.
        support: the k hidden coordinates, increasing, 1 <= k <= 12.
        key: key of the samples and of the choice of monomials, in [0, 2^64).
        stream: stream of the samples under that key.
        samples: N, at least 2.
        off: monomials of each degree 1..k outside the support, and as many partly outside; all where there are fewer.

    Raises:
        SimError: a value is out of range.
    """

    n: int
    support: Monomial
    key: int
    stream: int = 0
    samples: int = DEFAULT_SAMPLES
    off: int = 64

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if not 1 <= len(self.support) <= MAX_SUPPORT:
            raise SimError(f"support of {len(self.support)} coordinates is refused: use 1 to {MAX_SUPPORT}")
        if (
            tuple(sorted(set(self.support))) != self.support
            or not 0 <= self.support[0] <= self.support[-1] < self.n
        ):
            raise SimError(
                f"support {self.support} is refused: use increasing coordinates in 0..{self.n - 1}"
            )
        if not 0 <= self.key < 1 << 64:
            raise SimError(f"key {self.key} is refused: use one in [0, 2^64)")
        if not 0 <= self.stream < 1 << 63:
            raise SimError(f"stream {self.stream} is refused: use one in [0, 2^63)")
        if not 2 <= self.samples <= MAX_SAMPLES:
            raise SimError(f"{self.samples} samples are refused: use 2 to {MAX_SAMPLES}")
        if self.off < 0:
            raise SimError(f"{self.off} monomials off the support are refused: use 0 or more")

    @cached_property
    def inside(self) -> tuple[Monomial, ...]:
        """All 2^k monomials of the support, by degree, then lexicographically; the first is the constant."""
        return tuple(chain.from_iterable(combinations(self.support, d) for d in range(len(self.support) + 1)))

    @cached_property
    def outside(self) -> tuple[tuple[str, int, tuple[Monomial, ...]], ...]:
        """(`off` or `mixed`, degree, monomials) for degrees 1..k; a mixed one meets the support and its complement."""
        groups = [("off", d, self._sampled(d, range(1))) for d in range(1, len(self.support) + 1)]
        groups += [("mixed", d, self._sampled(d, range(1, d))) for d in range(2, len(self.support) + 1)]
        return tuple(group for group in groups if group[2])

    @property
    def monomials(self) -> tuple[Monomial, ...]:
        """All monomials in the order in which `correlations` has them: `inside`, then the groups of `outside`."""
        return self.inside + tuple(chain.from_iterable(group[2] for group in self.outside))

    def spec(self) -> dict[str, Any]:
        """JSON values from which `from_spec` makes it again."""
        return asdict(self) | {"support": list(self.support)}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "ProbeSpec":
        """The probe of a spec. Raises SimError if it is none."""
        try:
            return cls(**{f.name: spec[f.name] for f in fields(cls)} | {"support": tuple(spec["support"])})
        except (KeyError, TypeError) as error:
            raise SimError(f"{spec} is no probe: {error}") from error

    def _sampled(self, degree: int, shares: range) -> tuple[Monomial, ...]:
        """`off` distinct monomials, uniformly, with |T ∩ S| in `shares`; all if there are no more."""
        rest = [i for i in range(self.n) if i not in self.support]
        k = len(self.support)
        counts = [math.comb(k, j) * math.comb(len(rest), degree - j) for j in shares]
        stream = 2 * degree + (shares.start > 0)
        if sum(counts) <= 4 * self.off:  # rejection would be slow
            pool = [
                tuple(sorted(a + b))
                for j in shares
                for a in combinations(self.support, j)
                for b in combinations(rest, degree - j)
            ]
            order = np.argsort(
                kernels.draw_integers(self.key, stream, len(pool), 1 << 62).numpy(), kind="stable"
            )
            return tuple(sorted(pool[i] for i in order[: self.off]))
        found: set[Monomial] = set()
        count = 64 * self.off * degree
        while len(found) < self.off:
            found.clear()
            for row in kernels.draw_integers(self.key, stream, count, self.n).reshape(-1, degree).tolist():
                monomial = tuple(sorted(set(row)))
                if len(monomial) == degree and len(set(monomial) & set(self.support)) in shares:
                    found.add(monomial)
                    if len(found) == self.off:
                        break
            count *= 2
        return tuple(sorted(found))


@final
@dataclass(frozen=True, eq=False)
class Correlations:
    """Measured correlations of R networks.

    Attributes:
        values: by reading (in the order of `READINGS`), network and monomial; NaN for a network with an infinite logit.
        mean_squares: E g² by reading and network.
        samples: N, or None where all inputs were enumerated.
    """

    values: Float64[Tensor, "readings R monomials"]
    mean_squares: Float64[Tensor, "readings R"]
    samples: int | None

    @property
    def errors(self) -> Float64[Tensor, "readings R monomials"]:
        """Standard errors of the values: sqrt((E g² − c²)/(N − 1)), zero for an enumeration."""
        variances = (self.mean_squares[..., None] - self.values**2).clamp_min(0)
        return (variances / (self.samples - 1)).sqrt() if self.samples is not None else variances * 0


def correlations(
    spec: ProbeSpec,
    network: Network,
    *,
    chunk: int = CHUNK,
    threads: int = 1,
    implementation: str = "auto",
    progress: Callable[[int], None] | None = None,
) -> Correlations:
    """Correlations of R networks of dimension n on the spec's samples, one call of `kernels.logits` a chunk.

    The result depends on the chunk by rounding only (`sign` not at all unless a logit's sign does). Memory: the
    kernel's own and about (5 monomials + 20 R) bytes a sample of a chunk.

    Args:
        spec: monomials and samples.
        network: R networks of one shape.
        chunk: samples handled at once, at least 1.
        threads: for the kernel.
        implementation: for the kernel.
        progress: called with the number of samples done after each chunk.

    Raises:
        SimError: a network of another dimension, or a chunk below 1.
    """
    _check(spec, network)
    if chunk < 1:
        raise SimError(f"a chunk of {chunk} samples is refused: use 1 or more")
    r, groups = network.W.shape[0], _by_degree(spec.monomials)
    products = torch.zeros((3 * r, len(spec.monomials)), dtype=torch.float64)
    sums, squares = torch.zeros(3 * r, dtype=torch.float64), torch.zeros(3 * r, dtype=torch.float64)
    finite = torch.ones(r, dtype=torch.bool)
    for start, bits in _chunks(spec, chunk):
        stop = start + bits.shape[1]
        f = kernels.logits(
            spec.key, spec.stream, network, start, stop, threads=threads, implementation=implementation
        )
        finite &= f.isfinite().all(dim=1)
        g = readings(f.nan_to_num(0, 0, 0)).reshape(3 * r, -1)
        minus = _products(g, _parities(bits, groups))  # Σ g over the samples with χ = −1
        sums += (total := g.sum(dim=1, dtype=torch.float64))
        squares += g.to(torch.float64).square_().sum(dim=1)
        products += total[:, None] - 2 * minus
        if progress is not None:
            progress(stop)
    shape = (3, r, len(spec.monomials))
    values, means = products.reshape(shape) / spec.samples, squares.reshape(3, r) / spec.samples
    values[:, ~finite], means[:, ~finite] = math.nan, math.nan
    return Correlations(values, means, spec.samples)


def exact_correlations(spec: ProbeSpec, network: Network) -> Correlations:
    """The same by enumeration of all 2^n inputs in float64, without the kernel; n <= 20.

    A fast Walsh-Hadamard transform of each reading. Raises SimError for n > 20 or a network of another dimension.
    """
    _check(spec, network)
    if spec.n > MAX_ENUMERATED:
        raise SimError(f"2^{spec.n} inputs are refused: enumeration is for n <= {MAX_ENUMERATED}")
    w, b, a, c = (t.to(torch.float64) for t in network)
    parts = []
    for start in range(0, 1 << spec.n, 1 << 12):
        index = torch.arange(start, min(start + (1 << 12), 1 << spec.n))
        x = (1 - 2 * (index[:, None] >> torch.arange(spec.n) & 1)).to(torch.float64)
        parts.append(torch.stack([a[i] @ (w[i] @ x.T + b[i, :, None]).relu() + c[i] for i in range(len(c))]))
    g = readings(torch.cat(parts, dim=1), torch.float64)
    spectrum = g.clone()
    for bit in range(spec.n):
        pair = spectrum.reshape(3, len(c), -1, 2, 1 << bit)
        spectrum = torch.stack((pair[..., 0, :] + pair[..., 1, :], pair[..., 0, :] - pair[..., 1, :]), dim=-2)
    at = torch.tensor([sum(1 << i for i in monomial) for monomial in spec.monomials])
    return Correlations(
        spectrum.reshape(g.shape)[..., at] / (1 << spec.n), g.square().mean(dim=-1), samples=None
    )


def readings(f: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """tanh(f/2), sign and value of logits of any shape, stacked in a new first dimension."""
    return torch.stack([(f / 2).tanh(), f.sign(), f]).to(dtype)


def _check(spec: ProbeSpec, network: Network) -> None:
    if network.W.shape[-1] != spec.n:
        raise SimError(
            f"a network of dimension {network.W.shape[-1]} is refused: this probe has n = {spec.n}"
        )


def _products(g: Tensor, parities: Tensor) -> Tensor:
    """g @ parities.T, float32 products of `SUMMED` samples each, added up in float64."""
    pieces = zip(torch.split(g, SUMMED, dim=1), torch.split(parities, SUMMED, dim=1), strict=True)
    return sum(((a @ b.T).to(torch.float64) for a, b in pieces), torch.zeros((), dtype=torch.float64))


def _chunks(spec: ProbeSpec, chunk: int) -> Iterator[tuple[int, Int8[Tensor, "n samples"]]]:
    """(first sample, bits) of each chunk; a one is x = −1."""
    drawn = max(chunk, DRAWN // chunk * chunk)
    for first in range(0, spec.samples, drawn):
        last = min(first + drawn, spec.samples)
        x = kernels.draw_inputs(spec.key, spec.stream, spec.n, first, last).T.contiguous()
        bits = x.lt_(0)
        for start in range(0, last - first, chunk):
            yield first + start, bits[:, start : start + chunk].contiguous()


def _by_degree(monomials: tuple[Monomial, ...]) -> list[tuple[Tensor, Tensor]]:
    """(positions, coordinates [count, degree]) of the monomials of each degree."""
    groups = []
    for degree in sorted({len(m) for m in monomials}):
        at = [i for i, m in enumerate(monomials) if len(m) == degree]
        coordinates = torch.tensor([monomials[i] for i in at], dtype=torch.int64).reshape(len(at), degree)
        groups.append((torch.tensor(at), coordinates))
    return groups


def _parities(
    bits: Int8[Tensor, "n samples"], groups: list[tuple[Tensor, Tensor]]
) -> Float32[Tensor, "monomials samples"]:
    """1 where χ_T = −1 and 0 where it is 1: the XOR of T's columns."""
    out = torch.empty((sum(len(at) for at, _ in groups), bits.shape[1]), dtype=torch.float32)
    for at, coordinates in groups:
        parity = torch.zeros((len(at), bits.shape[1]), dtype=torch.int8)
        for column in coordinates.T:
            parity.bitwise_xor_(bits[column])
        out[at] = parity.to(torch.float32)
    return out
