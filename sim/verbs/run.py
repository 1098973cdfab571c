"""The verb run: a grid, or what is missing of it."""

from collections.abc import Sequence
from pathlib import Path

from sim.errors import SimError
from sim.files import FIGURE_SUFFIXES
from sim.progress import Tracker, display_for
from sim.protocol.base import Json, Means, Options, Wanted
from sim.protocol.registry import protocol_of
from sim.runner import Unit, plan_units, run_units
from sim.store import Store
from sim.verbs import common
from sim.verbs.common import artifacts_of, figure_paths, note


def run(options: Options, out: Path, workers: int, threads: int, *, as_json: bool, quiet: bool) -> int:
    """Run a grid, or what is missing of it; print the table and draw the figure."""
    if out.suffix in FIGURE_SUFFIXES:
        raise SimError(
            f"store {out} would be overwritten by its figure: give a path that does not end in {out.suffix}"
        )
    _refuse_unusable(out)
    if not quiet:
        note("planning the grid")
    wanted = options.wanted()
    counts = {w.cell.id: w.replicates for w in wanted}
    with Store(out, write=True) as store:
        store.add_cells([(w.cell, _theory_of_all(store, w, options)) for w in wanted])
        store.want(counts)
        units = plan_units(wanted, store.replicates)
        if units:
            _work(store, units, workers, Means(threads, artifacts_of(out)), quiet=quiet)
        elif not quiet:
            note(f"nothing to run: all {_count(wanted)} of {len(wanted)} cells are in {out}")
        cells = [stored for stored in store.cells() if stored.cell.id in counts]
        summary = protocol_of(wanted[0].cell).summarise(store, cells, counts)
    common.print_summary(summary, as_json=as_json)
    for path in figure_paths(out):
        if units or not path.exists():
            common.draw(summary, path)
            if not quiet:
                note(f"figure: {path}")
    return summary.exit_code


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


def _work(store: Store, units: list[Unit], workers: int, means: Means, *, quiet: bool) -> None:
    with display_for(quiet=quiet) as display:
        tracker = Tracker(units, display)
        for finished in run_units(units, workers, means, tracker.share):
            store.add_unit(finished.records)
            parts = finished.unit.parts
            protocol_of(parts[0].cell).let_go(parts, means)
            tracker.finished(finished.unit)
