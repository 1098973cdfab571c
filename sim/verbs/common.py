"""What the verbs share. Results go to stdout, everything else to stderr."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sim.errors import SimError
from sim.protocol.base import Protocol, Summary
from sim.protocol.registry import protocol_named, protocol_of
from sim.store import Store, StoredCell

EXIT_CONSISTENT, EXIT_CONTRADICTED, EXIT_INCOMPLETE = 0, 1, 3
TABLE_WIDTH = 160


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


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """The tables, for people or for programs."""
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


def with_data(figures: Sequence[Path], data: Path | None = None) -> list[Path]:
    """The files of a figure, and that of its data: beside the first, unless another is given."""
    own = [figures[0].with_suffix(".csv") if data is None else data] if figures else []
    return [*figures, *own]


def default_data(store: Path) -> Path:
    """Where the data of a store's figure go: beside it, but not where a table exported from the store may be."""
    return store.with_suffix(".figure.csv")


def refuse_foreign_data(path: Path) -> None:
    """Raise SimError for a file that is there and is neither empty nor a figure's data: it is not overwritten."""
    if not path.is_file():
        return
    from sim.figures.base import HEADER  # matplotlib is slow to import

    try:
        with path.open("rb") as file:
            start = file.read(len(HEADER))
    except OSError as error:
        raise SimError(f"{path} cannot be read: {error.strerror or error}") from error
    if start not in (b"", HEADER.encode()):
        raise SimError(
            f"{path} would be overwritten by a figure's data, and is none: move it, or give another name"
        )


def draw(summary: Summary, figures: Sequence[Path], data: Path | None = None) -> None:
    """Draw the figure into PNG or SVG files, and write its data into a CSV file if one is given."""
    from sim.figures.base import save, save_data  # matplotlib is slow to import

    drawing = summary.figure()
    for path in figures:
        save(drawing.figure, path)
    if data is not None:
        save_data(drawing, data)
