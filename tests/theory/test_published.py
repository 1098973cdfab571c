"""The theorems that do not speak of the first step: their values against exact or independent computations."""

import itertools
import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import flint
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.theory.enumeration import inputs
from theory.bounds import (
    BarakGap,
    BiasedCurriculum,
    EdelmanIterates,
    GaussianElimination,
    GaussianEliminationSamples,
    IdentifySupport,
    SQDimension,
    biased_curriculum,
    gaussian_elimination,
    gaussian_elimination_samples,
    identify_support,
    theorem,
)
from theory.bounds.barak_gap import fourier_gap
from theory.bounds.gaussian_elimination import full_rank
from theory.bounds.gaussian_elimination_samples import least_surplus
from theory.bounds.theorem import BoundValue, Theorem
from theory.enclosure import exact_endpoints, precision
from theory.verdict import Kind

TENTH = Fraction(1, 10)


def exact(value: Fraction) -> tuple[Fraction, Fraction]:
    return value, value


def interval(value: Any) -> tuple[Fraction, Fraction]:
    """The ends of an interval of mpmath, exactly."""
    low, high = (
        (-1) ** sign * Fraction(2) ** exponent * int(mantissa) for sign, mantissa, exponent, _ in value._mpi_
    )
    return low, high


def iv(value: Fraction) -> Any:
    return mpmath.iv.mpf(value.numerator) / value.denominator


@pytest.fixture(autouse=True)
def _digits() -> Any:
    before = mpmath.iv.prec
    mpmath.iv.prec = 120
    yield
    mpmath.iv.prec = before


def agree(value: BoundValue, low: Fraction, high: Fraction) -> None:
    """The value is on the safe side of [low, high], which holds the exact number, and next to it."""
    assert value.enclosure.lower <= high
    assert low <= value.enclosure.upper
    if value.kind is Kind.UPPER:
        assert Fraction(value.value) >= low
    if value.kind is Kind.LOWER:
        assert Fraction(value.value) <= high
    assert abs(Fraction(value.value) - low) <= abs(low) * Fraction(1, 10**14)


# A second opinion on each certified value, from the formula in the docstring.

CASES: list[tuple[type[Theorem], dict[str, Any]]] = [
    (BarakGap, {"n": 51, "k": 2}),
    (BarakGap, {"n": 1001, "k": 8}),
    (BiasedCurriculum, {"n": 50, "k": 1, "delta": Fraction(1, 3), "mean": Fraction(1, 7)}),
    (BiasedCurriculum, {"n": 5000, "k": 6, "delta": TENTH, "mean": Fraction(5, 6)}),
    (EdelmanIterates, {"n": 200, "k": 6, "r": 12345, "tolerance": Fraction(1, 3), "delta": Fraction(1, 7)}),
    (SQDimension, {"n": 77, "k": 3, "tolerance": Fraction(1, 30)}),
    (IdentifySupport, {"n": 100, "k": 4, "delta": TENTH}),
    (IdentifySupport, {"n": 10**6, "k": 16, "delta": Fraction(1, 10**30)}),
    (GaussianElimination, {"n": 7, "surplus": 0}),
    (GaussianElimination, {"n": 300, "surplus": 3}),
    (GaussianEliminationSamples, {"n": 40, "delta": Fraction(1, 1000)}),
]


def second_opinion(make: type[Theorem], g: dict[str, Any]) -> tuple[Fraction, Fraction]:
    log = mpmath.iv.log
    match make.__name__:
        case "BarakGap":
            return interval(iv(Fraction(3, 100)) / mpmath.iv.sqrt(g["n"] - 1) ** (g["k"] - 1))
        case "BiasedCurriculum":
            gap = g["mean"] ** (g["k"] - 1) * (1 - g["mean"] ** 2)
            return interval(8 * log(iv((2 * g["n"] - g["k"]) / g["delta"])) / iv(gap) ** 2)
        case "EdelmanIterates":
            choices = Fraction(math.comb(g["n"], g["k"]))
            return exact(choices * g["tolerance"] ** 2 * g["delta"] / 2 / g["r"])
        case "SQDimension":
            return exact((math.comb(g["n"], g["k"]) * g["tolerance"] ** 2 - 1) / 2)
        case "IdentifySupport":
            return interval(log(iv((1 - g["delta"]) * math.comb(g["n"], g["k"]))) / log(mpmath.iv.mpf(2)))
        case "GaussianElimination":
            return exact(full_rank_exactly(g["n"], g["surplus"]))
        case _:
            surplus = 0
            while 1 - full_rank_exactly(g["n"], surplus) > g["delta"]:
                surplus += 1
            return exact(Fraction(g["n"] + surplus))


def full_rank_exactly(n: int, surplus: int) -> Fraction:
    return math.prod((1 - Fraction(1, 2 ** (n + surplus - i)) for i in range(n)), start=Fraction(1))


@pytest.mark.parametrize(("make", "parameters"), CASES)
def test_values_agree_with_a_second_opinion(make: type[Theorem], parameters: dict[str, Any]) -> None:
    agree(make().evaluate(**parameters), *second_opinion(make, parameters))


def check(make: type[Theorem]) -> None:
    for case, parameters in CASES:
        if case is make:
            agree(make().evaluate(**parameters), *second_opinion(make, parameters))


squared_gap, safe_side, comb = biased_curriculum.squared_gap, theorem.safe_side, math.comb
OTHER_SIDE = {Kind.UPPER: Kind.LOWER, Kind.LOWER: Kind.UPPER}


class _OneMore:
    """The module math, its binomial coefficients off by one."""

    @staticmethod
    def comb(n: int, k: int) -> int:
        return comb(n, k) + 1


@pytest.mark.parametrize(
    ("make", "module", "name", "fault"),
    [
        (BiasedCurriculum, biased_curriculum, "squared_gap", lambda k, m: 2 * squared_gap(k, m)),
        (BiasedCurriculum, biased_curriculum, "squared_gap", lambda k, m: squared_gap(k, m) * (m or 1)),
        (BiasedCurriculum, theorem, "safe_side", lambda kind, e: safe_side(OTHER_SIDE[kind], e)),
        (IdentifySupport, theorem, "safe_side", lambda kind, e: safe_side(OTHER_SIDE[kind], e)),
        (IdentifySupport, identify_support, "math", _OneMore),
        (GaussianElimination, gaussian_elimination, "full_rank", lambda n, c: full_rank(n - 1, c)),
        (GaussianElimination, gaussian_elimination, "full_rank", lambda n, c: full_rank(n, c + 1)),
        (GaussianEliminationSamples, gaussian_elimination_samples, "full_rank", lambda n, c: full_rank(n, c + 1)),
    ],
    ids=[
        "constant halved", "power off by one", "upper bound rounded down", "lower bound rounded up",
        "one set too many", "last factor left out", "product off by one", "surplus off by one",
    ],
)  # fmt: skip
def test_faults_are_seen(
    make: type[Theorem], module: Any, name: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(make)
    monkeypatch.setattr(module, name, fault)
    with pytest.raises(AssertionError):
        check(make)


def test_a_logarithm_left_out_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def linear(compute: Callable[[], flint.arb]) -> flint.arb:
        return compute().exp()

    monkeypatch.setattr(identify_support, "tight", linear)
    with pytest.raises(AssertionError):
        check(IdentifySupport)


# The Fourier gap of majority.


def test_the_gap_is_that_of_majority_by_enumeration() -> None:
    for n in (3, 5, 7, 9):
        x = inputs(n)
        majority = np.sign(x.sum(axis=1))
        for k in range(2, n):
            near = Fraction(int((majority * x[:, : k - 1].prod(axis=1)).sum()), 2**n)
            far = Fraction(int((majority * x[:, : k + 1].prod(axis=1)).sum()), 2**n)
            assert fourier_gap(n, k) == abs(near) - abs(far)


@pytest.mark.parametrize("k", [2, 4, 6, 8])
def test_the_published_gap_holds_exactly_from_2k_plus_1_on(k: int) -> None:
    least = math.inf
    for n in range(k + 1, 302, 2):
        gap = fourier_gap(n, k)
        true = gap > 0 and gap**2 * (n - 1) ** (k - 1) >= Fraction(9, 10**4)
        value = BarakGap().evaluate(n=n, k=k)
        assert true is (n >= 2 * k + 1) is all(one.holds for one in value.assumptions)
        assert (gap == 0) is (n == 2 * k - 1)
        if true:
            assert Fraction(value.value) <= Fraction(value.details["exact_gap"]) <= gap
            least = min(least, value.details["ratio"])
            proved = (
                2
                * Fraction(n - 1, n)
                * math.prod(range(1, k - 2, 2)) ** 2
                * Fraction(n - 2 * k + 1, n - k) ** 2
            )
            assert float(gap**2 * (n - 1) ** (k - 1)) >= float(proved) / math.pi
            assert float(proved) / math.pi >= 0.28**2
    assert least >= 9.5
    if k == 4:
        assert least == BarakGap().evaluate(n=9, k=4).details["ratio"]
        assert 11.7 < least < 11.8
    limit = math.sqrt(2 / math.pi) * math.prod(range(1, k - 2, 2)) / 0.03
    assert math.isclose(BarakGap().evaluate(n=10001, k=k).details["ratio"], limit, rel_tol=2e-3)


def test_the_gap_says_nothing_where_it_must_not() -> None:
    for n, k in ((50, 4), (51, 3), (7, 4), (5, 4), (3, 4)):
        assert BarakGap().evaluate(n=n, k=k).value == 0.0


# Statistical queries and noisy steps.


def test_few_parities_correlate_with_a_query() -> None:
    """The proof's step: |E[h chi_S]| > tau for fewer than 1/tau^2 sets, tight for a parity's own query."""
    generator = random.Random(5)
    n, k = 6, 2
    x = inputs(n)
    parities = [x[:, list(S)].prod(axis=1) for S in itertools.combinations(range(n), k)]
    for trial in range(60):
        if trial % 2:
            chosen = generator.sample(parities, generator.choice((1, 3, 5, 7)))
            h = np.sign(np.sum(chosen, axis=0)).astype(int)
        else:
            h = np.array([generator.choice((-1, 1)) for _ in x])
        squares = [Fraction(int((h * parity).sum()), len(x)) ** 2 for parity in parities]
        assert sum(squares) <= 1
        for square in {*squares, Fraction(1, 4)} - {Fraction(0)}:
            assert sum(other > square for other in squares) < 1 / square


def test_a_learner_that_asks_for_each_parity_is_not_below_the_bound() -> None:
    for n, k, tolerance in ((6, 2, Fraction(99, 100)), (10, 4, Fraction(1, 2)), (30, 3, TENTH)):
        value = SQDimension().evaluate(n=n, k=k, tolerance=tolerance)
        assert value.value <= value.details["orthogonal"] <= math.comb(n, k) - 1
        assert value.details["orthogonal"] + 1 == pytest.approx(
            float(math.comb(n, k) * tolerance**2), rel=1e-14
        )


def test_bounds_that_say_nothing_are_zero() -> None:
    assert SQDimension().evaluate(n=5, k=2, tolerance=TENTH).value == 0.0
    assert IdentifySupport().evaluate(n=5, k=4, delta=Fraction(9, 10)).value == 0.0


def test_noisy_steps_scale_as_stated() -> None:
    one = EdelmanIterates().evaluate(n=100, k=4, r=100, tolerance=TENTH, delta=TENTH)
    assert one.enclosure.lower <= Fraction(math.comb(100, 4), 2 * 10**5) <= one.enclosure.upper
    other = EdelmanIterates().evaluate(n=100, k=4, r=200, tolerance=2 * TENTH, delta=TENTH)
    assert other.value == pytest.approx(2 * one.value, rel=1e-15)


# What any learner needs.


@pytest.mark.parametrize(("n", "k", "B"), [(4, 2, 1), (4, 2, 2), (4, 1, 2), (5, 2, 2)])
def test_no_estimator_beats_the_counting_bound(n: int, k: int, B: int) -> None:
    """The best estimator's success, averaged over supports and all inputs: labels it can tell apart / supports."""
    x = inputs(n)
    parities = np.array([x[:, list(S)].prod(axis=1) for S in itertools.combinations(range(n), k)])
    seen = sum(
        len({tuple(parity[list(rows)]) for parity in parities})
        for rows in itertools.product(range(len(x)), repeat=B)
    )
    success = Fraction(seen, len(x) ** B * len(parities))
    assert success <= Fraction(2**B, len(parities))
    assert IdentifySupport().evaluate(n=n, k=k, delta=1 - success).value <= B
    chosen = max(
        len({tuple(parity[list(rows)]) for parity in parities})
        for rows in itertools.combinations(range(len(x)), B)
    )
    assert chosen <= 2**B
    if chosen < len(parities):
        assert IdentifySupport().evaluate(n=n, k=k, delta=1 - Fraction(chosen, len(parities))).value <= B


def rank(rows: Sequence[int]) -> int:
    """Rank over GF(2) of rows given as bit masks."""
    basis: list[int] = []
    for row in rows:
        for one in basis:
            row = min(row, row ^ one)
        if row:
            basis.append(row)
    return len(basis)


@pytest.mark.parametrize(("n", "surplus"), [(1, 0), (1, 5), (2, 0), (2, 3), (3, 0), (3, 1), (4, 0)])
def test_elimination_by_counting_all_matrices(n: int, surplus: int) -> None:
    full = sum(rank(rows) == n for rows in itertools.product(range(2**n), repeat=n + surplus))
    share = Fraction(full, 2 ** (n * (n + surplus)))
    assert share == full_rank_exactly(n, surplus)
    low, high = exact_endpoints(full_rank(n, surplus))
    assert low <= share <= high
    assert GaussianElimination().evaluate(n=n, surplus=surplus).value == float(share)


def test_full_rank_is_what_names_the_support() -> None:
    """In dimension 3, all 512 triples of inputs: one solution iff the rank is full, whatever the support."""
    for rows in itertools.product(range(8), repeat=3):
        for support in range(8):
            labels = [(row & support).bit_count() % 2 for row in rows]
            solutions = [s for s in range(8) if [(row & s).bit_count() % 2 for row in rows] == labels]
            assert (solutions == [support]) is (rank(rows) == 3)


def test_fewer_samples_can_do_for_a_known_size() -> None:
    """In dimension 4 two inputs can name one coordinate out of four, though elimination needs four."""
    rows = (0b0011, 0b0101)
    answers = {tuple((row >> i) & 1 for row in rows) for i in range(4)}
    assert len(answers) == 4
    assert rank(rows) < 4
    assert IdentifySupport().evaluate(n=4, k=1, delta=Fraction(1, 100)).value < 2


@given(st.integers(1, 40), st.integers(0, 8))
def test_products_are_enclosed_at_any_precision(n: int, surplus: int) -> None:
    share = full_rank_exactly(n, surplus)
    for bits in (8, 53, 200):
        with precision(bits):
            low, high = exact_endpoints(full_rank(n, surplus))
        assert low <= share <= high
        assert high - low <= Fraction(1, 2 ** (bits - 7))


def test_a_large_dimension_is_no_trouble() -> None:
    large = GaussianElimination().evaluate(n=10**12, surplus=2).enclosure
    limit = GaussianElimination().evaluate(n=500, surplus=2).enclosure
    assert large.lower <= limit.upper
    assert limit.lower <= large.upper
    assert GaussianEliminationSamples().evaluate(n=10**12).value == 10**12 + 4


@given(st.integers(1, 12), st.fractions(Fraction(1, 1000), Fraction(999, 1000), max_denominator=5000))
def test_the_least_surplus_is_least(n: int, delta: Fraction) -> None:
    c = least_surplus(n, delta)
    assert full_rank_exactly(n, c) >= 1 - delta
    assert c == 0 or full_rank_exactly(n, c - 1) < 1 - delta
    assert 2**c <= 2 / delta


@pytest.mark.parametrize(("n", "surplus"), [(1, 0), (1, 3), (2, 1), (3, 0), (5, 2)])
def test_the_least_surplus_at_equality(n: int, surplus: int) -> None:
    delta = 1 - full_rank_exactly(n, surplus)
    assert least_surplus(n, delta) == surplus
    assert least_surplus(n, delta - Fraction(1, 10**40)) == surplus + 1
    assert least_surplus(n, delta + Fraction(1, 10**40)) == surplus
