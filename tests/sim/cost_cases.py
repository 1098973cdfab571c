"""Grids whose cells are measured one by one: `python -m tests.sim.cost_cases [--memory] NAME…`.

A line a cell or a grid, with what was measured over what was predicted.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from sim import cost
from sim.execution.threads import set_threads
from sim.grid import build_parser
from sim.protocol.base import Means, Options, Part, Wanted
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.store import Store

SHORT = 0.3

GRIDS: dict[str, str] = {
    "first step k=2": "--n 20..200:90 --k 2 --schedule cross-entropy,one-shot,progressive,low-degree",
    "first step k=4": "--n 20,50,100 --k 4 --schedule cross-entropy,one-shot,progressive,low-degree --replicates 16",
    "first step n=200": "--n 200 --k 4 --schedule progressive,low-degree --labels hard --replicates 64",
    "first step long": "--n 100 --k 4 --schedule cross-entropy,one-shot --samples 3e8 --replicates 8",
    "first step logits": "--n 50 --k 4 --schedule one-shot --labels logits --replicates 16",
    "first step many": "--n 200 --k 4 --schedule progressive --samples 1e4 --replicates 2000",
    "first step fine": "--n 50 --k 4 --schedule low-degree --degree 2 --samples 1e4 --resolution 16 --replicates 500",
    "first step k=6": "--n 30 --k 6 --schedule progressive,low-degree --degree 3 --samples 1e7 --replicates 8",
    "phase 1 logits": "--n 20,60,200 --k 4 --schedule progressive --teacher phase-1 --replicates 4",
    "phase 1 hard": "--n 20,60,200 --k 2 --schedule progressive --teacher phase-1 --labels hard --replicates 4",
    "phase 1 wide": "--n 60 --k 4 --schedule progressive --teacher phase-1 --teacher-width 2000 --replicates 2",
    "phase 1 narrow": "--n 60 --k 4 --schedule progressive --teacher phase-1 --teacher-width 16 --replicates 4",
    "projected": "--n 20,200 --k 2,4 --schedule progressive --teacher phase-1-projected --replicates 32",
    "projected hard": "--n 60 --k 4 --schedule progressive --teacher phase-1-projected --labels hard "
    "--teacher-width 1024 --replicates 16",
    "signed k=2": "--protocol two-stage --n 21,101 --k 2 --replicates 32",
    "signed k=4": "--protocol two-stage --n 21,51 --k 4 --schedule progressive,cross-entropy --replicates 16",
    "signed phase 1": "--protocol two-stage --n 51 --k 4 --schedule progressive --teacher phase-1 --samples 20000 "
    "--second 1e6 --dead-zone 1/4 --replicates 4",
    "biases": "--protocol two-stage --n 21,101 --k 2 --student biases --schedule cross-entropy,progressive "
    "--replicates 2",
    "biases wide": "--protocol two-stage --n 51 --k 4 --student biases --schedule progressive --width 256 "
    "--samples 1e5 --second 2e4 --replicates 1",
    "biases narrow": "--protocol two-stage --n 51 --k 2 --student biases --schedule one-shot --width 8 --samples 1e5 "
    "--second 1e5 --replicates 2",
    "biases phase 1": "--protocol two-stage --n 51 --k 4 --student biases --schedule progressive --teacher phase-1 "
    "--samples 20000 --second 50000 --replicates 2",
    "online width 20": "--protocol online --teacher-width 100 --width 20 --steps 200000 --teacher-steps 200000",
    "online width 100": "--protocol online --steps 100000 --teacher-steps 100000 --schedule cross-entropy,one-shot,"
    "progressive,two-shot:50000:50000,single:20000,till-saturate,annealed:4:1",
    "online wide": "--protocol online --n 100 --k 6 --teacher-width 20000 --width 1000,5000 --steps 20000 "
    "--teacher-steps 30000 --schedule cross-entropy,progressive --replicates 2 --temperature 0",
    "online together": "--protocol online --n 100 --k 6 --teacher-width 5000 --width 1000 --steps 10000 "
    "--teacher-steps 10000 --log-every 5000 --checkpoints 5000 --schedule cross-entropy,progressive --replicates 32",
    "online batch 32": "--protocol online --teacher-width 1000 --batch 32 --steps 10000 --log-every 1000 "
    "--checkpoints 1000 --teacher-steps 10000",
    "online fine": "--protocol online --n 30 --k 3 --teacher-width 200 --width 50 --steps 10000 --log-every 100 "
    "--checkpoints 100 --teacher-steps 20000 --schedule cross-entropy,progressive --replicates 4",
    "online n": "--protocol online --n 8,200 --k 3 --teacher-width 500 --width 64 --steps 100000 "
    "--teacher-steps 100000 --schedule cross-entropy,one-shot --replicates 12",
}


def grid(text: str) -> Options:
    """The options of a command line."""
    given = build_parser().parse_args(["run", *text.split()])
    return PROTOCOLS[given.protocol].options(given)


def parts_of(wanted: list[Wanted]) -> list[Part]:
    """All of a grid."""
    return [Part(w.cell, tuple(range(w.replicates))) for w in wanted]


def peak_of(part: Part, artifacts: Path) -> int:
    """Bytes that running a part adds at the most to a process that has done nothing yet: a fork of this one."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
            before = _status("VmRSS:")
            set_threads(1)
            protocol_of(part.cell).run([part], Means(1, artifacts), lambda share: None)
            os.write(write, str(_status("VmHWM:") - before).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as file:
        text = file.read()
    os.waitpid(child, 0)
    return int(text)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measured(name: str, tell: Callable[[str], None]) -> list[tuple[str, str, float]]:
    """What (of which cell) was how many times as large as predicted."""
    options = grid(GRIDS[name])
    start = time.process_time()
    wanted = options.wanted()
    planned = time.process_time() - start
    parts = parts_of(wanted)
    resident = cost.resident_bytes()
    runs: list[dict[int, Any]] = []
    seconds, sizes = [], [0]
    with tempfile.TemporaryDirectory() as temporary:
        folder, path = Path(temporary) / "artifacts", Path(temporary) / "s.sqlite"
        folder.mkdir()
        peaks = [peak_of(part, folder) for part in parts]
        shutil.rmtree(folder)
        folder.mkdir()
        calibration = cost.calibrate(parts)
        for part in parts:
            start = time.process_time()
            records = protocol_of(part.cell).run([part], Means(1, folder), lambda share: None)
            seconds.append(time.process_time() - start)
            runs.append({replicate: dict(record) for replicate, record in records[part.cell.id].items()})
            sizes.append(folder_bytes(folder))
        price = cost.price(wanted, parts, calibration, workers=1, planned=0.0, resident=resident)
        start = time.process_time()
        theory = [options.theory(w.cell, w.replicates) for w in wanted]
        planned += time.process_time() - start
        with Store(path, write=True) as store:
            store.add_cells(zip((w.cell for w in wanted), theory, strict=True))
            for part, own_records in zip(parts, runs, strict=True):
                store.add_records(part.cell.id, own_records)
        stored = path.stat().st_size
    found: list[tuple[str, str, float]] = []
    for part, took, peak, size in zip(parts, seconds, peaks, pairwise(sizes), strict=True):
        own = price.cells[part.cell.id]
        more = peak / (own.memory - resident)
        ratios = {"seconds": took / own.seconds, "memory": (resident + peak) / own.memory}
        if own.artifacts:
            ratios["artifacts"] = (size[1] - size[0]) / own.artifacts
        tell(
            f"{name:18} {part.cell.label()[:46]:46} {took:8.3f} s "
            + ", ".join(f"{what} {ratio:.2f}" for what, ratio in {**ratios, "memory added": more}.items())
        )
        found += [(what, part.cell.label(), ratio) for what, ratio in ratios.items()]
    work = sum(seconds)
    # What takes a moment is nothing to plan for.
    whole = {
        "store": stored / price.store,
        "all seconds": work / price.work,
        "planning": (planned + SHORT) / (price.planning + SHORT),
    }
    trials = ", ".join(f"{trial.factor:.2f}" for trial in calibration.trials)
    tell(
        f"{name:18} {'':46} {work:8.3f} s "
        + ", ".join(f"{what} {r:.2f}" for what, r in whole.items())
        + f"; trials {trials} in {calibration.seconds:.1f} s"
    )
    return found + [(what, name, ratio) for what, ratio in whole.items()]


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(field)))


def added(name: str) -> list[tuple[str, str, float]]:
    """How many times as many bytes as predicted each cell adds to a process that has done nothing yet."""
    wanted = grid(GRIDS[name]).wanted()
    parts = parts_of(wanted)
    price = cost.price(wanted, parts, cost.Calibration(), workers=1, planned=0.0, resident=0.0)
    with tempfile.TemporaryDirectory() as folder:
        return [
            (
                "memory added",
                part.cell.label(),
                peak_of(part, Path(folder)) / price.cells[part.cell.id].memory,
            )
            for part in parts
        ]


def main(arguments: list[str]) -> None:
    """Measure grids, or with --memory first that alone; the last line is all that was found, as JSON."""
    if arguments[:1] == ["--memory"]:
        found = [row for name in arguments[1:] for row in added(name)]
    else:
        names = arguments or list(GRIDS)
        found = [row for name in names for row in measured(name, lambda text: print(text, flush=True))]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
