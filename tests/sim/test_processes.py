"""The command line as a process: kill -9 and resume, Ctrl-C, a reader that goes away, two runs at once.

Most of these share one *launcher*: a process that has imported everything and forks a child for each run, so that
a run starts at once. Its children are what `python -m sim.grid` is after its imports.
"""

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from sim.execution.threads import worker_count
from sim.store import Store
from tests.sim.conftest import call, run_grid, table

LAUNCHER = """
import contextlib, functools, io, os, signal, sys
import sim.plan
from sim import units
from sim.verbs import common
from sim.grid import main

units.UNIT_SECONDS = units.LEAST_SECONDS = 0.05  # small units: many moments between two transactions
common.draw = lambda summary, figures, data: [p.touch() for p in (*figures, data)]
# Theory is computed once, before any child is forked.
theory = functools.cache(sim.plan.theory_of)
sim.plan.theory_of = lambda cell, delta, replicates: theory(cell, delta, 0)
with contextlib.redirect_stdout(io.StringIO()):
    main([*sys.argv[1:], "--dry-run", "--workers", "1", "--out", "none"])
print("ready", flush=True)
for line in sys.stdin:
    folder, *arguments = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.setsid()
        # A suite that was started in the background has SIGINT ignored; a run on a terminal has not.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.stdin.close()
        for name, fd in (("out", 1), ("err", 2)):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), fd)
        code = main(arguments)
        sys.stdout.flush()
        os._exit(code)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""

# Some ten seconds of work: ten runs killed within a moment must not finish it on a fast machine.
REPLICATES = 180
GRID = (
    *("--n", "6,9", "--k", "2", "--samples", str(1 << 24), "--resolution", "1"),
    *("--replicates", str(REPLICATES)),
    *("--schedule", "cross-entropy,one-shot,progressive"),
)
RUN = ("run", *GRID, "--quiet")
TWO = min(2, worker_count(None))
MUCH = ("--replicates", "5000")


class Launcher:
    """Starts runs one after the other."""

    def __init__(self, *grid: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, *(grid or GRID)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, folder: Path, *arguments: object) -> int:
        """Start a run in a session of its own; its output goes to files in the folder."""
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write("\t".join([str(folder), *map(str, arguments)]) + "\n")
        pipe.flush()
        return int(self._read())

    def wait(self) -> int:
        """Exit code of the run, negative if a signal ended it."""
        return os.waitstatus_to_exitcode(int(self._read()))

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


def alive(session: int) -> list[int]:
    """Processes of a session that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _, _, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(its_session) == session and state != "Z":
                    found.append(int(entry.name))
    return found


def workers_of(session: int) -> list[int]:
    """Worker processes of a run."""
    return [p for p in alive(session) if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def deaf_to_interrupts(process: int) -> bool:
    """Whether SIGINT is blocked or ignored: a traceback of a worker would spoil the sentence of the run."""
    fields = dict(line.split(":\t") for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return bool((int(fields["SigBlk"], 16) | int(fields["SigIgn"], 16)) >> (signal.SIGINT - 1) & 1)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def stored(path: Path) -> int:
    """Number of records, 0 while the store is not there yet."""
    try:
        with Store(path, write=False) as store:
            return sum(len(store.replicates(s.cell.id)) for s in store.cells())
    except ValueError:
        return 0


def assert_replays(path: Path) -> None:
    """The last record of every cell that has one is the right one."""
    with Store(path, write=False) as store:
        last = {s.cell.id: max(store.replicates(s.cell.id), default=None) for s in store.cells()}
    for cell, replicate in last.items():
        if replicate is not None:
            result = call("replay", cell, "--replicate", replicate, "--out", path)
            assert (result.code, "equals the stored record" in result.err) == (0, True)


@pytest.fixture(scope="module")
def uninterrupted(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The table of GRID, run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    launcher.start(folder, *RUN, "--workers", TWO, "--out", "s.sqlite")
    assert launcher.wait() in (0, 3)
    return table(folder / "s.sqlite")


def test_killed_at_ten_random_moments_and_resumed_equals_an_uninterrupted_run(
    launcher: Launcher, uninterrupted: str, tmp_path: Path
) -> None:
    chance = random.Random(20241)
    path = tmp_path / "s.sqlite"
    sessions, counts = [], [0]
    for kill in range(10):
        # Moments from the very start, when the store is made, to the middle of the work; with and without workers.
        workers, latest = (TWO, 0.4) if kill % 3 == 2 else (1, 0.25)
        sessions.append(launcher.start(tmp_path, *RUN, "--workers", workers, "--out", path))
        if kill >= 2:
            before = counts[-1]
            until(lambda before=before: stored(path) > before, 60, "no record in a minute")  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, latest))
        os.kill(sessions[-1], signal.SIGKILL)
        assert launcher.wait() == -signal.SIGKILL, "the run ended before it was killed: give it more work"
        counts.append(stored(path))
    assert counts == sorted(counts), "a finished record was lost"
    assert 0 < counts[-1] < 6 * REPLICATES
    sessions.append(launcher.start(tmp_path, *RUN, "--workers", TWO, "--out", path))
    assert launcher.wait() in (0, 3)
    assert table(path) == uninterrupted
    # Workers ended with their drivers, and nothing is left beside the store.
    until(lambda: not any(alive(session) for session in sessions), 10, "a worker outlived its driver")
    assert {p.name for p in tmp_path.iterdir()} == {
        "s.sqlite",
        "s.png",
        "s.svg",
        "s.figure.csv",
        "out",
        "err",
    }
    before = path.read_bytes()
    launcher.start(tmp_path, *RUN, "--workers", 1, "--out", path)
    assert launcher.wait() in (0, 3)
    assert path.read_bytes() == before


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_workers_end_with_their_driver_even_in_a_unit_that_never_reports(
    launcher: Launcher, tmp_path: Path
) -> None:
    if TWO < 2:
        pytest.skip("one processor")
    teacher = (
        "--schedule",
        "progressive",
        "--teacher",
        "phase-1",
        "--labels",
        "hard",
        "--teacher-width",
        "8",
    )
    grid = ("run", "--n", "9", "--k", "2", *teacher, "--samples", "1e12", "--replicates", "2", "--quiet")
    session = launcher.start(tmp_path, *grid, "--workers", 2, "--out", "s.sqlite")
    until(lambda: len(workers_of(session)) == 2, 60, "no workers in a minute")
    workers = workers_of(session)
    # Well beyond their imports: in the middle of their units.
    until(lambda: min(map(processor_seconds, workers)) > 3, 120, "workers do not work")
    os.kill(session, signal.SIGKILL)
    assert launcher.wait() == -signal.SIGKILL
    until(lambda: not alive(session), 5, "a worker outlived its driver")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_says_how_to_resume_and_leaves_a_good_store(
    workers: int, launcher: Launcher, tmp_path: Path
) -> None:
    if workers > worker_count(None):
        pytest.skip("one processor")
    path = tmp_path / "s.sqlite"
    session = launcher.start(tmp_path, *RUN, *MUCH, "--workers", workers, "--out", path)
    until(lambda: stored(path) > 0, 60, "no record in a minute")
    os.killpg(session, signal.SIGINT)  # as a terminal does: workers get it too
    assert launcher.wait() == 130
    assert (tmp_path / "out").read_text() == ""
    assert (tmp_path / "err").read_text() == (
        "interrupted: what was finished is stored; run the same command again to continue\n"
    )
    until(lambda: not alive(session), 10, "a worker outlived its driver")
    count = stored(path)
    assert count > 0
    assert_replays(path)
    # Resuming goes on from there.
    session = launcher.start(tmp_path, *RUN, *MUCH, "--workers", 1, "--out", path)
    until(lambda: stored(path) > count, 60, "no further record in a minute")
    os.killpg(session, signal.SIGINT)
    assert launcher.wait() == 130


def test_ctrl_c_before_the_workers_are_up_is_quiet_too(launcher: Launcher, tmp_path: Path) -> None:
    if worker_count(None) < 2:
        pytest.skip("one processor")
    path = tmp_path / "s.sqlite"
    for delay in (0.0, 0.2, 0.5):
        session = launcher.start(tmp_path, *RUN, "--workers", 2, "--out", path)
        until(lambda session=session: len(workers_of(session)) > 0, 60, "no worker in a minute")  # type: ignore[misc]
        time.sleep(delay)
        for worker in workers_of(session):
            assert deaf_to_interrupts(worker)
        os.killpg(session, signal.SIGINT)
        assert launcher.wait() == 130
        until(lambda session=session: not alive(session), 10, "a worker outlived its driver")  # type: ignore[misc]
        assert (tmp_path / "err").read_text().splitlines() == [
            "interrupted: what was finished is stored; run the same command again to continue"
        ]


def test_of_two_runs_on_one_store_the_second_is_refused(launcher: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    session = launcher.start(tmp_path, *RUN, *MUCH, "--workers", 1, "--out", path)
    until(lambda: stored(path) > 0, 60, "no record in a minute")
    assert "is in use by another run" in run_grid(path).refusal
    # Readers are free.
    assert call("status", "--out", path).code == 0
    os.kill(session, signal.SIGINT)
    assert launcher.wait() == 130


def test_a_worker_that_is_killed_is_replaced_and_its_unit_is_run_again(
    launcher: Launcher, uninterrupted: str, tmp_path: Path
) -> None:
    if worker_count(None) < 2:
        pytest.skip("one processor")
    path = tmp_path / "s.sqlite"
    few = REPLICATES // 3
    session = launcher.start(tmp_path, "run", *GRID, "--replicates", few, "--workers", 2, "--out", path)
    killed: list[int] = []
    for _ in range(2):
        before = stored(path)
        until(lambda before=before: stored(path) > before, 60, "no record in a minute")  # type: ignore[misc]
        until(lambda: len(workers_of(session)) == 2, 60, "the worker was not replaced")
        killed.append(workers_of(session)[0])
        os.kill(killed[-1], signal.SIGKILL)
    assert launcher.wait() in (0, 3)
    assert len(set(killed)) == 2
    said = [line for line in (tmp_path / "err").read_text().splitlines() if "ended" in line]
    assert 1 <= len(said) <= 2, "a worker has a unit nearly always"
    for line in said:
        assert line.startswith("a worker ended (exit code -9) during n=")
        assert line.endswith(": it is run again")
    until(lambda: not alive(session), 10, "a worker outlived its driver")
    whole = uninterrupted.splitlines(keepends=True)
    numbers = [int(row["replicate"]) for row in csv.DictReader(whole)]
    kept = [line for line, replicate in zip(whole[1:], numbers, strict=True) if replicate < few]
    assert table(path) == whole[0] + "".join(kept)


def run(*arguments: object, **how: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sim.grid", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **how)  # type: ignore[call-overload, no-any-return]


def test_a_refusal_of_the_process_exits_2_without_a_traceback(tiny: Path) -> None:
    before = tiny.read_bytes()
    result = run("--n", "2", "--k", "4", "--out", tiny)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: k = 4 is larger than n = 2: the support has at most n coordinates\n"
    assert tiny.read_bytes() == before


def test_a_reader_that_goes_away_is_no_error_message(tmp_path: Path, tiny: Path) -> None:
    # Much more than a pipe holds.
    path = tmp_path / "large.sqlite"
    with Store(tiny, write=False) as source, Store(path, write=True) as store:
        for s in source.cells():
            store.add_cells([(s.cell, s.theory)])
            store.add_records(s.cell.id, {r: {"success": "0" * 7, "digest": "d" * 32} for r in range(200)})
    script = f'"{sys.executable}" -m sim.grid export --out "{path}" | head -n 1; echo "${{PIPESTATUS[0]}}"'
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert result.stderr == ""
    header, code = result.stdout.splitlines()
    assert header.startswith("cell,protocol,n,k")
    assert int(code) == 141
