import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.statistics import assert_proportion_at_most
from tests.theory.enumeration import inputs
from theory.bounds import Bernstein, ExactSignedFirstStep, IntermediateTeacher, SignedFirstStep
from theory.enclosure import lower, upper
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw, laws
from theory.signed_step import (
    SignedStep,
    advantage,
    error_floor,
    exact_failure,
    exact_sufficient,
    loss_floor,
)
from theory.targets import EqualTeacher, LeakyTeacher, LowDegree, Parity, Target, leaky_error

TENTH = Fraction(1, 10)
CASES: dict[str, tuple[int, int, Target]] = {
    "parity": (21, 10, Parity(2)),
    "parity, n even": (20, 9, Parity(4)),
    "equal": (21, 10, EqualTeacher((1, -1, 1, 1))),
    "equal, n even": (20, 9, EqualTeacher((1, 1))),
    "hard": (11, 5, EqualTeacher((1, 1, 1), "hard")),
    "low degree": (11, 5, LowDegree(2, 2)),
    "leaky": (51, 25, LeakyTeacher(2, leaky_error(51, 1))),
}


# What failing costs.


@pytest.mark.parametrize(("k", "extra"), [(1, 1), (2, 0), (2, 1), (2, 3), (3, 2), (4, 1), (4, 2)])
def test_advantage_by_enumeration(k: int, extra: int) -> None:
    sums: dict[int, int] = {}
    for x in itertools.product((1, -1), repeat=k + extra):
        t = sum(x)
        sums[t] = sums.get(t, 0) + math.prod(x[:k])
    assert advantage(k, extra) == Fraction(sum(abs(total) for total in sums.values()), 2 ** (k + extra))


@pytest.mark.parametrize("k", range(1, 11))
def test_floors(k: int) -> None:
    assert 1 - loss_floor(k) == advantage(k, 1) == Fraction(math.comb(k, k // 2), 2**k)
    assert error_floor(k) == loss_floor(k) / 2
    values = [advantage(k, extra) for extra in range(12)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1 > values[1]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.data())
def test_no_second_stage_is_below_the_floors(k: int, extra: int, data: st.DataObject) -> None:
    """Any function of t, once a coordinate too many is in it: exact loss and error, by enumeration."""
    f = {t: data.draw(st.integers(-20, 20)) / 10 for t in range(-k - extra, k + extra + 1, 2)}
    points = list(itertools.product((1, -1), repeat=k + extra))
    margins = [math.prod(x[:k]) * f[sum(x)] for x in points]
    assert sum(max(0.0, 1 - margin) for margin in margins) / len(points) >= float(loss_floor(k)) - 1e-12
    assert sum(margin <= 0 for margin in margins) / len(points) >= float(error_floor(k)) - 1e-12


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.data())
def test_a_missed_coordinate_costs_everything(k: int, data: st.DataObject) -> None:
    f = {t: data.draw(st.integers(-20, 20)) / 10 for t in range(-k + 1, k, 2)}
    points = list(itertools.product((1, -1), repeat=k))
    losses = [max(0.0, 1 - math.prod(x) * f[sum(x[1:])]) for x in points]
    assert sum(losses) / len(points) >= 1 - 1e-12


# The dead zone.


@pytest.mark.parametrize("name", CASES)
def test_the_dead_zone_serves_every_pattern(name: str) -> None:
    n, q, target = CASES[name]
    step = SignedStep.of(n, q, target)
    half = step.margin / 2
    for law in laws(n, q, target):
        assert min(abs(mean) for mean in law.mean_in) >= step.dead_zone + half
        assert abs(law.mean_out) <= step.dead_zone - half
        assert law.second_moment <= step.second_moment
        assert max(abs(mean) for mean in (*law.mean_in, law.mean_out)) <= step.mean
    assert step.sup_norm == target.sup_norm


@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("n", [9, 51, 201])
def test_equal_coefficients_in_closed_form(n: int, k: int) -> None:
    target = EqualTeacher(tuple((-1) ** i for i in range(k)))
    step = SignedStep.of(n, (n - 1) // 2, target)
    assert (step.dead_zone, step.margin, step.second_moment) == (
        Fraction(1, 4),
        Fraction(1, 2),
        Fraction(k, 2),
    )
    closed = IntermediateTeacher().samples(n, k, (n - 1) // 2, target, TENTH)
    assert SignedFirstStep().samples(n, k, (n - 1) // 2, target, TENTH).enclosure == closed.enclosure


def test_parity_costs_what_b1_says() -> None:
    """All patterns of the parity are alike, so the uniform margin is B1's own."""
    for n, k in ((51, 2), (101, 4)):
        assert SignedFirstStep().evaluate(n=n, k=k).value == Bernstein().evaluate(n=n, k=k).value


def test_patterns_without_a_common_dead_zone_are_refused() -> None:
    target = EqualTeacher((1, 1), "hard")  # ties have a label that no sign of the unit agrees with
    with pytest.raises(TheoryError, match="no dead zone"):
        SignedStep.of(4, 1, target)
    assert SignedFirstStep().samples(4, 2, 1, target, TENTH).vacuous
    assert ExactSignedFirstStep().samples(4, 2, 1, target, TENTH).vacuous
    with pytest.raises(TheoryError, match="no dead zone"):
        SignedStep.between(TENTH, TENTH, TENTH, TENTH, TENTH)


# Samples.


def found_exactly(law: FirstStepLaw, dead_zone: Fraction, B: int) -> float:
    """P(|G_i| > lambda B on S and |G_o| <= lambda B off it), by convolution over all 2^n inputs, in floats."""
    n, k = law.n, law.k
    signs = np.array([*law.signs, *[1] * (n - k)])
    ((_, table),) = law.target.components
    M = int(law.target.sup_norm)
    size = 2 * M * B + 1
    state = np.zeros((size,) * n)
    state[(M * B,) * n] = 1.0
    moves: dict[tuple[int, ...], float] = {}
    for x in inputs(n):
        active = int(((x * signs) < 0).sum()) <= law.q
        label = int(table[sum(1 << t for t in range(k) if x[t] < 0)]) if active else 0
        move = tuple(int(label * v) for v in x)
        moves[move] = moves.get(move, 0.0) + 2.0**-n
    for _ in range(B):
        state = sum(p * np.roll(state, move, axis=tuple(range(n))) for move, p in moves.items())
    beyond = np.abs(np.arange(size) - M * B) > float(dead_zone * B)
    total = state
    for i in reversed(range(n)):
        total = total[..., beyond if i < k else ~beyond].sum(axis=-1)
    return float(total)


@pytest.mark.parametrize("B", [1, 4, 9])
@pytest.mark.parametrize("target", [Parity(1), Parity(2), EqualTeacher((1, -1))])
def test_exact_marginals_bound_the_exact_failure(target: Target, B: int) -> None:
    step = SignedStep.of(4, 1, target)
    for law in laws(4, 1, target):
        failure = 1 - found_exactly(law, step.dead_zone, B)
        assert failure <= upper(exact_failure(law, step.dead_zone, B)) + 1e-9
        # and a union bound cannot be off by more than the number of events
        assert upper(exact_failure(law, step.dead_zone, B)) <= 4 * failure + 1e-9


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("delta", [TENTH, Fraction(1, 1000)])
def test_exact_samples_hold_where_they_say(name: str, delta: Fraction) -> None:
    n, q, target = CASES[name]
    B, persistent = exact_sufficient(n, q, target, delta)
    step = SignedStep.of(n, q, target)
    assert upper(step.sufficient(n, target.k, delta)) + 1 >= B
    assert persistent >= B
    for law in laws(n, q, target):
        for samples in (
            B,
            math.ceil(persistent),
            math.ceil(1.37 * persistent),
            3 * math.ceil(persistent) + 1,
        ):
            if samples != B or samples > 1:
                assert upper(exact_failure(law, step.dead_zone, samples)) <= lower(delta) * (1 + 1e-12)
    below = int(0.97 * B) - 2
    if below > 1:
        assert any(
            upper(exact_failure(law, step.dead_zone, below)) > float(delta) for law in laws(n, q, target)
        )


@pytest.mark.parametrize("target", [Parity(2), EqualTeacher((1, 1))])
def test_simulated_students_fail_no_more_often(target: Target) -> None:
    """4,000 students at S1' samples, delta = 1/10; twice as many failures would be seen."""
    n, q, trials = 15, 7, 4000
    B, _ = exact_sufficient(n, q, target, TENTH)
    zone = SignedStep.of(n, q, target).dead_zone
    generator = np.random.default_rng(20)
    failures = 0
    table = np.array([int(v) for v in target.table])
    for _ in range(trials):
        w = generator.choice([-1, 1], n)
        x = generator.choice([-1, 1], (B, n)).astype(np.int16)
        labels = table[(x[:, 0] < 0) + 2 * (x[:, 1] < 0)]
        active = (x @ w) > 0
        G = np.abs((labels * active) @ x)
        failures += bool((G[:2] <= float(zone * B)).any() or (G[2:] > float(zone * B)).any())
    assert_proportion_at_most(
        failures, trials, 0.1, alternative=0.2, claim=f"S1' fails at most 0.1: {target.name}"
    )
