import itertools
import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from theory.bounds import ConfidentSecondStage, SecondStage
from theory.enclosure import ball, upper
from theory.errors import TheoryError
from theory.second_stage import Features, OnlineHinge, bias_features, knot_features, knot_separator

TENTH = Fraction(1, 10)
SMALL: dict[str, Features] = {
    "knots 2": knot_features(2),
    "knots 3": knot_features(3),
    "biases": bias_features(
        (Fraction(1, 2), Fraction(-1, 3)), (1, -1, 1, -1, 1), (-1, -1, Fraction(1, 2), 1, 0)
    ),
}


def run(
    features: Features, step: Fraction, classes: Sequence[int]
) -> Iterator[tuple[Fraction, list[Fraction]]]:
    """Online hinge descent in rationals from its definition: (loss, iterate before the update) of each sample."""
    weights = [Fraction(0)] * features.width
    for c in classes:
        row, y = features.values[c], features.labels[c]
        margin = y * sum((a * v for a, v in zip(weights, row, strict=True)), Fraction(0))
        yield max(Fraction(0), 1 - margin), list(weights)
        if margin < 1:
            weights = [a + step * y * v for a, v in zip(weights, row, strict=True)]


def norm2(vector: Sequence[Fraction]) -> Fraction:
    return sum((v * v for v in vector), Fraction(0))


# The signed student's features.


@pytest.mark.parametrize("k", range(1, 9))
def test_knots_express_the_parity_in_closed_form(k: int) -> None:
    features, weights = knot_features(k), knot_separator(k)
    assert set(features.margins(weights)) == {1}  # y <a*, phi> = 1 in every class
    assert features.error(weights) == features.hinge_loss(weights) == features.regression_error == 0
    assert norm2(weights) == Fraction(1, 4) + Fraction(9, 4) + 4 * (k - 1)
    assert features.squared_radius == sum((2 * r) ** 2 for r in range(1, k + 2))
    assert OnlineHinge.of_knots(k) == OnlineHinge(norm2(weights), features.squared_radius)
    # the only weights with all margins 1, so the separator found numerically has this norm
    assert norm2(weights) <= features.squared_norm <= norm2(weights) * (1 + Fraction(1, 10**9))


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_knot_features_by_enumeration(k: int) -> None:
    features = knot_features(k)
    for x in itertools.product((1, -1), repeat=k):
        t, j = sum(x), x.count(-1)
        assert features.values[j] == tuple(max(0, t - (-k - 2 + 2 * r)) for r in range(k + 1))
        assert features.labels[j] == math.prod(x)
    assert features.masses == tuple(Fraction(math.comb(k, j), 2**k) for j in range(k + 1))


@pytest.mark.parametrize(("k", "product"), [(2, 364), (4, 3190), (6, 12600)])
def test_oracles_of_the_design(k: int, product: int) -> None:
    assert OnlineHinge.of_knots(k).total_loss == product
    assert SecondStage().evaluate(k=k, epsilon=Fraction(1, 100)).value == 100 * product


# The theorem, inequality by inequality.


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_inequality_of_the_online_theorem(name: str, data: st.DataObject) -> None:
    features = SMALL[name]
    hinge, star = OnlineHinge.of(features), features.separator
    classes = data.draw(st.lists(st.integers(0, len(features.values) - 1), min_size=1, max_size=60))
    step, radius = hinge.step_size, hinge.squared_radius
    total, before = Fraction(0), 4 * hinge.squared_norm
    for loss, weights in run(features, step, classes):
        distance = norm2([a - 2 * b for a, b in zip(weights, star, strict=True)])
        assert distance <= before  # it never rises ...
        before = distance - 4 * loss / radius  # ... and falls by at least 2 eta l_t: seen at the next sample
        assert before >= 0
        assert norm2(weights) <= 16 * hinge.squared_norm
        assert loss == 0 or (loss + 1) ** 2 <= 4 * hinge.total_loss  # l_t <= 2 R G - 1
        total += loss
    assert total <= hinge.total_loss


@pytest.mark.parametrize("name", SMALL)
def test_the_step_size_matters(name: str) -> None:
    """With three times the step the distance to 2 a* rises somewhere: the potential argument needs its step size."""
    features = SMALL[name]
    hinge = OnlineHinge.of(features)
    generator = random.Random(7)
    classes = generator.choices(range(len(features.values)), k=200)
    distances = [
        norm2([a - 2 * b for a, b in zip(weights, features.separator, strict=True)])
        for _, weights in run(features, 3 * hinge.step_size, classes)
    ]
    assert any(later > sooner for sooner, later in itertools.pairwise(distances))


@pytest.mark.parametrize("T", [1, 3, 6])
def test_expected_loss_of_the_average_by_enumeration(T: int) -> None:
    features = knot_features(2)
    hinge = OnlineHinge.of(features)
    expected = Fraction(0)
    for classes in itertools.product(range(3), repeat=T):
        mass = math.prod(features.masses[c] for c in classes)
        iterates = [weights for _, weights in run(features, hinge.step_size, classes)]
        average = [sum(column, Fraction(0)) / T for column in zip(*iterates, strict=True)]
        expected += mass * features.hinge_loss(average)
        online = sum((features.hinge_loss(weights) for weights in iterates), Fraction(0)) / T
        assert features.hinge_loss(average) <= online  # convexity
        assert features.error(average) <= features.hinge_loss(average)
    assert expected <= hinge.total_loss / T


def test_mean_online_loss_is_mean_population_loss() -> None:
    """E l_t = E L(a_t), the step from regret to risk, exactly at t = 4."""
    features = knot_features(2)
    step = OnlineHinge.of(features).step_size
    online = population = Fraction(0)
    for classes in itertools.product(range(3), repeat=4):
        mass = math.prod(features.masses[c] for c in classes)
        *_, (loss, weights) = run(features, step, classes)
        online += mass * loss
        population += mass * features.hinge_loss(weights)
    assert online == population


@given(st.floats(0.01, 20), st.floats(0, 1))
def test_the_exponential_inequality(rate: float, x: float) -> None:
    with mpmath.workdps(40):
        assert (
            mpmath.exp(-mpmath.mpf(rate) * x)
            <= 1 - (1 - mpmath.exp(-mpmath.mpf(rate))) * x + mpmath.mpf(10) ** -30
        )


@pytest.mark.parametrize("k", [2, 4, 6])
@pytest.mark.parametrize("delta", [Fraction(1, 2), Fraction(1, 20), Fraction(1, 10**6)])
def test_confident_samples_of_second_opinion(k: int, delta: Fraction) -> None:
    """arb's value is above the expression near the best lambda, in 50 digits, within 2 %."""
    value = OnlineHinge.of_knots(k).confident(TENTH, delta)
    total = OnlineHinge.of_knots(k).total_loss

    def at(rate: mpmath.mpf) -> mpmath.mpf:
        spread = (2 * mpmath.sqrt(total.numerator) - 1) * mpmath.log(
            mpmath.mpf(delta.denominator) / delta.numerator
        )
        return 10 * (rate * total.numerator + spread) / (1 - mpmath.exp(-rate))

    with mpmath.workdps(50):
        best = min(at(mpmath.mpf(tenth) / 10) for tenth in range(1, 200))
        assert float(best) * 0.99 <= upper(value) <= float(best) * 1.02
    assert value > int(10 * total)  # never below the expected one
    found = ConfidentSecondStage().evaluate(k=k, epsilon=TENTH, delta=delta)
    assert found.value == upper(value)


def test_confident_samples_in_intervals() -> None:
    """mpmath.iv against arb at the lambda that is used for k = 4, delta = 1/20: 29/64."""
    value = OnlineHinge.of_knots(4).confident(TENTH, Fraction(1, 20))
    mpmath.iv.dps = 40
    iv = mpmath.iv
    candidates = []
    for numerator in range(1, 128):
        rate = iv.mpf(numerator) / 64
        spread = (2 * iv.sqrt(3190) - 1) * iv.log(20)
        candidates.append(10 * (rate * 3190 + spread) / (1 - iv.exp(-rate)))
    assert any(
        one.a <= mpmath.mpf(upper(value)) and mpmath.mpf(float(value.lower())) <= one.b for one in candidates
    )


# Features of many biases.


def test_bias_features_by_enumeration() -> None:
    direction, signs, biases = (Fraction(1, 4), Fraction(-3, 4), Fraction(1, 2)), (1, -1), (Fraction(1, 8), 0)
    features = bias_features(direction, signs, biases)
    for index in range(8):
        x = [-1 if index >> i & 1 else 1 for i in range(3)]
        t = sum(u * v for u, v in zip(direction, x, strict=True))
        assert features.values[index] == (max(Fraction(0), t + Fraction(1, 8)), max(Fraction(0), -t))
        assert features.labels[index] == math.prod(x)
    assert features.masses == (Fraction(1, 8),) * 8


@pytest.mark.parametrize("seed", range(6))
def test_separator_and_regression_error_of_random_features(seed: int) -> None:
    generator = np.random.default_rng(seed)
    k, m = (2, 12) if seed % 2 else (3, 30)
    direction = [Fraction(float(v)) for v in generator.uniform(0.2, 1, k) / k]
    signs = [int(s) for s in generator.choice([-1, 1], m)]
    features = bias_features(direction, signs, [Fraction(float(b)) for b in generator.uniform(-1, 1, m)])
    table = np.array([[float(v) for v in row] for row in features.values])
    target = np.array(features.labels, dtype=float)
    solution = np.linalg.lstsq(table, target, rcond=None)[0]
    residual = float(np.mean((target - table @ solution) ** 2))
    assert float(features.regression_error) == pytest.approx(residual, abs=1e-9)
    signed = np.array(features.labels)[:, None] * table
    feasible = linprog(np.zeros(m), -signed, -np.ones(len(signed)), bounds=(None, None)).status == 0
    if not feasible:  # two classes with no knot between them
        with pytest.raises(TheoryError, match="parity's sign"):
            _ = features.separator
        return
    assert min(features.margins(features.separator)) == 1
    if residual < 1e-20:  # then least squares has all margins 1, and the separator is no longer
        assert features.squared_norm <= norm2([Fraction(float(a)) for a in solution]) * (
            1 + Fraction(1, 10**6)
        )


def test_a_grid_of_k_plus_one_knots_fails_for_unequal_coefficients() -> None:
    """The design's trap: <u, x> takes 2^k values, so k + 1 knots cannot express the parity."""
    unequal = (Fraction(1, 2), Fraction(9, 32), Fraction(5, 32), Fraction(1, 16))
    knots = [Fraction(5 - 2 * j, 4) for j in range(5)]
    few = bias_features(unequal, (1,) * 5, knots)
    assert few.regression_error > Fraction(1, 2)
    with pytest.raises(TheoryError, match="5 features"):
        _ = few.separator
    equal = bias_features((Fraction(1, 4),) * 4, (1,) * 5, [Fraction(6 - 2 * r, 4) for r in range(5)])
    assert equal.regression_error == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: knot_features(0), "k = 0"),
        (lambda: knot_separator(17), "k = 17"),
        (lambda: bias_features((1, 1), (1,), (0, 0)), "signs"),
        (lambda: bias_features((1, math.nan), (1,), (0,)), "direction"),
        (lambda: Features(((Fraction(1),),), (1,), (Fraction(1, 2),)), "1/2"),
        (lambda: Features(((Fraction(1),), ()), (1, 1), (TENTH, 1 - TENTH)), "one row"),
        (lambda: Features(((Fraction(1),),), (2,), (Fraction(1),)), "labels"),
    ],
)
def test_bad_features_are_refused(make: object, message: str) -> None:
    with pytest.raises(TheoryError, match=message):
        make()  # type: ignore[operator]


def test_masses_and_balls() -> None:
    assert bool(ball(OnlineHinge.of_knots(4).total_loss) == 3190)
    assert OnlineHinge.of_knots(4).step_size == Fraction(1, 110)
