"""What a packed study says of its store: the members of an archive but for the store itself, each a function of it."""

import io
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import final

from rich.console import Console

from sim.commands import commands
from sim.files import FIGURE_SUFFIXES
from sim.protocol.base import Json, Protocol, Summary
from sim.protocol.registry import PROTOCOLS, protocol_of
from sim.schema import TABLE_VERSION
from sim.store import Store, StoredCell
from sim.verbs import common

STORE = "store.sqlite"
SPECIFICATION = "specification.json"
README = "README.txt"
COLUMNS = "tables.md"
OUTCOMES = {
    0: "done and consistent",
    1: "a bound or a prediction is contradicted",
    3: "undecided, incomplete, or a network diverged",
}
"""What exit codes of `run` mean."""


@final
@dataclass(frozen=True)
class Part:
    """The cells of one protocol.

    Attributes:
        store: an open store.
        protocol: of the cells.
        cells: all that the store has of it, in their order.
        wanted: replicates by cell id: as many as runs asked for, or, where the store does not know, up to the last that
            is there, and one at least.
        stored: replicates that are there, by cell id.
        missing: how many of the wanted ones are not.
    """

    store: Store
    protocol: Protocol
    cells: tuple[StoredCell, ...]
    wanted: dict[str, int]
    stored: dict[str, int]
    missing: int

    @property
    def name(self) -> str:
        """Of the protocol."""
        return self.protocol.name

    @property
    def tables(self) -> tuple[str, str]:
        """Names of the tables: CSV, Parquet."""
        return f"table-{self.name}.csv", f"table-{self.name}.parquet"

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures."""
        return tuple(f"figure-{self.name}{suffix}" for suffix in FIGURE_SUFFIXES)

    @property
    def summaries(self) -> tuple[str, str]:
        """Names of the summaries: JSON, text."""
        return f"summary-{self.name}.json", f"summary-{self.name}.txt"

    @cached_property
    def summary(self) -> Summary:
        """As `run` prints it of all the cells."""
        return self.protocol.summarise(self.store, self.cells, self.wanted)

    def summary_json(self) -> str:
        """What `run --json` prints."""
        return json.dumps(self.summary.json(), indent=2) + "\n"

    def summary_text(self) -> str:
        """What `run` prints, at the width that it has in files."""
        text = io.StringIO()
        self.summary.print(
            Console(file=text, width=common.TABLE_WIDTH, color_system=None, force_terminal=False)
        )
        return text.getvalue()

    def draw(self, path: Path) -> None:
        """Draw the figure, as `plot` does, whatever the user's own settings of matplotlib."""
        from matplotlib import style

        with style.context("default"):
            common.draw(self.summary, [path])

    def overview(self) -> Json:
        """For the manifest."""
        own = commands([(stored, self.wanted[stored.cell.id]) for stored in self.cells])
        return {
            "protocol": self.protocol.tag(),
            "cells": len(self.cells),
            "replicates": sum(self.stored.values()),
            "missing": self.missing,
            "exit_code": self.summary.exit_code,
            "outcome": OUTCOMES[self.summary.exit_code],
            "commands": list(own.lines),
            "cells_without_command": own.without,
        }


def parts_of(store: Store) -> list[Part]:
    """The protocols of a store, in a fixed order.

    Raises:
        StoreError: the store cannot be read.
    """
    with store.snapshot():
        cells, known, counts = store.cells(), store.wanted(), store.counts()
        parts = []
        for protocol in PROTOCOLS.values():
            own = tuple(stored for stored in cells if protocol_of(stored.cell) is protocol)
            ids = [stored.cell.id for stored in own]
            unknown = {i: max(store.replicates(i), default=0) + 1 for i in ids if i not in known}
            wanted = {i: unknown.get(i) or known[i] for i in ids}
            stored = {i: counts[i].stored for i in ids}
            missing = sum(wanted[i] - stored[i] if i in unknown else counts[i].missing or 0 for i in ids)
            if own:
                parts.append(Part(store, protocol, own, wanted, stored, missing))
    return parts


def members(parts: list[Part]) -> tuple[str, ...]:
    """Names of all members but the manifest, in their order."""
    own = (name for part in parts for name in (*part.tables, *part.figures, *part.summaries))
    return README, SPECIFICATION, COLUMNS, *own, STORE


def specification(parts: list[Part]) -> str:
    """Every cell with all that changes its outcome, its theory, and how many replicates are wanted and stored."""
    cells = [
        {
            "id": stored.cell.id,
            "label": stored.cell.label(),
            "wanted": part.wanted[stored.cell.id],
            "stored": part.stored[stored.cell.id],
            "spec": stored.cell.spec(),
            "theory": stored.theory,
        }
        for part in parts
        for stored in part.cells
    ]
    return json.dumps({"cells": cells}, indent=2, sort_keys=True) + "\n"


def overview(parts: list[Part]) -> Json:
    """The part of the manifest that follows from the records."""
    return {"table_version": TABLE_VERSION, "protocols": {part.name: part.overview() for part in parts}}


BATCH = 10_000
"""Records of a transaction: the bytes of a rewritten store depend on that."""


def rewrite(source: Store, to: Path) -> None:
    """Write cells and records of a store into a new one, whose bytes depend on them alone (and on SQLite's version).

    Args:
        source: an open store.
        to: where there is no file.

    Raises:
        StoreError: a record is not such as its protocol makes them, or a file cannot be read or written.
    """
    with source.snapshot(), Store(to, write=True) as target:
        cells = sorted(source.cells(), key=lambda stored: stored.cell.id)
        target.add_cells([(stored.cell, stored.theory) for stored in cells])
        target.want(dict(sorted(source.wanted().items())))
        records = ((s.cell.id, *record) for s in cells for record in source.checked_records_of(s.cell))
        while batch := list(islice(records, BATCH)):
            target.add_units([{identity: {replicate: payload}} for identity, replicate, payload in batch])


def readme(parts: list[Part]) -> str:
    """For whoever receives the archive."""
    return _README.format(
        what="\n".join(
            f"  {part.name}: {len(part.cells)} cells, {sum(part.stored.values())} replicates"
            f"{f' ({part.missing} missing)' if part.missing else ''}; {OUTCOMES[part.summary.exit_code]}"
            for part in parts
        )
    )


_README = """\
A study of sparse parities: records of simulated students, held against theory.

{what}

What is in it
  manifest.json            size and SHA-256 of every member, versions, outcomes, and the commands that make the cells
  specification.json       every cell: all that changes its outcome, its theory, replicates wanted and stored
  table-PROTOCOL.csv       the records as a table; tables.md says what each column means
  table-PROTOCOL.parquet   the same values, the columns' meanings beside them
  figure-PROTOCOL.png/svg  the figure
  summary-PROTOCOL.txt     the verdicts, as the run printed them; summary-PROTOCOL.json for programs
  store.sqlite             cells and records, from which all of the above is made

To verify it, with the package sparse-parity installed
  python -m sim.grid verify study.zip
(with the name that this file has) checks every byte, makes tables, summaries and figures again, and runs some
replicates of each cell again.

To continue it, unpack it and give the store
  python -m sim.grid status --out store.sqlite
  python -m sim.grid explain CELL --out store.sqlite
or run one of the manifest's commands with --out store.sqlite and more --replicates. With another --out the same
commands repeat the study from nothing; the records come out the same.
"""
