"""pytest hooks that make the suite fail when the statistical assertions' false-failure rates sum to too much.

Import them in the top conftest: `from tests.ledger_plugin import *`.  Under pytest-xdist the workers'
ledgers are added up.
"""

from typing import Any

import pytest

from tests.statistics import LEDGER, LEDGER_LIMIT, Entry

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over the ledger of a finished xdist worker."""
    for test, claim, rate in getattr(node, "workeroutput", {}).get("statistics_ledger", []):
        LEDGER.entries.append(Entry(test, claim, rate))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Send the ledger to the controller (worker), or fail the session if it is overdrawn."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["statistics_ledger"] = [(entry.test, entry.claim, entry.rate) for entry in LEDGER.entries]
    elif LEDGER.exceeded() and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Report the ledger, and say so if it is overdrawn."""
    if not LEDGER.entries:
        return
    line = f"statistical assertions: {len(LEDGER.entries)}, sum of false-failure rates {LEDGER.total:.3g}"
    if not LEDGER.exceeded():
        terminalreporter.write_line(f"{line} (limit {LEDGER_LIMIT:g})")
        return
    terminalreporter.write_line(f"ERROR: {line} is above the limit {LEDGER_LIMIT:g}", red=True)
    for entry in sorted(LEDGER.entries, key=lambda entry: -entry.rate)[:10]:
        terminalreporter.write_line(f"  {entry.rate:.2g}  {entry.test}  {entry.claim}")
