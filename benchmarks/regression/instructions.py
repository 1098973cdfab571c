"""Instructions that two versions execute for the same calls, counted by callgrind.

Importing torch under callgrind would take minutes. So the calls are recorded in a plain process, where the versions'
Python layers are: what reaches the extension, arguments included. `replay.py` makes them again under callgrind with
the extension alone, and counts nothing else. Run as a process of its own, this module records.

valgrind 3.19 knows no AVX-512: the levels avx2 and baseline are counted.
"""

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.regression.cases import CASES
from benchmarks.regression.errors import BrokenError
from benchmarks.regression.timing import SIDES, load, package
from benchmarks.regression.versions import ROOT

LEVELS = ("avx2", "baseline")
SHARE = 0.2
_REQUESTS = """
#include <valgrind/callgrind.h>
void start(void) { CALLGRIND_START_INSTRUMENTATION; }
void stop(void) { CALLGRIND_STOP_INSTRUMENTATION; }
void dump(const char* name) { CALLGRIND_DUMP_STATS_AT(name); }
"""
_NAME = re.compile(r"^desc: Trigger: Client Request: (.*)$", re.MULTILINE)
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


class Recorder:
    """Stands for an extension: keeps the calls of its functions, as they were before, and makes them."""

    def __init__(self, core: ModuleType) -> None:
        self._core = core
        self.calls: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._core, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: object) -> object:
            self.calls.append(pickle.dumps((name, arguments)))
            return attribute(*arguments)

        return call


def record(folder: str) -> None:
    """Writes the calls of all cases to a file for each version that can make them."""
    versions = load(folder)
    for side, version in versions.items():
        loader = sys.modules[f"{version.__name__}._load"]
        recorder = loader._core = Recorder(loader._core)  # type: ignore[attr-defined]
        calls: dict[str, list[object]] = {}
        for case in CASES:
            for level in (level for level in LEVELS if level in version.status().levels):
                recorder.calls.clear()
                try:
                    case.prepare(level, SHARE)(version)()
                except Exception:  # the timing says what it was
                    continue
                if recorder.calls:
                    calls[case.name(level)] = [pickle.loads(call) for call in recorder.calls]
        (Path(folder) / f"{side}.calls").write_bytes(pickle.dumps(calls))


def unavailable() -> str | None:
    """Why instructions cannot be counted here, or None."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    if shutil.which("cc") is None:
        return "there is no C compiler for valgrind's client requests"
    probe = subprocess.run(
        ["cc", "-E", "-x", "c", "-"], input=_REQUESTS, capture_output=True, text=True, check=False
    )
    return None if probe.returncode == 0 else "valgrind's header callgrind.h is not installed"


def counts(folder: Path) -> dict[str, dict[str, int | None]]:
    """Instructions of each case that could be recorded, for each version; None where valgrind does not know one of
    them. The folder is that of `load`.

    Raises:
        BrokenError: if nothing can be counted.
    """
    requests = folder / "requests.so"
    compiler = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(requests)]
    subprocess.run(compiler, input=_REQUESTS, text=True, check=True)
    _run([sys.executable, "-m", "benchmarks.regression.instructions", str(folder)], "recorded")
    return {side: _replay(folder, side, requests) for side in SIDES}


def _replay(folder: Path, side: str, requests: Path) -> dict[str, int | None]:
    (extension,) = (folder / package(side)).glob("_core*")
    recorded, out = folder / f"{side}.calls", folder / f"callgrind.{side}"
    command = [
        "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}.%p", sys.executable,
        str(Path(__file__).with_name("replay.py")), str(extension), str(requests), str(recorded),
    ]  # fmt: skip
    _run(command, "made under callgrind")
    result: dict[str, int | None] = dict.fromkeys(pickle.loads(recorded.read_bytes()))
    for part in folder.glob(f"{out.name}.*"):
        text = part.read_text()
        name, total = _NAME.search(text), _TOTAL.search(text)
        if name is not None and total is not None:
            result[name[1]] = int(total[1])
    return result


def _run(command: list[str], done: str) -> None:
    process = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if process.returncode != 0:
        last = (process.stderr.strip().splitlines() or [f"status {process.returncode}"])[-1]
        raise BrokenError(f"The calls cannot be {done}: {last}")


if __name__ == "__main__":
    record(sys.argv[1])
