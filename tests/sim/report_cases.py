"""What the tests of the report share: its command line in process, and stores with hostile text."""

import contextlib
import io
import json
import sqlite3
from pathlib import Path

from sim.report.__main__ import main
from tests.sim.conftest import Result
from tests.sim.stores import reseal

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "\"'><svg onload=alert(4)>",
    "]]>--><style>*{display:none}</style>",
    "</title></textarea></style><iframe src=javascript:alert(5)>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(6)",
    "$\\frac{1}{0}$ \u202e\u0000 <b>&lt;",
)
"""Text that would do something, were it markup, a template or a formula."""


def report(*arguments: object) -> Result:
    """Run `python -m sim.report` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return Result(code, out.getvalue(), err.getvalue())


def poison(path: Path, words: str) -> None:
    """Put words wherever the theory beside a store's cells has text for people."""
    connection = sqlite3.connect(path)
    with connection:
        for cell, text in connection.execute("SELECT id, theory FROM cells").fetchall():
            theory = json.loads(text)
            for name in ("labels", "signal", "statement"):
                if name in theory:
                    theory[name] = words
            for bound in theory.get("bounds", ()):
                bound["statement"] = words
            if isinstance(theory.get("prediction"), dict):
                theory["prediction"]["statement"] = words
            if isinstance(theory.get("growth"), dict):
                theory["growth"]["limit"] = words
            connection.execute("UPDATE cells SET theory = ? WHERE id = ?", (json.dumps(theory), cell))
        reseal(connection)
    connection.close()
