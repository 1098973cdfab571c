"""Merging: the union of what stores hold, whatever their order, of whole stores only, and all of it or nothing."""

import random
import shutil
import tempfile
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.store import Store
from sim.store.merge import merge_stores
from sim.store.rows import Rows
from tests.sim.conftest import call, table, tree
from tests.sim.stores import CELLS_OF, HARMS, content, first_version, killed

REPLICATES = 5


@dataclass(frozen=True)
class Part:
    """What a store of the tests holds: replicates, wanted numbers and students of the theory by cell."""

    records: dict[int, frozenset[int]]
    wanted: dict[int, int]
    students: dict[int, int]


def payload(cell: int, replicate: int) -> dict[str, str]:
    """The record of a replicate, the same wherever it was run."""
    return {"success": format((7 * cell + replicate) % 128, "07b"), "digest": f"{cell}-{replicate}"}


NUMBERS = st.integers(0, len(CELLS_OF) - 1)
PARTS = st.builds(
    Part,
    st.dictionaries(NUMBERS, st.frozensets(st.integers(0, REPLICATES - 1))),
    st.dictionaries(NUMBERS, st.integers(1, 9)),
    st.dictionaries(NUMBERS, st.integers(0, 3)),
)


def make(part: Part, path: Path) -> Path:
    with Store(path, write=True) as store:
        cells = part.records.keys() | part.wanted.keys() | part.students.keys()
        store.add_cells((CELLS_OF[c], {"replicates": part.students.get(c, 0)}) for c in sorted(cells))
        store.want({CELLS_OF[c].id: count for c, count in part.wanted.items()})
        store.add_units([{CELLS_OF[c].id: {r: payload(c, r) for r in rs}} for c, rs in part.records.items()])
    return path


def union(parts: Sequence[Part]) -> tuple[object, object, object]:
    """What a merged store must hold."""
    cells = {c for part in parts for c in part.records.keys() | part.wanted.keys() | part.students.keys()}
    wanted = {CELLS_OF[c].id: max(p.wanted.get(c, 0) for p in parts) for c in cells}
    return (
        {CELLS_OF[c].id: {"replicates": max(p.students.get(c, 0) for p in parts)} for c in cells},
        {cell: count for cell, count in wanted.items() if count},
        {(CELLS_OF[c].id, r): payload(c, r) for p in parts for c, rs in p.records.items() for r in rs},
    )


@settings(max_examples=12)
@given(st.lists(PARTS, min_size=3, max_size=3))
def test_the_result_is_the_union_in_any_order_and_any_grouping(parts: list[Part]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a, b, c = (make(part, folder / f"{number}.sqlite") for number, part in enumerate(parts))
        results = []
        for number, steps in enumerate(([[a, b, c]], [[c, a], [b]], [[b], [c, a, a]], [[a], [b], [c], [a]])):
            out = folder / f"out{number}.sqlite"
            added = 0
            for sources in steps:
                new, count = merge_stores(sources, out)
                added += new
            assert added == count
            with Store(out, write=False) as store:
                store.check()
            results.append((content(out), table(out)))
        assert results[0][0] == union(parts)
        assert all(result == results[0] for result in results)
        # A merge of what is there already changes nothing, not a byte.
        before = out.read_bytes()
        assert merge_stores([a, b, c], out)[0] == 0
        assert out.read_bytes() == before


@pytest.fixture
def halves(tiny: Path, tmp_path: Path) -> list[Path]:
    """Two stores of half of the replicates each."""
    paths = [tmp_path / "parts" / "a.sqlite", tmp_path / "parts" / "b.sqlite"]
    paths[0].parent.mkdir()
    with Store(tiny, write=False) as source:
        for half, path in enumerate(paths):
            with Store(path, write=True) as store:
                store.add_cells((s.cell, s.theory) for s in source.cells())
                store.want(source.wanted())
                for cell in source.bare_cells():
                    numbers = [r for r in range(6) if r % 2 == half]
                    store.add_records(cell.id, dict(source.records_of(cell.id, numbers)))
    return paths


@pytest.mark.parametrize("place", ["first source", "last source", "target"])
def test_a_damaged_store_is_refused_and_nothing_is_written(
    place: str, halves: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "parts" / "out.sqlite"
    if place == "target":
        shutil.copy(halves[0], out)
    bad = {"first source": halves[0], "last source": halves[1], "target": out}[place]
    data, refused = bad.read_bytes(), 0
    for trial in range(15):
        harmed, _ = HARMS["a page of zeros" if trial % 2 else "a flipped bit"](data, random.Random(trial))
        bad.write_bytes(harmed)
        before = tree(out.parent)
        result = call("merge", *halves, "--out", out)
        if result.code == 2:
            refused += 1
            assert "recover" in result.refusal
            assert str(bad) in result.refusal
            assert tree(out.parent) == before
            continue
        assert result.code == 0
        out.unlink()
    assert refused > 5


def test_records_of_a_cell_that_was_lost_are_merged_too(halves: list[Path], tmp_path: Path) -> None:
    lonely, out = tmp_path / "lonely.sqlite", tmp_path / "out.sqlite"
    with Store(lonely, write=True) as store:
        store.add_records(CELLS_OF[2].id, {0: payload(2, 0)})
    assert merge_stores([lonely, *halves], out) == (37, 37)
    with Store(out, write=True) as store:
        assert store.records(CELLS_OF[2].id) == {0: payload(2, 0)}
        store.add_cells([(CELLS_OF[2], {})])
        assert store.counts()[CELLS_OF[2].id].stored == 1


def test_old_stores_and_those_of_killed_runs_are_merged(
    halves: list[Path], tiny: Path, tmp_path: Path
) -> None:
    old, out = tmp_path / "old.sqlite", tmp_path / "out.sqlite"
    first_version(halves[0], old)
    before = old.read_bytes()
    with Store(halves[1], write=True) as store:
        store.want({CELLS_OF[0].id: 1})
        copy = killed(halves[1], tmp_path / "killed.sqlite")
    assert merge_stores([old, copy], out) == (36, 36)
    assert table(out) == table(tiny)
    assert old.read_bytes() == before
    # An old store as the target is brought up to date.
    assert merge_stores([copy], old) == (18, 36)
    assert table(old) == table(tiny)
    with Store(old, write=False) as store:
        assert store.has_sums


def test_a_conflict_names_both_files_and_the_replicate(halves: list[Path], tmp_path: Path) -> None:
    a, b = halves
    with Store(a, write=False) as store:
        cell = store.bare_cells()[2].id
    with Store(b, write=True) as store:
        store.add_records(cell, {4: {"success": "0000000", "digest": "other"}})
    before = tree(tmp_path)
    for sources in ([a, b], [b, a]):
        first, second = sources
        assert call("merge", *sources, "--out", tmp_path / "out.sqlite").refusal == (
            f"replicate 4 of cell {cell[:12]} differs between {first} and {second}: run verify on both"
        )
    assert tree(tmp_path) == before


def test_a_merge_that_is_interrupted_leaves_nothing_of_it(halves: list[Path], tmp_path: Path) -> None:
    a, b = halves
    before = content(a)

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "put_wanted", fail)  # which is the last that is written
        with pytest.raises(KeyboardInterrupt):
            merge_stores([b], a)
    assert content(a) == before


def test_a_store_that_is_being_written_can_be_merged(halves: list[Path], tmp_path: Path) -> None:
    a, b = halves
    with Store(b, write=True) as store:
        assert merge_stores([a, b], tmp_path / "out.sqlite") == (36, 36)
        assert merge_stores([b], tmp_path / "more.sqlite") == (18, 18)
        store.add_records(store.bare_cells()[0].id, {7: {"success": "0000000", "digest": ""}})
    assert merge_stores([b], tmp_path / "out.sqlite") == (1, 37)


def test_memory_does_not_grow_with_the_records(tmp_path: Path) -> None:
    """A merge of 4,000 records of 500 bytes holds less than a fifth of them."""
    source, out = tmp_path / "s.sqlite", tmp_path / "out.sqlite"
    with Store(source, write=True) as store:
        store.add_cells((cell, {}) for cell in CELLS_OF)
        store.add_records(CELLS_OF[0].id, {r: {"success": "0" * 500} for r in range(4000)})
    merge_stores([source], tmp_path / "warm.sqlite")
    tracemalloc.start()
    assert merge_stores([source], out) == (4000, 4000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400_000, peak
