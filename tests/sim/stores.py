"""Stores of tests: small ones, their content, and ways to harm them."""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sim.cell import FirstStepCell, canonical_json
from sim.errors import StoreError
from sim.schedule import CrossEntropy, Progressive
from sim.store import APPLICATION_ID, Store
from sim.store.recover import Recovered, recover_store
from sim.store.schema import CELLS, WANTED, Tally, sum_of

CELLS_OF = [
    FirstStepCell("first-step/1", n, 2, 4, s, 64, 1, 0)
    for n in (9, 12)
    for s in (CrossEntropy(), Progressive())
]
THEORY = {"delta": 0.1}

FIRST_VERSION = (
    """CREATE TABLE cells (
  id TEXT PRIMARY KEY,
  spec TEXT NOT NULL,
  theory TEXT NOT NULL
) WITHOUT ROWID""",
    """CREATE TABLE records (
  cell TEXT NOT NULL REFERENCES cells(id),
  replicate INTEGER NOT NULL CHECK (replicate >= 0),
  payload TEXT NOT NULL,
  PRIMARY KEY (cell, replicate)
) WITHOUT ROWID""",
)
FIRST_WANTED = """CREATE TABLE wanted (
  cell TEXT PRIMARY KEY REFERENCES cells(id),
  replicates INTEGER NOT NULL CHECK (replicates >= 1)
) WITHOUT ROWID"""
"""It came later than the other tables."""

Content = tuple[dict[str, Any], dict[str, int], dict[tuple[str, int], Any]]


def content(path: Path) -> Content:
    """All that a store says: theories by cell, wanted numbers, and records of stored cells."""
    with Store(path, write=False) as store:
        cells = store.cells()
        records = {(s.cell.id, r): p for s in cells for r, p in store.records_of(s.cell.id)}
        return {s.cell.id: s.theory for s in cells}, store.wanted(), records


def reseal(connection: sqlite3.Connection) -> None:
    """Give all rows of an altered store the right sums and tallies again, as a program that knows them could."""
    tallies = {}
    for table, columns in (("cells", "id, spec, theory, revision"), ("wanted", "cell, replicates")):
        tally = Tally()
        for row in connection.execute(f"SELECT {columns} FROM {table}").fetchall():
            key = columns.split(",")[0]
            total = sum_of(table, *row)
            connection.execute(f"UPDATE {table} SET sum = ? WHERE {key} = ?", (total, row[0]))
            tally = tally.plus(total)
            tallies.setdefault(row[0], Tally())
        tallies[{"cells": CELLS, "wanted": WANTED}[table]] = tally
    for cell, replicate, payload in connection.execute(
        "SELECT cell, replicate, payload FROM records"
    ).fetchall():
        total = sum_of("records", cell, replicate, payload)
        connection.execute(
            "UPDATE records SET sum = ? WHERE cell = ? AND replicate = ?", (total, cell, replicate)
        )
        tallies[cell] = tallies.get(cell, Tally()).plus(total, replicate)
    connection.execute("DELETE FROM tallies")
    for name, tally in tallies.items():
        values = (name, tally.count, tally.total, tally.highest)
        connection.execute(
            "INSERT INTO tallies VALUES (?, ?, ?, ?, ?)", (*values, sum_of("tallies", *values))
        )


def first_version(source: Path, path: Path, *, wanted: bool = True) -> None:
    """A store of version 1 with the content of another store."""
    theories, numbers, records = content(source)
    with Store(source, write=False) as store:
        specs = {cell.id: canonical_json(cell.spec()) for cell in store.bare_cells()}
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        for statement in (*FIRST_VERSION, *([FIRST_WANTED] if wanted else [])):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        rows = ((i, spec, canonical_json(theories[i])) for i, spec in specs.items())
        connection.executemany("INSERT INTO cells VALUES (?, ?, ?)", rows)
        connection.executemany(
            "INSERT INTO records VALUES (?, ?, ?)",
            ((c, r, canonical_json(p)) for (c, r), p in records.items()),
        )
        if wanted:
            connection.executemany("INSERT INTO wanted VALUES (?, ?)", numbers.items())
    connection.close()


def large(path: Path, cells: int = 3, replicates: int = 12, size: int = 6000) -> None:
    """A store whose rows lie on overflow pages."""
    chance = random.Random(7)
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY | {"curve": curve(chance, size)}) for cell in CELLS_OF[:cells])
        store.want({cell.id: replicates for cell in CELLS_OF[:cells]})
        for cell in CELLS_OF[:cells]:
            store.add_records(cell.id, {r: {"curve": curve(chance, size)} for r in range(replicates)})


def curve(chance: random.Random, size: int) -> list[float]:
    """Numbers of so many characters together, each there once only."""
    return [chance.random() for _ in range(size // 20)]


def pages_of_records(path: Path) -> dict[tuple[str, int], set[int]]:
    """On which pages of the file a piece of a record lies: 6 bytes in a row that no other record has.

    Of each record all of the payload and the sum is looked at. A page that was split can have an old copy.
    """
    data, pages = path.read_bytes(), dict[bytes, set[int]]()
    for page in range(len(data) // PAGE):
        for piece in _pieces(data[page * PAGE : (page + 1) * PAGE]):
            pages.setdefault(piece, set()).add(page)
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT cell, replicate, payload, sum FROM records").fetchall()
    connection.close()
    pieces = {(c, r): _pieces(p.encode() + s.to_bytes(8, "big", signed=True)) for c, r, p, s in rows}
    times = Counter(piece for of_row in pieces.values() for piece in of_row)
    return {
        key: set[int]().union(*(pages.get(piece, ()) for piece in of_row if times[piece] == 1))
        for key, of_row in pieces.items()
    }


def _pieces(content: bytes) -> set[bytes]:
    return {content[at : at + 6] for at in range(len(content) - 5)}


def killed(path: Path, to: Path) -> Path:
    """A copy of an open store with its -wal file, as they are if the process ends now."""
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{to}{suffix}")
    return to


def read(path: Path) -> Content | None:
    """What a store says; None for a refusal that is one sentence with advice."""
    try:
        return content(path)
    except StoreError as error:
        sentence = str(error)
        assert str(path) in sentence
        assert "\n" not in sentence
        assert len(sentence) < 400
        assert "recover" in sentence or "newer version" in sentence, sentence
        return None


def fresh(folder: Path) -> Iterator[Path]:
    """Names of files that are not there."""
    for number in range(100_000):
        yield folder / f"{number}.sqlite"


def recovered_or_nothing(path: Path, out: Path) -> Recovered | None:
    """What was recovered; None where nothing was left of the rows."""
    try:
        return recover_store(path, out)
    except StoreError as error:
        if "there are no rows of a store in it" in str(error):
            return None
        raise


def assert_true(found: Content, good: Content) -> None:
    """Nothing is in a store but what was written."""
    for part, of_good in zip(found, good, strict=True):
        assert part.items() <= of_good.items()


Harm = Callable[[bytes, random.Random], tuple[bytes, set[int]]]
"""The bytes of a damaged file, and which pages are not what they were."""

PAGE = 4096


def flipped_bit(content: bytes, chance: random.Random) -> tuple[bytes, set[int]]:
    at = chance.randrange(len(content))
    return changed(content, at, content[at] ^ 1 << chance.randrange(8))


def random_byte(content: bytes, chance: random.Random) -> tuple[bytes, set[int]]:
    at = chance.randrange(len(content))
    return changed(content, at, chance.randrange(256))


def zeroed_page(content: bytes, chance: random.Random) -> tuple[bytes, set[int]]:
    page = chance.randrange(len(content) // PAGE)
    return content[: page * PAGE] + bytes(PAGE) + content[(page + 1) * PAGE :], {page}


def noise_on_a_page(content: bytes, chance: random.Random) -> tuple[bytes, set[int]]:
    page = chance.randrange(len(content) // PAGE)
    return content[: page * PAGE] + chance.randbytes(PAGE) + content[(page + 1) * PAGE :], {page}


def truncated(content: bytes, chance: random.Random) -> tuple[bytes, set[int]]:
    length = chance.randrange(1, len(content))
    return content[:length], set(range(length // PAGE, len(content) // PAGE))


def changed(content: bytes, at: int, value: int) -> tuple[bytes, set[int]]:
    return content[:at] + bytes([value]) + content[at + 1 :], {at // PAGE}


HARMS: dict[str, Harm] = {
    "a flipped bit": flipped_bit,
    "a random byte": random_byte,
    "a page of zeros": zeroed_page,
    "a page of noise": noise_on_a_page,
    "truncated": truncated,
}
