"""The schema of the tables: that it is of these columns, that their values are such, that the page is fresh."""

from collections import Counter
from pathlib import Path

import pytest

from sim import schema
from sim.export import parquet_schema, rows
from sim.protocol.registry import PROTOCOLS
from sim.schema import COLUMNS, Column, table_of
from sim.store import Store
from tests.sim.conftest import run_grid
from tests.sim.test_two_stage_grid import BIASES, SIGNED

COMMITTED = Path(__file__).parents[2] / "docs" / "tables.md"


def test_it_has_exactly_the_columns_of_every_protocol() -> None:
    assert COLUMNS.keys() == PROTOCOLS.keys()
    for name, protocol in PROTOCOLS.items():
        assert Counter(protocol.columns) == Counter(COLUMNS[name].keys())
        assert tuple(table_of(protocol)) == protocol.columns


def test_its_types_are_those_of_every_protocol() -> None:
    for protocol in PROTOCOLS.values():
        kinds = {name: column.kind for name, column in table_of(protocol).items()}
        assert {name for name, kind in kinds.items() if kind == "integer"} == {*protocol.integers}
        assert {name for name, kind in kinds.items() if kind == "real"} == {*protocol.reals}


def bad_values(path: Path) -> Counter[tuple[str, str]]:
    """Columns of a store's tables with values that the schema does not allow; how many values there are in all."""
    bad: Counter[tuple[str, str]] = Counter()
    with Store(path, write=False) as store:
        for stored in store.cells():
            protocol = PROTOCOLS[stored.cell.protocol.partition("/")[0]]
            columns = table_of(protocol).items()
            for row in rows(store, protocol, [stored]):
                bad["", "all"] += len(row)
                bad.update(
                    (protocol.name, name)
                    for (name, column), value in zip(columns, row, strict=True)
                    if not column.allows(value)
                )
    return bad


@pytest.mark.parametrize("grid", [SIGNED, BIASES])
def test_values_of_two_stages_are_in_their_ranges(grid: tuple[str, ...], tmp_path: Path) -> None:
    run_grid(tmp_path / "s.sqlite", grid=grid)
    bad = bad_values(tmp_path / "s.sqlite")
    assert bad.pop(("", "all")) > 500
    assert bad == {}


def test_values_of_first_steps_and_online_curves_are_in_their_ranges(
    tiny: Path, online: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tiny, online):
        bad = bad_values(path)
        assert bad.pop(("", "all")) > 500
        assert bad == {}
    # And were one not, it would be found.
    narrow = Column("integer", "size of the support", least=1, most=1)
    monkeypatch.setattr(schema, "COLUMNS", {**COLUMNS, "online": {**COLUMNS["online"], "k": narrow}})
    assert bad_values(online)["online", "k"] > 50


def test_values_of_diverged_curves_are_in_their_ranges(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    grid = (
        *("--protocol", "online", "--n", "9", "--k", "2", "--teacher-width", "16", "--width", "8"),
        *("--schedule", "cross-entropy,one-shot", "--steps", "400", "--teacher-steps", "400", "--log-every", "100"),
        *("--lr", "1e6", "--teacher-lr", "1e6", "--batch", "2", "--replicates", "2"),
    )  # fmt: skip
    result = run_grid(path, grid=grid)
    assert result.code == 3
    assert "TEACHER DIVERGED at step" in result.out
    bad = bad_values(path)
    assert bad.pop(("", "all")) > 100
    assert bad == {}


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        (Column("integer", "", least=0, most=1), [0, 1], [-1, 2, 1.0, True, "1", None]),
        (Column("integer", "", least=0, empty=True), [None, 0, 2**62], [-1, 0.5]),
        (Column("real", "", least=0), [0.0, 1e300], [-1e-9, float("inf"), float("nan"), 1, None]),
        (Column("real", ""), [-1e300, 0.5], [float("-inf"), float("nan")]),
        (Column("text", "", values=("a", "b")), ["a", "b"], ["c", "", None, 1]),
        (Column("text", "", pattern="[0-9a-f]{4}"), ["12ab"], ["12a", "12abc", "12AB", ""]),
        (Column("text", ""), ["x"], ["", None, b"x"]),
    ],
)
def test_what_a_column_allows(column: Column, good: list[object], bad: list[object]) -> None:
    assert [value for value in good if not column.allows(value)] == []
    assert [value for value in bad if column.allows(value)] == []


def test_ranges_in_words() -> None:
    assert Column("integer", "", least=0, most=1).allowed == "0 or 1"
    assert Column("real", "", least=0, most=1, empty=True).allowed == "0 to 1, or empty"
    assert Column("integer", "", least=1, most=2**43).allowed == "1 to 2^43"
    assert Column("integer", "", least=0, most=2**63 - 1).allowed == "0 to 2^63 - 1"
    assert Column("real", "", least=0).allowed == "0 or more"
    assert Column("real", "").allowed == "any finite number"
    assert Column("text", "", values=("a", "b")).allowed == "a or b"


def test_parquet_carries_it() -> None:
    for protocol in PROTOCOLS.values():
        found = parquet_schema(protocol)
        for field, (name, column) in zip(found, table_of(protocol).items(), strict=True):
            assert field.name == name
            assert str(field.type) == {"text": "string", "integer": "int64", "real": "double"}[column.kind]
            assert field.nullable == column.empty
            assert field.metadata == {
                b"description": column.meaning.encode(),
                b"unit": column.unit.encode(),
                b"range": column.allowed.encode(),
            }
        assert found.metadata == {
            b"protocol": protocol.tag().encode(),
            b"table_version": str(schema.TABLE_VERSION).encode(),
        }


def test_the_committed_page_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema.page(), f"not fresh: {schema.COMMAND}"


def test_the_page_has_a_row_a_column() -> None:
    page = schema.page()
    for protocol in PROTOCOLS.values():
        part = page.partition(f"\n## {protocol.name}\n")[2].partition("\n## ")[0]
        names = [
            line.split(" | ")[0].removeprefix("| ") for line in part.splitlines() if line.startswith("| ")
        ]
        assert names == ["column", *protocol.columns]
    assert f"`{schema.COMMAND}`" in page
