"""The core property: the simulation agrees with the theory wherever the theory speaks.

Integer gradient sums of the kernel over many independent streams are held against the exact law of one sample
(`theory.gradient.FirstStepLaw`); success rates are in `test_success_rates`.
Every check is also run on planted faults, which it must notice.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import kernels
from sim.channels import Channels, channels_of
from tests.statistics import (
    StatisticalFailure,
    assert_mean,
    assert_proportion,
)
from theory.gradient import FirstStepLaw
from theory.targets import EqualTeacher, Junta, LeakyTeacher, LowDegree, Parity, Target, leaky_error
from theory.walsh import suggested_count, threshold_count, threshold_tau

RATE = 1e-8
STREAMS, SEGMENTS, LENGTH = 64, 2000, 8

Segments = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """One neuron: n, its threshold count, its signs on the support (the first k it has), and the labels."""

    n: int
    q: int
    target: Target
    support: tuple[int, ...]

    @property
    def weights(self) -> npt.NDArray[np.int64]:
        return kernels.draw_signs(12345, self.n, self.n).numpy().astype(np.int64)

    @property
    def outside(self) -> list[int]:
        return [i for i in range(self.n) if i not in self.support]

    @property
    def law(self) -> FirstStepLaw:
        signs = tuple(int(self.weights[i]) for i in self.support)
        return FirstStepLaw(self.n, self.q, self.target, signs)


def middle(n: int) -> int:
    return threshold_count(n, 0)


CASES = {
    "parity": Case(9, middle(9), Parity(2), (0, 5)),
    "parity, n even": Case(10, middle(10), Parity(2), (3, 9)),
    "parity, k = 4": Case(13, middle(13), Parity(4), (1, 2, 7, 12)),
    "parity, k odd, biased": Case(11, suggested_count(11, 3), Parity(3), (0, 4, 10)),
    "parity, bias -2": Case(8, threshold_count(8, -2), Parity(2), (6, 7)),
    "parity, n > 64": Case(67, middle(67), Parity(2), (62, 65)),
    "leaky hard": Case(12, middle(12), LeakyTeacher(2, leaky_error(12, Fraction(1, 2))), (2, 8)),
    "leaky hard, k odd, biased": Case(
        9, threshold_count(9, 3), LeakyTeacher(3, Fraction(3, 4), (1, -1, 1)), (0, 1, 8)
    ),
    "leaky logits": Case(10, middle(10), LeakyTeacher(2, Fraction(1, 3), (-1, 1), "logits"), (0, 9)),
    "equal logits": Case(11, middle(11), EqualTeacher((1, 1, -1, 1)), (1, 3, 5, 7)),
    "equal hard": Case(10, middle(10), EqualTeacher((1, 1, 1, 1), "hard"), (0, 2, 4, 6)),
    "low-degree 2, biased": Case(9, threshold_count(9, 2), LowDegree(3, 2), (2, 3, 4)),
    "junta": Case(8, middle(8), Junta((Fraction(1, 3), -2, 0, Fraction(5, 7))), (1, 6)),
}


KEY = 987654321


def segments(
    case: Case,
    channels: Channels,
    *,
    length: int = LENGTH,
    count: int = SEGMENTS,
    streams: Sequence[int] = range(STREAMS),
) -> Segments:
    """Gradient sums of disjoint runs of `length` samples, times the neuron's weights: [count, streams, n]."""
    sums = kernels.first_step(
        KEY,
        torch.tensor(list(streams)),
        torch.from_numpy(case.weights.astype(np.int8)).expand(len(streams), 1, case.n),
        torch.full((len(streams), 1), case.q),
        torch.tensor(case.support),
        channels.tables,
        records=torch.arange(length, length * count + 1, length),
        mixture=channels.mixture,
    ).sums
    totals = channels.gradient(sums)[:, :, 0]
    return np.diff(totals, axis=0, prepend=np.zeros_like(totals[:1])) * case.weights


Change = Callable[[npt.NDArray[np.int8]], npt.NDArray[np.int8]]


def dense_segments(case: Case, change: Change) -> Segments:
    """The same for +-1 labels, densely from the kernel's own samples after a change of them."""
    result = []
    patterns = 1 << np.arange(len(case.support))
    labels = np.array([int(v) for v in case.target.table])
    for stream in range(STREAMS):
        x = change(kernels.draw_inputs(KEY, stream, case.n, 0, SEGMENTS * LENGTH).numpy()).astype(np.int64)
        active = (x * case.weights == -1).sum(axis=1) <= case.q
        label = labels[(x[:, case.support] == -1) @ patterns]
        result.append(((active * label)[:, None] * x).reshape(SEGMENTS, LENGTH, case.n).sum(axis=1))
    return np.stack(result, axis=1) * case.weights


def unit_of(channels: Channels) -> Fraction:
    """A gradient is this many times the exact one."""
    return Fraction(1 if len(channels.weights) == 1 else channels.weights[0]) / channels.magnitudes[0]


def check_moments(
    law: FirstStepLaw, case: Case, measured: Segments, unit: Fraction, rate: float = RATE
) -> None:
    """Means, variances and covariances of the gradient sums against the law, each times the neuron's weights."""
    count = measured.shape[0] * measured.shape[1]
    values = measured.reshape(count, case.n).astype(float) / float(unit)
    w = case.weights
    bound, square = float(law.target.sup_norm), float(law.second_moment)
    deviation = square**0.5
    means = {i: float(law.mean_in[t]) * int(w[i]) for t, i in enumerate(case.support)}
    means |= dict.fromkeys(case.outside, float(law.mean_out))

    def mean(total: float, expected: float, claim: str) -> None:
        assert_mean(
            total, count * LENGTH, expected, square, low=-bound, high=bound, shift=0.015 * deviation, rate=rate,
            claim=claim,
        )  # fmt: skip

    for i in [*case.support, case.outside[0], case.outside[-1]]:
        mean(values[:, i].sum(), means[i], f"mean at {i}")
    # One variable a sample again: the average over all coordinates off the support.
    mean(values[:, case.outside].mean(axis=1).sum(), float(law.mean_out), "mean off the support")

    spread = bound + max(map(abs, means.values()))
    centred = {i: values[:, i] - LENGTH * means[i] for i in means}

    def product(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], expected: float, claim: str) -> None:
        # For sums S of L centred terms: |S S'| / L <= L spread^2, and E[(S S' / L)^2] <= E[S^4] / L^2.
        second = spread**2 * square / LENGTH + 3 * square**2
        assert_mean(
            float(a @ b) / LENGTH, len(a), expected, second, low=-LENGTH * spread**2, high=LENGTH * spread**2,
            shift=0.14 * square * (count / len(a)) ** 0.5, rate=rate, claim=claim,
        )  # fmt: skip

    for s, i in enumerate(case.support):
        for t, j in enumerate(case.support[: s + 1]):
            product(
                centred[i],
                centred[j],
                float(law.covariance_in[s][t]) * int(w[i] * w[j]),
                f"covariance {i}, {j}",
            )
        for o in (case.outside[0], case.outside[-1]):
            product(
                centred[i],
                centred[o],
                float(law.covariance_cross[s]) * int(w[i]),
                f"covariance {i}, {o} (out)",
            )
    first, last = case.outside[0], case.outside[-1]
    product(centred[first], centred[first], float(law.variance_out), "variance off the support")
    product(centred[first], centred[last], float(law.covariance_out), "covariance off the support")
    # Streams, and successive runs of samples in one stream, are independent.
    for i in (case.support[0], first):
        by_stream = centred[i].reshape(measured.shape[:2])
        pairs = by_stream[:, ::2].ravel(), by_stream[:, 1::2].ravel()
        product(*pairs, 0.0, f"streams at {i}")
        product(by_stream[::2].ravel(), by_stream[1::2].ravel(), 0.0, f"successive runs at {i}")


def check_pair_law(
    law: FirstStepLaw, case: Case, measured: Segments, unit: Fraction, rate: float = RATE
) -> None:
    """The joint law of single samples on and off the support, atom by atom."""
    trials = measured.shape[0] * measured.shape[1]
    values = measured.reshape(trials, case.n)
    for t, i in enumerate(case.support):
        expected = {
            (z * int(case.weights[i]) * unit, o * unit): float(p) for (z, o), p in law.pair_law(t).items()
        }
        for out in (case.outside[0], case.outside[-1]):
            atoms, counts = np.unique(values[:, [i, out]], axis=0, return_counts=True)
            seen = {
                (Fraction(a), Fraction(b)): int(c) for (a, b), c in zip(atoms.tolist(), counts, strict=True)
            }
            assert set(seen) <= set(expected), "a value that theory excludes"
            for atom, p in expected.items():
                assert_proportion(
                    seen.get(atom, 0),
                    trials,
                    p,
                    alternative=p + 0.02,
                    rate=rate,
                    claim=f"atom {atom} at {i}, {out}",
                )


@pytest.mark.parametrize("name", CASES)
def test_gradient_sums_have_the_moments_of_the_law(name: str) -> None:
    case = CASES[name]
    channels = channels_of(case.target)
    check_moments(case.law, case, segments(case, channels), unit_of(channels))


@pytest.mark.parametrize("name", CASES)
def test_single_samples_have_the_joint_law(name: str) -> None:
    case = CASES[name]
    channels = channels_of(case.target)
    singles = segments(case, channels, length=1, count=2000, streams=range(24))
    check_pair_law(case.law, case, singles, unit_of(channels), rate=RATE / 10)


@pytest.mark.parametrize("name", CASES)
def test_neurons_are_active_as_often_as_the_law_says(name: str) -> None:
    case = CASES[name]
    B, R = 1 << 14, 8
    active = kernels.first_step(
        5,
        torch.arange(R),
        torch.from_numpy(case.weights.astype(np.int8)).expand(R, 1, case.n),
        torch.full((R, 1), case.q),
        torch.tensor(case.support),
        channels_of(case.target).tables,
        records=torch.tensor([B]),
    ).active
    tau0 = float(case.law.tau0)
    assert_proportion(int(active.sum()), B * R, tau0, alternative=tau0 + 0.02, rate=RATE, claim="active")


# Planted faults. Each takes (case, channels) to segments or a law as they would be with the fault.


def sign_flipped(channels: Channels) -> Channels:
    tables = channels.tables.clone()
    tables[0, 0] *= -1
    return dataclasses.replace(channels, tables=tables)


def _mixture_doubled(channels: Channels) -> Channels:
    assert channels.mixture is not None
    return dataclasses.replace(channels, mixture=(2 * channels.mixture[0], channels.mixture[1]))


def _mixture_dropped(channels: Channels) -> Channels:
    return dataclasses.replace(channels, mixture=None)


def _biased_bits(x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """P(x = -1) is 0.51."""
    thinned = np.random.default_rng(0).random(x.shape) < 0.02
    return np.where(thinned, np.int8(-1), x)


def _dependent_bits(x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Coordinate 1 is coordinate 0 in every tenth sample."""
    changed = x.copy()
    changed[::10, 1] = x[::10, 0]
    return changed


def _runs_that_repeat(x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """The second half of every 16 samples repeats the first."""
    return x.reshape(-1, 2, LENGTH, x.shape[1])[:, [0, 0]].reshape(x.shape)


def _law_of_wrong_degree(law: FirstStepLaw) -> FirstStepLaw:
    """tau_(k-1) where tau_(k+1) belongs."""
    wrong = dataclasses.replace(law)
    wrong.__dict__["mean_out"] = threshold_tau(law.k - 1, law.n, law.q)
    return wrong


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "a sign flipped in a label table": ("parity", {"channels": sign_flipped}),
    "a sign flipped in one table of a real-valued label": ("junta", {"channels": sign_flipped}),
    "tau of the wrong degree": ("parity, k = 4", {"law": _law_of_wrong_degree}),
    "a threshold that is not strict": (
        "parity, n even",
        {"case": lambda c: dataclasses.replace(c, q=c.q + 1)},
    ),
    "a mixture twice as likely": ("leaky hard", {"channels": _mixture_doubled}),
    "no mixture": ("leaky hard", {"channels": _mixture_dropped}),
    "a support that is shifted": ("parity", {"case": lambda c: dataclasses.replace(c, support=(0, 6))}),
    "biased bits": ("parity", {"inputs": _biased_bits}),
    "streams that repeat": ("equal logits", {"streams": [s // 2 * 2 for s in range(STREAMS)]}),
    "dependent coordinates": ("parity", {"inputs": _dependent_bits}),
    "samples that repeat": ("parity", {"inputs": _runs_that_repeat}),
    "magnitudes exchanged": (
        "junta",
        {"channels": lambda c: dataclasses.replace(c, tables=c.tables.flip(0))},
    ),
}


@pytest.mark.usefixtures("private_ledger")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    name, plant = FAULTS[fault]
    case = CASES[name]
    channels = channels_of(case.target)
    if "inputs" in plant:
        measured = dense_segments(case, plant["inputs"])
    else:
        planted = plant.get("case", lambda c: c)(case)
        changed = plant.get("channels", lambda c: c)(channels)
        measured = segments(planted, changed, streams=plant.get("streams", range(STREAMS)))
    law = plant.get("law", lambda law: law)(case.law)
    with pytest.raises(StatisticalFailure):
        check_moments(law, case, measured, unit_of(channels))


def test_without_a_fault_the_dense_samples_are_the_kernels() -> None:
    case = CASES["parity"]
    assert np.array_equal(dense_segments(case, lambda x: x), segments(case, channels_of(case.target)))
