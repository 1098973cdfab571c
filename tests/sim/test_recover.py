"""Recovering: what is said of what was lost, what a run makes of it, and what is refused."""

import random
import sqlite3
from pathlib import Path

import pytest

from sim.errors import SimError, StoreError
from sim.store import Store
from sim.store.recover import recover_store
from sim.verbs.stores import recover
from tests.sim.conftest import run_grid, table, tree
from tests.sim.stores import (
    CELLS_OF,
    HARMS,
    assert_true,
    changed,
    content,
    first_version,
    killed,
    large,
    recovered_or_nothing,
)


@pytest.fixture(params=["tiny", "large"])
def whole(request: pytest.FixtureRequest, tmp_path: Path, tiny: Path) -> Path:
    """A store of a real grid, and one whose rows lie on overflow pages."""
    if request.param == "tiny":
        return tiny
    path = tmp_path / "large" / "s.sqlite"
    path.parent.mkdir()
    large(path)
    return path


def test_an_intact_store_is_recovered_as_it_is(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, out = tree(whole.parent), tmp_path / "out" / "new.sqlite"
    out.parent.mkdir()
    assert recover(whole, out) == 0
    cells, _, records = content(whole)
    assert capsys.readouterr().out == (
        f"recovered {len(cells)} cells and {len(records)} records of {whole} into {out}; nothing was lost\n"
    )
    assert content(out) == content(whole)
    assert tree(whole.parent) == before
    assert [p.name for p in out.parent.iterdir()] == [out.name]


def harm_text(path: Path, text: str) -> None:
    """Change one byte in the only place where a text is in a file."""
    data = path.read_bytes()
    assert data.count(text.encode()) == 1
    at = data.index(text.encode())
    path.write_bytes(changed(data, at, data[at] ^ 1)[0])


def test_the_same_command_runs_again_what_was_lost(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_table = table(tiny)
    with Store(tiny, write=False) as store:
        cells = [s.cell for s in store.cells()]
        digest = store.records(cells[0].id)[3]["digest"]
    harm_text(tiny, digest)
    out = tmp_path / "new.sqlite"
    assert recover(tiny, out) == 3
    assert capsys.readouterr().out == (
        f"recovered 6 cells and 35 records of {tiny} into {out}; 1 record was lost: run the same command on it to run "
        "again what is missing\n"
    )
    assert run_grid(out).code in (0, 3)
    assert table(out) == whole_table


def test_records_of_a_lost_cell_count_again_when_a_run_brings_it_back(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole_table = table(tiny)
    connection = sqlite3.connect(tiny)
    ((spec, cell),) = connection.execute("SELECT spec, id FROM cells LIMIT 1")
    connection.close()
    harm_text(tiny, spec)
    out = tmp_path / "new.sqlite"
    assert recover(tiny, out) == 3
    assert capsys.readouterr().out == (
        f"recovered 5 of 6 cells and 36 records of {tiny} into {out}; 1 cell was lost (but records of 1 are kept): "
        "run the same command on it to run again what is missing\n"
    )
    with Store(out, write=False) as store:
        assert len(store.cells()) == 5
        assert len(store.replicates(cell)) == 6
        store.check()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.verbs.run._work", None)  # there is nothing to run
        assert run_grid(out).code in (0, 3)
    assert table(out) == whole_table


def test_what_is_not_known_is_said(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(tiny, write=True) as store:
        cell = store.bare_cells()[0].id
        store.want({cell: 10})
    connection = sqlite3.connect(tiny)
    with connection:
        connection.execute("DELETE FROM tallies WHERE name IN ('cells', 'wanted', ?)", (cell,))
        connection.execute("PRAGMA secure_delete = ON")
    connection.execute("VACUUM")
    connection.close()
    out = tmp_path / "new.sqlite"
    assert recover(tiny, out) == 3
    assert capsys.readouterr().out == (
        f"recovered 6 cells and 36 records of {tiny} into {out}; how many cells there were is not known, how many "
        "records there were is not known of 1 cell, how many replicates were asked for is not known of all cells: "
        "run the same command on it to run again what is missing\n"
    )


def test_of_several_theories_of_a_cell_the_newest_is_recovered(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path, write=True) as store:
        for delta in range(5):
            store.add_cells([(CELLS_OF[0], {"delta": delta})])
        copy = killed(path, tmp_path / "killed.sqlite")  # all five are in its -wal file
    recover_store(copy, tmp_path / "new.sqlite")
    assert content(tmp_path / "new.sqlite")[0] == {CELLS_OF[0].id: {"delta": 4}}


# what is refused, and what is not known


@pytest.mark.parametrize("kind", ["text", "empty", "another database", "noise"])
def test_nothing_can_be_recovered_of_what_is_no_store(kind: str, tmp_path: Path) -> None:
    path, out = tmp_path / "x.sqlite", tmp_path / "new.sqlite"
    path.write_bytes({"text": b"hello", "noise": random.Random(1).randbytes(1 << 16)}.get(kind, b""))
    if kind == "another database":
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("CREATE TABLE cells (id TEXT, spec TEXT, theory TEXT)")
            connection.execute("INSERT INTO cells VALUES (?, '{}', '{}')", ("a" * 64,))
        connection.close()
    with pytest.raises(StoreError, match=f"nothing of {path} can be recovered"):
        recover_store(path, out)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_recovering_overwrites_nothing_and_does_not_disturb_a_run(tiny: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.sqlite"
    there.write_text("mine")
    for out in (there, tiny):
        with pytest.raises(StoreError, match="is there already"):
            recover_store(tiny, out)
    assert there.read_text() == "mine"
    new = tmp_path / "new.sqlite"
    with Store(tiny, write=True), pytest.raises(StoreError, match="is in use by another run"):
        recover_store(tiny, new)
    with pytest.raises(StoreError, match="No such file"):
        recover_store(tmp_path / "none.sqlite", new)
    with pytest.raises(SimError, match="cannot be written: No such file"):
        recover_store(tiny, tmp_path / "no" / "new.sqlite")
    with pytest.raises(StoreError, match="is not a file"):
        recover_store(tmp_path, new)
    assert not new.exists()


def test_an_empty_store_is_recovered(tmp_path: Path) -> None:
    Store(tmp_path / "s.sqlite", write=True).close()
    assert recover_store(tmp_path / "s.sqlite", tmp_path / "new.sqlite").losses() == []
    with Store(tmp_path / "new.sqlite", write=False) as store:
        assert store.cells() == []


# version 1


def test_an_old_store_is_recovered(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, out = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    first_version(tiny, old)
    assert recover(old, out) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"recovered 6 cells and 36 records of {old} into {out}; nothing was lost, and rows of"
    )
    assert content(out) == content(tiny)


def test_of_a_damaged_old_store_only_what_is_a_record_is_recovered(tiny: Path, tmp_path: Path) -> None:
    old, good = tmp_path / "old.sqlite", content(tiny)
    first_version(tiny, old)
    data = old.read_bytes()
    for trial in range(10):
        bad, _ = HARMS["a page of noise"](data, random.Random(trial))
        old.write_bytes(bad)
        out = tmp_path / f"{trial}.sqlite"
        report = recovered_or_nothing(old, out)
        if report is None:  # the page of the cells, without which no record can be judged
            continue
        assert report.losses() == ["how much there was is not known"]
        assert_true(content(out), good)
        with Store(out, write=False) as store:
            assert store.has_sums
            store.check()


def test_of_two_versions_of_an_old_record_none_is_taken(tiny: Path, tmp_path: Path) -> None:
    old, out = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    first_version(tiny, old)
    with Store(tiny, write=False) as store:
        cell = store.bare_cells()[0]
        text = store.records(cell.id)[2]["digest"]
    connection = sqlite3.connect(old)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    with connection:
        connection.execute("UPDATE records SET payload = replace(payload, ?, ?)", (text, "f" * 32))
    connection.execute("SELECT 1")
    copy = killed(old, tmp_path / "killed.sqlite")
    connection.close()
    recover_store(copy, out)
    with Store(out, write=False) as store:
        assert store.replicates(cell.id) == {0, 1, 3, 4, 5}
