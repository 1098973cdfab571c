"""A long call of the kernels in a process of its own, and SIGINT."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, threading, time, torch, kernels
{setup}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background has it ignored
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
start = time.monotonic()
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - start < 20)
"""


def assert_interrupted(setup: str, call: str) -> None:
    """The call, much longer than 20 s, ends within 20 s of SIGINT by the exception that Python raises for it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(setup=setup, call=call)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["interrupted", "True"], done.stderr
