import math
import random
from collections.abc import Callable
from fractions import Fraction

import flint
import mpmath
import numpy as np
import pytest

from tests.theory.bound_cases import TARGETS, TENTH
from theory.bounds import (
    FIRST_STEP,
    Bernstein,
    BretagnolleHuber,
    ExactMarginals,
    IntermediateTeacher,
    LeCam,
    pairs,
)
from theory.bounds import bernstein as bernstein_module
from theory.chernoff import bernstein_rate
from theory.enclosure import ball, lower, upper
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw, law_classes, laws
from theory.marginals import Marginals
from theory.targets import EqualTeacher, Junta, LowDegree, Parity, Target
from theory.verdict import Kind
from theory.walsh import threshold_count, threshold_tau

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
