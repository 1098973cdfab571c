"""The verb run: a grid, or what is missing of it."""

from collections.abc import Sequence
from pathlib import Path

from sim.errors import SimError, WorkerError
from sim.execution.base import Finished
from sim.execution.crew import Crew
from sim.execution.driver import Outcome, drive
from sim.files import FIGURE_SUFFIXES
from sim.progress import Tracker, display_for
from sim.protocol.base import Json, Means, Options, Wanted
from sim.protocol.registry import protocol_of
from sim.store import Store
from sim.units import Queue, missing_parts
from sim.verbs import common
from sim.verbs.common import (
    EXIT_INCOMPLETE,
    artifacts_of,
    default_data,
    figure_paths,
    note,
    refuse_foreign_data,
)


def run(options: Options, out: Path, crew: Crew, *, as_json: bool, quiet: bool) -> int:
    """Run a grid, or what is missing of it; print the table and draw the figure.

    Units that fail do not keep the others from being run: they are said at the end, and the grid is incomplete. Only
    where no record was made at all is it an error of the whole.
    """
    if out.suffix in FIGURE_SUFFIXES:
        raise SimError(
            f"store {out} would be overwritten by its figure: give a path that does not end in {out.suffix}"
        )
    _refuse_unusable(out)
    refuse_foreign_data(default_data(out))
    crew.count()  # an address where no scheduler answers is refused before any work
    if not quiet:
        note("planning the grid")
    wanted = options.wanted()
    counts = {w.cell.id: w.replicates for w in wanted}
    with Store(out, write=True) as store:
        store.add_cells([(w.cell, _theory_of_all(store, w, options)) for w in wanted])
        store.want(counts)
        parts = missing_parts(wanted, store.replicates)
        outcome = Outcome()
        if parts:
            outcome = _work(store, Queue(parts), crew, artifacts_of(out), quiet=quiet)
        elif not quiet:
            note(f"nothing to run: all {_count(wanted)} of {len(wanted)} cells are in {out}")
        cells = [stored for stored in store.cells() if stored.cell.id in counts]
        summary = protocol_of(wanted[0].cell).summarise(store, cells, counts)
    common.print_summary(summary, as_json=as_json)
    data = default_data(out)
    lacking = [path for path in figure_paths(out) if parts or not path.exists()]
    if lacking or not data.exists():
        common.draw(summary, lacking, data)
        if not quiet:
            for path in lacking:
                note(f"figure: {path}")
            note(f"its data: {data}")
    for failure in outcome.failures:
        note(f"error: {failure}")
    if outcome.failures:
        missing = "1 replicate is" if outcome.unmade == 1 else f"{outcome.unmade} replicates are"
        note(f"{missing} missing for this; run the same command again to try again")
    return EXIT_INCOMPLETE if outcome.failures else summary.exit_code


def _count(wanted: Sequence[Wanted]) -> str:
    numbers = sorted({w.replicates for w in wanted})
    return f"{numbers[-1]} replicates" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]} replicates"


def _theory_of_all(store: Store, wanted: Wanted, options: Options) -> Json:
    """The theory of a cell; where it speaks of each student by number, of those too that are stored already."""
    count = max(store.replicates(wanted.cell.id), default=-1) + 1
    return options.theory(wanted.cell, max(count, wanted.replicates))


def _refuse_unusable(out: Path) -> None:
    """Refuse a store that cannot be written before any work; a store that is not there yet is not made."""
    try:
        fresh = not out.exists() and out.absolute().parent.is_dir()
    except OSError:  # for example a name that is too long
        fresh = False
    if not fresh:
        Store(out, write=True).close()


def _work(store: Store, queue: Queue, crew: Crew, artifacts: Path, *, quiet: bool) -> Outcome:
    """Run what is in the queue and store it.

    Raises:
        SimError: the store cannot be written, there are no workers, or units failed and no record was made.
    """
    with display_for(quiet=quiet) as display:
        tracker = Tracker(queue.seconds, queue.missing, display)

        def sink(finished: Sequence[Finished]) -> None:
            store.add_units([one.records for one in finished if one.records])
            for unit in (one.unit for one in finished):
                if not unit.prepares:
                    protocol_of(unit.parts[0].cell).let_go(unit.parts, Means(artifacts=artifacts))
                tracker.finished(unit)

        def tell(text: str) -> None:
            if not quiet:
                note(text)

        with crew.executor(artifacts, tracker.share, tell) as executor:
            outcome = drive(queue, executor, sink, tell)
    if outcome.failures and not outcome.finished:
        more = len(outcome.failures) - 1
        raise WorkerError(outcome.failures[0] + (f"; {more} more failed too" if more else ""))
    return outcome
