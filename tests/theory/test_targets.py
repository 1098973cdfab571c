import dataclasses
import math
import pickle
from fractions import Fraction
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from theory.errors import TheoryError
from theory.targets import (
    EqualTeacher,
    Junta,
    LeakyTeacher,
    LowDegree,
    Parity,
    ScaledTable,
    leaky_error,
    pattern_index,
    patterns,
)


def hard_label(signs: tuple[int, ...], x: tuple[int, ...]) -> int:
    """The hard label of an equal teacher, from its definition: ties get chi_S(x) prod(s)."""
    total = sum(s * v for s, v in zip(signs, x, strict=True))
    return (1 if total > 0 else -1) if total else math.prod(x) * math.prod(signs)


def test_pattern_indices() -> None:
    assert patterns(2) == ((1, 1), (-1, 1), (1, -1), (-1, -1))
    assert [pattern_index(x) for x in patterns(4)] == list(range(16))


@given(st.integers(1, 5), st.data())
def test_tables_are_their_definitions(k: int, data: st.DataObject) -> None:
    signs = data.draw(strategies.signs(k))
    degree = data.draw(st.integers(1, k))
    error = data.draw(st.sampled_from((Fraction(0), Fraction(1, 9), Fraction(5, 7), Fraction(1))))
    parity, low, logits = Parity(k), LowDegree(k, degree, signs), EqualTeacher(signs)
    hard, mixture = EqualTeacher(signs, "hard"), LeakyTeacher(k, error, signs)
    mean = LeakyTeacher(k, error, signs, "logits")
    for p, x in enumerate(patterns(k)):
        y = [s * v for s, v in zip(signs, x, strict=True)]
        g = hard_label(signs, x)
        monomials = (math.prod(a) for d in range(1, degree + 1) for a in combinations(y, d))
        assert parity.table[p] == math.prod(x)
        assert low.table[p] == sum(monomials)
        assert logits.table[p] == sum(y)
        assert hard.table[p] == g
        assert [(share, table[p]) for share, table in mixture.components] == [
            (share, label) for share, label in ((1 - error, math.prod(x)), (error, g)) if share
        ]
        assert mean.table[p] == mixture.table[p] == (1 - error) * math.prod(x) + error * g


@given(st.integers(1, 4).flatmap(strategies.targets))
def test_moments_norms_and_coefficients_follow_from_the_components(target) -> None:
    size = 1 << target.k
    probabilities = [p for p, _ in target.components]
    assert sum(probabilities) == 1
    assert min(probabilities) > 0
    assert all(len(table) == size for _, table in target.components)
    for p, x in enumerate(patterns(target.k)):
        labels = [(share, table[p]) for share, table in target.components]
        assert target.table[p] == sum(share * label for share, label in labels)
        assert target.second_moment_table[p] == sum(share * label**2 for share, label in labels)
        characters = [math.prod(x[t] for t in range(target.k) if a >> t & 1) for a in range(size)]
        assert target.table[p] == sum(c * v for c, v in zip(target.walsh, characters, strict=True))
    everything = {abs(label) for _, table in target.components for label in table}
    assert target.sup_norm == max(everything)
    assert target.hard is (everything == {1})
    for scaled, table in [
        (target.scaled_table, target.table),
        (target.scaled_squares, target.second_moment_table),
    ]:
        assert [Fraction(value, scaled.scale) for value in scaled.values] == list(table)


@given(st.integers(1, 4).flatmap(strategies.targets))
def test_targets_are_values(target) -> None:
    target.walsh  # noqa: B018  (a filled cache must not change what follows)
    for copy in (eval(repr(target)), pickle.loads(pickle.dumps(target)), dataclasses.replace(target)):
        assert copy == target
        assert hash(copy) == hash(target)
        assert copy.components == target.components
    assert target.describe().startswith("The labels are ")
    assert target.describe().endswith(".")
    assert target.name.islower()
    field = dataclasses.fields(target)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(target, field, getattr(target, field))


def test_different_targets_differ() -> None:
    everything = [
        Parity(2),
        Parity(4),
        Junta(Parity(2).table),
        LowDegree(4, 1),
        LowDegree(4, 2),
        EqualTeacher((1, 1, 1, 1)),
        EqualTeacher((1, 1, 1, -1)),
        EqualTeacher((1, 1, 1, 1), "hard"),
        LeakyTeacher(4, 0.5),
        LeakyTeacher(4, 0.25),
        LeakyTeacher(4, 0.5, labels="logits"),
    ]
    assert len(set(everything)) == len(everything)
    assert LowDegree(4) == LowDegree(4, 1, [1, 1, 1, 1])
    assert Junta([1, 0.5]) == Junta((Fraction(1), Fraction(1, 2)))
    assert LeakyTeacher(2, 0.5) == LeakyTeacher(2, Fraction(1, 2), (1, 1), "hard")


@pytest.mark.parametrize("k", range(1, 8))
def test_equal_teachers(k: int) -> None:
    signs = tuple((-1) ** t for t in range(k))
    logits, hard = EqualTeacher(signs), EqualTeacher(signs, "hard")
    degree_one = {1 << t: s for t, s in enumerate(signs)}
    assert logits.walsh == tuple(degree_one.get(a, 0) for a in range(1 << k))
    assert logits.sup_norm == k
    assert hard.hard
    assert len({abs(hard.walsh[1 << t]) for t in range(k)}) == 1
    ties = [p for p, total in enumerate(logits.table) if total == 0]
    assert len(ties) == (math.comb(k, k // 2) if k % 2 == 0 else 0)
    assert {hard.table[p] for p in ties} <= {(-1) ** (k // 2)}
    assert LowDegree(k, 1, signs).table == logits.table


def test_leaky_teacher_at_the_ends() -> None:
    assert LeakyTeacher(4, 0).components == Parity(4).components
    assert LeakyTeacher(4, 1).components == EqualTeacher((1,) * 4, "hard").components
    assert not LeakyTeacher(4, 0.5, labels="logits").hard
    assert LeakyTeacher(4, 0.5).hard


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_disagreement_of_a_leaky_teacher(k: int) -> None:
    for signs in product((1, -1), repeat=k):
        teacher = LeakyTeacher(k, Fraction(1, 3), signs)
        wrong = sum(math.prod(x) != hard_label(signs, x) for x in patterns(k))
        assert teacher.disagreement == Fraction(wrong, 3 << k)


@given(st.integers(1, 10**4), st.fractions(0, 12, max_denominator=60))
def test_leaky_error_is_the_nearest_multiple(n: int, c: Fraction) -> None:
    error = leaky_error(n, c)
    assert 0 <= error <= 1
    assert (error * 2**64).denominator == 1
    half, power, root = Fraction(1, 2**65), Fraction(1, n**c.numerator), c.denominator
    assert (error + half) ** root > power  # n^-c is below the next middle ...
    assert error <= half or (error - half) ** root <= power  # ... and not below the last


def test_leaky_error_reads_decimals() -> None:
    assert leaky_error(100, 0.5) == leaky_error(100, "1/2") == leaky_error(100, Fraction(1, 2))
    assert leaky_error(100, 0.5) == Fraction(round(Fraction(2**64, 10)), 2**64)
    assert leaky_error(7, 0.1) == leaky_error(7, Fraction(1, 10))
    assert leaky_error(5, 0) == 1
    assert leaky_error(10, 40) == 0


def test_scaled_table() -> None:
    assert ScaledTable.of((Fraction(1, 2), Fraction(-1, 3))) == (6, (3, -2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Parity(0), r"k = 0 is not an integer in 1\.\.16"),
        (lambda: Parity(17), "k = 17"),
        (lambda: Junta((1, 2, 3)), "A junta table of 3 values"),
        (lambda: Junta((1,)), "A junta table of 1 values"),
        (lambda: Junta((1, math.nan)), r"values\[1\] = nan is not a finite real number"),
        (lambda: LowDegree(3, 4), r"degree = 4 is not an integer in 1\.\.3"),
        (lambda: LowDegree(3, 1, (1, -1)), r"signs = \(1, -1\) has 2 entries; 3 are needed"),
        (lambda: EqualTeacher((1, 0)), r"signs = \(1, 0\) has entries other than \+1 and -1"),
        (lambda: EqualTeacher(()), r"len\(signs\) = 0"),
        (lambda: LeakyTeacher(2, 1.5), r"error = 1.5 is not a probability in \[0, 1\]"),
        (lambda: LeakyTeacher(2, math.nan), "error = nan"),
        (lambda: LeakyTeacher(2, 0.5, (1, 1, 1)), "signs"),
        (lambda: leaky_error(0, 1), "n = 0"),
        (lambda: leaky_error(5, -1), "c = -1 is refused"),
        (lambda: leaky_error(5, math.inf), "c = inf is not a number"),
        (lambda: leaky_error(5, "half"), "c = 'half' is not a number"),
        (lambda: leaky_error(5, 0.33333), "c = 0.33333 is refused"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call, message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
