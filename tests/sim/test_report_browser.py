"""The page in a real browser: headless Chromium, as wide as a phone and a desk, light and dark, without scripts."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sim.report.build import build
from sim.report.page import Section
from sim.report.table import Column, Row, Table, real, text
from tests.sim.conftest import ONLINE, TINY, run_grid
from tests.sim.report_cases import HOSTILE, poison, report
from tests.sim.test_two_stage_grid import BIASES, SIGNED

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
FLAGS = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
    *("--disable-gpu", "--disable-quic", *(["--no-sandbox"] if os.geteuid() == 0 else [])),
)
PHONE, TABLET, DESK = ({"width": w, "height": h} for w, h in ((390, 844), (820, 1180), (1280, 900)))

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@dataclass
class Seen:
    """What a page did besides showing itself."""

    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, probed: tuple[Path, Any], learned: Path) -> Path:
    """A page of all protocols, with probes and records."""
    folder = tmp_path_factory.mktemp("report")
    stores = [learned]
    for name, grid in (("tiny", TINY), ("online", ONLINE), ("signed", SIGNED), ("biases", BIASES)):
        stores.append(folder / f"{name}.sqlite")
        run_grid(stores[-1], grid=grid)
    out = folder / "report.html"
    result = report(*stores, "--probes", probed[0], "--records", "docs/paper/e1-e6.json.gz", "--out", out)
    assert result.code == 0, result
    return out


def opened(browser: Any, file: Path, **options: Any) -> tuple[Any, Seen]:
    """The page, and what it does."""
    context = browser.new_context(**{"viewport": DESK, **options})
    page, seen = context.new_page(), Seen()
    page.on("console", lambda message: seen.console.append(message.text))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(file.as_uri())
    return page, seen


@pytest.mark.parametrize("viewport", [PHONE, TABLET, DESK], ids=["phone", "tablet", "desk"])
def test_it_renders_without_errors_or_requests(browser: Any, page_file: Path, viewport: Any) -> None:
    page, seen = opened(browser, page_file, viewport=viewport)
    page.wait_for_load_state("networkidle")
    assert seen.console == seen.errors == seen.dialogs == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert page.locator("figure svg").count() >= 5
    widths = page.eval_on_selector_all("#ledger tbody td", "all => all.map(e => e.clientWidth)")
    assert min(widths) > 85  # or words stand letter by letter
    page.context.close()


def test_every_link_leads_somewhere_and_every_id_is_there_once(browser: Any, page_file: Path) -> None:
    page, _ = opened(browser, page_file)
    ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
    assert len(ids) == len(set(ids)) > 50
    links = page.eval_on_selector_all("a", "all => all.map(e => e.getAttribute('href'))")
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside - set(ids) == set()
    assert len(inside) > 10
    assert all(link.startswith(("#", "data:text/csv;")) for link in links)
    used = page.eval_on_selector_all("use", "all => all.map(e => e.getAttribute('href'))")
    assert used
    assert all(link[1:] in ids for link in used)
    page.locator("#first-step-cells a[href^='#command-']").first.click()
    assert re.search(r"#command-\d+$", page.url)
    assert page.locator(":target").is_visible()
    page.context.close()


def column(page: Any, table: str, index: int) -> list[str]:
    """The texts of a column."""
    script = f"rows => rows.map(row => row.cells[{index}].textContent.trim())"
    texts: list[str] = page.eval_on_selector_all(f"#{table} tbody tr", script)
    return texts


def test_tables_sort_by_mouse_and_keyboard(browser: Any, page_file: Path) -> None:
    page, _ = opened(browser, page_file)
    heads = page.locator("#first-step-cells thead th")
    names = [head.strip() for head in heads.all_text_contents()]
    n, bound = names.index("n"), names.index("lower bound")
    heads.nth(n).locator("button").click()
    assert column(page, "first-step-cells", n) == ["6"] * 3 + ["9"] * 3
    assert heads.nth(n).get_attribute("aria-sort") == "ascending"
    heads.nth(n).locator("button").press("Enter")
    assert column(page, "first-step-cells", n) == ["9"] * 3 + ["6"] * 3
    assert heads.nth(n).get_attribute("aria-sort") == "descending"
    for _ in range(2):  # what is not there comes last, in either direction
        heads.nth(bound).locator("button").click()
        shown = [text for text in column(page, "first-step-cells", bound) if text != "-"]
        assert column(page, "first-step-cells", bound)[: len(shown)] == shown
        values = [float(text.replace(",", "")) for text in shown]
        assert values in (sorted(values), sorted(values, reverse=True))
    assert heads.nth(n).get_attribute("aria-sort") is None
    page.context.close()


def test_numbers_sort_as_numbers_and_words_as_words(browser: Any, tiny: Path, tmp_path: Path) -> None:
    numbers = (4.35, 1e6, None, 4.4, 200.0, 0.5, -1.0)
    words = ("ten", "Two", "n=9", "n=10", "a", "b", "c")
    rows = [Row((real(number), text(word))) for number, word in zip(numbers, words, strict=True)]
    made = Table.of("made", "made up", (Column("number", numeric=True), Column("word")), rows)
    page_of = replace(build([tiny], [], [], []), sections=(Section("s", "s", "s", (made,)),))
    page_of.write(tmp_path / "r.html")
    page, _ = opened(browser, tmp_path / "r.html")
    heads = page.locator("#made thead th button")
    up = ["-1", "0.5", "4.35", "4.4", "200", "1.00e6"]
    for expected in (up, up[::-1]):
        heads.nth(0).click()
        assert column(page, "made", 0) == [*expected, "-"]
    heads.nth(1).click()
    assert column(page, "made", 1) == ["a", "b", "c", "n=9", "n=10", "ten", "Two"]
    page.context.close()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_rows_are_found_by_words(browser: Any, page_file: Path, viewport: Any) -> None:
    page, _ = opened(browser, page_file, viewport=viewport)
    every = page.locator("#ledger tbody tr")
    page.get_by_label("Rows that contain").first.fill("e1-progressive follow")
    shown = [row.text_content().lower() for row in every.all() if row.is_visible()]
    assert 0 < len(shown) < every.count()
    assert all("e1-progressive" in text and "follow" in text for text in shown)
    assert page.locator("#claims .found").inner_text() == f"{len(shown)} of {every.count()}"
    page.context.close()


def test_points_of_figures_tell_their_values(browser: Any, page_file: Path) -> None:
    page, _ = opened(browser, page_file)
    figure = page.locator("figure").first
    hits, tip = figure.locator(".hits circle"), figure.locator(".tip")
    figure.locator("svg").scroll_into_view_if_needed()
    box = hits.nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert re.search(r"n = \d+|samples", tip.inner_text())
    assert figure.locator(".hits circle.on").count() == 1
    figure.locator(".drawing").focus()
    seen = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        seen.append(tip.inner_text())
    assert len(set(seen)) == 3
    page.keyboard.press("Escape")
    assert tip.inner_text() == ""
    page.context.close()


def test_it_can_be_read_without_scripts(browser: Any, page_file: Path) -> None:
    page, seen = opened(browser, page_file, java_script_enabled=False)
    assert page.locator("#ledger tbody tr").count() > 20
    assert page.locator("figure .hits circle title").count() > 10
    assert [u for u in seen.requests if not u.startswith("data:")] == [page_file.as_uri()]
    page.context.close()


CONTRAST = """
() => {
  const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
  const light = (c) => c.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = light(rgb(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll("p, td, a, .verdict, .note, summary, svg text")].map((e) => {
    const style = getComputedStyle(e);
    const own = light(rgb(e instanceof SVGElement ? style.fill : style.color));
    const ratio = (Math.max(page, own) + 0.05) / (Math.min(page, own) + 0.05);
    return [ratio, e.textContent.slice(0, 30), e.closest("figure")?.id];
  });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Any, page_file: Path, scheme: str) -> None:
    page, _ = opened(browser, page_file, color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    found = page.evaluate(CONTRAST)
    words = [row for row in found if row[2] is None]
    assert len(words) > 100
    assert [row for row in words if row[0] < 4.5] == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_breaks_no_rule_of_accessibility(browser: Any, page_file: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = opened(browser, page_file, color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
    page.context.close()


def test_it_can_be_printed(browser: Any, page_file: Path) -> None:
    page, _ = opened(browser, page_file)
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) < 40
    page.context.close()


def test_hostile_text_stays_text(browser: Any, tmp_path: Path, tiny: Path) -> None:
    for number, words in enumerate(HOSTILE):
        poison(tiny, words)
        name = f"{words.replace('/', '∕').replace(chr(0), '')[:60]}.sqlite"
        store = tmp_path / name
        shutil.copy(tiny, store)
        out = tmp_path / f"{number}.html"
        assert report(store, "--out", out).code == 0
        page, seen = opened(browser, out)
        page.wait_for_load_state("networkidle")
        assert seen.console == seen.errors == seen.dialogs == [], words
        assert [u for u in seen.requests if not u.startswith("data:")] == [out.as_uri()], words
        assert page.locator("script").count() == 1
        assert (
            page.locator("iframe, img, object, embed, base, form, svg script, svg foreignObject").count() == 0
        )
        assert page.locator("style").count() == 1
        assert page.evaluate("[...document.querySelectorAll('*')].every(e => ![...e.attributes].some("
                             "a => a.name.startsWith('on') || /^\\s*javascript:/i.test(a.value)))")  # fmt: skip
        assert name in page.locator("#stores").inner_text() or "\u202e" in name
        page.context.close()
