"""Contenders timed in turns: what all benchmark tables are made of."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """Something to time: `run` does `work` units of work."""

    name: str
    run: Callable[[], object]
    work: int


def interleave(
    contenders: Sequence[Contender], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Nanoseconds per unit of work of each contender in each round.

    Every round times all contenders once, one after the other, so that a busy machine is busy for all of them.
    """
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.run()
    for _ in range(rounds):
        for contender, results in zip(contenders, times, strict=True):
            start = clock()
            contender.run()
            results.append((clock() - start) / contender.work * 1e9)
    return times


def ratio(slow: Sequence[float], fast: Sequence[float]) -> tuple[float, float]:
    """Median and lowest of the rounds' ratios."""
    ratios = [b / a for a, b in zip(fast, slow, strict=True)]
    return statistics.median(ratios), min(ratios)


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """A table of rows with equal keys."""

    def text(value: object) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(text(v) for v in row.values()) + " |" for row in rows])


def memory(*, reset: bool = False) -> int:
    """The process's peak memory in bytes; reset: let the peak start anew from what is in use (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def processor() -> str:
    """Model and number of the processors (Linux), for the heading of a table."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else "unknown processor"
