import itertools
import math
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from tests.statistics import assert_proportion_at_least
from theory import phase_one_step
from theory.bounds import PhaseOneSuccess
from theory.enclosure import upper
from theory.errors import TheoryError
from theory.leakage import Leak
from theory.phase_one_step import Ensemble, norm_bound, signed_step
from theory.teacher import PhaseOneTeacher, degree_one_mean_square

TENTH = Fraction(1, 10)


def drawn(n: int, k: int, width: int, seed: int) -> PhaseOneTeacher:
    generator = np.random.default_rng(seed)
    return PhaseOneTeacher.sample(n, sorted(generator.choice(n, k, replace=False).tolist()), width, generator)


def all_inputs(n: int) -> np.ndarray:
    return np.array(list(itertools.product((1, -1), repeat=n)), dtype=np.int8)


# One teacher.


@pytest.mark.parametrize(("n", "k", "width"), [(7, 2, 6), (9, 4, 12), (11, 2, 4)])
def test_the_step_of_a_drawn_teacher_by_enumeration(n: int, k: int, width: int) -> None:
    for seed in range(20):
        teacher = drawn(n, k, width, seed)
        logits = teacher.integer_logits(all_inputs(n)).tolist()
        norm = sum(v * v for v in logits) * teacher.scale**2 / 2**n
        bound = norm_bound(teacher)
        sup = max(map(abs, logits)) * teacher.scale
        assert norm <= bound <= norm + Fraction(1, 10**8)
        means = teacher.population_gradient([1] * n, (n - 1) // 2)
        inside = [abs(mean) for mean in means.mean_in]
        outside = [abs(mean) for mean in means.mean_out]
        if min(inside) <= max(outside):
            with pytest.raises(TheoryError, match="no dead zone"):
                signed_step(teacher)
            continue
        step = signed_step(teacher)
        assert step.margin == min(inside) - max(outside)
        assert step.dead_zone == (min(inside) + max(outside)) / 2
        assert step.mean == max(*inside, *outside)
        assert step.sup_norm >= sup
        assert step.second_moment >= norm / 2  # E[F^2 T] = E[F^2]/2 for an odd F


def test_some_teachers_of_each_kind_were_drawn() -> None:
    """Else the test above would check one branch only."""
    kinds = set()
    for seed in range(20):
        teacher = drawn(7, 2, 6, seed)
        kinds.add(teacher.population_gradient([1] * 7, 3).margin > 0)
    assert kinds == {True, False}


def test_simulated_student_of_one_teacher() -> None:
    """S1 for a drawn teacher, delta = 0.1: 400 students; three times as many failures would be seen."""
    teacher = drawn(15, 2, 32, 3)
    step = signed_step(teacher)
    B = math.ceil(upper(step.sufficient(15, 2, TENTH)))
    generator = np.random.default_rng(5)
    zone = float(step.dead_zone / teacher.scale) * B
    inside = list(teacher.support)
    found = 0
    for _ in range(400):
        w = generator.choice([-1, 1], 15)
        x = generator.choice([-1, 1], (B, 15)).astype(np.int8)
        G = np.abs((teacher.integer_logits(x) * (x @ w > 0)) @ x.astype(np.int64))
        found += bool((G[inside] > zone).all() and (np.delete(G, inside) <= zone).all())
    assert_proportion_at_least(found, 400, 0.9, alternative=0.7, claim="S1 for a phase-1 teacher")


# Over the initialisation.


@pytest.mark.parametrize(("n", "k", "width"), [(7, 2, 4), (9, 4, 8)])
def test_coefficients_are_signed_sums_of_kappas(n: int, k: int, width: int) -> None:
    inside, outside = Ensemble(n, k, width).kappas()
    for seed in range(5):
        teacher = drawn(n, k, width, seed)
        coefficients = teacher.degree_one(leakage=True)
        for j in range(n):
            kappas = inside if j in teacher.support else outside
            total = sum(
                int(g) * kappas[int(step)]
                for g, step in zip(teacher.directions[:, j], teacher.bias_steps, strict=True)
            )
            assert coefficients[j] == Fraction(2, width) * total


@pytest.mark.parametrize("k", [2, 4])
def test_directions_are_independent_fair_signs(k: int) -> None:
    """w -> chi_S(w) w is a bijection of {-1, 1}^n for even k, S the first k of n = k + 2 coordinates."""
    images = Counter(tuple(math.prod(w[:k]) * v for v in w) for w in itertools.product((1, -1), repeat=k + 2))
    assert len(images) == 2 ** (k + 2)


@pytest.mark.parametrize(("n", "k"), [(5, 2), (7, 4)])
def test_norms_and_bounds_of_a_pair_by_enumeration(n: int, k: int) -> None:
    ensemble, leak = Ensemble(n, k, 2), Leak.exact(n, k)
    largest_norm = largest = Fraction(0)
    for beta in range(1 - k, k):
        values = [leak.response(sum(x[:k]), sum(x[k:]), beta) for x in itertools.product((1, -1), repeat=n)]
        scale = Fraction(1, 2 * k * 2 * leak.scale_in)  # of a teacher of width 2: one pair
        largest_norm = max(largest_norm, scale**2 * sum(v * v for v in values) / 2**n)
        largest = max(largest, scale * max(map(abs, values)))
    assert ensemble.pair_norm == 4 * largest_norm  # m^2 ||f_p||^2, m = 2
    assert ensemble.sup_norm == largest


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("width", [2, 4, 6])
def test_tails_by_enumeration(width: int, inside: bool) -> None:
    ensemble = Ensemble(7, 2, width)
    kappas = ensemble.kappas()[0 if inside else 1]
    law: Counter[Fraction] = Counter()
    for steps in itertools.product(range(len(kappas)), repeat=width // 2):
        for signs in itertools.product((1, -1), repeat=width // 2):
            law[Fraction(2, width) * sum(s * kappas[b] for s, b in zip(signs, steps, strict=True))] += 1
    total = sum(law.values())
    top = max(map(abs, kappas))
    slack = top / 1024  # rounding of kappa moves c by at most half of this
    values = sorted({abs(value) for value in law})
    for threshold in (
        top / 7,
        top / 3,
        top * Fraction(9, 10),
        *values,
        *(v - top / 10**6 for v in values[1:]),
    ):
        found = ensemble.tail(threshold, inside=inside)
        if inside:
            exact = sum(c for value, c in law.items() if abs(value) <= threshold) / total
            looser = sum(c for value, c in law.items() if abs(value) <= threshold + slack) / total
        else:
            exact = sum(c for value, c in law.items() if abs(value) > threshold) / total
            looser = sum(c for value, c in law.items() if abs(value) > threshold - slack) / total
        assert exact <= found <= looser + 1e-8


def test_mean_square_agrees_with_the_teacher() -> None:
    """Without leakage's effect on S: E c_j^2 = 2 E kappa^2/m; with it the same to order 1/n."""
    inside, _ = Ensemble(201, 4, 64).kappas()
    mean = 2 * sum(v * v for v in inside) / len(inside) / 64
    assert float(mean) == pytest.approx(float(degree_one_mean_square(4, 64)), rel=0.05)


def test_success_is_the_sum_of_its_terms() -> None:
    """The docstring's bound, term by term, in 40 digits."""
    ensemble, B = Ensemble(51, 2, 64), 3 * 10**4
    theta, outer = Fraction(1, 100), Fraction(1, 500)
    found = ensemble._at(B, theta, outer)
    with mpmath.workdps(40):

        def real(value: Fraction) -> mpmath.mpf:
            return mpmath.mpf(value.numerator) / value.denominator

        V, M, margin = real(found.norm), real(ensemble.sup_norm), real((theta - outer) / 2)
        large = 2 * mpmath.exp(-V * 64 / real(ensemble.pair_norm))  # pair_norm is m^2 beta^2
        noise = 100 * mpmath.exp(-B * margin**2 / (4 * V + 2 * M * margin))
        small, leaky = ensemble.tail(theta, inside=True), ensemble.tail(outer, inside=False)
        expected = (1 - mpmath.mpf(small)) ** 2 - 49 * mpmath.mpf(leaky) - large - noise
        assert large > 1e-12
        assert noise > 1e-12
        assert found.probability <= expected <= found.probability + mpmath.mpf(10) ** -14
    assert found.dead_zone == (theta + outer) / 4


def test_success_grows_and_stays_below_one() -> None:
    values = [
        PhaseOneSuccess().evaluate(n=51, k=2, teacher_width=64, samples=10**e).value for e in (3, 5, 7, 9)
    ]
    assert values == sorted(values)
    assert 0.75 < values[-1] < 0.9


def test_success_is_not_above_simulated_students() -> None:
    """Many teachers, one student each; the limit of many samples, where success is a matter of the means alone."""
    found = PhaseOneSuccess().evaluate(n=51, k=2, teacher_width=64, samples=10**9)
    zone = Fraction(found.details["dead_zone"])
    good = 0
    for seed in range(600):
        coefficients = drawn(51, 2, 64, seed).degree_one(leakage=True)
        sizes = sorted((abs(c) / 2 for c in coefficients), reverse=True)
        good += sizes[1] > zone >= sizes[2]
    assert_proportion_at_least(good, 600, found.value, alternative=0.7, claim="phase-1 teachers that teach")


@pytest.mark.parametrize(
    ("n", "k", "width", "word"), [(50, 2, 4, "n = 50"), (51, 3, 4, "k = 3"), (51, 2, 5, "width = 5")]
)
def test_refusals(n: int, k: int, width: int, word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        Ensemble(n, k, width)
    assert PhaseOneSuccess().evaluate(n=n, k=k, teacher_width=width).vacuous


def test_tails_agree_with_sums_of_positive_terms() -> None:
    """The transform against repeated convolution, whose terms are all positive: the stated error has room."""
    sizes, count = (1024, 700, 3, 0, 511), 32
    term = np.zeros(2049)
    for size in sizes:
        term[1024 + size] += 0.1
        term[1024 - size] += 0.1
    law = np.array([1.0])
    for _ in range(count):
        law = np.convolve(law, term)
    folded = law[len(law) // 2 :].copy()
    folded[1:] *= 2
    found = phase_one_step._sum_of_signs(sizes, count)[: len(folded)]
    assert np.abs(found - folded).sum() < phase_one_step._TAIL_ERROR / 50


def test_too_wide_a_teacher_is_refused() -> None:
    with pytest.raises(TheoryError, match="width = 4098"):
        Ensemble(51, 2, 4098)


def test_even_dimension_is_refused_for_a_teacher() -> None:
    with pytest.raises(TheoryError, match="n = 8"):
        signed_step(drawn(8, 2, 4, 0))
