"""Published records as evidence: the full-size run as `docs/paper` describes it, and files that are refused."""

import contextlib
import copy
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sim.claims.claim import Entry
from sim.claims.evidence import Evidence
from sim.claims.ledger import ledger
from sim.claims.records import MAX_BYTES, read
from sim.claims.settings import RECORDED
from sim.errors import SimError
from sim.online.cell import TeacherCell
from sim.protocol.online import Online
from theory.verdict import Verdict

PAPER = Path(__file__).parents[2] / "docs" / "paper"
CELLS, PROBES = PAPER / "e1-e6.json.gz", PAPER / "e5.json.gz"


@pytest.fixture(scope="module")
def full() -> Evidence:
    return read([CELLS, PROBES])


@pytest.fixture(scope="module")
def rows(full: Evidence) -> dict[str, list[Entry]]:
    result: dict[str, list[Entry]] = {}
    for entry in ledger(full).entries:
        result.setdefault(entry.claim.id, []).append(entry)
    return result


def number(entry: Entry, what: str) -> float | None:
    (found,) = (m.value for m in entry.measured if m.what.startswith(what))
    return found


def test_cells_are_those_of_the_present_protocol_and_say_who_recorded_them(full: Evidence) -> None:
    assert len(full.online) == 39
    assert {s.cell.protocol for s in full.online} == {Online.tag()}
    assert {s.theory[RECORDED] for s in full.online} == {"online/1"}
    assert sum(isinstance(s.cell, TeacherCell) for s in full.online) == 1
    assert all(len(s.records) == (1 if isinstance(s.cell, TeacherCell) else 3) for s in full.online)
    (report,) = full.reports
    assert report.agrees
    assert len(report.probes.points) == 49


def test_three_students_of_one_teacher_decide_nothing(rows: dict[str, list[Entry]]) -> None:
    ran = {id: entries for id, entries in rows.items() if not entries[0].open}
    papers = {
        *(f"E1-{part}" for part in ("teacher", "progressive", "one-shot", "cross-entropy", "order")),
        "E4",
    }
    papers |= {*(f"E5-{part}" for part in ("place", "together", "after", "off"))}
    papers |= {"E6-during", "E6-before", "E6-after", "E7-student", "E7-width"}
    assert set(ran) == papers
    assert {entry.verdict for entries in ran.values() for entry in entries} == {Verdict.UNDECIDED}
    assert all("recorded by online/1" in entry.ran for entries in ran.values() for entry in entries)


def shares(entries: list[Entry]) -> list[float | None]:
    return [m.value for entry in entries for m in entry.measured if m.verdict is not None]


def test_what_the_full_size_run_shows(rows: dict[str, list[Entry]]) -> None:
    """As in the table of `docs/paper`."""
    (teacher,) = rows["E1-teacher"]
    assert number(teacher, "samples to 95%, median") == 4_900_000
    assert number(teacher, "samples to 75% among the probed") == 4_800_000
    assert shares(rows["E1-progressive"]) == [1.0] * 4
    narrow = next(e for e in rows["E1-progressive"] if "student width 100," in e.setting)
    assert number(narrow, "samples to 90 %, progressive 100k,200k..×100k τ=1") == 4_900_000
    assert number(narrow, "samples to 90 %, progressive 100k,200k..×100k hard") == 5_100_000
    # One student of twelve learned from the final teacher, one of six from the parity.
    assert sorted(shares(rows["E1-one-shot"])) == [pytest.approx(2 / 3), 1.0, 1.0, 1.0]
    assert sorted(shares(rows["E1-cross-entropy"])) == [pytest.approx(2 / 3), 1.0]
    assert shares(rows["E1-order"]) == [1.0] * 8
    assert shares(rows["E6-during"]) == [1.0] * 8
    # These differ from what is reported.
    assert shares(rows["E6-before"]) == [0.0] * 4
    assert shares(rows["E6-after"]) == [0.0] * 4
    place = rows["E5-place"][0]
    assert number(place, "mean |degree-1 correlation| at its peak") == pytest.approx(0.044, abs=5e-4)
    assert number(place, "the same of the reading sign") == pytest.approx(0.12, abs=0.01)
    assert "peak at step 4,740,000" in place.measured[1].what
    assert shares(rows["E5-place"]) == [1.0]


def test_the_whole_run_is_the_papers_setting(rows: dict[str, list[Entry]]) -> None:
    for id in ("E1-progressive", "E1-one-shot"):
        marked = {entry.setting.endswith("(not the paper's)") for entry in rows[id]}
        assert marked == {False, True}  # student width 1,000 is not the figure's
    for id in ("E6-during", "E6-before", "E6-after"):
        assert not any("not the paper's" in entry.setting for entry in rows[id])


# Files that are refused.


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = json.loads(gzip.decompress(CELLS.read_bytes()))
    return sorted(values, key=lambda value: len(json.dumps(value)))[:2]


def written(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values))
    return path


def refusal(*paths: Path) -> str:
    with pytest.raises(SimError) as caught:
        read(paths)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_plain_file_is_read_too(tmp_path: Path, cells: list[dict[str, Any]]) -> None:
    assert len(read([written(tmp_path / "r.json", cells)]).online) == 2


Change = Callable[[dict[str, Any]], object]


def _record(change: Change) -> Change:
    return lambda cell: change(next(iter(cell["records"].values())))


CHANGES: list[tuple[str, Change]] = [
    ("no specification", lambda c: c.pop("spec")),
    ("no records", lambda c: c.update(records={})),
    ("no records", lambda c: c.update(records=[1])),
    ("of protocol 'online/9'", lambda c: c["spec"].update(protocol="online/9")),
    ("of protocol 'first-step/1'", lambda c: c["spec"].update(protocol="first-step/1")),
    ("of protocol [1]", lambda c: c["spec"].update(protocol=[1])),
    ("k = 11", lambda c: c["spec"].update(k=11)),
    ("cannot be read", lambda c: c["spec"].update(seed="0")),
    ("the id of its specification", lambda c: c.update(id="0" * 64)),
    ("the id of its specification", lambda c: c["spec"].update(n=101) or c["spec"]["teacher"].update(n=101)),
    ("number '-1'", lambda c: c.update(records={"-1": next(iter(c["records"].values()))})),
    ("number '01'", lambda c: c.update(records={"01": next(iter(c["records"].values()))})),
    ("no batch", lambda c: c.update(records={"0": [1]})),
    ("no batch", _record(lambda r: r.update(batch=2))),
    ("not the", _record(lambda r: r.update(steps=[1]))),
    ("no held_out", _record(lambda r: r["held_out"].pop())),
    ("that is no share", _record(lambda r: r["held_out"].__setitem__(0, 1.5))),
    ("that is no share", _record(lambda r: r["held_out"].__setitem__(0, True))),
    ("no held-out accuracy", _record(lambda r: r["held_out"].__setitem__(0, None))),
    ("step of divergence", _record(lambda r: r.update(status="DIVERGED", diverged_at="x"))),
]


@pytest.mark.parametrize(("text", "change"), CHANGES)
def test_damaged_cells_are_refused(
    text: str, change: Change, cells: list[dict[str, Any]], tmp_path: Path
) -> None:
    damaged = json.loads(json.dumps(cells))
    taught = next(c for c in damaged if c["spec"]["teacher"] is not None)
    change(taught)
    path = written(tmp_path / "r.json", damaged)
    said = refusal(path)
    assert said.startswith(f"{path} cannot be used as records: ")
    assert text in said


def test_one_cell_twice_is_refused(cells: list[dict[str, Any]], tmp_path: Path) -> None:
    assert "twice" in refusal(written(tmp_path / "r.json", cells + cells[:1]))
    assert "twice" in refusal(*(written(tmp_path / f"{i}.json", cells[:1]) for i in range(2)))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "it is no JSON"),
        (b"[1", "it is no JSON"),
        (b"[NaN]", "NaN is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        (b"3", "neither a list"),
        (b"[3]", "cell 0 has no specification"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "no teacher with probes"),
        (b'{"format": 9}', "newer"),
        (b'{"format": 1}', "no probes of a teacher"),
        (gzip.compress(b"[]" * 100)[:20], "compressed data are damaged"),
        (b"\x1f\x8bnothing", "cannot be"),
    ],
)
def test_what_is_no_file_of_records_is_refused(data: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json.gz"
    path.write_bytes(data)
    assert text in refusal(path)


def test_missing_and_endless_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in refusal(tmp_path / "none.json")
    assert "directory" in refusal(tmp_path)
    monkeypatch.setattr("sim.claims.records.MAX_BYTES", 1000)
    path = tmp_path / "long.json.gz"
    path.write_bytes(gzip.compress(b" " * 2000))
    assert "longer than 1000 bytes" in refusal(path)
    assert MAX_BYTES > 1000


PROBE_CHANGES: list[tuple[str, Change]] = [
    ("no teacher with probes", lambda p: p.pop("teacher")),
    ("no teacher with probes", lambda p: p["teacher"].update(width=0)),
    ("no teacher with probes", lambda p: p.update(held_out=[1])),
    ("for each probed step", lambda p: p["held_out"].pop("4000000")),
    ("for each probed step", lambda p: p["held_out"].update({"4000000": 2})),
    ("not of its teacher", lambda p: p["teacher"].update(n=101)),
    ("no reading", lambda p: p["probes"]["points"][0]["readings"].pop("probability")),
]


@pytest.mark.parametrize(("text", "change"), PROBE_CHANGES)
def test_damaged_probes_are_refused(text: str, change: Change, tmp_path: Path) -> None:
    values = json.loads(gzip.decompress(PROBES.read_bytes()))
    change(values)
    assert text in refusal(written(tmp_path / "p.json", values))


def test_probes_without_the_curve_have_the_transition_of_their_checkpoints() -> None:
    (report,) = read([PROBES]).reports
    assert report.transition.start == 4_720_000
    assert report.peak is not None
    assert report.peak.step == 4_740_000


def test_what_the_verb_probe_wrote_is_read(probed: tuple[Path, object]) -> None:
    (report,) = read([probed[0]]).reports
    assert report.cell.n == 8


VALUES: list[object] = [None, True, -1, 0, 1.5, "x", [], {}, float("inf"), 10**400, [1, 2], "0"]


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    keys = (
        list(value)
        if isinstance(value, dict)
        else range(min(len(value), 4))
        if isinstance(value, list)
        else ()
    )
    for key in keys:
        yield (*place, key)
        yield from _places(value[key], (*place, key))


@pytest.mark.parametrize("kind", ["cells", "probes"])
def test_any_value_out_of_place_is_refused_or_read(
    kind: str, cells: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Nothing but a SimError comes of a changed file, neither when it is read nor when it is judged."""
    values: Any = cells
    if kind == "probes":
        values = json.loads(gzip.decompress(PROBES.read_bytes()))
        values["probes"]["points"] = values["probes"]["points"][:3]
        values["held_out"] = dict(list(values["held_out"].items())[:3])
    places, random = list(_places(values)), Random(1)
    for _ in range(60):
        changed = copy.deepcopy(values)
        *way, last = random.choice(places)
        target = changed
        for key in way:
            target = target[key]
        target[last] = random.choice(VALUES)
        with contextlib.suppress(SimError):
            evidence = read([written(tmp_path / "changed.json", changed)])
            assert ledger(evidence).entries
