"""How the schedules of the online protocol are written on the command line."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from sim.errors import SimError
from sim.ranges import MAX_VALUES, parse_count, parse_real, shown
from sim.supervision import CrossEntropy, Supervision
from sim.supervisions import SUPERVISIONS, Annealed, OneShot, Progressive, Single, TillSaturate, TwoShot

SCHEDULE_HELP = """Schedules of protocol online, separated by commas; I, T, STEP are steps or ranges as 6e4..8e4/1e4:
  cross-entropy          the parity itself; no teacher
  one-shot               the final teacher
  progressive[:stay=T][:first=STEP][:last=STEP]
                         checkpoints --checkpoints apart, T student steps on each (default: as many as lie between
                         them), then the final one
  two-shot:I:T           checkpoint I for T student steps, then the final one
  single:STEP            one checkpoint throughout
  till-saturate[:window=W][:patience=P][:gain=G]
                         checkpoints --checkpoints apart, the next when in P windows of W student steps the agreement
                         with the teacher gained less than G (default 10000, 2, 0.01)
  annealed:T0:T1[:share=S]
                         the final teacher, temperature from T0 to T1 > 0 over the share S of the steps (default 1)"""

SPACED = ("progressive", "till-saturate")
"""Schedules that read --checkpoints."""

TAUGHT = tuple(name for name in SUPERVISIONS if name != CrossEntropy.name)
HEATED = tuple(name for name in TAUGHT if name != Annealed.name)
"""Schedules that read --temperature."""

_OPTIONS: dict[str, dict[str, type]] = {
    "progressive": {"stay": int, "first": int, "last": int},
    "till-saturate": {"window": int, "patience": int, "gain": float},
    "annealed": {"share": float},
}
_ARGUMENTS = {"two-shot": ("I", "T"), "single": ("STEP",), "annealed": ("T0", "T1")}


def schedule_name(text: str) -> str:
    """The name that a schedule's text starts with.

    Raises:
        SimError: it is unknown.
    """
    name = text.partition(":")[0]
    if name not in SUPERVISIONS:
        raise SimError(f"schedule {name!r} is unknown: use some of {', '.join(SUPERVISIONS)}")
    return name


def parse_schedule(
    text: str, temperatures: Sequence[float], mixes: Sequence[float], spacings: Sequence[int]
) -> list[Supervision]:
    """The supervisions that a schedule's text stands for, one for each value that it depends on.

    Args:
        text: as in `SCHEDULE_HELP`.
        temperatures: τ ≥ 0; 0: hard labels.
        mixes: weights of the true labels.
        spacings: teacher steps between checkpoints.

    Raises:
        SimError: the text is not in the grammar, or a value is not allowed.
    """
    name = schedule_name(text)
    arguments, options = _split(name, text)
    if name == CrossEntropy.name:
        return [CrossEntropy()]
    if name == Annealed.name:
        start, end = (_real(a, text, label) for a, label in zip(arguments, _ARGUMENTS[name], strict=True))
        return [Annealed(start, end, truth=mix, **options) for mix in mixes]
    heats = [{"temperature": t, "truth": mix} for t, mix in product(temperatures, mixes)]
    if name == OneShot.name:
        return [OneShot(**heat) for heat in heats]
    if name in SPACED:
        kind: Any = Progressive if name == Progressive.name else TillSaturate
        return [kind(every, **options, **heat) for every in spacings for heat in heats]
    steps = [_steps(a, text, label) for a, label in zip(arguments, _ARGUMENTS[name], strict=True)]
    kind = Single if name == Single.name else TwoShot
    return [kind(*values, **heat) for values in product(*steps) for heat in heats]


def _split(name: str, text: str) -> tuple[list[str], dict[str, Any]]:
    """Positional arguments and options of a schedule's text."""
    _, *parts = text.split(":")
    wanted, known = _ARGUMENTS.get(name, ()), _OPTIONS.get(name, {})
    options: dict[str, Any] = {}
    positional = [part for part in parts if "=" not in part]
    for key, _, value in (part.partition("=") for part in parts if "=" in part):
        if key not in known or key in options:
            raise _refusal(text, name, f"option {key!r}")
        options[key] = parse_count(value, key) if known[key] is int else _real(value, text, key)
    if len(positional) != len(wanted):
        raise _refusal(text, name, f"{len(positional)} values")
    return positional, options


def _refusal(text: str, name: str, what: str) -> SimError:
    form = ":".join([name, *_ARGUMENTS.get(name, ())]) + "".join(
        f"[:{key}=…]" for key in _OPTIONS.get(name, {})
    )
    return SimError(f"schedule {shown(text)} has {what}: write {form}")


def _real(text: str, schedule: str, label: str) -> float:
    return parse_real(text, f"{label} of schedule {shown(schedule)}", "give one such as 0.5")


def _steps(text: str, schedule: str, label: str) -> tuple[int, ...]:
    """Steps: one number, or `a..b/s`, both ends included."""
    name = f"{label} of schedule {shown(schedule)}"
    ends, slash, by = text.partition("/")
    first, dots, last = ends.partition("..")
    if not dots:
        if slash:
            raise SimError(f"{name} has a step and no range: write 6e4, or 6e4..8e4/1e4")
        return (parse_count(first, name),)
    if not slash:
        raise SimError(f"{name} is a range without a step: write 6e4..8e4/1e4")
    low, high, step = parse_count(first, name), parse_count(last, name), parse_count(by, name)
    if low > high or step < 1 or (high - low) // step >= MAX_VALUES:
        raise SimError(
            f"{name} is not a range: give the smaller end first, a step of 1 or more, at most {MAX_VALUES} values"
        )
    return tuple(dict.fromkeys((*range(low, high + 1, step), high)))
