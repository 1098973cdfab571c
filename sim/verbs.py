"""The verbs of the command line; each returns an exit code. Results go to stdout, everything else to stderr."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sim.errors import SimError, StoreError
from sim.files import FIGURE_SUFFIXES, refuse_figure, refuse_outputs
from sim.numbers import duration, si
from sim.progress import Tracker, display_for
from sim.protocol.base import Json, Means, Options, Part, Protocol, Summary, Wanted
from sim.protocol.registry import protocol_named, protocol_of
from sim.runner import Unit, check_threads, plan_units, run_unit, run_units
from sim.store import Store, StoredCell

EXIT_CONSISTENT, EXIT_CONTRADICTED = 0, 1
TABLE_WIDTH = 160
DEFAULT_PROTOCOL = "first-step"
LONG_SECONDS = 20.0


def console() -> Console:
    """Where results are printed: as wide as they need when not on a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else TABLE_WIDTH
    return Console(file=sys.stdout, width=max(width, 100))


def note(text: str) -> None:
    """A line for the user that is not a result."""
    print(text, file=sys.stderr, flush=True)


def artifacts_of(out: Path) -> Path:
    """The folder beside a store for what makes resuming cheap: checkpoints, states. It may be deleted at any time."""
    return out.with_suffix(".artifacts")


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
    _print(summary, as_json=as_json)
    for path in figure_paths(out):
        if units or not path.exists():
            _draw(summary, path)
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


def dry_run(options: Options, out: Path, workers: int, *, as_json: bool) -> int:
    """Show the cells and the expected cost of what is missing; run and write nothing."""
    wanted = options.wanted()
    done: dict[str, set[int]] = {}
    if out.exists():
        with Store(out, write=False) as store:
            done = {w.cell.id: store.replicates(w.cell.id) for w in wanted}
    units = plan_units(wanted, lambda cell: done.get(cell, set()))
    missing = dict.fromkeys((w.cell.id for w in wanted), 0)
    cost = dict.fromkeys(missing, 0.0)
    for part in (part for unit in units for part in unit.parts):
        missing[part.cell.id] += len(part.replicates)
        cost[part.cell.id] += protocol_of(part.cell).seconds([part])
    total = sum((unit.seconds for unit in units), 0.0)
    if as_json:
        cells = [{**w.cell.json(), "missing": missing[w.cell.id], "seconds": cost[w.cell.id]} for w in wanted]
        print(json.dumps({"cells": cells, "seconds": total, "workers": workers}, indent=2))
        return EXIT_CONSISTENT
    for cell in (w.cell for w in wanted):
        print(
            f"{cell.id[:12]}  {cell.label():<44} to {si(cell.horizon):>8} samples, "
            f"{missing[cell.id]} replicates to run, about {duration(cost[cell.id])}"
        )
    print(
        f"{len(wanted)} cells, about {duration(total)} of work, {duration(total / workers)} on {workers} workers"
    )
    return EXIT_CONSISTENT


def status(out: Path, *, as_json: bool) -> int:
    """What is stored, and what is missing of what runs asked for."""
    with Store(out, write=False) as store:
        wanted = store.wanted()
        rows = [(stored.cell, store.replicates(stored.cell.id)) for stored in store.cells()]
    # A cell of an older store does not say how many replicates were asked for.
    missing = {
        cell.id: len(set(range(wanted[cell.id])) - there) if cell.id in wanted else None
        for cell, there in rows
    }
    if as_json:
        cells = [
            {**cell.json(), "replicates": len(there), "missing": missing[cell.id]} for cell, there in rows
        ]
        print(json.dumps({"cells": cells}, indent=2))
        return EXIT_CONSISTENT
    for cell, there in rows:
        lack = missing[cell.id]
        print(
            f"{cell.id[:12]}  {cell.label():<44} to {si(cell.horizon):>8} samples, {len(there)} replicates"
            f"{f', {lack} missing' if lack else ''}"
        )
    lacking = sum(lack or 0 for lack in missing.values())
    print(
        f"{len(rows)} cells, {sum(len(there) for _, there in rows)} replicates in {out}"
        f"{f', {lacking} missing' if lacking else ''}"
    )
    return EXIT_CONSISTENT


def of_one_protocol(store: Store, name: str | None) -> tuple[Protocol | None, list[StoredCell]]:
    """Cells of the protocol of that name, or of the only one that the store has; no protocol if it has no cells.

    Raises:
        SimError: the store has several protocols and none is named, or none of that name.
    """
    cells = store.cells()
    if name is not None:
        protocol = protocol_named(name)
        cells = [stored for stored in cells if protocol_of(stored.cell) is protocol]
        if not cells:
            raise SimError(f"store {store.path} has no cells of protocol {name!r}: run a grid of it first")
        return protocol, cells
    names = sorted({protocol_of(stored.cell).name for stored in cells})
    if len(names) > 1:
        raise SimError(f"store {store.path} has cells of {' and '.join(names)}: choose with --protocol")
    return (protocol_named(names[0]) if names else None), cells


def plot(out: Path, figure: Path | None, name: str | None) -> int:
    """Draw the figure of a store."""
    paths = [figure] if figure is not None else figure_paths(out)
    for path in paths:
        refuse_figure(path)
    with Store(out, write=False) as store:
        protocol, cells = of_one_protocol(store, name)
        if protocol is None:
            raise SimError(f"store {out} has no cells: run a grid first")
        refuse_outputs(paths, {out: "the store"})
        summary = protocol.summarise(store, cells, None)
    for path in paths:
        _draw(summary, path)
        print(path)
    return EXIT_CONSISTENT


def explain(out: Path, prefix: str, *, as_json: bool) -> int:
    """All about one cell: what it is, what theory says of it, what was measured."""
    with Store(out, write=False) as store:
        stored = store.find(prefix)
        summary = protocol_of(stored.cell).summarise(store, [stored], None)
    if as_json:
        print(json.dumps(summary.json()["cells"][0], indent=2))
        return EXIT_CONSISTENT
    for line in summary.explain():
        print(line)
    return EXIT_CONSISTENT


def replay(out: Path, prefix: str, replicate: int, threads: int) -> int:
    """Run one replicate again, from its very start; 1 when a stored record differs."""
    if replicate < 0:
        raise SimError(f"replicate {replicate} is not allowed: numbers start at 0")
    check_threads(threads)
    with Store(out, write=False) as store:
        cell = store.find(prefix).cell
        stored = store.records(cell.id).get(replicate)
    protocol = protocol_of(cell)
    part = Part(cell, (replicate,))
    protocol.check([part])
    seconds = protocol.seconds([part], afresh=True)
    if seconds > LONG_SECONDS:
        note(
            f"this takes about {duration(seconds / threads)}: all that the replicate depends on is run again"
        )
    record = run_unit(Unit((part,), seconds), Means(threads), lambda share: None)[cell.id][replicate]
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
                target.want(store.wanted())
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


def export(out: Path, form: str, to: Path | None, name: str | None) -> int:
    """Write the table of a protocol."""
    from sim.export import write_csv, write_parquet

    if form == "parquet" and to is None:
        raise SimError("format 'parquet' needs a file: give --to PATH")
    if to is not None and to.exists() and out.exists() and to.samefile(out):
        raise SimError(f"table {to} would overwrite the store: give another path")
    with Store(out, write=False) as store:
        protocol, cells = of_one_protocol(store, name)
        protocol = protocol or protocol_named(DEFAULT_PROTOCOL)
        if form == "csv":
            rows = write_csv(store, protocol, cells, to)
        else:
            assert to is not None
            rows = write_parquet(store, protocol, cells, to)
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


def _print(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary.json(), indent=2))
    else:
        summary.print(console())


def default_figure(store: Path) -> Path:
    """Where the figure of a store goes: beside it, under the same name."""
    return store.with_suffix(".png")


def figure_paths(out: Path) -> list[Path]:
    """The files of a figure beside a store, or beside another file: PNG and SVG."""
    figure = default_figure(out)
    return [figure, figure.with_suffix(".svg")]


def _draw(summary: Summary, path: Path) -> None:
    from sim.figures import save

    save(summary.figure(), path)
