"""Numbers as people read them."""

import math

from theory.intervals import Crossing, Interval
from theory.output import finite


def si(value: float | int) -> str:
    """A number for a table: `850`, `1.20e7`, `∞`, and `-` for NaN."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) < 10000:
        return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """For example `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def crossing_text(crossing: Crossing | None) -> str:
    """For example `850 [800, 910]`; `-` where nothing is there to be said."""
    if crossing is None:
        return "-"
    estimate = "-" if crossing.estimate is None else si(crossing.estimate)
    return f"{estimate} {interval_text(crossing.interval)}"


def interval_text(interval: Interval) -> str:
    """The interval with numbers as people read them."""
    if math.isinf(interval.lower) and math.isinf(interval.upper):
        return "[not measured]"
    ends = (float(f"{end:.4g}") if math.isfinite(end) else end for end in (interval.lower, interval.upper))
    return f"[{', '.join(si(end) for end in ends)}]"


def interval_json(interval: Interval) -> list[float | None]:
    """The ends; None where they are infinite."""
    return [finite(end) for end in (interval.lower, interval.upper)]
