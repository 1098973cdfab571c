"""Published statements on growth in n, which have no constants.

"Grows at most (at least) like n^a" says nothing of any finite grid, so no measurement here contradicts it: a claim is
CONSISTENT where the 95 % interval of the measured exponent lies on the claimed side, else UNDECIDED. The exponent is
that of two-stage students' totals (logarithms left out), so of students that take one step on the first layer, and not
of the networks of which the statements speak; each entry says which.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, final

from sim.claims.bounds import TWO_STAGE, sources
from sim.claims.claim import Case, Claim, Comparison, Measured, Reliability, certain
from sim.claims.evidence import Evidence
from sim.claims.words import LEVEL, ran, setting_of
from sim.schedule import CrossEntropy, OneShot, Progressive
from sim.two_stage.cell import TwoStageCell
from theory.bounds.theorem import Theorem
from theory.catalogue import named
from theory.intervals import Interval
from theory.verdict import Judgement, Kind, Verdict

Speaks = Callable[[TwoStageCell], dict[str, Any] | None]
"""Parameters of the statement for students of these cells, beside k; None where it does not speak of them."""


@final
@dataclass(frozen=True)
class GrowthClaim(Claim):
    """A published statement on growth.

    Attributes:
        speaks: of which students.
        note: of what networks it is, and what was measured instead.
    """

    speaks: Speaks
    note: str

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """One, of all growths of two-stage totals of which it speaks."""
        comparisons = tuple(self._comparisons(evidence))
        if comparisons:
            text, cells = ran(evidence, (id for c in comparisons for id in c.measured.cells))
            yield Case(setting_of(cells), text, comparisons, self.note)

    def _comparisons(self, evidence: Evidence) -> Iterator[Comparison]:
        groups = {(g[0].cell.k, g[0].cell.series): [s.cell for s in g] for g in evidence.totals.groups}
        for growth in evidence.totals.growths:
            cells = groups[growth.k, growth.series]
            parameters = self.speaks(cells[0])
            if parameters is None:
                continue
            kind, exponent = _exponent(self.id, growth.k, tuple(sorted(parameters.items())))
            side = "at most" if kind is Kind.UPPER else "at least"
            what = (
                f"exponent of the total to loss {float(growth.epsilon):g}, k = {growth.k}, {growth.series}, "
                f"{side} {exponent:g}"
            )
            interval = growth.fit.bootstrap
            ids = tuple(cell.id for cell in cells if cell.n in (*growth.fit.used, *growth.fit.missing))
            low, high = float(interval.lower), float(interval.upper)
            shown = Measured(what, growth.fit.slope, low, high, LEVEL, ids)
            yield Comparison(shown, 0, partial(certain, judge_side(interval, exponent, kind)))


def judge_side(interval: Interval, exponent: float, kind: Kind) -> Judgement:
    """Whether an interval lies on the claimed side of an exponent; nothing is contradicted."""
    upper = kind is Kind.UPPER
    supported = interval.upper <= exponent if upper else interval.lower >= exponent
    text = f"The interval [{interval.lower:.3g}, {interval.upper:.3g}] is "
    if supported:
        judgement = Judgement(
            Verdict.CONSISTENT, f"{text}on the claimed side of {exponent:g}.", interval.alpha
        )
    else:
        reason = f"{text}not on the claimed side of {exponent:g}, which contradicts nothing: n is finite."
        judgement = Judgement(Verdict.UNDECIDED, reason, interval.alpha)
    return judgement


@lru_cache(maxsize=64)
def _exponent(name: str, k: int, parameters: tuple[tuple[str, Any], ...]) -> tuple[Kind, float]:
    """The side of the statement, and its exponent."""
    theorem = named(name)
    growth = theorem.growth(k=k, **dict(parameters))
    assert growth is not None
    return theorem.side, float(growth.exponent)


def _intermediate(cell: TwoStageCell) -> dict[str, Any] | None:
    return {} if isinstance(cell.schedule, Progressive) else None


def _converged(cell: TwoStageCell) -> dict[str, Any] | None:
    match cell.schedule:
        case CrossEntropy() | OneShot(exponent=None):
            return {}
        case OneShot(exponent=Fraction() as c):
            return {"labels": "leaky", "c": c}
        case _:
            return None


def _parity(cell: TwoStageCell) -> dict[str, Any] | None:
    return {} if isinstance(cell.schedule, CrossEntropy) else None


def _claim(theorem: Theorem, speaks: Speaks, reported: str, note: str) -> GrowthClaim:
    return GrowthClaim(
        id=theorem.name,
        title=theorem.quantity,
        statement=theorem.statement,
        source=sources(theorem),
        reliability=Reliability.of(theorem.standing),
        reported=reported,
        command=TWO_STAGE,
        without="",
        speaks=speaks,
        note=note,
    )


MEASURED = (
    "what was measured are totals of two-stage students: one step, then output weights on fixed features."
)

ASYMPTOTIC: tuple[Claim, ...] = (
    _claim(
        named("paper-progressive"),
        _intermediate,
        "at most of order n^2",
        f"The statement is of networks with unknown rates and batches; {MEASURED}",
    ),
    _claim(
        named("paper-one-shot"),
        _converged,
        "at least of order n^(k-1); n^min(2c, k-1) for a teacher of error n^-c (recalled)",
        f"The statement is of networks with unknown rates and batches; {MEASURED}",
    ),
    _claim(
        named("barak-mlp"),
        _parity,
        "at most of order n^(k+1) log n, batch times iterations",
        f"The statement is of ReLU networks trained by SGD with large batches; {MEASURED}",
    ),
    _claim(
        named("kou-sign-sgd"),
        _parity,
        "at most of order n^(k-1), logarithms left out",
        f"The statement is of networks with polynomial activations trained by sign SGD; {MEASURED}",
    ),
)
