"""The verb status as a process, which is answered without what the other verbs import."""

import subprocess
import sys
from pathlib import Path

import pytest

from sim.grid import build_parser
from sim.verbs import status
from tests.sim.conftest import call

FAST = """
import runpy, sys

sys.argv = ["sim.grid", "status", *sys.argv[1:]]
try:
    runpy.run_module("sim.grid", run_name="__main__")
except SystemExit as end:
    assert "torch" not in sys.modules, "status waited for torch"
    raise
"""


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", FAST, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_it_says_the_same_as_the_whole_command_line_and_imports_no_torch(tiny: Path, tmp_path: Path) -> None:
    for arguments in (["--out", tiny], ["--json", "--out", tiny], ["--out", tmp_path / "none"]):
        quick, whole = run(*arguments), call("status", *arguments)
        assert (quick.returncode, quick.stdout) == (whole.code, whole.out)
        assert quick.stderr == whole.err


def test_stores_of_networks_are_told_too(online: Path) -> None:
    command = [sys.executable, "-m", "sim.grid", "status", "--out", str(online)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == call("status", "--out", online).out


def test_the_help_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for ask in (lambda: status.main(["--help"]), lambda: build_parser().parse_args(["status", "--help"])):
        with pytest.raises(SystemExit):
            ask()
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_an_unknown_option_is_one_sentence() -> None:
    done = run("--frobnicate")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: unrecognized arguments: --frobnicate; see python -m sim.grid status --help\n"
    )
