"""Every implementation against the definitions and against each other, and relations that any of them must obey."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels
from tests.kernels.cases import IMPLEMENTATIONS, Case, assert_same, make_case, naive

NATIVE = kernels.status().levels
WIDTHS = [*range(1, 71), 127, 128, 129, 200]
SAMPLES = [1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 512, 513, 4095, 4096, 4097, 8192, 9001]


def _check(case: Case, threads: int = 1) -> None:
    expected = case.run("reference")
    for level in NATIVE:
        assert_same(case.run(level, threads), expected)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("neurons", [1, 3, 130])
@pytest.mark.parametrize("probability", [None, 1, 2**63 + 12345, 2**64])
def test_definitions(implementation: str, neurons: int, probability: int | None) -> None:
    case = make_case(
        neurons, 9, 3, [5, 600, 4500], streams=2, neurons=neurons, classes=2, start=3, probability=probability
    )
    sums, active = naive(case)
    result = case.run(implementation)
    assert np.array_equal(result.sums.numpy(), sums)
    assert np.array_equal(result.active.numpy(), active)


@pytest.mark.parametrize("n", WIDTHS)
def test_every_width(n: int) -> None:
    """All levels at widths around the sizes of vectors and adder trees, few neurons and many in one call."""
    _check(make_case(n, n, min(n, 3), [700], neurons=3 + n % 2 * 257))


@pytest.mark.parametrize(
    "neurons", [1, 2, 47, 48, 49, 95, 96, 97, 127, 128, 129, 191, 192, 255, 256, 257, 400, 513]
)
def test_every_number_of_neurons(neurons: int) -> None:
    _check(make_case(neurons, 21, 2, [300], neurons=neurons, classes=2))


def test_every_sample_count_in_one_pass_and_alone() -> None:
    for neurons in (2, 128):
        case = make_case(1, 13, 3, SAMPLES, neurons=neurons)
        expected = case.run("reference")
        for level in NATIVE:
            assert_same(case.run(level), expected)
            for p, stop in enumerate(SAMPLES):
                alone = case.run(level, records=torch.tensor([stop]))
                assert torch.equal(alone.sums[0], expected.sums[p])
                assert torch.equal(alone.active[0], expected.active[p])


@pytest.mark.parametrize("n", [5, 6])
@pytest.mark.parametrize("neurons", [2, 130])
def test_every_threshold(n: int, neurons: int) -> None:
    for q in range(-1, n + 1):
        case = make_case(q + 1, n, 2, [999], neurons=neurons, q=q)
        _check(case)
        result = case.run()
        if q == -1:
            assert int(result.active.sum()) == 0
            assert int(result.sums.abs().sum()) == 0
        if q == n:
            assert result.active.eq(999).all()


@pytest.mark.parametrize("k", range(7))
@pytest.mark.parametrize("hard", [False, True])
def test_every_junta(k: int, hard: bool) -> None:
    _check(make_case(k, 17, k, [4100], classes=3, neurons=2, hard=hard))
    _check(make_case(k, 17, k, [600], classes=2, neurons=120, hard=hard, probability=2**62 + 1))


def test_juntas_on_ten_coordinates_and_the_parity_of_all() -> None:
    _check(make_case(10, 12, 10, [2000], classes=2, probability=2**64 - 1))
    parity = torch.tensor([[1 - 2 * (p.bit_count() & 1) for p in range(1024)]], dtype=torch.int8)
    _check(replace(make_case(11, 12, 10, [2000]), tables=parity))


def test_widest() -> None:
    """The largest n, thresholds at both ends; the first neurons alone take the way for few."""
    case = make_case(4095, 4095, 2, [65], neurons=97)
    case.q[0, :5] = torch.tensor([-1, 0, 2047, 4094, 4095])
    expected = case.run("reference")
    for level in NATIVE:
        assert_same(case.run(level), expected)
        few = case.run(level, weights=case.weights[:, :5], q=case.q[:, :5])
        assert torch.equal(few.sums, expected.sums[:, :, :, :5])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("neurons", [1, 130])
def test_threads_do_not_matter(threads: int, neurons: int) -> None:
    case = make_case(5, 10, 2, [100, 4096, 30000, 90001], streams=3, neurons=neurons, classes=2, start=77)
    expected = case.run(NATIVE[-1] if NATIVE else "reference")
    for level in NATIVE:
        assert_same(case.run(level, threads), expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 40),
    neurons=st.sampled_from([1, 2, 5, 100, 260]),
    classes=st.integers(1, 3),
    streams=st.integers(1, 2),
    start=st.integers(0, 9000),
    gaps=st.lists(st.integers(1, 3000), min_size=1, max_size=5),
    probability=st.one_of(st.none(), st.integers(0, 2**64)),
    data=st.data(),
)
@settings(max_examples=40)
def test_levels_agree_on_anything(
    seed: int,
    n: int,
    neurons: int,
    classes: int,
    streams: int,
    start: int,
    gaps: list[int],
    probability: int | None,
    data: st.DataObject,
) -> None:
    k = data.draw(st.integers(0, min(n, 5)))
    records = (start + np.cumsum(gaps)).tolist()
    _check(
        make_case(
            seed, n, k, records, streams=streams, neurons=neurons, classes=classes, start=start,
            probability=probability,
        ),
        threads=2,
    )  # fmt: skip


@given(
    seed=st.integers(0, 2**32 - 1),
    neurons=st.sampled_from([1, 100]),
    start=st.integers(0, 5000),
    first=st.integers(1, 9000),
    second=st.integers(1, 9000),
)
@settings(max_examples=40)
def test_a_split_segment_adds_up(seed: int, neurons: int, start: int, first: int, second: int) -> None:
    middle, stop = start + first, start + first + second
    case = make_case(seed, 11, 2, [middle, stop], neurons=neurons, start=start)
    whole = case.run()
    rest = case.run(start=middle, records=torch.tensor([stop]))
    assert torch.equal(whole.sums[0] + rest.sums[0], whole.sums[1])
    assert torch.equal(whole.active[0] + rest.active[0], whole.active[1])


@pytest.mark.skipif(len(NATIVE) == 0, reason="the extension is not built")
@pytest.mark.parametrize("level", NATIVE)
@pytest.mark.parametrize("neurons", [1, 300])
def test_long_runs_overflow_nothing(level: str, neurons: int) -> None:
    """Past the capacity of the vertical counters (2^21 samples at most): one thread takes 2^22 samples at a time, 16
    threads take 2^18.
    """
    stop = (1 << 25) + 12345
    case = make_case(3, 3, 2, [stop], neurons=neurons, q=3)
    total = case.run(level)
    assert_same(case.run(level, threads=16), total)
    assert total.active.eq(stop).all()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("neurons", [2, 98])
class TestRelations:
    """Changes of the arguments whose effect is known; the samples stay the same."""

    def test_label_signs(self, implementation: str, neurons: int) -> None:
        case = make_case(1, 10, 3, [500], neurons=neurons)
        flipped = case.run(implementation, tables=-case.tables)
        assert torch.equal(flipped.sums, -case.run(implementation).sums)

    def test_classes_are_independent(self, implementation: str, neurons: int) -> None:
        case = make_case(2, 10, 3, [500], neurons=neurons, classes=3)
        result = case.run(implementation)
        for c in range(3):
            assert torch.equal(
                case.run(implementation, tables=case.tables[c : c + 1]).sums[:, :, 0], result.sums[:, :, c]
            )

    def test_neurons_are_independent(self, implementation: str, neurons: int) -> None:
        case = make_case(3, 10, 3, [500], neurons=neurons)
        order = torch.randperm(neurons, generator=torch.Generator().manual_seed(0))
        permuted = case.run(implementation, weights=case.weights[:, order], q=case.q[:, order])
        result = case.run(implementation)
        assert torch.equal(permuted.sums, result.sums[:, :, :, order])
        assert torch.equal(permuted.active, result.active[:, :, order])

    def test_opposite_neurons_split_the_samples(self, implementation: str, neurons: int) -> None:
        """T of (w, q) and of (-w, n - 1 - q) are complements: their sums add to those of a unit that always fires."""
        case = make_case(4, 10, 3, [500], neurons=neurons)
        plus = case.run(implementation)
        minus = case.run(implementation, weights=-case.weights, q=case.n - 1 - case.q)
        always = case.run(implementation, q=torch.full_like(case.q, case.n))
        assert torch.equal(plus.sums + minus.sums, always.sums)
        assert (plus.active + minus.active).eq(500).all()

    def test_an_unlabelled_sample_counts_as_active_only(self, implementation: str, neurons: int) -> None:
        case = make_case(5, 10, 3, [500], neurons=neurons)
        silent = case.run(implementation, tables=torch.zeros_like(case.tables))
        assert int(silent.sums.abs().sum()) == 0
        assert torch.equal(silent.active, case.run(implementation).active)

    def test_equal_streams_share_samples(self, implementation: str, neurons: int) -> None:
        case = make_case(6, 10, 3, [500], neurons=neurons)
        twice = case.run(
            implementation,
            streams=case.streams.repeat(2),
            weights=case.weights.repeat(2, 1, 1),
            q=case.q.repeat(2, 1),
        )
        assert torch.equal(twice.sums[:, 0], twice.sums[:, 1])
        assert torch.equal(twice.sums[:, :1], case.run(implementation).sums)

    def test_mixture_extremes(self, implementation: str, neurons: int) -> None:
        case = make_case(7, 10, 3, [500], neurons=neurons)
        other = torch.flip(case.tables, (1,))
        assert_same(case.run(implementation, mixture=(0, other)), case.run(implementation))
        assert_same(
            case.run(implementation, mixture=(1 << 64, other)), case.run(implementation, tables=other)
        )
        assert_same(case.run(implementation, mixture=(12345 << 40, case.tables)), case.run(implementation))

    def test_parities(self, implementation: str, neurons: int) -> None:
        """Sums have the parity of the number of labelled active samples and are at most that many."""
        case = make_case(8, 10, 3, [1, 2, 501], neurons=neurons, hard=True)
        result = case.run(implementation)
        active = result.active[:, :, None, :, None]
        assert ((result.sums - active) % 2 == 0).all()
        assert (result.sums.abs() <= active).all()


@pytest.mark.skipif(len(NATIVE) == 0, reason="the extension is not built")
def test_strided_and_narrow_arguments_are_accepted() -> None:
    case = make_case(9, 12, 3, [300], neurons=4, streams=2)
    wide = torch.zeros((2, 4, 24), dtype=torch.int8)
    wide[:, :, ::2] = case.weights
    strided = case.run(
        weights=wide[:, :, ::2], q=case.q.to(torch.int32), tables=case.tables.flip(1).flip(1).T.contiguous().T
    )
    assert_same(strided, case.run("reference"))
