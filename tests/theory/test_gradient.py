import math
from collections import Counter
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.theory import enumeration
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw, correlations, law_classes, laws
from theory.targets import EqualTeacher, Junta, LeakyTeacher, LowDegree, Parity, patterns
from theory.walsh import relu_spectrum, threshold_count, threshold_spectrum, threshold_tau


def check_against_enumeration(n, weights, bias, support, target) -> None:
    """Every number of the law equals its sum over all 2^n inputs, at every coordinate."""
    law = FirstStepLaw(n, threshold_count(n, bias), target, [weights[i] for i in support])
    active = enumeration.activation(weights, bias) > 0
    x, w, t = enumeration.inputs(n), np.array(weights), active.astype(np.int64)
    outside = [o for o in range(n) if o not in support]

    def mean(factor: np.ndarray) -> Fraction:
        return enumeration.expectation(target, support, t * factor)

    def second(factor: np.ndarray) -> Fraction:
        return enumeration.expectation(target, support, t * factor, squared=True)

    assert law.tau0 == Fraction(int(t.sum()), 2**n)
    assert law.second_moment == second(1 + 0 * t)
    means = [mean(x[:, i]) for i in range(n)]
    assert law.mean_in == tuple(means[i] for i in support)
    for a, i in enumerate(support):
        for b, j in enumerate(support):
            assert law.covariance_in[a][b] == second(x[:, i] * x[:, j]) - means[i] * means[j]
        assert law.coordinate_law(a) == {
            key[0]: p for key, p in enumeration.joint_law(target, support, active, [x[:, i]]).items()
        }
    size = max((abs(means[o]) for o in outside), default=Fraction(0))
    assert law.margin == min(abs(means[i]) for i in support) - size
    for o in outside:
        assert law.mean_out == means[o] * weights[o]
        assert law.variance_out == law.second_moment - means[o] ** 2
        for a, i in enumerate(support):
            product_moment = second(x[:, i] * x[:, o]) * weights[o]
            assert law.covariance_cross[a] == product_moment - means[i] * law.mean_out
        for p in outside:
            if p != o:
                product_moment = second(x[:, o] * x[:, p]) * weights[o] * weights[p]
                assert law.covariance_out == product_moment - law.mean_out**2
    if outside:
        o = outside[-1]
        z = x[:, o] * w[o]
        for a, i in enumerate(support):
            assert law.pair_law(a) == enumeration.joint_law(target, support, active, [x[:, i], z])
        assert law.coordinate_law("out") == {
            key[0]: p for key, p in enumeration.joint_law(target, support, active, [z]).items()
        }


@given(st.data())
@settings(max_examples=100)
def test_law_equals_enumeration(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 7))
    k = data.draw(st.integers(1, min(n, 4)))
    weights, bias = data.draw(strategies.signs(n)), data.draw(strategies.biases(n))
    check_against_enumeration(
        n, weights, bias, data.draw(strategies.supports(n, k)), data.draw(strategies.targets(k))
    )


@pytest.mark.parametrize(("n", "bias"), [(11, 0), (12, 0), (12, 1)])
def test_law_equals_enumeration_at_larger_dimensions(n: int, bias: int) -> None:
    weights = [1, -1, -1, 1, 1, -1, 1, 1, -1, 1, -1, -1][:n]
    for target in (
        LeakyTeacher(6, Fraction(1, 7), (1, 1, -1, 1, -1, 1)),
        EqualTeacher((1, -1, 1, 1), "hard"),
        LowDegree(3, 2, (1, -1, -1)),
    ):
        support = sorted([10, 2, 0, 7, 5, 9][: target.k])
        check_against_enumeration(n, weights, Fraction(bias), support, target)


@pytest.mark.parametrize("n", [4, 5])
def test_every_sign_pattern_and_threshold(n: int) -> None:
    support = (0, 2, 3)
    for signs, q in product(patterns(3), range(-1, n + 1)):
        weights = [-1] * n
        for i, s in zip(support, signs, strict=True):
            weights[i] = s
        # 2q + 1 - n is a bias of threshold count q; so is 2q + 2 - n, the last one, where q + 1 has a tie.
        for bias in {2 * q + 1 - n, 2 * q + 2 - n}:
            target = LeakyTeacher(3, Fraction(1, 3), (1, 1, -1))
            check_against_enumeration(n, weights, Fraction(bias), support, target)


@given(st.data())
@settings(max_examples=60)
def test_counting_agrees_with_walsh_expansions(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 200))
    k = data.draw(st.integers(1, min(n, 5)))
    q, target = data.draw(st.integers(-1, n)), data.draw(strategies.targets(k))
    signs = data.draw(strategies.signs(k))
    law = FirstStepLaw(n, q, target, signs)
    found = correlations(target.walsh, signs, threshold_spectrum(n, q, k + 1))
    assert found.inside == law.mean_in
    assert n == k or found.outside == law.mean_out


@given(st.data())
def test_correlations_with_a_relu_unit_equal_enumeration(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    k = data.draw(st.integers(1, min(n, 4)))
    weights, bias = data.draw(strategies.signs(n)), data.draw(strategies.biases(n))
    support, target = data.draw(strategies.supports(n, k)), data.draw(strategies.targets(k))
    relu, x = np.maximum(enumeration.activation(weights, bias), 0), enumeration.inputs(n)
    found = correlations(target.walsh, [weights[i] for i in support], relu_spectrum(n, bias, k + 1))
    expected = [enumeration.expectation(target, support, relu * x[:, i]) / bias.denominator for i in range(n)]
    assert found.constant == enumeration.expectation(target, support, relu) / bias.denominator
    assert found.inside == tuple(expected[i] for i in support)
    assert all(found.outside == expected[o] * weights[o] for o in set(range(n)) - set(support))


@pytest.mark.parametrize(("n", "k"), [(50, 2), (101, 4), (200, 6), (60, 3)])
def test_parity_shows_its_two_coefficients(n: int, k: int) -> None:
    for q in {(n - 1) // 2, n // 2, n // 3}:
        inside, outside = threshold_tau(k - 1, n, q), threshold_tau(k + 1, n, q)
        for law in list(laws(n, q, Parity(k)))[:9]:
            sign = math.prod(law.signs)
            assert law.mean_in == tuple(inside * sign * s for s in law.signs)
            assert law.mean_out == outside * sign
            assert law.margin == abs(inside) - abs(outside)
            assert law.second_moment == law.tau0


@pytest.mark.parametrize(("n", "k"), [(51, 2), (101, 4), (201, 6), (7, 3)])
def test_equal_teacher_at_odd_dimension(n: int, k: int) -> None:
    """Means s_i/2 on the support and exactly 0 off it, second moment k/2."""
    target = EqualTeacher(tuple((-1) ** t for t in range(k)))
    for signs in list(patterns(k))[:5]:
        law = FirstStepLaw(n, (n - 1) // 2, target, signs)
        assert law.mean_in == tuple(Fraction(s, 2) for s in target.signs)
        assert law.mean_out == 0
        assert law.second_moment == Fraction(k, 2)


@given(st.data())
@settings(max_examples=60)
def test_hard_labels_have_trinomial_coordinates_and_five_point_pairs(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 200))
    k = data.draw(st.integers(1, min(n - 1, 4)))
    target = data.draw(strategies.targets(k, hard=True))
    law = FirstStepLaw(n, data.draw(st.integers(-1, n)), target, data.draw(strategies.signs(k)))
    for position, mean in [*enumerate(law.mean_in), ("out", law.mean_out)]:
        expected = {-1: (law.tau0 - mean) / 2, 0: 1 - law.tau0, 1: (law.tau0 + mean) / 2}
        assert law.coordinate_law(position) == {z: p for z, p in expected.items() if p}
    for t, mean in enumerate(law.mean_in):
        both = law.covariance_cross[t] + mean * law.mean_out
        pairs = {
            (a, b): (law.tau0 + a * mean + b * law.mean_out + a * b * both) / 4
            for a, b in product((-1, 1), repeat=2)
        }
        pairs[0, 0] = 1 - law.tau0
        assert law.pair_law(t) == {key: p for key, p in pairs.items() if p}


@given(st.data())
@settings(max_examples=60)
def test_laws_and_moments_agree(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 150))
    k = data.draw(st.integers(1, min(n - 1, 4)))
    q, target = data.draw(st.integers(-1, n)), data.draw(strategies.targets(k))
    law = FirstStepLaw(n, q, target, data.draw(strategies.signs(k)))
    for t in range(k):
        pairs = law.pair_law(t)
        assert sum(pairs.values()) == 1
        assert min(pairs.values()) > 0
        assert list(pairs) == sorted(pairs)
        assert sum(p * a for (a, _), p in pairs.items()) == law.mean_in[t]
        assert sum(p * b for (_, b), p in pairs.items()) == law.mean_out
        assert sum(p * a * a for (a, _), p in pairs.items()) == law.second_moment
        cross = sum(p * a * b for (a, b), p in pairs.items())
        assert cross - law.mean_in[t] * law.mean_out == law.covariance_cross[t]
        assert law.covariance_in[t][t] == law.second_moment - law.mean_in[t] ** 2
        marginal: Counter = Counter()
        for (a, _), p in pairs.items():
            marginal[a] += p
        assert law.coordinate_law(t) == dict(marginal)


@given(st.data())
@settings(max_examples=60)
def test_symmetries(data: st.DataObject) -> None:
    """Permuting the support, flipping inputs and weights together, negating labels: the law moves along."""
    n, k = data.draw(st.integers(5, 80)), data.draw(st.integers(1, 4))
    q, target = data.draw(st.integers(-1, n)), data.draw(strategies.juntas(k))
    signs = data.draw(strategies.signs(k))
    law = FirstStepLaw(n, q, target, signs)
    order, flips = data.draw(st.permutations(range(k))), data.draw(strategies.signs(k))
    values = dict(zip(patterns(k), target.values, strict=True))
    permuted = [values[tuple(x[order.index(t)] for t in range(k))] for x in patterns(k)]
    moved = FirstStepLaw(n, q, Junta(permuted), [signs[t] for t in order])
    assert moved.mean_in == tuple(law.mean_in[t] for t in order)
    assert moved.mean_out == law.mean_out
    assert moved.covariance_in == tuple(tuple(law.covariance_in[a][b] for b in order) for a in order)
    flipped = [values[tuple(a * b for a, b in zip(x, flips, strict=True))] for x in patterns(k)]
    moved = FirstStepLaw(n, q, Junta(flipped), [a * b for a, b in zip(signs, flips, strict=True)])
    assert moved.mean_in == tuple(a * b for a, b in zip(law.mean_in, flips, strict=True))
    assert moved.pair_law(0) == {(a * flips[0], b): p for (a, b), p in law.pair_law(0).items()}
    negated = FirstStepLaw(n, q, Junta([-value for value in target.values]), signs)
    assert (negated.margin, negated.second_moment) == (law.margin, law.second_moment)
    assert negated.mean_in == tuple(-mean for mean in law.mean_in)


def test_irrelevant_coordinates_inside_the_table_are_coordinates_outside() -> None:
    """A table that ignores its last coordinate has there what it has off the support."""
    values = (3, 1, -2, Fraction(1, 2))
    small = FirstStepLaw(9, 4, Junta(values), (1, -1))
    for sign in (1, -1):
        large = FirstStepLaw(9, 4, Junta(values * 2), (1, -1, sign))
        assert large.mean_in == (*small.mean_in, small.mean_out * sign)
        assert large.mean_out == small.mean_out
        assert large.covariance_in[0][2] == small.covariance_cross[0] * sign


def identity(law: FirstStepLaw) -> tuple:
    """What no exchange of support coordinates and no negation of the label may change."""
    pairs = sorted(sorted((abs(a), abs(b), p) for (a, b), p in law.pair_law(t).items()) for t in range(law.k))
    return sorted(map(abs, law.mean_in)), abs(law.mean_out), law.second_moment, pairs


@given(st.data())
@settings(max_examples=40)
def test_law_classes_are_sound_and_complete_in_number(data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 60))
    target = data.draw(st.integers(1, 3).flatmap(strategies.targets))
    q = data.draw(st.integers(-1, n))
    everything = list(laws(n, q, target))
    assert [law.signs for law in everything] == list(patterns(target.k))
    classes = law_classes(n, q, target)
    assert sum(size for _, size in classes) == 1 << target.k
    expected, found = Counter(), Counter()
    for law in everything:
        expected[str(identity(law))] += 1
    for law, size in classes:
        found[str(identity(law))] += size
    assert found == expected


def test_law_classes_of_symmetric_targets() -> None:
    assert [size for _, size in law_classes(50, 24, Parity(6))] == [64]
    for labels in ("logits", "hard"):
        sizes = [size for _, size in law_classes(51, 25, EqualTeacher((1, -1, 1, 1), labels))]
        assert sorted(sizes) == ([2, 6, 8] if labels == "logits" else [1, 1, 4, 4, 6])
    assert sum(size for _, size in law_classes(51, 25, Junta([3, 1, -2, 5]))) == 4


def test_no_coordinate_off_the_support() -> None:
    law = FirstStepLaw(3, 1, Parity(3), (1, 1, 1))
    assert (law.mean_out, law.variance_out, law.covariance_out) == (0, 0, 0)
    assert law.covariance_cross == (0, 0, 0)
    assert law.margin == min(abs(mean) for mean in law.mean_in)
    assert sum(law.coordinate_law(2).values()) == 1
    for call in (lambda: law.pair_law(0), lambda: law.coordinate_law("out")):
        with pytest.raises(TheoryError, match="n = 3 equals k"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: FirstStepLaw(3, 1, Parity(4), (1, 1, 1, 1)),
            "k = 4 is larger than n = 3; k <= n is allowed",
        ),
        (lambda: FirstStepLaw(0, 0, Parity(1), (1,)), "n = 0"),
        (lambda: FirstStepLaw(5, 6, Parity(2), (1, 1)), r"q = 6 is not an integer in -1\.\.5"),
        (lambda: FirstStepLaw(5, 2, Parity(2), (1, 1, 1)), "signs = .* has 3 entries; 2 are needed"),
        (lambda: FirstStepLaw(5, 2, Parity(2), (1, 2)), r"signs = \(1, 2\)"),
        (
            lambda: FirstStepLaw(5, 2, Parity(2), (1, 1)).pair_law(2),
            r"position = 2 is not an integer in 0\.\.1",
        ),
        (lambda: FirstStepLaw(5, 2, Parity(2), (1, 1)).coordinate_law(-1), "position = -1"),
        (lambda: correlations(Parity(2).walsh, (1, 1), (Fraction(1),) * 3), "4 Walsh coefficients with 3"),
        (lambda: correlations((Fraction(1),) * 3, (1,), (Fraction(1),) * 3), "3 Walsh coefficients"),
        (lambda: correlations(Parity(2).walsh, (1,), (Fraction(1),) * 4), "signs"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call, message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
