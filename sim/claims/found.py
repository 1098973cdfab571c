"""What there is to compare with each bound: the measured numbers of every cell in which it speaks.

What stored theory has of a cell is taken from there, so that a verdict here is that of the cell's own summary, at the
ledger's level. Students of a cell differ in weights and samples, all independent.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache, partial

from sim.claims.claim import Comparison, Measured, certain
from sim.claims.evidence import Evidence
from sim.claims.words import LEVEL, reached
from sim.levels import ALPHA_SHOWN, judge_rate, measured_at, one_sided
from sim.protocol.base import Json
from sim.schedule import CrossEntropy, OneShot, Progressive
from sim.summary import number
from sim.two_stage.comparisons import ratio_of
from sim.two_stage.outcomes import found_of
from sim.two_stage.summary import TwoStageSummary
from theory.bounds.identify_support import IdentifySupport
from theory.intervals import SuccessCurve, clopper_pearson
from theory.phase_one_step import Ensemble
from theory.verdict import Judgement, Kind, Verdict, judge


def nothing(evidence: Evidence, name: str) -> Iterable[Comparison]:
    """No comparison."""
    return ()


def by_name(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """Wherever stored theory has a bound of this name: first steps, and stages and totals of two-stage students."""
    for summary in evidence.first_step:
        for bound in summary.theory["bounds"]:
            value, kind = number(bound["samples"]), Kind(bound["kind"])
            if bound["name"] != name or summary.curve is None or not measured_at(summary.curve, value, kind):
                continue
            what = f"samples for success {summary.high:g}, {summary.cell.label()}, {_against(bound)}"
            yield reached(what, summary.curve, summary.high, value, kind, summary.cell)
    for students in evidence.two_stage:
        for bound in students.theory["bounds"]:
            if bound["name"] == name and bound["delta"] is not None and students.payloads:
                yield from _of_stage(students, bound)


def _of_stage(students: TwoStageSummary, bound: Json) -> Iterator[Comparison]:
    """A bound of the first stage, the second, the total of the ladder, or the total of the best split."""
    kind, stage = Kind(bound["kind"]), bound["stage"]
    value = number(bound.get("persistent", bound["samples"]))
    if stage == "split":
        yield from _of_split(students, bound)
        return
    for epsilon in _losses(students, bound):
        curve: SuccessCurve | None
        match stage:
            case "first":
                curve, aim = students.first_curve, "the support"
            case "second":
                curve, aim = students.second_curve(epsilon), f"loss {float(epsilon):g}, second stage"
            case _ if kind is Kind.UPPER:
                curve, aim = students.total_curve(epsilon), f"loss {float(epsilon):g}, in total"
            case _:  # an error is reached no later than the loss
                curve, aim = students.total_curve(epsilon, "error"), f"error {float(epsilon):g}, in total"
        probability = students.probabilities[stage]
        if curve is None or not measured_at(curve, value, kind):
            continue
        what = f"samples for {probability:g} to have {aim}, {students.cell.label()}, {_against(bound)}"
        yield reached(what, curve, probability, value, kind, students.cell)
        if stage == "first":
            return


def _losses(students: TwoStageSummary, bound: Json) -> Iterable[Fraction]:
    return students.losses if bound["loss"] is None else (Fraction(bound["loss"]),)


def _of_split(students: TwoStageSummary, bound: Json) -> Iterator[Comparison]:
    """Students who have the samples of each stage that the bound gives it, and fail all the same.

    Where S1 is beyond the first horizon they have the horizon's: fewer than the bound's, so that success supports it
    and failure says nothing.
    """
    epsilon = Fraction(bound["loss"])
    own = {b["name"]: b["samples"] for b in students.theory["bounds"] if b["loss"] in (None, bound["loss"])}
    first, second = (number(own.get(name, math.inf)) for name in ("S1", "T2-delta"))
    grid, later = students.cell.first_grid, students.cell.second_grid
    if math.isinf(first) or second > later[-1]:
        return
    enough = first <= grid[-1]
    p = next((i for i, B in enumerate(grid) if first <= B), len(grid) - 1)
    t = next(i for i, T in enumerate(later) if second <= T)
    failed = sum(
        not (found_of(payload)[p] and payload["loss"][t] <= float(epsilon))
        for payload in students.payloads.values()
    )
    what = f"share that fails, {students.cell.label()}, loss {float(epsilon):g}, with {grid[p]} + {later[t]} samples"
    judged = partial(judge_rate, failed, students.replicates, float(bound["delta"]))
    yield _rate(
        what, failed, students, judged if enough else partial(_supporting, judged), 1 if enough else 0
    )


def _supporting(judged: Callable[[float], Judgement], alpha: float) -> Judgement:
    """A verdict that cannot contradict."""
    judgement = judged(alpha)
    if judgement.verdict is not Verdict.CONTRADICTED:
        return judgement
    reason = "These students have fewer samples than the bound gives, and fail too often to support it."
    return Judgement(Verdict.UNDECIDED, reason, judgement.alpha)


def _rate(
    what: str, count: int, students: TwoStageSummary, judge: Callable[[float], Judgement], sides: int = 1
) -> Comparison:
    interval = clopper_pearson(count, students.replicates, ALPHA_SHOWN)
    share = count / students.replicates
    shown = Measured(what, share, interval.lower, interval.upper, LEVEL, (students.cell.id,))
    return Comparison(shown, sides, judge)


def online_sums(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """R²G², which no sum of online losses exceeds, whatever the samples: a student above it disproves T2."""
    for students in evidence.two_stage:
        if students.online is not None:
            allowed = float(students.theory["online"])
            what = f"largest sum of online losses, {students.cell.label()}, at most R^2 G^2 = {allowed:.6g}"
            shown = Measured(what, students.online[1], None, None, None, (students.cell.id,))
            yield Comparison(shown, 0, partial(certain, students.judge_online()))


def raw_losses(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """Losses of students with biases, against the bounds of their means."""
    for students in evidence.two_stage:
        if students.expected_loss is not None:
            bounds = students.theory["expected_loss"]
            above = sum(
                loss > number(bounds[r]) / students.delta
                for r, loss in zip(students.payloads, students.final_losses, strict=True)
                if r < len(bounds)
            )
            what = (
                f"share whose loss is above {1 / students.delta:g} times its bound, {students.cell.label()}"
            )
            yield _rate(what, above, students, students.judge_expected)


def separations(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """Quotients of totals wherever both certified totals are known."""
    for more, less in evidence.totals.compared:
        others = {s.cell.n: s for s in less if s.cell.schedule == Progressive()}
        for above in more:
            below = others.get(above.cell.n)
            if below is None or not (above.payloads and below.payloads) or above.delta != below.delta:
                continue
            for epsilon in sorted({*above.losses} & {*below.losses}, reverse=True):
                if not math.isfinite(below.bound("split", Kind.UPPER, epsilon)):
                    continue
                yield _separation(above, below, epsilon)


def _separation(above: TwoStageSummary, below: TwoStageSummary, epsilon: Fraction) -> Comparison:
    ratio = ratio_of(above, below, epsilon)
    what = (
        f"samples of {above.cell.schedule.label()} over those of {below.cell.schedule.label()}, n = {ratio.n}, "
        f"k = {above.cell.k}, loss {float(epsilon):g}, at least {ratio.lower:.4g}"
    )
    low, high = float(ratio.interval.lower), float(ratio.interval.upper)
    shown = Measured(what, ratio.estimate, low, high, LEVEL, (above.cell.id, below.cell.id))

    def judged(alpha: float) -> Judgement:
        return judge(ratio_of(above, below, epsilon, alpha).interval, ratio.lower, Kind.LOWER)

    return Comparison(shown, 1, partial(one_sided, judged))


NEAR = 1e-9
"""Dead zones are given as short fractions near the theorem's: so near that its bound has the same digits."""


@lru_cache(maxsize=256)
def _ensemble(n: int, k: int, width: int, samples: int) -> tuple[float, Fraction]:
    found = Ensemble(n, k, width).success(samples)
    return float(found.probability), found.dead_zone


def phase_one(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """Signed students of random phase-1 teachers, where their dead zone is the theorem's."""
    for students in evidence.two_stage:
        cell, schedule = students.cell, students.cell.schedule
        curve = students.first_curve
        drawn = (
            isinstance(schedule, Progressive)
            and schedule.teacher == "phase-1"
            and schedule.labels == "logits"
        )
        if curve is None or not drawn or cell.n % 2 == 0 or cell.k % 2 or cell.n <= cell.k:
            continue
        assert isinstance(schedule, Progressive)
        least, dead_zone = _ensemble(cell.n, cell.k, schedule.teacher_width, cell.first)
        if cell.dead_zone is None or abs(cell.dead_zone - dead_zone) > NEAR * dead_zone or least <= 0:
            continue
        found = round(float(curve.rates[-1]) * students.replicates)
        what = f"share that finds the support with {cell.first} samples, {cell.label()}, at least {least:.4g}"

        yield _rate(
            what, found, students, partial(one_sided, partial(_share, found, students.replicates, least))
        )


def _share(found: int, trials: int, least: float, alpha: float) -> Judgement:
    return judge(clopper_pearson(found, trials, alpha), least, Kind.LOWER)


def one_bit(evidence: Evidence, name: str) -> Iterator[Comparison]:
    """First steps on labels of one bit: the parity's own, and hard labels of final teachers."""
    theorem = IdentifySupport()
    for summary in evidence.first_step:
        cell, curve = summary.cell, summary.curve
        if curve is not None and cell.n > cell.k and _of_one_bit(cell.schedule):
            least = theorem.evaluate(n=cell.n, k=cell.k, delta=float(summary.theory["delta"])).value
            what = f"samples for success {summary.high:g}, {cell.label()}, at least {least:.4g}"
            yield reached(what, curve, summary.high, least, Kind.LOWER, cell)
    for students in evidence.two_stage:
        own, found = students.cell, students.first_curve
        if found is not None and own.n > own.k and _of_one_bit(own.schedule):
            probability = students.probabilities["first"]
            least = theorem.evaluate(n=own.n, k=own.k, delta=students.delta / 2).value
            what = f"samples for {probability:g} to have the support, {own.label()}, at least {least:.4g}"
            yield reached(what, found, probability, least, Kind.LOWER, own)


def _of_one_bit(schedule: object) -> bool:
    return isinstance(schedule, CrossEntropy) or (isinstance(schedule, OneShot) and schedule.labels == "hard")


def _against(bound: Json) -> str:
    word = "at most" if Kind(bound["kind"]) is Kind.UPPER else "at least"
    return f"{word} {number(bound['samples']):.6g}"
