"""The registry of bounds as a Markdown page, `docs/bounds.md`: `python -m theory --page > docs/bounds.md` renews it."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from theory import catalogue
from theory.bounds.theorem import Theorem
from theory.catalogue import Row
from theory.listing import safe
from theory.verdict import Kind

COMMAND = "python -m theory --page > docs/bounds.md"
DIMENSIONS = ((50, 100, 200), (51, 101, 201))
"""The n of the tables: the first triple at which a theorem says something."""

_SLOW = frozenset({"phase-1-success"})  # seconds a value
_CODE = re.compile(r"(`[^`]*`)")
_SPECIAL = re.compile(r"([\\*_<>\[\]|])")


def page() -> str:
    """Return the whole page; it depends on the registry alone."""
    chosen = tuple(catalogue.theorems())
    parts = [
        "# Bounds",
        "Every theorem of `theory.bounds`, with the number it claims. An *upper* bound suffices, less than a *lower* "
        "one does not; an *asymptotic* statement has no constants, so only its growth can be compared. Values are "
        "rounded to the safe side. They and the growths hold for k = 4, δ = ε = 1/10 and the other defaults, or for "
        "the labels named with the growth.",
        "A proof, or where a statement was read, quoted or recalled, is in the module of each theorem: "
        "`python -m theory BOUND` prints it, and `python -m theory BOUND --n 51..201 --k 2,4` more values (without --n "
        "where n plays no part). Growths are limits computed by sympy.",
        "Symbols: n dimension, k size of the support S, F the labels (|F| ≤ M), T the activation of a "
        "unit with weights w, μ_i = E[F T x_i], μ the largest |μ_i|, Δ the least on S minus the largest "
        "off it, v = E[F² T], τ_r = E[T z_1⋯z_r] with z_i = w_i x_i, δ failure probability, ε hinge loss, "
        "c exponent of a teacher's error n^(−c), ρ the affinity and D_KL the divergence of two laws, λ "
        "any positive number.",
        f"This page is generated: `{COMMAND}`.",
        "\n".join(_overview(chosen)),
        *(part for theorem in chosen for part in _parts(theorem)),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(chosen: tuple[Theorem, ...]) -> Iterator[str]:
    yield "| bound | kind | quantity | growth in n | standing |"
    yield "|---|---|---|---|---|"
    for theorem, target in zip(chosen, anchors([theorem.name for theorem in chosen]), strict=True):
        cells = (
            catalogue.claim(theorem),
            theorem.quantity,
            catalogue.growth_words(theorem),
            catalogue.standing(theorem),
        )
        yield f"| [{escaped(theorem.name)}](#{target}) | {' | '.join(map(escaped, cells))} |"


def _parts(theorem: Theorem) -> Iterator[str]:
    """Yield the paragraphs of one theorem."""
    yield f"## {escaped(theorem.name)}"
    yield escaped(theorem.statement)
    yield f"$${theorem.latex()}$$"  # in one line: a minus at its start would begin a list
    facts = {
        "Kind": f"{catalogue.claim(theorem)}, {theorem.quantity}",
        "Standing": theorem.standing.value,
        "Growth in n": catalogue.growth_words(theorem),
        "Module": f"`{type(theorem).__module__}`",
    }
    yield "\n".join(f"- {name}: {escaped(text)}" for name, text in facts.items() if text != "-")
    table = _table(theorem)
    if table:
        yield table
    yield f"*Assumptions.* {escaped(_paragraph(catalogue.sections(theorem)['Assumptions']))}"
    yield "*Sources.* " + "; ".join(escaped(str(source)) for source in theorem.sources) + "."


def _table(theorem: Theorem) -> str:
    """Return a table of values, the empty text where there are none."""
    if theorem.kind is Kind.ASYMPTOTIC:
        return ""
    if theorem.name in _SLOW:
        return f"Each value takes seconds: `python -m theory {theorem.name} --n {DIMENSIONS[1][0]}`."
    if catalogue.parameter(theorem, "n") is None:
        return f"At the defaults: {safe(catalogue.evaluate(theorem, {}).value)}."
    rows = _rows(theorem, catalogue.speaking(theorem))
    return "\n".join(
        (
            f"| n | {' | '.join(str(row.parameters['n']) for row in rows)} |",
            f"|---|{'---|' * len(rows)}",
            f"| value | {' | '.join(safe(row.value) for row in rows)} |",
        )
    )


def _rows(theorem: Theorem, given: Mapping[str, str]) -> tuple[Row, ...]:
    for dimensions in DIMENSIONS:
        rows = tuple(catalogue.evaluate(theorem, {**given, "n": n}) for n in dimensions)
        if not any(row.value.vacuous for row in rows):
            break
    return rows


def escaped(text: str) -> str:
    """Return a text with the characters escaped that Markdown would take for its own, outside code.

    >>> escaped("P(|G_i| <= t) for `n_1`")
    'P(\\\\|G\\\\_i\\\\| \\\\<= t) for `n_1`'
    """
    parts = _CODE.split(text)
    return "".join(part if index % 2 else _SPECIAL.sub(r"\\\1", part) for index, part in enumerate(parts))


def anchors(headings: Sequence[str]) -> list[str]:
    """Return the anchors that headings have on GitHub, which numbers repeated ones.

    >>> anchors(["B1", "B1'", "B1-intermediate"])
    ['b1', 'b1-1', 'b1-intermediate']
    """
    seen: Counter[str] = Counter()
    result = []
    for heading in headings:
        plain = re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        result.append(f"{plain}-{seen[plain]}" if seen[plain] else plain)
        seen[plain] += 1
    return result


def _paragraph(text: str) -> str:
    return " ".join(text.split())
