"""Contenders timed in turns: what all benchmark tables are made of."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch


@dataclass(frozen=True)
class Contender:
    """Something to time: `run` does `work` units of work, and returns the result."""

    name: str
    run: Callable[[], object]
    work: float


class Spread(NamedTuple):
    """Median and quartiles of the rounds."""

    median: float
    low: float
    high: float


def interleave(
    contenders: Sequence[Contender],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    pause: float = 0.0,
) -> list[list[float]]:
    """Nanoseconds per unit of work of each contender in each round.

    Every round times all contenders once, one after the other, so that a busy machine is busy for all of them. Before
    each there is a pause of so many seconds: threads of libraries stay awake for a while after their last call.
    """
    times: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        contender.run()
    for _ in range(rounds):
        for contender, results in zip(contenders, times, strict=True):
            time.sleep(pause)
            start = clock()
            contender.run()
            results.append((clock() - start) / contender.work * 1e9)
    return times


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles; of a single value, that value three times."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times as long the first one took, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def memory(*, reset: bool = False) -> int:
    """The process's peak memory in bytes; reset: let the peak start anew from what is in use (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def use_threads(threads: int | None) -> int:
    """Binds the process to as many processors, None standing for all; returns how many they are.

    Libraries with pools of their own, such as XLA's, obey that too.

    Raises:
        ValueError: there are fewer, or none is asked for.
    """
    available = sorted(os.sched_getaffinity(0))
    if threads is None:
        threads = len(available)
    if not 1 <= threads <= len(available):
        raise ValueError(f"threads {threads} is not allowed: give 1 to {len(available)}, the processors here")
    os.sched_setaffinity(0, available[:threads])
    torch.set_num_threads(threads)
    return threads


def processor() -> str:
    """Model and number of the processors (Linux), for the heading of a table."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    values = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in lines)
        if key.strip() in ("model name", "cpu family", "model")
    }
    count = len(os.sched_getaffinity(0))
    name = values.get("model name", "unknown processor")
    return f"{count} x {name}, family {values.get('cpu family', '?')} model {values.get('model', '?')}"
