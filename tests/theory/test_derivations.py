"""The identities behind the spectra: proved by sympy, exact on small sizes, and on values found by enumeration."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.theory import enumeration
from theory.derivations import identities
from theory.derivations.identities import IDENTITIES, identity_named
from theory.derivations.identity import Identity
from theory.errors import TheoryError

NAMES = [identity.name for identity in IDENTITIES]
LARGEST = 8


def sizes(identity: Identity) -> range:
    """Sizes for which no spectrum of a dimension above LARGEST enters."""
    doubled = identity.parameters[0] == "m"
    return range((LARGEST - 1) // 2 + 1 if doubled else LARGEST)


def enumerated_krawtchouk(t: int, r: int, n: int) -> int:
    """K_t(r; n): over all inputs with t entries -1, the sum of x_1...x_r."""
    if n == 0:
        return int(t == 0)
    x = enumeration.inputs(n)
    return int(x[(x == -1).sum(axis=1) == t, :r].prod(axis=1).sum())


def enumerated_tau(r: int, n: int, q: int) -> Fraction:
    x = enumeration.inputs(n)
    return Fraction(int(x[(x == -1).sum(axis=1) <= q, :r].prod(axis=1).sum()), 2**n)


def enumerated_rho(r: int, n: int, bias: Fraction) -> Fraction:
    x = enumeration.inputs(n)
    return Fraction(int((np.maximum(x.sum(axis=1) + bias, 0) * x[:, :r].prod(axis=1)).sum()), 2**n)


def test_every_identity_has_its_own_name_and_words() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(identity.statement and identity.domain for identity in IDENTITIES)
    assert all(identity_named(name).name == name for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_identity_is_proved_symbolically(name: str) -> None:
    assert identity_named(name).prove()


@pytest.mark.parametrize("name", NAMES)
def test_every_identity_holds_at_all_small_parameters(name: str) -> None:
    identity = identity_named(name)
    found = [values for size in range(LARGEST + 1) for values in identity.instances(size)]
    assert len(found) >= 9
    for values in found:
        assert identity.holds(*values), values


@pytest.mark.parametrize("name", NAMES)
def test_every_identity_holds_for_enumerated_spectra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "krawtchouk", enumerated_krawtchouk)
    monkeypatch.setattr(identities, "threshold_tau", enumerated_tau)
    monkeypatch.setattr(identities, "relu_rho", enumerated_rho)
    identity = identity_named(name)
    for values in itertools.chain.from_iterable(map(identity.instances, sizes(identity))):
        assert identity.holds(*values), values


@given(st.sampled_from(IDENTITIES), st.integers(1, 40), st.data())
def test_identities_hold_at_drawn_parameters(identity: Identity, size: int, data: st.DataObject) -> None:
    values: list[Any] = [size]
    for name in identity.parameters[1:]:
        upper = 2 * size if identity.parameters[0] == "m" else size + 1
        values.append(data.draw(strategies.biases(size) if name == "b" else st.integers(-1, upper)))
    if identity.admits(*values):
        assert identity.holds(*values), (identity.name, values)
    else:
        with pytest.raises(TheoryError, match=f"{identity.name} is not stated at"):
            identity.holds(*values)


def partial_sums_in_the_same_dimension() -> sympy.Expr:
    return identities._shifted(0, 0) / (1 - identities._u) - identities._shifted(-1, 0)


def recurrence_with_t_for_2t() -> sympy.Expr:
    N, r = identities._N, identities._r
    return (
        (N - r) * identities._shifted(1, 0) - (N - identities._euler(r, N)) + r * identities._shifted(-1, 0)
    )


def reflection_without_sign() -> sympy.Expr:
    return identities._reflection() + (-1) ** identities._r - 1


def parseval_of_signs() -> sympy.Expr:
    """sum_r C(n, r) tau_r^2 = 1, which is true of a unit with values +-1."""
    u, v, n = identities._u, identities._v, identities._n
    return identities._parseval() + (2**-n * (1 + u * v) ** n - 1) / ((1 - u) * (1 - v))


def majority_without_its_half() -> sympy.Expr:
    m, first = identities._m, identities._majority_closed(sympy.Integer(0))
    return 2 * first - sympy.binomial(2 * m, m) / 2 ** (2 * m + 1)


def even_dimension_at_even_degree() -> sympy.Expr:
    K, i, m = sympy.Symbol("K"), identities._i, identities._m
    return K / 4**m - ((-1) ** (2 * i - 1) * K + K) / 2 ** (2 * m + 1)


def relu_without_its_inner_edge() -> sympy.Expr:
    return identities._relu() + 2 * identities._u * identities._shifted(-1, -1)


@pytest.mark.parametrize(
    "expression",
    [
        partial_sums_in_the_same_dimension,
        recurrence_with_t_for_2t,
        reflection_without_sign,
        parseval_of_signs,
        majority_without_its_half,
        even_dimension_at_even_degree,
        relu_without_its_inner_edge,
    ],
)
def test_plausible_errors_are_not_proved(expression: Callable[[], sympy.Expr]) -> None:
    assert not replace(IDENTITIES[0], expression=expression).prove()


def test_a_false_instance_does_not_hold() -> None:
    right = identity_named("recurrence in r")
    wrong = replace(right, check=lambda N, r, t: (right.check(N, r, t)[0], -right.check(N, r, t)[1]))
    assert not all(wrong.holds(*values) for values in wrong.instances(5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: identity_named("Pascal"), "name = 'Pascal' is not one of 'partial sums'"),
        (
            lambda: identity_named("partial sums").holds(5, 0, 2),
            r"not stated at \(5, 0, 2\); \(N, r, t\) with 1 <= r",
        ),
        (lambda: identity_named("majority").holds(5), r"majority is not stated at \(5\)"),
        (lambda: identity_named("majority").holds(4, 1), "with n odd, r odd and 1 <= r <= n is needed"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(call: Callable[[], bool], message: str) -> None:
    with pytest.raises(TheoryError, match=message) as raised:
        call()
    assert str(raised.value).endswith(".")
