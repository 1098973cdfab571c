"""The exported tables: what is in them, in which order and bytes, and what is left when they cannot be written."""

import csv
import io
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from sim import export
from sim.protocol.first_step import FirstStep, first_step_cell
from sim.protocol.online import Online
from sim.protocol.registry import PROTOCOLS
from sim.ranges import record_grid
from sim.store import Store, StoredCell
from tests.sim.conftest import Result, call, run_grid, table, tree
from tests.sim.test_two_stage_grid import BIASES, SIGNED
from tests.sim.test_verbs import alter, first_cell

COLUMNS = FirstStep.columns


def test_the_table_has_a_row_a_cell_replicate_and_sample_count(tiny: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(table(tiny))))
    expected = []
    with Store(tiny, write=False) as store:
        for stored in store.cells():
            cell = first_step_cell(stored.cell)
            for replicate, payload in store.records(cell.id).items():
                for B, s in zip(record_grid(cell.samples, cell.resolution), payload["success"], strict=True):
                    spec = json.dumps(cell.schedule.spec(), sort_keys=True, separators=(",", ":"))
                    values = (
                        cell.id,
                        cell.protocol,
                        cell.n,
                        cell.k,
                        cell.q,
                        spec,
                        cell.seed,
                        replicate,
                        B,
                        s,
                    )
                    expected.append([*map(str, values), payload["digest"]])
    assert [list(row.values()) for row in rows] == expected
    assert list(rows[0]) == list(COLUMNS)
    assert len(rows) == 6 * 6 * 7


def test_csv_equals_parquet(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.export.BATCH", 100)  # several batches, the last one partly full
    result = call("export", "--format", "parquet", "--to", tmp_path / "t.parquet", "--out", tiny)
    assert result == Result(0, "", f"252 rows in {tmp_path / 't.parquet'}\n")
    parquet = pq.read_table(tmp_path / "t.parquet")
    rows = list(csv.DictReader(io.StringIO(table(tiny))))
    assert [{key: str(value) for key, value in row.items()} for row in parquet.to_pylist()] == rows
    call("export", "--to", tmp_path / "t.csv", "--out", tiny)
    assert (tmp_path / "t.csv").read_text() == table(tiny)


def both(path: Path, folder: Path, name: str) -> tuple[pa.Table, pa.Table]:
    """A protocol's table as pyarrow reads it from CSV, by the types of its schema, and from Parquet."""
    for form in ("csv", "parquet"):
        to = folder / f"t.{form}"
        assert call("export", "--protocol", name, "--format", form, "--to", to, "--out", path).code == 0
    stored = pq.read_table(folder / "t.parquet")
    convert = pyarrow.csv.ConvertOptions(
        column_types=stored.schema, null_values=[""], strings_can_be_null=True
    )
    text = pyarrow.csv.read_csv(folder / "t.csv", convert_options=convert)
    return text, stored.cast(text.schema)  # CSV does not say which columns are never empty


@pytest.mark.parametrize("grid", [SIGNED, BIASES])
def test_csv_and_parquet_hold_equal_values_of_two_stages(grid: tuple[str, ...], tmp_path: Path) -> None:
    run_grid(tmp_path / "s.sqlite", grid=grid)
    text, stored = both(tmp_path / "s.sqlite", tmp_path, "two-stage")
    assert text.num_rows > 50
    assert text.equals(stored)
    assert stored["found"].null_count == (stored.num_rows if grid is BIASES else 0)


def test_csv_and_parquet_hold_equal_values_of_curves(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.export.BATCH", 7)
    text, stored = both(online, tmp_path, "online")
    assert text.num_rows > 50
    assert text.equals(stored)
    for name in ("schedule", "temperature", "diverged_at", "agreement", "checkpoint"):
        assert 0 < stored[name].null_count <= stored.num_rows
    assert stored.to_pylist()[0].keys() == {*Online.columns}
    metadata = pq.read_metadata(tmp_path / "t.parquet")
    assert metadata.num_row_groups == math.ceil(stored.num_rows / 7)
    assert metadata.metadata[b"protocol"] == Online.tag().encode()
    assert metadata.metadata[b"table_version"] == b"1"
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert schema.field("held_out").metadata[b"range"] == b"0 to 1, or empty"


def test_reals_that_are_not_finite_come_through_both_formats(
    online: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    special = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1, None]

    def rows(self: Online, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        head = [0 if name in self.integers else 0.5 if name in self.reals else "x" for name in self.columns]
        place = self.columns.index("loss")
        for value in special:
            yield (*head[:place], value, *head[place + 1 :])

    monkeypatch.setattr(Online, "rows", rows)
    text, stored = both(online, tmp_path, "online")
    for read in (text, stored):
        values = read["loss"].to_pylist()[: len(special)]
        assert [repr(value) for value in values] == [repr(value) for value in special]


def shuffled(path: Path, to: Path, seed: int) -> None:
    """The same records in a store that received them one at a time, in another order."""
    draw = random.Random(seed)
    with Store(path, write=False) as source, Store(to, write=True) as target:
        cells = source.cells()
        draw.shuffle(cells)
        for stored in cells:
            target.add_cells([(stored.cell, stored.theory)])
        for cell_id, wanted in draw.sample(sorted(source.wanted().items()), len(source.wanted())):
            target.want({cell_id: wanted})
        records = [(s.cell.id, r, p) for s in cells for r, p in source.records(s.cell.id).items()]
        draw.shuffle(records)
        for cell_id, replicate, payload in records:
            target.add_records(
                cell_id, {replicate: dict(sorted(payload.items(), key=lambda _: draw.random()))}
            )


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_order_in_which_records_came_changes_no_byte(form: str, tiny: Path, tmp_path: Path) -> None:
    shuffled(tiny, tmp_path / "other.sqlite", seed=1)
    for path, to in ((tiny, "a"), (tmp_path / "other.sqlite", "b")):
        assert call("export", "--format", form, "--to", tmp_path / to, "--out", path).code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_in_the_order_of_cells_replicates_and_points(tiny: Path, online: Path) -> None:
    for path in (tiny, online):
        with Store(path, write=False) as store:
            place = {stored.cell.id: number for number, stored in enumerate(store.cells())}
            orders = [stored.cell.order for stored in store.cells()]
        assert orders == sorted(orders)
        rows = csv.DictReader(io.StringIO(table(path)))
        keys = [(place[row["cell"]], int(row["replicate"]), int(row["samples"])) for row in rows]
        assert keys == sorted(keys)
        assert len({*keys}) == len(keys) > 50


def test_a_number_that_no_column_holds_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = FirstStep.rows

    def rows(self: FirstStep, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        for row in whole(self, store, stored):
            yield (*row[:2], 2**63, *row[3:])

    monkeypatch.setattr(FirstStep, "rows", rows)
    result = call("export", "--format", "parquet", "--to", tmp_path / "t", "--out", tiny)
    assert "has a value that its column cannot hold" in result.refusal
    assert not (tmp_path / "t").exists()


def test_rows_are_made_as_they_are_written(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = 0
    whole = FirstStep.rows

    def rows(self: FirstStep, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        nonlocal made
        for row in whole(self, store, stored):
            made += 1
            yield row

    monkeypatch.setattr(FirstStep, "rows", rows)
    monkeypatch.setattr("sim.export.BATCH", 10)
    with Store(tiny, write=False) as store:
        for count, batch in enumerate(export.batches(store, PROTOCOLS["first-step"], store.cells()), 1):
            assert batch.num_rows <= 10
            assert made <= 10 * count


def test_an_empty_store_exports_an_empty_table(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path, write=True).close()
    assert table(path) == ",".join(COLUMNS) + "\n"
    assert call("export", "--format", "parquet", "--to", tmp_path / "t.parquet", "--out", path).code == 0
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--format", "parquet"], "needs a file: give --to"),
        (["--format", "xls"], "'xls'"),
        (["--to", "/nonexistent/t.csv"], "cannot be written: No such file"),
        (["--format", "parquet", "--to", "/nonexistent/t.parquet"], "cannot be written"),
        (["--to", "/"], "cannot be written: Is a directory"),
    ],
)
def test_export_refuses_what_cannot_be_written(options: list[str], part: str, tiny: Path) -> None:
    assert part in call("export", *options, "--out", tiny).refusal


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_never_overwrites_the_store(form: str, tiny: Path) -> None:
    before = tree(tiny.parent)
    assert "overwrite the store" in call("export", "--format", form, "--to", tiny, "--out", tiny).refusal
    assert tree(tiny.parent) == before


def test_a_malformed_record_is_refused_by_every_reader(tiny: Path) -> None:
    cell = first_cell(tiny)
    alter(tiny, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 0", '{"success":"1"}', cell.id)
    for verb in (["plot"], ["explain", cell.id]):
        assert "was altered" in call(*verb, "--out", tiny).refusal
    exported = call("export", "--out", tiny)  # on standard output rows before the bad one are out already
    assert exported.code == 2
    assert "was altered" in exported.err
    result = call("verify", "--out", tiny)
    assert result.code == 1
    assert "FAIL" in result.out


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("there", [True, False])
def test_a_bad_record_leaves_no_part_of_a_table(form: str, there: bool, tiny: Path, tmp_path: Path) -> None:
    with Store(tiny, write=False) as store:
        last = store.cells()[-1].cell
    alter(tiny, "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 5", last.id)
    to = tmp_path / "tables" / f"t.{form}"
    to.parent.mkdir()
    if there:
        to.write_text("kept")
    before = tree(to.parent)
    assert "was altered" in call("export", "--format", form, "--to", to, "--out", tiny).refusal
    assert tree(to.parent) == before


def test_a_table_goes_where_a_link_points_and_into_a_pipe(tiny: Path, tmp_path: Path) -> None:
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    assert call("export", "--to", link, "--out", tiny).code == 0
    assert link.is_symlink()
    assert target.read_text() == table(tiny)
    assert target.stat().st_mode & 0o777 == 0o600
    assert call("export", "--to", "/dev/null", "--out", tiny).code == 0
    assert Path("/dev/null").is_char_device()
