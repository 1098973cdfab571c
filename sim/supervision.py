"""Supervision: what labels an online student sees, as objects.

A *source* of labels is the parity itself or a checkpoint of a teacher at a temperature τ, mixed with a weight α of
true labels. A *supervision* says which source is in force in each segment of the student's training. With teacher
logit f, the probability that a label is +1 is

    q = α 1[y = +1] + (1 − α) σ(f / τ),

and τ = 0 means hard labels: 1[f ≥ 0] in place of σ(f / τ) (a logit of 0 counts as +1; as τ → 0, σ(0 / τ) stays 1/2).

`sim.schedule` has classes of the same names for another experiment: there a schedule is the *law* of the labels of a
student's first step, stated exactly so that theory can speak about it; here a supervision is a *rule in time* over a
trained teacher's checkpoints. Neither uses the other, and cells of different protocols hold one or the other.
"""

import dataclasses
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray
from scipy.special import expit

from sim.errors import SimError


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Where labels come from.

    Attributes:
        checkpoint: step of the teacher's checkpoint; None: the parity itself.
        temperature: τ, 0 ≤ τ < ∞; 0: hard labels.
        truth: α, the weight of the true labels, 0 to 1.
    """

    checkpoint: int | None
    temperature: float = 0.0
    truth: float = 0.0

    def probabilities(
        self, parity: Shaped[ndarray, " samples"], logits: Float64[ndarray, " samples"] | None
    ) -> Float64[ndarray, " samples"]:
        """Probability of the label +1 of each sample.

        Args:
            parity: true labels, ±1.
            logits: the checkpoint's logits of the same samples; None for the parity.
        """
        true = np.asarray(parity > 0, dtype=np.float64)
        if logits is None:
            return true
        if self.temperature == 0:
            taught = np.asarray(logits >= 0, dtype=np.float64)
        else:
            with np.errstate(over="ignore"):  # ±∞ is right: σ is 0 or 1 there
                taught = expit(logits / self.temperature)
        return true * self.truth + taught * (1 - self.truth) if self.truth else taught

    def scores(
        self, parity: Shaped[ndarray, " samples"], logits: Float64[ndarray, " samples"] | None
    ) -> Float64[ndarray, " samples"]:
        """Real targets α y + (1 − α) f / τ, for losses that match logits; τ > 0."""
        true = np.asarray(parity, dtype=np.float64)
        if logits is None:
            return true
        return self.truth * true + (1 - self.truth) * (logits / self.temperature)


PARITY = Source(None)


@final
@dataclass(frozen=True, slots=True)
class History:
    """What a student has been through, as far as a supervision may ask.

    Attributes:
        total: steps that the student takes in all.
        batch: samples of a step.
        source: the source of the segment before; None before the first.
        agreed: (steps, samples on which the student and its teacher have the same sign) of each segment since
            that source's checkpoint came into force; kept for supervisions that are `adaptive` only.
    """

    total: int
    batch: int = 1
    source: Source | None = None
    agreed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Supervision(ABC):
    """What the student sees when. Concrete supervisions are frozen dataclasses; their fields are their parameters."""

    name: ClassVar[str]
    adaptive: ClassVar[bool] = False
    """Whether `plan` reads `History.agreed`."""

    @abstractmethod
    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The source of the segment that begins at the student's step `step`.

        Args:
            step: steps taken so far.
            history: of the same student, up to `step`.
            teacher_steps: steps of the teacher's checkpoints, increasing; the last is the *final* checkpoint.

        Raises:
            SimError: a checkpoint that the rule names is not there.
        """

    @abstractmethod
    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """Steps of all checkpoints that may be asked for in `steps` student steps, increasing.

        Args:
            steps: steps that the student takes in all.
            final: step of the teacher's final checkpoint.
        """

    @abstractmethod
    def label(self) -> str:
        """Short name for tables and figures; distinct for distinct parameters."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """Numbers of student steps that have to be multiples of the segment: the rule acts at segments' ends only."""
        return ()

    @final
    def parameters(self) -> dict[str, Any]:
        """All that changes the outcome, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @final
    def spec(self) -> dict[str, Any]:
        """The supervision's part of a student's identity."""
        return {"name": self.name, **self.parameters()}

    @final
    def check(self, steps: int, segment: int, teacher_steps: Sequence[int]) -> None:
        """Refuse, before any work, what could not be carried out.

        Args:
            steps: steps that the student takes in all.
            segment: steps of a segment.
            teacher_steps: steps of the teacher's checkpoints, increasing; empty without a teacher.

        Raises:
            SimError: a switch would fall inside a segment, there is no teacher, or a checkpoint is not there.
        """
        for cut in self.cuts:
            if cut < steps and cut % segment:
                raise SimError(
                    f"{self.label()} switches after {cut} steps, inside a segment: give a multiple of {segment} steps"
                )
        if teacher_steps:
            for checkpoint in self.checkpoints(steps, teacher_steps[-1]):
                _there(checkpoint, teacher_steps)
        elif not isinstance(self, CrossEntropy):
            raise SimError(f"{self.label()} has no teacher: give a teacher, or use cross-entropy")


@final
@dataclass(frozen=True, slots=True)
class CrossEntropy(Supervision):
    """Labels are the parity itself; no teacher."""

    name: ClassVar[str] = "cross-entropy"

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The parity, always."""
        return PARITY

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """None."""
        return ()

    def label(self) -> str:
        """The supervision's name."""
        return self.name


@dataclass(frozen=True, slots=True)
class _Taught(Supervision):
    """By a teacher, mixed with true labels: `truth` is their weight α, 0 to 1."""

    truth: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not 0 <= self.truth <= 1:
            raise SimError(f"weight {self.truth} of the true labels is not allowed: give 0 to 1")
        self._real("truth")

    @final
    def _real(self, *names: str) -> None:
        """1 and 1.0 are to have one specification."""
        for name in names:
            object.__setattr__(self, name, float(getattr(self, name)))

    @final
    def _mixed(self) -> str:
        return f" α={_number(self.truth)}" if self.truth else ""


@dataclass(frozen=True, slots=True)
class _Distilled(_Taught):
    """At one temperature τ, 0 ≤ τ < ∞; 0: hard labels. As a rule the checkpoint depends on the step only."""

    temperature: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        _Taught.__post_init__(self)
        if not 0 <= self.temperature < math.inf:
            raise SimError(
                f"temperature {self.temperature} is not allowed: give 0 (hard labels) or more, and finite"
            )
        self._real("temperature")

    def plan(self, step: int, history: History, teacher_steps: Sequence[int]) -> Source:
        """The checkpoint of this step."""
        return self._source(self._at(step, teacher_steps[-1]), teacher_steps)

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """Those whose turn comes within `steps`."""
        return tuple(sorted({self._at(t, final) for t in range(0, steps, min(self.cuts, default=steps))}))

    @final
    def label(self) -> str:
        """Name, what is special, temperature or `hard`, weight of the true labels if any."""
        heat = f"τ={_number(self.temperature)}" if self.temperature else "hard"
        return " ".join([self.name, *self._special(), heat]) + self._mixed()

    @final
    def _source(self, checkpoint: int, teacher_steps: Sequence[int]) -> Source:
        return Source(_there(checkpoint, teacher_steps), self.temperature, self.truth)

    def _at(self, step: int, final: int) -> int:
        """The checkpoint in force at a student step; changes at multiples of `cuts` only."""
        return final

    def _special(self) -> tuple[str, ...]:
        return ()


@final
@dataclass(frozen=True, slots=True)
class OneShot(_Distilled):
    """Labels come from the teacher's final checkpoint throughout. Label: `one-shot τ=1`, `one-shot hard`."""

    name: ClassVar[str] = "one-shot"


@final
@dataclass(frozen=True, slots=True)
class Single(_Distilled):
    """Labels come from one checkpoint throughout, which need not be the final one. Label: `single 10.2M τ=1`.

    Attributes:
        checkpoint: its teacher step, at least 0.
    """

    checkpoint: int
    name: ClassVar[str] = "single"

    def __post_init__(self) -> None:
        _Distilled.__post_init__(self)
        _at_least(0, "checkpoint", self.checkpoint)

    def _at(self, step: int, final: int) -> int:
        return self.checkpoint

    def _special(self) -> tuple[str, ...]:
        return (_count(self.checkpoint),)


@final
@dataclass(frozen=True, slots=True)
class TwoShot(_Distilled):
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
        _Distilled.__post_init__(self)
        _at_least(0, "intermediate checkpoint", self.intermediate)
        _at_least(1, "switch", self.switch)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The switch."""
        return (self.switch,)

    def _at(self, step: int, final: int) -> int:
        return self.intermediate if step < self.switch else final

    def _special(self) -> tuple[str, ...]:
        return (f"{_count(self.intermediate)}×{_count(self.switch)}",)


@final
@dataclass(frozen=True, slots=True)
class Progressive(_Distilled):
    """Labels come from checkpoints first, first + every, … in turn, `stay` student steps on each, then from the
    final one for the rest.

    With the defaults, student step t is taught by checkpoint (1 + ⌊t/R⌋) R, R = every: the *end* of the window that
    t lies in, as in the paper. In the paper's words this is (N, T)-progressive, T = stay, N counting the final
    checkpoint; see `numbered`. Label: `progressive 9M,9.2M..10M×1M τ=1`.

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
        _Distilled.__post_init__(self)
        _at_least(1, "spacing of the checkpoints", self.every)
        _at_least(1, "steps on each checkpoint", self._stay)
        _at_least(0, "first checkpoint", self._first)
        # Equal rules are to have equal specifications: defaults are filled in, `last` is one that is reached, and a
        # spacing without effect has one value.
        object.__setattr__(self, "stay", self._stay)
        object.__setattr__(self, "first", self._first)
        if self.last is not None:
            _at_least(self._first, "last checkpoint", self.last)
            object.__setattr__(self, "last", self.last - (self.last - self._first) % self.every)
            if self.last == self.first:
                object.__setattr__(self, "every", max(self.last, 1))

    @staticmethod
    def numbered(
        number: int,
        every: int,
        stay: int | None = None,
        first: int | None = None,
        *,
        temperature: float = 1.0,
        truth: float = 0.0,
    ) -> "Progressive":
        """(N, T)-progressive: N = `number` checkpoints in all, the final one included; T = `stay`.

        Raises:
            SimError: fewer than 2 checkpoints (one is one-shot), or a parameter out of range.
        """
        if number < 2:
            raise SimError(f"{number} checkpoints are not allowed: give 2 or more, the final one included")
        last = (every if first is None else first) + (number - 2) * every
        return Progressive(every, stay, first, last, temperature=temperature, truth=truth)

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
        listed = _count(self._first)
        if self.last != self.first:
            listed += f",{_count(self._first + self.every)}.." + (
                "" if self.last is None else _count(self.last)
            )
        return (f"{listed}×{_count(self._stay)}",)


@final
@dataclass(frozen=True, slots=True)
class TillSaturate(_Distilled):
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
        _Distilled.__post_init__(self)
        listed = self.listed
        if (self.every is None) == (not listed):
            raise SimError(
                f"till-saturate has spacing {self.every} and list {list(listed)}: give exactly one of them"
            )
        if self.every is not None:
            _at_least(1, "spacing of the checkpoints", self.every)
        if listed and (listed[0] < 0 or any(b <= a for a, b in itertools.pairwise(listed))):
            raise SimError(
                f"checkpoints {list(listed)} are not allowed: give teacher steps from 0 on, increasing"
            )
        _at_least(1, "window", self.window)
        _at_least(1, "patience", self.patience)
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
        listed = ",".join(map(_count, self.listed)) if self.every is None else f"{_count(self.every)}.."
        return listed, f"({_count(self.window)},{self.patience},{_number(self.gain)})"

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
class Annealed(_Taught):
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
        _Taught.__post_init__(self)
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
        return Source(_there(teacher_steps[-1], teacher_steps), temperature, self.truth)

    def checkpoints(self, steps: int, final: int) -> tuple[int, ...]:
        """The final one."""
        return (final,)

    def label(self) -> str:
        """For example `annealed τ=4..0.5`, `annealed τ=4..0.5 over 0.25`."""
        over = "" if self.share == 1 else f" over {_number(self.share)}"
        return f"{self.name} τ={_number(self.start)}..{_number(self.end)}{over}{self._mixed()}"


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


def _there(checkpoint: int, teacher_steps: Sequence[int]) -> int:
    if checkpoint not in teacher_steps:
        nearest = sorted(sorted(teacher_steps, key=lambda step: abs(step - checkpoint))[:2])
        raise SimError(
            f"the teacher has no checkpoint at step {checkpoint}: the nearest are at "
            f"{' and '.join(map(str, nearest))}; use them, or add checkpoints in between"
        )
    return checkpoint


def _at_least(low: int, what: str, value: int) -> None:
    if value < low:
        raise SimError(f"{what} {value} is not allowed: give {low} or more")


def _count(steps: int) -> str:
    """Short and exact: 10.2M, 250k, 123."""
    if steps and steps % 100_000 == 0 and steps >= 1_000_000:
        whole, tenths = divmod(steps // 100_000, 10)
        return f"{whole}.{tenths}M" if tenths else f"{whole}M"
    return f"{steps // 1000}k" if steps and steps % 1000 == 0 else str(steps)


def _number(value: float) -> str:
    """Short where that is exact."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)
