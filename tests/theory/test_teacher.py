import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.theory import enumeration
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw
from theory.leakage import Leak
from theory.targets import patterns
from theory.teacher import PhaseOneTeacher, degree_one_mean_square, kappa, teacher_biases
from theory.walsh import threshold_count, threshold_tau

SIZES = st.sampled_from(
    [(2, 2), (3, 2), (4, 2), (5, 2), (8, 2), (4, 4), (5, 4), (6, 4), (7, 4), (7, 6), (8, 6)]
)


def relu(value: Fraction) -> Fraction:
    return max(value, Fraction(0))


def algorithm_one(teacher: PhaseOneTeacher) -> list[Fraction]:
    """f(x) at every input after one population step from the mirrored initialisation, step by step.

    All m neurons are simulated; gradients of the hinge loss are sums over all inputs; nothing of the closed
    form is used but the step size.
    """
    n, m, k = teacher.n, teacher.width, teacher.k
    x = enumeration.inputs(n)
    parity = x[:, list(teacher.support)].prod(axis=1)
    outputs = [Fraction(0)] * len(x)
    for weights, step in zip(teacher.weights.tolist(), teacher.bias_steps.tolist(), strict=True):
        bias = Fraction(step - (k - 1), k)
        active = enumeration.activation(weights, bias) > 0
        correlation = [int((parity * active * x[:, j]).sum()) for j in range(n)]
        for a in (Fraction(1, m), Fraction(-1, m)):
            new = [teacher.step_size * a * Fraction(c, 2**n) for c in correlation]  # initialisation wiped
            for row, point in enumerate(x.tolist()):
                outputs[row] += a * relu(sum(v * w for v, w in zip(new, point, strict=True)) + bias)
    return outputs


@given(SIZES, st.data())
@settings(max_examples=40)
def test_logits_are_those_of_algorithm_one(size: tuple[int, int], data: st.DataObject) -> None:
    teacher = data.draw(strategies.phase_one_teachers(*size, pairs=3))
    x = enumeration.inputs(teacher.n).astype(np.int8)
    integers = teacher.integer_logits(x)
    assert integers.dtype == np.int64
    expected = algorithm_one(teacher)
    assert [value * teacher.scale for value in integers.tolist()] == expected
    assert abs(integers).max() <= teacher.integer_bound
    assert (integers == -integers[::-1]).all()  # an odd function: the last input is minus the first
    assert teacher.hard_labels(x).tolist() == [1 if value >= 0 else -1 for value in expected]


@given(SIZES, st.data())
@settings(max_examples=60)
def test_population_gradient_equals_enumeration(size: tuple[int, int], data: st.DataObject) -> None:
    teacher = data.draw(strategies.phase_one_teachers(*size))
    n, x = teacher.n, enumeration.inputs(teacher.n)
    weights, bias = data.draw(strategies.signs(n)), data.draw(strategies.biases(n))
    active = enumeration.activation(weights, bias) > 0
    f = teacher.integer_logits(x.astype(np.int8))
    expected = [Fraction(int((f * active * x[:, j]).sum()), 2**n) * teacher.scale for j in range(n)]
    found = teacher.population_gradient(weights, threshold_count(n, bias))
    assert found.mean_in == tuple(expected[i] for i in teacher.support)
    assert found.mean_out == tuple(expected[o] for o in range(n) if o not in teacher.support)
    outside = max((abs(mean) for mean in found.mean_out), default=Fraction(0))
    assert found.margin == min(abs(mean) for mean in found.mean_in) - outside
    assert teacher.degree_one(leakage=True) == tuple(
        Fraction(int((f * x[:, j]).sum()), 2**n) * teacher.scale for j in range(n)
    )


@pytest.mark.parametrize(("n", "k"), [(11, 4), (12, 4), (12, 6), (11, 2)])
def test_population_gradient_equals_enumeration_at_larger_dimensions(n: int, k: int) -> None:
    generator = np.random.default_rng(7)
    teacher = PhaseOneTeacher.sample(n, sorted(generator.permutation(n)[:k].tolist()), 16, generator)
    x = enumeration.inputs(n)
    f = teacher.integer_logits(x.astype(np.int8))
    weights = (1 - 2 * generator.integers(0, 2, n)).tolist()
    for bias in (0, 1, -2):
        active = enumeration.activation(weights, Fraction(bias)) > 0
        expected = [Fraction(int((f * active * x[:, j]).sum()), 2**n) * teacher.scale for j in range(n)]
        found = teacher.population_gradient(weights, threshold_count(n, bias))
        assert found.mean_in == tuple(expected[i] for i in teacher.support)
        assert found.mean_out == tuple(expected[o] for o in teacher.outside)


@given(st.sampled_from([(5, 2), (6, 4), (9, 4), (200, 6)]), st.data())
@settings(max_examples=40)
def test_support_projection(size: tuple[int, int], data: st.DataObject) -> None:
    """The formula of the module docstring without leakage, its oddness, ties and degree-1 coefficients."""
    teacher = data.draw(strategies.phase_one_teachers(*size))
    k, m = teacher.k, teacher.width
    sign = 1 if threshold_tau(k - 1, teacher.n, (teacher.n - 1) // 2) > 0 else -1
    pairs = []
    for weights, step in zip(teacher.weights.tolist(), teacher.bias_steps.tolist(), strict=True):
        w = [weights[i] for i in teacher.support]
        pairs.append(([sign * math.prod(w) * v for v in w], teacher_biases(k)[step]))
    table = teacher.support_logits.table
    for p, x in enumerate(patterns(k)):
        slopes = [(Fraction(sum(a * b for a, b in zip(g, x, strict=True)), 2 * k), b) for g, b in pairs]
        assert table[p] == sum(relu(s + b) - relu(-s + b) for s, b in slopes) / m
        assert table[p] == -table[(1 << k) - 1 - p]
        assert teacher.support_labels.table[p] == (1 if table[p] >= 0 else -1)
        assert (p in teacher.ties) is (table[p] == 0)
    assert teacher.support_labels.hard
    walsh = teacher.support_logits.walsh
    assert all(c == 0 for subset, c in enumerate(walsh) if subset.bit_count() % 2 == 0)
    coefficients = teacher.degree_one(leakage=False)
    assert all(coefficients[o] == 0 for o in teacher.outside)
    for t, i in enumerate(teacher.support):
        assert coefficients[i] == walsh[1 << t]
        assert coefficients[i] == Fraction(2, m) * sum(g[t] * kappa(k, b) for g, b in pairs)


@given(st.sampled_from([(7, 2), (9, 4), (51, 4), (201, 6)]), st.data())
@settings(max_examples=40)
def test_student_sees_half_the_degree_one_coefficients_at_odd_dimension(
    size: tuple[int, int], data: st.DataObject
) -> None:
    teacher = data.draw(strategies.phase_one_teachers(*size))
    law = FirstStepLaw(
        teacher.n, (teacher.n - 1) // 2, teacher.support_logits, data.draw(strategies.signs(teacher.k))
    )
    coefficients = teacher.degree_one(leakage=False)
    assert law.mean_in == tuple(coefficients[i] / 2 for i in teacher.support)
    assert law.mean_out == 0


def test_without_leakage_the_two_gradients_agree() -> None:
    """With the leak set to 0, the sum over agreement classes is the law of the support projection."""
    generator = np.random.default_rng(3)
    for n, q in [(20, 9), (20, 10), (21, 4)]:
        teacher = PhaseOneTeacher.sample(n, (0, 3, 4, 19), 12, generator)
        teacher.__dict__["leak"] = Leak(n, 4, 1, 0)
        weights = (1 - 2 * generator.integers(0, 2, n)).tolist()
        law = FirstStepLaw(n, q, teacher.support_logits, [weights[i] for i in teacher.support])
        found = teacher.population_gradient(weights, q)
        assert found.mean_in == law.mean_in
        assert found.mean_out == tuple(law.mean_out * weights[o] for o in teacher.outside)


@pytest.mark.parametrize(("n", "k"), [(9, 2), (10, 4), (50, 2), (100, 6), (200, 6), (201, 4)])
def test_leakage_is_small_and_the_same_for_all_biases(n: int, k: int) -> None:
    leak = Leak.exact(n, k)
    odd = n if n % 2 else n + 1
    assert Fraction(leak.scale_out, leak.scale_in) == Fraction(1 - k, odd - k)
    for bias in teacher_biases(k):
        q = threshold_count(n, bias)
        for r in (k - 1, k + 1):
            assert threshold_tau(r, n, q) == threshold_tau(r, n, (n - 1) // 2)


@pytest.mark.parametrize(("k", "number"), [(2, "0.456"), (4, "0.465"), (6, "0.471"), (8, "0.475")])
def test_root_mean_square_has_its_known_values(k: int, number: str) -> None:
    for width in (2, 256):
        assert f"{k * math.sqrt(degree_one_mean_square(k, width) * width):.3f}" == number


@pytest.mark.parametrize(("k", "pairs"), [(2, 1), (2, 2), (4, 1)])
def test_mean_square_is_the_average_over_every_initialisation(k: int, pairs: int) -> None:
    n = k + 1
    sums = [Fraction(0)] * k
    squares = [Fraction(0)] * k
    draws = list(product(product(patterns(k), range(2 * k - 1)), repeat=pairs))
    for draw in draws:
        weights = np.array([[*w, 1] for w, _ in draw], dtype=np.int8)
        teacher = PhaseOneTeacher(n, range(k), weights, np.array([step for _, step in draw]))
        for t, c in enumerate(teacher.degree_one(leakage=False)[:k]):
            sums[t] += c
            squares[t] += c * c
    assert sums == [0] * k
    assert [total / len(draws) for total in squares] == [degree_one_mean_square(k, 2 * pairs)] * k


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_kappa_is_its_definition(k: int) -> None:
    for bias in (*teacher_biases(k), Fraction(2), Fraction(-2)):
        total = sum(relu(Fraction(sum(z), 2 * k) + bias) * z[0] for z in product((1, -1), repeat=k))
        assert kappa(k, bias) == total / 2**k
        if abs(bias) >= Fraction(1, 2):
            assert kappa(k, bias) == (Fraction(1, 2 * k) if bias > 0 else 0)


@pytest.mark.parametrize("pairs", [3, 2601])
def test_logits_are_exact_in_both_precisions_and_across_chunks(pairs: int) -> None:
    """4,099 inputs need two chunks; 2,601 like pairs at n = 401, k = 10 have odd sums above 2^24."""
    n, k, batch = (30, 4, 4099) if pairs == 3 else (401, 10, 7)
    generator = np.random.default_rng(11)
    teacher = PhaseOneTeacher.sample(n, sorted(generator.permutation(n)[:k].tolist()), 2 * pairs, generator)
    if pairs == 2601:
        weights = np.repeat(teacher.weights[:1], pairs, axis=0)
        teacher = PhaseOneTeacher(n, teacher.support, weights, np.full(pairs, 2 * k - 2))
    x = (1 - 2 * generator.integers(0, 2, (batch, n))).astype(np.int8)
    inside, outside = list(teacher.support), list(teacher.outside)
    x[0] = -teacher.directions[0]
    x[0, inside] *= -1  # the largest logit: leakage has the opposite sign
    g, x64 = teacher.directions.astype(np.int64), x.astype(np.int64)
    slope = teacher.leak.scale_in * (x64[:, inside] @ g[:, inside].T)
    slope += teacher.leak.scale_out * (x64[:, outside] @ g[:, outside].T)
    bias = 2 * teacher.leak.scale_in * (teacher.bias_steps - (k - 1))
    expected = (np.maximum(slope + bias, 0) - np.maximum(bias - slope, 0)).sum(axis=1)
    if pairs == 2601:
        assert expected[0] == teacher.integer_bound > 1 << 24
        assert expected[0] % 2 == 1
    assert (teacher.integer_logits(x) == expected).all()
    assert teacher.integer_logits(x[:0]).shape == (0,)


def test_hard_ties_are_positive() -> None:
    """One pair of bias 0 at n = k = 2: f = <g, x>/8 has ties, which are labelled +1."""
    teacher = PhaseOneTeacher(2, (0, 1), np.ones((1, 2), dtype=np.int8), np.array([1]))
    x = enumeration.inputs(2).astype(np.int8)
    assert teacher.integer_logits(x).tolist() == [2, 0, 0, -2]
    assert teacher.hard_labels(x).tolist() == [1, 1, 1, -1]
    assert teacher.ties == (1, 2)
    assert teacher.support_labels.table == (1, 1, 1, -1)


def test_teachers_are_values() -> None:
    weights, steps = np.array([[1, -1, 1]], dtype=np.int8), np.array([2])
    teacher, same = PhaseOneTeacher(3, (0, 2), weights, steps), PhaseOneTeacher(3, [0, 2], weights, steps)
    assert teacher == same
    assert hash(teacher) == hash(same)
    assert teacher != PhaseOneTeacher(3, (0, 1), weights, steps)
    assert teacher != PhaseOneTeacher(3, (0, 2), -weights, steps)
    assert teacher != PhaseOneTeacher(3, (0, 2), weights, np.array([1]))
    assert repr(teacher) == "PhaseOneTeacher(n=3, support=(0, 2), width=2)"
    weights[0, 0] = steps[0] = -1
    assert teacher == same
    for array in (teacher.weights, teacher.bias_steps, teacher.directions):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def teacher_of(**changes) -> PhaseOneTeacher:
    fields = {
        "n": 5,
        "support": (0, 1),
        "weights": np.ones((2, 5), dtype=np.int8),
        "bias_steps": np.array([0, 2]),
    }
    return PhaseOneTeacher(**(fields | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: teacher_of(support=(0, 1, 2)), "k = 3 is odd"),
        (lambda: teacher_of(support=(1, 0)), r"support = \(1, 0\) is refused"),
        (lambda: teacher_of(support=(1, 1)), r"support = \(1, 1\) is refused"),
        (lambda: teacher_of(support=()), r"support = \(\) is refused"),
        (lambda: teacher_of(support=(0, 5)), r"support\[1\] = 5 is not an integer in 0\.\.4"),
        (lambda: teacher_of(n=6), r"weights of shape \(2, 5\) are refused; shape \[m/2, 6\]"),
        (lambda: teacher_of(weights=np.zeros((2, 5), dtype=np.int8)), "weights have an entry 0"),
        (lambda: teacher_of(bias_steps=np.array([0, 3])), r"bias_steps = \[0, 3\] .* 2 integers in 0\.\.2"),
        (lambda: teacher_of().integer_logits(np.ones((3, 4), dtype=np.int8)), r"inputs of shape \(3, 4\)"),
        (lambda: teacher_of().population_gradient((1,) * 4, 2), "weights = .* has 4 entries; 5 are needed"),
        (lambda: teacher_of().population_gradient((1,) * 5, 6), "q = 6"),
        (lambda: degree_one_mean_square(4, 3), "width = 3 is odd"),
        (lambda: degree_one_mean_square(4, 0), "width = 0 is not an integer of at least 2"),
        (lambda: teacher_biases(0), "k = 0"),
    ],
)
def test_bad_values_are_refused_in_one_sentence(call, message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")
