"""What the tests of the simulation share: the command line in process, and one small store."""

import contextlib
import csv
import functools
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from sim.artifacts import Artifacts
from sim.cell import Cell
from sim.grid import main
from sim.online.cell import TeacherCell
from sim.plan import theory_of
from sim.protocol.base import Summary
from sim.store import Store
from sim.student_record import Payload
from sim.teacher import Trajectory
from tests.sim.stores import reseal
from tests.sim.student_cases import COURSE, MIXED, TEACHER, train
from tests.statistics import LEDGER

TINY = (
    *("--n", "6,9", "--k", "2", "--samples", "64", "--replicates", "6", "--resolution", "1"),
    *("--schedule", "cross-entropy,one-shot,progressive"),
)
"""A grid of six cells that runs in a moment."""

ONLINE = (
    *("--protocol", "online", "--n", "9", "--k", "2", "--teacher-width", "16", "--width", "8"),
    *("--schedule", "cross-entropy,one-shot,progressive", "--lr", "0.1", "--teacher-lr", "0.1"),
    *("--steps", "600", "--teacher-steps", "800", "--log-every", "100", "--checkpoints", "200"),
    *("--replicates", "3"),
)
"""An online grid of a teacher and three kinds of students that runs in a moment."""


LEARNING = (
    *("--protocol", "online", "--n", "8", "--k", "3", "--teacher-width", "64", "--width", "8,16"),
    *("--schedule", "one-shot,single:300..600/100,two-shot:300..600/100:200", "--temperature", "0,1"),
    *("--steps", "600", "--teacher-steps", "1200", "--log-every", "20", "--lr", "0.1", "--teacher-lr", "0.1"),
    *("--replicates", "3"),
)
"""An online grid of a teacher that learns between steps 280 and 620, and its students."""

QUICK = ("--samples", "2^12", "--off", "8", "--quiet")
"""Options of a probe that takes a moment."""


COSTS = ("seconds", "memory_bytes", "store_bytes", "artifact_bytes")
"""What a dry run says of a cell beside what it is."""


def without_costs(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells of a dry run, which do not depend on the machine."""
    return [{key: value for key, value in cell.items() if key not in COSTS} for cell in cells]


@dataclass(frozen=True)
class Result:
    """What a call of the command line left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON."""
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def refusal(self) -> str:
        """The one sentence of a refusal; asserts that it is one."""
        assert self.code == 2, self
        assert self.out == "", self
        assert self.err.startswith("error: "), self
        assert self.err.count("\n") == 1, self
        assert self.err.endswith("\n"), self
        return self.err.removeprefix("error: ").strip()


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


def call(*arguments: object) -> Result:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(a) for a in arguments])
    return Result(code, out.getvalue(), err.getvalue())


_theory_of = functools.cache(theory_of)  # a pure function


def run_grid(out: Path, *arguments: object, grid: tuple[str, ...] = TINY, figures: bool = False) -> Result:
    """Run a grid in this process, without workers or progress.

    What costs most of the time is saved: figures, unless asked for, and the theory of a cell that was there before.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.plan.theory_of", _theory_of)
        if not figures:
            patch.setattr("sim.verbs.common.draw", touch)
        return call("run", *grid, "--workers", 1, "--quiet", "--out", out, *arguments)


def touch(summary: Summary, figures: Sequence[Path], data: Path | None = None) -> None:
    """In place of drawing: empty files."""
    for path in (*figures, *([] if data is None else [data])):
        path.touch()


def table(out: Path) -> str:
    """The exported table of a store."""
    result = call("export", "--out", out)
    assert result.code == 0, result
    return result.out


def cells(path: Path) -> list[Cell]:
    """All cells of a store."""
    with Store(path, write=False) as store:
        return [stored.cell for stored in store.cells()]


def teacher(path: Path) -> TeacherCell:
    """The only teacher of a store."""
    (cell,) = (cell for cell in cells(path) if isinstance(cell, TeacherCell))
    return cell


def records(path: Path, cell: Cell) -> dict[int, dict[str, Any]]:
    """What a store has of a cell, by replicate."""
    with Store(path, write=False) as store:
        return store.records(cell.id)


def alter(path: Path, sql: str, *values: object) -> None:
    """Change a store behind its back, as who knows its sums could; the statement must change something."""
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, values).rowcount > 0
        reseal(connection)
    connection.close()


def plotted(path: Path) -> list[dict[str, str]]:
    """The rows of a figure's data file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def tree(folder: Path) -> dict[str, bytes]:
    """All files of a folder with their bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Protocols set torch's threads; left at more than one, small tensors cost much on a busy machine."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nightly tests run only when asked for: by `-m nightly` or HYPOTHESIS_PROFILE=nightly."""
    if "nightly" in config.option.markexpr or os.environ.get("HYPOTHESIS_PROFILE") == "nightly":
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]


@pytest.fixture(autouse=True)
def _uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dry runs take seconds for their trials; tests of what they predict ask for them."""
    monkeypatch.setattr("sim.cost.CALIBRATION_SECONDS", 0.0)


@pytest.fixture(scope="session")
def _tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("tiny")
    result = run_grid(folder / "grid.sqlite", figures=True)
    assert result.code in (0, 3), result
    return folder / "grid.sqlite", result


@pytest.fixture
def tiny(_tiny: tuple[Path, Result], tmp_path: Path) -> Path:
    """A fresh copy of a finished small store, its figures beside it."""
    folder = tmp_path / "store"
    shutil.copytree(_tiny[0].parent, folder)
    return folder / "grid.sqlite"


@pytest.fixture(scope="session")
def _online(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("online")
    result = run_grid(folder / "grid.sqlite", grid=ONLINE, figures=True)
    assert result.code == 0, result
    return folder / "grid.sqlite", result


@pytest.fixture
def online(_online: tuple[Path, Result], tmp_path: Path) -> Path:
    """A fresh copy of a finished small online store, its figures and artifacts beside it."""
    folder = tmp_path / "online"
    shutil.copytree(_online[0].parent, folder)
    return folder / "grid.sqlite"


@pytest.fixture
def online_result(_online: tuple[Path, Result]) -> Result:
    """What the run of the small online store printed."""
    return _online[1]


@pytest.fixture(scope="session")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store of `LEARNING`, its artifacts beside it; not to be changed."""
    path = tmp_path_factory.mktemp("learned") / "g.sqlite"
    assert run_grid(path, grid=LEARNING).code == 0
    return path


@pytest.fixture
def learned_copy(learned: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(learned.parent, tmp_path / "s")
    return tmp_path / "s" / "g.sqlite"


@pytest.fixture(scope="session")
def probed(learned: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Probes of the teacher of a copy, with a figure, and what was printed."""
    folder = tmp_path_factory.mktemp("probed")
    shutil.copytree(learned.parent, folder / "s")
    path = folder / "s" / "g.sqlite"
    to, figure = folder / "p.json", folder / "p.svg"
    result = call("probe", teacher(path).id[:12], *QUICK, "--out", path, "--to", to, "--figure", figure)
    assert result.code == 0, result
    return to, result


@pytest.fixture
def tiny_result(_tiny: tuple[Path, Result]) -> Result:
    """What the run of the small store printed."""
    return _tiny[1]


@pytest.fixture
def private_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """For planted faults: an assertion that is meant to fail spends nothing of the suite's false-failure rate."""
    monkeypatch.setattr(LEDGER, "entries", [])


@pytest.fixture
def small_home(tmp_path: Path) -> Iterator[Callable[[], dict[str, bytes]]]:
    """Run in an empty folder; the result shows its files."""
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        yield lambda: tree(tmp_path)
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Where the teacher of the student cases is, trained."""
    kept = Artifacts(tmp_path_factory.mktemp("artifacts"))
    Trajectory(TEACHER, kept).ensure()
    return kept


@pytest.fixture(scope="module")
def together(artifacts: Artifacts) -> list[dict[int, Payload]]:
    """Records of `MIXED`, trained in one go."""
    return train(COURSE, MIXED, artifacts)
