"""Training: the reference against torch's autograd and optimiser, and every implementation against the reference."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import kernels
from kernels import training_reference
from tests.kernels.training_cases import (
    IMPLEMENTATIONS,
    LOSSES,
    NATIVE,
    NATIVE_PARAMS,
    Objective,
    TrainingCase,
    assert_equal,
    distance,
    make_training,
    pick,
    with_torch,
)

WIDTHS = (1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 511, 512, 513)
COORDINATES = (1, 2, 3, 4, 5, 31, 63, 64, 65, 100, 127, 128, 200)
BATCHES = (1, 3, 32, 64, 65, 200)
BLOCKS = (0, 1, 4, 7, 32, 64, 128)
EXACT = 1e-10
LONG = 1000
needs_native = pytest.mark.skipif(not NATIVE, reason="the extension is not built, or does not train")


def _check_against_torch(case: TrainingCase, outputs: int, objective: Objective) -> None:
    expected = with_torch(case, outputs, objective)
    moved = max(float((p - q).abs().max()) for p, q in zip(expected.network, case.network, strict=True))
    assert moved > 0.01, "too little was learned for the comparison to mean much"
    for implementation in IMPLEMENTATIONS:
        assert distance(case.run(implementation), expected) < EXACT, implementation


def _cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    return functional.cross_entropy(out, y.long())


def _divergence(out: Tensor, q: Tensor) -> Tensor:
    return functional.kl_div(
        functional.log_softmax(out, dim=1), torch.stack([1 - q, q], dim=1), reduction="batchmean"
    )


class TestAgainstAutograd:
    """1,000 steps in float64 of the networks people write, by torch.optim.SGD."""

    @pytest.mark.parametrize("batch", [1, 5])
    @pytest.mark.parametrize("decay", [False, True])
    def test_cross_entropy_with_hard_labels(self, batch: int, decay: bool) -> None:
        case = make_training(1, 12, 10, LONG, students=2, batch=batch, decay=decay, start=777)
        _check_against_torch(replace(case, targets=case.targets.round()), 2, _cross_entropy)

    @pytest.mark.parametrize(("temperature", "share"), [(2.0, 0.0), (0.5, 0.3), (1e-4, 0.0)])
    def test_distillation(self, temperature: float, share: float) -> None:
        """KL to the teacher's two-class softmax at a temperature, mixed with cross-entropy on the labels."""
        case = make_training(2, 12, 10, LONG, students=1, start=123)
        teacher = kernels.logits(
            case.key, case.stream, make_training(3, 12, 30, 1).network, case.start, case.start + LONG
        )
        labels = case.targets[:1].round()
        log_odds = teacher[0] / temperature
        probabilities = functional.softmax(torch.stack([-log_odds / 2, log_odds / 2], dim=1), dim=1)

        def objective(out: Tensor, both: Tensor) -> Tensor:
            row = int(both[0])
            divergence = functional.kl_div(
                functional.log_softmax(out, dim=1), probabilities[row : row + 1], reduction="batchmean"
            )
            return share * _cross_entropy(out, labels[0, row : row + 1]) + (1 - share) * divergence

        mixed = share * labels + (1 - share) * torch.sigmoid(teacher / temperature)
        rows = torch.arange(LONG, dtype=torch.float64)[None]
        one = replace(case, target_of=None)
        expected = with_torch(replace(one, targets=rows), 2, objective)
        for implementation in IMPLEMENTATIONS:
            assert distance(one.run(implementation, targets=mixed), expected) < EXACT, implementation

    @pytest.mark.parametrize("batch", [1, 4])
    def test_soft_targets_and_two_rows_of_them(self, batch: int) -> None:
        case = make_training(4, 9, 11, LONG, students=2, batch=batch)
        _check_against_torch(replace(case, target_of=torch.tensor([1, 0])), 2, _divergence)

    @pytest.mark.parametrize("batch", [1, 3])
    @pytest.mark.parametrize(
        ("loss", "objective"),
        [
            ("logistic", lambda z, q: functional.binary_cross_entropy_with_logits(z[:, 0], q)),
            ("hinge", lambda z, y: (1 - y * z[:, 0]).clamp(min=0).mean()),
            ("correlation", lambda z, y: -(y * z[:, 0]).mean()),
            ("squared", lambda z, y: 0.5 * functional.mse_loss(z[:, 0], y)),
        ],
    )
    def test_one_output(self, batch: int, loss: str, objective: Objective) -> None:
        case = make_training(5, 10, 12, LONG, batch=batch, loss=loss, decay=batch > 1, output_rate=1.0)
        _check_against_torch(case, 1, objective)

    def test_warm_up_and_cosine(self) -> None:
        case = make_training(6, 12, 10, LONG, students=2)
        t = torch.arange(LONG, dtype=torch.float64)
        shape = torch.where(
            t < 100, (t + 1) / 100, 0.5 + 0.5 * torch.cos(torch.pi * (t - 100) / (LONG - 100))
        )
        for rates in (case.rates * shape, case.rates[:1] * shape):
            _check_against_torch(replace(case, rates=rates, targets=case.targets.round()), 2, _cross_entropy)


@cache
def _long(loss: str, batch: int, decay: bool) -> tuple[TrainingCase, kernels.SGDResult]:
    case = make_training(7, 31, 65, LONG, students=2, batch=batch, loss=loss, decay=decay, start=3333)
    return case, case.run("reference")


@pytest.mark.parametrize("implementation", NATIVE_PARAMS)
class TestNative:
    """The compiled code against the reference, in float64."""

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize(("batch", "decay"), [(1, False), (1, True), (3, True)])
    def test_long_runs(self, implementation: str, loss: str, batch: int, decay: bool) -> None:
        case, expected = _long(loss, batch, decay)
        assert distance(case.run(implementation), expected) < EXACT

    @pytest.mark.parametrize("shift", [0, 5])
    def test_shapes(self, implementation: str, shift: int) -> None:
        """Every width and number of coordinates, in two pairings."""
        for i, width in enumerate(WIDTHS):
            n = COORDINATES[(i + shift) % len(COORDINATES)]
            case = make_training(i, n, width, 150, decay=i % 2 == 0, start=100 * i)
            assert distance(case.run(implementation), case.run("reference")) < EXACT, (width, n)

    @pytest.mark.parametrize("batch", [1, 3])
    def test_one_network_shared_by_a_team(self, implementation: str, batch: int) -> None:
        """From 2,048 neurons on, threads share out the neurons of one network."""
        case = make_training(27, 40, 2100, 150, batch=batch, decay=True, start=4000)
        expected = case.run("reference")
        for threads in (1, 2, 3):
            assert distance(case.run(implementation, threads), expected) < EXACT, threads

    @pytest.mark.parametrize("block", BLOCKS)
    def test_blocks(self, implementation: str, block: int) -> None:
        case, expected = _long("logistic", 1, True)
        assert distance(case.run(implementation, block=block), expected) < EXACT
        for batch in BATCHES:
            case = make_training(8, 20, 33, 7, batch=batch, decay=True, start=4095)
            result = case.run(implementation, block=block)
            assert distance(result, case.run("reference")) < EXACT, batch

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_threads_and_repetition_change_nothing(self, implementation: str, dtype: torch.dtype) -> None:
        for students, width, n in ((1, 5001, 40), (5, 513, 17), (2, 7, 5)):
            case = make_training(9, n, width, 140, students=students, dtype=dtype, decay=True, start=11)
            first = case.run(implementation)
            for threads in (1, 2, 3):
                assert_equal(case.run(implementation, threads), first)
            one = kernels.logits(case.key, 1, first.network, 5, 705, implementation=implementation)
            two = kernels.logits(case.key, 1, first.network, 5, 705, implementation=implementation, threads=3)
            assert torch.equal(one, two)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("batch", [1, 5])
    def test_students_do_not_meet(self, implementation: str, dtype: torch.dtype, batch: int) -> None:
        """Each of several students ends as it does alone."""
        case = make_training(10, 21, 70, 150, students=5, batch=batch, dtype=dtype, decay=True, start=4000)
        together = case.run(implementation, threads=2)
        for r in range(case.students):
            assert_equal(pick(together, r), case.alone(r).run(implementation))

    @pytest.mark.parametrize("loss", LOSSES)
    def test_single_precision(self, implementation: str, loss: str) -> None:
        """No further from float64 than naive float32 is with its hidden units in some other order."""
        case = make_training(11, 30, 100, LONG, loss=loss, dtype=torch.float32)
        exact = case.cast(torch.float64).run("reference")
        generator = torch.Generator().manual_seed(0)
        spread = []
        for _ in range(4):
            order = torch.randperm(100, generator=generator)
            W, b, a, c = case.network
            naive = case.run("reference", network=kernels.Network(W[:, order], b[:, order], a[:, order], c))
            spread.append(float((naive.logits.double() - exact.logits).abs().max()))
        error = float((case.run(implementation).logits.double() - exact.logits).abs().max())
        assert error <= 4 * max(spread), (error, spread)
        assert max(spread) < 0.01 * float(exact.logits.abs().max()), "the rate is not stable"


@needs_native
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from(COORDINATES),
    width=st.sampled_from(WIDTHS) | st.integers(1, 140),
    samples=st.integers(1, 600),
    batch=st.sampled_from(BATCHES) | st.just(1),
    block=st.sampled_from(BLOCKS),
    start=st.integers(0, 9000),
    students=st.integers(1, 3),
    loss=st.sampled_from(LOSSES),
    decay=st.booleans(),
    hidden_rate=st.sampled_from([1.0, 0.0, 0.5]),
    output_rate=st.sampled_from([2.0, 1.0, 0.0]),
)
@settings(max_examples=60)
def test_native_equals_reference(
    seed: int, n: int, width: int, samples: int, batch: int, block: int, start: int, students: int, loss: str,
    decay: bool, hidden_rate: float, output_rate: float,
) -> None:  # fmt: skip
    case = make_training(
        seed, n, width, -(-samples // batch), students=students, batch=batch, loss=loss, decay=decay, start=start,
        block=block, hidden_rate=hidden_rate, output_rate=output_rate,
    )  # fmt: skip
    expected = case.run("reference")
    for level in NATIVE:
        for threads in (1, 2):
            assert distance(case.run(level, threads), expected) < EXACT, level


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
class TestRelations:
    """What the definition of a step implies, for every implementation."""

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("batch", [1, 3])
    def test_one_step_with_everything_wiped(self, implementation: str, loss: str, batch: int) -> None:
        """At η λ = 1 nothing is left but the step itself, from the old network: by numpy, as it is defined."""
        case = make_training(12, 6, 9, 1, batch=batch, loss=loss, hidden_rate=0.75)
        case = replace(case, rates=torch.tensor([[0.25]]).double(), decay=torch.tensor([[4.0]]).double())
        result = case.run(implementation)
        W, b, a, c = (tensor[0].numpy() for tensor in case.network)
        x, y = case.inputs().numpy().astype(float), case.targets[int(case.target_of[0])].numpy()  # type: ignore[index]
        new = [np.zeros_like(tensor) for tensor in (W, b, a, np.asarray(c))]
        for s in range(batch):
            h = W @ x[s] + b
            z = a @ np.maximum(h, 0) + c
            assert abs(float(result.logits[0, s]) - z) < 1e-14
            slope = {
                "logistic": 1 / (1 + np.exp(-z)) - y[s],
                "hinge": -y[s] if y[s] * z < 1 else 0.0,
                "correlation": -y[s],
                "squared": z - y[s],
            }[loss]
            back = slope * a * (h > 0)
            steps = (0.75 * np.outer(back, x[s]), 0.75 * back, 2 * slope * np.maximum(h, 0), 2 * slope)
            for tensor, step in zip(new, steps, strict=True):
                tensor -= 0.25 / batch * step
        for have, want in zip(result.network, new, strict=True):
            np.testing.assert_allclose(have[0].numpy(), want, rtol=0, atol=1e-14)

    def test_a_wiped_network_learns_on(self, implementation: str) -> None:
        """η λ = 1 in the middle of a segment: nothing of the old network is left but what it adds in that step."""
        case = make_training(13, 6, 9, 40, decay=True)
        decay, rates = torch.zeros_like(case.rates), case.rates.clone()
        decay[0, 20], rates[0, 20] = 4.0, 0.25
        case = replace(case, decay=decay, rates=rates)
        assert distance(case.run(implementation), case.run("reference")) < EXACT

    def test_a_unit_at_exactly_zero_is_off(self, implementation: str) -> None:
        case = make_training(26, 6, 9, 1)
        W, b, a, c = case.network
        silent = kernels.Network(torch.zeros_like(W), torch.zeros_like(b), a, c)
        new = case.run(implementation, network=silent).network
        for have, want in zip(new[:3], silent[:3], strict=True):
            assert torch.equal(have, want)
        assert not torch.equal(new.c, c)

    def test_a_rate_of_zero_only_looks(self, implementation: str) -> None:
        case = make_training(14, 13, 20, 300, students=2, decay=True, start=4000)
        result = case.run(implementation, rates=torch.zeros(1, 300, dtype=torch.float64))
        for new, old in zip(result.network, case.network, strict=True):
            assert torch.equal(new, old)
            assert new.data_ptr() != old.data_ptr()
        seen = kernels.logits(case.key, case.stream, case.network, 4000, 4300, implementation=implementation)
        torch.testing.assert_close(result.logits, seen, rtol=0, atol=1e-13)

    @pytest.mark.parametrize("batch", [1, 3])
    def test_a_segment_goes_on_where_the_last_ended(self, implementation: str, batch: int) -> None:
        case = make_training(15, 13, 20, 300, batch=batch, students=2, decay=True, start=3900)
        whole = case.run(implementation)
        cut = 111
        first = case.run(
            implementation, targets=case.targets[:, : cut * batch], rates=case.rates[:, :cut],
            decay=case.decay[:, :cut],  # type: ignore[index]
        )  # fmt: skip
        rest = case.run(
            implementation, network=first.network, start=case.start + cut * batch,
            targets=case.targets[:, cut * batch :], rates=case.rates[:, cut:],
            decay=case.decay[:, cut:],  # type: ignore[index]
        )  # fmt: skip
        joined = kernels.SGDResult(rest.network, torch.cat([first.logits, rest.logits], dim=1))
        assert distance(joined, whole) < 1e-12

    def test_the_arguments_stay_as_they_are(self, implementation: str) -> None:
        case = make_training(16, 5, 9, 50, decay=True)
        tensors = (*case.network, case.targets, case.rates, case.decay)
        before = [tensor.clone() for tensor in tensors if tensor is not None]
        case.run(implementation)
        for old, new in zip(before, (t for t in tensors if t is not None), strict=True):
            assert torch.equal(old, new)

    def test_rows_of_targets(self, implementation: str) -> None:
        case = make_training(17, 5, 9, 50, students=2)
        by_default = case.run(implementation, target_of=None)
        assert_equal(by_default, case.run(implementation, target_of=torch.tensor([0, 1])))
        shared = case.run(implementation, target_of=None, targets=case.targets[:1])
        assert_equal(shared, case.run(implementation, target_of=torch.tensor([0, 0])))
        assert distance(shared, by_default) > 1e-3

    @pytest.mark.parametrize("decay_shape", [(1, 1), (2, 1), (1, 50), (2, 50)])
    @pytest.mark.parametrize("rate_rows", [1, 2])
    def test_rates_and_decay_may_be_shared(
        self, implementation: str, decay_shape: tuple[int, int], rate_rows: int
    ) -> None:
        case = make_training(18, 5, 9, 50, students=2, decay=True)
        decay = case.decay[: decay_shape[0], : decay_shape[1]]  # type: ignore[index]
        rates = case.rates[:rate_rows]
        shared = case.run(implementation, rates=rates, decay=decay)
        full = case.run(implementation, rates=rates.expand(2, 50), decay=decay.expand(2, 50))
        assert_equal(shared, full)

    def test_no_steps(self, implementation: str) -> None:
        case = make_training(19, 5, 9, 0, students=2, decay=True)
        result = case.run(implementation)
        assert result.logits.shape == (2, 0)
        for new, old in zip(result.network, case.network, strict=True):
            assert torch.equal(new, old)
        assert kernels.logits(1, 0, case.network, 9, 9, implementation=implementation).shape == (2, 0)
        labels = kernels.parity_labels(1, 0, 5, torch.tensor([1]), 9, 9, implementation=implementation)
        assert labels.shape == (0,)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("loss", ["logistic", "squared"])
    def test_divergence_returns(self, implementation: str, loss: str, dtype: torch.dtype) -> None:
        """Logits that are not finite are the only sign of it, and the network beside it notices nothing."""
        case = make_training(20, 10, 20, 200, students=2, loss=loss, dtype=dtype)
        rates = case.rates.clone()
        rates[0] = 1e30 if dtype == torch.float32 else 1e200
        result = case.run(implementation, rates=rates)
        finite = result.logits[0].isfinite()
        assert bool(finite[0])
        assert not bool(finite[5:].any())
        beside = pick(result, 1)
        assert distance(beside, replace(case, rates=rates).alone(1).run(implementation)) < 1e-6
        assert all(bool(tensor.isfinite().all()) for tensor in (*beside.network, beside.logits))
        again = case.run(implementation, network=result.network)
        assert not bool(again.logits[0].isfinite().any())

    def test_strided_arguments_are_accepted(self, implementation: str) -> None:
        case = make_training(21, 12, 8, 60, students=2, decay=True)

        def strided(tensor: Tensor) -> Tensor:
            return torch.stack([tensor, torch.full_like(tensor, 77)], dim=-1)[..., 0]

        other = {
            "network": kernels.Network(case.network.W.mT.contiguous().mT, *map(strided, case.network[1:])),
            "targets": strided(case.targets),
            "rates": strided(case.rates),
            "decay": strided(case.decay),  # type: ignore[arg-type]
            "target_of": strided(case.target_of),  # type: ignore[arg-type]
        }
        assert distance(case.run(implementation, **other), case.run(implementation)) < 1e-13

    def test_parameters_with_gradients_are_accepted(self, implementation: str) -> None:
        case = make_training(22, 5, 9, 20)
        parameters = kernels.Network(*(torch.nn.Parameter(tensor) for tensor in case.network))
        result = case.run(implementation, network=parameters)
        assert_equal(result, case.run(implementation))
        assert not any(tensor.requires_grad for tensor in (*result.network, result.logits))
        assert not kernels.logits(1, 0, parameters, 0, 9, implementation=implementation).requires_grad

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize(("n", "width"), [(1, 1), (5, 513), (31, 16), (100, 65), (200, 9)])
    def test_logits(self, implementation: str, n: int, width: int, dtype: torch.dtype) -> None:
        case = make_training(23, n, width, 1, students=3, dtype=dtype)
        start, stop = 4001, 4700
        x = kernels.draw_inputs(case.key, case.stream, n, start, stop).double()
        W, b, a, c = (tensor.double() for tensor in case.network)
        h = torch.einsum("rmn,sn->rsm", W, x) + b[:, None]
        expected = torch.einsum("rsm,rm->rs", h.clamp(min=0), a) + c[:, None]
        got = kernels.logits(case.key, case.stream, case.network, start, stop, implementation=implementation)
        assert got.dtype == dtype
        tolerance = 1e-12 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=tolerance)
        part = kernels.logits(case.key, case.stream, case.network, 4100, 4133, implementation=implementation)
        torch.testing.assert_close(part, got[:, 99:132], rtol=0, atol=tolerance)

    @pytest.mark.parametrize(
        ("n", "support"),
        [(1, [0]), (1, []), (5, [0, 4]), (64, [0, 31, 32, 63]), (100, list(range(0, 100, 7)))],
    )
    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 517), (4090, 4100), (0, 8192), (8191, 8705)])
    def test_parity_labels(
        self, implementation: str, n: int, support: list[int], start: int, stop: int
    ) -> None:
        key, stream = 2**64 - 5, 2**63 - 7
        x = kernels.draw_inputs(key, stream, n, start, stop)
        labels = kernels.parity_labels(
            key,
            stream,
            n,
            torch.tensor(support, dtype=torch.int64),
            start,
            stop,
            implementation=implementation,
        )
        assert labels.dtype == torch.int8
        assert torch.equal(labels, x[:, support].prod(dim=1).to(torch.int8))


@pytest.mark.parametrize("limit", [1, 5000, 50_000])
def test_the_reference_works_in_parts(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Its samples are drawn in parts of bounded size; where they are cut changes nothing."""
    case = make_training(24, 7, 9, 900, students=2, batch=3, start=3000)
    support = torch.tensor([1, 5])
    whole = case.run("reference")
    seen = kernels.logits(case.key, 3, case.network, 5, 9005, implementation="reference")
    labels = kernels.parity_labels(1, 2, 7, support, 5, 9005, implementation="reference")
    monkeypatch.setattr(training_reference, "_NUMBERS_AT_ONCE", max(limit, 2000))
    assert_equal(case.run("reference"), whole)
    monkeypatch.setattr(training_reference, "_NUMBERS_AT_ONCE", limit)
    torch.testing.assert_close(
        kernels.logits(case.key, 3, case.network, 5, 9005, implementation="reference"),
        seen,
        rtol=0,
        atol=1e-13,
    )
    assert torch.equal(kernels.parity_labels(1, 2, 7, support, 5, 9005, implementation="reference"), labels)


def test_a_small_network_learns_parity() -> None:
    """40,000 steps on two of 10 coordinates: from chance to nearly no error."""
    key, n, steps = 99, 10, 40_000
    case = make_training(25, n, 64, 1, dtype=torch.float32)
    labels = kernels.parity_labels(key, 0, n, torch.tensor([2, 7]), 0, steps + 2000)
    targets = ((1 + labels[None, :steps]) / 2).float()
    rates = torch.full((1, steps // 8), 0.1, dtype=torch.float64)
    result = kernels.sgd(key, 0, case.network, targets, rates, batch=8)
    correct = (result.logits[0] > 0) == (labels[:steps] > 0)
    held_out = kernels.logits(key, 0, result.network, steps, steps + 2000)[0] > 0
    assert 0.4 < float(correct[:500].float().mean()) < 0.7
    assert torch.equal(held_out, labels[steps:] > 0)
