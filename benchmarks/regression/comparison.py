"""Two versions compared: every case's times, instructions and verdict."""

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.regression import instructions
from benchmarks.regression.cases import CASES, MOST_CASES
from benchmarks.regression.errors import BrokenError
from benchmarks.regression.rule import SLOWER, Interval, interval, needed, settled
from benchmarks.regression.timing import SIDES, Times, package
from benchmarks.regression.versions import ROOT, Version, extension, install
from sim.errors import SimError

PROCESSES = 2  # among which a case's rounds are shared out: each has a memory layout of its own
ACCEPTED = Path(__file__).with_name("accepted.toml")


@dataclass(frozen=True)
class Row:
    """What is known of a case at a level.

    Attributes:
        name: the case and the level.
        kernel: the public function.
        where: the source file in which most of its time goes.
        before: median nanoseconds of a call of the old version, or None where it was not timed.
        after: of the new version.
        times: ratio new / old of the times, or None.
        instructions_before: of the old version, or None where they were not counted.
        instructions_after: of the new version.
        reason: why the case is not comparable, or why its slowdown is accepted.
        accepted: whether it is.
    """

    name: str
    kernel: str
    where: str
    before: float | None = None
    after: float | None = None
    times: Interval | None = None
    instructions_before: int | None = None
    instructions_after: int | None = None
    reason: str | None = None
    accepted: bool = False

    @property
    def instructions(self) -> float | None:
        """Ratio new / old of the instructions."""
        if self.instructions_before is None or self.instructions_after is None:
            return None
        return self.instructions_after / self.instructions_before

    @property
    def verdict(self) -> str:
        """One of not comparable, slower, accepted, faster, alike.

        More instructions are no slowdown where times show that the case became faster.
        """
        if self.times is None and self.instructions is None:
            return "not comparable"
        more = self.instructions is not None and self.instructions > SLOWER
        faster = self.times is not None and self.times.high < 1
        if (self.times is not None and self.times.verdict == "slower") or (more and not faster):
            return "accepted" if self.accepted else "slower"
        return "alike" if self.times is None else self.times.verdict


def time_cases(folder: Path, seed: int, rounds: int) -> list[Times]:
    """Times of the versions installed in a folder, each case until its verdict is settled.

    Raises:
        BrokenError: if the present version cannot be timed.
    """
    results: list[Times] = []
    misses = rounds - (needed(rounds, MOST_CASES) or rounds)
    for process in range(PROCESSES):
        if results and all(times.reason is not None or settled(times.ratios, misses) for times in results):
            break
        share = rounds * (process + 1) // PROCESSES - rounds * process // PROCESSES
        numbers = (PROCESSES * seed + process, share, misses)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.regression.timing", str(folder), *map(str, numbers)],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
            input=json.dumps([vars(times) for times in results]),
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise BrokenError(f"The present version cannot be timed: {last}")
        results = [Times(**fields) for fields in json.loads(done.stdout)]
        if not results:
            raise BrokenError("The present version cannot be timed: its extension cannot be imported.")
    return results


def rows_of(
    times: Iterable[Times],
    counts: Mapping[str, Mapping[str, int | None]],
    reasons: Mapping[str, str],
    rounds: int,
) -> list[Row]:
    """Verdicts from measurements of so many rounds; reasons: why a case's slowdown, if there is one, is accepted."""
    count = needed(rounds, MOST_CASES)
    assert count is not None
    rows: dict[str, Row] = {}
    for measured in times:
        known = measured.name, measured.kernel, measured.where
        if measured.reason is not None:
            rows[measured.name] = Row(*known, reason=measured.reason)
            continue
        middle = len(measured.ratios) // 2
        rows[measured.name] = Row(
            *known,
            before=sorted(measured.before)[middle] * 1e9,
            after=sorted(measured.after)[middle] * 1e9,
            times=interval(measured.ratios, count),
        )
    for case in CASES:
        for level in instructions.LEVELS:
            name = case.name(level)
            both = {f"instructions_{side}": counts[side].get(name) for side in SIDES}
            if None not in both.values():
                row = rows.get(name, Row(name, case.kernel, case.where))
                rows[name] = Row(**{**vars(row), **both})
    return [
        Row(**{**vars(row), "reason": reasons[name], "accepted": True}) if name in reasons else row
        for name, row in rows.items()
    ]


def accepted(version: str, path: Path = ACCEPTED) -> dict[str, str]:
    """Why slowdowns of a version are accepted, by case; version: its hash.

    The file has a table for each version, called by the hash's first 12 or more digits, with entries
    `"case" = "reason"`. It says nothing of any other version, so an entry expires when the sources change.

    Raises:
        SimError: if the file is not of that form, or names a case that does not exist.
    """
    try:
        tables = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SimError(f"{path.name} is no TOML: {error}.") from error
    reasons: dict[str, str] = {}
    names = {case.name(level) for case in CASES for level in ("avx512", "avx2", "baseline", "reference")}
    for prefix, entries in tables.items():
        if len(prefix) < 12 or not isinstance(entries, dict):
            raise SimError(
                f"{path.name} has {prefix!r}, but must have tables called by at least 12 digits of a hash."
            )
        if not version.startswith(prefix):
            continue
        for name, reason in entries.items():
            if name not in names or not isinstance(reason, str) or not reason:
                raise SimError(
                    f"{path.name} has {name!r} = {reason!r}, but must map a case, as the table calls it, to a reason."
                )
            reasons[name] = reason
    return reasons


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes:
        rows: the cases.
        left_out: cases that were not counted, as valgrind does not know one of their instructions.
    """

    rows: list[Row]
    left_out: list[str]


def compare(
    before: Version, after: Version, cache: Path, *, seed: int, rounds: int, counting: bool
) -> Comparison:
    """Builds both versions as far as needed, and measures.

    Raises:
        BrokenError: if a version does not build, or the present one cannot be measured.
        SimError: if the list of accepted slowdowns is not right.
    """
    reasons = accepted(after.hash)
    with tempfile.TemporaryDirectory() as work:
        for side, version in zip(SIDES, (before, after), strict=True):
            install(version, extension(version, cache), Path(work), package(side))
        times = time_cases(Path(work), seed, rounds)
        counts: dict[str, dict[str, int | None]] = {side: {} for side in SIDES}
        if counting:
            counts = instructions.counts(Path(work))
    left_out = sorted({name for side in SIDES for name, count in counts[side].items() if count is None})
    return Comparison(rows_of(times, counts, reasons, rounds), left_out)
