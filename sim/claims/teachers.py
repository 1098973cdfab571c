"""What the paper reports of teachers, as claims: E1's and E4's transition, E5's correlations, E7's widths.

Units are teachers of different seeds, which share nothing (`sim.claims.shares`): one seed decides nothing.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import final

import numpy as np

from sim.cell import canonical_json
from sim.claims.claim import Case, Claim, Comparison
from sim.claims.evidence import Evidence
from sim.claims.settings import (
    PAPER_K,
    PAPER_N,
    TeacherSetting,
    ran_online,
    student_settings,
    teacher_settings,
)
from sim.claims.shares import Votes, median, share, shown
from sim.claims.students import Cells, to_reach
from sim.claims.words import counted, listed
from sim.online.cell import StudentCell, without
from sim.online.report import Report
from sim.online.summary import Median, OnlineSummaryOfCell
from sim.probe import READINGS
from sim.student_record import OK
from sim.supervision import CrossEntropy
from sim.transition import Transition, find_peak, find_transition

ABRUPT, QUICK = 1.1, 600_000.0
"""Of the way from 55 % to 95 %: in the figure it takes 0.3M samples, a thirtieth of those before; three times that
share, and twice those samples, are allowed.
"""

SMALL = 0.25
"""A correlation below a quarter of the peak's is small: the figures show a seventh and a fiftieth."""


@final
@dataclass(frozen=True)
class TeacherClaim(Claim):
    """A claim about most teachers.

    Attributes:
        compare: the comparisons of a setting; none where it does not speak.
        where: the paper's setting.
        anywhere: whether it makes sense in other settings than the paper's.
        note: what else there is to say.
    """

    compare: Callable[[TeacherSetting], Iterable[Comparison]]
    where: str
    anywhere: bool
    note: str

    @property
    def home(self) -> str:
        """The paper's setting."""
        return self.where

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """The paper's setting, and others where it makes sense; marked."""
        for setting in teacher_settings(evidence):
            if not (setting.full or self.anywhere):
                continue
            comparisons = tuple(self.compare(setting))
            if any(comparison.judge for comparison in comparisons):
                label = setting.label if setting.full else f"{setting.label} (not the paper's)"
                ran = ran_online(setting.teachers.values()) if setting.teachers else ""
                many = counted(len(setting.reports), "teacher")
                probed = f"probes of {many}, seed{'' if len(setting.reports) == 1 else 's'} {listed(setting.reports)}"
                text = "; ".join(part for part in (ran, probed * bool(setting.reports)) if part)
                yield Case(label, text, comparisons, self.note, setting.full)


def _crossing(transition: Transition | None, level: float) -> float:
    """Samples at which a curve crosses a level for good, infinite where it does not."""
    found = () if transition is None else transition.crossings
    return next((float(c.step) for c in found if c.level == level), math.inf)


def transition(allowed: Callable[[float, float], bool]) -> Callable[[TeacherSetting], Iterator[Comparison]]:
    """Whether most teachers go from 55 % to 95 % in the samples that are allowed after the first crossing."""

    def compare(setting: TeacherSetting) -> Iterator[Comparison]:
        if not setting.teachers:
            return
        answers: list[bool | None] = []
        for summary in setting.teachers.values():
            start, end = (_crossing(summary.transition, level) for level in (0.55, 0.95))
            whole = summary.records[0]["status"] == OK
            answers.append((math.isfinite(end) and allowed(start, end)) if whole else None)
        ids = [summary.cell.id for summary in setting.teachers.values()]
        yield share("share of teachers that go from 55 % to 95 % at once", Votes.of(answers), ids)
        for level in (0.55, 0.75, 0.95):
            found = [_crossing(s.transition, level) for s in setting.teachers.values()]
            middle = Median.of(found)
            yield shown(f"samples to {level:.0%}, median over seeds", middle and middle.value, ids)
        for seed, report in setting.reports.items():
            yield from _probed_course(seed, report)
        yield median("accuracy at the end", setting.teachers, lambda record: float(record["held_out"][-1]))

    return compare


def _probed_course(seed: int, report: Report) -> Iterator[Comparison]:
    """The crossings among the probed checkpoints, which lie closer."""
    steps = sorted(report.held_out)
    fine = find_transition(steps, [report.held_out[step] for step in steps])
    batch = report.cell.teacher.batch
    for crossing in fine.crossings:
        what = f"samples to {crossing.level:.0%} among the probed checkpoints, seed {seed}"
        yield shown(what, float(crossing.step * batch), (report.cell.id,))


Answer = Callable[[Report], bool | None]


def probed(
    what: str, answer: Answer, number: Callable[[Report], float | None], name: str
) -> Callable[[TeacherSetting], Iterator[Comparison]]:
    """Whether a statement holds for the probes of most teachers.

    Args:
        what: the statement.
        answer: whether it holds for one teacher; None: its probes cannot tell.
        number: that is shown of each teacher.
        name: of that number.
    """

    def compare(setting: TeacherSetting) -> Iterator[Comparison]:
        if not setting.reports:
            return
        ids = [report.cell.id for report in setting.reports.values()]
        votes = Votes.of(answer(report) for report in setting.reports.values())
        yield share(f"share of teachers: {what}", votes, ids)
        for seed, report in setting.reports.items():
            peak = report.peak
            at = "" if peak is None else f", peak at step {peak.step:,} [{peak.low:,}, {peak.high:,}]"
            yield shown(f"{name}, seed {seed}{at}", number(report), (report.cell.id,))
            if number is peak_value:
                yield from _readings(seed, report)

    return compare


def _readings(seed: int, report: Report) -> Iterator[Comparison]:
    """The peak by the other readings: which one the paper takes is not known."""
    known = set.intersection(*(set(point.readings) for point in report.probes.points))
    for reading in READINGS:
        if reading != report.reading and reading in known:
            peak = find_peak(report.probes, reading)
            at = "" if peak is None else f", at step {peak.step:,}"
            what = f"the same of the reading {reading}, seed {seed}{at}"
            yield shown(what, None if peak is None else peak.value, (report.cell.id,))


def within(report: Report) -> bool | None:
    """Whether the peak of the mean correlation lies within the transition; None where its interval overlaps an end."""
    place = report.place
    if place is None or place.interval == "overlapping":
        return None
    return place.interval == "within"


def peak_value(report: Report) -> float | None:
    """The mean |degree-1 correlation| at its peak."""
    return None if report.peak is None else report.peak.value


def together(report: Report) -> bool | None:
    """Whether each coordinate of the support has its largest correlation within the transition."""
    ends = _ends(report)
    if ends is None or report.peak is None:
        return None
    trace = report.probes.degree(1, report.reading)
    sizes = np.abs(trace.values)
    if not np.isfinite(sizes).all():
        return None
    peaks = trace.steps[sizes.argmax(axis=0)]
    return bool(((peaks >= ends[0]) & (peaks <= ends[1])).all())


def least_peak(report: Report) -> float | None:
    """The least over coordinates of the largest |correlation|."""
    sizes = np.abs(report.probes.degree(1, report.reading).values)
    return float(sizes.max(axis=0).min()) if sizes.size and np.isfinite(sizes).all() else None


def falls(report: Report) -> bool | None:
    """Whether the mean correlation is small from the end of the transition on; None if nothing was probed there."""
    after = _after(report)
    return None if after is None or report.peak is None else after <= SMALL * report.peak.value


def after_share(report: Report) -> float | None:
    """The largest mean correlation from the end of the transition on, over the peak's."""
    after = _after(report)
    return None if after is None or report.peak is None else after / report.peak.value


def off_small(report: Report) -> bool | None:
    """Whether correlations off the support are small at the peak."""
    value = off_share(report)
    return None if value is None else value <= SMALL


def off_share(report: Report) -> float | None:
    """The mean |correlation| off the support at the peak, over that on it."""
    trace = report.probes.degree(1, report.reading)
    if report.peak is None:
        return None
    groups = trace.groups[trace.steps.tolist().index(report.peak.step)]
    return groups["off"].mean / report.peak.value if "off" in groups else None


def _ends(report: Report) -> tuple[int, float] | None:
    start, end = report.transition.start, report.transition.end
    return None if start is None else (start, math.inf if end is None else float(end))


def _after(report: Report) -> float | None:
    ends = _ends(report)
    trace = report.probes.degree(1, report.reading)
    if ends is None:
        return None
    means = np.abs(trace.values).mean(axis=1)[trace.steps >= ends[1]]
    return float(means.max()) if means.size and np.isfinite(means).all() else None


@final
@dataclass(frozen=True)
class WidthClaim(Claim):
    """That wider networks learn the parity earlier; of teachers, and of students that see the parity.

    Attributes:
        where: the paper's setting.
        note: what else there is to say.
    """

    where: str
    note: str

    @property
    def home(self) -> str:
        """The paper's setting."""
        return self.where

    def cases(self, evidence: Evidence) -> Iterable[Case]:
        """Each pair of neighbouring widths, by seeds that both have."""
        groups: dict[str, dict[int, Cells]] = {}
        labels: dict[str, tuple[str, bool]] = {}
        for setting in teacher_settings(evidence):
            spec = setting.spec
            key = canonical_json(without(spec.spec(), "seed", "width", "checkpoint_every"))
            groups.setdefault(key, {})[spec.width] = setting.teachers
            full = (spec.n, spec.k, spec.batch) == (PAPER_N, PAPER_K, 1)
            labels[key] = f"n = {spec.n}, k = {spec.k}, teachers, rate {spec.rate.label()}", full
        for cell, cells in _untaught(evidence):
            student = without(cell.student.spec(), "width", "supervision")
            key = canonical_json([without(cell.spec(), "seed", "student", "protocol"), student])
            groups.setdefault(key, {})[cell.student.width] = cells
            full = (cell.n, cell.k, cell.batch) == (PAPER_N, PAPER_K, 1)
            rate = cell.student.rate.label()
            labels[key] = f"n = {cell.n}, k = {cell.k}, students of the parity, rate {rate}", full
        for key, by_width in groups.items():
            comparisons = [
                c for a, b in _neighbours(by_width) for c in _wider(a, by_width[a], b, by_width[b])
            ]
            if comparisons:
                label, full = labels[key]
                ran = ran_online([s for cells in by_width.values() for s in cells.values()])
                text = label if full else f"{label} (not the paper's)"
                yield Case(text, ran, tuple(comparisons), self.note, full)


def _untaught(evidence: Evidence) -> Iterator[tuple[StudentCell, Cells]]:
    seen: set[str] = set()
    for setting in student_settings(evidence):
        for supervision, cells in setting.students.items():
            first = next(iter(cells.values())).cell
            if (
                isinstance(supervision, CrossEntropy)
                and isinstance(first, StudentCell)
                and first.id not in seen
            ):
                seen.add(first.id)
                yield first, cells


def _neighbours(by_width: Mapping[int, Cells]) -> Iterator[tuple[int, int]]:
    widths = sorted(width for width, cells in by_width.items() if cells)
    return ((a, b) for a, b in combinations(widths, 2) if widths.index(b) == widths.index(a) + 1)


def _wider(narrow: int, few: Cells, wide: int, many: Cells) -> Iterator[Comparison]:
    both = [seed for seed in few if seed in many]
    if not both:
        return

    def earlier(seed: int) -> bool | None:
        own, other = _middle(many[seed]), _middle(few[seed])
        return None if own is None or other is None or own == other else own < other

    ids = [cells[seed].cell.id for seed in both for cells in (few, many)]
    what = f"share of seeds: width {wide:,} reaches 90 % before width {narrow:,}"
    yield share(what, Votes.of(earlier(seed) for seed in both), ids)
    for width, cells in ((narrow, few), (wide, many)):
        yield median(f"samples to 90 %, width {width:,}", {seed: cells[seed] for seed in both}, to_reach)


def _middle(summary: OnlineSummaryOfCell) -> float | None:
    """Median samples to 90 % of the networks of a cell; None if one of them diverged."""
    if any(record["status"] != OK for record in summary.records.values()):
        return None
    found = Median.of([to_reach(record) for record in summary.records.values()])
    return None if found is None else found.value
