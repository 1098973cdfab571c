import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sim.cell import FirstStepCell
from sim.errors import StoreError
from sim.schedule import CrossEntropy, Progressive
from sim.store import APPLICATION_ID, SCHEMA_VERSION, Store
from tests.sim.conftest import alter, run_grid, table

CELLS = [
    FirstStepCell("first-step/1", n, 2, 4, s, 64, 1, 0)
    for n in (9, 12)
    for s in (CrossEntropy(), Progressive())
]
THEORY = {"delta": 0.1}


def payload(text: str = "0011") -> dict[str, str]:
    return {"success": text, "digest": "ab"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of four cells with three replicates of the first."""
    path = tmp_path / "s.sqlite"
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS)
        store.add_records(CELLS[0].id, {r: payload() for r in (0, 2, 5)})
    return path


def test_what_is_written_is_read(path: Path) -> None:
    with Store(path, write=False) as store:
        assert {s.cell for s in store.cells()} == set(CELLS)
        assert all(s.theory == THEORY for s in store.cells())
        assert store.replicates(CELLS[0].id) == {0, 2, 5}
        assert store.records(CELLS[0].id) == {r: payload() for r in (0, 2, 5)}
        assert list(store.records(CELLS[0].id)) == [0, 2, 5]
        assert store.replicates(CELLS[1].id) == set()


def test_the_order_of_cells_does_not_depend_on_the_order_of_writing(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with Store(other, write=True) as store:
        for cell in reversed(CELLS):
            store.add_cells([(cell, THEORY)])
        again = [s.cell for s in store.cells()]
    with Store(path, write=False) as store:
        assert [s.cell for s in store.cells()] == again


def test_a_cell_is_found_by_a_unique_prefix(path: Path) -> None:
    with Store(path, write=False) as store:
        assert store.find(CELLS[2].id[:12]).cell == CELLS[2]
        assert store.find(CELLS[2].id).cell == CELLS[2]
        for prefix, count in (("zz", "no cell"), ("", "4 cells"), (CELLS[2].id + "0", "no cell")):
            with pytest.raises(StoreError, match=f"matches {count}"):
                store.find(prefix)


def test_theory_is_brought_up_to_date(path: Path) -> None:
    with Store(path, write=True) as store:
        store.add_cells([(CELLS[0], {"delta": 0.2})])
        assert {s.cell: s.theory["delta"] for s in store.cells()}[CELLS[0]] == 0.2
        assert len(store.records(CELLS[0].id)) == 3


def test_nothing_is_written_when_nothing_changes(path: Path) -> None:
    before, touched = path.read_bytes(), path.stat().st_mtime_ns
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS)
        store.add_records(CELLS[0].id, {0: payload(), 5: payload()})
        store.add_cells([])
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == touched
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_a_conflicting_record_is_refused_and_nothing_of_its_unit_is_written(path: Path) -> None:
    before = path.read_bytes()
    with (
        Store(path, write=True) as store,
        pytest.raises(StoreError, match=r"replicate 2 of cell .* another content"),
    ):
        store.add_records(CELLS[0].id, {1: payload(), 2: payload("1111"), 3: payload()})
    assert path.read_bytes() == before


def test_a_second_writer_is_refused_and_readers_are_not(path: Path) -> None:
    with Store(path, write=True) as first:
        with pytest.raises(StoreError, match="is in use by another run"):
            Store(path, write=True)
        with Store(path, write=False) as reader:
            assert len(reader.cells()) == 4
            first.add_records(CELLS[1].id, {0: payload()})
            assert reader.replicates(CELLS[1].id) == {0}
    Store(path, write=True).close()


def test_the_lock_is_given_back_by_closing_and_closing_twice_is_allowed(path: Path) -> None:
    store = Store(path, write=True)
    store.close()
    store.close()
    Store(path, write=True).close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()


def _foreign_marked(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("PRAGMA application_id = 7")
    connection.close()


def _newer(path: Path) -> None:
    Store(path, write=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def _damaged(path: Path) -> None:
    Store(path, write=True).close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))


BAD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "text": (lambda p: p.write_text("hello"), "is not one of our files"),
    "one byte": (lambda p: p.write_bytes(b"S"), "is not one of our files"),
    "a directory": (lambda p: p.mkdir(), "is not a file"),
    "another database": (_foreign, "is a database of another program"),
    "another marked database": (_foreign_marked, "is a database of another program"),
    "a newer version": (
        _newer,
        f"was written by a newer version .schema {SCHEMA_VERSION + 1}, here {SCHEMA_VERSION}.",
    ),
    "a damaged file": (_damaged, "cannot be read"),
    "a truncated file": (lambda p: p.write_bytes(b"SQLite format 3\x00"), "cannot be read"),
}


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_is_not_our_file_is_refused_and_left_alone(kind: str, write: bool, tmp_path: Path) -> None:
    make, reason = BAD_FILES[kind]
    path = tmp_path / "x.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreError, match=reason) as caught:
        Store(path, write=write)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_missing_store_is_refused_for_reading_and_made_for_writing(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with pytest.raises(StoreError, match="does not exist"):
        Store(path, write=False)
    assert not path.exists()
    with pytest.raises(StoreError, match="cannot be opened: No such file or directory"):
        Store(tmp_path / "no" / "folder.sqlite", write=True)
    with Store(path, write=True) as store:
        assert store.cells() == []
    assert path.exists()


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "/b"])
@pytest.mark.parametrize("write", [True, False])
def test_an_impossible_name_is_refused(name: str, write: bool, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="File name too long"):
        Store(tmp_path / name, write=write)


def _empty(path: Path) -> None:
    path.touch()


def _header_only(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


@pytest.mark.parametrize("left", [_empty, _header_only])
def test_a_store_killed_while_it_was_made_is_usable(left: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    left(path)
    with pytest.raises(StoreError):
        Store(path, write=False)
    with Store(path, write=True) as store:
        store.add_cells([(CELLS[0], THEORY)])
    with Store(path, write=False) as store:
        assert len(store.cells()) == 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_an_altered_cell_is_noticed(path: Path) -> None:
    spec = CELLS[0].spec() | {"seed": 1}
    alter(path, "UPDATE cells SET spec = ? WHERE id = ?", json.dumps(spec), CELLS[0].id)
    with Store(path, write=False) as store, pytest.raises(StoreError, match="does not match its content"):
        store.cells()


@pytest.mark.parametrize("column", ["spec", "theory"])
@pytest.mark.parametrize("text", ["", "{", "\x00"])
def test_a_cell_that_is_no_json_is_refused(path: Path, column: str, text: str) -> None:
    alter(path, f"UPDATE cells SET {column} = ? WHERE id = ?", text, CELLS[0].id)
    with (
        Store(path, write=False) as store,
        pytest.raises(StoreError, match=f"cell {CELLS[0].id[:12]} in .* altered"),
    ):
        store.cells()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_a_record_that_is_no_json_object_is_refused(path: Path, text: str) -> None:
    alter(path, "UPDATE records SET payload = ? WHERE replicate = 2", text)
    with (
        Store(path, write=False) as store,
        pytest.raises(StoreError, match=r"replicate 2 of cell .* altered"),
    ):
        store.records(CELLS[0].id)


@pytest.mark.parametrize("success", [None, 1, "", "000000", "00000000", "000000x", "000000\u0661"])
def test_a_record_without_one_outcome_a_point_is_refused(path: Path, success: object) -> None:
    good = {"success": "0000111", "digest": "d"}
    with Store(path, write=True) as store:
        store.add_records(CELLS[1].id, {0: good})
        assert store.checked_records(CELLS[1]) == {0: good}
    bad = {"digest": "d"} if success is None else good | {"success": success}
    alter(path, "UPDATE records SET payload = ? WHERE cell = ?", json.dumps(bad), CELLS[1].id)
    with (
        Store(path, write=False) as store,
        pytest.raises(StoreError, match=r"replicate 0 of cell .* 7 sample counts"),
    ):
        store.checked_records(CELLS[1])


def test_a_reader_cannot_write(path: Path) -> None:
    with Store(path, write=False) as store, pytest.raises(StoreError, match="cannot be written"):
        store.add_records(CELLS[0].id, {7: payload()})


FILL = """
import resource, sys
from pathlib import Path
from sim.cell import FirstStepCell
from sim.schedule import CrossEntropy
from sim.grid import main
limit = int(sys.argv[1])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


def _file_size_limit(path: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A run that may not write beyond the size that the files have."""
    limit = max(path.stat().st_size, 1 << 15) + 8192  # opening needs a file of 32 KiB
    return subprocess.run(
        [sys.executable, "-c", FILL, str(limit), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _small_disk(path: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A run on a disk of its own that has little more room than the files need; mounted for this process only."""
    script = f"""
set -e
cp {path} {path}.kept
mkdir disk
mount -t tmpfs -o size={path.stat().st_size + 65536} tmpfs disk
cp {path} disk/s.sqlite
set +e
"$@"
code=$?
cp disk/s.sqlite* {path.parent}
exit $code
"""
    moved = [a if a != str(path) else "disk/s.sqlite" for a in arguments]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", FILL, "0", *moved],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=4096 tmpfs /mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def test_a_full_disk_is_one_sentence_and_harms_nothing(tmp_path: Path) -> None:
    fill = _small_disk if can_mount() else _file_size_limit
    path = tmp_path / "s.sqlite"
    one_cell = ("--n", "9", "--k", "2", "--schedule", "cross-entropy", "--samples", "16")
    run_grid(path, grid=(*one_cell, "--replicates", "3"))
    earlier = table(path)
    # Many more replicates than fit.
    more = ["run", *one_cell, "--replicates", "1200", "--workers", "1", "--quiet", "--out", str(path)]
    result = fill(path, more)
    assert result.returncode == 2, result
    assert result.stdout == "", result
    assert result.stderr.startswith("error: store "), result
    assert "what was stored before is kept" in result.stderr
    assert result.stderr.count("\n") == 1
    rows = table(path).splitlines()
    assert set(earlier.splitlines()) <= set(rows)
    # With room again the run goes on.
    assert run_grid(path, grid=(*one_cell, "--replicates", "5")).code in (0, 3)
