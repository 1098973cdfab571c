import itertools
import random
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from tests.theory import test_bounds
from tests.theory.bound_cases import TENTH, TINY
from tests.theory.joint_law import failure_probabilities
from theory.bounds import (
    AnyLeakyTeacher,
    BretagnolleHuber,
    LeCam,
    pairs,
)
from theory.bounds.leaky_teacher import necessary_samples, teacher_error
from theory.enclosure import ball, lower, upper
from theory.gradient import FirstStepLaw
from theory.targets import EqualTeacher, Junta, LeakyTeacher, Parity, Target, leaky_error, patterns

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
    test_bounds.test_oracles(50, 2, 8.264e3, 3859, 134.1, 299.3)
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
