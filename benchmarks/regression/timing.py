"""Times of two versions in one process, taken in turns; run as a process of its own, which prints JSON.

All cases go round together, so that a case's rounds are spread over the whole run. In a round each version is called
twice, in turns, and the shorter time counts: the first call of a pair finds colder caches. Standard input: what
another process has already measured, a JSON list.
"""

import importlib
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from benchmarks.regression.cases import Call, Case, selected
from benchmarks.regression.rule import settled

SIDES = ("before", "after")
TURNS = 2


def package(side: str) -> str:
    """The name under which a version is installed."""
    return f"kernels_{side}"


def load(folder: str, order: tuple[str, str] = SIDES) -> dict[str, ModuleType]:
    """Both versions' packages from a folder, imported in this order."""
    sys.path.insert(0, folder)
    return {side: importlib.import_module(package(side)) for side in order}


def calls(case: Case, level: str, share: float, versions: dict[str, ModuleType]) -> dict[str, Call] | str:
    """The calls to compare, each made once, or why the old version cannot make it.

    Raises:
        Exception: what the present version raises.
    """
    bind = case.prepare(level, share)
    after = bind(versions["after"])
    after()
    try:
        before = bind(versions["before"])
        before()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return {"before": before, "after": after}


def one_round(
    both: dict[str, Call], coin: random.Random, clock: Callable[[], float] = time.process_time
) -> tuple[float, float]:
    """Seconds of the old and the new version's call, whichever came first."""
    order = SIDES if coin.random() < 0.5 else SIDES[::-1]
    least = dict.fromkeys(SIDES, float("inf"))
    for _ in range(TURNS):
        for side in order:
            start = clock()
            both[side]()
            least[side] = min(least[side], clock() - start)
    return least["before"], least["after"]


@dataclass
class Times:
    """What was measured of a case: seconds of a call, round by round, or why nothing was."""

    name: str
    kernel: str
    where: str
    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    reason: str | None = None

    @property
    def ratios(self) -> list[float]:
        """New / old, round by round."""
        return [after / before for before, after in zip(self.before, self.after, strict=True)]


def measure(folder: str, seed: int, rounds: int, misses: int, known: Sequence[Times] = ()) -> list[Times]:
    """Times of all cases, added to those that are known; a case that is settled (rule.py) is not timed further."""
    import torch

    torch.set_num_threads(1)
    coin = random.Random(seed)
    versions = load(folder, SIDES if coin.random() < 0.5 else SIDES[::-1])
    of_name = {times.name: times for times in known}
    results, running = [], []
    for case, level, share in selected(versions["after"].status().levels):
        name = case.name(level)
        result = of_name.get(name, Times(name, case.kernel, case.where))
        results.append(result)
        if result.reason is not None or settled(result.ratios, misses):
            continue
        both = calls(case, level, share, versions)
        if isinstance(both, str):
            result.reason = both
        else:
            running.append((both, result))
    for _ in range(rounds):
        for both, result in running:
            if settled(result.ratios, misses):
                continue
            before, after = one_round(both, coin)
            result.before.append(before)
            result.after.append(after)
    return results


if __name__ == "__main__":
    try:
        seed, rounds, misses = map(int, sys.argv[2:])
        known = [Times(**fields) for fields in json.load(sys.stdin)]
        results = measure(sys.argv[1], seed, rounds, misses, known)
    except KeyboardInterrupt:
        sys.exit(130)
    json.dump([vars(result) for result in results], sys.stdout)
