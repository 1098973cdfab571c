"""The driver with instant workers: units a second, memory, and how long a full store takes to read."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import driver, dry_run
from benchmarks.options import run_main
from sim.store import Store

LEAST_RATE = 2000
"""Units a second; measured were 16,000 to 45,000 on two cores, with and without other work on them."""


def found(folder: Path, *options: object) -> dict[str, Any]:
    """In a process of its own, where nothing checks the types of all arguments."""
    out = folder / "driver.json"
    command = [sys.executable, "-m", "benchmarks.driver", *map(str, options), "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    value: dict[str, Any] = json.loads(out.read_text())
    return value


def test_many_short_units_are_stored_quickly_and_all_of_them(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    told = found(tmp_path, "--cells", 200, "--replicates", 100, "--slots", 8, "--store", store)
    assert told["units"] == 20_000
    # Of the processor, so that a busy machine does not decide.
    assert told["processor_seconds_per_unit"] < 1 / LEAST_RATE
    assert sum(told["seconds"].values()) > told["units"] / told["units_per_second"]
    assert len(told["tenths"]) == 10
    with Store(store, write=False) as opened:
        opened.check()
        counts = opened.counts()
    assert {count.stored for count in counts.values()} == {100}
    assert store.stat().st_size == told["store_bytes"]


@pytest.mark.nightly
def test_a_million_records_are_stored_in_flat_memory_and_their_status_is_told_in_two_seconds(
    tmp_path: Path,
) -> None:
    told = found(tmp_path)
    assert told["units"] == 1_000_000
    assert told["units_per_second"] > LEAST_RATE
    assert told["status_seconds"] < 2
    sizes = [told["memory_before"], *(tenth["memory"] for tenth in told["tenths"])]
    assert max(sizes) - min(sizes) < 2e7
    assert min(tenth["units_per_second"] for tenth in told["tenths"]) > LEAST_RATE


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (["--cells", "0"], "--cells 0 is not allowed: give 1 to 10000000"),
        (["--cluster", "257"], "--cluster 257 is not allowed: give 0 to 256"),
    ],
)
def test_refusals(options: list[str], refusal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(driver.run, options) == 2
    assert capsys.readouterr().err == f"error: {refusal}\n"


def test_a_store_that_is_there_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "s.sqlite"
    store.write_bytes(b"")
    assert run_main(driver.run, ["--store", str(store)]) == 2
    assert capsys.readouterr().err == f"error: --store {store} is there already: give a path that is not\n"


# dry runs and runs


def test_a_grid_is_predicted_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dry_run, "GRIDS", {"tiny": dry_run.NOTHING})
    out = tmp_path / "dry-run.json"
    assert run_main(dry_run.run, ["--out", str(out)]) == 0
    both = json.loads(out.read_text())["grids"]["tiny"]
    for side in ("predicted", "measured"):
        assert set(both[side]) == set(dry_run.WHAT)
        assert 1e8 < both[side]["memory"] < 1e9
        assert 1e4 < both[side]["store"] < 1e5
    assert 1 < both["predicted"]["clock"] < 30
    assert both["measured"]["clock"] > 0.5


def test_a_grid_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(dry_run.run, ["--only", "none"]) == 2
    assert capsys.readouterr().err.startswith("error: --only 'none' is not known: give some of k=2,k=4,")
