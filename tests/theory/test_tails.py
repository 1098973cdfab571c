import itertools
import math
import random
import time
from collections import defaultdict
from fractions import Fraction

import flint
import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import chernoff, inversion
from theory.enclosure import Real, ball, exact_endpoints, lower, upper
from theory.errors import TheoryError
from theory.tails import Lattice, LatticeSum, binomial_at_least, binomial_at_most, trinomial_sum

Law = dict[Fraction, Fraction]

LAWS: dict[str, Law] = {
    "fair coin": {Fraction(0): Fraction(1, 2), Fraction(1): Fraction(1, 2)},
    "rare": {Fraction(0): Fraction(99, 100), Fraction(1): Fraction(1, 100)},
    "trinomial": {Fraction(-1): Fraction(1, 5), Fraction(0): Fraction(1, 2), Fraction(1): Fraction(3, 10)},
    "always active": {Fraction(-1): Fraction(2, 5), Fraction(1): Fraction(3, 5)},
    "logits": {Fraction(v): Fraction(p, 32) for v, p in ((-4, 1), (-2, 4), (0, 22), (2, 2), (4, 3))},
    "no neighbours": {Fraction(v): Fraction(p, 10) for v, p in ((0, 4), (6, 3), (10, 2), (15, 1))},
    "halves": {Fraction(v, 2): Fraction(p, 6) for v, p in ((-3, 1), (1, 2), (3, 3))},
    "one value": {Fraction(7, 3): Fraction(1)},
}


def convolved(law: Law, count: int) -> Law:
    """Law of the sum by enumeration in rationals."""
    total: Law = {Fraction(0): Fraction(1)}
    for _ in range(count):
        step: Law = defaultdict(Fraction)
        for (s, p), (v, r) in itertools.product(total.items(), law.items()):
            step[s + v] += p * r
        total = dict(step)
    return total


def check_encloses(value: flint.arb, exact: Fraction, bits: int = 64) -> None:
    """The ball must contain the exact rational and be as narrow as promised."""
    if exact == 0:
        assert value.is_zero()
        return
    low, high = exact_endpoints(value)
    assert low <= exact <= high
    assert high - low <= exact * Fraction(4, 2**bits)


def check_law(law: Law, count: int) -> None:
    """All tails of one sum, at all its values and between them, equal enumeration."""
    total, tested = convolved(law, count), LatticeSum(law, count)
    values = sorted(total)
    picked = values if len(values) < 8 else [*values[:: len(values) // 4], values[-1]]
    for t in [*picked, *(v + Fraction(1, 7) for v in picked)]:
        check_encloses(tested.at_least(t), sum((p for v, p in total.items() if v >= t), Fraction(0)))
        check_encloses(tested.at_most(t), sum((p for v, p in total.items() if v <= t), Fraction(0)))
        check_encloses(tested.point(t), total.get(t, Fraction(0)))
        inside = sum((p for v, p in total.items() if abs(v) <= t), Fraction(0))
        check_encloses(tested.absolute_at_most(t), inside)
        check_encloses(tested.absolute_above(t), 1 - inside if t >= 0 else Fraction(1))
        check_encloses(
            tested.absolute_at_least(t), sum((p for v, p in total.items() if abs(v) >= t), Fraction(0))
        )


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("count", [1, 2, 24])
def test_small_sums_equal_enumeration(name: str, count: int) -> None:
    check_law(LAWS[name], count)


@settings(max_examples=25)
@given(
    masses=st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(lambda m: sum(m) > 0),
    count=st.integers(1, 12),
    scale=st.sampled_from((Fraction(1), Fraction(2, 3), Fraction(-1, 2))),
)
def test_random_integer_laws_equal_enumeration(masses: list[int], count: int, scale: Fraction) -> None:
    law = {scale * (v - 2): Fraction(m, sum(masses)) for v, m in enumerate(masses) if m}
    check_law(law, count)


def test_a_fine_lattice_that_needs_thousands_of_frequencies() -> None:
    """Little mass on neighbours: the frequencies' phases must not lose precision one by one."""
    masses = {0: 1, 7: 1, 10: 8, 11: 2, 15: 1, 18: 1, 21: 1, 27: 1}
    count, scale = 381, 16
    coefficients = polynomial_power([masses.get(v, 0) for v in range(28)], count)
    tested = LatticeSum({Fraction(v): Fraction(p, scale) for v, p in masses.items()}, count)
    exact = Fraction(sum(coefficients[3417:4204]), scale**count)
    check_encloses(tested.within(3417, 4203, 24), exact, 24)


def polynomial_power(numerators: list[int], count: int) -> list[int]:
    return [int(c) for c in flint.fmpz_poly(numerators) ** count]


@pytest.mark.parametrize("numerators", [[1, 1], [199, 1], [20, 50, 30], [1, 0, 4, 22, 2, 0, 3]])
def test_long_sums_equal_integer_polynomials(numerators: list[int]) -> None:
    """B = 1500: powers of the generating function over the integers, through a different library routine."""
    count, scale = 1500, sum(numerators)
    law = {Fraction(v): Fraction(c, scale) for v, c in enumerate(numerators) if c}
    coefficients = polynomial_power(numerators, count)
    total, tested = scale**count, LatticeSum(law, count)
    mean = sum(v * c for v, c in enumerate(numerators)) * count // scale
    for t in (
        0,
        1,
        mean // 2,
        mean - 40,
        mean - 1,
        mean,
        mean + 1,
        mean + 40,
        2 * mean,
        len(coefficients) - 1,
    ):
        if 0 <= t < len(coefficients):
            check_encloses(tested.at_least(t), Fraction(sum(coefficients[t:]), total))
            check_encloses(tested.at_most(t), Fraction(sum(coefficients[: t + 1]), total))


@pytest.mark.parametrize(("B", "sigmas"), [(10**6, 3), (10**9, 8), (10**12, 0.5), (10**12, 6), (10**12, 40)])
def test_huge_binomials_equal_the_beta_integral_in_60_digits(B: int, sigmas: float) -> None:
    """P(X >= a) = I_p(a, B - a + 1), integrated numerically: nothing in common with the Fourier inversion."""
    p = Fraction(3, 10)
    a = int(B * p) + round(sigmas * math.sqrt(float(B * p * (1 - p))))
    with mpmath.workdps(60):
        x, b = mpmath.mpf(p.numerator) / p.denominator, B - a + 1
        constant = mpmath.loggamma(B + 1) - mpmath.loggamma(a) - mpmath.loggamma(b)

        def density(y: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(constant + (a - 1) * mpmath.log(y) + (b - 1) * mpmath.log1p(-y))

        width = mpmath.sqrt(x * (1 - x) / B) / (1 + sigmas)
        exact = mpmath.quad(density, [x - j * width for j in range(50, -1, -1)], method="gauss-legendre")
        value = binomial_at_least(B, p, a)
        assert value.rel_accuracy_bits() >= 64
        assert abs(mpmath.mpf(value.mid()) / exact - 1) < mpmath.mpf(10) ** -15


def test_a_tail_at_a_million_million_samples_takes_milliseconds() -> None:
    tested = trinomial_sum(Fraction(1, 2), Fraction(1, 10**5), 10**12)
    start = time.perf_counter()
    for j in range(10):
        tested.absolute_at_most(5 * 10**6 + j)
    assert (time.perf_counter() - start) / 10 < 0.1


def test_tails_are_complementary_and_monotone_at_any_size() -> None:
    for B in (10**3, 10**7, 10**12):
        tested = trinomial_sum(Fraction(9, 20), Fraction(1, 1000), B)
        spread = round(math.sqrt(0.45 * B))
        below = [tested.at_most(B // 1000 + j * spread) for j in range(-6, 7)]
        assert all(bool(a < b) for a, b in itertools.pairwise(below))
        for j, value in zip(range(-6, 7), below, strict=True):
            rest = tested.at_least(B // 1000 + j * spread + 1)
            assert (value + rest).overlaps(flint.arb(1))


def test_binomial_limits() -> None:
    assert binomial_at_least(10, Fraction(1, 2), 0) == 1
    assert binomial_at_least(10, Fraction(1, 2), 11) == 0
    assert binomial_at_most(10, Fraction(0), 0) == 1
    assert binomial_at_least(10, Fraction(1), 10) == 1
    check_encloses(binomial_at_least(1000, Fraction(1, 2), 1000), Fraction(1, 2**1000))
    poisson = float(binomial_at_most(10**12, Fraction(1, 10**12), 0))
    assert math.isclose(poisson, math.exp(-1), rel_tol=1e-11)


def test_bad_input_is_refused_with_the_value() -> None:
    with pytest.raises(TheoryError, match="sum to 3/4"):
        LatticeSum({Fraction(0): Fraction(3, 4)}, 3)
    with pytest.raises(TheoryError, match="B = 0"):
        LatticeSum(LAWS["fair coin"], 0)
    with pytest.raises(TheoryError, match="impossible"):
        trinomial_sum(Fraction(1, 2), Fraction(2, 3), 5)
    with pytest.raises(TheoryError, match="Chernoff"):
        LatticeSum(
            {Fraction(0): Fraction(1, 2), Fraction(1, 2): Fraction(1, 4), Fraction(10**6, 3): Fraction(1, 4)},
            9,
        )
    with pytest.raises(TheoryError, match="p = "):
        binomial_at_least(5, Fraction(3, 2), 1)


def test_lattice_is_the_coarsest() -> None:
    lattice = Lattice.of(LAWS["halves"])
    assert (lattice.offset, lattice.span, lattice.top) == (Fraction(-3, 2), Fraction(1), 3)
    assert Lattice.of(LAWS["logits"]).span == 2


def test_concentration_bounds_every_point_of_all_longer_sums() -> None:
    for name in ("trinomial", "logits", "no neighbours"):
        bound = LatticeSum(LAWS[name], 10).concentration(Fraction(1))
        for count in (10, 13, 25):
            assert max(convolved(LAWS[name], count).values()) <= exact_endpoints(bound)[1]
        assert float(bound) <= 1.7 * float(max(convolved(LAWS[name], 10).values()))


@pytest.mark.parametrize("fault", ["kappa", "window", "kernel", "tilt"])
def test_planted_faults_in_the_inversion_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsound error bound must give a ball that misses the exact value somewhere."""
    if fault == "kappa":  # too much decay claimed: too few frequencies
        kappa = inversion.TiltedLaw.kappa.func
        monkeypatch.setattr(
            inversion.TiltedLaw, "kappa", property(lambda law: (30 * kappa(law)[0], kappa(law)[1]))
        )
    elif fault == "window":  # too narrow a window, and its outside forgotten
        make = inversion.Plan.make.__func__  # type: ignore[attr-defined]

        def narrow(
            cls: type[inversion.Plan], law: inversion.TiltedLaw, count: int, goal: int
        ) -> inversion.Plan:
            plan: inversion.Plan = make(cls, law, count, goal)
            cut = plan.size // 3
            changes = {"first": plan.first + cut // 2, "size": plan.size - cut, "outside": flint.arb(0)}
            return inversion.Plan(**{**vars(plan), "kept": (plan.size - cut) // 2, **changes})

        monkeypatch.setattr(inversion.Plan, "make", classmethod(narrow))
    elif fault == "kernel":  # one value too few
        windowed = inversion._windowed

        def shifted(plan, low, high, *rest):  # type: ignore[no-untyped-def]
            return windowed(plan, low, max(low, high - 1), *rest)

        monkeypatch.setattr(inversion, "_windowed", shifted)
    else:
        tilted = inversion.tilted
        monkeypatch.setattr(
            inversion, "tilted", lambda masses, tilt: tilted(masses, tilt * Fraction(1001, 1000))
        )
    with pytest.raises((AssertionError, TheoryError)):
        check_inversion()


def check_inversion() -> None:
    for name in ("trinomial", "logits", "fair coin"):
        check_law(LAWS[name], 24)
    test_long_sums_equal_integer_polynomials([20, 50, 30])


# Exponential bounds.


def test_exponential_bounds_are_above_the_exact_tail_and_ordered() -> None:
    generator = random.Random(5)
    for name in ("fair coin", "trinomial", "logits", "no neighbours"):
        law = LAWS[name]
        mean = sum((v * p for v, p in law.items()), Fraction(0))
        variance = sum((v * v * p for v, p in law.items()), Fraction(0)) - mean**2
        top, bottom = max(law), min(law)
        for _ in range(6):
            x = mean + (top - mean) * Fraction(generator.randrange(1, 100), 100)
            B = generator.choice((5, 50, 500))
            exact = LatticeSum(law, B).at_least(x * B)
            rates = [
                chernoff.chernoff_rate(law, x),
                chernoff.bernstein_rate(x - mean, variance, top - mean),
                chernoff.hoeffding_rate(x - mean, top - bottom),
            ]
            for rate in rates:
                assert bool((-B * ball(rate)).exp() >= exact * (1 - ball(Fraction(1, 2**60))))
            assert lower(rates[0]) >= upper(rates[1]) * (1 - 1e-12)
            assert lower(rates[0]) >= upper(rates[2]) * (1 - 1e-12)


def test_chernoff_rate_never_exceeds_the_60_digit_supremum_and_nearly_reaches_it() -> None:
    law = LAWS["logits"]
    with mpmath.workdps(60):
        for x in (Fraction(1, 10**6), Fraction(1, 4), Fraction(2), Fraction(39, 10)):
            mean = sum((v * p for v, p in law.items()), Fraction(0))
            threshold = mean + x * (4 - mean) / 4
            goal = mpmath.mpf(threshold.numerator) / threshold.denominator

            def exponent(multiplier: mpmath.mpf, goal: mpmath.mpf = goal) -> mpmath.mpf:
                total = sum(
                    mpmath.mpf(p.numerator) / p.denominator * mpmath.exp(multiplier * int(v))
                    for v, p in law.items()
                )
                return multiplier * goal - mpmath.log(total)

            best = mpmath.findroot(lambda t: mpmath.diff(exponent, t), float(x) / 4)
            supremum = exponent(best)
            rate = chernoff.chernoff_rate(law, threshold)
            assert mpmath.mpf(lower(rate)) <= supremum
            assert upper(rate) >= float(supremum) * (1 - 1e-9)


def test_chernoff_at_the_ends() -> None:
    law = LAWS["trinomial"]
    assert chernoff.chernoff_rate(law, Fraction(1, 10)) == 0
    assert not chernoff.chernoff_rate(law, Fraction(2)).is_finite()
    assert math.isclose(float(chernoff.chernoff_rate(law, Fraction(1))), -math.log(0.3))
    assert chernoff.chernoff_samples(law, Fraction(2), Fraction(1, 10)) == 1
    assert not chernoff.chernoff_samples(law, Fraction(0), Fraction(1, 10)).is_finite()
    assert chernoff.mirrored(law)[Fraction(-1)] == Fraction(3, 10)


def test_sample_sizes_invert_the_bounds() -> None:
    delta = Fraction(1, 1000)
    pairs = [
        (chernoff.hoeffding_samples(Fraction(1, 20), 2, delta), chernoff.hoeffding_rate(Fraction(1, 20), 2)),
        (
            chernoff.bernstein_samples(Fraction(1, 20), Fraction(1, 4), 1, delta),
            chernoff.bernstein_rate(Fraction(1, 20), Fraction(1, 4), 1),
        ),
        (
            chernoff.chernoff_samples(LAWS["trinomial"], Fraction(1, 5), delta),
            chernoff.chernoff_rate(LAWS["trinomial"], Fraction(1, 5)),
        ),
    ]
    for samples, rate in pairs:
        assert (-(samples * rate)).exp().overlaps(ball(delta))
    assert chernoff.samples_for(Fraction(1, 10), delta, events=50).overlaps(
        10 * (ball(50) / ball(delta)).log()
    )


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: chernoff.hoeffding_rate(0, 1), "deviation"),
        (lambda: chernoff.hoeffding_rate(1, 0), "width"),
        (lambda: chernoff.bernstein_rate(1, 0, 0), "variance"),
        (lambda: chernoff.samples_for(1, 1), "delta"),
        (lambda: chernoff.samples_for(1, Fraction(1, 2), 0), "events"),
        (lambda: chernoff.chernoff_rate({Fraction(1): Fraction(1, 2)}, Fraction(1)), "sum to"),
    ],
)
def test_exponential_bounds_refuse_bad_input(call: "object", word: str) -> None:
    with pytest.raises(TheoryError, match=word):
        call()  # type: ignore[operator]


def test_bounds_evaluate_to_60_digits() -> None:
    generator = random.Random(11)

    def safe(value: Real, exact: mpmath.mpf) -> None:
        assert mpmath.mpf(lower(value)) <= exact <= mpmath.mpf(upper(value))

    with mpmath.workdps(60):
        for _ in range(200):
            t, v, c, d = (
                Fraction(generator.randrange(1, 10**6), generator.randrange(10**3, 10**7)) for _ in range(4)
            )
            T, V, C = (mpmath.mpf(f.numerator) / f.denominator for f in (t, v, c))
            delta = d / (d + 1)
            D = mpmath.mpf(delta.numerator) / delta.denominator
            rate = T**2 / (2 * (V + C * T / 3))
            safe(chernoff.bernstein_rate(t, v, c), rate)
            safe(chernoff.hoeffding_rate(t, c), 2 * T**2 / C**2)
            safe(chernoff.samples_for(chernoff.bernstein_rate(t, v, c), delta, 7), mpmath.log(7 / D) / rate)


def test_roughness_of_a_law_whose_integers_no_float_holds() -> None:
    half = Fraction(1, 2) + Fraction(1, 2**2000)
    assert Lattice.of({Fraction(-1): half, Fraction(1): 1 - half}).roughness == pytest.approx(0.5)
