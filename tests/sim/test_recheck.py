"""Verifying a packed study: whatever does not follow from its records is found, though the archive is sealed anew."""

import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim import recheck, study
from sim.store import Store
from sim.verify import verify_store
from tests.sim import conftest
from tests.sim.conftest import tree
from tests.sim.pack_cases import Members, failed, manifest, pack, plain_figures, repack, verify
from tests.sim.stores import reseal


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes most of the time, and is not what these tests are about."""
    monkeypatch.setattr(study.Part, "draw", plain_figures)
    monkeypatch.setattr("sim.plan.theory_of", conftest._theory_of)


@pytest.fixture(scope="module")
def packed(_tiny: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study.Part, "draw", plain_figures)
        return pack(_tiny[0], tmp_path_factory.mktemp("packed") / "s.zip")


def other_versions(monkeypatch: pytest.MonkeyPatch, *names: str, fingerprint: str | None = None) -> None:
    """As if the archive were verified elsewhere."""
    here = {**recheck.versions(), **dict.fromkeys(names, "0.0")}
    monkeypatch.setattr(recheck, "versions", lambda: here)
    if fingerprint is not None:
        monkeypatch.setattr(recheck, "fingerprint", lambda: fingerprint)


def test_a_good_archive_passes_and_leaves_nothing(packed: Path, temporary: Path) -> None:
    before = packed.read_bytes()
    result = verify(packed, "--replicates", 2)
    assert failed(result) == []
    # 3 of the archive, 10 members, the schema, 12 records and theories, 12 replicates, 1 list, 11 made again.
    assert result.out.splitlines()[-1] == "50 checks, 0 failed"
    assert "note  packed by sparse-parity" in result.out
    assert "all versions as here" in result.out
    assert "skip" not in result.out
    assert list(temporary.iterdir()) == []
    assert packed.read_bytes() == before


def test_an_archive_may_be_given_as_out(packed: Path) -> None:
    assert verify(packed) == verify(Path("--out"), packed, "--replicates", 0)


def changed(name: str, old: bytes, new: bytes) -> Callable[[Members, dict[str, Any]], None]:
    def change(members: Members, stated: dict[str, Any]) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return change


def outcome(members: Members, stated: dict[str, Any]) -> None:
    stated["protocols"]["first-step"]["exit_code"] = 0


def command(members: Members, stated: dict[str, Any]) -> None:
    stated["protocols"]["first-step"]["commands"][0] = "rm -rf ~"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (changed("table-first-step.csv", b",1,", b",0,"), "table-first-step.csv"),
        (changed("table-first-step.csv", b"\n", b"\r\n"), "table-first-step.csv"),
        (
            lambda m, s: m.update({"table-first-step.csv": m["table-first-step.csv"] + b"x\n"}),
            "table-first-step.csv",
        ),
        (
            lambda m, s: m.update({"table-first-step.csv": m["table-first-step.csv"][:-9]}),
            "table-first-step.csv",
        ),
        (changed("table-first-step.parquet", b"PAR1", b"PAR2"), "table-first-step.parquet"),
        (lambda m, s: m.update({"table-first-step.parquet": b""}), "table-first-step.parquet"),
        (changed("summary-first-step.json", b"1", b"2"), "summary-first-step.json"),
        (changed("summary-first-step.json", b"{", b"["), "summary-first-step.json"),
        (changed("summary-first-step.txt", b"undecided", b"consistent"), "summary-first-step.txt"),
        (changed("figure-first-step.svg", b"svg", b"gif"), "figure-first-step.svg"),
        (changed("specification.json", b'"wanted": 6', b'"wanted": 5'), "specification.json"),
        (changed("README.txt", b"python -m", b"rm -rf"), "README.txt"),
        (changed("tables.md", b"cell", b"sell"), "tables.md"),
        (outcome, "manifest: outcomes"),
        (command, "manifest: outcomes"),
    ],
)
def test_what_does_not_follow_from_the_records_is_found(
    change: Callable[[Members, dict[str, Any]], None], name: str, packed: Path, tmp_path: Path
) -> None:
    (line,) = failed(verify(repack(packed, tmp_path / "s.zip", change)))
    assert line.startswith(f"{name} made again: ")


@pytest.mark.parametrize("more", [True, False])
def test_members_that_the_records_do_not_ask_for_are_found(more: bool, packed: Path, tmp_path: Path) -> None:
    def change(members: Members, stated: dict[str, Any]) -> None:
        if more:
            members["table-online.csv"] = b"x"
        else:
            del members["figure-first-step.png"]

    (line,) = failed(verify(repack(packed, tmp_path / "s.zip", change)))
    assert line.startswith("members: the records ask for README.txt, ")


def in_store(folder: Path, sql: str, *, sums: bool) -> Callable[[Members, dict[str, Any]], None]:
    """A change of the packed store itself, whose sums are then made right, or not."""

    def change(members: Members, stated: dict[str, Any]) -> None:
        path = folder / "change.sqlite"
        path.write_bytes(members["store.sqlite"])
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(sql)
            if sums:
                reseal(connection)
        connection.close()
        members["store.sqlite"] = path.read_bytes()

    return change


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where archives are unpacked."""
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    return tmp_path / "t"


RECORDS = "UPDATE records SET payload = "


@pytest.mark.parametrize(
    ("sql", "part"),
    [
        (
            RECORDS + "replace(payload, '0', '1') WHERE replicate = 5",
            "table-first-step.csv made again: it differs",
        ),
        (RECORDS + "'{}' WHERE replicate = 5", "records: .* was altered"),
        (RECORDS + "'x' WHERE replicate = 5", "records: .* was altered"),
        ("DELETE FROM records WHERE replicate = 5", "table-first-step.csv made again: it differs"),
        ("UPDATE cells SET theory = '{}'", "theory: the stored theory does not say its delta"),
        (
            "UPDATE cells SET theory = replace(theory, '0.1', '0.2')",
            "specification.json made again: it differs",
        ),
        ("UPDATE cells SET spec = replace(spec, '64', '65')", "store: .*: it was altered"),
        ("UPDATE wanted SET replicates = 7", "manifest: outcomes made again: it states others"),
        (
            "UPDATE wanted SET cell = 'x' WHERE cell = (SELECT max(cell) FROM wanted)",
            "store.sqlite made again",
        ),
        ("CREATE TABLE more (x)", "store.sqlite made again: it is not written as pack writes stores"),
        ("PRAGMA user_version = 99", "store: .* newer version"),
    ],
)
@pytest.mark.parametrize("sums", [True, False])
def test_an_altered_store_is_found(
    sql: str, part: str, sums: bool, packed: Path, tmp_path: Path, temporary: Path
) -> None:
    path = repack(packed, tmp_path / "s.zip", in_store(tmp_path, sql, sums=sums))
    lines = failed(verify(path))
    if sums or not sql.startswith(("UPDATE", "DELETE")):
        assert any(re.search(part, line) for line in lines), lines
    else:  # where the sums of rows tell, nothing else is needed
        assert any("is damaged" in line for line in lines), lines
    assert str(temporary) not in "".join(lines)
    assert tree(temporary) == {}


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE VIEW v AS SELECT 1", "view 'v'"),
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN SELECT 1; END", "trigger 't'"),
        ("CREATE TABLE g (x, y GENERATED ALWAYS AS (zeroblob(1000000000)))", "table 'g'"),
        ("CREATE VIRTUAL TABLE f USING fts5(x)", "table 'f'"),
    ],
)
def test_a_store_that_runs_code_is_not_opened(
    sql: str, what: str, packed: Path, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repack(packed, tmp_path / "s.zip", in_store(tmp_path, sql, sums=True))
    monkeypatch.setattr(recheck, "Store", None)
    assert failed(verify(path)) == [f"store: schema: it has {what}, which no store has"]
    assert tree(temporary) == {}


def test_a_store_that_is_no_database_is_found(packed: Path, tmp_path: Path) -> None:
    def change(members: Members, stated: dict[str, Any]) -> None:
        data = members["store.sqlite"]
        members["store.sqlite"] = data[:100] + b"\xff" * 4000 + data[4100:]

    (line,) = failed(verify(repack(packed, tmp_path / "s.zip", change)))
    assert line.startswith("store: schema: it cannot be read: ")


def test_an_altered_record_is_found_by_running_it_again(packed: Path, tmp_path: Path) -> None:
    # Whoever alters a record, and packs what follows, is found by this alone.
    with Store(_unpacked(packed, tmp_path), write=False) as store:
        cell = store.cells()[0].cell
        payload = store.records(cell.id)[0]
        others = {r: p for r, p in store.records(cell.id).items() if r}
        with Store(tmp_path / "forged.sqlite", write=True) as target:
            target.add_cells([(stored.cell, stored.theory) for stored in store.cells()])
            target.want(store.wanted())
            target.add_records(cell.id, {0: payload | {"digest": "0" * 32}, **others})
            for stored in store.cells()[1:]:
                target.add_records(stored.cell.id, store.records(stored.cell.id))
    forged = pack(tmp_path / "forged.sqlite", tmp_path / "forged.zip")
    assert failed(verify(forged)) == []
    assert failed(verify(forged, "--replicates", 1)) == [
        f"{cell.id[:12]} {cell.label()}: replicate 0: it replays to another record"
    ]


def _unpacked(packed: Path, folder: Path) -> Path:
    shutil.unpack_archive(packed, folder / "u")
    return folder / "u" / "store.sqlite"


# other versions


def test_other_versions_are_said_and_what_depends_on_them_is_not_compared(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_versions(monkeypatch, "numpy", fingerprint="f" * 64)
    result = verify(packed)
    assert failed(result) == []
    assert "with other versions" in result.out
    assert f"note  packed with numpy {manifest(packed)['versions']['numpy']}, here 0.0" in result.out
    assert "note  packed with fingerprint " in result.out
    skipped = [line.split()[1] for line in result.out.splitlines() if line.startswith("skip")]
    assert skipped == [
        *("tables.md", "README.txt", "summary-first-step.txt"),
        *("figure-first-step.png", "figure-first-step.svg", "store.sqlite"),
    ]


def test_other_versions_may_round_summaries_differently(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(factor: float) -> Callable[[Members, dict[str, Any]], None]:
        def scale(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: scale(v) for key, v in value.items()}
            if isinstance(value, list):
                return [scale(v) for v in value]
            return value * factor if isinstance(value, float) else value

        def act(members: Members, stated: dict[str, Any]) -> None:
            value = json.loads(members["summary-first-step.json"])
            members["summary-first-step.json"] = json.dumps(scale(value)).encode()

        return act

    rounded = repack(packed, tmp_path / "a.zip", change(1 + 1e-12))
    wrong = repack(packed, tmp_path / "b.zip", change(1.01))
    assert failed(verify(rounded)) == ["summary-first-step.json made again: it differs"]
    other_versions(monkeypatch, "numpy")
    assert failed(verify(rounded)) == []
    assert failed(verify(wrong)) == ["summary-first-step.json made again: it differs"]


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Members, dict[str, Any]], None]:
    """The Parquet table by another library, or with another content."""

    def act(members: Members, stated: dict[str, Any]) -> None:
        table = change(pq.read_table(pa.BufferReader(members["table-first-step.parquet"])))
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="gzip")
        members["table-first-step.parquet"] = sink.getvalue().to_pybytes()

    return act


def one_more(table: pa.Table) -> pa.Table:
    samples = table["samples"].to_pylist()
    column = pa.array([*samples[:-1], samples[-1] + 1])
    return table.set_column(table.schema.get_field_index("samples"), table.schema.field("samples"), column)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda table: table, None),
        (one_more, "row group 0 has another value"),
        (lambda table: table.slice(0, table.num_rows - 1), "row group 0 has another number of rows"),
        (lambda table: table.slice(0, 0), "row group 0 has another number of rows"),
        (lambda table: pa.concat_tables([table, table]), "row group 0 has another number of rows"),
        (lambda table: table.drop_columns(["seed"]), "it has other columns"),
        (lambda table: table.rename_columns([c.upper() for c in table.column_names]), "it has other columns"),
        (
            lambda table: table.cast(pa.schema([f.with_nullable(True) for f in table.schema])),
            "it has other columns",
        ),
    ],
)
def test_parquet_of_another_version_is_compared_by_value(
    change: Callable[[pa.Table], pa.Table],
    problem: str | None,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = repack(packed, tmp_path / "s.zip", rewritten(change))
    assert failed(verify(path)) == ["table-first-step.parquet made again: it differs"]
    other_versions(monkeypatch, "pyarrow")
    lines = failed(verify(path))
    if problem is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("table-first-step.parquet made again: ")
        assert problem in line


def test_a_study_that_does_not_fit_is_refused(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100_000))
    assert "bytes to be unpacked" in verify(packed).refusal


@pytest.mark.parametrize("what", ["store", "archive"])
def test_progress_is_told(what: str, packed: Path, tiny: Path) -> None:
    shares: list[float] = []
    if what == "archive":
        recheck.verify_archive(packed, 1, 10.0, lambda text, share: shares.append(share))
    else:
        with Store(tiny, write=False) as store:
            verify_store(store, 1, 10.0, lambda text, share: shares.append(share))
    assert len(shares) > 10
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert 0.5 < shares[-1] < 1.0
