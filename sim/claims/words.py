"""What was run, and numbers of curves, in the words of the ledger."""

from collections.abc import Iterable

from sim.cell import Cell
from sim.claims.claim import Comparison, Measured
from sim.claims.evidence import Evidence
from sim.levels import ALPHA_SHOWN, judge_bound
from theory.intervals import SuccessCurve
from theory.verdict import Judgement, Kind

LEVEL = 1 - ALPHA_SHOWN


def counted(number: int, noun: str) -> str:
    """For example `1 cell`, `3 cells`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(values: Iterable[int]) -> str:
    """For example `50, 100, 200`, each once, increasing."""
    return ", ".join(f"{value:,}" for value in sorted(set(values)))


def setting_of(cells: Iterable[Cell]) -> str:
    """For example `n = 50, 100; k = 4`."""
    known = list(cells)
    return f"n = {listed(c.n for c in known)}; k = {listed(c.k for c in known)}"


def ran(evidence: Evidence, ids: Iterable[str]) -> tuple[str, list[Cell]]:
    """What the cells of these ids are, such as `3 cells, 18 students, seed 0`; and the cells."""
    counts: dict[str, tuple[Cell, int]] = {
        **{s.cell.id: (s.cell, s.replicates) for s in evidence.first_step},
        **{s.cell.id: (s.cell, s.replicates) for s in evidence.two_stage},
        **{s.cell.id: (s.cell, len(s.records)) for s in evidence.online},
    }
    known = [counts[id] for id in dict.fromkeys(ids) if id in counts]
    seeds = {cell.seed for cell, _ in known}
    students = sum(replicates for _, replicates in known)
    text = (
        f"{counted(len(known), 'cell')} of {', '.join(sorted({cell.protocol for cell, _ in known}))}, "
        f"{counted(students, 'student')}, seed{'' if len(seeds) == 1 else 's'} {listed(seeds)}"
    )
    return text, [cell for cell, _ in known]


def reached(
    what: str, curve: SuccessCurve, probability: float, value: float, kind: Kind, cell: Cell
) -> Comparison:
    """The samples at which a curve reaches a probability, against a bound of them that `judge_bound` can judge."""
    crossing = curve.crossing(probability, ALPHA_SHOWN)
    interval = crossing.interval

    def judged(alpha: float) -> Judgement:
        judgement = judge_bound(curve, probability, value, kind, alpha)
        assert judgement is not None
        return judgement

    estimate = None if crossing.estimate is None else float(crossing.estimate)
    shown = Measured(what, estimate, float(interval.lower), float(interval.upper), LEVEL, (cell.id,))
    return Comparison(shown, 1, judged)
