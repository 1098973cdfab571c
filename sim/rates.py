"""Learning rates as a function of the step: constant or cosine, with or without warm-up.

As text: `PEAK[:constant|:cosine][:warmup=SHARE][:final=SHARE]`, for example `5e-3`, `5e-3:warmup=0.06`,
`1e-3:cosine:final=0.1`. Shares are of the run's steps (warm-up) and of the peak (final).
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy as np
import numpy.typing as npt

from sim.errors import SimError
from sim.ranges import parse_real, shown

Kind = Literal["constant", "cosine"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_RATE = 1e6
GRAMMAR = "PEAK[:constant|:cosine][:warmup=SHARE][:final=SHARE], for example 5e-3 or 1e-3:cosine:final=0.1"


@final
@dataclass(frozen=True, slots=True)
class RateSchedule:
    """The learning rate η_t of steps t = 0, 1, … of a run of `total` steps.

    With w = warmup · total: η_t = peak · t / w for t < w (the first step of a warm-up has rate 0, as in the usual
    PyTorch schedulers); from there on the peak (constant), or, with s = (t − w) / (total − w),
    peak · (final + (1 − final) (1 + cos π s) / 2) (cosine).

    Attributes:
        peak: above 0, at most 10^6.
        kind: `constant` or `cosine`.
        warmup: share of the steps that warm up, in [0, 1).
        final: rate at the end as a share of the peak, in [0, 1]; cosine only, 0 for a constant rate.

    Raises:
        SimError: a value is not allowed.
    """

    peak: float
    kind: Kind = "constant"
    warmup: float = 0.0
    final: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.peak <= MAX_RATE:
            raise SimError(
                f"learning rate {self.peak} is not allowed: give a number above 0, at most {MAX_RATE:g}"
            )
        if self.kind not in KINDS:
            raise SimError(f"learning-rate kind {self.kind!r} is unknown: give one of {', '.join(KINDS)}")
        if not 0 <= self.warmup < 1:
            raise SimError(f"warm-up share {self.warmup} is not allowed: give 0 <= share < 1")
        if not 0 <= self.final <= 1:
            raise SimError(f"final share {self.final} is not allowed: give 0 <= share <= 1")
        if self.kind == "constant" and self.final != 0:
            raise SimError(f"final share {self.final} is for cosine rates: leave it out of a constant one")

    @property
    def depends_on_total(self) -> bool:
        """Whether the rate of a step depends on how many steps the run has."""
        return self.kind == "cosine" or self.warmup > 0

    def values(self, start: int, stop: int, total: int) -> npt.NDArray[np.float64]:
        """Rates of steps start, …, stop − 1 of a run of `total` steps: float64 [stop − start].

        Raises:
            ValueError: 0 <= start <= stop <= total does not hold.
        """
        if not 0 <= start <= stop <= total:
            raise ValueError(f"steps {start} to {stop} of {total}: 0 <= start <= stop <= total must hold")
        t = np.arange(start, stop, dtype=np.float64)
        warm = self.warmup * total
        share = np.ones_like(t)
        if self.kind == "cosine":
            progress = np.maximum(t - warm, 0.0) / (total - warm)
            share = self.final + (1 - self.final) * (1 + np.cos(math.pi * progress)) / 2
        if warm > 0:
            np.divide(t, warm, out=share, where=t < warm)
        return np.asarray(self.peak * share, dtype=np.float64)

    def spec(self) -> dict[str, Any]:
        """All that changes the rates, as JSON values."""
        # As floats, so that 1 and 1.0 are the same rate.
        spec = {"kind": self.kind, "peak": float(self.peak), "warmup": float(self.warmup)}
        return spec if self.kind == "constant" else {**spec, "final": float(self.final)}

    def label(self) -> str:
        """The shortest text that `parse` reads as this schedule."""
        kind = "" if self.kind == "constant" else f":{self.kind}"
        warmup = f":warmup={_text(self.warmup)}" if self.warmup else ""
        end = f":final={_text(self.final)}" if self.final else ""
        return f"{_text(self.peak)}{kind}{warmup}{end}"

    @staticmethod
    def from_spec(spec: dict[str, Any]) -> "RateSchedule":
        """The schedule whose `spec()` this is.

        Raises:
            SimError: the specification does not describe one.
        """
        try:
            return RateSchedule(**spec)
        except TypeError as error:
            raise SimError(f"learning-rate schedule {spec} cannot be read: {error}") from error

    @staticmethod
    def parse(text: str) -> "RateSchedule":
        """The schedule that a text describes.

        Raises:
            SimError: the text does not follow the grammar above, or a value is not allowed.

        >>> RateSchedule.parse("5e-3:cosine:warmup=0.06")
        RateSchedule(peak=0.005, kind='cosine', warmup=0.06, final=0.0)
        """
        peak, *parts = text.split(":")
        fields: dict[str, Any] = {"peak": parse_real(peak, "learning rate", f"give {GRAMMAR}", MAX_RATE)}
        for part in parts:
            name, equals, value = part.partition("=")
            if not equals and name in KINDS:
                name, value = "kind", name
            if name not in ("kind", "warmup", "final") or (name == "kind") == bool(equals):
                raise SimError(f"learning rate {shown(text)} has a part {shown(part)}: give {GRAMMAR}")
            if name in fields:
                raise SimError(f"learning rate {shown(text)} gives {name} twice: give {GRAMMAR}")
            fields[name] = (
                value
                if name == "kind"
                else parse_real(value, f"{name} share", "give a number from 0 to 1", MAX_RATE)
            )
        return RateSchedule(**fields)


def _text(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)
