"""The verb plot: figures of a store, with their data."""

from pathlib import Path

from sim.errors import SimError
from sim.files import refuse_figure, refuse_outputs
from sim.online.report import Report, read_report
from sim.store import Store
from sim.verbs.common import (
    EXIT_CONSISTENT,
    default_data,
    figure_paths,
    note,
    of_one_protocol,
    refuse_foreign_data,
    with_data,
)

PROBED = ("choice", "correlations")
"""Kinds that show probes of a teacher."""

NEEDS = {
    "choice": "run students of schedules single:STEP or two-shot:I:T first",
    "temperature": "run students at two temperatures or more first, such as --temperature 0,0.5,1",
    "widths": "run students of two widths or teacher widths or more first",
    "success": "run replicates first",
    "heat": "run replicates first; of protocol online, students of two widths or temperatures or more",
    "correlations": "give --probes FILE, a file of the verb probe",
}
"""What kinds need that a store may lack."""


def plot(out: Path, figure: Path | None, name: str | None, kind: str | None, probes: Path | None) -> int:
    """Draw the figures of a kind, one for each setting that the store has, with their data; print the pictures' files.

    Args:
        out: the store.
        figure: PNG or SVG file, its data beside it as CSV; several figures are numbered. None for PNG and SVG beside
            the store.
        name: a protocol; None for the only one that the store has.
        kind: of figures of the protocol; None for that which `run` draws.
        probes: file of the verb probe, for `choice` (only its teacher's students are drawn, with the correlations) and
            `correlations`.

    Raises:
        SimError: there is nothing to draw, or a file cannot be read or written.
    """
    if figure is not None:
        refuse_figure(figure)
    if probes is not None and kind not in PROBED:
        which = "the default kind" if kind is None else f"kind {kind}"
        raise SimError(
            f"--probes {probes} has no effect with {which}: it is for kinds {' and '.join(PROBED)}"
        )
    report = None if probes is None else read_report(probes)
    with Store(out, write=False) as store:
        protocol, cells = of_one_protocol(store, name)
        if protocol is None:
            raise SimError(f"store {out} has no cells: run a grid first")
        summary = protocol.summarise(store, cells, None)
    first = summary.kinds[0]
    kind = first if kind is None else kind
    if kind not in summary.kinds:
        raise SimError(
            f"kind {kind!r} is none of protocol {protocol.name}: use one of {', '.join(summary.kinds)}"
        )
    files = _files(out, figure, kind, first)
    kept = {out: "the store"} | ({} if probes is None else {probes: "the probes"})
    # How many figures there are, and so their names, is not known yet.
    every = [path for pictures, data in files for path in with_data(pictures, data)]
    refuse_outputs(every, kept)
    for _, data in files:
        refuse_foreign_data(data)
    from sim.figures.base import save_drawing  # matplotlib is slow to import

    drawn = summary.drawings(kind, report)
    if not drawn:
        raise _nothing(out, kind, probes, report)
    if drawn[0].left_out:
        note(f"{len(drawn)} of {len(drawn) + drawn[0].left_out} figures are drawn")
    for drawing, (pictures, data) in zip(drawn, files[1:] if len(drawn) > 1 else files, strict=False):
        save_drawing(drawing, *pictures, data=data)
        for path in pictures:
            print(path)
    return EXIT_CONSISTENT


def _files(out: Path, figure: Path | None, kind: str, first: str) -> list[tuple[list[Path], Path]]:
    """Pictures and data of the only figure, and of each where there are several."""
    from sim.figures.base import MAX_FIGURES

    if figure is not None:
        pictures, data = [figure], figure.with_suffix(".csv")
    elif kind == first:
        pictures, data = figure_paths(out), default_data(out)
    else:
        pictures = figure_paths(out.with_suffix(f".{kind}.png"))
        data = pictures[0].with_suffix(".csv")
    return [
        ([_numbered(path, number) for path in pictures], _numbered(data, number))
        for number in range(MAX_FIGURES + 1)
    ]


def _numbered(path: Path, number: int) -> Path:
    """The file of the figure of that number; 0: the only one."""
    return path.with_stem(f"{path.stem}-{number}") if number else path


def _nothing(out: Path, kind: str, probes: Path | None, report: Report | None) -> SimError:
    """That there is nothing to draw, and what is needed."""
    if report is None:
        return SimError(f"store {out} has no cells for kind {kind!r}: {NEEDS[kind]}")
    who = "students of single:STEP or two-shot:I:T by the" if kind == "choice" else "cells of the"
    return SimError(
        f"store {out} has no {who} teacher of probes {probes}, {report.cell.label()}: "
        f"give probes of one of its teachers{', or none' if kind == 'choice' else ''}"
    )
