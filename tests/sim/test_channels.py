from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sim.channels import PROBABILITY_ONE, Channels, channels_of
from tests.strategies import made, targets
from theory.targets import EqualTeacher, Junta, LeakyTeacher, Parity, Target


def law(components: list[tuple[Fraction, list[Fraction]]]) -> list[dict[Fraction, Fraction]]:
    """For each pattern the law of its label, value to probability."""
    size = len(components[0][1])
    result: list[dict[Fraction, Fraction]] = [{} for _ in range(size)]
    for probability, table in components:
        for p, value in enumerate(table):
            if probability:
                result[p][value] = result[p].get(value, Fraction(0)) + probability
    return result


def rebuilt(channels: Channels) -> list[tuple[Fraction, list[Fraction]]]:
    """The label law that the kernel draws from these channels."""

    def values(tables: torch.Tensor) -> list[Fraction]:
        return [
            sum((m * int(t) for m, t in zip(channels.magnitudes, column, strict=True)), Fraction(0))
            for column in tables.T.tolist()
        ]

    if channels.mixture is None:
        return [(Fraction(1), values(channels.tables))]
    share = Fraction(channels.mixture[0], PROBABILITY_ONE)
    return [(1 - share, values(channels.tables)), (share, values(channels.mixture[1]))]


def drawable(target: Target) -> bool:
    return all((p * PROBABILITY_ONE).denominator == 1 for p, _ in made(getattr, target, "components"))


@given(st.integers(1, 4).flatmap(targets))
def test_channels_reproduce_the_label_law_exactly(target: Target) -> None:
    if not drawable(target):
        with pytest.raises(ValueError, match="not a multiple of 2"):
            channels_of(target)
        return
    channels = channels_of(target)
    assert law(rebuilt(channels)) == law([(p, list(table)) for p, table in target.components])


@given(st.integers(1, 4).flatmap(targets).filter(drawable))
def test_weights_are_integers_in_the_ratio_of_the_magnitudes(target: Target) -> None:
    channels = channels_of(target)
    assert list(channels.magnitudes) == sorted(set(channels.magnitudes))
    assert all(m > 0 for m in channels.magnitudes)
    ratio = {Fraction(w) / m for w, m in zip(channels.weights, channels.magnitudes, strict=True)}
    assert len(ratio) == 1
    assert all(w >= 1 for w in channels.weights)
    # Every sample is in at most one class.
    tables = [channels.tables] + ([channels.mixture[1]] if channels.mixture else [])
    assert all(int(t.abs().sum(dim=0).max()) <= 1 for t in tables if t.numel())


@given(st.integers(1, 3).flatmap(targets).filter(drawable), st.integers(0, 2**32))
def test_gradients_are_the_exact_sums_up_to_one_positive_factor(target: Target, seed: int) -> None:
    channels = channels_of(target)
    C = len(channels.magnitudes)
    generator = np.random.default_rng(seed)
    sums = torch.from_numpy(generator.integers(-(10**6), 10**6, size=(2, 3, C, 1, 4)))
    exact = sum(m * sums.numpy()[:, :, c].astype(object) for c, m in enumerate(channels.magnitudes))
    weight = 1 if C == 1 else channels.weights[0]
    factor = Fraction(weight) / channels.magnitudes[0]
    assert bool((channels.gradient(sums) == exact * factor).all())


def test_gradients_beyond_64_bits_are_python_integers() -> None:
    channels = channels_of(Junta((Fraction(1, 3**20), Fraction(1, 2**40))))
    assert channels.weights == (2**40, 3**20) or channels.weights == (3**20, 2**40)
    large = 1 << 25  # times a weight of 2^40: beyond 64 bits, by little
    sums = torch.tensor([[[[[large, -large]], [[large - 1, 1]]]]])
    gradient = channels.gradient(sums)
    w = channels.weights
    assert gradient.tolist() == [[[[w[0] * large + w[1] * (large - 1), -w[0] * large + w[1]]]]]
    assert max(abs(v) for v in gradient.ravel().tolist()) > 2**63


def test_a_weight_beyond_64_bits_does_no_harm_where_no_unit_fires() -> None:
    channels = channels_of(Junta((Fraction(1, 3**45), Fraction(1, 2**70))))
    assert max(channels.weights) > 2**63
    gradient = channels.gradient(torch.zeros((1, 1, 2, 1, 3), dtype=torch.int64))
    assert gradient.tolist() == [[[[0, 0, 0]]]]


def test_a_target_that_is_zero_everywhere_has_one_channel_of_zeros() -> None:
    channels = channels_of(Junta((0, 0, 0, 0)))
    assert channels.tables.tolist() == [[0, 0, 0, 0]]
    assert channels.weights == (1,)


def test_one_channel_passes_sums_through() -> None:
    sums = torch.arange(12).reshape(2, 1, 1, 2, 3)
    assert channels_of(Parity(2)).gradient(sums).tolist() == sums[:, :, 0].tolist()
    assert channels_of(Parity(2)).weights == (1,)


@pytest.mark.parametrize("error", [Fraction(1, 4), Fraction(3, 4), Fraction(1, 1 << 64)])
def test_the_rarer_component_is_the_alternative(error: Fraction) -> None:
    mixture = channels_of(LeakyTeacher(2, error)).mixture
    assert mixture is not None
    assert mixture[0] == min(error, 1 - error) * PROBABILITY_ONE
    rarer = EqualTeacher((1, 1), "hard") if error < Fraction(1, 2) else Parity(2)
    assert mixture[1].tolist() == [list(map(int, rarer.table))]


def test_more_than_two_components_are_refused() -> None:
    class Three(type(Parity(1))):  # type: ignore[misc]
        components = ((Fraction(1, 4), (Fraction(1), Fraction(-1))),) * 2 + (
            (Fraction(1, 2), (Fraction(1), Fraction(1))),
        )

    with pytest.raises(ValueError, match="3 components is not supported"):
        channels_of(made(Three, 1))
