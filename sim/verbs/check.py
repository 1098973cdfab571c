"""The verb verify."""

from pathlib import Path

from sim.errors import SimError
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT, EXIT_CONTRADICTED


def verify(out: Path, replicates: int, seconds: float) -> int:
    """Check a store: identities, theory, and replicates run again."""
    from sim.verify import verify_store

    if replicates < 0:
        raise SimError(f"replicates {replicates} are not allowed: give 0 or more")
    with Store(out, write=False) as store:
        report = verify_store(store, replicates, seconds)
    for line in report.lines:
        print(line)
    return EXIT_CONTRADICTED if report.failures else EXIT_CONSISTENT
