"""From stores to the page."""

import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sim.claims.evidence import Evidence
from sim.claims.ledger import ledger
from sim.claims.records import read as read_records
from sim.commands import commands as commands_for
from sim.figures import Drawing
from sim.levels import ALPHA_CONTRADICTED, ALPHA_SHOWN
from sim.online.plots import correlation_drawing
from sim.online.report import Report, read_report
from sim.online.summary import OnlineSummary
from sim.protocol.base import Summary
from sim.report.lines import lines
from sim.report.page import Page, Section, Shown
from sim.report.picture import picture
from sim.report.sources import Command, Sources, commands_of, read
from sim.report.table import Column, Row, Table, Value, count, text
from sim.store import StoredCell
from sim.study import Part
from sim.versions import fingerprint, versions

MAX_FIGURES: Final = 40
"""On a page."""

A_KIND: Final = 2
"""Figures of one kind and protocol that are shown."""

ONLINE, RECORDS, CORRELATIONS = "online", "records", "correlations"

METHOD: Final = (
    f"Intervals that are shown have level {1 - ALPHA_SHOWN:.0%} unless another is said: Clopper-Pearson for rates, the "
    "crossings of their ends for samples, order statistics for medians (of fewer than six values their range, whose "
    "level is lower), the bootstrap over students for slopes.",
    f"A table's verdict contradicts a bound at a one-sided error of {ALPHA_CONTRADICTED / 2:g}; the ledger is at least "
    "as strict, and says how much.",
    "Predictions of slopes are followed by how far the prediction itself may be off (±).",
    "Bounds are certified numbers: rounded to the side that keeps them true.",
    "The same stores and the same command make the same page, byte for byte, on the same versions.",
)


@final
@dataclass(frozen=True)
class Study:
    """Cells of one protocol, from the stores or from records.

    Attributes:
        anchor, title, lead: of its section.
        summary: what they say.
        plot: the command that draws them; empty without a store.
        reports: probes of teachers, drawn with them.
        commands: of cells that are in no store.
    """

    anchor: str
    title: str
    lead: str
    summary: Summary
    plot: str
    reports: tuple[Report, ...]
    commands: tuple[Command, ...] = ()


def build(
    stores: Sequence[Path], probes: Sequence[Path], records: Sequence[Path], arguments: Sequence[str]
) -> Page:
    """The page of stores, probes of teachers and records of earlier runs.

    Args:
        stores, probes, records: files.
        arguments: of the command line, so that the page can say what makes it.

    Raises:
        SimError: a file cannot be read or used.
    """
    reports = [read_report(path) for path in {path.resolve(): path for path in probes}.values()]
    with read(stores) as sources:
        studies = [*_studies(sources, reports), *_recorded(records)]
        probed = [report for study in studies for report in study.reports]
        found = ledger(Evidence.of([study.summary for study in studies], probed))
        figures, notes = _figures(studies)
        commands, without = commands_of(sources)
        commands += [command for study in studies for command in study.commands]
        return Page(
            title="Sparse parity and progressive distillation: what holds",
            lead=_lead(sources, records, probes),
            command=shlex.join(["python", "-m", "sim.report", *arguments]),
            ledger=found,
            entries=lines(found.entries),
            figures=tuple(figures),
            figure_notes=tuple(notes),
            sections=tuple(
                Section(study.anchor, study.title, study.lead, tuple(_tables(study))) for study in studies
            ),
            commands=tuple(commands),
            command_notes=(f"{without} cells are made by no command of the command line.",)
            if without
            else (),
            sources=_source_table(sources),
            versions=_version_table(),
            method=METHOD,
        )


def _studies(sources: Sources, reports: Sequence[Report]) -> Iterable[Study]:
    """The protocols of the stores; probes stand with the online one, or alone."""
    for part in sources.parts:
        own = tuple(reports) if part.name == ONLINE else ()
        summary = part.summary
        yield Study(part.name, summary.title, summary.lead, summary, _plot(sources, part), own)
    if reports and not any(part.name == ONLINE for part in sources.parts):
        none = OnlineSummary(())
        yield Study(ONLINE, none.title, none.lead, none, "", tuple(reports))


def _plot(sources: Sources, part: Part) -> str:
    """The command that draws what a protocol's figures show, but for their kind."""
    stores = sources.stores_of(stored.cell.id for stored in part.cells)
    first, out = "", stores[0]
    if len(stores) > 1:
        out = "merged.sqlite"
        first = f"python -m sim.grid merge {' '.join(stores)} --out {out} && "
    return f"{first}python -m sim.grid plot --protocol {part.name} --out {out}"


def _recorded(paths: Sequence[Path]) -> Iterable[Study]:
    if paths:
        recorded = read_records(paths)
        names = ", ".join(path.name for path in paths)
        lead = (
            f"Networks trained online earlier, from the records in {names}. Where an earlier version of the protocol "
            "recorded them, the commands train them again up to rounding."
        )
        summary = OnlineSummary(recorded.online)
        cells = [(StoredCell(s.cell, s.theory), len(s.records)) for s in recorded.online if s.records]
        made = commands_for(cells)
        again = tuple(
            Command(f"{line} --out again.sqlite", own, names)
            for line, own in zip(made.lines, made.makes, strict=True)
        )
        yield Study(RECORDS, "Recorded runs", lead, summary, "", recorded.reports, again)


def _tables(study: Study) -> list[Table]:
    made = study.summary.page_tables()
    # Cells that are recorded may be in a store, too: only there are they linked to.
    return made if study.anchor != RECORDS else [_apart(table, study.anchor) for table in made]


def _apart(table: Table, prefix: str) -> Table:
    rows = tuple(
        dataclasses.replace(
            row, anchor=None, values=tuple(dataclasses.replace(value, link=None) for value in row.values)
        )
        for row in table.rows
    )
    caption = table.caption.replace("Online:", "Recorded:")
    return dataclasses.replace(table, anchor=f"{prefix}-{table.anchor}", caption=caption, rows=rows)


def _figures(studies: Sequence[Study]) -> tuple[list[Shown], list[str]]:
    """The first figures of every kind that the studies have, and what is left out."""
    shown: list[Shown] = []
    notes: list[str] = []
    for study in studies:
        for kind, drawings in _drawings(study):
            plot = f"{study.plot} --kind {kind}" if study.plot and kind != CORRELATIONS else ""
            kept = drawings[: min(A_KIND, MAX_FIGURES - len(shown))]
            for drawing in (one for one in kept if one.rows):
                shown.append(
                    Shown(picture(drawing, f"figure-{len(shown) + 1}"), study.anchor, study.title, plot)
                )
            if len(kept) < len(drawings):
                where = f"; {plot} draws them" if plot else ""
                left = len(drawings) - len(kept) + kept[0].left_out if kept else len(drawings)
                notes.append(f"{study.title}: {left} more figures of kind {kind} are not shown{where}.")
    return shown, notes


def _drawings(study: Study) -> Iterable[tuple[str, Sequence[Drawing]]]:
    for kind in study.summary.kinds:
        yield kind, study.summary.drawings(kind)
    yield CORRELATIONS, [correlation_drawing(report) for report in study.reports]


def _lead(sources: Sources, records: Sequence[Path], probes: Sequence[Path]) -> str:
    cells = len({cell for source in sources.stores for cell in source.cells})
    replicates = sum(sum(part.stored.values()) for part in sources.parts)
    parts = []
    if sources.stores:
        names = ", ".join(str(source.path) for source in sources.stores[:5])
        more = f" and {len(sources.stores) - 5} more" if len(sources.stores) > 5 else ""
        parts.append(f"{replicates:,} replicates of {cells:,} cells from {names}{more}")
    if records:
        parts.append(f"records from {', '.join(str(path) for path in records)}")
    if probes:
        parts.append(f"correlations from {', '.join(str(path) for path in probes)}")
    return (
        "Which claims of progressive distillation on sparse parities hold, how surely, and how to run each again. "
        f"Measured here: {'; '.join(parts)}."
    )


def _source_table(sources: Sources) -> Table:
    columns = (
        Column("store"),
        Column("cells", numeric=True),
        Column("replicates", numeric=True),
        Column("missing", numeric=True, meaning="of those that runs asked for"),
    )
    rows = [
        Row(
            (
                Value(str(source.path), code=True),
                count(len(source.cells)),
                count(source.replicates),
                count(source.missing),
            )
        )
        for source in sources.stores
    ]
    return Table.of("stores", "Stores", columns, rows)


def _version_table() -> Table:
    rows = [Row((text(name), text(value))) for name, value in versions().items()]
    rows.append(Row((text("fingerprint of the code"), Value(fingerprint(), code=True))))
    return Table.of("versions", "Versions, of what made this page", (Column("what"), Column("version")), rows)
