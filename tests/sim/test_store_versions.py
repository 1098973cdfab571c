"""Stores of version 1: read as they are, and brought to the present version when they are opened for writing."""

import json
import sqlite3
from pathlib import Path

import pytest

from sim.errors import StoreError
from sim.store import SCHEMA_VERSION, Count, Store
from sim.store.rows import Rows
from tests.sim.conftest import call, run_grid, table, tree
from tests.sim.stores import content, first_version


@pytest.fixture
def old(tiny: Path, tmp_path: Path) -> Path:
    """A store of version 1 with the content of `tiny`, in a folder of its own."""
    path = tmp_path / "old" / "s.sqlite"
    path.parent.mkdir()
    first_version(tiny, path)
    return path


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    ((value,),) = connection.execute("PRAGMA user_version")
    connection.close()
    return int(value)


def change(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql)
    connection.close()


def test_an_old_store_is_read_and_left_as_it_is(old: Path, tiny: Path) -> None:
    before = tree(old.parent)
    assert content(old) == content(tiny)
    assert table(old) == table(tiny)
    assert call("status", "--out", old).out == call("status", "--out", tiny).out.replace(str(tiny), str(old))
    assert call("verify", "--out", old).out == call("verify", "--out", tiny).out
    with Store(old, write=False) as store:
        assert not store.has_sums
        store.check()
    assert tree(old.parent) == before


@pytest.mark.parametrize("wanted", [True, False])
def test_an_old_store_is_brought_up_to_date_when_it_is_written(
    wanted: bool, tiny: Path, tmp_path: Path
) -> None:
    path = tmp_path / "s.sqlite"
    first_version(tiny, path, wanted=wanted)
    before = content(path)
    with Store(path, write=True) as store:
        assert store.has_sums
        store.check()
        assert set(store.counts().values()) == {Count(6, 0 if wanted else None)}
    assert version(path) == SCHEMA_VERSION
    assert content(path) == before
    # It is a store like any other, with the very same tables.
    with Store(path, write=False) as store:
        store.check()
    assert run_grid(path).code in (0, 3)
    assert table(path) == table(tiny)


def test_bringing_up_to_date_is_all_or_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(old.parent)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "put_wanted", fail)
        with pytest.raises(KeyboardInterrupt):
            Store(old, write=True)
    assert version(old) == 1
    assert tree(old.parent) == before
    Store(old, write=True).close()
    assert version(old) == SCHEMA_VERSION


BAD = {
    "a record that is none": ("UPDATE records SET payload = '{}' WHERE replicate = 2", "has no success"),
    "a record that is no object": (
        "UPDATE records SET payload = '3' WHERE replicate = 2",
        "is not a JSON object",
    ),
    "a cell that is another": (
        f"UPDATE cells SET spec = replace(spec, '{json.dumps(64)}', '65')",
        "does not match its content",
    ),
    "a number that is a text": ("UPDATE wanted SET replicates = 'x'", "is not what it should be"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_old_store_that_is_not_whole_is_left_as_it_is(what: str, old: Path) -> None:
    sql, reason = BAD[what]
    change(old, sql)
    before = tree(old.parent)
    with pytest.raises(StoreError, match=reason):
        Store(old, write=True)
    assert tree(old.parent) == before


def test_the_version_must_be_that_of_the_tables(old: Path, tiny: Path) -> None:
    for path, number in ((old, SCHEMA_VERSION), (tiny, 1), (tiny, 0), (tiny, -1)):
        change(path, f"PRAGMA user_version = {number}")
        for write in (True, False):
            with pytest.raises(StoreError, match="its tables are not those of a store"):
                Store(path, write=write)
    change(tiny, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer version"):
        Store(tiny, write=False)


def test_the_tables_must_be_what_they_are_to_the_letter(tiny: Path) -> None:
    data, rule = tiny.read_bytes(), b"CHECK (replicate >= 0)"
    assert data.count(rule) == 1
    tiny.write_bytes(data.replace(rule, b"CHECK (replicate >= 8)"))
    with pytest.raises(StoreError, match="its tables are not those of a store"):
        Store(tiny, write=False)


def test_what_sqlite_says_of_a_damaged_table_is_one_line(tiny: Path) -> None:
    # An opening quote makes a name of all that follows, ends of lines among it, and SQLite repeats it.
    tiny.write_bytes(tiny.read_bytes().replace(b"spec TEXT NOT NULL", b'spec TEXT"NOT NULL'))
    with pytest.raises(StoreError, match="unrecognized token") as caught:
        Store(tiny, write=False)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300 + 2 * len(str(tiny))


def test_a_store_is_of_the_newest_version_from_the_start(tmp_path: Path) -> None:
    Store(tmp_path / "s.sqlite", write=True).close()
    assert version(tmp_path / "s.sqlite") == SCHEMA_VERSION
