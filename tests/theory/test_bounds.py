import itertools
import math
import random
from collections.abc import Callable
from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest

from tests.theory.joint_law import failure_probabilities
from theory.bounds import (
    FIRST_STEP,
    AnyLeakyTeacher,
    Bernstein,
    BretagnolleHuber,
    ExactMarginals,
    IntermediateTeacher,
    LeCam,
    pairs,
)
from theory.bounds import bernstein as bernstein_module
from theory.bounds.leaky_teacher import necessary_samples, teacher_error
from theory.chernoff import bernstein_rate
from theory.enclosure import ball, lower, upper
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw, law_classes, laws
from theory.marginals import Marginals
from theory.targets import EqualTeacher, Junta, LeakyTeacher, LowDegree, Parity, Target, leaky_error, patterns
from theory.verdict import Kind
from theory.walsh import threshold_count, threshold_tau

TENTH = Fraction(1, 10)
TARGETS: dict[str, tuple[int, int, Target]] = {
    "parity": (50, 24, Parity(2)),
    "parity, k = 4": (20, 9, Parity(4)),
    "logits": (21, 10, EqualTeacher((1, -1))),
    "hard": (11, 5, EqualTeacher((1, 1, 1), "hard")),
    "low degree": (11, 5, LowDegree(2, 2)),
    "leaky": (25, 12, LeakyTeacher(2, leaky_error(25, 1))),
    "leaky logits": (25, 12, LeakyTeacher(4, leaky_error(25, Fraction(1, 2)), labels="logits")),
    "junta": (10, 4, Junta((3, 1, 0, -2))),
}
TINY: dict[str, tuple[int, int, Target, int]] = {
    "one coordinate": (3, 1, Parity(1), 24),
    "majority of two": (3, 1, EqualTeacher((1, 1), "hard"), 24),
    "sum of two": (3, 1, EqualTeacher((1, -1)), 18),
    "biased unit": (3, 2, Parity(1), 24),
    "unequal": (3, 1, Junta((2, 1, -1, -1)), 14),
    "parity": (4, 1, Parity(2), 9),
}


@pytest.fixture(scope="module", params=TINY)
def tiny(request: pytest.FixtureRequest) -> tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]]:
    """A tiny step with the exact failure probabilities of all its sign patterns, B = 1..most."""
    n, q, target, most = TINY[request.param]
    failures = {s: failure_probabilities(n, q, target, s, most) for s in patterns(target.k)}
    return n, q, target, failures


# Oracles of the design.


@pytest.mark.parametrize(
    ("n", "k", "b1", "b1_exact", "b2", "b2h"),
    [
        (50, 2, 8.264e3, 3859, 134.1, 299.3),
        (200, 4, 1.609e9, 8.190e8, 2.225e7, 4.961e7),
        (100, 6, 2.009e11, 1.072e11, 3.043e9, 6.785e9),
    ],
)
def test_oracles(n: int, k: int, b1: float, b1_exact: float, b2: float, b2h: float) -> None:
    """The design has B1 = 8.3e3, 1.6e9, 2.0e11 and B2 = 133, 2.22e7, 3.0e9 at delta = 0.1, b = 0."""
    q = threshold_count(n, 0)
    for bound, expected in ((Bernstein(), b1), (BretagnolleHuber(), b2), (LeCam(), b2h)):
        assert math.isclose(bound.samples(n, k, q, Parity(k), TENTH).value, expected, rel_tol=5e-4)
    value = ExactMarginals().samples(n, k, q, Parity(k), TENTH)
    assert math.isclose(value.value, b1_exact, rel_tol=1e-3)
    assert value.value <= value.details["persistent"] <= 1.1 * value.value


def test_b2_of_the_design_mixes_the_two_choices_of_sign() -> None:
    """133 comes from |mu_i| - |mu_o| together with c = +tau_2, which belong to different signs of w_o."""
    law = FirstStepLaw(50, 24, Parity(2), (1, 1))
    gap, tau2 = law.margin, threshold_tau(2, 50, 24)
    for correlation, expected in ((tau2, 133.4), (-tau2, 134.1)):
        a = float(law.tau0 - correlation)
        value = math.log(2.5) / (float(gap) / 2 * math.log((a + float(gap)) / (a - float(gap))))
        assert round(value, 1) == expected


# B1.


def check_bernstein(n: int, q: int, target: Target, delta: Fraction) -> None:
    """Replay B1's proof in 60 digits: each of the 2n - k deviations of the worst pattern has delta/(2n - k)."""
    value = Bernstein().samples(n, target.k, q, target, delta)
    with mpmath.workdps(60):
        worst = mpmath.mpf(0)
        for law in laws(n, q, target):  # all patterns, not the classes that the bound uses
            gap = mpmath.mpf(law.margin.numerator) / law.margin.denominator
            v = mpmath.mpf(law.second_moment.numerator) / law.second_moment.denominator
            largest = target.sup_norm + max(abs(m) for m in (*law.mean_in, law.mean_out))
            c = mpmath.mpf(largest.numerator) / largest.denominator
            rate = (gap / 2) ** 2 / (2 * (v + c * gap / 6))
            worst = max(
                worst, mpmath.log((2 * n - target.k) * mpmath.mpf(delta.denominator) / delta.numerator) / rate
            )
        assert mpmath.mpf(value.enclosure.lower) <= worst <= mpmath.mpf(value.value)
        assert value.value <= float(worst) * (1 + 1e-14)
    assert value.kind is Kind.UPPER
    assert all(assumption.holds for assumption in value.assumptions)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("delta", [Fraction(1, 2), TENTH, Fraction(1, 10**9)])
def test_b1_is_its_proof(name: str, delta: Fraction) -> None:
    check_bernstein(*TARGETS[name], delta)


def test_b1_uses_the_rate_of_the_tails() -> None:
    law = FirstStepLaw(50, 24, Parity(2), (1, 1))
    rate = bernstein_rate(law.margin / 2, law.second_moment, 1 + max(abs(m) for m in law.mean_in))
    value = Bernstein().samples(50, 2, 24, Parity(2), TENTH)
    assert (98 * (-value.value * rate).exp()).overlaps(ball(TENTH)) or float(
        98 * (-value.value * rate).exp()
    ) <= 0.1


def test_b1_of_random_steps() -> None:
    generator = random.Random(41)
    done = 0
    while done < 25:
        n, k = generator.randrange(6, 200), generator.randrange(1, 5)
        q = generator.randrange(n // 3, 2 * n // 3)
        table = tuple(Fraction(generator.randrange(-9, 10), generator.randrange(1, 5)) for _ in range(1 << k))
        target = generator.choice([Parity(k), Junta(table), LowDegree(k)])
        if min(law.margin for law, _ in law_classes(n, q, target)) > 0:
            check_bernstein(n, q, target, Fraction(1, generator.randrange(2, 10**6)))
            done += 1


@pytest.mark.parametrize("fault", ["half the constant", "logarithm dropped", "best pattern", "wrong side"])
def test_planted_faults_in_b1_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factor, evaluate = bernstein_module.bernstein_factor, Bernstein._evaluate
    if fault == "half the constant":
        monkeypatch.setattr(bernstein_module, "bernstein_factor", lambda law: factor(law) / 2)
    elif fault == "best pattern":
        monkeypatch.setattr(
            bernstein_module,
            "law_classes",
            lambda n, q, t: [min(law_classes(n, q, t), key=lambda c: factor(c[0]))],
        )
    elif fault == "logarithm dropped":
        monkeypatch.setattr(
            Bernstein,
            "_evaluate",
            lambda self, n, q, t, d: (evaluate(self, n, q, t, d)[0] / (ball((2 * n - t.k) / d)).log(), {}),
        )
    else:
        monkeypatch.setattr(
            Bernstein,
            "_evaluate",
            lambda self, n, q, t, d: (flint.arb(lower(evaluate(self, n, q, t, d)[0])), {}),
        )
    with pytest.raises(AssertionError):
        [check_bernstein(*TARGETS[name], TENTH) for name in ("low degree", "junta")]


def test_intermediate_teacher_is_b1_in_closed_form_and_logarithmic() -> None:
    values = {}
    for n in (51, 101, 201):
        target = EqualTeacher((1, -1, -1, 1))
        closed = IntermediateTeacher().samples(n, 4, (n - 1) // 2, target, TENTH)
        general = Bernstein().samples(n, 4, (n - 1) // 2, target, TENTH)
        assert closed.value == general.value
        values[n] = closed
    slope = (values[201].value - values[101].value) / math.log((402 - 4) / (202 - 4))
    assert math.isclose(slope, values[51].details["slope_in_log_n"])
    assert slope == pytest.approx(16 * 4 + 8 / 3 * 4.5)


@pytest.mark.parametrize(
    ("n", "q", "target"),
    [
        (50, 24, EqualTeacher((1, 1))),
        (51, 24, EqualTeacher((1, 1))),
        (51, 25, Parity(2)),
        (51, 25, EqualTeacher((1, 1), "hard")),
    ],
)
def test_intermediate_teacher_says_nothing_outside_its_assumptions(n: int, q: int, target: Target) -> None:
    value = IntermediateTeacher().samples(n, 2, q, target, TENTH)
    assert value.vacuous
    assert value.value == math.inf
    assert not all(assumption.holds for assumption in value.assumptions)


# B1'.


def test_exact_marginals_bound_the_exact_failure(
    tiny: tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]],
) -> None:
    n, q, target, failures = tiny
    for signs, failure in failures.items():
        law = FirstStepLaw(n, q, target, signs)
        if law.margin <= 0:
            continue
        marginals = Marginals(law)
        for B in range(3, len(failure) + 1, 10):
            best = min(upper(marginals.failure(B, Fraction(t, 2))) for t in range(2 * B + 1))
            assert failure[B - 1] <= best * (1 + 1e-12)


def test_b1_exact_holds_where_it_says(
    tiny: tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]],
) -> None:
    n, q, target, failures = tiny
    tested = False
    for delta in (TENTH, Fraction(3, 5)) if target.k == 1 else (Fraction(3, 5),):
        value = ExactMarginals().samples(n, target.k, q, target, delta)
        b1 = Bernstein().samples(n, target.k, q, target, delta)
        assert value.value <= max(1.0, b1.value + 1)
        for failure in failures.values():
            if value.value <= len(failure):
                assert failure[int(value.value) - 1] <= float(delta)
                tested = True
            start = value.details.get("persistent", math.inf)
            if start <= len(failure):
                assert (failure[int(start) - 1 :] <= float(delta)).all()
    margin = min(law.margin for law, _ in law_classes(n, q, target))
    assert tested or margin <= 0 or n == 4


@pytest.mark.parametrize("name", TARGETS)
def test_bounds_are_ordered(name: str) -> None:
    n, q, target = TARGETS[name]
    for delta in (TENTH,):
        values = {key: make().samples(n, target.k, q, target, delta) for key, make in FIRST_STEP.items()}
        assert values["B2"].value <= values["B2h"].value <= values["B1'"].value
        assert values["B1'"].value <= math.ceil(values["B1"].value)
        assert values["B1'"].value <= values["B1'"].details["persistent"]
        assert values["B2-leaky"].value <= values["B2"].value
        assert values["B2"].details["any_pattern"] <= values["B2"].value
        for value in values.values():
            assert value.enclosure.lower <= value.enclosure.upper
            side = value.enclosure.upper if value.kind is Kind.UPPER else value.enclosure.lower
            assert value.value == side


def test_exact_marginals_leave_little_room_below() -> None:
    """A relative 2^-12 below the value no threshold works: the search has not stopped early."""
    n, q, target = TARGETS["parity"]
    value = ExactMarginals().samples(n, 2, q, target, TENTH)
    marginals = Marginals(FirstStepLaw(n, q, target, (1, 1)))
    B = int(value.value * (1 - 2**-11)) - 2
    assert all(lower(marginals.failure(B, Fraction(t))) > 0.1 for t in range(0, B // 16, 3))


def test_upper_bounds_are_infinite_when_a_pattern_cannot_succeed() -> None:
    blind = Junta((1, 1, -1, -1))  # the first coordinate does not matter
    for bound in (Bernstein(), ExactMarginals()):
        value = bound.samples(21, 2, 10, blind, TENTH)
        assert value.value == math.inf
        assert value.vacuous
    for lower_bound in (BretagnolleHuber(), LeCam()):
        assert lower_bound.samples(21, 2, 10, blind, TENTH).value == math.inf


# B2 and B2h.


def check_pair_bounds(n: int, q: int, target: Target, failures: dict[tuple[int, ...], np.ndarray]) -> None:
    """(+) and (-) hold at every B for the exact failure probabilities."""
    for bound in (BretagnolleHuber(), LeCam()):
        for signs, failure in failures.items():
            law = FirstStepLaw(n, q, target, signs)
            for i in range(target.k):
                flipped = tuple(-s if t == i else s for t, s in enumerate(signs))
                plus = float(bound.divergence(*pairs.same_sign(law, i)))
                minus = float(bound.divergence(*pairs.opposite_sign(law, i)))
                for B in range(1, len(failure) + 1):
                    both = failure[B - 1] + failures[flipped][B - 1]
                    assert failure[B - 1] >= bound.failure_floor(B * plus) * (1 - 1e-9) - 1e-13
                    assert both >= 2 * bound.failure_floor(B * minus) * (1 - 1e-9) - 1e-13


def test_pair_bounds_hold_for_the_exact_failure(
    tiny: tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]],
) -> None:
    check_pair_bounds(*tiny)


def test_lower_bounds_are_below_the_exact_sample_size(
    tiny: tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]],
) -> None:
    n, q, target, failures = tiny
    average = np.mean(list(failures.values()), axis=0)
    for delta in (Fraction(1, 20), TENTH, Fraction(1, 5), Fraction(2, 5)):
        enough = np.flatnonzero(average <= float(delta))
        reached = enough[0] + 1 if enough.size else len(average) + 1
        for bound in (BretagnolleHuber(), LeCam()):
            value = bound.samples(n, target.k, q, target, delta).value
            assert value <= reached or not enough.size


def enumerated_pair(
    n: int, q: int, target: Target, support: tuple[int, ...], weights: tuple[int, ...], i: int, o: int
) -> dict[tuple[Fraction, Fraction], Fraction]:
    """Law of (Z_i, Z_o) by running over all inputs; support in the order of the table's positions."""
    law: dict[tuple[Fraction, Fraction], Fraction] = {}
    for x in itertools.product((1, -1), repeat=n):
        active = sum(a * b < 0 for a, b in zip(x, weights, strict=True)) <= q
        index = sum(1 << t for t, c in enumerate(support) if x[c] < 0)
        for share, table in target.components:
            label = table[index] * active
            key = (label * x[i], label * x[o])
            law[key] = law.get(key, Fraction(0)) + share / 2**n
    return {key: p for key, p in law.items() if p}


@pytest.mark.parametrize(
    ("q", "target"),
    [
        (2, Parity(2)),
        (1, Junta((3, 1, 0, -2))),
        (2, LeakyTeacher(3, Fraction(1, 3))),
        (3, EqualTeacher((1, -1))),
    ],
)
def test_the_exchange_argument_is_what_enumeration_gives(q: int, target: Target) -> None:
    """P' of (+) and (-) is the law of (Z_i, Z_o) under S' with the same unit: all 2^n inputs, in rationals."""
    n, k = 6, target.k
    for signs in patterns(k):
        law = FirstStepLaw(n, q, target, signs)
        for position in range(k):
            for kind, sign in ((pairs.same_sign, 1), (pairs.opposite_sign, -1)):
                weights = (*signs, sign * signs[position], *[1, -1, 1, -1][: n - k - 1])
                i, o, support = position, k, tuple(range(k))
                moved = tuple(o if c == i else c for c in support)
                P, P_moved = kind(law, position)
                assert {key: p for key, p in P.items() if p} == enumerated_pair(
                    n, q, target, support, weights, i, o
                )
                assert P_moved == enumerated_pair(n, q, target, moved, weights, i, o)


@pytest.mark.parametrize("fault", ["twice the information", "w_o ignored", "no exchange"])
def test_planted_faults_in_b2_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "twice the information":
        for bound in (BretagnolleHuber, LeCam):
            divergence = bound.divergence
            monkeypatch.setattr(bound, "divergence", lambda self, a, b, d=divergence: d(self, a, b) / 4)
    elif fault == "w_o ignored":
        monkeypatch.setattr(pairs, "_with_sign", lambda law, position, sign: law.pair_law(position))
    else:
        monkeypatch.setattr(pairs, "exchanged", lambda law: law)
    with pytest.raises(AssertionError):
        check_b2()


def check_b2() -> None:
    test_oracles(50, 2, 8.264e3, 3859, 134.1, 299.3)
    for name in ("one coordinate", "unequal"):
        n, q, target, _ = TINY[name]
        failures = {s: failure_probabilities(n, q, target, s, 12) for s in patterns(target.k)}
        check_pair_bounds(n, q, target, failures)
    test_the_exchange_argument_is_what_enumeration_gives(2, Parity(2))


def test_divergences_to_60_digits() -> None:
    generator = random.Random(17)
    with mpmath.workdps(60):
        for _ in range(60):
            size = generator.randrange(2, 6)
            raw = [[generator.randrange(1, 10**6) for _ in range(size)] for _ in range(2)]
            if generator.random() < 0.5:  # nearly equal laws: the case that cancels
                raw[1] = [v * 10**9 + generator.randrange(10**3) for v in raw[0]]
                raw[0] = [v * 10**9 for v in raw[0]]
            laws_ = [
                {(Fraction(j), Fraction(0)): Fraction(v, sum(row)) for j, v in enumerate(row)} for row in raw
            ]
            P, Q = ([mpmath.mpf(v) / sum(row) for v in row] for row in raw)
            kl = mpmath.fsum(a * mpmath.log(a / b) for a, b in zip(P, Q, strict=True))
            rho = -2 * mpmath.log(mpmath.fsum(mpmath.sqrt(a * b) for a, b in zip(P, Q, strict=True)))
            for value, exact in (
                (pairs.divergence(*laws_), kl),
                (pairs.affinity_divergence(*laws_), rho),
            ):
                slack = mpmath.mpf(10) ** -50 if exact < 1e-6 else 0  # the reference cancels too
                assert mpmath.mpf(lower(value)) <= exact + slack
                assert mpmath.mpf(upper(value)) >= exact - slack
            assert upper(pairs.affinity_divergence(*laws_)) <= upper(pairs.divergence(*laws_)) * (1 + 1e-15)


def check_b2_sides(end: Callable[[float, float], float]) -> None:
    """`end` of B2's and B2h's enclosure is never above the bound in 60 digits, at random parities, and close to it."""
    generator = random.Random(43)
    with mpmath.workdps(60):
        for _ in range(20):
            n, k = generator.randrange(8, 200), generator.choice((1, 2, 4))
            q, delta = generator.randrange(n // 3, 2 * n // 3), Fraction(1, generator.randrange(5, 10**4))
            law = FirstStepLaw(n, q, Parity(k), (1,) * k)
            choices = [
                [
                    (mpmath.mpf(p.numerator) / p.denominator, mpmath.mpf(Q[v].numerator) / Q[v].denominator)
                    for v, p in P.items()
                ]
                for P, Q in (pairs.same_sign(law, 0), pairs.opposite_sign(law, 0))
                if P.keys() == Q.keys()
            ]
            if len(choices) < 2 or law.margin == 0:
                continue
            D = mpmath.mpf(delta.numerator) / delta.denominator
            kl = min(mpmath.fsum(a * mpmath.log(a / b) for a, b in pair) for pair in choices)
            rho = max(mpmath.fsum(mpmath.sqrt(a * b) for a, b in pair) for pair in choices)
            for bound, exact in (
                (BretagnolleHuber(), mpmath.log(1 / (4 * D)) / kl),
                (LeCam(), -mpmath.log(4 * D * (1 - D)) / (-2 * mpmath.log(rho))),
            ):
                enclosure = bound.samples(n, k, q, Parity(k), delta).enclosure
                value = end(enclosure.lower, enclosure.upper)
                assert mpmath.mpf(value) <= exact
                assert value >= float(exact) * (1 - 1e-12)


def test_b2_is_below_60_digits() -> None:
    check_b2_sides(lambda low, high: low)


def test_planted_fault_the_wrong_side_of_b2_is_caught() -> None:
    with pytest.raises(AssertionError):
        check_b2_sides(lambda low, high: high)


def test_divergence_of_second_opinion_intervals() -> None:
    mpmath.iv.dps = 40
    law = FirstStepLaw(50, 24, Parity(2), (1, 1))
    P, Q = pairs.same_sign(law, 0)
    total = mpmath.iv.mpf(0)
    for key, p in P.items():
        a = mpmath.iv.mpf(p.numerator) / p.denominator
        total += a * mpmath.iv.log(a / (mpmath.iv.mpf(Q[key].numerator) / Q[key].denominator))
    value = pairs.divergence(P, Q)
    assert mpmath.mpf(lower(value)) <= mpmath.mpf(total.b)
    assert mpmath.mpf(upper(value)) >= mpmath.mpf(total.a)


def test_divergence_of_disjoint_and_equal_laws() -> None:
    a, b = (Fraction(0), Fraction(0)), (Fraction(1), Fraction(0))
    assert not pairs.divergence({a: Fraction(1)}, {b: Fraction(1)}).is_finite()
    assert not pairs.affinity_divergence({a: Fraction(1)}, {b: Fraction(1)}).is_finite()
    assert pairs.divergence({a: Fraction(1)}, {a: Fraction(1)}).is_zero()


def test_lower_bounds_for_large_delta() -> None:
    for delta, expected in ((Fraction(1, 4), False), (Fraction(49, 100), False), (Fraction(6, 10), False)):
        assert (BretagnolleHuber().samples(50, 2, 24, Parity(2), delta).value > 0) is expected
    assert LeCam().samples(50, 2, 24, Parity(2), Fraction(49, 100)).value > 0
    assert LeCam().samples(50, 2, 24, Parity(2), Fraction(1, 2)).value == 0


def test_failure_floors_are_below_60_digits() -> None:
    with mpmath.workdps(60):
        for x in (0.0, 1e-12, 0.3, 2.0, 40.0, 800.0):
            assert mpmath.mpf(BretagnolleHuber().failure_floor(x)) <= mpmath.exp(-mpmath.mpf(x)) / 4
            exact = (1 - mpmath.sqrt(1 - mpmath.exp(-mpmath.mpf(x)))) / 2
            assert mpmath.mpf(LeCam().failure_floor(x)) <= exact
            assert LeCam().failure_floor(x) >= float(exact) * (1 - 1e-7)


# B2-leaky.


def test_no_teacher_with_that_error_separates_more() -> None:
    """Random +-1 labels on all of {-1,1}^5, weights with w_i = w_o: the divergence is within the theorem's."""
    generator = random.Random(23)
    n, k = 5, 2
    inputs = list(itertools.product((1, -1), repeat=n))
    for _ in range(40):
        q = generator.randrange(1, 4)
        wrong = {x for x in inputs if generator.random() < generator.choice((0.0, 0.05, 0.3))}
        error = Fraction(len(wrong), 2**n)
        weights = [generator.choice((-1, 1)) for _ in range(n)]
        i, o = generator.randrange(k), generator.randrange(k, n)
        weights[o] = weights[i]
        law: dict[tuple[Fraction, Fraction], Fraction] = {}
        for x in inputs:
            label = x[0] * x[1] * (-1 if x in wrong else 1)
            active = sum(a * b < 0 for a, b in zip(x, weights, strict=True)) <= q
            key = (Fraction(label * x[i] * active), Fraction(label * x[o] * active))
            law[key] = law.get(key, Fraction(0)) + Fraction(1, 2**n)
        bound = necessary_samples(n, k, q, error, TENTH)
        divergence = pairs.divergence(law, pairs.exchanged(law))
        if divergence.is_finite() and not divergence.is_zero():
            assert lower(bound) <= float(ball(Fraction(5, 2)).log() / divergence) * (1 + 1e-12)


@pytest.mark.parametrize("c", [Fraction(1, 2), Fraction(1)])
def test_leaky_exponent_is_min_2c_and_k_minus_1(c: Fraction) -> None:
    constants = []
    for n in (101, 201, 401, 801):
        target = LeakyTeacher(4, leaky_error(n, c))
        value = AnyLeakyTeacher().samples(n, 4, (n - 1) // 2, target, TENTH)
        assert value.details["error"] == float(target.disagreement)
        constants.append(value.value / n ** min(2 * float(c), 3))
    assert max(constants) / min(constants) < 1.05


def test_teacher_error_is_the_disagreement() -> None:
    target = LeakyTeacher(4, Fraction(1, 7), (1, -1, 1, 1))
    assert teacher_error(target) == target.disagreement
    assert AnyLeakyTeacher().samples(21, 4, 10, EqualTeacher((1, 1, 1, 1)), TENTH).vacuous


# The interface.


@pytest.mark.parametrize("name", FIRST_STEP)
def test_every_bound_has_its_parts(name: str) -> None:
    from sympy import latex

    bound = FIRST_STEP[name]()
    assert bound.name == name
    assert bound.statement.endswith(".")
    assert bound.reference
    assert latex(bound.formula)
    module = __import__(type(bound).__module__, fromlist=["__doc__"])
    for word in ("Theorem (", "**Proof.**", "Kind:"):
        assert word in (module.__doc__ or "")


@pytest.mark.parametrize("name", FIRST_STEP)
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((50, 3, 24, Parity(2), TENTH), "k = 3"),
        ((2, 2, 0, Parity(2), TENTH), "n = 2"),
        ((50, 2, 51, Parity(2), TENTH), "q = 51"),
        ((50, 2, 24, Parity(2), 0), "delta"),
        ((50, 2, 24, Parity(2), 1), "delta"),
        ((50, 2, 24, Parity(2), 1.5), "delta"),
        ((50, 2, 24, Parity(2), math.nan), "delta"),
    ],
)
def test_bounds_refuse_bad_input(
    name: str, arguments: tuple[int, int, int, Target, Fraction], word: str
) -> None:
    with pytest.raises(TheoryError, match=word):
        FIRST_STEP[name]().samples(*arguments)


@pytest.mark.parametrize("make", [Bernstein, BretagnolleHuber, LeCam])
def test_the_symbolic_form_agrees_with_the_value(make: Callable[[], Bernstein]) -> None:
    from sympy import Float

    law = FirstStepLaw(50, 24, Parity(2), (1, 1))
    numbers = {
        "v": law.second_moment, "M": 1, "mu": max(map(abs, law.mean_in)), "Delta": law.margin, "n": 50, "k": 2,
        "delta": TENTH,
        "D_KL": Fraction(float(pairs.divergence(*pairs.opposite_sign(law, 0)))),
        "rho": Fraction(math.exp(-float(pairs.affinity_divergence(*pairs.opposite_sign(law, 0))) / 2)),
    }  # fmt: skip
    formula = make().formula
    value = formula.subs({s: Float(str(float(numbers[s.name])), 17) for s in formula.free_symbols})
    assert math.isclose(float(value), make().samples(50, 2, 24, Parity(2), TENTH).value, rel_tol=1e-9)
