"""The verbs other than run, in this process."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sim.cell import FirstStepCell
from sim.protocol.first_step import first_step_cell
from sim.ranges import record_grid
from sim.store import Store
from tests.sim.conftest import Result, alter, call, run_grid, table, tree
from tests.sim.stores import first_version


def first_cell(path: Path) -> FirstStepCell:
    with Store(path, write=False) as store:
        return first_step_cell(store.cells()[0].cell)


@pytest.mark.parametrize("verb", ["status", "explain", "replay", "export", "plot", "verify"])
def test_a_missing_store_is_refused_and_not_made(verb: str, tmp_path: Path) -> None:
    extra = {"explain": ["ab"], "replay": ["ab", "--replicate", "0"]}.get(verb, [])
    assert "does not exist" in call(verb, *extra, "--out", tmp_path / "s.sqlite").refusal
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["status", "explain", "replay", "export", "verify"])
def test_reading_leaves_the_folder_as_it_is(verb: str, tiny: Path) -> None:
    before = tree(tiny.parent)
    cell = first_cell(tiny).id
    extra = {"explain": [cell], "replay": [cell, "--replicate", "0"]}.get(verb, [])
    assert call(verb, *extra, "--out", tiny).code == 0
    assert tree(tiny.parent) == before


def test_status_lists_every_cell(tiny: Path) -> None:
    with Store(tiny, write=False) as store:
        ids = [stored.cell.id for stored in store.cells()]
    lines = call("status", "--out", tiny).out.splitlines()
    assert [line[:12] for line in lines[:-1]] == [i[:12] for i in ids]
    assert all(line.endswith("6 replicates") for line in lines[:-1])
    assert lines[-1] == f"6 cells, 36 replicates in {tiny}"
    cells = call("status", "--json", "--out", tiny).json["cells"]
    assert [c["id"] for c in cells] == ids
    assert all(c["replicates"] == 6 for c in cells)


def test_status_says_what_is_missing_where_the_store_knows(tiny: Path) -> None:
    cell = first_cell(tiny)
    alter(tiny, "DELETE FROM records WHERE cell = ? AND replicate IN (1, 4)", cell.id)
    lines = call("status", "--out", tiny).out.splitlines()
    assert lines[0].endswith("4 replicates, 2 missing")
    assert lines[-1] == f"6 cells, 34 replicates in {tiny}, 2 missing"
    cells = call("status", "--json", "--out", tiny).json["cells"]
    assert [c["missing"] for c in cells] == [2, 0, 0, 0, 0, 0]
    # Asking for less later does not make less of it; a store of before this was noted does not know.
    run_grid(tiny, "--replicates", 1)
    assert call("status", "--out", tiny).out.splitlines() == lines
    old = tiny.with_name("old.sqlite")
    first_version(tiny, old, wanted=False)
    before = tree(tiny.parent)
    assert "missing" not in call("status", "--out", old).out
    assert {c["missing"] for c in call("status", "--json", "--out", old).json["cells"]} == {None}
    assert tree(tiny.parent) == before
    run_grid(old, "--replicates", 8)
    assert call("status", "--out", old).out.splitlines()[-1] == f"6 cells, 48 replicates in {old}"


def test_explain_says_what_the_cell_is_and_why_the_verdict(tiny: Path) -> None:
    cell = first_cell(tiny)
    result = call("explain", cell.id[:10], "--out", tiny)
    assert result.code == 0
    for part in (
        cell.id,
        cell.label(),
        "labels: ",
        "signal: ",
        "bound B1'",
        "bound B2",
        "predicted: ",
        "verdict: ",
    ):
        assert part in result.out
    assert result.out.count(" samples  ") == len(record_grid(cell.samples, cell.resolution))
    value = call("explain", cell.id[:10], "--json", "--out", tiny).json
    assert value["id"] == cell.id
    assert value["theory"]["bounds"]
    assert value["verdict"] in ("consistent", "undecided")


def test_explain_and_replay_need_one_cell(tiny: Path) -> None:
    for verb in (["explain", "zz"], ["replay", "zz", "--replicate", "0"]):
        assert "cell 'zz' matches no cell" in call(*verb, "--out", tiny).refusal
    assert "matches 6 cells" in call("explain", "", "--out", tiny).refusal


def test_replay_equals_the_stored_record(tiny: Path) -> None:
    cell = first_cell(tiny)
    with Store(tiny, write=False) as store:
        stored = store.records(cell.id)[3]
    result = call("replay", cell.id, "--replicate", 3, "--out", tiny)
    assert result.code == 0
    assert result.json == {"cell": cell.id, "replicate": 3, "record": stored}
    assert "equals the stored record" in result.err
    assert call("replay", cell.id, "--replicate", 3, "--threads", 2, "--out", tiny).out == result.out


def test_replay_of_a_replicate_that_is_not_stored(tiny: Path) -> None:
    result = call("replay", first_cell(tiny).id, "--replicate", 1000, "--out", tiny)
    assert result.code == 0
    assert "not stored: nothing to compare with" in result.err


def test_replay_notices_an_altered_record(tiny: Path) -> None:
    cell = first_cell(tiny)
    alter(
        tiny,
        "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 3",
        '{"success":"1111111"}',
        cell.id,
    )
    result = call("replay", cell.id, "--replicate", 3, "--out", tiny)
    assert result.code == 1
    assert "differs from the stored record" in result.err


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--replicate", "-1"], "replicate -1"),
        (["--replicate", "x"], "'x'"),
        (["--replicate", "0", "--threads", "0"], "threads 0"),
        ([], "--replicate"),
    ],
)
def test_replay_refuses_bad_numbers(options: list[str], part: str, tiny: Path) -> None:
    assert part in call("replay", first_cell(tiny).id, *options, "--out", tiny).refusal


# merge


def halves(tiny: Path, folder: Path) -> list[Path]:
    """Two stores with half of the replicates each, one of them with fewer cells."""
    paths = [folder / "a.sqlite", folder / "b.sqlite"]
    with Store(tiny, write=False) as source:
        cells = source.cells()
        for half, path in enumerate(paths):
            with Store(path, write=True) as store:
                for stored in cells:
                    store.add_cells([(stored.cell, stored.theory)])
                    records = source.records(stored.cell.id)
                    store.add_records(stored.cell.id, {r: p for r, p in records.items() if r % 2 == half})
                store.want(source.wanted())
    return paths


def test_merging_two_halves_equals_one_run(tiny: Path, tmp_path: Path) -> None:
    a, b = halves(tiny, tmp_path)
    before = a.read_bytes(), b.read_bytes()
    for order, out in (((a, b), "ab.sqlite"), ((b, a), "ba.sqlite")):
        result = call("merge", *order, "--out", tmp_path / out)
        assert result == Result(0, f"36 replicates added, 36 in {tmp_path / out}\n", "")
        assert table(tmp_path / out) == table(tiny)
    assert (a.read_bytes(), b.read_bytes()) == before
    # The result is a store like any other: a run on it has nothing to do.
    merged = (tmp_path / "ab.sqlite").read_bytes()
    run_grid(tmp_path / "ab.sqlite")
    assert (tmp_path / "ab.sqlite").read_bytes() == merged


def test_merging_into_a_store_adds_and_merging_again_adds_nothing(tiny: Path, tmp_path: Path) -> None:
    a, b = halves(tiny, tmp_path)
    assert call("merge", b, "--out", a).out == f"18 replicates added, 36 in {a}\n"
    assert table(a) == table(tiny)
    before = a.read_bytes()
    assert call("merge", b, tiny, "--out", a).out == f"0 replicates added, 36 in {a}\n"
    assert a.read_bytes() == before


@pytest.mark.parametrize("where", ["in the target", "among the sources"])
def test_a_conflict_is_refused_and_nothing_is_written(where: str, tiny: Path, tmp_path: Path) -> None:
    a, b = halves(tiny, tmp_path)
    cell = first_cell(tiny)
    with Store(b, write=True) as store:
        store.add_records(cell.id, {0: {"success": "1111111", "digest": "other"}})
    out = a if where == "in the target" else tmp_path / "new.sqlite"
    before = tree(tmp_path)
    result = call("merge", *([b] if out == a else [a, b]), "--out", out)
    assert f"replicate 0 of cell {cell.id[:12]} differs between {a} and {b}" in result.refusal
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["missing", "not ours", "itself", "none"])
def test_merge_refuses_bad_sources_and_writes_nothing(kind: str, tiny: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.sqlite"
    if kind == "not ours":
        bad.write_text("mine")
    sources = {
        "missing": [tiny, bad],
        "not ours": [tiny, bad],
        "itself": [tmp_path / "copy.sqlite"],
        "none": [],
    }[kind]
    out = tmp_path / ("copy.sqlite" if kind == "itself" else "new.sqlite")
    if kind == "itself":
        shutil.copy(tiny, out)
    before = tree(tmp_path)
    assert call("merge", *sources, "--out", out).refusal
    assert tree(tmp_path) == before


def test_merge_refuses_a_locked_target(tiny: Path, tmp_path: Path) -> None:
    a, b = halves(tiny, tmp_path)
    with Store(a, write=True):
        assert "in use by another run" in call("merge", b, "--out", a).refusal


# verify


def test_verify_passes_on_a_good_store(tiny: Path) -> None:
    result = call("verify", "--replicates", 2, "--out", tiny)
    assert result.code == 0
    # For each of 6 cells: records, theory, two replicates.
    assert result.out.splitlines()[-1] == "24 checks, 0 failed"
    assert "FAIL" not in result.out
    assert call("verify", "--replicates", 0, "--out", tiny).out.splitlines()[-1] == "12 checks, 0 failed"


def test_verify_skips_what_is_slow_and_says_so(tiny: Path) -> None:
    result = call("verify", "--seconds", 0, "--out", tiny)
    assert result.code == 0
    assert result.out.count("skip") == 6
    assert result.out.splitlines()[-1] == "12 checks, 0 failed"


def test_verify_catches_an_altered_record(tiny: Path) -> None:
    cell = first_cell(tiny)
    with Store(tiny, write=False) as store:
        record = store.records(cell.id)[0]
    flipped = record | {"success": "".join("10"[int(s)] for s in record["success"])}
    for bad in (flipped, record | {"digest": "0" * 32}):
        alter(
            tiny, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 0", json.dumps(bad), cell.id
        )
        result = call("verify", "--out", tiny)
        assert result.code == 1
        assert f"FAIL  {cell.id[:12]} {cell.label()}: replicate 0: it replays to another record" in result.out
        assert result.out.count("FAIL") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda theory: theory | {"bounds": [b | {"samples": 1.0} for b in theory["bounds"]]},
        lambda theory: theory | {"prediction": theory["prediction"] | {"half": 1.0}},
        lambda theory: {},
        lambda theory: theory | {"delta": 7},
    ],
)
def test_verify_catches_altered_theory(change: Any, tiny: Path) -> None:
    with Store(tiny, write=False) as store:
        stored = store.cells()[0]
    text = json.dumps(change(stored.theory))
    alter(tiny, "UPDATE cells SET theory = ? WHERE id = ?", text, stored.cell.id)
    result = call("verify", "--replicates", 0, "--out", tiny)
    assert result.code == 1
    assert result.out.count("FAIL") == 1
    assert f"FAIL  {stored.cell.id[:12]} {stored.cell.label()}: theory: " in result.out


def test_verify_refuses_an_altered_cell(tiny: Path) -> None:
    cell = first_cell(tiny)
    spec = json.dumps(cell.spec() | {"seed": 1})
    alter(tiny, "UPDATE cells SET spec = ? WHERE id = ?", spec, cell.id)
    assert "does not match its content" in call("verify", "--out", tiny).refusal


@pytest.mark.parametrize("options", [["--replicates", "-1"], ["--replicates", "x"], ["--seconds", "x"]])
def test_verify_refuses_bad_numbers(options: list[str], tiny: Path) -> None:
    assert options[1] in call("verify", *options, "--out", tiny).refusal


# plot


def test_plot_draws_what_run_drew(tiny: Path, tmp_path: Path) -> None:
    drawn = tree(tiny.parent)
    result = call("plot", "--out", tiny)
    assert result == Result(0, f"{tiny.with_suffix('.png')}\n{tiny.with_suffix('.svg')}\n", "")
    assert tree(tiny.parent) == drawn
    assert call("plot", "--figure", tmp_path / "f.svg", "--out", tiny).code == 0
    assert (tmp_path / "f.svg").read_bytes() == tiny.with_suffix(".svg").read_bytes()


@pytest.mark.parametrize("name", ["f.pdf", "f", "no/f.png"])
def test_plot_refuses_a_path_that_it_cannot_draw_to(name: str, tiny: Path, tmp_path: Path) -> None:
    assert name in call("plot", "--figure", tmp_path / name, "--out", tiny).refusal


def degenerate(tiny: Path, path: Path, kind: str) -> None:
    """Stores with little to draw."""
    with Store(tiny, write=False) as source, Store(path, write=True) as store:
        for stored in source.cells():
            cell = first_step_cell(stored.cell)
            if kind == "a single n" and cell.n != 9:
                continue
            store.add_cells([(cell, stored.theory)])
            points = len(record_grid(cell.samples, cell.resolution))
            success = {"all failed": "0", "one replicate": "1"}.get(kind)
            if kind == "no records":
                continue
            records = source.records(cell.id)
            if success is not None:
                records = {r: p | {"success": success * points} for r, p in records.items()}
            if kind == "one replicate":
                records = {0: records[0]}
            store.add_records(cell.id, records)


@pytest.mark.parametrize("kind", ["no records", "a single n", "all failed", "one replicate"])
def test_degenerate_stores_are_drawn_and_explained(kind: str, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    degenerate(tiny, path, kind)
    result = call("plot", "--out", path)
    assert result.code == 0, result
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    cell = first_cell(path)
    explained = call("explain", cell.id, "--out", path)
    assert explained.code == 0
    if kind == "no records":
        assert "UNDECIDED. Nothing was measured." in explained.out
    call("explain", cell.id, "--json", "--out", path).json  # noqa: B018


def test_an_empty_store_has_nothing_to_draw(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    Store(path, write=True).close()
    assert "has no cells" in call("plot", "--out", path).refusal
    assert call("status", "--out", path).out == f"0 cells, 0 replicates in {path}\n"
    assert call("verify", "--out", path).code == 0


def test_phase_one_teachers_run_from_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "p.sqlite"
    for teacher in ("phase-1", "phase-1-projected"):
        for labels in ("logits", "hard"):
            options = (
                "--n",
                "9",
                "--k",
                "2",
                "--samples",
                "256",
                "--replicates",
                "5",
                "--schedule",
                "progressive",
            )
            grid = (*options, "--teacher", teacher, "--labels", labels, "--teacher-width", "8")
            result = run_grid(path, grid=grid)
            assert result.code in (0, 3), result
    assert call("verify", "--out", path).code == 0
    assert call("plot", "--out", path).code == 0


def test_a_smaller_run_does_not_judge_all_students_by_the_theory_of_a_few(tmp_path: Path) -> None:
    # The theory of drawn teachers is that of these very students.
    path = tmp_path / "p.sqlite"
    options = (
        "--n",
        "9",
        "--k",
        "2",
        "--samples",
        "256",
        "--schedule",
        "progressive",
        "--teacher",
        "phase-1",
    )
    grid = (*options, "--teacher-width", "8")
    run_grid(path, "--replicates", 12, grid=grid)
    run_grid(path, "--replicates", 3, grid=grid)
    with Store(path, write=False) as store:
        (stored,) = store.cells()
        assert len(store.records(stored.cell.id)) == 12
        assert len(stored.theory["plateau"]["success_at_horizon"]) == 12
