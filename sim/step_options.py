"""Options that every protocol with a first step reads: the grid, its schedules, and how it is measured; checked."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sim.cell import MAX_SAMPLES, check_seed, check_shape
from sim.errors import SimError
from sim.protocol.base import Options
from sim.ranges import parse_count, parse_list, parse_number, parse_range, parse_whole
from sim.schedule import (
    SCHEDULES,
    TEACHERS,
    CrossEntropy,
    LowDegreeCurriculum,
    OneShot,
    Progressive,
    Schedule,
    checked_labels,
)

MAX_REPLICATES = 100_000
DEFAULT_TEACHER_WIDTH = 256
DEFAULT_SCHEDULES = ("cross-entropy", "one-shot", "progressive")
PHASE_ONE_SAMPLES = 2**17
"""Horizon of the phase-1 teachers unless --samples is given: success has reached its plateau by then."""


@dataclass(frozen=True, kw_only=True)
class StepOptions(Options):
    """What protocols with a first step have in common; every value is checked when the object is made.

    Attributes:
        n, k: values of the grid.
        schedules: names out of `sim.schedule.SCHEDULES`.
        labels: `logits`, `hard` or None for each schedule's own default (one-shot hard, progressive logits).
        teacher, teacher_width: the intermediate teacher of `progressive`; None for the defaults.
        teacher_errors: exponents c of the one-shot teacher's error n^(−c); `inf`; None for c = k/2.
        degree: degree of the low-degree curriculum; None for 1.
        replicates: students of each cell, 1 to 100,000.
        delta: failure probability of the bounds, 0 < δ < 1/4.
        samples: the horizon of every first stage; None for what the bounds ask.
        resolution: recorded sample counts per doubling, 1 to 16.
        seed: 0 to 2^63 − 1.
    """

    n: tuple[int, ...]
    k: tuple[int, ...]
    schedules: tuple[str, ...]
    labels: str | None
    teacher: str | None
    teacher_width: int | None
    teacher_errors: tuple[str, ...] | None
    degree: int | None
    replicates: int
    delta: float
    samples: int | None
    resolution: int
    seed: int

    def __post_init__(self) -> None:
        for name in self.schedules:
            if name not in SCHEDULES:
                raise SimError(f"schedule {name!r} is unknown: use one of {', '.join(SCHEDULES)}")
        for n in self.n:
            for k in self.k:
                check_shape(n, k)
        if not 1 <= self.replicates <= MAX_REPLICATES:
            raise SimError(f"replicates {self.replicates} are not allowed: give 1 to {MAX_REPLICATES}")
        if not 0 < self.delta < 0.25:
            raise SimError(f"delta {self.delta} is not allowed: give 0 < delta < 0.25")
        if self.samples is not None and not 1 <= self.samples <= MAX_SAMPLES:
            raise SimError(f"samples {self.samples} are not allowed: give 1 to {MAX_SAMPLES}")
        if not 1 <= self.resolution <= 16:
            raise SimError(f"resolution {self.resolution} is not allowed: give 1 to 16 points per doubling")
        check_seed(self.seed)
        self._check_choices()
        self._check_that_options_act()

    def schedule_list(self, k: int) -> list[Schedule]:
        """The schedules at one k, in the order given."""
        result: list[Schedule] = []
        labels = None if self.labels is None else checked_labels(self.labels)
        for name in dict.fromkeys(self.schedules):
            match name:
                case "cross-entropy":
                    result.append(CrossEntropy())
                case "one-shot":
                    errors = self.teacher_errors or (str(Fraction(k, 2)),)
                    exponents = dict.fromkeys(_exponent(error) for error in errors)
                    result += [OneShot(exponent, labels or "hard") for exponent in exponents]
                case "progressive":
                    teacher = self.teacher or "equal"
                    given = DEFAULT_TEACHER_WIDTH if self.teacher_width is None else self.teacher_width
                    width = 0 if teacher == "equal" else given
                    if teacher != "equal" and k % 2:
                        raise SimError(f"k = {k} is odd: teacher {teacher!r} needs an even k")
                    result.append(Progressive(teacher, labels or "logits", width))
                case _:
                    degree = 1 if self.degree is None else self.degree
                    if degree > k:
                        raise SimError(f"degree {degree} is larger than k = {k}: give 1 <= degree <= k")
                    result.append(LowDegreeCurriculum(degree))
        return result

    def _check_choices(self) -> None:
        if self.labels is not None:
            checked_labels(self.labels)
        if self.teacher is not None and self.teacher not in TEACHERS:
            raise SimError(f"teacher {self.teacher!r} is unknown: use one of {', '.join(TEACHERS)}")

    def _check_that_options_act(self) -> None:
        """Refuse options that would silently do nothing."""
        acts: list[tuple[str, object, Callable[[], bool], str]] = [
            ("--teacher", self.teacher, lambda: "progressive" in self.schedules, "schedule progressive"),
            (
                "--teacher-width",
                self.teacher_width,
                lambda: "progressive" in self.schedules and self.teacher not in (None, "equal"),
                "a phase-1 teacher",
            ),
            (
                "--teacher-error",
                self.teacher_errors,
                lambda: "one-shot" in self.schedules,
                "schedule one-shot",
            ),
            ("--degree", self.degree, lambda: "low-degree" in self.schedules, "schedule low-degree"),
            (
                "--labels",
                self.labels,
                lambda: bool({"one-shot", "progressive"} & set(self.schedules)),
                "schedule one-shot or progressive",
            ),
        ]
        for option, value, acts_here, needs in acts:
            if value is not None and not acts_here():
                raise SimError(f"{option} {value!r} has no effect here: it needs {needs}")


def or_default(value: Any, default: Any) -> Any:
    """The value, or the default if it was not given."""
    return default if value is None else value


def common_arguments(given: argparse.Namespace, *, n: str, replicates: int) -> dict[str, Any]:
    """The fields of `StepOptions` from the command line; what was not given is None there.

    Args:
        given: the parsed command line.
        n, replicates: the protocol's defaults.

    Raises:
        SimError: a value is not allowed.
    """
    errors, samples, width = given.teacher_error, given.samples, given.teacher_width
    return {
        "n": parse_range(or_default(given.n, n), "--n", default_step=50),
        "k": parse_range(or_default(given.k, "2,4"), "--k"),
        "schedules": parse_list(or_default(given.schedule, ",".join(DEFAULT_SCHEDULES)), "--schedule"),
        "labels": given.labels,
        "teacher": given.teacher,
        "teacher_width": None if width is None else parse_whole(width, "--teacher-width"),
        "teacher_errors": None if errors is None else parse_list(errors, "--teacher-error"),
        "degree": given.degree,
        "replicates": or_default(given.replicates, replicates),
        "delta": or_default(given.delta, 0.1),
        "samples": None if samples is None else parse_count(samples, "--samples"),
        "resolution": or_default(given.resolution, 2),
        "seed": parse_whole(or_default(given.seed, "0"), "--seed"),
    }


def _exponent(text: str) -> Fraction | None:
    if text == "inf":
        return None
    return parse_number(text, "teacher error", "give exponents c such as 0.5,1 or inf")
