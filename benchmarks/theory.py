"""The cases of `theory`: exact and certified numbers, time of a call, nothing remembered from an earlier call.

No machine's limit is stated: the work is on integers and balls of whatever size the exact answer takes. The peers of
the first step's law are what one would write without the theorem, where that ends: enumeration of all 2^n inputs.
"""

import sys
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from benchmarks.case import Case, Peers
from benchmarks.side_by_side import Contender
from theory.bounds import REGISTRY
from theory.gradient import FirstStepLaw
from theory.prediction import Prediction
from theory.targets import Parity
from theory.walsh import threshold_count

ENUMERATED = 16  # n


def forget() -> None:
    """Empties every cache of `theory`, so that a call does its work."""
    for name, module in list(sys.modules.items()):
        if name == "theory" or name.startswith("theory."):
            for value in vars(module).values():
                clear = getattr(value, "cache_clear", None)
                if callable(clear):
                    clear()


def law(n: int, k: int) -> tuple[tuple[Fraction, ...], Fraction]:
    """Means of the first step of a neuron whose weights are all 1, on the support and off it."""
    of = FirstStepLaw(n, threshold_count(n, 0), Parity(k), (1,) * k)
    return tuple(of.mean_in), of.mean_out


def enumerated(n: int, k: int) -> tuple[tuple[Fraction, ...], Fraction]:
    """The same by summing over all 2^n inputs in numpy."""
    index = np.arange(1 << n)
    x = 1 - 2 * (index[:, None] >> np.arange(n) & 1)
    fires = (x < 0).sum(axis=1) <= threshold_count(n, 0)
    sums = (x[:, :k].prod(axis=1) * fires) @ x
    means = [Fraction(int(total), 1 << n) for total in sums]
    return tuple(means[:k]), means[k]


def one_by_one(n: int, k: int) -> tuple[tuple[Fraction, ...], Fraction]:
    """The same as a loop in Python."""
    sums = [0] * n
    q = threshold_count(n, 0)
    for index in range(1 << n):
        if index.bit_count() > q:
            continue
        label = -1 if (index & ((1 << k) - 1)).bit_count() & 1 else 1
        for i in range(n):
            sums[i] += -label if index >> i & 1 else label
    means = [Fraction(total, 1 << n) for total in sums]
    return tuple(means[:k]), means[k]


def cases(threads: int, seconds: float = 0.1) -> list[Case]:
    """Laws, bounds and predictions; on one thread, whatever `threads` is."""

    def contender(name: str, call: Callable[[], object]) -> Contender:
        def run() -> object:
            forget()
            return call()

        return Contender(name, run, 1)

    def case(what: str, size: str, call: Callable[[], object], peers: Peers | None = None) -> Case:
        return Case(what, size, "call", lambda: contender(what, call), peers or {})

    def bound(tag: str, n: int, k: int) -> Case:
        return case(
            f"bound {tag}",
            f"n = {n}, k = {k}",
            lambda: REGISTRY[tag]().evaluate(n=n, k=k, delta=Fraction(1, 10)),
        )

    n = ENUMERATED
    return [
        case(
            "law of the first step",
            f"n = {n}, k = 4",
            lambda: law(n, 4),
            {
                "numpy": lambda: [contender("all inputs at once", lambda: enumerated(n, 4))],
                "Python loop": lambda: [contender("one input at a time", lambda: one_by_one(n, 4))],
            },
        ),
        case("law of the first step", "n = 1000, k = 6", lambda: law(1000, 6)),
        bound("B1'", 100, 2),
        bound("B1'", 200, 4),
        bound("B2h", 200, 4),
        case(
            "prediction",
            "n = 200, k = 4",
            lambda: Prediction(200, threshold_count(200, 0), Parity(4)).samples_for(0.9),
        ),
    ]
