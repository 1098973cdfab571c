"""Packing: what is in the archive, that its bytes depend on the records alone, and what is refused."""

import errno
import hashlib
import json
import os
import shlex
import zipfile
from pathlib import Path
from typing import Any

import pytest

from sim import study
from sim.arguments import Parser
from sim.protocol.registry import protocol_of
from sim.store import Store
from sim.study import parts_of
from sim.versions import fingerprint, versions
from tests.sim.conftest import ONLINE, TINY, alter, call, cells, run_grid, table, teacher, tree
from tests.sim.pack_cases import manifest, members, pack, plain_figures, verify
from tests.sim.stores import first_version
from tests.sim.test_export import shuffled
from tests.sim.test_two_stage_grid import BIASES, SIGNED


@pytest.fixture(autouse=True)
def _plain_figures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_figures" not in request.fixturenames:
        monkeypatch.setattr(study.Part, "draw", plain_figures)


@pytest.fixture
def real_figures() -> None:
    """For tests that draw."""


def test_an_archive_has_all_that_follows_from_the_store(tiny: Path, tiny_result: Any, tmp_path: Path) -> None:
    found = members(pack(tiny, tmp_path / "s.zip"))
    assert list(found) == [
        *(
            "README.txt",
            "specification.json",
            "tables.md",
            "table-first-step.csv",
            "table-first-step.parquet",
        ),
        *(
            "figure-first-step.png",
            "figure-first-step.svg",
            "summary-first-step.json",
            "summary-first-step.txt",
        ),
        "store.sqlite",
    ]
    assert found["table-first-step.csv"].decode() == table(tiny)
    assert found["summary-first-step.txt"].decode() == tiny_result.out
    specification = json.loads(found["specification.json"])["cells"]
    with Store(tiny, write=False) as store:
        assert [(c["id"], c["spec"], c["theory"]) for c in specification] == [
            (s.cell.id, s.cell.spec(), s.theory) for s in store.cells()
        ]
    assert {(c["wanted"], c["stored"]) for c in specification} == {(6, 6)}
    assert "first-step: 6 cells, 36 replicates" in found["README.txt"].decode()
    assert max(map(len, found["README.txt"].decode().splitlines())) <= 120


def test_the_json_summary_is_what_run_prints(tiny: Path, tmp_path: Path) -> None:
    found = members(pack(tiny, tmp_path / "s.zip"))
    assert found["summary-first-step.json"].decode() == run_grid(tiny, "--json").out


@pytest.mark.usefixtures("real_figures")
def test_figures_are_those_of_plot(tiny: Path, tmp_path: Path) -> None:
    drawn = tree(tiny.parent)
    found = members(pack(tiny, tmp_path / "s.zip"))
    assert found["figure-first-step.png"] == drawn["grid.png"]
    assert found["figure-first-step.svg"] == drawn["grid.svg"]


@pytest.mark.usefixtures("real_figures")
def test_figures_do_not_depend_on_the_users_settings(tiny: Path, tmp_path: Path) -> None:
    from matplotlib import rc_context

    first = pack(tiny, tmp_path / "a.zip").read_bytes()
    with rc_context({"font.size": 5.0, "axes.facecolor": "red", "svg.fonttype": "none"}):
        assert pack(tiny, tmp_path / "b.zip").read_bytes() == first


def test_the_manifest_states_members_versions_outcomes(tiny: Path, tiny_result: Any, tmp_path: Path) -> None:
    path = pack(tiny, tmp_path / "s.zip")
    stated = manifest(path)
    assert stated["format"] == "sparse-parity study"
    assert stated["format_version"] == 1
    assert stated["versions"] == versions()
    assert stated["fingerprint"] == fingerprint()
    assert stated["members"] == {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in members(path).items()
    }
    own = stated["protocols"].pop("first-step")
    assert stated["protocols"] == {}
    assert own.pop("commands")
    assert own == {
        "protocol": "first-step/1",
        "cells": 6,
        "replicates": 36,
        "missing": 0,
        "exit_code": tiny_result.code,
        "outcome": study.OUTCOMES[tiny_result.code],
        "cells_without_command": 0,
    }


def test_packing_again_gives_the_same_bytes_and_leaves_the_store(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(tiny.parent)
    first = pack(tiny, tmp_path / "a.zip").read_bytes()
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    assert pack(tiny, tmp_path / "elsewhere" / "b.zip").read_bytes() == first
    assert pack(tiny, tmp_path / "a.zip").read_bytes() == first  # over itself
    assert tree(tiny.parent) == before


@pytest.mark.parametrize("seed", range(2))
def test_the_order_in_which_records_came_changes_no_byte(seed: int, tiny: Path, tmp_path: Path) -> None:
    shuffled(tiny, tmp_path / "other.sqlite", seed)
    assert (tmp_path / "other.sqlite").read_bytes() != tiny.read_bytes()
    one, other = pack(tiny, tmp_path / "a.zip"), pack(tmp_path / "other.sqlite", tmp_path / "b.zip")
    assert one.read_bytes() == other.read_bytes()


def test_unpacked_a_study_goes_on(tiny: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack(tiny, tmp_path / "s.zip")) as packed:
        packed.extractall(tmp_path / "u")
    store = tmp_path / "u" / "store.sqlite"
    assert (store.stat().st_mode & 0o777) == 0o644 & ~_mask()
    assert table(store) == table(tiny) == (tmp_path / "u" / "table-first-step.csv").read_text()
    to = tmp_path / "again.parquet"
    assert call("export", "--format", "parquet", "--to", to, "--out", store).code == 0
    assert to.read_bytes() == (tmp_path / "u" / "table-first-step.parquet").read_bytes()
    assert pack(store, tmp_path / "again.zip").read_bytes() == (tmp_path / "s.zip").read_bytes()
    before = store.read_bytes()
    run_grid(store)
    assert store.read_bytes() == before
    run_grid(store, "--replicates", 8)
    run_grid(tiny, "--replicates", 8)
    assert table(store) == table(tiny)


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# all protocols


GRIDS = {"first-step": TINY, "online": ONLINE, "two-stage": SIGNED}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of all protocols."""
    path = tmp_path_factory.mktemp("several") / "s.sqlite"
    for grid in GRIDS.values():
        assert run_grid(path, grid=grid).code in (0, 3)
    return path


def test_a_store_of_several_protocols_has_the_members_of_each(several: Path, tmp_path: Path) -> None:
    path = pack(several, tmp_path / "s.zip")
    found = members(path)
    for name in GRIDS:
        exported = call("export", "--protocol", name, "--out", several)
        assert found[f"table-{name}.csv"].decode() == exported.out
    assert len(found) == 4 + 6 * 3
    assert list(manifest(path)["protocols"]) == ["first-step", "online", "two-stage"]
    result = verify(path, "--replicates", 1)
    assert result.code == 0
    assert "FAIL" not in result.out
    assert result.out.count("replicate 0\n") == 16


@pytest.mark.parametrize("grid", [TINY, ONLINE, SIGNED, BIASES])
def test_the_commands_repeat_the_study(grid: tuple[str, ...], tmp_path: Path) -> None:
    path, again = tmp_path / "s.sqlite", tmp_path / "again.sqlite"
    run_grid(path, "--replicates", 2, grid=grid)
    with Store(path, write=False) as store:
        (part,) = parts_of(store)
        overview = part.overview()
    assert overview["cells_without_command"] == 0
    assert len(overview["commands"]) <= len(cells(path))
    for line in overview["commands"]:
        assert line.startswith("python -m sim.grid run ")
        assert run_grid(again, grid=tuple(shlex.split(line)[4:])).code in (0, 3)
    assert table(again) == table(path)
    assert pack(again, tmp_path / "b.zip").read_bytes() == pack(path, tmp_path / "a.zip").read_bytes()


def test_cells_that_differ_in_what_one_command_may_list_have_one_command(
    learned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(learned, write=False) as store:
        (part,) = parts_of(store)
        overview = part.overview()
        monkeypatch.setattr("sim.commands.MAX_COMMANDS", 0)
        none = part.overview()
    (line,) = overview["commands"]
    assert "--width 8,16" in line
    assert "--temperature 0.0,1.0" in line
    assert overview["cells_without_command"] == 0
    assert (none["commands"], none["cells_without_command"]) == ([], overview["cells"])


def test_a_cell_that_no_command_makes_is_counted(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Parser.parse_args

    def parse(self: Parser, words: Any = None, namespace: Any = None) -> Any:
        given = original(self, words, namespace)
        if given.schedule == "progressive":
            given.seed = "7"  # so that the command would make other cells
        return given

    monkeypatch.setattr(Parser, "parse_args", parse)
    with Store(tiny, write=False) as store:
        (part,) = parts_of(store)
        overview = part.overview()
    assert overview["cells_without_command"] == 2
    assert len(overview["commands"]) == 2


def test_a_command_that_would_make_another_cell_is_none(online: Path) -> None:
    alter(online, "DELETE FROM records WHERE cell = ?", teacher(online).id)
    alter(online, "DELETE FROM wanted WHERE cell = ?", teacher(online).id)
    alter(online, "DELETE FROM cells WHERE id = ?", teacher(online).id)
    with Store(online, write=False) as store:
        (part,) = parts_of(store)
        overview = part.overview()
    (line,) = overview["commands"]  # the others make the teacher, too
    assert "--schedule cross-entropy " in line
    assert overview["cells_without_command"] == 2


# refusals


def test_an_unfinished_study_is_packed_only_if_asked_for(tiny: Path, tmp_path: Path) -> None:
    cell = cells(tiny)[0]
    alter(tiny, "DELETE FROM records WHERE cell = ? AND replicate IN (1, 4)", cell.id)
    before = tree(tmp_path)
    refusal = call("pack", "--out", tiny, "--to", tmp_path / "s.zip").refusal
    assert "is unfinished, 2 of 36 replicates are missing" in refusal
    assert "--unfinished" in refusal
    assert tree(tmp_path) == before
    path = pack(tiny, tmp_path / "s.zip", "--unfinished")
    own = manifest(path)["protocols"]["first-step"]
    assert (own["missing"], own["replicates"], own["exit_code"]) == (2, 34, 3)
    assert "34 replicates (2 missing)" in members(path)["README.txt"].decode()
    assert verify(path).code == 0
    # A cell without any record is unfinished, too, whether or not it is known how many are wanted.
    alter(tiny, "DELETE FROM records WHERE cell = ?", cell.id)
    assert "6 of 36 replicates" in call("pack", "--out", tiny, "--to", tmp_path / "t.zip").refusal
    old = tmp_path / "old.sqlite"
    first_version(tiny, old, wanted=False)
    assert "1 of 31 replicates" in call("pack", "--out", old, "--to", tmp_path / "t.zip").refusal
    assert verify(pack(old, tmp_path / "t.zip", "--unfinished")).code == 0


def test_a_store_of_the_first_version_is_packed_as_one_of_this_version(tiny: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.sqlite"
    first_version(tiny, old)
    before = old.read_bytes()
    assert pack(old, tmp_path / "a.zip").read_bytes() == pack(tiny, tmp_path / "b.zip").read_bytes()
    assert old.read_bytes() == before


@pytest.mark.parametrize("what", ["the store", "a link to it", "a folder", "no folder", "a device"])
def test_a_path_where_no_archive_can_be_is_refused(what: str, tiny: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tiny)
    to, part = {
        "the store": (tiny, "would overwrite the store"),
        "a link to it": (link, "would overwrite the store"),
        "a folder": (tmp_path, "Is a directory"),
        "no folder": (tmp_path / "no" / "s.zip", "No such directory"),
        "a device": (Path("/dev/null"), "is no file"),
    }[what]
    before = tree(tmp_path)
    assert part in call("pack", "--out", tiny, "--to", to).refusal
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["missing", "empty", "not ours", "an archive"])
def test_what_is_no_study_is_refused(kind: str, tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    if kind == "empty":
        Store(path, write=True).close()
    elif kind == "not ours":
        path.write_text("mine")
    elif kind == "an archive":
        pack(tiny, path)
    before = tree(tmp_path)
    part = {"missing": "does not exist", "empty": "has no cells"}.get(kind, "is not one of our files")
    assert part in call("pack", "--out", path, "--to", tmp_path / "t.zip").refusal
    assert tree(tmp_path) == before


@pytest.mark.parametrize("there", [True, False])
def test_an_altered_record_leaves_no_part_of_an_archive(there: bool, tiny: Path, tmp_path: Path) -> None:
    cell = cells(tiny)[-1]
    alter(tiny, "UPDATE records SET payload = '{}' WHERE cell = ? AND replicate = 5", cell.id)
    if there:
        (tmp_path / "s.zip").write_text("kept")
    before = tree(tmp_path)
    refusal = call("pack", "--out", tiny, "--to", tmp_path / "s.zip").refusal
    assert f"in {tiny} " in refusal
    assert "was altered" in refusal
    assert tree(tmp_path) == before


def test_a_full_disk_leaves_no_part_of_an_archive(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = zipfile.ZipFile.open

    def full(self: zipfile.ZipFile, name: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(name, "filename", "").endswith(".csv"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, name, *arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", full)
    before = tree(tmp_path)
    refusal = call("pack", "--out", tiny, "--to", tmp_path / "s.zip").refusal
    assert refusal == f"archive {tmp_path / 's.zip'} cannot be written: No space left on device"
    assert tree(tmp_path) == before


def test_records_that_come_meanwhile_are_in_all_members_or_in_none(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = study.rewrite

    def rewrite(source: Store, to: Path) -> None:
        original(source, to)
        run_grid(tiny, "--replicates", 8)

    monkeypatch.setattr(study, "rewrite", rewrite)
    path = pack(tiny, tmp_path / "s.zip")
    monkeypatch.undo()
    monkeypatch.setattr(study.Part, "draw", plain_figures)
    assert manifest(path)["protocols"]["first-step"]["replicates"] == 36
    assert verify(path).code == 0
    assert sum(len(records) for records in _all(tiny)) == 48


def _all(path: Path) -> list[dict[int, Any]]:
    with Store(path, write=False) as store:
        assert {protocol_of(stored.cell).name for stored in store.cells()} == {"first-step"}
        return [store.records(stored.cell.id) for stored in store.cells()]
