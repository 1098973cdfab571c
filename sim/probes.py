"""Correlations with monomials (`sim.probe`) along a trajectory of networks, as records that can be kept."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, final

import numpy as np
import torch
from jaxtyping import Float64, Int64

from kernels import Network
from sim.errors import SimError, reason
from sim.probe import CHUNK, READINGS, Monomial, ProbeSpec, correlations

BATCH: Final = 1 << 22
"""Parameters of the networks that are read in one pass over the samples: 16 MiB in float32."""

_SIZES: Final = ("mean", "low", "high", "largest", "excess")


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
            raise SimError(f"these values are no probes: {reason(error)}") from error
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
