"""The verb verify."""

import sys
from pathlib import Path

from sim.errors import SimError
from sim.progress import display_for
from sim.store import Store
from sim.verbs.common import EXIT_CONSISTENT, EXIT_CONTRADICTED


def verify(what: Path, replicates: int, seconds: float) -> int:
    """Check a store, or an archive that `pack` made: identities, theory, and replicates run again.

    Args:
        what: the store or the archive; what begins as a ZIP archive is one.
        replicates: of each cell to run again.
        seconds: what is expected to take longer is not run again.
    """
    from sim.archive import begins_like_one
    from sim.recheck import verify_archive
    from sim.verify import verify_store

    if replicates < 0:
        raise SimError(f"replicates {replicates} are not allowed: give 0 or more")
    with display_for(quiet=not sys.stderr.isatty()) as display:
        if begins_like_one(what):
            report = verify_archive(what, replicates, seconds, display.update)
        else:
            with Store(what, write=False) as store:
                report = verify_store(store, replicates, seconds, display.update)
    for line in report.lines:
        print(line)
    return EXIT_CONTRADICTED if report.failures else EXIT_CONSISTENT
