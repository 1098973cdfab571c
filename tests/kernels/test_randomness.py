"""The generators: published vectors, numpy's SFC64, the layout of blocks, exact laws of what is derived from them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels
from kernels import randomness
from tests.statistics import assert_mean, assert_proportion, assert_uniform

# Random123, kat_vectors: philox4x32 10
PHILOX = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), PHILOX)
def test_philox_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    c0, c1, c2, c3 = (torch.tensor(word) for word in counter)
    out = randomness.philox(key[0] | key[1] << 32, (c0, c1, c2, c3))
    assert tuple(int(word) for word in out) == expected


def _numpy_lanes(key: int, stream: int, block: int, first_call: int) -> list[np.random.SFC64]:
    words = [
        int(word)
        for call in range(first_call, first_call + 12)
        for word in randomness.philox(
            key,
            tuple(torch.tensor(c) for c in (call, block, stream & 0xFFFFFFFF, stream >> 32)),  # type: ignore[arg-type]
        )
    ]
    lanes = []
    for lane in range(8):
        w = words[6 * lane : 6 * lane + 6]
        generator = np.random.SFC64(0)
        state = np.array([w[0] | w[1] << 32, w[2] | w[3] << 32, w[4] | w[5] << 32, 1], dtype=np.uint64)
        generator.state = {
            "bit_generator": "SFC64", "state": {"state": state}, "has_uint32": 0, "uinteger": 0
        }  # fmt: skip
        generator.random_raw(12)
        lanes.append(generator)
    return lanes


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=30)
def test_inputs_are_numpys_sfc64_in_the_documented_order(key: int, stream: int, block: int, n: int) -> None:
    raw = np.stack([g.random_raw(8 * n) for g in _numpy_lanes(key, stream, block, 0)])  # [lane, step]
    x = kernels.draw_inputs(key, stream, n, 4096 * block, 4096 * (block + 1)).numpy()
    bits = (raw.reshape(8, 8, n, 1) >> np.arange(64, dtype=np.uint64)) & np.uint64(1)  # [lane, sub, i, bit]
    expected = 1 - 2 * bits.transpose(1, 0, 3, 2).reshape(4096, n).astype(np.int64)
    assert np.array_equal(x, expected)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**63 - 1),
    st.one_of(st.integers(1, 2**64 - 1), st.integers(0, 63).map(lambda d: 1 << d), st.just(2**64 - 1)),
)
@settings(max_examples=10)
def test_mixture_compares_a_64_bit_fraction_with_the_probability(
    key: int, stream: int, probability: int
) -> None:
    """The lazy comparison against whole 64-bit numbers, read off numpy's generator with unbounded integers."""
    picked = randomness.mixture_bits(key, torch.tensor([stream]), torch.tensor([3]), probability)[0].numpy()
    lanes = _numpy_lanes(key, stream, 3, 16)
    for sub in range(3):
        state = [g.state for g in lanes]
        raw = [[int(word) for word in g.random_raw(64)] for g in lanes]  # more digits than are consumed
        consumed = 0
        for sample in range(512):
            lane, bit = divmod(sample, 64)
            digits = [raw[lane][d] >> bit & 1 for d in range(64)]
            assert picked[512 * sub + sample] == (int("".join(map(str, digits)), 2) < probability)
            agree = [digit == probability >> (63 - d) & 1 for d, digit in enumerate(digits)]
            consumed = max(consumed, 64 if all(agree) else agree.index(False) + 1)
        for g, before in zip(lanes, state, strict=True):
            g.state = before
            g.random_raw(consumed)


@given(st.integers(1, 40), st.integers(0, 9000), st.integers(0, 5000), st.integers(0, 5000))
@settings(max_examples=25)
def test_inputs_do_not_depend_on_how_they_are_asked_for(n: int, start: int, first: int, second: int) -> None:
    whole = kernels.draw_inputs(11, 5, n, start, start + first + second)
    parts = [
        kernels.draw_inputs(11, 5, n, start, start + first),
        kernels.draw_inputs(11, 5, n, start + first, start + first + second),
    ]
    assert whole.dtype == torch.int8
    assert torch.equal(whole, torch.cat(parts))


def test_streams_keys_and_purposes_differ() -> None:
    seen = {
        tuple(kernels.draw_inputs(key, stream, 64, start, start + 1)[0].tolist())
        for key in (0, 1, 1 << 32, (1 << 64) - 1)
        for stream in (0, 1, 1 << 32, (1 << 63) - 1)
        for start in (0, 1, 64, 512, 4096, 8192)
    }
    signs = {tuple(kernels.draw_signs(key, stream, 64).tolist()) for key in (0, 1) for stream in (0, 1)}
    assert len(seen) == 96
    assert len(signs) == 4
    assert not seen & signs


def test_inputs_are_fair_and_pairwise_uncorrelated() -> None:
    """4 million bits: every coordinate's mean, neighbouring coordinates, samples, lanes, sub-blocks and blocks."""
    n, blocks = 64, 16
    x = kernels.draw_inputs(2024, 9, n, 0, 4096 * blocks).numpy().astype(np.int64)
    trials = x.size
    for claim, product in {
        "mean of an input": x,
        "adjacent coordinates": x[:, 1:] * x[:, :-1],
        "adjacent samples": x[1:] * x[:-1],
        "adjacent lanes": x[64:] * x[:-64],
        "adjacent sub-blocks": x[512:] * x[:-512],
        "adjacent blocks": x[4096:] * x[:-4096],
        "steps of two": x[:, 2:] * x[:, :-2],
    }.items():
        successes = int((product > 0).sum())
        assert_proportion(successes, product.size, 0.5, alternative=0.505, rate=1e-7, claim=claim)
    ones = (x > 0).sum(axis=0)
    assert_uniform(ones.tolist(), alternative=1.05 / n, rate=1e-7, claim="ones of each coordinate")
    assert trials == 4194304


def test_mixture_has_its_probability() -> None:
    blocks = torch.arange(64)
    for probability in (2**64 // 3, 2**60, 2**63):
        picked = randomness.mixture_bits(7, torch.zeros_like(blocks), blocks, probability)
        p = probability / 2**64
        assert_proportion(
            int(picked.sum()), picked.numel(), p, alternative=1.1 * p, rate=1e-7, claim="mixture"
        )


def test_signs_are_fair_and_their_prefixes_stable() -> None:
    signs = kernels.draw_signs(3, 4, 100_000)
    assert set(signs.tolist()) == {-1, 1}
    assert torch.equal(signs[:129], kernels.draw_signs(3, 4, 129))
    assert_proportion(int((signs > 0).sum()), 100_000, 0.5, alternative=0.515, rate=1e-7, claim="signs")


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 1 << 20, (1 << 63) - 1, 1 << 63])
def test_integers_cover_their_range(bound: int) -> None:
    values = kernels.draw_integers(3, 4, 1000, bound)
    assert values.dtype == torch.int64
    assert int(values.min()) >= 0
    assert int(values.max()) < bound
    assert torch.equal(values[:10], kernels.draw_integers(3, 4, 10, bound))
    scaled = sum(value / bound for value in values.tolist())
    if bound > 7:
        assert_mean(
            scaled, 1000, 0.5, 1 / 12, low=0, high=1, shift=0.12, rate=1e-7, claim="mean of integers"
        )  # fmt: skip


def test_integers_are_uniform() -> None:
    values = kernels.draw_integers(8, 1, 20_000, 5)
    counts = torch.bincount(values, minlength=5).tolist()
    assert_uniform(counts, alternative=0.23, rate=1e-7, claim="integers below 5")


def test_integers_reject_what_would_bias_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With words near 2^64, those in the incomplete last run of `bound` are drawn again."""
    words = iter([2**64 - 1, 2**64 - 2, 12, 13])

    def fake(key: int, counter: object) -> tuple[torch.Tensor, ...]:
        count = pending.pop(0)
        drawn = [next(words) for _ in range(count)]
        low, high = ([word & 0xFFFFFFFF for word in drawn], [word >> 32 for word in drawn])
        return torch.tensor(low), torch.tensor(high), torch.tensor(low), torch.tensor(high)

    pending = [3, 1]  # 2^64 - 1 is the only remainder of 5 * k - 1 for bound 5: 2^64 = 1 mod 5
    monkeypatch.setattr(randomness, "philox", fake)
    assert kernels.draw_integers(0, 0, 3, 5).tolist() == [13 % 5, (2**64 - 2) % 5, 12 % 5]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: kernels.draw_inputs(-1, 0, 3, 0, 1), r"key is -1, but must be in \[0, 2\^64\)\."),
        (lambda: kernels.draw_inputs(1 << 64, 0, 3, 0, 1), "key is 18446744073709551616, but"),
        (lambda: kernels.draw_inputs(0, -5, 3, 0, 1), r"stream is -5, but must be in \[0, 2\^63\)\."),
        (lambda: kernels.draw_inputs(0, 0, 0, 0, 1), "n is 0, but must be at least 1"),
        (lambda: kernels.draw_inputs(0, 0, 3, 5, 4), "samples 5 to 4 were asked for"),
        (lambda: kernels.draw_inputs(0, 0, 3, -1, 4), "samples -1 to 4 were asked for"),
        (lambda: kernels.draw_signs(0, 0, -1), "count is -1"),
        (lambda: kernels.draw_integers(0, 0, -1, 2), "count is -1"),
        (lambda: kernels.draw_integers(0, 0, 1, 0), r"bound is 0, but must be in \[1, 2\^63\]"),
    ],
)
def test_refusals_name_the_value(call: object, says: str) -> None:
    with pytest.raises(kernels.KernelValueError, match=says):
        call()  # type: ignore[operator]


def test_nothing_asked_nothing_drawn() -> None:
    assert kernels.draw_inputs(0, 0, 3, 7, 7).shape == (0, 3)
    assert kernels.draw_signs(0, 0, 0).shape == (0,)
    assert kernels.draw_integers(0, 0, 0, 3).shape == (0,)
