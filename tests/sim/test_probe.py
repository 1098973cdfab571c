"""Correlations with monomials against enumeration and by hand."""

import json
import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels
from kernels import Network
from sim import probe as module
from sim.errors import SimError
from sim.probe import DEFAULT_SAMPLES, READINGS, ProbeSpec, correlations, exact_correlations
from tests.sim.probe_cases import known_network, random_network
from tests.statistics import (
    assert_mean,
    assert_proportion,
    assert_proportion_at_least,
    assert_proportion_at_most,
    assert_uniform,
)

PROBABILITY, SIGN, LOGIT = range(3)
RATE = 1e-7


def naive(
    network: Network, inputs: np.ndarray, monomials: tuple[tuple[int, ...], ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Means over rows of inputs of each reading times each monomial, [3, R, monomials], and their standard errors."""
    w, b, a, c = (t.to(torch.float64).numpy() for t in network)
    hidden = np.maximum(np.einsum("rmn,sn->rms", w, inputs.astype(float)) + b[..., None], 0)
    f = np.einsum("rm,rms->rs", a, hidden) + c[:, None]
    chi = np.array([inputs[:, list(monomial)].prod(axis=1) for monomial in monomials], dtype=float)
    products = np.stack([np.tanh(f / 2), np.sign(f), f])[:, :, None] * chi
    return products.mean(axis=-1), products.std(axis=-1, ddof=1) / math.sqrt(len(inputs))


def value(spec: ProbeSpec, measured: module.Correlations, reading: int, *monomial: int) -> float:
    """One correlation of network 0."""
    return float(measured.values[reading, 0, spec.monomials.index(monomial)])


# Monomials
@given(st.integers(1, 12), st.data())
@settings(max_examples=40)
def test_monomials_are_what_they_are_said_to_be(n: int, data: st.DataObject) -> None:
    support = tuple(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=min(n, 4)))))
    k, off = len(support), data.draw(st.integers(0, 9))
    spec = ProbeSpec(n, support, key=data.draw(st.integers(0, 2**64 - 1)), off=off)
    assert spec.inside == tuple(t for d in range(k + 1) for t in combinations(support, d))
    kinds = [(kind, degree) for kind, degree, _ in spec.outside]
    assert len(set(kinds)) == len(kinds)
    groups = {(kind, degree): monomials for kind, degree, monomials in spec.outside}
    for degree in range(1, k + 1):
        all_off = {t for t in combinations(range(n), degree) if not set(t) & set(support)}
        all_in = set(combinations(support, degree))
        all_mixed = set(combinations(range(n), degree)) - all_off - all_in
        for kind, everything in (("off", all_off), ("mixed", all_mixed)):
            chosen = groups.get((kind, degree), ())
            assert len(chosen) == len(set(chosen)) == min(off, len(everything))
            assert set(chosen) <= everything
    assert len(set(spec.monomials)) == len(spec.monomials)
    assert ProbeSpec.from_spec(json.loads(json.dumps(spec.spec()))).monomials == spec.monomials


def test_each_monomial_is_equally_likely() -> None:
    keys = range(400)
    rejected = [ProbeSpec(8, (2,), key, off=1).outside[0][2][0][0] for key in keys]
    rest = (0, 1, 3, 4, 5, 6, 7)
    assert_uniform(
        [rejected.count(i) for i in rest], alternative=0.33, rate=RATE, claim="one of seven coordinates"
    )
    listed = sum((0,) in ProbeSpec(8, (2,), key, off=2).outside[0][2] for key in keys)
    assert_proportion(listed, 400, 2 / 7, alternative=0.5, rate=RATE, claim="two of seven coordinates")


# Correlations
def test_known_coefficients_by_enumeration() -> None:
    spec = ProbeSpec(5, (0, 1, 2), key=1, off=100)
    exact = exact_correlations(spec, known_network())
    expected = {(): 0.125, (1,): 0.5, (0, 2): 0.25}
    for i, monomial in enumerate(spec.monomials):
        assert float(exact.values[LOGIT, 0, i]) == expected.get(monomial, 0.0)
        assert float(exact.values[SIGN, 0, i]) == (1.0 if monomial == (1,) else 0.0)
    four = [(x, y, math.tanh((x / 2 + y / 4 + 1 / 8) / 2)) for x, y in product((-1, 1), repeat=2)]
    by_hand = {
        (): sum(g for _, _, g in four) / 4,
        (1,): sum(x * g for x, _, g in four) / 4,
        (0, 2): sum(y * g for _, y, g in four) / 4,
        (0, 1, 2): sum(x * y * g for x, y, g in four) / 4,
    }
    for i, monomial in enumerate(spec.monomials):
        assert float(exact.values[PROBABILITY, 0, i]) == pytest.approx(by_hand.get(monomial, 0.0), abs=1e-15)
    assert not exact.errors.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_known_coefficients_by_sampling(dtype: torch.dtype) -> None:
    spec = ProbeSpec(5, (0, 1, 2), key=20, samples=1 << 15, off=100)
    network = known_network(dtype=dtype)
    exact, measured = exact_correlations(spec, network), correlations(spec, network)
    for reading, monomial, bound in (
        (PROBABILITY, (1,), 1.0),
        (PROBABILITY, (0, 1, 2), 1.0),
        (LOGIT, (0, 2), 1.0),
        (LOGIT, (3,), 1.0),
        (SIGN, (0, 3, 4), 1.0),
    ):
        i = spec.monomials.index(monomial)
        truth = float(exact.values[reading, 0, i])
        assert_mean(
            float(measured.values[reading, 0, i]) * spec.samples, spec.samples, truth,
            float(exact.mean_squares[reading, 0]) - truth**2 + 1e-9, low=-bound, high=bound, shift=0.05, rate=RATE,
            claim=f"correlation {READINGS[reading]} with {monomial}",
        )  # fmt: skip
    assert value(spec, measured, SIGN, 1) == 1.0


@given(
    seed=st.integers(0, 99), n=st.integers(1, 9), r=st.integers(1, 3), samples=st.integers(2, 700),
    chunk=st.integers(1, 800), double=st.booleans(), data=st.data(),
)  # fmt: skip
@settings(max_examples=25)
def test_sampled_correlations_are_means_over_the_drawn_inputs(
    seed: int, n: int, r: int, samples: int, chunk: int, double: bool, data: st.DataObject
) -> None:
    support = tuple(sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=min(n, 4)))))
    spec = ProbeSpec(n, support, key=seed, stream=seed % 3, samples=samples, off=5)
    network = random_network(seed, r, 6, n, torch.float64 if double else torch.float32)
    inputs = kernels.draw_inputs(spec.key, spec.stream, n, 0, samples).numpy()
    measured = correlations(spec, network, chunk=max(chunk, samples // 20))
    means, errors = naive(network, inputs, spec.monomials)
    assert np.abs(measured.values.numpy() - means).max() < 2e-6
    assert np.abs(measured.errors.numpy() ** 2 - errors**2).max() < 4e-6


@given(seed=st.integers(0, 99), n=st.integers(1, 7))
@settings(max_examples=15)
def test_enumeration_is_the_mean_over_all_inputs(seed: int, n: int) -> None:
    spec = ProbeSpec(n, tuple(range(0, n, 2))[:3], key=seed, off=6)
    network = random_network(seed, 2, 5, n)
    inputs = np.array(list(product((-1, 1), repeat=n)))
    exact = exact_correlations(spec, network)
    assert np.abs(exact.values.numpy() - naive(network, inputs, spec.monomials)[0]).max() < 1e-13


def test_larger_enumerations_span_several_parts() -> None:
    spec = ProbeSpec(14, (0, 12, 13), key=1, off=3)
    network = random_network(1, 1, 3, 14)
    inputs = np.array(list(product((-1, 1), repeat=14)), dtype=np.int8)
    exact = exact_correlations(spec, network)
    assert np.abs(exact.values.numpy() - naive(network, inputs, spec.monomials)[0]).max() < 1e-12


def test_chunks_change_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAWN", 5000)
    spec = ProbeSpec(9, (1, 4, 8), key=4, samples=21_000, off=10)
    network = random_network(4, 2, 8, 9, torch.float32)
    whole, *others = (correlations(spec, network, chunk=chunk) for chunk in (21_000, 4096, 5000, 777, 30_000))
    for other in others:
        assert torch.equal(other.values[SIGN], whole.values[SIGN])
        assert (other.values - whole.values).abs().max() < 1e-6
        assert (other.errors - whole.errors).abs().max() < 1e-6
    seen: list[int] = []
    correlations(spec, network, chunk=9000, progress=seen.append)
    assert seen == [9000, 18_000, 21_000]


def test_threads_and_repetition_change_nothing() -> None:
    spec = ProbeSpec(9, (1, 4), key=4, samples=3000, off=10)
    network = random_network(4, 2, 8, 9, torch.float32)
    first = correlations(spec, network)
    assert torch.equal(first.values, correlations(spec, network, threads=2).values)
    for other in (ProbeSpec(9, (1, 4), 5, 0, 3000, 10), ProbeSpec(9, (1, 4), 4, 1, 3000, 10)):
        assert not torch.equal(first.values[..., :4], correlations(other, network).values[..., :4])


@given(seed=st.integers(0, 99))
@settings(max_examples=10)
def test_symmetries(seed: int) -> None:
    n, spec = 6, ProbeSpec(6, (0, 2, 5), key=1, off=50)
    w, b, a, c = network = random_network(seed, 1, 4, n)
    values = exact_correlations(spec, network).values
    odd = Network(torch.cat([w, -w], 1), torch.cat([b, b], 1), torch.cat([a, -a], 1), 0 * c)
    even = torch.tensor([len(m) % 2 == 0 for m in spec.monomials])
    of_odd = exact_correlations(spec, odd).values
    assert of_odd[[PROBABILITY, LOGIT]][..., even].abs().max() < 1e-15
    assert of_odd[..., ~even].abs().max() > 1e-3
    assert torch.allclose(exact_correlations(spec, Network(w, b, -a, -c)).values, -values, atol=1e-14, rtol=0)
    moved = torch.tensor([3, 1, 4, 0, 2, 5])  # coordinate i of the old network is moved[i] of the new one
    renamed = torch.empty_like(w)
    renamed[..., moved] = w
    everything = ProbeSpec(6, (0, 1, 2, 3, 4, 5), key=1)
    new, old = (
        exact_correlations(everything, Network(renamed, b, a, c)),
        exact_correlations(everything, network),
    )
    for i, monomial in enumerate(everything.monomials):
        j = everything.monomials.index(tuple(sorted(int(moved[x]) for x in monomial)))
        assert torch.allclose(new.values[..., j], old.values[..., i], atol=1e-14, rtol=0)


def test_standard_errors_are_calibrated() -> None:
    # Each network sees three coordinates of its own, so that estimates of one stream are independent.
    small, networks, streams, inside = random_network(3, 10, 6, 3), 10, 40, 0
    w = torch.zeros((networks, 6, 3 * networks), dtype=torch.float64)
    for r in range(networks):
        w[r, :, 3 * r : 3 * r + 3] = small.W[r]
    truth = exact_correlations(ProbeSpec(3, (0, 1), key=9), small).values[PROBABILITY, :, 1]
    for stream in range(streams):
        spec = ProbeSpec(3 * networks, (0,), 9, stream, samples=512, off=3 * networks)
        at = torch.tensor([spec.monomials.index((3 * r,)) for r in range(networks)])
        measured = correlations(spec, small._replace(W=w))
        values, errors = (
            t[PROBABILITY].gather(1, at[:, None])[:, 0] for t in (measured.values, measured.errors)
        )
        inside += int(((values - truth).abs() <= 0.6745 * errors).sum())
    # Half of the estimates, up to what 512 samples are short of a normal law; of errors half or twice as large
    # 26 % or 82 %.
    claim, trials = "half of the estimates lie within 0.67 standard errors", networks * streams
    assert_proportion_at_least(inside, trials, 0.47, alternative=0.26, rate=RATE, claim=claim)
    assert_proportion_at_most(inside, trials, 0.53, alternative=0.82, rate=RATE, claim=claim)


def test_the_default_separates_two_thousandths_from_one_hundredth() -> None:
    assert (0.01 - 0.002) * math.sqrt(DEFAULT_SAMPLES) > 8
    w, b, a, c = known_network(n=4, dtype=torch.float32)
    spec = ProbeSpec(4, (0, 1), key=1)
    measured = correlations(spec, Network(w, b, 200 * a, 200 * c), chunk=1 << 16)  # |g| is 1: the worst case
    assert measured.samples == DEFAULT_SAMPLES
    assert 0.00097 < float(measured.errors[:2].max()) <= 0.001
    assert_mean(
        value(spec, measured, PROBABILITY, 0) * spec.samples, spec.samples, 0.0, 1.0, low=-1, high=1, shift=0.008,
        rate=2e-6, power=0.98, claim="a correlation that is zero",
    )  # fmt: skip


def test_infinite_logits_are_not_a_number_and_harm_nobody_else() -> None:
    spec = ProbeSpec(5, (0, 2), key=2, samples=500, off=3)
    w, b, a, c = random_network(1, 3, 4, 5, torch.float32)
    a[1] = math.inf
    broken = correlations(spec, Network(w, b, a, c))
    assert broken.values[:, 1].isnan().all()
    assert broken.errors[:, 1].isnan().all()
    a[1] = 0
    whole = correlations(spec, Network(w, b, a, c))
    assert torch.equal(broken.values[:, [0, 2]], whole.values[:, [0, 2]])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"support": ()}, "support of 0 coordinates is refused: use 1 to 12"),
        ({"support": tuple(range(13))}, "support of 13 coordinates"),
        ({"support": (2, 1)}, r"support \(2, 1\) is refused: use increasing coordinates in 0..19"),
        ({"support": (1, 1)}, r"support \(1, 1\) is refused"),
        ({"support": (1, 20)}, r"support \(1, 20\) is refused"),
        ({"support": (-1, 2)}, r"support \(-1, 2\) is refused"),
        ({"key": 1 << 64}, "key 18446744073709551616 is refused"),
        ({"stream": -1}, "stream -1 is refused"),
        ({"samples": 1}, "1 samples are refused: use 2 to"),
        ({"off": -1}, "-1 monomials off the support are refused"),
    ],
)
def test_specs_refused(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(SimError, match=sentence):
        ProbeSpec(**({"n": 20, "support": (1, 2), "key": 0} | arguments))  # type: ignore[arg-type]


def test_other_refusals() -> None:
    spec, network = ProbeSpec(21, (0,), key=0, samples=10), random_network(0, 1, 2, 21)
    with pytest.raises(SimError, match="dimension 5 is refused: this probe has n = 21"):
        correlations(spec, random_network(0, 1, 2, 5))
    with pytest.raises(SimError, match="chunk of 0 samples"):
        correlations(spec, network, chunk=0)
    with pytest.raises(SimError, match=r"2\^21 inputs are refused"):
        exact_correlations(spec, network)
