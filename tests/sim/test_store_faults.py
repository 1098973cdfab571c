"""Faults of files and disks: one sentence each, nothing lost, and the same command goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sim.errors import StoreError
from sim.store import Store
from sim.store.recover import recover_store
from tests.sim.conftest import Result, call, run_grid, table, tree
from tests.sim.stores import CELLS_OF, HARMS, PAGE, THEORY, content, killed, large

ONE_CELL = ("--n", "9", "--k", "2", "--schedule", "cross-entropy", "--samples", "16")


class Disk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> bool:
        command = ["mount", "-o", options, "-t", "tmpfs", "tmpfs", str(self.folder)]
        done = subprocess.run(command, check=False, capture_output=True)
        return done.returncode == 0

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    if not disk.mount("size=1m"):
        pytest.skip("mounting is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def records_of(path: Path) -> int:
    return len(content(path)[2])


def test_a_run_on_a_full_disk_keeps_what_was_stored_and_goes_on_with_room(disk: Disk) -> None:
    path = disk.folder / "s.sqlite"
    few, many = ("--replicates", 20), ("--replicates", 400)
    assert run_grid(path, *few, grid=ONE_CELL).code in (0, 3)
    earlier = table(path)
    filler = disk.folder / "filler"
    filler.write_bytes(bytes(disk_room(disk.folder) - 90_000))
    result = run_grid(path, *many, grid=ONE_CELL)
    assert "cannot be written (database or disk is full): what was stored before is kept" in result.refusal
    disk.remount("size=64m")
    stored = table(path)
    assert set(earlier.splitlines()) <= set(stored.splitlines())
    result = run_grid(path, *many, grid=ONE_CELL)
    assert result.code in (0, 3), result
    assert set(stored.splitlines()) <= set(table(path).splitlines())
    assert records_of(path) == 400


def disk_room(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_bsize


def test_what_is_committed_on_a_disk_that_gets_full_is_there(disk: Disk) -> None:
    path, stored = disk.folder / "s.sqlite", 0
    with Store(path, write=True) as store:
        store.add_cells([(CELLS_OF[0], THEORY)])
        with pytest.raises(StoreError, match="what was stored before is kept"):  # noqa: PT012
            for r in range(10_000):
                store.add_records(CELLS_OF[0].id, {r: {"text": "x" * 500}})
                stored += 1
        assert stored > 50
        # It can be read at once, and by others.
        assert len(store.records(CELLS_OF[0].id)) == stored
    disk.remount("size=8m")
    assert records_of(path) == stored
    with Store(path, write=True) as store:
        store.check()
        store.add_records(CELLS_OF[0].id, {stored: {}})


@pytest.mark.parametrize("verb", ["merge", "recover"])
def test_a_store_of_stores_on_a_full_disk_is_not_made(verb: str, disk: Disk, tmp_path: Path) -> None:
    source, out = tmp_path / "s.sqlite", disk.folder / "out.sqlite"
    large(source, replicates=60)
    if verb == "merge":
        assert "full" in call("merge", source, "--out", out).refusal
        assert content(out) == ({}, {}, {})
        disk.remount("size=8m")
        assert call("merge", source, "--out", out).code == 0
    else:
        with pytest.raises(StoreError, match=f"{out} cannot be made of {source}: .* full"):
            recover_store(source, out)
        assert list(disk.folder.iterdir()) == []
        disk.remount("size=8m")
        recover_store(source, out)
    assert content(out) == content(source)


def test_a_read_only_disk_is_read_and_not_written(disk: Disk, tiny: Path) -> None:
    path = disk.folder / "s.sqlite"
    shutil.copy(tiny, path)
    disk.remount("ro")
    cell = content(path)[0].popitem()[0]
    assert table(path) == table(tiny)
    for verb in (["status"], ["verify"], ["explain", cell]):
        assert call(*verb, "--out", path).code == 0
    for out in (path, disk.folder / "new.sqlite"):
        refusal = run_grid(out).refusal
        assert str(out) in refusal
        assert "Read-only file system" in refusal
    assert str(path) in call("merge", tiny, "--out", path).refusal
    assert [p.name for p in disk.folder.iterdir()] == [path.name]


def test_records_in_the_wal_file_of_a_read_only_folder_are_not_left_out_silently(
    disk: Disk, tmp_path: Path
) -> None:
    path = disk.folder / "open.sqlite"
    with Store(path, write=True) as store:
        store.add_cells([(CELLS_OF[0], THEORY)])
        store.add_records(CELLS_OF[0].id, {0: {}})
        copy = killed(path, disk.folder / "killed.sqlite")
    disk.remount("ro")
    link = tmp_path / "link.sqlite"  # in a folder that can be written, where there is no -wal file
    link.symlink_to(copy)
    for name in (copy, link):
        with pytest.raises(StoreError, match=r"records in killed.sqlite-wal that cannot be read in a folder"):
            content(name)
    disk.remount("rw")
    assert records_of(copy) == 1


# killed writers

WRITER = """
import os, signal, sys
from pathlib import Path
from sim.store import Store
from sim.store.recover import recover_store
from tests.sim.stores import CELLS_OF, THEORY
with Store(Path(sys.argv[1]), write=True) as store:
    store.add_cells([(CELLS_OF[0], THEORY)])
    for r in range(int(sys.argv[2])):
        store.add_records(CELLS_OF[0].id, {r: {"text": "x" * 3000}})
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("count", [3, 2500])
def test_a_killed_writer_loses_nothing_that_it_stored(count: int, tmp_path: Path) -> None:
    # 2,500 records are more than the -wal file is allowed to hold: some are in the file itself already.
    path = tmp_path / "s.sqlite"
    done = subprocess.run([sys.executable, "-c", WRITER, str(path), str(count)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name("s.sqlite-wal").stat().st_size > 0
    assert records_of(path) == count
    with Store(path, write=True) as store:
        store.check()
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]


def test_without_the_wal_file_of_a_killed_writer_there_is_an_earlier_state(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    subprocess.run([sys.executable, "-c", WRITER, str(path), "2500"], check=False)
    path.with_name("s.sqlite-wal").unlink()
    assert 0 < records_of(path) < 2500
    with Store(path, write=True) as store:
        store.check()
        store.add_records(CELLS_OF[0].id, {r: {"text": "x" * 3000} for r in range(2500)})
    assert records_of(path) == 2500


def test_after_closing_all_is_in_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path, write=True) as store:
        store.add_cells([(CELLS_OF[0], THEORY)])
        assert path.with_name("s.sqlite-wal").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]


def test_a_long_read_does_not_keep_a_writer_from_writing_and_closing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    with Store(path, write=True) as store:
        store.add_cells([(CELLS_OF[0], THEORY)])
        store.add_records(CELLS_OF[0].id, {r: {"r": r} for r in range(100)})
    with Store(path, write=False) as reader:
        found = reader.records_of(CELLS_OF[0].id)
        assert next(found)[0] == 0
        with Store(path, write=True) as store:
            for r in range(100, 6000):
                store.add_records(CELLS_OF[0].id, {r: {"r": r}})
            start = time.monotonic()
        assert time.monotonic() - start < 15  # a checkpoint that waits for readers waits for 30 s
        assert [r for r, _ in found] == list(range(1, 100))
        assert len(reader.records(CELLS_OF[0].id)) == 6000
    assert [p.name for p in tmp_path.iterdir()] == ["s.sqlite"]
    assert records_of(path) == 6000


# links


def test_a_link_to_a_store_is_the_store(tiny: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(tiny)
    assert run_grid(link, "--replicates", 7).code in (0, 3)
    assert link.is_symlink()
    assert table(link) == table(tiny)
    assert records_of(tiny) == 42
    with Store(tiny, write=True) as store:
        with pytest.raises(StoreError, match="in use by another run"):
            Store(link, write=True)
        store.want({CELLS_OF[0].id: 9})
        assert content(link) == content(tiny)  # what is in the -wal file of the target too
    copy = tmp_path / "copy" / "killed.sqlite"
    copy.parent.mkdir()
    with Store(link, write=True) as store:
        store.want({CELLS_OF[0].id: 10})
        killed(tiny, copy)
    other = tmp_path / "other.sqlite"
    other.symlink_to(copy)
    recover_store(other, tmp_path / "new.sqlite")
    assert content(tmp_path / "new.sqlite")[1][CELLS_OF[0].id] == 10


# every verb on damaged stores


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(*pages: int) -> Callable[[bytes], bytes]:
    def harm(data: bytes) -> bytes:
        for page in pages:
            data = data[: page * PAGE] + bytes(PAGE) + data[(page + 1) * PAGE :]
        return data

    return harm


def random_harm(kind: str, seed: int) -> Callable[[bytes], bytes]:
    return lambda data: HARMS[kind](data, random.Random(seed))[0]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated in the middle": cut,
    "truncated in a page": lambda data: data[: -PAGE // 2],
    "first page": zeroed(0),
    **{f"page {page}": zeroed(page) for page in (1, 3, 5, 11)},
    **{f"noise {seed}": random_harm("a page of noise", seed) for seed in range(2)},
    **{f"bits {seed}": random_harm("a flipped bit", seed) for seed in range(3)},
}


def sane(result: Result) -> bool:
    """Whether it refused, in one sentence that may come after lines of the result; verify says it in its lines."""
    if result.code in (0, 3):
        return False
    if result.code == 1:
        assert "damaged" in result.out or "cannot be read" in result.out, result
        return True
    assert result.code == 2, result
    assert result.err.startswith("error: "), result
    assert result.err.count("\n") == 1, result
    assert "recover" in result.err, result
    return True


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_verb_refuses_a_damaged_store_in_a_sentence_or_is_not_touched_by_it(
    damage: str, tiny: Path, tmp_path: Path
) -> None:
    cell = content(tiny)[0].popitem()[0]
    verbs = {
        "status": ["status", "--out"],
        "status --json": ["status", "--json", "--out"],
        "export": ["export", "--to", tmp_path / "t.csv", "--out"],
        "verify": ["verify", "--out"],
        "explain": ["explain", cell, "--out"],
        "replay": ["replay", cell, "--replicate", 0, "--out"],
        "plot": ["plot", "--figure", tmp_path / "f.svg", "--out"],
        "merge": ["merge", "--out", tmp_path / "merged.sqlite"],
    }
    whole = {verb: call(*arguments, tiny) for verb, arguments in verbs.items() if verb != "merge"}
    expected = (tmp_path / "t.csv").read_bytes()
    bad = tiny.with_name("bad.sqlite")
    data = DAMAGES[damage](tiny.read_bytes())
    refused = set()
    for verb, arguments in verbs.items():
        bad.write_bytes(data)
        (tmp_path / "t.csv").unlink(missing_ok=True)
        result = call(*arguments, bad)
        if sane(result):
            refused.add(verb)
            assert verb != "export" or not (tmp_path / "t.csv").exists()
        elif verb != "merge":
            assert result.out.replace(str(bad), str(tiny)) == whole[verb].out
            assert verb != "export" or (tmp_path / "t.csv").read_bytes() == expected
    bad.write_bytes(data)
    result = run_grid(bad)
    if sane(result):
        refused.add("run")
        assert bad.read_bytes() == data
    else:
        assert table(bad).encode() == expected
    assert refused or "bits" in damage


def test_a_store_stays_as_it_is_when_it_is_refused(tiny: Path) -> None:
    tiny.write_bytes(zeroed(3)(tiny.read_bytes()))
    before = tree(tiny.parent)
    for verb in ("status", "export", "verify"):
        call(verb, "--out", tiny)
    run_grid(tiny)
    assert tree(tiny.parent) == before
