"""Correlations with monomials against enumeration and by hand; where the transition and the peak are found."""

import json
import math
from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

import kernels
from kernels import Network
from sim import probe as module
from sim.errors import SimError
from sim.probe import (
    DEFAULT_SAMPLES,
    LEVELS,
    READINGS,
    Group,
    Point,
    Probes,
    ProbeSpec,
    Reading,
    correlations,
    exact_correlations,
    find_peak,
    find_transition,
    probe,
)
from tests.statistics import (
    assert_mean,
    assert_proportion,
    assert_proportion_at_least,
    assert_proportion_at_most,
    assert_uniform,
)

PROBABILITY, SIGN, LOGIT = range(3)
RATE = 1e-7


def random_network(seed: int, r: int, m: int, n: int, dtype: torch.dtype = torch.float64) -> Network:
    """Networks whose logits are of order one."""
    generator = torch.Generator().manual_seed(seed)
    shapes = ((r, m, n), (r, m), (r, m), (r,))
    w, b, a, c = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return Network(w / math.sqrt(n), b, a / math.sqrt(m), c)


def known_network(n: int = 5, dtype: torch.dtype = torch.float64) -> Network:
    """f(x) = x_1 / 2 + x_0 x_2 / 4 + 1 / 8, from x = relu(x) - relu(-x) and x y = relu(x + y) + relu(-x - y) - 1."""
    w = torch.zeros((1, 4, n), dtype=dtype)
    w[0, 0, 1], w[0, 1, 1] = 1, -1
    w[0, 2, [0, 2]], w[0, 3, [0, 2]] = 1, -1
    a = torch.tensor([[0.5, -0.5, 0.25, 0.25]], dtype=dtype)
    return Network(w, torch.zeros((1, 4), dtype=dtype), a, torch.tensor([-0.25 + 0.125], dtype=dtype))


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


# Records


def test_points_of_a_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ProbeSpec(6, (1, 3), key=7, samples=900, off=4)
    small = [(10 * i, random_network(i, 1 + i % 2, 4, 6, torch.float32)) for i in range(5)]
    networks = [*small, (60, random_network(9, 1, 7, 6, torch.float32)), (70, random_network(9, 1, 7, 6))]
    calls: list[tuple[int, int]] = []
    together = probe(spec, networks, progress=lambda points, samples: calls.append((points, samples)))
    assert [(p.step, p.replicate) for p in together.points] == [
        (step, r) for step, network in networks for r in range(network.W.shape[0])
    ]
    assert calls == [(0, 900), (7, 900), (8, 900)]  # one pass for the networks of one shape and type
    for point in together.points:
        network = Network(*(t[point.replicate, None] for t in dict(networks)[point.step]))
        alone = correlations(spec, network)
        for g, name in enumerate(READINGS):
            reading = point.readings[name]
            assert reading.values == pytest.approx(alone.values[g, 0, :4].tolist(), rel=1e-5, abs=1e-6)
            assert reading.errors == pytest.approx(alone.errors[g, 0, :4].tolist(), rel=1e-5, abs=1e-6)
            outside = alone.values[g, 0, 4:].abs()
            assert [(group.kind, group.degree) for group in reading.groups] == [
                ("off", 1),
                ("off", 2),
                ("mixed", 2),
            ]
            for group, part, errors in zip(
                reading.groups, outside.split(4), alone.errors[g, 0, 4:].split(4), strict=True
            ):
                assert group.count == 4
                assert group.mean == pytest.approx(float(part.mean()), abs=1e-6)
                assert group.largest == pytest.approx(float(part.max()), abs=1e-6)
                assert part.min() - 1e-6 <= group.low <= group.high <= part.max() + 1e-6
                excess = max(0.0, float((part**2 - errors**2).mean())) ** 0.5
                assert group.excess == pytest.approx(excess, abs=1e-3)
    values = json.loads(json.dumps(together.to_json(), allow_nan=False))
    assert Probes.from_json(values) == together
    trace = together.degree(1, "sign", replicate=1)
    assert trace.steps.tolist() == [10, 30]
    assert trace.monomials == ((1,), (3,))
    assert trace.values[0].tolist() == list(together.points[2].readings["sign"].values[1:3])
    assert trace.groups[0]["off"].count == 4
    monkeypatch.setattr(module, "BATCH", 50)
    again: list[tuple[int, int]] = []
    apart = probe(spec, networks, progress=lambda points, samples: again.append((points, samples)))
    assert len(again) > len(calls)
    assert [p.step for p in apart.points] == [p.step for p in together.points]


def test_networks_are_taken_one_pass_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 24)
    alive = []

    def trajectory() -> Iterator[tuple[int, Network]]:
        for step in range(4):
            alive.append(step)
            yield step, random_network(step, 1, 4, 6)

    done: list[int] = []
    spec = ProbeSpec(6, (1,), key=7, samples=10)
    probe(spec, trajectory(), progress=lambda points, samples: done.append(len(alive) - points))
    assert done == [2, 2, 2, 1]  # the one at hand, and the next, which did not fit


def test_a_diverged_network_is_null_in_json() -> None:
    w, b, a, c = random_network(1, 1, 4, 6)
    probes = probe(ProbeSpec(6, (1,), key=7, samples=10), [(0, Network(w * math.nan, b, a, c))])
    values = probes.to_json()
    text = json.dumps(values, allow_nan=False)
    assert values["points"][0]["readings"]["sign"]["values"] == [None, None]
    back = Probes.from_json(json.loads(text))
    assert all(math.isnan(v) for v in back.points[0].readings["logit"].values)
    assert find_peak(back) is None
    assert find_peak(Probes(probes.spec, ())) is None


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
    probes = probe(spec, [(0, network)])
    with pytest.raises(SimError, match="reading 'p' is unknown: use one of probability, sign, logit"):
        probes.degree(1, "p")
    with pytest.raises(SimError, match=r"alpha 0\.0 is refused"):
        find_peak(probes, alpha=0.0)
    values = probes.to_json()
    for broken in (
        {},
        {"spec": values["spec"], "points": [{}]},
        {"spec": {}, "points": []},
        {"points": None},
    ):
        with pytest.raises(SimError, match="no probe"):
            Probes.from_json(broken)


# The transition

STEPS = tuple(range(0, 6000, 100))
TRUE = tuple(0.5 + 0.5 / (1 + math.exp(-(s - 3020) / 150)) for s in STEPS)


def true_crossing(level: float) -> int:
    return next(s for s, a in zip(STEPS, TRUE, strict=True) if a >= level)


def test_a_clean_curve() -> None:
    found = find_transition(STEPS, TRUE, evaluations=10**9)
    assert [c.level for c in found.crossings] == list(LEVELS)
    for crossing in found.crossings:
        assert crossing.step == crossing.low == crossing.high == true_crossing(crossing.level)
        assert crossing.confirmed
    assert (found.start, found.end) == (true_crossing(0.55) - 100, true_crossing(0.95))


def test_the_interval_is_as_documented() -> None:
    steps = range(2500, 3500)
    curve = [0.5 + (s - 2500) / 2000 for s in steps]
    d = math.sqrt(math.log(2 * 1000 / 0.05) / (2 * 4096))
    crossing = find_transition(steps, curve).crossings[1]
    assert crossing.step == 3000
    assert crossing.low == next(s for s, a in zip(steps, curve, strict=True) if a >= 0.75 - d)
    assert crossing.high == next(s for s, a in zip(steps, curve, strict=True) if a >= 0.75 + d)


def test_only_lasting_crossings_count() -> None:
    steps = range(10)
    spike = [0.5, 0.9, 0.9, 0.5, 0.5, 0.8, 0.8, 0.8, 0.5, 0.5]
    found = find_transition(steps, spike, evaluations=10**9)
    assert [(c.level, c.step, c.confirmed) for c in found.crossings] == [(0.55, 5, True), (0.75, 5, True)]
    assert (found.start, found.end) == (4, None)
    once = find_transition(steps, spike, evaluations=10**9, persistence=1)
    assert [c.step for c in once.crossings] == [1, 1]
    late = find_transition(steps, [0.5] * 8 + [0.97] * 2, evaluations=10**9)
    assert [(c.step, c.confirmed) for c in late.crossings] == [(8, False)] * 3
    gap = find_transition(steps, [0.5, 0.97, math.nan, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97])
    assert [c.step for c in gap.crossings] == [3, 3, 3]


def test_curves_without_a_transition() -> None:
    for curve in ([], [0.5], [0.5] * 20, [math.nan] * 20):
        found = find_transition(range(len(curve)), curve)
        assert (found.crossings, found.start, found.end) == ((), None, None)
    from_the_start = find_transition([7, 8, 9], [1.0, 1.0, 1.0])
    assert (from_the_start.start, from_the_start.end) == (7, 7)
    assert all(c.low == c.high == 7 for c in from_the_start.crossings[:2])
    assert from_the_start.crossings[2].high == 7


@pytest.mark.parametrize("shared", [False, True], ids=["fresh evaluations", "the same evaluations"])
def test_intervals_hold_as_often_as_declared(shared: bool) -> None:
    generator, trials, missed, n, alpha = np.random.default_rng(5), 300, 0, 256, 0.05
    for _ in range(trials):
        uniform = generator.random((1 if shared else len(STEPS), n))
        curve = (uniform <= np.array(TRUE)[:, None]).mean(axis=1).tolist()
        found = find_transition(STEPS, curve, evaluations=n, alpha=alpha)
        missed += not all(
            c.low <= true_crossing(c.level) and (c.high is None or true_crossing(c.level) <= c.high)
            for c in found.crossings
        )
        assert len(found.crossings) == 3
    assert_proportion_at_most(
        missed, trials, alpha, alternative=0.2, rate=RATE, claim="intervals of the crossings"
    )


def test_a_student_at_chance_raises_no_alarm() -> None:
    generator, trials, t = np.random.default_rng(6), 500, 100
    curves = generator.binomial(4096, 0.5, (trials, t)) / 4096
    alarms = sum(bool(find_transition(range(t), curve.tolist(), persistence=1).crossings) for curve in curves)
    bound = t * float(binom.sf(math.ceil(0.55 * 4096) - 1, 4096, 0.5))
    assert bound < 1e-7
    assert_proportion_at_most(
        alarms, trials, 1e-7, alternative=0.02, rate=1e-6, claim="false alarms at chance"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"accuracies": [0.5]}, "2 steps with 1 accuracies"),
        ({"steps": [1, 1]}, "use increasing steps"),
        ({"evaluations": 0}, "0 evaluations"),
        ({"persistence": 0}, "persistence 0"),
        ({"alpha": 1.0}, "alpha 1.0"),
        ({"levels": ()}, "levels"),
        ({"levels": (0.7, 0.6)}, "levels"),
        ({"levels": (0.7, 1.0)}, "levels"),
        ({"accuracies": [0.5, 50.0]}, "50.0 are refused"),
    ],
)
def test_curves_refused(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(SimError, match=sentence):
        find_transition(**({"steps": [1, 2], "accuracies": [0.5, 0.6]} | arguments))  # type: ignore[arg-type]


# The peak


def synthetic(means: np.ndarray, errors: np.ndarray, steps: tuple[int, ...], replicate: int = 0) -> Probes:
    """Probes of k = 2 whose degree-1 correlations are given, [steps, 2]."""
    points = []
    for step, values, error in zip(steps, means, errors, strict=True):
        reading = Reading((0.0, *map(float, values), 0.0), (error, *(error,) * 2, error), ())
        points.append(Point(step, replicate, dict.fromkeys(READINGS, reading)))
    return Probes(ProbeSpec(9, (0, 1), key=0), tuple(points))


def test_the_peak_and_its_interval() -> None:
    steps = (10, 20, 30, 40, 50, 60)
    height = np.array([0.0, 0.02, 0.0895, 0.09, 0.05, math.nan])
    values = np.stack([height, -height], axis=1)
    peak = find_peak(synthetic(values, np.full(6, 1e-3), steps))
    assert peak is not None
    assert (peak.step, peak.low, peak.high) == (40, 30, 40)
    assert peak.value == pytest.approx(0.09)
    assert peak.error == pytest.approx(1e-3)
    sharp = find_peak(synthetic(values, np.full(6, 1e-5), steps))
    assert sharp is not None
    assert (sharp.low, sharp.high) == (40, 40)
    blunt = find_peak(synthetic(values, np.full(6, 1e-1), steps))
    assert blunt is not None
    assert (blunt.low, blunt.high) == (10, 50)
    assert find_peak(synthetic(values, np.full(6, 1e-3), steps), replicate=1) is None


def test_the_peaks_interval_holds_as_often_as_declared() -> None:
    generator, trials, missed, error = np.random.default_rng(7), 300, 0, 0.02
    steps = tuple(range(40))
    truth = 0.09 * np.exp(-(((np.arange(40) - 21) / 6) ** 2))
    for _ in range(trials):
        noisy = truth[:, None] * [1, -1] + error * generator.standard_normal((40, 2))
        peak = find_peak(synthetic(noisy, np.full(40, error), steps), alpha=0.05)
        assert peak is not None
        assert peak.low <= peak.step <= peak.high
        missed += not peak.low <= 21 <= peak.high
    assert_proportion_at_most(missed, trials, 0.05, alternative=0.2, rate=RATE, claim="interval of the peak")


def test_groups_join_the_trace_of_their_degree() -> None:
    groups = (Group("off", 1, 2, 0.1, 0.0, 0.2, 0.2, 0.1), Group("mixed", 2, 2, 0.3, 0.0, 0.4, 0.4, 0.1))
    reading = Reading((0.0,) * 4, (0.0,) * 4, groups)
    probes = Probes(ProbeSpec(9, (0, 1), key=0), (Point(1, 0, dict.fromkeys(READINGS, reading)),))
    assert probes.degree(1).groups == ({"off": groups[0]},)
    assert probes.degree(2).groups == ({"mixed": groups[1]},)
