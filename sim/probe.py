"""What a network's output says about the hidden support: correlations with monomials, and the phase transition.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cached_property
from itertools import chain, combinations, pairwise
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int8, Int64
from scipy.stats import norm
from torch import Tensor

import kernels
from kernels import Network
from kernels.randomness import MAX_SAMPLES
from sim.errors import SimError

READINGS: Final = ("probability", "sign", "logit")
LEVELS: Final = (0.55, 0.75, 0.95)
DEFAULT_SAMPLES: Final = 1 << 20
MAX_SUPPORT: Final = 12
MAX_ENUMERATED: Final = 20
CHUNK: Final = 4096
DRAWN: Final = 1 << 16
"""Samples drawn at once; a chunk divides or exceeds them."""
BATCH: Final = 1 << 22
"""Parameters of the networks that are read in one pass over the samples: 16 MiB in float32."""

_SIZES: Final = ("mean", "low", "high", "largest", "excess")

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
        minus = (g @ _parities(bits, groups).T).to(torch.float64)  # Σ g over the samples with χ = −1
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


@final
@dataclass(frozen=True)
class Group:
    """Sampled monomials of one degree outside the support, c their correlations.

    Attributes:
        kind: `off` (disjoint from the support) or `mixed`.
        degree: of each monomial.
        count: how many.
        mean: mean |c|; of pure noise it is 0.8 standard errors.
        low, high: 5 % and 95 % quantile of |c|.
        largest: greatest |c|.
        excess: square root of the mean of c² − (standard error)², or 0: the size without the noise.
    """

    kind: str
    degree: int
    count: int
    mean: float
    low: float
    high: float
    largest: float
    excess: float


@final
@dataclass(frozen=True)
class Reading:
    """Correlations of one reading of one network.

    Attributes:
        values: by monomial of `ProbeSpec.inside`.
        errors: their standard errors.
        groups: what lies outside the support.
    """

    values: tuple[float, ...]
    errors: tuple[float, ...]
    groups: tuple[Group, ...]


@final
@dataclass(frozen=True)
class Point:
    """One network of a trajectory: its step, its number among networks of that step, and its readings by name.

    Numbers are NaN if a logit was infinite.
    """

    step: int
    replicate: int
    readings: dict[str, Reading]


@final
@dataclass(frozen=True)
class Probes:
    """Correlations along a trajectory, to seven significant digits."""

    spec: ProbeSpec
    points: tuple[Point, ...]

    def degree(self, degree: int, reading: str = "probability", replicate: int = 0) -> "Trace":
        """The in-support monomials of one degree along one replicate. Raises SimError for an unknown reading."""
        if reading not in READINGS:
            raise SimError(f"reading {reading!r} is unknown: use one of {', '.join(READINGS)}")
        at = [i for i, monomial in enumerate(self.spec.inside) if len(monomial) == degree]
        points = sorted((p for p in self.points if p.replicate == replicate), key=lambda p: p.step)
        chosen = [p.readings[reading] for p in points]
        shape = (len(points), len(at))
        return Trace(
            np.array([p.step for p in points], dtype=np.int64),
            tuple(self.spec.inside[i] for i in at),
            np.array([[r.values[i] for i in at] for r in chosen], dtype=np.float64).reshape(shape),
            np.array([[r.errors[i] for i in at] for r in chosen], dtype=np.float64).reshape(shape),
            tuple({g.kind: g for g in r.groups if g.degree == degree} for r in chosen),
        )

    def to_json(self) -> dict[str, Any]:
        """Values for a JSON file, null for NaN."""
        values: dict[str, Any] = plain(self)
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Probes":
        """The inverse of `to_json`. Raises SimError if the values are no probes."""
        try:
            points = tuple(
                Point(p["step"], p["replicate"], {name: _reading(r) for name, r in p["readings"].items()})
                for p in values["points"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SimError(f"these values are no probes: {error!r} in them is wrong") from error
        return cls(ProbeSpec.from_spec(values["spec"]), points)


@final
@dataclass(frozen=True, eq=False)
class Trace:
    """Correlations of the monomials of one degree along a trajectory.

    Attributes:
        steps: increasing.
        monomials: of the support.
        values: by step and monomial.
        errors: their standard errors.
        groups: by step, the group of each kind outside the support.
    """

    steps: Int64[np.ndarray, " steps"]
    monomials: tuple[Monomial, ...]
    values: Float64[np.ndarray, "steps monomials"]
    errors: Float64[np.ndarray, "steps monomials"]
    groups: tuple[dict[str, Group], ...]


def probe(
    spec: ProbeSpec,
    networks: Iterable[tuple[int, Network]],
    *,
    chunk: int = CHUNK,
    threads: int = 1,
    implementation: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Probes:
    """Probe the networks of a trajectory on the same samples.

    Args:
        spec: what to measure.
        networks: (step, R networks), taken one after another, so that a generator needs not hold them all; small ones
            of one shape share a pass over the samples.
        chunk: see `correlations`.
        threads: see `correlations`.
        implementation: see `correlations`.
        progress: called with (points done, samples done in the pass under way).

    Raises:
        SimError: a network of another dimension.
    """
    points: list[Point] = []
    for names, network in _batches(networks):
        done = len(points)
        report = None if progress is None else lambda samples, done=done: progress(done, samples)
        measured = correlations(
            spec, network, chunk=chunk, threads=threads, implementation=implementation, progress=report
        )
        values, errors = measured.values.numpy(), measured.errors.numpy()
        points += [
            Point(
                step,
                replicate,
                {name: _record(spec, values[g, r], errors[g, r]) for g, name in enumerate(READINGS)},
            )
            for r, (step, replicate) in enumerate(names)
        ]
    return Probes(spec, tuple(points))


def plain(value: Any) -> Any:
    """JSON values of dataclasses and what they hold: lists for tuples, None for numbers that are not finite."""
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _batches(networks: Iterable[tuple[int, Network]]) -> Iterator[tuple[list[tuple[int, int]], Network]]:
    """(step and replicate of each network, the networks stacked), of at most `BATCH` parameters or one item."""
    items: list[tuple[int, Network]] = []
    size = 0
    for step, network in networks:
        alike = not items or (network.W.shape[1:], network.W.dtype) == (
            items[0][1].W.shape[1:],
            items[0][1].W.dtype,
        )
        if items and (not alike or size + network.W.numel() > BATCH):
            yield _stacked(items)
            items, size = [], 0
        items.append((step, network))
        size += network.W.numel()
    if items:
        yield _stacked(items)


def _stacked(items: list[tuple[int, Network]]) -> tuple[list[tuple[int, int]], Network]:
    names = [(step, r) for step, network in items for r in range(network.W.shape[0])]
    return names, Network(
        *(torch.cat(tensors) for tensors in zip(*(network for _, network in items), strict=True))
    )


def _record(spec: ProbeSpec, values: Float64[np.ndarray, " T"], errors: Float64[np.ndarray, " T"]) -> Reading:
    start, groups = len(spec.inside), []
    for kind, degree, monomials in spec.outside:
        c, e = np.abs(values[start : start + len(monomials)]), errors[start : start + len(monomials)]
        numbers = (
            c.mean(),
            *np.quantile(c, (0.05, 0.95)),
            c.max(),
            math.sqrt(max(0.0, (c**2 - e**2).mean())),
        )
        groups.append(Group(kind, degree, len(monomials), *(_short(x) for x in numbers)))
        start += len(monomials)
    inside = slice(len(spec.inside))
    return Reading(tuple(map(_short, values[inside])), tuple(map(_short, errors[inside])), tuple(groups))


def _short(value: float) -> float:
    return float(f"{value:.7g}")


def _reading(values: dict[str, Any]) -> Reading:
    def numbers(v: list[float | None]) -> tuple[float, ...]:
        return tuple(math.nan if x is None else float(x) for x in v)

    groups = [
        Group(g["kind"], g["degree"], g["count"], *numbers([g[name] for name in _SIZES]))
        for g in values["groups"]
    ]
    return Reading(numbers(values["values"]), numbers(values["errors"]), tuple(groups))


@final
@dataclass(frozen=True)
class Crossing:
    """Where an accuracy curve reaches a level for good.

    Attributes:
        level: the accuracy.
        step: first logged step from which on `persistence` logged accuracies in a row are at least the level.
        low, high: the crossing of the curve without noise is in this interval; None for an end that was not reached.
        confirmed: False if the curve ends before so many were logged.
    """

    level: float
    step: int
    low: int
    high: int | None
    confirmed: bool


@final
@dataclass(frozen=True)
class Transition:
    """The phase transition of a teacher's accuracy curve.

    Attributes:
        crossings: of the levels that were reached, by level.
        start: last logged step before the crossing of the lowest level (or the first step); None if not reached.
        end: step of the crossing of the highest level, or None.
    """

    crossings: tuple[Crossing, ...]
    start: int | None
    end: int | None


def find_transition(
    steps: Sequence[int],
    accuracies: Sequence[float],
    *,
    evaluations: int = 4096,
    persistence: int = 3,
    alpha: float = 0.05,
    levels: Sequence[float] = LEVELS,
) -> Transition:
    """Find the crossings of the levels and the window between them.

    Rule: level p is crossed at the first logged step from which `persistence` accuracies in a row (or all that are
    left, then not `confirmed`) are at least p; NaN is below every level. The rule is monotone in the curve, so if all
    of T measured accuracies are within d of the true ones, the true curve's crossing lies between the measured
    curve's crossings of p − d and p + d. By Hoeffding's inequality and a union bound that holds with probability
    1 − alpha, for all levels at once and whatever the dependence between steps, for d = sqrt(ln(2T/alpha)/(2 N)): 0.032
    at T = 100, alpha = 0.05, N = 4,096. False alarms: an accuracy of 1/2 shows 0.55 by chance with probability
    8e-11 a step (6.4 standard deviations).

    Args:
        steps: T increasing steps.
        accuracies: in [0, 1] or NaN, each of N samples.
        evaluations: N, at least 1.
        persistence: at least 1.
        alpha: error of the intervals, in (0, 1).
        levels: increasing, in (0, 1).

    Raises:
        SimError: an argument is out of range.
    """
    if len(steps) != len(accuracies) or any(a >= b for a, b in pairwise(steps)):
        raise SimError(
            f"{len(steps)} steps with {len(accuracies)} accuracies are refused: use increasing steps, as many"
        )
    if evaluations < 1 or persistence < 1 or not 0 < alpha < 1:
        raise SimError(
            f"{evaluations} evaluations, persistence {persistence}, alpha {alpha} are refused:"
            " use at least 1, at least 1, and one in (0, 1)"
        )
    if not levels or any(a >= b for a, b in pairwise((0, *levels, 1))):
        raise SimError(f"levels {tuple(levels)} are refused: use increasing ones in (0, 1)")
    if any(a < 0 or a > 1 for a in accuracies):
        raise SimError(
            f"accuracies from {min(accuracies)} to {max(accuracies)} are refused: use [0, 1] or NaN"
        )
    d = math.sqrt(math.log(2 * max(1, len(steps)) / alpha) / (2 * evaluations))

    def first(level: float) -> int | None:
        reached = [a >= level for a in accuracies]
        return next((i for i in range(len(reached)) if all(reached[i : i + persistence])), None)

    crossings, start = [], None
    for level in levels:
        at, low, high = first(level), first(level - d), first(level + d)
        if at is not None and low is not None:
            confirmed = at + persistence <= len(steps)
            crossings.append(
                Crossing(level, steps[at], steps[low], None if high is None else steps[high], confirmed)
            )
            if level == levels[0]:
                start = steps[max(0, at - 1)]
    end = crossings[-1].step if crossings and crossings[-1].level == levels[-1] else None
    return Transition(tuple(crossings), start, end)


@final
@dataclass(frozen=True)
class Peak:
    """Where the mean absolute in-support degree-1 correlation is greatest.

    Attributes:
        step: of the greatest measured mean.
        value: that mean.
        error: a bound of its standard error, the mean of the k standard errors.
        low, high: the step of the greatest true mean among those probed is in [low, high].
    """

    step: int
    value: float
    error: float
    low: int
    high: int


def find_peak(
    probes: Probes, reading: str = "probability", *, replicate: int = 0, alpha: float = 0.05
) -> Peak | None:
    """The peak of the mean over the support of |c_i|; None without a finite point.

    With the Bonferroni quantile z of T k normal estimates, a true mean is within w = z · (mean standard error) of the
    measured one at all T steps with probability about 1 − alpha. The interval spans the steps whose mean + w reaches
    the greatest mean − w. The noise's share of a measured mean, up to 0.8 standard errors, is within w.
    """
    if not 0 < alpha < 1:
        raise SimError(f"alpha {alpha} is refused: use one in (0, 1)")
    trace = probes.degree(1, reading, replicate)
    means, errors = np.abs(trace.values).mean(axis=1), trace.errors.mean(axis=1)
    finite = np.isfinite(means)
    if not finite.any():
        return None
    steps, means, errors = trace.steps[finite], means[finite], errors[finite]
    w = float(norm.isf(alpha / (2 * len(steps) * len(probes.spec.support)))) * errors
    possible, best = steps[means + w >= (means - w).max()], int(means.argmax())
    return Peak(
        int(steps[best]), float(means[best]), float(errors[best]), int(possible[0]), int(possible[-1])
    )
