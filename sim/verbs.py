"""The verbs of the command line; each returns an exit code. Results go to stdout, everything else to stderr."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from sim.cell import Cell
from sim.errors import SimError, StoreError
from sim.options import GridOptions, default_figure
from sim.plan import Json, plan, theory_of
from sim.progress import Tracker, display_for, duration
from sim.protocol.registry import protocol_of
from sim.runner import Unit, check_threads, plan_units, run_units
from sim.store import Store
from sim.summary import GridSummary, number, summarise
from sim.table import as_json as summary_json
from sim.table import cell_json, print_summary, si
from theory.verdict import Verdict

EXIT_CONSISTENT, EXIT_CONTRADICTED, EXIT_UNDECIDED = 0, 1, 3
TABLE_WIDTH = 160
FIGURE_SUFFIXES = (".png", ".svg")


def console() -> Console:
    """Where results are printed: as wide as they need when not on a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else TABLE_WIDTH
    return Console(file=sys.stdout, width=max(width, 100))


def note(text: str) -> None:
    """A line for the user that is not a result."""
    print(text, file=sys.stderr, flush=True)


def exit_code(summary: GridSummary) -> int:
    """The exit code that a summary stands for."""
    if summary.verdict is Verdict.CONTRADICTED:
        return EXIT_CONTRADICTED
    if summary.verdict is Verdict.UNDECIDED or not summary.complete:
        return EXIT_UNDECIDED
    return EXIT_CONSISTENT


def run(options: GridOptions, out: Path, workers: int, threads: int, *, as_json: bool, quiet: bool) -> int:
    """Run a grid, or what is missing of it; print the table and draw the figure."""
    if out.suffix in FIGURE_SUFFIXES:
        raise SimError(
            f"store {out} would be overwritten by its figure: give a path that does not end in {out.suffix}"
        )
    _refuse_unusable(out)
    if not quiet:
        note("computing the bounds of each cell")
    planned = plan(options)
    cells = [cell for cell, _ in planned]
    with Store(out, write=True) as store:
        store.add_cells((cell, _theory_of_all(store, cell, theory, options)) for cell, theory in planned)
        units = plan_units(cells, store, options.replicates)
        if units:
            _work(store, units, workers, threads, quiet=quiet)
        elif not quiet:
            note(f"nothing to run: all {options.replicates} replicates of {len(cells)} cells are in {out}")
        summary = summarise(store, cells, options.replicates)
    _print(summary, as_json=as_json)
    for path in _figure_paths(out):
        if units or not path.exists():
            _draw(summary, path)
            if not quiet:
                note(f"figure: {path}")
    return exit_code(summary)


def _theory_of_all(store: Store, cell: Cell, theory: Json, options: GridOptions) -> Json:
    """The theory of a cell; where it speaks of each student by number, of those too that are stored already."""
    count = max(store.replicates(cell.id), default=0) + 1
    if theory["replicates"] == 0 or count <= options.replicates:
        return theory
    return theory_of(cell, options.delta, count)


def _refuse_unusable(out: Path) -> None:
    """Refuse a store that cannot be written before any work; a store that is not there yet is not made."""
    try:
        fresh = not out.exists() and out.absolute().parent.is_dir()
    except OSError:  # for example a name that is too long
        fresh = False
    if not fresh:
        Store(out, write=True).close()


def _work(store: Store, units: list[Unit], workers: int, threads: int, *, quiet: bool) -> None:
    with display_for(quiet=quiet) as display:
        tracker = Tracker(units, display, workers)
        for finished in run_units(units, workers, threads, tracker.share):
            store.add_records(finished.unit.cell.id, finished.records)
            tracker.finished(finished.unit)


def dry_run(options: GridOptions, out: Path, workers: int, *, as_json: bool) -> int:
    """Show the cells and the expected cost of what is missing; run and write nothing."""
    planned = plan(options)
    done: dict[str, int] = {}
    if out.exists():
        with Store(out, write=False) as store:
            done = {
                cell.id: len(store.replicates(cell.id) & set(range(options.replicates)))
                for cell, _ in planned
            }
    rows = []
    for cell, _ in planned:
        missing = options.replicates - done.get(cell.id, 0)
        rows.append((cell, missing, protocol_of(cell).seconds(cell) * missing))
    total = sum(seconds for *_, seconds in rows)
    if as_json:
        cells = [{**cell_json(c), "missing": m, "seconds": s} for c, m, s in rows]
        print(json.dumps({"cells": cells, "seconds": total, "workers": workers}, indent=2))
        return EXIT_CONSISTENT
    for cell, missing, seconds in rows:
        print(
            f"{cell.id[:12]}  {cell.label():<44} to {si(cell.samples):>8} samples, "
            f"{missing} replicates to run, about {duration(seconds)}"
        )
    print(
        f"{len(rows)} cells, about {duration(total)} of work, {duration(total / workers)} on {workers} workers"
    )
    return EXIT_CONSISTENT


def status(out: Path, *, as_json: bool) -> int:
    """What is stored."""
    with Store(out, write=False) as store:
        rows = [(stored.cell, len(store.replicates(stored.cell.id))) for stored in store.cells()]
    if as_json:
        print(
            json.dumps(
                {"cells": [{**cell_json(cell), "replicates": count} for cell, count in rows]}, indent=2
            )
        )
        return EXIT_CONSISTENT
    for cell, count in rows:
        print(f"{cell.id[:12]}  {cell.label():<44} to {si(cell.samples):>8} samples, {count} replicates")
    print(f"{len(rows)} cells, {sum(count for _, count in rows)} replicates in {out}")
    return EXIT_CONSISTENT


def plot(out: Path, figure: Path | None) -> int:
    """Draw the figure of a store."""
    with Store(out, write=False) as store:
        summary = summarise(store)
    if not summary.cells:
        raise SimError(f"store {out} has no cells: run a grid first")
    for path in [figure] if figure is not None else _figure_paths(out):
        _draw(summary, path)
        print(path)
    return EXIT_CONSISTENT


def explain(out: Path, prefix: str, *, as_json: bool) -> int:
    """All about one cell: what it is, what theory says, what was measured, and why the verdict is what it is."""
    with Store(out, write=False) as store:
        stored = store.find(prefix)
        summary = summarise(store, [stored.cell])
    cell = summary.cells[0]
    if as_json:
        print(json.dumps(summary_json(summary)["cells"][0], indent=2))
        return EXIT_CONSISTENT
    print(f"{cell.cell.label()}\nid {cell.cell.id}")
    print(f"what: {json.dumps(cell.cell.spec(), sort_keys=True)}")
    print(f"labels: {cell.theory['labels']}")
    print(f"signal: {cell.theory['signal']}")
    for bound in cell.theory["bounds"]:
        print(
            f"{bound['kind']} bound {bound['name']}: {si(float(bound['samples']))} samples. {bound['statement']}"
        )
    prediction = cell.theory["prediction"]
    print(
        f"predicted: 50 % at {si(number(prediction['half']))}, {cell.high:.0%} at {si(number(prediction['high']))}, "
        f"plateau {si(number(prediction['plateau']))}. {prediction['statement']}"
    )
    if cell.curve is not None:
        print(f"measured with {cell.replicates} replicates (rate and 95 % interval):")
        for B, rate, interval in zip(cell.curve.grid, cell.curve.rates, cell.curve.intervals(), strict=True):
            print(f"  {si(float(B)):>9} samples  {rate:6.3f}  [{interval.lower:.3f}, {interval.upper:.3f}]")
    print(f"verdict: {cell.judgement.verdict.value.upper()}. {cell.judgement.reason}")
    return EXIT_CONSISTENT


def replay(out: Path, prefix: str, replicate: int, threads: int) -> int:
    """Run one replicate again; 1 when a stored record differs."""
    if replicate < 0:
        raise SimError(f"replicate {replicate} is not allowed: numbers start at 0")
    check_threads(threads)
    with Store(out, write=False) as store:
        cell = store.find(prefix).cell
        stored = store.records(cell.id).get(replicate)
    record = protocol_of(cell).run(cell, [replicate], threads, lambda share: None)[replicate]
    print(json.dumps({"cell": cell.id, "replicate": replicate, "record": dict(record)}, sort_keys=True))
    if stored is None:
        note(f"replicate {replicate} is not stored: nothing to compare with")
        return EXIT_CONSISTENT
    if stored != record:
        note(f"replicate {replicate} differs from the stored record {json.dumps(stored, sort_keys=True)}")
        return EXIT_CONTRADICTED
    note(f"replicate {replicate} equals the stored record")
    return EXIT_CONSISTENT


def merge(sources: list[Path], out: Path) -> int:
    """Add cells and records of stores to `out`; nothing is written unless all of them agree."""
    for source in sources:
        if out.exists() and source.exists() and source.samefile(out):
            raise SimError(f"store {source} is --out itself: give other stores to merge into it")
    first: dict[tuple[str, int], tuple[dict[str, Any], Path]] = {}
    for source in [*([out] if out.exists() else []), *sources]:
        _check_agreement(source, first)
    with Store(out, write=True) as target:
        before = sum(len(target.replicates(stored.cell.id)) for stored in target.cells())
        for source in sources:
            with Store(source, write=False) as store:
                cells = store.cells()
                known = {stored.cell.id: stored.theory for stored in target.cells()}
                target.add_cells(
                    (stored.cell, stored.theory)
                    for stored in cells
                    # Of two theories of drawn students the one of more of them is kept.
                    if stored.theory.get("replicates", 0)
                    >= known.get(stored.cell.id, {}).get("replicates", 0)
                )
                for stored in cells:
                    target.add_records(stored.cell.id, store.records(stored.cell.id))
        after = sum(len(target.replicates(stored.cell.id)) for stored in target.cells())
    print(f"{after - before} replicates added, {after} in {out}")
    return EXIT_CONSISTENT


def _check_agreement(source: Path, first: dict[tuple[str, int], tuple[dict[str, Any], Path]]) -> None:
    """Refuse a store with a record that differs from the `first` one of its cell and replicate; note the others."""
    with Store(source, write=False) as store:
        for stored in store.cells():
            cell_id = stored.cell.id
            for replicate, payload in store.records(cell_id).items():
                known, where = first.setdefault((cell_id, replicate), (payload, source))
                if known != payload:
                    raise StoreError(
                        f"replicate {replicate} of cell {cell_id[:12]} differs between {where} and {source}: "
                        "run verify on both"
                    )


def export(out: Path, form: str, to: Path | None) -> int:
    """Write the success table."""
    from sim.export import write_csv, write_parquet

    if form == "parquet" and to is None:
        raise SimError("format 'parquet' needs a file: give --to PATH")
    if to is not None and to.exists() and out.exists() and to.samefile(out):
        raise SimError(f"table {to} would overwrite the store: give another path")
    with Store(out, write=False) as store:
        if form == "csv":
            rows = write_csv(store, to)
        else:
            assert to is not None
            rows = write_parquet(store, to)
    if to is not None:
        note(f"{rows} rows in {to}")
    return EXIT_CONSISTENT


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


def _print(summary: GridSummary, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary_json(summary), indent=2))
    else:
        print_summary(summary, console())


def _figure_paths(out: Path) -> list[Path]:
    figure = default_figure(out)
    return [figure, figure.with_suffix(".svg")]


def _draw(summary: GridSummary, path: Path) -> None:
    from sim.figures import grid_figure, save

    if path.suffix not in FIGURE_SUFFIXES:
        raise SimError(f"figure {path} is not allowed: give a path that ends in .png or .svg")
    try:
        save(grid_figure(summary), path)
    except OSError as error:
        raise SimError(f"figure {path} cannot be written: {error.strerror or error}") from error
