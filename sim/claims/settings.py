"""Online cells that are read together: those of one setting differ in their seeds and in what supervises students."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import final

from sim.cell import canonical_json
from sim.claims.evidence import Evidence
from sim.claims.words import counted, listed
from sim.numbers import si
from sim.online.cell import StudentCell, TeacherCell, without
from sim.online.report import Report
from sim.online.summary import OnlineSummaryOfCell
from sim.student_record import OK
from sim.supervision import Supervision
from sim.teacher_spec import TeacherSpec

PAPER_N, PAPER_K, PAPER_TEACHER, PAPER_STUDENT = 100, 6, 50_000, 100
"""Of the paper's parity experiments: its Figure 1, left."""

RECORDED = "recorded by"
"""Entry of a summary's theory: the protocol, where it is not the present one."""

Key = tuple[str, ...]


@final
@dataclass(frozen=True, eq=False)
class TeacherSetting:
    """Teachers that differ in their seed only.

    Attributes:
        spec: of one of them.
        teachers: by seed.
        reports: probes, by seed.
    """

    spec: TeacherSpec
    teachers: Mapping[int, OnlineSummaryOfCell]
    reports: Mapping[int, Report]

    @property
    def full(self) -> bool:
        """Whether task, width and batch are the paper's; its rate is not known."""
        return is_papers(self.spec)

    @property
    def label(self) -> str:
        """For example `n = 50, k = 4, teacher width 5,000, rate 0.01`."""
        return f"{_teacher(self.spec)}, rate {self.spec.rate.label()}"


@final
@dataclass(frozen=True, eq=False)
class StudentSetting:
    """Students that differ in what supervises them and in their seed only, and their teachers.

    Attributes:
        cell: one of them, of those with a teacher if there are any.
        students: by supervision and seed.
        teachers: by seed.
        reports: probes of them, by seed.
    """

    cell: StudentCell
    students: Mapping[Supervision, Mapping[int, OnlineSummaryOfCell]]
    teachers: Mapping[int, OnlineSummaryOfCell]
    reports: Mapping[int, Report]

    @property
    def full(self) -> bool:
        """Whether task and batch are the paper's, and the teacher if there is one; its rates are not known."""
        cell = self.cell
        return (cell.n, cell.k, cell.batch) == (PAPER_N, PAPER_K, 1) and (
            cell.teacher is None or is_papers(cell.teacher)
        )

    @cached_property
    def label(self) -> str:
        """For example `n = 50, k = 4, teacher width 5,000, student width 100, rate 0.01, 50k samples`."""
        cell = self.cell
        task = f"n = {cell.n}, k = {cell.k}" if cell.teacher is None else _teacher(cell.teacher)
        student = f"student width {cell.student.width:,}, rate {cell.student.rate.label()}"
        return f"{task}, {student}, {si(cell.horizon)} samples"

    def checkpoint_accuracy(self, seed: int, step: int) -> float | None:
        """Held-out accuracy of the teacher's checkpoint of this step, where it was measured."""
        teacher, report = self.teachers.get(seed), self.reports.get(seed)
        if teacher is not None and teacher.records:
            record = teacher.records[0]
            accuracy = dict(zip(record["steps"], record["held_out"], strict=True)).get(step)
            if accuracy is not None:
                return float(accuracy)
        return None if report is None else report.held_out.get(step)


def is_papers(teacher: TeacherSpec) -> bool:
    """Whether a teacher has the paper's task, width and batch."""
    return (teacher.n, teacher.k, teacher.width, teacher.batch) == (PAPER_N, PAPER_K, PAPER_TEACHER, 1)


def _teacher(spec: TeacherSpec) -> str:
    text = f"n = {spec.n}, k = {spec.k}, teacher width {spec.width:,}"
    return text if spec.batch == 1 else f"{text}, batch {spec.batch}"


def _of_teacher(spec: TeacherSpec | None, *varied: str) -> str:
    return "" if spec is None else canonical_json(without(spec.spec(), "seed", "checkpoint_every", *varied))


def teacher_settings(evidence: Evidence) -> list[TeacherSetting]:
    """The settings of all teachers, in the order of their cells; of one teacher's cells the one with most points."""
    groups: dict[str, list[OnlineSummaryOfCell]] = {}
    specs: dict[str, TeacherSpec] = {}
    for summary in evidence.online:
        if isinstance(summary.cell, TeacherCell) and summary.records:
            key = f"{_of_teacher(summary.cell.teacher)}{summary.cell.device}"
            groups.setdefault(key, []).append(summary)
            specs.setdefault(key, summary.cell.teacher)
    reports: dict[str, dict[int, Report]] = {}
    for report in evidence.reports:
        key = f"{_of_teacher(report.cell.teacher)}{report.cell.device}"
        reports.setdefault(key, {})[report.cell.seed] = report
        specs.setdefault(key, report.cell.teacher)
    return [
        TeacherSetting(spec, _finest(groups.get(key, ())), reports.get(key, {}))
        for key, spec in specs.items()
    ]


def _finest(summaries: Iterable[OnlineSummaryOfCell]) -> dict[int, OnlineSummaryOfCell]:
    """One summary a seed: that with most log points."""
    found: dict[int, OnlineSummaryOfCell] = {}
    for summary in summaries:
        seed = summary.cell.seed
        if seed not in found or len(found[seed].records[0]["steps"]) < len(summary.records[0]["steps"]):
            found[seed] = summary
    return found


def student_settings(evidence: Evidence) -> list[StudentSetting]:
    """The settings of all students, in the order of their cells.

    Students of the parity itself have no teacher: they belong to every setting that has them but for the teacher.
    """
    taught: dict[Key, list[OnlineSummaryOfCell]] = {}
    untaught: dict[str, list[OnlineSummaryOfCell]] = {}
    for summary in evidence.online:
        cell = summary.cell
        if not isinstance(cell, StudentCell) or not summary.records:
            continue
        course = _course(cell)
        if cell.teacher is None:
            untaught.setdefault(course, []).append(summary)
        else:
            taught.setdefault((course, _of_teacher(cell.teacher)), []).append(summary)
    courses = {course for course, _ in taught}
    alone: dict[Key, list[OnlineSummaryOfCell]] = {
        (course, ""): [] for course in untaught if course not in courses
    }
    teachers = {_of_teacher(one.spec): one for one in teacher_settings(evidence)}
    result = []
    for (course, teacher), own in {**taught, **alone}.items():
        cells = [*own, *untaught.get(course, ())]
        students: dict[Supervision, dict[int, OnlineSummaryOfCell]] = {}
        for summary in cells:
            cell = student_cell(summary)
            students.setdefault(cell.student.supervision, {})[cell.seed] = summary
        known = teachers.get(teacher)
        result.append(
            StudentSetting(
                student_cell(cells[0]),
                students,
                {} if known is None else known.teachers,
                {} if known is None else known.reports,
            )
        )
    return result


def student_cell(summary: OnlineSummaryOfCell) -> StudentCell:
    """The cell of a student's summary."""
    assert isinstance(summary.cell, StudentCell)
    return summary.cell


def _course(cell: StudentCell) -> str:
    spec = without(cell.spec(), "seed", "teacher", "student", "protocol")
    return canonical_json([spec, without(cell.student.spec(), "supervision")])


def ran_online(summaries: Iterable[OnlineSummaryOfCell]) -> str:
    """What was run, such as `2 cells of online/2, 6 students, seeds 0, 1`; networks that diverged are counted."""
    known = list(summaries)
    students = sum(len(s.records) for s in known if isinstance(s.cell, StudentCell))
    teachers = len(known) - sum(isinstance(s.cell, StudentCell) for s in known)
    networks = [counted(teachers, "teacher")] * bool(teachers) + [counted(students, "student")] * bool(
        students
    )
    seeds = {s.cell.seed for s in known}
    diverged = sum(record["status"] != OK for s in known for record in s.records.values())
    protocols = sorted({str(s.theory.get(RECORDED, s.cell.protocol)) for s in known})
    seed = f"seed{'' if len(seeds) == 1 else 's'} {listed(seeds)}"
    text = f"{', '.join(networks)}, recorded by {', '.join(protocols)}, {seed}"
    return f"{text}; {diverged} diverged" if diverged else text
