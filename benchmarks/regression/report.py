"""What a comparison says to people and to programs."""

import dataclasses
from collections.abc import Sequence

from benchmarks.regression import instructions
from benchmarks.regression.cases import MOST_CASES
from benchmarks.regression.comparison import Comparison, Row
from benchmarks.regression.rule import RATE, SLOWER, needed, power, tail

_HEAD = ("case", "old, µs a call", "new, µs a call", "times new/old", "instructions new/old", "verdict")


def table(rows: Sequence[Row]) -> str:
    """One line a case, in columns."""
    lines = [_HEAD, *(_line(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_HEAD))]
    return "\n".join(
        "  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _line(row: Row) -> tuple[str, ...]:
    times = "" if row.times is None else f"{row.times.median:.3f} ({row.times.low:.3f}..{row.times.high:.3f})"
    return (
        row.name,
        "" if row.before is None else f"{row.before / 1000:.0f}",
        "" if row.after is None else f"{row.after / 1000:.0f}",
        times,
        "" if row.instructions is None else f"{row.instructions:.4f}",
        row.verdict
        + (f": {row.reason}" if row.reason and row.verdict in ("accepted", "not comparable") else ""),
    )


def sentences(rows: Sequence[Row]) -> list[str]:
    """A sentence for each case that became slower, naming the kernel."""
    return [
        f"kernels.{row.kernel} is slower ({row.where}; {row.name}): {_how(row)}."
        for row in rows
        if row.verdict == "slower"
    ]


def _how(row: Row) -> str:
    parts = []
    if row.times is not None:
        parts.append(f"{row.times.median:.2f} times as long ({row.times.low:.2f}..{row.times.high:.2f})")
    if row.instructions is not None:
        parts.append(f"{row.instructions:.3f} times the instructions")
    return ", ".join(parts)


def rule(rounds: int) -> str:
    """The rule of the times, with its rates."""
    count = needed(rounds, MOST_CASES)
    assert count is not None
    return (
        f"A case is slower if {count} of {rounds} rounds' ratios are above {SLOWER:.2f}; by chance that happens with"
        f" probability at most {tail(rounds, count):.1e} a case, {RATE:.0e} in all. A slowdown that lifts 95 % (90 %)"
        f" of the rounds' ratios above {SLOWER:.2f} is found with probability {power(rounds, count, 0.95):.4f}"
        f" ({power(rounds, count, 0.9):.3f}). Timing a case ends when {rounds - count + 1} ratios speak against slower,"
        " and as many against faster; its range is then that of all ratios."
    )


def counting(comparison: Comparison, why_not: str | None) -> str:
    """What the counts of instructions cover."""
    if why_not is not None:
        return f"Instructions are not counted: {why_not}."
    count = sum(row.instructions is not None for row in comparison.rows)
    text = (
        f"Instructions are counted in {count} cases, at the levels {' and '.join(instructions.LEVELS)}: valgrind knows"
        " no AVX-512."
    )
    if comparison.left_out:
        text += f" It does not know an instruction of: {'; '.join(comparison.left_out)}."
    return text


def as_json(rows: Sequence[Row]) -> list[dict[str, object]]:
    """The rows as plain values."""
    return [
        {**dataclasses.asdict(row), "instructions_ratio": row.instructions, "verdict": row.verdict}
        for row in rows
    ]
