"""What `--dry-run` predicts of whole grids, and what running them takes.

    python -m benchmarks.dry_run                         # all grids: about five minutes on two cores
    python -m benchmarks.dry_run --only online,biases    # some of them

Both are commands as users give them, each a process of its own: seconds on the clock, processor time of the work (of
all processes, less that of a grid that does next to nothing: imports, tables, figures), peak memory of the largest
process, bytes of the store and of the artifacts. `python -m tests.sim.cost_cases` has the same of cells one by one.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import keep, run_main
from sim.arguments import Parser
from sim.errors import SimError
from sim.files import refuse_outputs

NOTHING = "--n 6 --k 2 --schedule cross-entropy --samples 16 --replicates 2"

GRIDS: dict[str, str] = {
    "k=2": "--n 50..200 --k 2",
    "k=4": "--n 50,100 --k 4",
    "many": "--n 50 --k 2 --schedule cross-entropy,progressive --samples 2000 --replicates 20000",
    "phase-1": "--n 60 --k 4 --schedule progressive --teacher phase-1 --replicates 16",
    "projected": "--n 100 --k 4 --schedule progressive --teacher phase-1-projected --replicates 64",
    "two-stage": "--protocol two-stage --n 21..101:40 --k 2",
    "biases": "--protocol two-stage --n 51 --k 2 --student biases --schedule progressive --replicates 16",
    "online": "--protocol online",
    "wide": "--protocol online --n 100 --k 6 --teacher-width 20000 --width 1000 --steps 50000 --teacher-steps 50000 "
    "--schedule cross-entropy,progressive",
    "batch": "--protocol online --teacher-width 1000 --batch 32 --steps 20000 --log-every 1000 --checkpoints 1000 "
    "--teacher-steps 20000",
}

WHAT = ("work", "clock", "memory", "store", "artifacts")


def predicted(grid: str, folder: Path) -> dict[str, float]:
    """Of a dry run."""
    command = [sys.executable, "-m", "sim.grid", "run", *grid.split(), "--dry-run", "--json"]
    done = subprocess.run(command, cwd=folder, env=_here(), check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return {
        "work": found["seconds"] + found["planning_seconds"],
        "clock": found["clock_seconds"],
        "memory": found["worker_memory_bytes"],
        "store": found["store_bytes"],
        "artifacts": found["artifact_bytes"],
    }


def measured(grid: str, folder: Path) -> dict[str, float]:
    """Of a run into a new store of a folder of its own."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [sys.executable, "-m", "sim.grid", "run", *grid.split(), "--quiet", "--out", "s.sqlite"]
        process = subprocess.Popen(command, cwd=own, env=_here(), stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)  # with its workers, for which it has waited
        process.returncode = os.waitstatus_to_exitcode(status)
        clock = time.perf_counter() - start
        if process.returncode not in (0, 3):
            raise SimError(f"the grid {grid} ended with exit code {process.returncode}: see above")
        files = Path(own, "s.artifacts").rglob("*")
        return {
            "work": used.ru_utime + used.ru_stime,
            "clock": clock,
            "memory": 1024.0 * used.ru_maxrss,
            "store": float(Path(own, "s.sqlite").stat().st_size),
            "artifacts": float(sum(file.stat().st_size for file in files if file.is_file())),
        }


def compared(names: Sequence[str]) -> dict[str, Any]:
    """Both of each grid."""
    found: dict[str, Any] = {"processors": os.cpu_count(), "grids": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nothing = measured(NOTHING, folder)["work"]
        for name in names:
            told = predicted(GRIDS[name], folder)
            took = measured(GRIDS[name], folder)
            took["work"] = max(0.0, took["work"] - nothing)
            found["grids"][name] = {"predicted": told, "measured": took}
            print(f"{name}: done in {took['clock']:.0f} s", file=sys.stderr)
    return found


def text(found: Mapping[str, Any]) -> str:
    """Measured (and how many times as much as predicted), as Markdown."""
    lines = [
        "| grid | processor time | clock | memory | store | artifacts |",
        "|---|---|---|---|---|---|",
    ]
    for name, both in found["grids"].items():
        shown = (_entry(what, both["measured"][what], both["predicted"][what]) for what in WHAT)
        lines.append(f"| {' | '.join([f'`{GRIDS[name]}`', *shown])} |")
    return "\n".join(lines)


def _entry(what: str, took: float, told: float) -> str:
    if not told and not took:
        return ""
    amount = f"{took:.1f} s" if what in ("work", "clock") else f"{took / 1e6:.3g} MB"
    return f"{amount} ({took / told:.2f}×)" if told else amount


def _here() -> dict[str, str]:
    """The environment of processes that find the packages from other folders too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}


def run(arguments: Sequence[str]) -> int:
    """Measures and shows.

    Raises:
        SimError: an option or a file is not allowed.
    """
    made = Parser(prog="python -m benchmarks.dry_run", description=(__doc__ or "").split("\n")[0])
    made.add_argument("--only", help=f"some of {','.join(GRIDS)} (default all)")
    made.add_argument("--out", type=Path, default=Path("dry-run.json"), help="(default dry-run.json)")
    given = made.parse_args(arguments)
    names = list(GRIDS) if given.only is None else given.only.split(",")
    for name in names:
        if name not in GRIDS:
            raise SimError(f"--only {name!r} is not known: give some of {','.join(GRIDS)}")
    refuse_outputs([given.out], {})
    found = compared(names)
    print(text(found))
    keep(found, given.out)
    return 0


if __name__ == "__main__":
    sys.exit(run_main(run, sys.argv[1:]))
