"""The online protocol on the command line, in this process: runs, resumption, every verb, divergence."""

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import NoReturn

import pyarrow.parquet as pq
import pytest

from sim.execution.threads import worker_count
from sim.online.cell import StudentCell
from sim.online.options import no_theory
from sim.protocol.base import Means, Part
from sim.protocol.online import Online
from sim.store import Store
from sim.verbs.common import artifacts_of
from tests.sim.conftest import ONLINE, Result, alter, call, cells, records, run_grid, table, teacher, tree

TABLE = ",".join(Online.columns)


def student(path: Path, name: str) -> StudentCell:
    (cell,) = (c for c in cells(path) if isinstance(c, StudentCell) and c.student.supervision.name == name)
    return cell


# runs


def test_a_run_has_a_teacher_and_students_and_exits_0(online: Path, online_result: Result) -> None:
    assert online_result.code == 0
    found = {cell.series.split()[0]: records(online, cell) for cell in cells(online)}
    assert {name: len(of_cell) for name, of_cell in found.items()} == {
        "teacher": 1,
        "cross-entropy": 3,
        "one-shot": 3,
        "progressive": 3,
    }
    text = online_result.out
    for part in (
        "teachers, n = 9, k = 2",
        "students, n = 9, k = 2",
        "progressive",
        "COMPLETE",
        "No bound speaks",
    ):
        assert part in text
    # Nothing of the other protocol's verdicts.
    for word in ("verdict", "CONSISTENT", "UNDECIDED", "lower bound", "predicted"):
        assert word not in text
    assert online.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_students_of_a_cell_differ_and_schedules_do(online: Path) -> None:
    curves = [
        json.dumps([record["accuracy"], record["loss"]])
        for cell in cells(online)
        for record in records(online, cell).values()
    ]
    assert len(set(curves)) == len(curves) == 10


def test_the_progressive_students_went_through_their_checkpoints(online: Path) -> None:
    for record in records(online, student(online, "progressive")).values():
        assert record["checkpoints"] == [[0, 200], [200, 400], [400, 600]]
    for record in records(online, student(online, "one-shot")).values():
        assert record["checkpoints"] == [[0, 800]]


def test_a_second_run_does_no_work_and_changes_no_byte(online: Path, online_result: Result) -> None:
    before, touched = tree(online.parent), [p.stat().st_mtime_ns for p in online.parent.rglob("*")]
    result = call("run", *ONLINE, "--workers", 1, "--out", online)
    assert [p.stat().st_mtime_ns for p in online.parent.rglob("*")] == touched
    assert (result.code, result.out) == (online_result.code, online_result.out)
    assert "nothing to run: all 1 to 3 replicates of 4 cells" in result.err
    assert tree(online.parent) == before


def test_a_run_in_parts_equals_one_run_with_and_without_artifacts(online: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts.sqlite"
    run_grid(out, "--replicates", 1, grid=ONLINE)
    shutil.rmtree(artifacts_of(out))
    only = ONLINE[: ONLINE.index("--checkpoints")]
    run_grid(out, "--schedule", "one-shot", "--replicates", 2, grid=only)
    run_grid(out, grid=ONLINE)
    assert table(out) == table(online)
    assert records(out, teacher(out)) == records(online, teacher(online))


def test_results_depend_neither_on_workers_nor_on_threads(online: Path, tmp_path: Path) -> None:
    out = tmp_path / "threads.sqlite"
    run_grid(out, "--threads", 2, grid=ONLINE)
    assert table(out) == table(online)
    if worker_count(None) > 1:
        two = tmp_path / "workers.sqlite"
        assert call("run", *ONLINE, "--workers", 2, "--quiet", "--out", two).code == 0
        assert table(two) == table(online)


def test_progress_never_goes_back_and_ends_at_1(online: Path) -> None:
    shares: list[float] = []
    parts = [Part(cell, (0,)) for cell in cells(online) if cell != student(online, "cross-entropy")]
    Online().run(parts, Means(), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert len(shares) > 10


# divergence

STEEP = (*ONLINE, "--lr", "0.1,1e5")


@pytest.fixture(scope="module")
def steep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    path = tmp_path_factory.mktemp("steep") / "s.sqlite"
    return path, run_grid(path, grid=STEEP, figures=True)


def test_a_student_that_diverges_is_shown_with_its_step_and_is_in_no_average(
    steep: tuple[Path, Result], online: Path
) -> None:
    path, result = steep
    assert result.code == 3
    assert "DIVERGED at step" in result.out
    assert "COMPLETE, " in result.out
    value = run_grid(path, "--json", grid=STEEP).json
    bad = [cell for cell in value["cells"] if "1e5" in cell["label"] or "100000" in cell["label"]]
    good = [cell for cell in value["cells"] if cell not in bad]
    assert len(bad) == 3
    assert sum(len(cell["diverged"]) for cell in bad) == value["diverged"] > 0
    for cell in bad:
        values = cell["final_accuracy"] and cell["final_accuracy"]["values"]
        assert len(values or []) == 3 - len(cell["diverged"])
    # The others are what they are without them.
    plain = {cell.id: records(online, cell) for cell in cells(online)}
    assert {
        cell["id"]: records(path, next(c for c in cells(path) if c.id == cell["id"])) for cell in good
    } == plain
    assert call("plot", "--out", path).code == 0


def test_students_of_a_teacher_that_diverged_say_so(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    result = run_grid(path, "--teacher-lr", "1e5", grid=ONLINE, figures=True)
    assert result.code == 3
    record = records(path, teacher(path))[0]
    assert record["status"] == "DIVERGED"
    assert record["held_out"][-1] is None
    for name in ("one-shot", "progressive"):
        for taught in records(path, student(path, name)).values():
            assert (taught["status"], taught["diverged_at"]) == ("TEACHER DIVERGED", record["diverged_at"])
            assert set(taught["held_out"]) == {None}
    assert {r["status"] for r in records(path, student(path, "cross-entropy")).values()} == {"OK"}
    assert "TEACHER DIVERGED" in call("explain", student(path, "one-shot").id, "--out", path).out
    assert table(path).count("TEACHER DIVERGED") == 2 * 3 * 6
    assert call("verify", "--out", path).code == 0
    before = table(path)
    assert run_grid(path, "--teacher-lr", "1e5", grid=ONLINE).code == 3
    assert table(path) == before


# verbs


def test_status_says_what_is_there_and_what_is_missing(online: Path) -> None:
    lines = call("status", "--out", online).out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [cell.id[:12] for cell in cells(online)]
    assert lines[-1] == f"4 cells, 10 replicates in {online}"
    alter(online, "DELETE FROM records WHERE cell = ? AND replicate > 0", student(online, "one-shot").id)
    lines = call("status", "--out", online).out.splitlines()
    assert lines[-1] == f"4 cells, 8 replicates in {online}, 2 missing"
    assert sum(line.endswith("1 replicates, 2 missing") for line in lines) == 1
    found = call("status", "--json", "--out", online).json["cells"]
    assert sorted(cell["missing"] for cell in found) == [0, 0, 0, 2]


def test_explain_shows_the_curve_and_that_there_is_no_theory(online: Path) -> None:
    for cell in cells(online):
        result = call("explain", cell.id[:10], "--out", online)
        assert result.code == 0
        for part in (cell.id, cell.label(), "theory: No bound", "status: OK"):
            assert part in result.out
        value = call("explain", cell.id[:10], "--json", "--out", online).json
        assert value["id"] == cell.id
        assert value["theory"]["bounds"] == []


@pytest.mark.parametrize("name", ["teacher", "one-shot", "progressive", "cross-entropy"])
def test_replay_equals_the_stored_record_from_nothing(name: str, online: Path) -> None:
    cell = teacher(online) if name == "teacher" else student(online, name)
    replicate = 0 if name == "teacher" else 2
    shutil.rmtree(artifacts_of(online))
    before = tree(online.parent)
    result = call("replay", cell.id, "--replicate", replicate, "--out", online)
    assert result.code == 0
    assert result.json["record"] == records(online, cell)[replicate]
    assert "equals the stored record" in result.err
    assert tree(online.parent) == before


def test_replay_refuses_what_a_teacher_has_not_before_any_work(
    online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.protocol.online.Online.run", _no_work)
    cell = teacher(online)
    refusal = call("replay", cell.id, "--replicate", 1, "--out", online).refusal
    assert refusal == f"replicate 1 of {cell.label()} is not allowed: a teacher has replicate 0 only"


def _no_work(*arguments: object, **named: object) -> NoReturn:
    raise AssertionError("work was begun")


def test_where_the_device_is_not_replay_refuses_and_verify_skips(
    online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    here = student(online, "one-shot")
    elsewhere = dataclasses.replace(here, device="cuda")
    with Store(online, write=True) as store:
        store.add_cells([(elsewhere, no_theory())])
        store.add_records(elsewhere.id, store.records(here.id))
    sentence = "device 'cuda' is not there: torch finds no CUDA, use cpu or a machine that has one"
    assert call("replay", elsewhere.id, "--replicate", 0, "--out", online).refusal == sentence
    result = call("verify", "--out", online)
    assert result.code == 0
    skipped = [line for line in result.out.splitlines() if line.startswith("skip")]
    assert skipped == [f"skip  {elsewhere.id[:12]} {elsewhere.label()}: {sentence}"]
    assert f"ok    {elsewhere.id[:12]} {elsewhere.label()}: 3 records" in result.out


def test_replay_trusts_no_artifact(online: Path) -> None:
    # A state that was tampered with in a consistent way cannot be told from a good one: replay must not read it.
    for file in artifacts_of(online).rglob("*.safetensors"):
        file.write_bytes(b"")
    cell = student(online, "progressive")
    assert call("replay", cell.id, "--replicate", 1, "--out", online).code == 0


def test_replay_and_verify_notice_an_altered_record(online: Path) -> None:
    cell = student(online, "progressive")
    record = records(online, cell)[0]
    bad = record | {"held_out": [0.5] * len(record["held_out"])}
    alter(online, "UPDATE records SET payload = ? WHERE cell = ? AND replicate = 0", json.dumps(bad), cell.id)
    assert call("replay", cell.id, "--replicate", 0, "--out", online).code == 1
    result = call("verify", "--out", online)
    assert result.code == 1
    assert result.out.count("FAIL") == 1
    assert f"FAIL  {cell.id[:12]} {cell.label()}: replicate 0: it replays to another record" in result.out


def test_verify_passes_and_skips_what_is_slow(online: Path) -> None:
    result = call("verify", "--replicates", 2, "--out", online)
    assert result.code == 0
    # Records and theory of 4 cells, one replicate of the teacher, two of each kind of students.
    assert result.out.splitlines()[-1] == "15 checks, 0 failed"
    result = call("verify", "--seconds", 0, "--out", online)
    assert result.code == 0
    assert result.out.count("skip") == 4
    assert "running the group again takes about" in result.out


def test_verify_catches_altered_theory_and_malformed_records(online: Path) -> None:
    cell = student(online, "one-shot")
    alter(online, "UPDATE cells SET theory = ? WHERE id = ?", '{"bounds":[1]}', cell.id)
    alter(online, "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 2", cell.id)
    result = call("verify", "--replicates", 0, "--out", online)
    assert result.code == 1
    assert result.out.count("FAIL") == 2
    for verb in (["plot"], ["explain", cell.id]):
        assert "was altered" in call(*verb, "--out", online).refusal


def test_the_table_has_a_row_a_log_point(online: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(table(online))))
    assert list(rows[0]) == list(Online.columns)
    assert len(rows) == 8 + 3 * 3 * 6
    held_out = {(row["cell"], row["replicate"], row["step"]): row["held_out"] for row in rows}
    for cell in cells(online):
        for replicate, record in records(online, cell).items():
            for step, value in zip(record["steps"], record["held_out"], strict=True):
                assert float(held_out[cell.id, str(replicate), str(step)]) == value
    by_role = {row["role"] for row in rows}
    assert by_role == {"teacher", "student"}


def test_csv_equals_parquet(online: Path, tmp_path: Path) -> None:
    to = tmp_path / "t.parquet"
    assert call("export", "--format", "parquet", "--to", to, "--out", online).code == 0
    rows = list(csv.DictReader(io.StringIO(table(online))))
    plain = [
        {key: "" if value is None else str(value) for key, value in row.items()}
        for row in pq.read_table(to).to_pylist()
    ]
    assert plain == rows


def test_merging_two_halves_equals_one_run(online: Path, tmp_path: Path) -> None:
    halves = [tmp_path / "a.sqlite", tmp_path / "b.sqlite"]
    with Store(online, write=False) as source:
        for half, path in enumerate(halves):
            with Store(path, write=True) as store:
                for stored in source.cells():
                    store.add_cells([(stored.cell, stored.theory)])
                    kept = {r: p for r, p in source.records(stored.cell.id).items() if r % 2 == half}
                    store.add_records(stored.cell.id, kept)
                store.want(source.wanted())
    out = tmp_path / "ab.sqlite"
    assert call("merge", *halves, "--out", out).code == 0
    assert table(out) == table(online)
    merged = out.read_bytes()
    run_grid(out, grid=ONLINE)
    assert out.read_bytes() == merged


@pytest.mark.parametrize("kind", [[], ["--kind", "accuracy"]])
def test_plot_draws_what_run_drew(kind: list[str], online: Path) -> None:
    drawn = tree(online.parent)
    for suffix in (".png", ".svg"):
        online.with_suffix(suffix).unlink()
    assert call("plot", *kind, "--out", online).code == 0
    assert tree(online.parent) == drawn


# two protocols in one store


@pytest.fixture
def both(online: Path) -> Path:
    assert run_grid(online).code in (0, 3)
    return online


def test_a_store_may_hold_cells_of_both_protocols(both: Path, tiny: Path, online_result: Result) -> None:
    assert call("status", "--out", both).out.splitlines()[-1].startswith("10 cells, 46 replicates")
    for verb in ("export", "plot"):
        assert "first-step and online: choose with --protocol" in call(verb, "--out", both).refusal
        assert call(verb, "--protocol", "online", "--out", both).code == 0
    assert call("export", "--protocol", "first-step", "--out", both).out == table(tiny)
    assert call("export", "--protocol", "online", "--out", both).out.startswith(TABLE)
    assert call("verify", "--out", both).code == 0
    # A run shows its own cells.
    assert run_grid(both, grid=ONLINE).out == online_result.out


def test_a_protocol_that_a_store_has_not_is_refused(tiny: Path) -> None:
    assert "has no cells of protocol 'online'" in call("plot", "--protocol", "online", "--out", tiny).refusal
    assert "'third-step'" in call("export", "--protocol", "third-step", "--out", tiny).refusal
