import importlib
import math
import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import sympy

from theory import catalogue
from theory.bounds import FIRST_STEP, INFORMATION, PUBLISHED, REGISTRY, TWO_STAGE, BarakMLP, KouSignSGD
from theory.bounds.parameters import Parameter
from theory.bounds.references import Standing
from theory.bounds.theorem import Theorem
from theory.errors import TheoryError
from theory.verdict import Kind

ASYMPTOTIC = {"paper-progressive", "paper-one-shot", "barak-mlp", "kou-sign-sgd"}
SLOW = {"phase-1-success"}  # seconds a value; tests/theory has its own tests of it
NOT_PROVED = {
    "paper-progressive": Standing.QUOTED,
    "paper-one-shot": Standing.QUOTED,
    "barak-mlp": Standing.READ,
    "kou-sign-sgd": Standing.READ,
    "edelman-iterates": Standing.READ,
}

half = Fraction(1, 2)
GROWTHS: list[tuple[str, dict[str, Any], str]] = [
    # what costs little, for k = 2, 4, 6
    *(("B1-intermediate", {"k": k, "labels": "equal"}, "log n") for k in (2, 4, 6)),
    *(("biased-curriculum", {"k": k}, "log n") for k in (2, 4, 6)),
    *(("paper-progressive", {"k": k}, "n^2") for k in (2, 4, 6)),
    *(("paper-one-shot", {"k": k}, growth) for k, growth in ((2, "n"), (4, "n^3"), (6, "n^5"))),
    *(("barak-mlp", {"k": k}, f"n^{k + 1} log n") for k in (2, 4, 6)),
    *(("barak-gap", {"k": k}, f"n^(-{k - 1}/2)") for k in (2, 4, 6)),
    *(("kou-sign-sgd", {"k": k}, growth) for k, growth in ((2, "n"), (4, "n^3"), (6, "n^5"))),
    *(("edelman-iterates", {"k": k}, f"n^{k}") for k in (2, 4, 6)),
    *(("sq-dimension", {"k": k}, f"n^{k}") for k in (2, 4, 6)),
    *(("identify-support", {"k": k}, "log n") for k in (2, 4, 6)),
    *(("gaussian-elimination", {"surplus": c}, "1") for c in (0, 10)),
    *(("gaussian-elimination-samples", {"delta": delta}, "n") for delta in (Fraction(9, 10), Fraction(1, 100))),
    # min(2c, k - 1) on both sides of its corner, and at it
    *(
        ("paper-one-shot", {"k": k, "labels": "leaky", "c": c}, growth)
        for k, c, growth in (
            (2, half, "n"), (2, 3, "n"), (4, half, "n"), (4, 1, "n^2"), (4, 3 * half, "n^3"), (4, 2, "n^3"),
            (6, 1, "n^2"), (6, Fraction(9, 4), "n^(9/2)"), (6, 3, "n^5"),
        )
    ),
    # through the spectrum's envelopes
    ("B1", {"k": 4}, "n^3 log n"),
    ("B1'", {"k": 4}, "n^3 (log n)^(0..1)"),
    ("B2", {"k": 4}, "n^3"),
    ("B2h", {"k": 4}, "n^3"),
    ("B2-leaky", {"k": 4}, "n^3"),
]  # fmt: skip

MORE_GROWTHS: list[tuple[str, dict[str, Any], str]] = [
    # a second or more each
    *(("B1", {"k": k}, growth) for k, growth in ((2, "n log n"), (6, "n^5 log n"))),
    *((name, {"k": k}, growth) for name in ("B2", "B2h", "B2-leaky") for k, growth in ((2, "n"), (6, "n^5"))),
    *(("B2-leaky", {"k": 4, "labels": "leaky", "c": c}, growth) for c, growth in ((1, "n^2"), (2, "n^3"))),
    ("B2-leaky", {"k": 2, "labels": "leaky", "c": Fraction(1, 4)}, "n^(1/2)"),
    ("B2-leaky", {"k": 6, "labels": "leaky", "c": Fraction(3, 2)}, "n^3"),
]


@pytest.fixture(params=REGISTRY)
def theorem(request: pytest.FixtureRequest) -> Theorem:
    return REGISTRY[request.param]()


def test_the_registry_has_its_parts_in_order() -> None:
    assert list(REGISTRY) == [*FIRST_STEP, *TWO_STAGE, *PUBLISHED, *INFORMATION]
    assert len(REGISTRY) == len(FIRST_STEP) + len(TWO_STAGE) + len(PUBLISHED) + len(INFORMATION)


def test_every_theorem_is_final_and_alone_in_its_file(theorem: Theorem) -> None:
    module = importlib.import_module(type(theorem).__module__)
    here = [
        value for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Theorem) and value.__module__ == module.__name__
    ]  # fmt: skip
    assert here == [type(theorem)]
    assert getattr(type(theorem), "__final__", False)
    assert REGISTRY[theorem.name] is type(theorem)


def test_docstrings_have_the_headings_in_their_order(theorem: Theorem) -> None:
    found = list(catalogue.sections(theorem))
    proved = theorem.standing is Standing.PROVED
    assert found == [heading for heading in catalogue.HEADINGS if proved or heading != "Proof"]
    assert all(catalogue.sections(theorem).values())
    assert ">>> " in catalogue.sections(theorem)["Example"]
    assert catalogue.documentation(theorem).startswith(f"{theorem.name}: ")


def test_docstrings_say_the_kind(theorem: Theorem) -> None:
    match = re.match(r"Kind: ([a-z]+)( \(([a-z]+)\))?\.", catalogue.sections(theorem)["Guarantee"])
    assert match is not None
    assert match[1] == theorem.kind.value
    assert match[3] == (theorem.side.value if theorem.kind is Kind.ASYMPTOTIC else None)


def test_statements_are_sentences_and_formulas_print(theorem: Theorem) -> None:
    assert theorem.statement.endswith(".")
    assert len(theorem.statement) <= 200
    assert "\n" not in theorem.statement + theorem.reference + theorem.quantity
    assert theorem.formula.free_symbols
    assert theorem.latex() == sympy.latex(theorem.formula)


def test_standings_are_those_of_the_sources(theorem: Theorem) -> None:
    assert theorem.standing is NOT_PROVED.get(theorem.name, Standing.PROVED)
    assert theorem.sources
    if theorem.standing is not Standing.PROVED:
        assert theorem.standing in {source.standing for source in theorem.sources}
        assert theorem.sources[0].standing is theorem.standing


def test_what_is_recalled_is_marked_so_in_the_docstring(theorem: Theorem) -> None:
    if any(source.standing is Standing.RECALLED for source in theorem.sources) and theorem.name in PUBLISHED:
        assert "recalled" in catalogue.documentation(theorem) or theorem.name == "biased-curriculum"


def test_entries_of_the_literature_are_sound() -> None:
    works = catalogue.references(*catalogue.theorems())
    assert len({work.key for work in works}) == len(works)
    for work in works:
        entry = work.bibtex()
        assert entry.count("{") == entry.count("}")
        assert re.match(r"@[a-z]+\{[a-z]+[0-9]{4}[a-z]+,\n", entry)
        surname = unicodedata.normalize("NFKD", work.authors.split(",")[0]).lower()
        assert work.key.startswith(re.sub("[^a-z]", "", surname)[:5])
        assert str(work.year) in work.key
        assert 1900 < work.year < 2100


# Values.


def silent(theorem: Theorem) -> bool:
    return theorem.name in ASYMPTOTIC


def test_every_theorem_evaluates_at_its_defaults(theorem: Theorem) -> None:
    assert silent(theorem) is (theorem.kind is Kind.ASYMPTOTIC)
    if theorem.name in SLOW:
        return
    given: dict[str, Any] = dict(catalogue.speaking(theorem))
    if catalogue.parameter(theorem, "n") is not None:
        given["n"] = 201
    value = theorem.evaluate(**given)
    assert value.name == theorem.name
    assert value.kind is theorem.kind
    assert all(assumption.holds for assumption in value.assumptions)
    if silent(theorem):
        assert math.isnan(value.value)
        assert value.vacuous
        assert (value.enclosure.lower, value.enclosure.upper) == (-math.inf, math.inf)
        assert theorem.side in (Kind.UPPER, Kind.LOWER)
        return
    assert math.isfinite(value.value)
    assert value.value > 0
    assert value.enclosure.lower <= value.value <= value.enclosure.upper
    assert value.enclosure.width <= 1e-12 * value.value
    if theorem.kind is Kind.UPPER:
        assert value.value == value.enclosure.upper
    if theorem.kind is Kind.LOWER:
        assert value.value == value.enclosure.lower
    assert theorem.side is theorem.kind


@pytest.mark.parametrize("name", [*PUBLISHED, *INFORMATION])
def test_bad_values_are_refused(name: str) -> None:
    theorem = REGISTRY[name]()
    for parameter in theorem.parameters:
        for wrong in (outside(parameter), *([math.nan, math.inf] if parameter.role == "real" else [])):
            given = {"n": 50, parameter.name: wrong}
            with pytest.raises(TheoryError, match=rf"\b{parameter.name} = "):
                theorem.evaluate(**given)
    with pytest.raises(TheoryError, match="no parameter 'tau'"):
        theorem.evaluate(n=50, tau=1)
    with pytest.raises(TheoryError, match=f"{name} needs n"):
        theorem.evaluate()
    if catalogue.parameter(theorem, "k") is not None and name != "barak-gap":
        with pytest.raises(TheoryError, match="n = 4 is not above k = 4"):
            theorem.evaluate(n=4, k=4)


def outside(parameter: Parameter) -> int | str:
    if parameter.role == "labels":
        return "none"
    return -1 if parameter.high is None or parameter.role == "integer" else 17


# Growth, by limits.


@pytest.mark.parametrize(("name", "given", "expected"), GROWTHS)
def test_growth(name: str, given: dict[str, Any], expected: str) -> None:
    assert str(REGISTRY[name]().growth(**given)) == expected


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "given", "expected"), MORE_GROWTHS)
def test_growth_of_more(name: str, given: dict[str, Any], expected: str) -> None:
    test_growth(name, given, expected)


def test_growth_is_not_given_where_nothing_is_known() -> None:
    for name, given in (
        ("B1", {"k": 3}), ("B2", {"k": 4, "bias": 1}), ("B1-intermediate", {"labels": "parity"}),
        ("paper-one-shot", {"labels": "equal"}), ("barak-gap", {"k": 3}),
    ):  # fmt: skip
        assert REGISTRY[name]().growth(**given) is None


def test_every_growth_at_the_defaults_is_in_the_table_or_of_two_stages() -> None:
    known = {name for name, *_ in GROWTHS}
    assert known | set(TWO_STAGE) == set(REGISTRY)


def dropped(formula: sympy.Expr) -> sympy.Expr:
    """The formula without its first logarithm of n."""
    logarithms = [part for part in formula.atoms(sympy.log) if part.has(sympy.Symbol("n", positive=True))]
    return formula.subs(logarithms[0], 1)


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (BarakMLP, dropped),
        (KouSignSGD, lambda formula: formula * sympy.Symbol("n", positive=True) ** sympy.Rational(1, 12)),
        (KouSignSGD, lambda formula: formula * sympy.log(sympy.Symbol("n", positive=True))),
    ],
    ids=["logarithm dropped", "exponent off by a twelfth", "logarithm added"],
)
def test_a_fault_in_a_formula_changes_its_growth(
    make: Callable[[], Theorem], fault: Callable[[sympy.Expr], sympy.Expr], monkeypatch: pytest.MonkeyPatch
) -> None:
    theorem = make()
    wrong = fault(theorem.formula)
    expected = next(growth for name, given, growth in GROWTHS if name == theorem.name and given == {"k": 4})
    assert str(theorem.growth(k=4)) == expected
    monkeypatch.setattr(make, "formula", property(lambda _: wrong))
    assert str(theorem.growth(k=4)) != expected
