"""Growth in n of the samples for success: how many students it takes to judge it."""

import dataclasses
from pathlib import Path

import pytest

from sim.levels import ALPHA_CONTRADICTED, GROWTH_STUDENTS
from sim.store import Store
from sim.summary import GrowthSummary, summarise
from tests.sim.conftest import run_grid
from theory.exponents import GrowthFit
from theory.intervals import Interval
from theory.verdict import Verdict

POINT = Interval(3.0, 3.0, 0.05)
FIT = GrowthFit(0.5, 3.0, 0.0, POINT, POINT, (10, 20), ())
"""As of equal students: the bootstrap's interval has no width."""


def growth(students: int, *, logarithmic: bool = False, predicted: float = 1.0) -> GrowthSummary:
    return GrowthSummary(2, "cross-entropy", FIT, logarithmic, predicted, 0.01, None, None, students)


@pytest.mark.parametrize("logarithmic", [False, True])
def test_few_students_decide_nothing(logarithmic: bool) -> None:
    assert 2.0 ** (1 - GROWTH_STUDENTS) <= ALPHA_CONTRADICTED < 2.0 ** (2 - GROWTH_STUDENTS)
    assert GROWTH_STUDENTS == 11  # as the module says
    for predicted, verdict in ((1.0, Verdict.CONTRADICTED), (3.0, Verdict.CONSISTENT)):
        for students in (1, 2, GROWTH_STUDENTS - 1):
            judgement = growth(students, logarithmic=logarithmic, predicted=predicted).judgement
            assert judgement.verdict is Verdict.UNDECIDED
            assert judgement.reason == f"Only {students} students at some n: a bootstrap needs 11 or more."
        enough = growth(GROWTH_STUDENTS, logarithmic=logarithmic, predicted=predicted)
        assert enough.judgement.verdict is verdict


def test_one_student_contradicts_no_growth(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    grid = ("--n", "8,12,16", "--k", "2", "--samples", "16384", "--schedule", "cross-entropy,progressive")
    result = run_grid(path, "--replicates", 1, grid=grid)
    assert result.code != 1, result.out
    with Store(path, write=False) as store:
        growths = summarise(store, store.cells()).growths
    assert [g.students for g in growths] == [1, 1]
    assert all(g.judgement.verdict is Verdict.UNDECIDED for g in growths)
    # So it would be, were it for the intervals alone.
    blind = [dataclasses.replace(g, students=GROWTH_STUDENTS).judgement.verdict for g in growths]
    assert Verdict.CONTRADICTED in blind


def test_the_fewest_students_of_the_fit_count(tmp_path: Path) -> None:
    path = tmp_path / "uneven.sqlite"
    grid = ("--k", "2", "--samples", "4096", "--schedule", "cross-entropy")
    run_grid(path, "--n", "8", "--replicates", 12, grid=grid)
    run_grid(path, "--n", "12", "--replicates", 3, grid=grid)
    with Store(path, write=False) as store:
        (found,) = summarise(store, store.cells()).growths
    assert found.fit.used == (8, 12)
    assert found.students == 3
