"""The commands that make cells again: what they say is what the command line makes."""

from pathlib import Path

import pytest

from sim.arguments import Parser, add_protocols
from sim.commands import PROGRAM, SAMPLES, Commands, commands
from sim.protocol.registry import protocol_named
from sim.store import Store
from tests.sim.conftest import alter, run_grid

USUAL = ("--n", "8,11", "--k", "2", "--schedule", "cross-entropy,progressive", "--replicates", "2")
"""A grid whose horizons are those of the bounds."""


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    path = tmp_path / "s.sqlite"
    run_grid(path, grid=USUAL)
    return path


def of_store(path: Path) -> Commands:
    with Store(path, write=False) as store:
        return commands([(stored, 2) for stored in store.cells()])


def made_by(line: str) -> set[str]:
    """What the command line makes of it, horizons computed anew."""
    parser = Parser(prog="run")
    add_protocols(parser)
    given = parser.parse_args(line.split()[len(PROGRAM) :])
    return {one.cell.id for one in protocol_named(given.protocol).options(given).wanted()}


def test_a_horizon_that_is_the_usual_one_is_not_said_and_is_made_all_the_same(usual: Path) -> None:
    found = of_store(usual)
    assert found.without == 0
    assert len(found.lines) == 2
    for line, cells in zip(found.lines, found.makes, strict=True):
        assert SAMPLES not in line.split()
        assert "--n 8,11" in line
        assert made_by(line) == cells


@pytest.mark.parametrize("samples", ["'99'", "NULL", "'inf'", "'x'"])
def test_a_horizon_that_the_theory_does_not_say_is_said(samples: str, usual: Path) -> None:
    alter(usual, f"UPDATE cells SET theory = json_set(theory, '$.bounds[0].samples', {samples}, "
                 f"'$.bounds[1].samples', {samples}, '$.bounds[2].samples', {samples})")  # fmt: skip
    found = of_store(usual)
    assert found.without == 0
    assert len(found.lines) == 4
    for line, cells in zip(found.lines, found.makes, strict=True):
        assert SAMPLES in line.split()
        assert made_by(line) == cells


def test_a_line_makes_no_cell_that_is_not_there(usual: Path) -> None:
    with Store(usual, write=False) as store:
        every = store.cells()
    some = [(stored, 2) for stored in every if (stored.cell.n, stored.cell.label()[-1]) != (11, "e")]
    found = commands(some)
    assert len(some) == 3
    assert set().union(*found.makes) == {stored.cell.id for stored, _ in some}
    for line, cells in zip(found.lines, found.makes, strict=True):
        assert made_by(line) == cells
