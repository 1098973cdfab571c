"""The page: what is on it, in the order in which it stands there, and how it becomes HTML.

Text from stores reaches the page through Jinja's escaping alone. Should that ever fail, the page's own policy allows no
script but the one that it brings, known by its hash, and no request at all.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from sim.claims.ledger import Ledger
from sim.files import write_whole
from sim.report.lines import Line
from sim.report.picture import Picture
from sim.report.sources import Command
from sim.report.table import Table
from theory.verdict import Verdict

ORDER = (Verdict.CONTRADICTED, Verdict.UNDECIDED, Verdict.CONSISTENT)


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """A figure, the section that its cells are in, and the command that draws it; empty for none."""

    picture: Picture
    section: str
    title: str
    command: str


@final
@dataclass(frozen=True, slots=True)
class Section:
    """Tables of one protocol."""

    anchor: str
    title: str
    lead: str
    tables: tuple[Table, ...]


@final
@dataclass(frozen=True)
class Page:
    """All that is on the page.

    Attributes:
        title, lead: its head.
        command: that makes it again.
        ledger: the claims, `entries` as they are shown.
        figures, figure_notes: the figures, and what is left out.
        sections: tables of measurements.
        commands, command_notes: what makes the cells.
        sources, versions: tables of the stores, and of what computed.
        method: sentences on intervals and levels.
    """

    title: str
    lead: str
    command: str
    ledger: Ledger
    entries: tuple[Line, ...]
    figures: tuple[Shown, ...]
    figure_notes: tuple[str, ...]
    sections: tuple[Section, ...]
    commands: tuple[Command, ...]
    command_notes: tuple[str, ...]
    sources: Table
    versions: Table
    method: tuple[str, ...]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Lines of the ledger by verdict."""
        names = [line.verdict for line in self.entries]
        return {name: names.count(name) for name in (*(v.value for v in ORDER), "open")}

    @property
    def parts(self) -> Iterable[tuple[str, str]]:
        """Anchors and names for the navigation."""
        yield from (("claims", "Claims"), ("figures", "Figures"))
        yield from ((section.anchor, section.title) for section in self.sections)
        yield from (("commands", "Commands"), ("method", "Stores, intervals, versions"))

    @cached_property
    def _by_cell(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, command in enumerate(self.commands, 1):
            for cell in command.cells:
                found.setdefault(cell, []).append(number)
        return found

    def commands_of(self, cells: Sequence[str]) -> list[int]:
        """Numbers of the commands that make these cells, one for each cell."""
        return sorted({self._by_cell[cell][0] for cell in cells if cell in self._by_cell})

    def html(self) -> str:
        """The page."""
        script = _read("script.js").rstrip("\n")
        inner = f"\n{script}\n"
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        environment = Environment(
            loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        return environment.get_template("report.html").render(
            page=self,
            style=Markup(_read("style.css").rstrip("\n")),
            script=Markup(script),
            script_hash=f"sha256-{digest}",
        )

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all.

        Raises:
            SimError: it cannot be written; what was there is left.
        """
        write_whole(path, self.html())

    def lines(self) -> Iterable[str]:
        """What the page says, in a few lines for a terminal."""
        for line in self.entries:
            if line.verdict == Verdict.CONTRADICTED.value:
                setting = f" ({line.setting})" if line.setting else ""
                yield f"CONTRADICTED: {line.id}{setting}: {line.reason}"
        yield "claims: " + ", ".join(f"{number} {name}" for name, number in self.counts.items())


def _read(name: str) -> str:
    return files("sim.report").joinpath("templates", name).read_text(encoding="utf-8")
