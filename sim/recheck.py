"""Checks of a packed study: is every byte the one that was packed, and does everything follow from the records.

The store is unpacked into a folder of its own and checked as every store is; tables, summaries and figures are made
again and compared. What depends on the versions of libraries is compared in value, or not at all, where they differ.
"""

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, final

from sim import archive, study
from sim.archive import DamagedError, Reader
from sim.compare import Comparing, DifferentError, alike, parquet_problem
from sim.errors import SimError
from sim.export import csv_into, parquet_into
from sim.schema import page
from sim.store import Store
from sim.study import Part
from sim.verify import Report, Tell, check_store, silent
from sim.versions import UNKNOWN, fingerprint, versions

OTHER_VERSIONS = "it was made by other versions, which may make others"
STORE_SHARE = 0.7
"""Of the work, for the display, that checking the store is."""


def verify_archive(path: Path, replicates: int, seconds: float, tell: Tell = silent) -> Report:
    """Check an archive.

    Args:
        path: the archive.
        replicates, seconds, tell: as for `sim.verify.verify_store`.

    Raises:
        SimError: it is no archive of a study, or of a newer version, or there is no room to unpack it.
    """
    report = Report()
    try:
        with Reader(path) as reader:
            tell("every byte", 0.0)
            for subject, problem in reader.checks():
                report.add(subject, problem)
            contents = _Contents(reader, report, tell)
            contents.note_versions()
            if report.failures:
                report.skip("what follows from the records", "the archive is not as it was packed")
            else:
                contents.check(replicates, seconds)
    except DamagedError as error:
        report.add("archive", f"it was cut short or altered: {error}")
    report.close()
    return report


@final
class _Contents:
    """The members of an archive of which every byte is as the manifest says."""

    def __init__(self, reader: Reader, report: Report, tell: Tell) -> None:
        self._reader, self._report, self._tell = reader, report, tell
        self._here = {**versions(), "fingerprint": fingerprint()}
        self._stated = _stated(reader.manifest, list(self._here))
        self._same = self._stated == self._here
        self._same_code = self._agrees("fingerprint")

    def note_versions(self) -> None:
        """Say by which versions the archive was packed, and whether they are these."""
        stated, here = self._stated, self._here
        package = f"sparse-parity {stated['package']}, fingerprint {stated['fingerprint'][:12]}"
        self._report.note(
            f"packed by {package}, {'all versions as here' if self._same else 'with other versions'}"
        )
        for name in here:
            if not self._agrees(name):
                self._report.note(f"packed with {name} {stated[name]}, here {here[name]}")

    def check(self, replicates: int, seconds: float) -> None:
        """Unpack the store, check it, make the other members again and compare."""
        if study.STORE not in self._reader.members:
            self._report.add("store", f"there is no {study.STORE}")
            return
        with tempfile.TemporaryDirectory(prefix="sparse-parity-") as name:
            folder = Path(name)
            self._refuse_if_too_large(folder)
            self._reader.extract(study.STORE, folder / study.STORE)
            self._check_store(folder, replicates, seconds)
            # Files are said by their names in the archive.
            self._report.lines[:] = [line.replace(f"{folder}/", "") for line in self._report.lines]

    def _check_store(self, folder: Path, replicates: int, seconds: float) -> None:
        problem = _foreign(folder / study.STORE)
        self._report.add("store: schema", problem)
        if problem is not None:
            return
        try:
            with Store(folder / study.STORE, write=False) as store:
                check_store(store, replicates, seconds, self._report, self._tell_of_store)
                self._check_members(store, folder)
        except SimError as error:
            self._report.add("store", _told(error))

    def _agrees(self, name: str) -> bool:
        return self._stated[name] == self._here[name]

    def _tell_of_store(self, text: str, share: float) -> None:
        self._tell(text, STORE_SHARE * share)

    def _refuse_if_too_large(self, folder: Path) -> None:
        """Refuse what would take more than half of the room that there is."""
        members = self._reader.members
        kept = (name for name in members if name == study.STORE or name.endswith(".parquet"))
        needed = 2 * sum(members[name]["size"] for name in kept)  # the store is written a second time
        room = shutil.disk_usage(folder).free
        if needed > room // 2:
            raise SimError(
                f"archive {self._reader.path} needs {needed} bytes to be unpacked, and {folder.parent} has {room}: "
                "make room, or set TMPDIR to another folder"
            )

    def _check_members(self, store: Store, folder: Path) -> None:
        parts = study.parts_of(store)
        expected, found = study.members(parts), tuple(self._reader.members)
        same = found == expected
        self._report.add("members", None if same else f"the records ask for {', '.join(expected)}")
        if not same:
            return
        attempt = self._attempt
        attempt("manifest: outcomes", lambda: self._overview_problem(parts))
        attempt(study.SPECIFICATION, self._problem(study.SPECIFICATION, lambda: study.specification(parts)))
        attempt(study.COLUMNS, self._problem(study.COLUMNS, page), when=self._same_code)
        attempt(study.README, self._problem(study.README, lambda: study.readme(parts)), when=self._same_code)
        for done, part in enumerate(parts):
            share = STORE_SHARE + (1 - STORE_SHARE) * done / len(parts)
            self._tell(f"tables, summary and figure of {part.name}", share)
            csv, parquet = part.tables
            attempt(csv, partial(self._csv_problem, csv, part))
            attempt(parquet, partial(self._parquet_problem, parquet, part, folder))
            as_json, text = part.summaries
            attempt(as_json, partial(self._summary_problem, as_json, part))
            attempt(text, self._problem(text, part.summary_text), when=self._same)
            for figure in part.figures:
                attempt(figure, partial(self._figure_problem, figure, part, folder), when=self._same)
        attempt(
            study.STORE,
            lambda: self._store_problem(store, folder),
            when=self._same_code and self._agrees("sqlite"),
        )

    def _attempt(self, name: str, problem: Callable[[], str | None], *, when: bool = True) -> None:
        """One check; what cannot be made from the records, whatever is wrong with them, fails it."""
        if not when:
            self._report.skip(f"{name} made again", OTHER_VERSIONS)
            return
        try:
            found = problem()
        except (SimError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            found = f"it cannot be made again: {_told(error)}"
        self._report.add(f"{name} made again", found)

    def _problem(self, name: str, make: Callable[[], str]) -> Callable[[], str | None]:
        """Compares a small member with a text."""
        return lambda: None if make().encode() == self._reader.read(name) else "it differs"

    def _overview_problem(self, parts: list[Part]) -> str | None:
        again = study.overview(parts)
        stated = {name: self._reader.manifest.get(name) for name in again}
        if not self._same_code:
            for value in (again, stated):
                value["protocols"] = _without_commands(value["protocols"])
        return None if stated == again else "it states others"

    def _csv_problem(self, name: str, part: Part) -> str | None:
        return self._stream_problem(name, lambda file: csv_into(part.store, part.protocol, part.cells, file))

    def _parquet_problem(self, name: str, part: Part, folder: Path) -> str | None:
        if self._agrees("pyarrow"):
            return self._stream_problem(
                name, lambda file: parquet_into(part.store, part.protocol, part.cells, file)
            )
        self._reader.extract(name, folder / name)
        return parquet_problem(folder / name, part.store, part.protocol, part.cells)

    def _stream_problem(self, name: str, make: Callable[[Any], object]) -> str | None:
        sink = Comparing(self._reader.stream(name))
        try:
            make(sink)
        except DifferentError:
            return "it differs"
        return None if sink.at_end() else "it has more than the records say"

    def _summary_problem(self, name: str, part: Part) -> str | None:
        again, stated = part.summary_json(), self._reader.read(name).decode()
        if again == stated or (not self._same and alike(json.loads(again), json.loads(stated))):
            return None
        return "it differs"

    def _figure_problem(self, name: str, part: Part, folder: Path) -> str | None:
        part.draw(folder / name)
        return None if (folder / name).read_bytes() == self._reader.read(name) else "it differs"

    def _store_problem(self, store: Store, folder: Path) -> str | None:
        again = folder / "again.sqlite"
        study.rewrite(store, again)
        same = archive.file_hash(again) == self._reader.members[study.STORE]["sha256"]
        return None if same else "it is not written as pack writes stores"


def _stated(manifest: dict[str, Any], names: list[str]) -> dict[str, str]:
    """The versions that a manifest states, as text that a terminal can show."""
    found = manifest.get("versions")
    values = {**(found if isinstance(found, dict) else {}), "fingerprint": manifest.get("fingerprint")}
    return {
        name: "".join(c for c in str(values.get(name, UNKNOWN))[:100] if c.isprintable()) for name in names
    }


def _foreign(path: Path) -> str | None:
    """What a database has that no store has, and that runs code of its own when it is read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("SELECT type, name, coalesce(sql, '') FROM sqlite_master").fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        return f"it cannot be read: {error}"
    for kind, name, sql in found:
        if kind not in ("table", "index") or re.search(r"\bVIRTUAL\b|\bAS\s*\(", sql, re.IGNORECASE):
            return f"it has {kind} {name!r}, which no store has"
    return None


def _told(error: Exception) -> str:
    """An error's first line."""
    line = str(error).partition("\n")[0]
    return line if isinstance(error, SimError) else f"{type(error).__name__} {line}"


def _without_commands(protocols: object) -> object:
    if not isinstance(protocols, dict):
        return protocols
    return {
        name: {key: value for key, value in own.items() if "command" not in key}
        if isinstance(own, dict)
        else own
        for name, own in protocols.items()
    }
