"""The two-stage protocol on the command line: a store is made, resumed, merged, exported, checked, drawn."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sim import units
from sim.protocol.two_stage import TwoStage
from sim.store import Store
from sim.two_stage.cell import TwoStageCell, two_stage_cell
from sim.two_stage.outcomes import outcome_of
from tests.sim.conftest import Result, alter, call, cells, run_grid, table, tree

SIGNED = (
    *(
        "--protocol",
        "two-stage",
        "--n",
        "7,9",
        "--k",
        "2",
        "--samples",
        "64",
        "--second",
        "512",
        "--replicates",
        "5",
    ),
    *("--schedule", "cross-entropy,one-shot,progressive", "--loss", "0.2,0.1", "--resolution", "1"),
)
BIASES = (
    *(
        "--protocol",
        "two-stage",
        "--n",
        "7",
        "--k",
        "2",
        "--samples",
        "64",
        "--second",
        "64",
        "--replicates",
        "4",
    ),
    *("--schedule", "cross-entropy,progressive", "--student", "biases", "--width", "8", "--resolution", "1"),
)
GRIDS = {"signed": SIGNED, "biases": BIASES}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Result]]:
    stores = {}
    for name, grid in GRIDS.items():
        path = tmp_path_factory.mktemp(name) / "s.sqlite"
        result = run_grid(path, grid=grid, figures=name == "signed")
        assert result.code in (0, 3), result
        stores[name] = (path, result)
    return stores


@pytest.fixture(params=GRIDS)
def store(request: pytest.FixtureRequest, finished: dict[str, tuple[Path, Result]], tmp_path: Path) -> Path:
    shutil.copytree(finished[request.param][0].parent, tmp_path / request.param)
    return tmp_path / request.param / "s.sqlite"


def grid_of(store: Path) -> tuple[str, ...]:
    return GRIDS[store.parent.name]


def first(store: Path) -> TwoStageCell:
    return two_stage_cell(cells(store)[0])


def test_a_second_run_does_no_work_and_changes_no_byte(
    store: Path, finished: dict[str, tuple[Path, Result]]
) -> None:
    before = tree(store.parent)
    result = run_grid(store, grid=grid_of(store))
    assert result.out == finished[store.parent.name][1].out
    assert tree(store.parent) == before


def test_an_interrupted_run_goes_on_to_the_same_bytes(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "again.sqlite"
    original = TwoStage.run
    calls = 0

    def interrupted(self: TwoStage, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(units, "UNIT_SECONDS", 1e-9)
        patch.setattr(units, "DRIVER_SECONDS", 0.0)
        patch.setattr(TwoStage, "run", interrupted)
        result = run_grid(out, grid=grid_of(store))
    assert result.code == 130
    assert "run the same command again to continue" in result.err
    with Store(out, write=False) as part:
        assert sum(len(part.replicates(s.cell.id)) for s in part.cells()) == 2
    run_grid(out, grid=grid_of(store))
    assert table(out) == table(store)


def test_workers_and_parts_change_no_record(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.sqlite"
    run_grid(out, "--replicates", 2, grid=grid_of(store))
    run_grid(out, "--threads", 2, grid=grid_of(store))
    assert table(out) == table(store)


def test_verify_and_replay_pass_on_a_good_store(store: Path) -> None:
    count = len(cells(store))
    assert call("verify", "--out", store).out.splitlines()[-1] == f"{3 * count} checks, 0 failed"
    result = call("replay", first(store).id, "--replicate", 1, "--out", store)
    assert result.code == 0
    assert "equals the stored record" in result.err


ALTERED = {
    "a loss": ("loss", [0.5], 1),
    "no losses": ("loss", [], None),
    "a negative loss": ("loss", [-1.0], None),
    "an error above 1": ("error", [2.0], None),
    "a text": ("error", ["0.5"], None),
}


@pytest.mark.parametrize("kind", ALTERED)
def test_an_altered_record_is_noticed(kind: str, store: Path) -> None:
    cell = first(store)
    field, value, codes = ALTERED[kind]
    with Store(store, write=False) as opened:
        record = opened.records(cell.id)[0]
    record[field] = value + record[field][1:] if value else value
    alter(
        store, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 0", json.dumps(record), cell.id
    )
    result = call("verify", "--out", store)
    assert result.code == 1
    assert "FAIL" in result.out
    if codes is None:
        assert "it was altered" in result.out
        assert "it was altered" in call("explain", cell.id, "--out", store).refusal
    else:
        assert "it replays to another record" in result.out


def test_altered_founds_and_sums_are_noticed(
    finished: dict[str, tuple[Path, Result]], tmp_path: Path
) -> None:
    path = tmp_path / "s.sqlite"
    shutil.copy(finished["signed"][0], path)
    cell = first(path)
    with Store(path, write=False) as opened:
        record = opened.records(cell.id)[0]
    for change in (
        {"found": "1"},
        {"found": record["found"][:-1] + "2"},
        {"online": -1},
        {"online": "x"},
        {"online": True},
    ):
        payload = json.dumps(record | change)
        alter(path, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 0", payload, cell.id)
        assert "it was altered" in call("verify", "--replicates", 0, "--out", path).out


def test_an_altered_theory_is_noticed(store: Path) -> None:
    with Store(store, write=True) as opened:
        (stored, *_) = opened.cells()
        opened.add_cells([(stored.cell, stored.theory | {"delta": 0.2, "signal": "none"})])
    result = call("verify", "--replicates", 0, "--out", store)
    assert result.code == 1
    assert "the stored theory is not what this version computes" in result.out


def test_the_exported_table_has_a_row_a_point_of_the_ladder(store: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(table(store).splitlines()))
    cell = first(store)
    with Store(store, write=False) as opened:
        record = opened.records(cell.id)[1]
    own = [row for row in rows if row["cell"] == cell.id and row["replicate"] == "1"]
    assert [(int(r["first"]), int(r["second"])) for r in own] == list(cell.ladder)
    assert [int(r["total"]) for r in own] == list(cell.totals)
    outcome = outcome_of(cell, record)
    assert [float(r["loss"]) for r in own] == outcome.loss.tolist()
    assert [float(r["error"]) for r in own] == outcome.error.tolist()
    assert {r["digest"] for r in own} == {record["digest"]}
    signed = cell.student == "signed"
    assert [r["found"] for r in own] == ([str(int(f)) for f in outcome.found] if signed else [""] * len(own))
    to = tmp_path / "t.parquet"
    assert call("export", "--format", "parquet", "--to", to, "--out", store).code == 0
    read = pq.read_table(to)
    assert read.num_rows == len(rows)
    assert str(read.schema.field("loss").type) == "double"
    assert str(read.schema.field("found").type) == "int64"


def test_merged_halves_equal_the_whole(store: Path, tmp_path: Path) -> None:
    halves = [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    with Store(store, write=False) as source:
        for half, path in enumerate(halves):
            with Store(path, write=True) as target:
                for stored in source.cells():
                    target.add_cells([(stored.cell, stored.theory)])
                    records = source.records(stored.cell.id)
                    target.add_records(stored.cell.id, {r: p for r, p in records.items() if r % 2 == half})
    assert call("merge", *halves, "--out", tmp_path / "m.sqlite").code == 0
    assert table(tmp_path / "m.sqlite") == table(store)


def test_status_explain_and_plot(store: Path) -> None:
    cell = first(store)
    status = call("status", "--out", store).out.splitlines()
    assert status[0].startswith(cell.id[:12])
    assert cell.label() in status[0]
    explained = call("explain", cell.id, "--out", store)
    assert explained.code == 0
    for part in (
        cell.id,
        "labels: ",
        "The second stage is taught the parity.",
        "signal: ",
        "measured with",
        "verdict: ",
    ):
        assert part in explained.out
    value = call("explain", cell.id, "--json", "--out", store).json
    assert value["id"] == cell.id
    figure = store.parent / "f.svg"
    assert call("plot", "--figure", figure, "--out", store).code == 0
    drawn = figure.read_bytes()
    call("plot", "--figure", figure, "--out", store)
    assert figure.read_bytes() == drawn
    assert b"<svg" in drawn


def test_json_has_everything_of_the_tables(store: Path) -> None:
    value = run_grid(store, "--json", grid=grid_of(store)).json
    signed = store.parent.name == "signed"
    assert value["complete"] is True
    assert len(value["cells"]) == len(cells(store))
    for cell in value["cells"]:
        assert [entry["loss"] for entry in cell["losses"]] == ([0.2, 0.1] if signed else [0.1, 0.01])
        assert (cell["first"] is not None) == (cell["online"] is not None) == signed
        assert all(set(entry["total"]) == {"loss", "error"} for entry in cell["losses"])
    assert len(value["growths"]) == (6 if signed else 0)
    assert len(value["ratios"]) == (4 if signed else 2)


def test_tables_say_what_they_show(finished: dict[str, tuple[Path, Result]]) -> None:
    signed, biased = finished["signed"][1].out, finished["biases"][1].out
    for word in (
        "first stage, k = 2",
        "to 0.2, k = 2",
        "to 0.1, k = 2",
        "T2-δ",
        "how many times more",
        "verdict: ",
    ):
        assert word in signed
    for word in ("students with biases", "no bound", "mean loss at horizons"):
        assert word in biased
    assert finished["signed"][0].with_suffix(".png").stat().st_size > 10_000


def test_other_losses_ask_for_no_new_students(
    finished: dict[str, tuple[Path, Result]], tmp_path: Path
) -> None:
    path = tmp_path / "s.sqlite"
    shutil.copy(finished["signed"][0], path)
    before = table(path)
    result = run_grid(path, "--loss", "0.05", grid=SIGNED)
    assert "to 0.05, k = 2" in result.out
    assert table(path) == before


def test_a_dry_run_tells_cells_and_cost() -> None:
    result = call(
        "run", *SIGNED, "--dry-run", "--json", "--workers", 1, "--out", "/nonexistent/s.sqlite"
    ).json
    assert len(result["cells"]) == 6
    assert all(cell["missing"] == 5 and cell["seconds"] > 0 for cell in result["cells"])
