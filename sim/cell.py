"""A cell: one point of a grid, identified by the content of all that changes its outcome."""

import functools
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from sim.errors import SimError
from sim.schedule import Schedule, schedule_from_spec

MAX_N = 4095
MAX_K = 10
MAX_SAMPLES = 2**43
MAX_SEED = 2**63 - 1


class Cell(ABC):
    """One point of a grid: its protocol, and all that changes its outcome.

    Concrete cells are frozen dataclasses, one class a protocol.

    Attributes:
        protocol: name and version of the experiment, for example `first-step/1`.
        n: dimension, 1 to 4095.
        k: size of the support, 1 to min(n, 10).
        seed: 0 to 2^63 − 1.
    """

    protocol: str
    n: int
    k: int
    seed: int

    @abstractmethod
    def spec(self) -> dict[str, Any]:
        """All that changes the outcome, as JSON values; `protocol` among them."""

    @abstractmethod
    def label(self) -> str:
        """One line for people."""

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Samples that one replicate takes."""

    @property
    @abstractmethod
    def series(self) -> str:
        """What is listed and drawn together: the label of the schedule and whatever else sets it apart but n and k."""

    @functools.cached_property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of `spec()`, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.spec()).encode()).hexdigest()

    def json(self) -> dict[str, Any]:
        """The cell for other programs: id, label and `spec()`."""
        return {"id": self.id, "label": self.label(), **self.spec()}

    @property
    def order(self) -> tuple[str, int, str, int, str]:
        """Where the cell stands in a list: protocol, k, series, n, id."""
        return self.protocol, self.k, self.series, self.n, self.id

    @staticmethod
    def from_spec(spec: Mapping[str, Any]) -> "Cell":
        """The cell whose `spec()` this is, of the class of its protocol.

        Raises:
            SimError: the specification does not describe a cell, or its protocol is not known here.
        """
        try:
            if (
                spec["protocol"].partition("/")[0] == FirstStepCell.kind
            ):  # what runs it takes seconds to import
                return FirstStepCell.of_spec(spec)
            from sim.protocol.registry import protocol_named  # which imports all kinds of cells

            return protocol_named(spec["protocol"]).cell_from_spec(spec)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, SimError):
                raise
            reason = str(error).partition("\n")[0]
            raise SimError(f"cell {canonical_json(spec)} cannot be read: {reason}") from error


class StepCell(Cell):
    """A cell whose students take a first step on one batch.

    Attributes:
        q: a unit is active iff at most q of its w_i x_i are −1 (all that matters of the bias).
        schedule: what supervises the first step.
    """

    q: int
    schedule: Schedule


@final
@dataclass(frozen=True)
class FirstStepCell(StepCell):
    """A cell of the first-step protocol.

    Attributes:
        kind: name of its protocol.
        protocol, n, k, seed: as in every cell.
        q: a neuron is active iff at most q of its w_i x_i are −1 (all that matters of the bias), −1 to n.
        schedule: what supervises the student.
        samples: the horizon: success is recorded at sample counts up to this one.
        resolution: recorded sample counts per doubling, 1 to 16.
    """

    kind: ClassVar[str] = "first-step"
    protocol: str
    n: int
    k: int
    q: int
    schedule: Schedule
    samples: int
    resolution: int
    seed: int

    @staticmethod
    def of_spec(spec: Mapping[str, Any]) -> "FirstStepCell":
        """The cell whose `spec()` this is."""
        fields = dict(spec)
        return FirstStepCell(schedule=schedule_from_spec(fields.pop("schedule")), **fields)

    def __post_init__(self) -> None:
        check_shape(self.n, self.k)
        if not -1 <= self.q <= self.n:
            raise SimError(f"threshold count q = {self.q} is not allowed: give -1 <= q <= n = {self.n}")
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise SimError(f"samples {self.samples} are not allowed: give 1 to {MAX_SAMPLES}")
        if not 1 <= self.resolution <= 16:
            raise SimError(f"resolution {self.resolution} is not allowed: give 1 to 16 points per doubling")
        check_seed(self.seed)

    def spec(self) -> dict[str, Any]:
        """All fields."""
        return {
            "protocol": self.protocol,
            "n": self.n,
            "k": self.k,
            "q": self.q,
            "schedule": self.schedule.spec(),
            "samples": self.samples,
            "resolution": self.resolution,
            "seed": self.seed,
        }

    @property
    def horizon(self) -> int:
        """The field `samples`."""
        return self.samples

    @property
    def series(self) -> str:
        """The schedule's label."""
        return self.schedule.label()

    def label(self) -> str:
        """For example `n=50 k=4 one-shot c=2`."""
        return f"n={self.n} k={self.k} {self.schedule.label()}"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def check_shape(n: int, k: int) -> None:
    """Refuse an (n, k) that has no sparse parity."""
    if not 1 <= n <= MAX_N:
        raise SimError(f"n = {n} is not allowed: give 1 <= n <= {MAX_N}")
    if not 1 <= k <= MAX_K:
        raise SimError(f"k = {k} is not allowed: give 1 <= k <= {MAX_K}")
    if k > n:
        raise SimError(f"k = {k} is larger than n = {n}: the support has at most n coordinates")


def check_seed(seed: int) -> None:
    """Refuse a seed outside 64-bit signed range."""
    if not 0 <= seed <= MAX_SEED:
        raise SimError(f"seed {seed} is not allowed: give 0 to {MAX_SEED}")
