"""What is predicted of first steps, beyond the bounds: exponents of their growth in n, and plateaus.

Predictions come from a Gaussian limit with exact means and covariances; they are equalities, so each is a test of two
sides. The interval of a slope is a bootstrap's, which is right for many students only (`sim.levels`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import final

from sim.claims.claim import Case, Claim, Comparison, Measured, Reliability, Source
from sim.claims.evidence import Evidence
from sim.claims.words import LEVEL, ran, setting_of
from sim.levels import ALPHA_SHOWN
from sim.summary import GrowthSummary
from theory.intervals import Interval


@final
@dataclass(frozen=True)
class PredictionClaim(Claim):
    """A prediction.

    Attributes:
        find: the comparisons.
        note: what else there is to say.
    """

    find: Callable[[Evidence], Iterable[Comparison]]
    note: str

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """One, of all cells of which it speaks."""
        comparisons = tuple(self.find(evidence))
        if comparisons:
            text, cells = ran(evidence, (id for c in comparisons for id in c.measured.cells))
            yield Case(setting_of(cells), text, comparisons, self.note)


def growth_of(name: str) -> Callable[[Evidence], Iterator[Comparison]]:
    """The growths of schedules of this name."""

    def find(evidence: Evidence) -> Iterator[Comparison]:
        for growth in evidence.growths:
            if growth.schedule.split()[0] == name:
                ids = [
                    s.cell.id
                    for s in evidence.first_step
                    if (s.cell.k, s.cell.schedule.label()) == (growth.k, growth.schedule)
                    and s.cell.n in (*growth.fit.used, *growth.fit.missing)
                ]
                yield _growth(growth, tuple(ids))

    return find


def _growth(growth: GrowthSummary, ids: tuple[str, ...]) -> Comparison:
    shape = "B against log n" if growth.logarithmic else "log B against log n"
    predicted = "none" if growth.predicted is None else f"{growth.predicted:.3g}"
    limit = "" if growth.limit is None else f", in the limit {growth.limit}"
    what = f"slope of {shape}, k = {growth.k}, {growth.schedule}, predicted {predicted}{limit}"
    return Comparison(_slope(what, growth.fit.slope, growth.fit.bootstrap, ids), 2, growth.judged)


def _slope(what: str, slope: float | None, interval: Interval, ids: tuple[str, ...]) -> Measured:
    return Measured(what, slope, float(interval.lower), float(interval.upper), LEVEL, ids)


def plateaus(evidence: Evidence) -> Iterator[Comparison]:
    """Success at the horizon, of students whose teachers are drawn."""
    for summary in evidence.first_step:
        if summary.has_plateau and summary.curve is not None:
            interval = summary.curve.intervals(ALPHA_SHOWN)[-1]
            predicted = summary.predicted_plateau
            text = "not for all students" if predicted is None else f"{predicted:.3g}"
            what = f"success at {summary.cell.samples} samples, {summary.cell.label()}, predicted {text}"
            rate = float(summary.curve.rates[-1])
            shown = Measured(
                what, rate, float(interval.lower), float(interval.upper), LEVEL, (summary.cell.id,)
            )
            yield Comparison(shown, 2, summary.against_plateau)


BOOTSTRAP = "Intervals of slopes are bootstrap intervals, carried to the ledger's level by the normal law."


def _claim(
    id: str, title: str, statement: str, reported: str, options: str, find: Callable[[Evidence], Iterable[Comparison]],
    note: str = BOOTSTRAP, place: str = "theory.prediction",
) -> PredictionClaim:  # fmt: skip
    command = f"python -m sim.grid {options}"
    source = Source(place, "")
    return PredictionClaim(
        id, title, statement, source, Reliability.DERIVED, reported, command, "", find, note
    )


PREDICTIONS: tuple[Claim, ...] = (
    _claim(
        "growth-parity",
        "growth in n, from the parity",
        "The slope of the samples for half of the students equals that of the predicted ones.",
        "n^(k-1) in the limit",
        "--n 50..200 --k 2 --schedule cross-entropy --replicates 512",
        growth_of("cross-entropy"),
    ),
    _claim(
        "growth-one-shot",
        "growth in n, from a final teacher of error n^-c",
        "The slope of the samples for half of the students equals that of the predicted ones.",
        "n^min(2c, k-1) in the limit",
        "--n 50..200 --k 4 --schedule one-shot --teacher-error 0.5,1 --replicates 256",
        growth_of("one-shot"),
    ),
    _claim(
        "growth-progressive",
        "growth in n, from an intermediate teacher",
        "The slope of the samples for half of the students equals that of the predicted ones.",
        "log n in the limit",
        "--n 50..200 --k 4 --schedule progressive --replicates 512",
        growth_of("progressive"),
    ),
    _claim(
        "growth-low-degree",
        "growth in n, from the explicit curriculum",
        "The slope of the samples for half of the students equals that of the predicted ones.",
        "log n in the limit",
        "--n 50..200 --k 4 --schedule low-degree --degree 1 --replicates 512",
        growth_of("low-degree"),
    ),
    _claim(
        "plateau",
        "success of students of random phase-1 teachers",
        "The share that succeeds equals the predicted one of these very students and teachers.",
        "a plateau below 1",
        "--n 50..200 --k 4 --schedule progressive --teacher phase-1 --replicates 64",
        plateaus,
        note="",
        place="theory.plateau",
    ),
)
