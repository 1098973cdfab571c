"""Damaged stores: what is read is true or refused, and what is whole is recovered."""

import random
import sqlite3
from pathlib import Path

import pytest

from sim.store import Store
from sim.store.recover import recover_store
from sim.store.salvage import SIZES, Image, _local, _types
from tests.sim.conftest import run_grid, table
from tests.sim.stores import (
    CELLS_OF,
    HARMS,
    PAGE,
    THEORY,
    Content,
    assert_true,
    changed,
    content,
    curve,
    fresh,
    killed,
    large,
    pages_of_records,
    read,
    recovered_or_nothing,
)

TRIALS = 25
"""Of each harm to each store."""

WAL_TRIALS = 12


@pytest.fixture(scope="session")
def large_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "s.sqlite"
    large(path)
    return path


@pytest.fixture(params=["tiny", "large"])
def whole(request: pytest.FixtureRequest, large_store: Path, tiny: Path) -> Path:
    """A store of a real grid, and one whose rows lie on overflow pages; not to be changed."""
    return tiny if request.param == "tiny" else large_store


@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_noticed_or_harmless_and_what_is_whole_is_recovered(
    harm: str, whole: Path, tmp_path: Path
) -> None:
    good, data, names = content(whole), whole.read_bytes(), fresh(tmp_path)
    pages = pages_of_records(whole)
    noticed = recovered = 0
    for trial in range(TRIALS):
        bad, harmed = HARMS[harm](data, random.Random(f"{harm} {trial}"))
        path, out = next(names), next(names)
        path.write_bytes(bad)
        found = read(path)
        assert found in (None, good)
        noticed += found is None
        path.write_bytes(bad)  # a reader may have left -shm files, never another content
        report = recovered_or_nothing(path, out)
        if report is None:
            assert harm == "truncated"
            continue
        recovered += 1
        assert path.read_bytes() == bad
        kept = content(out)
        assert_true(kept, good)
        if not report.losses():
            assert kept == good
        with Store(out, write=False) as store:
            store.check()
            there = {(cell, replicate) for cell, replicate, _ in store.rows.all_records()}
        assert pages.keys() - there <= {key for key, of_row in pages.items() if of_row & harmed}
    assert noticed > 0
    assert recovered > TRIALS // 2


def test_each_byte_of_the_header_is_noticed_or_harmless(tiny: Path, tmp_path: Path) -> None:
    good, data, names = content(tiny), tiny.read_bytes(), fresh(tmp_path)
    chance = random.Random(5)
    refused = set()
    for at in range(108):  # the header of the file, and that of its first page
        for value in {data[at] ^ 1 << chance.randrange(8), data[at] ^ 0xFF}:
            path = next(names)
            path.write_bytes(changed(data, at, value)[0])
            found = read(path)
            assert found in (None, good)
            refused |= {at} if found is None else set()
            if found is None and at % 3 == 0:
                out = next(names)
                path.write_bytes(changed(data, at, value)[0])
                report = recover_store(path, out)
                assert report.losses() == []
                assert content(out) == good
    # Its name, the size of a page, how it is written, its version and whose it is, at least.
    assert {*range(16), 16, 18, 19, *range(60, 64), *range(68, 72)} <= refused


def test_a_damaged_store_is_not_written_to_by_a_run(tiny: Path, tmp_path: Path) -> None:
    data = tiny.read_bytes()
    path = tmp_path / "s.sqlite"
    refused = 0
    for trial in range(12):
        bad, _ = HARMS["a page of noise"](data, random.Random(trial))
        path.write_bytes(bad)
        result = run_grid(path, "--replicates", 7)
        assert "recover" in result.refusal
        assert path.read_bytes() == bad
        refused += 1
    assert refused == 12


# -wal files


@pytest.fixture
def with_wal(tmp_path: Path) -> tuple[Path, Content]:
    """A store as a killed writer leaves it, small and large rows only in its -wal file; and all it holds."""
    chance, path = random.Random(3), tmp_path / "open.sqlite"
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS_OF)
        for r in range(20):
            size = 9000 if r % 4 == 0 else 60
            store.add_units([{cell.id: {r: {"curve": curve(chance, size)}}} for cell in CELLS_OF])
        copy = killed(path, tmp_path / "killed.sqlite")
    return copy, content(path)


def test_the_wal_file_of_a_killed_run_is_read_and_recovered(
    with_wal: tuple[Path, Content], tmp_path: Path
) -> None:
    path, good = with_wal
    wal = path.with_name(path.name + "-wal")
    main, log = path.read_bytes(), wal.read_bytes()
    assert len(log) > 100 * PAGE
    assert recover_store(path, tmp_path / "new.sqlite").losses() == []
    assert content(tmp_path / "new.sqlite") == good
    assert (path.read_bytes(), wal.read_bytes()) == (main, log)
    assert content(path) == good


def test_damage_to_a_wal_file_leaves_an_earlier_state_and_what_is_whole_is_recovered(
    with_wal: tuple[Path, Content], tmp_path: Path
) -> None:
    path, good = with_wal
    wal = path.with_name(path.name + "-wal")
    main, log = path.read_bytes(), wal.read_bytes()
    fewer = 0
    for trial in range(WAL_TRIALS):
        chance = random.Random(trial)
        at = chance.randrange(32, len(log))
        wal.write_bytes(changed(log, at, log[at] ^ 1 << chance.randrange(8))[0])
        path.write_bytes(main)
        out = tmp_path / f"{trial}.sqlite"
        recover_store(path, out)
        kept = content(out)
        assert_true(kept, good)
        # Rows of a frame are in later frames of the same page too, but for the last ones.
        assert len(kept[2]) >= len(good[2]) - 12
        found = read(path)
        if found is not None:
            assert_true(found, good)
            fewer += len(found[2]) < len(good[2])
    assert fewer > WAL_TRIALS // 2
    wal.unlink(missing_ok=True)
    path.write_bytes(main)
    found = read(path)
    assert found == ({}, {}, {})


def test_a_run_goes_on_where_the_wal_file_was_deleted(tiny: Path, tmp_path: Path) -> None:
    with Store(tiny, write=True) as store:
        cell = store.bare_cells()[0]
        store.want({cell.id: 7})
        copy = killed(tiny, tmp_path / "killed.sqlite")
    copy.with_name(copy.name + "-wal").unlink()
    assert content(copy)[1][cell.id] == 6
    assert table(copy) == table(tiny)


# the format


@pytest.mark.parametrize("size", SIZES)
def test_rows_are_found_under_every_size_of_pages(size: int, tmp_path: Path) -> None:
    # Also where the header says another size, and none that there is.
    path, chance = tmp_path / "s.sqlite", random.Random(size)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA page_size = {size}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS_OF)
        for length in (20, 200, 1000, 5000, 20_000, 80_000):
            store.add_records(CELLS_OF[0].id, {length: {"curve": curve(chance, length)}})
    good, data = content(path), path.read_bytes()
    assert int.from_bytes(data[16:18], "big") == size % 65535
    for number, said in enumerate((data[16:18], b"\x10\x00", b"\x20\x00", b"\x00\x07")):
        path.write_bytes(data[:16] + said + data[18:])
        out = tmp_path / f"{number}.sqlite"
        assert recover_store(path, out).losses() == []
        assert content(out) == good


def test_a_chain_of_pages_that_bites_its_tail_comes_to_an_end(large_store: Path, tmp_path: Path) -> None:
    data = bytearray(large_store.read_bytes())
    for page in range(1, len(data) // PAGE):
        if data[page * PAGE] == 0:  # an overflow page
            data[page * PAGE : page * PAGE + 4] = (page + 1).to_bytes(4, "big")
    path = tmp_path / "s.sqlite"
    path.write_bytes(data)
    report = recover_store(path, tmp_path / "new.sqlite")
    assert_true(content(tmp_path / "new.sqlite"), content(large_store))
    assert report.losses()


def test_what_is_in_the_page_and_what_is_not() -> None:
    # Of pages of 4096 bytes: (4096 - 12) * 64 // 255 - 23 = 1002 bytes at most.
    assert [_local(length, 4096) for length in (1, 1002)] == [1, 1002]
    assert _local(1003, 4096) == 489
    assert _local(4092 + 600, 4096) == 600


def test_a_header_of_a_row_is_told_from_what_is_none() -> None:
    assert _types(bytes([5, 0x81, 0x0D, 1, 0x17])) == [141, 1, 23]
    assert _types(bytes([5, 0x81, 0x0D, 1, 0x97])) is None  # it breaks off
    assert _types(bytes([5, 0x81, 0x0D, 7, 0x17])) is None  # a real number
    assert _types(bytes([5, 0x81, 0x0D, 1])) is None  # the file ends
    assert _types(bytes([12, *[0x81] * 10, 0])) is None


def test_an_image_is_closed(tiny: Path) -> None:
    with Image(tiny) as image:
        assert len(image.main) == tiny.stat().st_size
        assert image.wal == b""
    with pytest.raises(ValueError, match="closed"):
        len(image.main)
