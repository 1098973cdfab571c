"""Numbers as people read them."""

import math


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


def finite(value: float) -> float | None:
    """The number; None, which JSON can say, where it is not finite."""
    return value if math.isfinite(value) else None


def duration(seconds: float) -> str:
    """For example `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
