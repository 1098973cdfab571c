"""Rows of a store: none that was altered is read, none is missing unnoticed, and adding one costs the same always."""

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.errors import StoreError
from sim.store import Count, Store
from sim.store.schema import Tally, signed, sum_of
from tests.sim.stores import CELLS_OF, THEORY, content, reseal

CELL = CELLS_OF[0].id


def payload(text: str = "0000111") -> dict[str, str]:
    return {"success": text, "digest": "ab"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of four cells, with three replicates of the first and two of the second."""
    path = tmp_path / "s.sqlite"
    with Store(path, write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS_OF)
        store.want(dict.fromkeys((cell.id for cell in CELLS_OF), 4))
        store.add_records(CELL, {r: payload() for r in (0, 2, 5)})
        store.add_records(CELLS_OF[1].id, {0: payload(), 1: payload()})
    return path


def tamper(path: Path, sql: str, *values: object) -> None:
    """Change a store behind its back, as damage does: sums stay as they were."""
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, values).rowcount == 1
    connection.close()


ALTERED = {
    "spec": ("UPDATE cells SET spec = replace(spec, '64', '65') WHERE id = ?", "cell {}"),
    "theory": ("UPDATE cells SET theory = '{}' WHERE id = ?", "cell {}"),
    "revision": ("UPDATE cells SET revision = 7 WHERE id = ?", "cell {}"),
    "sum of a cell": ("UPDATE cells SET sum = sum + 1 WHERE id = ?", "cell {}"),
    "payload": (
        "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 2",
        "replicate 2 of cell {}",
    ),
    "replicate": (
        "UPDATE records SET replicate = 3 WHERE cell = ? AND replicate = 2",
        "replicate 3 of cell {}",
    ),
    "sum of a record": (
        "UPDATE records SET sum = 0 WHERE cell = ? AND replicate = 2",
        "replicate 2 of cell {}",
    ),
    "wanted": ("UPDATE wanted SET replicates = 3 WHERE cell = ?", "what runs asked for of cell {}"),
    "count": ("UPDATE tallies SET count = 2 WHERE name = ?", "number of records of cell {}"),
    "highest": ("UPDATE tallies SET highest = 2 WHERE name = ?", "number of records of cell {}"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_row_that_does_not_match_its_sum_is_refused(what: str, path: Path) -> None:
    sql, name = ALTERED[what]
    tamper(path, sql, CELL)
    with Store(path, write=False) as store, pytest.raises(StoreError) as caught:
        store.check()
    assert str(caught.value) == (
        f"store {path} is damaged: {'the ' * (what in ('count', 'highest'))}{name.format(CELL[:12])} does not match "
        f"its sum; run recover {path} --out NEW to save what is whole"
    )


MISSING = {
    "a record": ("DELETE FROM records WHERE cell = ? AND replicate = 2", f"records of cell {CELL[:12]}"),
    "a cell": ("DELETE FROM cells WHERE id = ?", "cells"),
    "what was asked for": ("DELETE FROM wanted WHERE cell = ?", "wanted"),
}


@pytest.mark.parametrize("what", MISSING)
def test_a_row_that_is_missing_is_noticed(what: str, path: Path) -> None:
    sql, lacking = MISSING[what]
    tamper(path, sql, CELL)
    with (
        Store(path, write=False) as store,
        pytest.raises(StoreError, match=f"it lacks {lacking} that were stored"),
    ):
        store.check()


@pytest.mark.parametrize("name", ["cells", "wanted", CELL])
def test_a_tally_that_is_missing_is_noticed(name: str, path: Path) -> None:
    tamper(path, "DELETE FROM tallies WHERE name = ?", name)
    with Store(path, write=False) as store, pytest.raises(StoreError, match="is damaged"):
        store.check()


@pytest.mark.parametrize(("table", "name"), [("cells", "cells"), ("wanted", "wanted"), ("records", CELL)])
def test_rows_that_are_missing_with_their_tally_are_noticed(table: str, name: str, path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            f"DELETE FROM {table}{' WHERE cell = ?' if name == CELL else ''}", (CELL,) * (name == CELL)
        )
        connection.execute("DELETE FROM tallies WHERE name = ?", (name,))
    connection.close()
    readings = {"cells": Store.cells, "wanted": Store.wanted, CELL: lambda store: store.records(CELL)}
    with Store(path, write=False) as store, pytest.raises(StoreError, match="it lacks tallies"):
        readings[name](store)


READINGS: dict[str, Callable[[Store], Any]] = {
    "records": lambda store: store.records(CELL),
    "records_of": lambda store: list(store.records_of(CELL)),
    "some records": lambda store: list(store.records_of(CELL, [0, 2])),
    "checked_records": lambda store: store.checked_records(CELLS_OF[0]),
    "all": lambda store: list(store.rows.all_records()),
    "adding the same again": lambda store: store.add_records(CELL, {2: payload()}),
}


@pytest.mark.parametrize("reading", READINGS)
def test_no_way_of_reading_gives_an_altered_record(reading: str, path: Path) -> None:
    other = json.dumps(payload("0001111"))
    tamper(path, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 2", other, CELL)
    with Store(path, write=reading.startswith("adding")) as store, pytest.raises(StoreError, match="its sum"):
        READINGS[reading](store)


@pytest.mark.parametrize("method", ["records", "replicates"])
def test_no_way_of_reading_misses_a_record(method: str, path: Path) -> None:
    tamper(path, "DELETE FROM records WHERE cell = ? AND replicate = 5", CELL)
    with Store(path, write=False) as store, pytest.raises(StoreError, match="it lacks records"):
        getattr(store, method)(CELL)


def test_two_rows_in_each_others_place_are_noticed(path: Path) -> None:
    # The total of the sums would not tell.
    tamper(path, "UPDATE records SET replicate = 9 WHERE cell = ? AND replicate = 0", CELL)
    tamper(path, "UPDATE records SET replicate = 0 WHERE cell = ? AND replicate = 2", CELL)
    with Store(path, write=False) as store, pytest.raises(StoreError, match="replicate 0 of cell"):
        store.records(CELL)


def test_a_damaged_store_is_not_written_to(path: Path) -> None:
    tamper(path, "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 2", CELL)
    before = path.read_bytes()
    with Store(path, write=True) as store:
        for write in (
            lambda: store.add_records(CELLS_OF[2].id, {0: payload()}),
            lambda: store.want({CELL: 100}),
            lambda: store.add_cells([(CELLS_OF[0], {"delta": 0.2})]),
        ):
            with pytest.raises(StoreError, match="is damaged"):
                write()
    assert path.read_bytes() == before


def test_a_store_whose_pages_do_not_hang_together_is_read_but_not_written_to(path: Path) -> None:
    data, before = path.read_bytes(), content(path)
    harmed = data[:39] + b"\x01" + data[40:]  # how many pages are free: one, which is none
    path.write_bytes(harmed)
    assert content(path) == before
    with Store(path, write=True) as store, pytest.raises(StoreError, match="its pages do not hang together"):
        store.add_records(CELL, {1: payload()})
    assert path.read_bytes() == harmed


def test_resealing_makes_a_whole_store_of_an_altered_one(path: Path) -> None:
    before = content(path)
    connection = sqlite3.connect(path)
    with connection:
        reseal(connection)
    connection.close()
    with Store(path, write=False) as store:
        store.check()
    assert content(path) == before


@given(st.integers(-(2**70), 2**70))
def test_signed_is_the_number_modulo_two_to_the_64(value: int) -> None:
    assert -(2**63) <= signed(value) < 2**63
    assert (signed(value) - value) % 2**64 == 0


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.randoms(use_true_random=False))
def test_a_tally_does_not_depend_on_the_order(sums: list[int], chance: Any) -> None:
    def tally(sums: list[int]) -> Tally:
        value = Tally()
        for total in sums:
            value = value.plus(total)
        return value

    shuffled = chance.sample(sums, len(sums))
    assert tally(shuffled) == tally(sums)
    assert tally(sums).plus(5, instead_of=sums[0]) == tally([5, *sums[1:]])


def test_sums_depend_on_each_value_and_on_the_table() -> None:
    sums = [
        sum_of("records", "ab", 1, "{}"),
        sum_of("records", "ac", 1, "{}"),
        sum_of("records", "ab", 2, "{}"),
        sum_of("records", "ab", 1, "{ }"),
        sum_of("wanted", "ab", 1, "{}"),
    ]
    assert len(set(sums)) == len(sums)
    assert sums[0] == 1012459811949630824  # stores of today are read tomorrow


# counts


def test_counts_are_those_of_the_records(path: Path) -> None:
    with Store(path, write=True) as store:
        # Replicate 5 is beyond the 4 that are wanted: of these 1 and 3 are missing.
        assert store.counts() == {
            CELL: Count(3, 2),
            CELLS_OF[1].id: Count(2, 2),
            **{cell.id: Count(0, 4) for cell in CELLS_OF[2:]},
        }
        store.want({CELL: 6})
        store.add_records(CELL, {4: payload()})
        assert store.counts()[CELL] == Count(4, 2)


def test_counts_read_no_payloads(path: Path) -> None:
    tamper(path, "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 1", CELLS_OF[1].id)
    with Store(path, write=False) as store:
        assert store.counts()[CELLS_OF[1].id] == Count(2, 2)


def test_bare_cells_are_the_cells(path: Path) -> None:
    with Store(path, write=False) as store:
        assert store.bare_cells() == [stored.cell for stored in store.cells()]


# batches


def test_units_are_added_together_or_not_at_all(path: Path) -> None:
    before = content(path)
    a, b = CELLS_OF[2].id, CELLS_OF[3].id
    with Store(path, write=True) as store:
        with pytest.raises(StoreError, match=rf"replicate 2 of cell {CELL[:12]} is in .* another content"):
            store.add_units([{a: {0: payload()}}, {CELL: {2: payload("1111111")}}, {b: {0: payload()}}])
        assert content(path) == before
        with pytest.raises(StoreError, match=rf"replicate 0 of cell {a[:12]} came to two different contents"):
            store.add_units([{b: {0: payload()}}, {a: {0: payload()}}, {a: {0: payload("1111111")}}])
        assert content(path) == before
        store.add_units([{a: {0: payload()}}, {b: {0: payload()}, a: {1: payload()}}, {a: {0: payload()}}])
        assert store.records(a) == {0: payload(), 1: payload()}
        assert store.records(b) == {0: payload()}
        store.add_units([])
    with Store(path, write=False) as store:
        store.check()


def test_together_is_one_transaction(path: Path) -> None:
    before = content(path)
    with Store(path, write=True) as store:
        with pytest.raises(KeyError), store.together():  # noqa: PT012
            store.add_records(CELLS_OF[2].id, {0: payload()})
            store.want({CELL: 50})
            store.add_cells([(CELLS_OF[2], {"delta": 0.5})])
            raise KeyError
        assert content(path) == before
        with store.together():
            store.add_records(CELLS_OF[2].id, {0: payload()})
            store.want({CELL: 50})
            assert content(path) == before
        assert content(path) != before


def test_adding_costs_the_same_however_much_is_there(tmp_path: Path) -> None:
    """Time of adding one record to a cell of 20,000, against one of an empty cell: it used to read all of them."""
    with Store(tmp_path / "s.sqlite", write=True) as store:
        store.add_cells((cell, THEORY) for cell in CELLS_OF[:2])
        store.add_records(CELL, {r: payload("01" * 30) for r in range(20_000)})
        times: dict[str, list[float]] = {CELL: [], CELLS_OF[1].id: []}
        for r in range(20_000, 20_100):
            for cell, seconds in times.items():
                start = time.perf_counter()
                store.add_records(cell, {r: payload("01" * 30)})
                seconds.append(time.perf_counter() - start)
        full, empty = (sorted(seconds)[50] for seconds in times.values())
    assert full < 5 * empty, (full, empty)  # it was 100 times as long


# records one at a time


def test_records_are_given_one_at_a_time(path: Path) -> None:
    with Store(path, write=False) as store:
        found = store.records_of(CELL)
        assert next(found) == (0, payload())
        assert list(found) == [(2, payload()), (5, payload())]
        assert list(store.records_of(CELL, [5, 1, 0])) == [(5, payload()), (0, payload())]
        assert list(store.records_of("none")) == []


def test_what_is_read_in_a_snapshot_is_of_one_moment(path: Path) -> None:
    with Store(path, write=True) as writer, Store(path, write=False) as reader:
        with reader.snapshot():
            assert reader.replicates(CELL) == {0, 2, 5}
            writer.add_records(CELL, {1: payload()})
            assert reader.replicates(CELL) == {0, 2, 5}
            assert len(reader.records(CELL)) == 3
        assert len(reader.records(CELL)) == 4


def test_a_writer_does_not_disturb_one_who_reads_slowly(path: Path) -> None:
    # The tally of what is read must be that of the moment at which reading began.
    with Store(path, write=True) as writer, Store(path, write=False) as reader:
        found, others = reader.records_of(CELL), reader.records_of(CELLS_OF[1].id)
        next(found)
        writer.add_records(CELL, {1: payload()})
        next(others)
        writer.add_records(CELLS_OF[1].id, {7: payload()})
        assert [r for r, _ in found] == [2, 5]
        assert [r for r, _ in others] == [1]
        assert reader.replicates(CELL) == {0, 1, 2, 5}


def test_a_store_may_be_closed_while_it_is_read(path: Path) -> None:
    with Store(path, write=False) as store:
        found = store.records_of(CELL)
        next(found)
    del found  # which must not complain
    with pytest.raises(StoreError, match="was closed"):
        store.records(CELL)
