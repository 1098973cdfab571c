"""The exported table of first steps: what is in it, and what is left when it cannot be written."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sim.protocol.first_step import FirstStep, first_step_cell
from sim.ranges import record_grid
from sim.store import Store
from tests.sim.conftest import Result, call, table, tree
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
