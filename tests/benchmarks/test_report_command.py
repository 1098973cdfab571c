"""The benchmark of the report: the store that it makes up, and what it says."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.options import run_main
from sim.store import Store
from sim.summary import summarise
from theory.verdict import Verdict


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "NS", (9, 11))
    monkeypatch.setattr(report, "KS", (2,))


def test_the_store_is_one_of_students_that_succeed_as_predicted(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    assert report.make_store(path, 600) == 512  # two seeds of four cells
    with Store(path, write=False) as store:
        store.check()
        summary = summarise(store, store.cells())
    assert sum(cell.replicates for cell in summary.cells) == 512
    assert all(cell.judgement.verdict is not Verdict.CONTRADICTED for cell in summary.cells)


def test_it_says_how_long_and_how_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(report.run, ["--records", "1", "--out", "r.json"]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["records"] == 256
    assert len(found["seconds"]) == 3
    assert 10_000 < found["bytes"] < 1_000_000
    assert capsys.readouterr().out.startswith("report of 256 records: ")


@pytest.mark.parametrize("options", [["--records", "0"], ["--records", "x"], ["--out", "absent/r.json"]])
def test_bad_options_are_refused(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(report.run, options) == 2
    assert list(tmp_path.iterdir()) == []
