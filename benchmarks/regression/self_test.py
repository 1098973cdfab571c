"""How often an unchanged version is called slower: A/A comparisons, each in fresh processes and from a fresh folder.

Each comparison is one line of a file, so that a run that was stopped goes on where it was. Besides the false alarms it
keeps the extreme ratios, and how many of them would be above 1.10, had the new version taken 1.2 times as long.
"""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.regression.cases import MOST_CASES
from benchmarks.regression.comparison import rows_of, time_cases
from benchmarks.regression.rule import SLOWER, needed, power
from benchmarks.regression.timing import SIDES, package
from benchmarks.regression.versions import ROOT, Version, earlier, extension, install
from theory.intervals import clopper_pearson

SLOWDOWN = 1.2


def one(version: Version, compiled: Path, seed: int, rounds: int) -> dict[str, object]:
    """One A/A comparison of times."""
    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            install(version, compiled, Path(folder), package(side))
        times = time_cases(Path(folder), seed, rounds)
    rows = [row for row in rows_of(times, {side: {} for side in SIDES}, {}, rounds) if row.times is not None]
    medians = {row.name: row.times.median for row in rows if row.times is not None}
    return {
        "version": version.hash[:12],
        "seed": seed,
        "rounds": rounds,
        "slower": [row.name for row in rows if row.verdict == "slower"],
        "lowest": min((ratio, name) for name, ratio in medians.items()),
        "highest": max((ratio, name) for name, ratio in medians.items()),
        "above": {of.name: _above(of.ratios, 1.0) for of in times if of.reason is None},
        "slowed": {of.name: _above(of.ratios, SLOWDOWN) for of in times if of.reason is None},
    }


def _above(ratios: Sequence[float], factor: float) -> tuple[int, int]:
    """How many ratios would be above 1.10, had the new version taken longer by the factor; and of how many."""
    return sum(factor * ratio > SLOWER for ratio in ratios), len(ratios)


def summary(lines: Sequence[dict[str, Any]], rounds: int) -> str:
    """What all comparisons say together."""
    alarms = sum(bool(line["slower"]) for line in lines)
    both, one_sided = (clopper_pearson(alarms, len(lines), alpha) for alpha in (0.05, 0.1))
    lowest, highest = min(line["lowest"] for line in lines), max(line["highest"] for line in lines)
    above = _worst(lines, "above", max)
    slowed = _worst(lines, "slowed", min)
    count = needed(rounds, MOST_CASES)
    assert count is not None
    return (
        f"{alarms} of {len(lines)} comparisons of a version with itself call a case slower: a probability in"
        f" [{both.lower:.4f}, {both.upper:.4f}] (95 %, exact; at most {one_sided.upper:.4f}, 95 % one-sided). Smallest"
        " median of the ratios:"
        f" {lowest[0]:.3f} ({lowest[1]}); largest: {highest[0]:.3f} ({highest[1]}). Of the case with the most of them,"
        f" a share of {above[0]:.4f} of the ratios is above {SLOWER:.2f} ({above[1]}); {count} of {rounds} make an"
        f" alarm. Had each call taken {SLOWDOWN} times as long, that share would be at least {slowed[0]:.4f}"
        f" ({slowed[1]}), and the slowdown found with probability at least {power(rounds, count, slowed[0]):.4f}."
    )


def _worst(
    lines: Sequence[dict[str, Any]], key: str, choose: Callable[[list[tuple[float, str]]], tuple[float, str]]
) -> tuple[float, str]:
    """The extreme share of rounds among the cases, over all comparisons."""
    names = {name for line in lines for name in line[key]}
    parts = {name: [line[key][name] for line in lines if name in line[key]] for name in names}
    shares = [
        (sum(hits for hits, _ in part) / max(1, sum(rounds for _, rounds in part)), name)
        for name, part in parts.items()
    ]
    return choose(shares)


def read(path: Path) -> list[dict[str, Any]]:
    """The comparisons in a file; a line that a kill cut short is none."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def run(options: argparse.Namespace) -> int:
    """Comparisons until the file has as many as asked for; returns 0 whatever they say."""
    version = Version.of_folder(ROOT, "the working tree")
    if options.against is not None:
        version = earlier(version, options.against)
    compiled = extension(version, options.cache)
    path = options.tally or options.cache / f"self-test-{version.hash[:12]}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    key = (version.hash[:12], options.rounds)
    lines = [line for line in read(path) if (line.get("version"), line.get("rounds")) == key]
    done = {line["seed"] for line in lines}
    for seed in (seed for seed in range(options.self_test) if seed not in done):
        line = one(version, compiled, seed, options.rounds)
        lines.append(line)
        with path.open("a") as file:
            file.write("\n" + json.dumps(line))
        alarms = sum(bool(line["slower"]) for line in lines)
        print(f"{len(lines)} of {options.self_test}: {alarms} false alarms", flush=True)
    print(summary(lines, options.rounds))
    print(path)
    return 0
