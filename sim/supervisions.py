"""The supervisions by a teacher: its final checkpoint, another one, several in turn, or a changing temperature."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

from sim.errors import SimError
from sim.source import History, Source
from sim.supervision import (
    CrossEntropy,
    Distilled,
    Supervision,
    Taught,
    at_least,
    count_text,
    number_text,
    there,
)


@final
@dataclass(frozen=True, slots=True)
class OneShot(Distilled):
    """Labels come from the teacher's final checkpoint throughout. Label: `one-shot τ=1`, `one-shot hard`."""

    name: ClassVar[str] = "one-shot"


@final
@dataclass(frozen=True, slots=True)
class Single(Distilled):
    """Labels come from one checkpoint throughout, which need not be the final one. Label: `single 10.2M τ=1`.

    Attributes:
        checkpoint: its teacher step, at least 0.
    """

    checkpoint: int
    name: ClassVar[str] = "single"

    def __post_init__(self) -> None:
        Distilled.__post_init__(self)
        at_least(0, "checkpoint", self.checkpoint)

    def _at(self, step: int, final: int) -> int:
        return self.checkpoint

    def _special(self) -> tuple[str, ...]:
        return (count_text(self.checkpoint),)


@final
@dataclass(frozen=True, slots=True)
class TwoShot(Distilled):
    """Labels come from an intermediate checkpoint up to a switch, from the final one from there on.

    Label: `two-shot 10.2M×1M τ=1`, the checkpoint and the steps on it.

    Attributes:
        intermediate: teacher step of the intermediate checkpoint, at least 0.
        switch: student steps on it, at least 1.
    """

    intermediate: int
    switch: int
    name: ClassVar[str] = "two-shot"

    def __post_init__(self) -> None:
        Distilled.__post_init__(self)
        at_least(0, "intermediate checkpoint", self.intermediate)
        at_least(1, "switch", self.switch)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The switch."""
        return (self.switch,)

    def _at(self, step: int, final: int) -> int:
        return self.intermediate if step < self.switch else final

    def _special(self) -> tuple[str, ...]:
        return (f"{count_text(self.intermediate)}×{count_text(self.switch)}",)


@final
@dataclass(frozen=True, slots=True)
class Progressive(Distilled):
    """Labels come from checkpoints first, first + every, … in turn, `stay` student steps on each, then from the
    final one for the rest.

    With the defaults, student step t is taught by checkpoint (1 + ⌊t/R⌋) R, R = every: the *end* of the window that
    t lies in, as in the paper. In the paper's words this is (N, T)-progressive, T = stay, N counting the final
    checkpoint. Label: `progressive 9M,9.2M..10M×1M τ=1`.

    Attributes:
        every: teacher steps between checkpoints, at least 1.
        stay: student steps on each, at least 1; None: as many as `every`.
        first: teacher step of the first, at least 0; None: `every`.
        last: no checkpoint later than this one but the final, at least `first`; None: up to the final one.
    """

    every: int
    stay: int | None = None
    first: int | None = None
    last: int | None = None
    name: ClassVar[str] = "progressive"

    def __post_init__(self) -> None:
        Distilled.__post_init__(self)
        at_least(1, "spacing of the checkpoints", self.every)
        at_least(1, "steps on each checkpoint", self._stay)
        at_least(0, "first checkpoint", self._first)
        # Equal rules are to have equal specifications: defaults are filled in, `last` is one that is reached, and a
        # spacing without effect has one value.
        object.__setattr__(self, "stay", self._stay)
        object.__setattr__(self, "first", self._first)
        if self.last is not None:
            at_least(self._first, "last checkpoint", self.last)
            object.__setattr__(self, "last", self.last - (self.last - self._first) % self.every)
            if self.last == self.first:
                object.__setattr__(self, "every", max(self.last, 1))

    @property
    def cuts(self) -> tuple[int, ...]:
        """The steps on each."""
        return (self._stay,)

    @property
    def _stay(self) -> int:
        return self.every if self.stay is None else self.stay

    @property
    def _first(self) -> int:
        return self.every if self.first is None else self.first

    def _at(self, step: int, final: int) -> int:
        checkpoint = self._first + step // self._stay * self.every
        return final if self.last is not None and checkpoint > self.last else min(checkpoint, final)

    def _special(self) -> tuple[str, ...]:
        listed = count_text(self._first)
        if self.last != self.first:
            listed += f",{count_text(self._first + self.every)}.." + (
                "" if self.last is None else count_text(self.last)
            )
        return (f"{listed}×{count_text(self._stay)}",)


@final
@dataclass(frozen=True, slots=True)
class TillSaturate(Distilled):
    """Labels come from checkpoints in turn; the student moves on when it no longer gets closer to its teacher.

    The rule. Since a checkpoint came into force, let A_1, …, A_w be the student's *agreement* in consecutive complete
    windows of `window` steps: the share of the samples on which its logit, before it learns from the sample, has the
    sign of the teacher's. At the end of a window with w > patience the student moves to the next checkpoint if

        max(A_{w−patience+1}, …, A_w) < max(A_1, …, A_{w−patience}) + gain,

    so it stays (patience + 1) windows at least. From the last one listed it moves to the final one, and stays there.
    Signs are counted, so the rule is deterministic. An agreement over B samples has a standard deviation of at most
    1/(2√B): 0.005 for the default window at batch 1. Label: `till-saturate 100k.. (10k,2,0.01) τ=1`: checkpoints,
    then window, patience and gain.

    Attributes:
        every: the checkpoints are every, 2 every, … up to the final one; None if they are listed.
        listed: the checkpoints, increasing; empty if `every` is given.
        window: student steps, at least 1.
        patience: windows, at least 1.
        gain: smallest gain of agreement that counts, 0 < gain < 1.
    """

    every: int | None = None
    listed: tuple[int, ...] = ()
    window: int = 10_000
    patience: int = 2
    gain: float = 0.01
    name: ClassVar[str] = "till-saturate"
    adaptive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Distilled.__post_init__(self)
        listed = self.listed
        if (self.every is None) == (not listed):
            raise SimError(
                f"till-saturate has spacing {self.every} and list {list(listed)}: give exactly one of them"
            )
        if self.every is not None:
            at_least(1, "spacing of the checkpoints", self.every)
        if listed and (listed[0] < 0 or any(b <= a for a, b in itertools.pairwise(listed))):
            raise SimError(
                f"checkpoints {list(listed)} are not allowed: give teacher steps from 0 on, increasing"
            )
        at_least(1, "window", self.window)
        at_least(1, "patience", self.patience)
        if not 0 < self.gain < 1:
            raise SimError(f"gain {self.gain} is not allowed: give more than 0 and less than 1")
        self._real("gain")

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The checkpoint in force, or the next if the student has saturated."""
        in_turn = self.checkpoints(history.total, teacher_steps[-1])
        if history.source is None:
            return self._source(in_turn[0], teacher_steps)
        current = history.source.checkpoint
        assert current is not None
        if current != in_turn[-1] and self._saturated(history):
            current = next(c for c in in_turn if c > current)
        return self._source(current, teacher_steps)

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """All of them, and the final one: how far a student gets is not known before."""
        before = self.listed if self.every is None else range(self.every, final, self.every)
        return (*(c for c in before if c < final), final)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The window."""
        return (self.window,)

    def _special(self) -> tuple[str, ...]:
        listed = (
            ",".join(map(count_text, self.listed)) if self.every is None else f"{count_text(self.every)}.."
        )
        return listed, f"({count_text(self.window)},{self.patience},{number_text(self.gain)})"

    def _saturated(self, history: History) -> bool:
        windows: list[int] = []  # samples of agreement in each
        steps = signs = 0
        for length, agreed in history.agreed:
            steps += length
            signs += agreed
            if steps == self.window:
                windows.append(signs)
                steps = signs = 0
        if len(windows) <= self.patience:
            return False
        gain = self.gain * self.window * history.batch
        return max(windows[-self.patience :]) < max(windows[: -self.patience]) + gain


@final
@dataclass(frozen=True, slots=True)
class Annealed(Taught):
    """Labels come from the final checkpoint, at a temperature that moves from τ0 to τ1.

    In the segment that begins at step t, τ = τ0^(1−s) τ1^s with s = min(1, t / (share · steps)).

    Attributes:
        start: τ0, 0 < τ0 < ∞.
        end: τ1, 0 < τ1 < ∞.
        share: of the student's steps, 0 < share ≤ 1.
    """

    start: float
    end: float
    share: float = 1.0
    name: ClassVar[str] = "annealed"

    def __post_init__(self) -> None:
        Taught.__post_init__(self)
        for temperature in (self.start, self.end):
            if not 0 < temperature < math.inf:
                raise SimError(
                    f"temperature {temperature} is not allowed: annealing needs more than 0, and finite"
                )
        if not 0 < self.share <= 1:
            raise SimError(f"share {self.share} is not allowed: give more than 0 and at most 1")
        self._real("start", "end", "share")

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The final checkpoint at the temperature of this step."""
        s = min(1.0, step / (self.share * history.total))
        temperature = self.start if s == 0 else self.end if s == 1 else self.start ** (1 - s) * self.end**s
        return Source(there(teacher_steps[-1], teacher_steps), temperature, self.truth)

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """The final one."""
        return (final,)

    def label(self) -> str:
        """For example `annealed τ=4..0.5`, `annealed τ=4..0.5 over 0.25`."""
        over = "" if self.share == 1 else f" over {number_text(self.share)}"
        return f"{self.name} τ={number_text(self.start)}..{number_text(self.end)}{over}{self._mixed()}"


SUPERVISIONS: dict[str, type[Supervision]] = {
    c.name: c for c in (CrossEntropy, OneShot, Single, TwoShot, Progressive, TillSaturate, Annealed)
}


def supervision_from_spec(spec: dict[str, Any]) -> Supervision:
    """The supervision whose `spec()` this is.

    Raises:
        SimError: the specification names no supervision that this version knows, or has wrong parameters.
    """
    try:
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in spec.items()}
        name = fields.pop("name")
        if name not in SUPERVISIONS:
            raise SimError(f"supervision {name!r} is unknown: use one of {', '.join(SUPERVISIONS)}")
        return SUPERVISIONS[name](**fields)
    except (KeyError, TypeError) as error:
        raise SimError(f"supervision {spec!r} cannot be read: {error}") from error
