"""The report: what is on the page, where it comes from, and what is refused."""

import html
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sim.claims.evidence import Evidence
from sim.claims.ledger import CLAIMS, ledger
from sim.commands import PROGRAM
from sim.figures.base import Drawing, Panel, panel_axes, plain_text
from sim.grid import build_parser
from sim.numbers import crossing_text
from sim.online.draw import draw_accuracy
from sim.online.marks import Series
from sim.report.build import build
from sim.report.lines import lines
from sim.report.picture import picture
from sim.report.sources import commands_of, read
from sim.report.table import MAX_ROWS, Column, Row, Table, count, text, verdict
from sim.store import Store
from sim.summary import summarise
from tests.sim.conftest import ONLINE, Result, alter, cells, run_grid, tree
from tests.sim.report_cases import HOSTILE, poison, report
from theory.verdict import Verdict


def words(path: Path) -> str:
    """The page without tags, as it is read."""
    page = path.read_text(encoding="utf-8")
    page = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", page))


def test_the_page_says_what_the_store_says(tiny: Path, tmp_path: Path) -> None:
    before, out = tiny.read_bytes(), tmp_path / "r.html"
    result = report(tiny, "--out", out)
    assert result.code == 0
    assert re.search(
        r"^claims: \d+ contradicted, \d+ undecided, \d+ consistent, \d+ open$", result.out, re.MULTILINE
    )
    assert result.err == f"written: {out}, {out.stat().st_size:,} bytes\n"
    page = words(out)
    with Store(tiny, write=False) as store:
        summary = summarise(store, store.cells())
    text = out.read_text(encoding="utf-8")
    heads = re.findall(
        r"<th [^>]*>(.*?)</th>", re.search(r'id="first-step-cells">.*?</thead>', text, re.DOTALL)[0]
    )
    for cell in summary.cells:
        assert cell.cell.id[:12] in page
        row = re.search(rf'<tr id="cell-{cell.cell.id[:12]}">(.*?)</tr>', text, re.DOTALL)[1]
        places = [html.unescape(re.sub(r"<[^>]*>", "", v)) for v in re.findall(r"<td[^>]*>(.*?)</td>", row)]
        shown = dict(zip(heads, places, strict=True))
        assert shown["samples for 50 % [95 %]"] == crossing_text(cell.crossing(0.5))
        assert shown["for 1 − δ [95 %]"] == crossing_text(cell.crossing(cell.high))
        assert shown["verdict"] == cell.judgement.verdict.value
        assert shown["n"] == str(cell.cell.n)
    assert tiny.read_bytes() == before


def test_the_same_stores_make_the_same_page(tiny: Path, online: Path, tmp_path: Path) -> None:
    pages = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        out = tmp_path / folder / "r.html"
        assert report(tiny, online, "--out", out).code == 0
        pages.append(out.read_text().replace(str(out), "OUT"))
    assert pages[0] == pages[1]


def test_cells_of_several_stores_count_once(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    shutil.copy(tiny, other)
    alter(other, "DELETE FROM records WHERE replicate > 3")
    one, two = tmp_path / "1.html", tmp_path / "2.html"
    assert report(tiny, "--out", one).code == report(other, tiny, tiny, "--out", two).code == 0
    table = re.compile(r'<div class="table"[^>]* id="first-step-cells">.*?</table>', re.DOTALL)
    assert table.findall(one.read_text()) == table.findall(two.read_text())
    assert "36 replicates of 6 cells" in words(two)
    # A figure shows the cells of all stores, and so must what draws it.
    assert f"Drawn by python -m sim.grid plot --protocol first-step --out {tiny} --kind" in " ".join(
        words(one).split()
    )
    merge = f"Drawn by python -m sim.grid merge {other} {tiny} --out merged.sqlite && python -m sim.grid plot"
    assert merge in " ".join(words(two).split())


def test_stores_that_disagree_are_refused(tiny: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    shutil.copy(tiny, other)
    alter(other, "UPDATE records SET payload = replace(payload, '0', '1') WHERE replicate = 2")
    before = tree(tmp_path)
    assert "replicate 2" in report(tiny, other, "--out", tmp_path / "r.html").refusal
    assert tree(tmp_path) == before


def test_each_cell_names_the_command_that_makes_it(tiny: Path, online: Path) -> None:
    with read([tiny, online]) as sources:
        made, without = commands_of(sources)
        every = {stored.cell.id for part in sources.parts for stored in part.cells}
    assert without == 0
    assert set().union(*(command.cells for command in made)) == every
    parser = build_parser()
    for command in made:
        assert command.line.startswith(" ".join(PROGRAM))
        given = parser.parse_args(command.line.split()[len(PROGRAM) - 1 :])
        assert given.out in (tiny, online)


def test_every_number_has_a_command_that_is_on_the_page(tiny: Path, online: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    assert report(tiny, online, "--out", out).code == 0
    page = out.read_text()
    rows = re.findall(r'<td class="made">(.*?)</td>', page)
    assert len(rows) >= len(cells(tiny)) + len(cells(online))
    ids = set(re.findall(r'id="(command-\d+)"', page))
    for row in rows:
        found = re.findall(r'href="#(command-\d+)"', row)
        assert found
        assert set(found) <= ids


def test_without_evidence_all_claims_are_open_with_a_command_or_a_reason() -> None:
    shown = lines(ledger(Evidence()).entries)
    assert len(shown) >= len(CLAIMS)
    assert {line.verdict for line in shown} == {"open"}
    for line in shown:
        assert line.command.startswith("python -m ") or line.without
        assert line.statement
        assert line.source
        assert line.reliability
    assert len({line.anchor for line in shown}) == len(shown)


def test_probes_are_drawn(learned: Path, probed: tuple[Path, Result], tmp_path: Path) -> None:
    plain, out = tmp_path / "p.html", tmp_path / "r.html"
    assert report(learned, "--out", plain).code == 0
    assert report(learned, "--probes", probed[0], "--out", out).code == 0
    assert out.read_text().count("<figure") > plain.read_text().count("<figure")
    assert "correlation" in words(out)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_of_a_store_is_text_on_the_page(hostile: str, tiny: Path, tmp_path: Path) -> None:
    poison(tiny, hostile)
    out = tmp_path / "r.html"
    assert report(tiny, "--out", out).code == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.count("<style>") == page.count("</style>") == 1
    assert (
        len(re.findall(r"<(?:img|iframe|object|embed|base|form|foreignObject|link)\b", page)) == 1
    )  # the icon
    assert not re.search(r"<[^>]*\son[a-z]+=", page)
    shown = hostile.replace("\0", "")
    assert shown in words(out) or "\0" in hostile


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["absent.sqlite"], "absent.sqlite"),
        (["."], "."),
        (["notes.txt"], "notes.txt"),
        (["STORE", "--out", "STORE"], "is not allowed: give a path that ends in .html"),
        (["STORE", "--out", "absent/r.html"], "absent/r.html cannot be written: No such directory"),
        (["STORE", "--out", "folder.html"], "folder.html cannot be written: Is a directory"),
        (["STORE", "--out", "r.pdf"], "page r.pdf is not allowed: give a path that ends in .html"),
        (["STORE", "--probes", "notes.txt"], "probes notes.txt"),
        (["STORE", "--records", "notes.txt"], "notes.txt"),
        (["STORE", "--records", "absent.gz"], "absent.gz"),
        (["STORE", "--colour", "red"], "--colour"),
        (["empty.sqlite"], "store empty.sqlite has no cells: run a grid first"),
        ([], "grid.sqlite"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(
    arguments: list[str], refusal: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    (folder / "folder.html").mkdir(parents=True)
    (folder / "notes.txt").write_text("some notes, which are no store and no records")
    Store(folder / "empty.sqlite", write=True).close()
    monkeypatch.chdir(folder)
    before = tree(tmp_path)
    result = report(*(str(tiny) if a == "STORE" else a for a in arguments))
    assert refusal in result.refusal
    assert tree(tmp_path) == before


def test_a_page_over_one_of_its_sources_is_refused(tiny: Path, tmp_path: Path) -> None:
    page = tmp_path / "store.html"
    shutil.copy(tiny, page)
    before = page.read_bytes()
    assert "would overwrite what the page is made of" in report(page, "--out", page).refusal
    assert page.read_bytes() == before


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left"), 2)])
def test_what_stops_the_writing_leaves_the_old_page(
    error: BaseException, code: int, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.html"
    assert report(tiny, "--out", out).code == 0
    before = tree(tmp_path)

    def half(path: Path, content: str, **_: Any) -> None:
        path.write_bytes(content[: len(content) // 2].encode())
        raise error

    monkeypatch.setattr(Path, "write_text", half)
    assert report(tiny, "--out", out).code == code
    assert tree(tmp_path) == before


def test_of_many_rows_those_that_are_not_consistent_stay() -> None:
    rows = [
        Row((count(i), verdict(Verdict.CONTRADICTED if i % 1000 == 999 else Verdict.CONSISTENT)))
        for i in range(3 * MAX_ROWS)
    ]
    made = Table.of("t", "a table", (Column("i", numeric=True), Column("verdict")), rows)
    assert len(made.rows) == MAX_ROWS
    assert made.left_out == 2 * MAX_ROWS
    assert sum(row.values[1].verdict == "contradicted" for row in made.rows) == 3 * MAX_ROWS // 1000
    few = Table.of("t", "a table", (Column("name"),), [Row((text("b"),)), Row((text("a"),))])
    assert [row.values[0].text for row in few.rows] == ["b", "a"]
    assert few.left_out == 0


def test_the_verdicts_of_a_page_are_those_of_the_ledger(tiny: Path, tmp_path: Path) -> None:
    page = build([tiny], [], [], ["r"])
    assert sum(page.counts.values()) == len(page.entries)
    out = tmp_path / "r.html"
    page.write(out)
    shown = re.findall(
        r'<td role="cell" data-label="verdict" data-key="\d"><span class="verdict (\w+)">', out.read_text()
    )
    assert shown == [line.verdict for line in page.entries]
    with Store(tiny, write=False) as store:
        judged = ledger(
            Evidence.of([summarise(store, store.cells(), {c.id: 6 for c in cells(tiny)})])
        ).entries
    expected = {(e.claim.id, e.setting): "open" if e.verdict is None else e.verdict.value for e in judged}
    assert {(line.id, line.setting): line.verdict for line in page.entries} == expected
    assert len(set(expected.values())) > 1


def test_an_unfinished_store_is_shown_as_it_is(tmp_path: Path) -> None:
    path, out = tmp_path / "s.sqlite", tmp_path / "r.html"
    run_grid(path, grid=ONLINE)
    alter(path, "DELETE FROM records WHERE replicate = 1")
    assert report(path, "--out", out).code == 0
    assert "2 of 3" in words(out)


class Tags(HTMLParser):
    """The elements, attributes and text of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_in_a_figure_is_text(hostile: str) -> None:
    figure, (axes,) = panel_axes(1)
    series = Series(hostile, (1.0, 2.0), ((0.5, 0.9), (0.6, 0.8)))
    drawn = draw_accuracy(axes, [series], panel=hostile)
    axes.set_title(plain_text(hostile))
    made = picture(Drawing(figure, (Panel.of(axes, drawn),), hostile, "accuracy"), "f")
    found, plain = Tags(made.svg), hostile.replace("\0", "")
    assert found.tags <= {
        "svg",
        "g",
        "path",
        "use",
        "text",
        "circle",
        "title",
        "defs",
        "clippath",
        "rect",
        "tspan",
    }
    assert not {name for name in found.attributes if name.startswith("on")}
    assert plain.split()[0] in found.text or "\0" in hostile
    assert made.points == 2


def test_points_are_where_they_are_drawn() -> None:
    figure, (axes,) = panel_axes(1)
    drawn = draw_accuracy(axes, [Series("one", (1.0, 2.0, 4.0), ((0.5, 0.9, 0.95),))])
    made = picture(Drawing(figure, (Panel.of(axes, drawn),), "accuracy", "accuracy"), "f")
    hits = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', made.svg)]
    # Markers of the line, as matplotlib wrote them.
    marks = [
        (float(x), float(y))
        for x, y in re.findall(r'<use [^>]*x="([\d.]+)" y="([\d.]+)" style="fill', made.svg)
    ]
    assert len(hits) == 3
    for x, y in hits:
        assert min(math.hypot(x - a, y - b) for a, b in marks) < 0.2
