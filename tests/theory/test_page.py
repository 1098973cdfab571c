from pathlib import Path

import pytest

from theory import catalogue, page
from theory.bounds import REGISTRY

COMMITTED = Path(__file__).parents[2] / "docs" / "bounds.md"


@pytest.fixture(scope="module")
def generated() -> str:
    return page.page()


def test_the_committed_page_is_the_generated_one(generated: str) -> None:
    assert COMMITTED.read_text(encoding="utf-8") == generated, f"docs/bounds.md is not fresh: {page.COMMAND}"


def test_every_theorem_has_its_part(generated: str) -> None:
    headings = [line.removeprefix("## ") for line in generated.splitlines() if line.startswith("## ")]
    assert headings == list(REGISTRY)
    assert generated.count("$$") == 2 * len(REGISTRY)
    for theorem in catalogue.theorems():
        assert page.escaped(theorem.statement) in generated
        assert f"\n$${theorem.latex()}$$\n" in generated


def test_the_page_says_how_to_renew_it(generated: str) -> None:
    assert f"`{page.COMMAND}`" in generated
    assert generated.endswith(".\n")


def test_links_lead_to_headings(generated: str) -> None:
    targets = page.anchors(list(REGISTRY))
    assert len(set(targets)) == len(targets)
    for name, target in zip(REGISTRY, targets, strict=True):
        assert f"| [{page.escaped(name)}](#{target}) |" in generated


def test_formulas_are_no_markdown(generated: str) -> None:
    """Between the delimiters LaTeX may have anything but the end of a line and a dollar."""
    for part in generated.split("$$")[1::2]:
        assert part.strip()
        assert not {"$", "\n"} & set(part)


def test_text_is_escaped_outside_code() -> None:
    assert page.escaped("a*b_c <d> [e] `f_g*` |h|") == r"a\*b\_c \<d\> \[e\] `f_g*` \|h\|"
