"""Online SGD on the hinge loss: every implementation against a plain loop and, bit for bit, against the reference; what
the definition implies; the op's registration; what the wrapper refuses and how.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.fx.experimental.proxy_tensor import make_fx

import kernels
from kernels.hinge_reference import hinge_sgd_reference
from tests.kernels.hinge_cases import HINGE_NATIVE, NAN, HingeCase, make_hinge, same

IMPLEMENTATIONS = ("reference", *HINGE_NATIVE)
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 65)
CASE = make_hinge(1, 2, 7, 5)
INF = float("inf")
OP = torch.ops.parity_kernels.hinge_sgd
needs_native = pytest.mark.skipif(not HINGE_NATIVE, reason="the extension is not built, or has no hinge_sgd")


def _by_numpy(case: HingeCase) -> tuple[np.ndarray[Any, Any], ...]:
    """The definition, one replicate and step after the other."""
    features, labels, weights, totals, step_sizes = (tensor.numpy().copy() for tensor in case.tensors)
    losses, updates = np.zeros(len(step_sizes)), np.zeros(len(step_sizes), dtype=np.int64)
    for r, step_size in enumerate(step_sizes):
        for phi, y in zip(features[r], labels[r], strict=True):
            totals[r] += weights[r]
            margin = y * (weights[r] @ phi)
            if margin < 1:
                losses[r] += 1 - margin
                updates[r] += 1
                weights[r] += step_size * y * phi
    return weights, totals, losses, updates


def _one_step(products: list[float], implementation: str) -> kernels.HingeSGDResult:
    """A step at the label 1 of weights 1, so that the products are the features."""
    features = torch.tensor([[products]], dtype=torch.float64)
    weights = torch.ones(features.shape[1:], dtype=torch.float64)
    label, step_size = torch.tensor([[1]], dtype=torch.int8), torch.tensor([0.5], dtype=torch.float64)
    return kernels.hinge_sgd(features, label, weights, weights, step_size, implementation=implementation)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
class TestDefinition:
    @pytest.mark.parametrize(
        ("replicates", "steps", "width"), [(3, 400, 1), (2, 400, 5), (3, 300, 9), (2, 200, 100)]
    )
    def test_against_a_plain_loop(self, implementation: str, replicates: int, steps: int, width: int) -> None:
        case = make_hinge(width, replicates, steps, width)
        result, expected = case.run(implementation), _by_numpy(case)
        for have, want in zip(result, expected, strict=True):
            np.testing.assert_allclose(have.numpy(), want, rtol=1e-12, atol=1e-12)
        assert bool((result.updates > steps // 50).all())
        assert bool((result.updates < steps - steps // 50).all())

    @pytest.mark.parametrize("width", [1, 2, 9])
    def test_a_margin_of_exactly_one_does_not_learn(self, implementation: str, width: int) -> None:
        zeros = [0.0] * (width - 1)
        result = _one_step([1.0, *zeros], implementation)
        assert result.updates.tolist() == [0]
        assert result.loss.tolist() == [0.0]
        assert result.weights.tolist() == [[1.0] * width]
        assert result.total.tolist() == [[2.0] * width]
        below = _one_step([1 - 2**-53, *zeros], implementation)
        assert below.updates.tolist() == [1]
        assert below.loss.tolist() == [2**-53]
        assert below.weights.tolist() == [[1 + (1 - 2**-53) / 2, *[1.0] * (width - 1)]]
        assert below.total.tolist() == [[2.0] * width]

    @pytest.mark.parametrize(
        ("places", "together"),
        [
            ((1, 5), True), ((2, 6), True), ((1, 3), True), ((5, 7), True), ((4, 2), False), ((4, 1), False),
            ((1, 2), False), ((6, 3), False), ((8, 16), False), ((8, 4), False), ((1, 9), True), ((13, 5), True),
            ((9, 17), True), ((9, 5), True),
        ],
    )  # fmt: skip
    def test_the_order_of_an_inner_product(
        self, implementation: str, places: tuple[int, int], together: bool
    ) -> None:
        """Beside a product just below 1, two of a quarter of its last bit count only if they meet each other first."""
        for width in (8, 18) if max(places) < 8 else (18,):
            products = [0.0] * width
            products[0] = 1 - 2**-53
            for place in places:
                products[place] = 2**-55
            assert _one_step(products, implementation).updates.tolist() == [0 if together else 1]

    @pytest.mark.parametrize("width", [5, 9])
    def test_a_step_that_does_not_learn_keeps_every_bit(self, implementation: str, width: int) -> None:
        case = make_hinge(2, 1, 1, width)
        weights = 100 * case.labels * case.features[:, 0]
        weights[0, 1:3] = -0.0
        result = case.run(implementation, weights=weights)
        assert result.updates.tolist() == [0]
        assert torch.equal(result.weights.signbit(), weights.signbit())
        assert torch.equal(result.weights, weights)

    @pytest.mark.parametrize("width", [3, 8, 9, 40])
    def test_a_step_size_of_zero_only_looks(self, implementation: str, width: int) -> None:
        case = make_hinge(3, 2, 50, width)
        result = case.run(implementation, step_size=torch.zeros(2, dtype=torch.float64))
        assert torch.equal(result.weights, case.weights)
        torch.testing.assert_close(result.total, case.total + 50 * case.weights, rtol=1e-12, atol=1e-12)
        margins = case.labels * torch.einsum("rtm,rm->rt", case.features, case.weights)
        torch.testing.assert_close(result.loss, (1 - margins).clamp(min=0).sum(dim=1))
        assert torch.equal(result.updates, (margins < 1).sum(dim=1))

    @pytest.mark.parametrize("width", [3, 9])
    @pytest.mark.parametrize("value", [NAN, INF])
    def test_features_that_are_not_finite(self, implementation: str, width: int, value: float) -> None:
        """They spoil their own replicate, visibly, from their step on, and nothing else."""
        case = make_hinge(4, 3, 20, width)
        before = case.steps(0, 11).run(implementation)
        features = case.features.clone()
        features[1, 11, :2] = value * torch.tensor([1, -1]) * before.weights[1, :2].sign()  # inf - inf
        bad = replace(case, features=features)
        assert same(bad.steps(0, 11).run(implementation), before)
        result = bad.run(implementation)
        assert bool(result.loss[1].isnan())
        assert not bool(result.weights[1].isfinite().all())
        assert not bool(result.total[1].isfinite().all())
        for r in (0, 2):
            assert same(
                bad.alone(r).run(implementation), kernels.HingeSGDResult(*(t[r : r + 1] for t in result))
            )
            assert bool(result.weights[r].isfinite().all())

    @pytest.mark.parametrize("width", [1, 5, 8, 9, 33])
    @pytest.mark.parametrize("cuts", [(0,), (1,), (113,), (40, 41, 113), (120,)])
    def test_a_run_cut_anywhere_is_the_same(
        self, implementation: str, width: int, cuts: tuple[int, ...]
    ) -> None:
        case = make_hinge(5, 3, 120, width)
        whole = case.run(implementation)
        weights, total = case.weights, case.total
        loss, updates = torch.zeros_like(case.step_size), torch.zeros(3, dtype=torch.int64)
        for first, last in zip((0, *cuts), (*cuts, 120), strict=True):
            part = case.steps(first, last).run(implementation, weights=weights, total=total)
            weights, total = part.weights, part.total
            loss, updates = loss + part.loss, updates + part.updates
        assert same(kernels.HingeSGDResult(weights, total, whole.loss, updates), whole)
        torch.testing.assert_close(loss, whole.loss, rtol=1e-14, atol=0)

    def test_the_arguments_stay_as_they_are(self, implementation: str) -> None:
        case = make_hinge(6, 2, 30, 5)
        before = [tensor.clone() for tensor in case.tensors]
        result = case.run(implementation)
        for old, new in zip(before, case.tensors, strict=True):
            assert torch.equal(old, new)
        assert not torch.equal(result.weights, case.weights)

    def test_no_steps(self, implementation: str) -> None:
        for width in (1, 9):
            case = make_hinge(7, 2, 0, width)
            result = case.run(implementation)
            zero = torch.zeros(2, dtype=torch.float64)
            assert same(result, kernels.HingeSGDResult(case.weights, case.total, zero, zero.to(torch.int64)))
            assert result.weights.data_ptr() != case.weights.data_ptr()
            assert result.total.data_ptr() != case.total.data_ptr()

    def test_strided_arguments_and_parameters_are_accepted(self, implementation: str) -> None:
        case = make_hinge(8, 3, 30, 6)
        strided = (torch.stack([t, torch.full_like(t, 77)], dim=-1)[..., 0] for t in case.tensors)
        assert same(HingeCase(*strided).run(implementation), case.run(implementation))
        spread = case.features[:1].expand(3, -1, -1)
        assert same(
            case.run(implementation, features=spread), case.run(implementation, features=spread.contiguous())
        )
        result = case.run(implementation, weights=torch.nn.Parameter(case.weights))
        assert same(result, case.run(implementation))
        assert not any(tensor.requires_grad for tensor in result)


def _check_equal(case: HingeCase) -> None:
    expected = case.run("reference")
    for level in HINGE_NATIVE:
        for threads in (1, 2, 3):
            assert same(case.run(level, threads), expected), (level, threads)


@needs_native
@given(
    seed=st.integers(0, 2**32 - 1),
    replicates=st.integers(1, 11),
    steps=st.integers(0, 70),
    width=st.sampled_from(WIDTHS) | st.integers(1, 80),
    scale=st.sampled_from([1.0, 1.0, 1e150, 1e-170, 1e300]),
)
@settings(max_examples=60)
def test_native_equals_reference(seed: int, replicates: int, steps: int, width: int, scale: float) -> None:
    """In every bit: also where products are subnormal, or sums overflow."""
    case = make_hinge(seed, replicates, steps, width)
    _check_equal(replace(case, features=scale * case.features))


@needs_native
@pytest.mark.parametrize("width", WIDTHS)
def test_long_runs(width: int) -> None:
    """As many replicates as are stepped in turns, and any rest of them."""
    for replicates in (1, 4, 7):
        _check_equal(make_hinge(width, replicates, 500, width))


@needs_native
def test_large_width() -> None:
    _check_equal(make_hinge(9, 2, 30, 4096))


@needs_native
@pytest.mark.parametrize("width", [4, 9])
def test_replicates_do_not_meet(width: int) -> None:
    """Each of several replicates ends as it does alone, and with more threads than there are replicates."""
    case = make_hinge(10, 6, 90, width)
    for level in HINGE_NATIVE:
        together = case.run(level, 2)
        assert same(case.run(level, 40), together)
        for r in range(6):
            own = kernels.HingeSGDResult(*(tensor[r : r + 1] for tensor in together))
            assert same(case.alone(r).run(level), own)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck() -> None:
    torch.library.opcheck(OP.default, (*CASE.tensors, 1, "auto"))


def test_meta_tensors_need_no_data() -> None:
    """Nor does the reference: it looks at no values."""
    tensors = [tensor.to("meta") for tensor in CASE.tensors]
    for outputs in (OP(*tensors, 1, "auto"), hinge_sgd_reference(*tensors)):
        assert [tuple(t.shape) for t in outputs] == [(2, 5), (2, 5), (2,), (2,)]
        assert [t.dtype for t in outputs] == [*[torch.float64] * 3, torch.int64]
        assert all(t.is_meta for t in outputs)


def test_a_run_is_one_graph() -> None:
    """Traced without data, and the graph gives what the reference does on other data."""
    graph = make_fx(hinge_sgd_reference, tracing_mode="fake")(*make_hinge(11, 2, 7, 5).tensors)
    assert same(kernels.HingeSGDResult(*graph(*CASE.tensors)), CASE.run("reference"))


def test_the_reference_is_registered_for_other_devices() -> None:
    """What the dispatcher would call for a device that has no kernel of its own."""
    keys = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeExplicitAutograd")
    assert "parity_kernels::hinge_sgd" in keys
    cpu = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    assert ("parity_kernels::hinge_sgd" in cpu) == bool(HINGE_NATIVE)
    outputs = OP.default._op_dk(torch._C.DispatchKey.CompositeExplicitAutograd, *CASE.tensors, 1, "auto")
    assert same(kernels.HingeSGDResult(*outputs), CASE.run())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("width", [5, 33])
def test_on_cuda(width: int) -> None:
    """The reference on a GPU, chosen by "auto", gives the bits of the CPU, and its ops refuse to wait."""
    case = make_hinge(12, 3, 200, width)
    there = [tensor.cuda() for tensor in case.tensors]
    result = kernels.hinge_sgd(*there)
    assert result.weights.is_cuda
    assert same(kernels.HingeSGDResult(*(tensor.cpu() for tensor in result)), case.run("reference"))
    torch.cuda.set_sync_debug_mode("error")
    try:
        hinge_sgd_reference(*there)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with pytest.raises(
        kernels.KernelUnavailableError, match="runs on the CPU only, but the tensors are on cuda"
    ):
        kernels.hinge_sgd(*there, implementation="native")


def _with(tensor: torch.Tensor, at: tuple[int, ...], value: float) -> torch.Tensor:
    new = tensor.clone()
    new[at] = value
    return new


REFUSALS: dict[str, dict[str, Any]] = {
    r"features has dtype torch.float32, but must be torch.float64": {"features": CASE.features.float()},
    r"features has shape \[2, 7, 4\], but must have shape \[2, steps, 5\]": {"features": CASE.features[..., :4]},
    r"features has shape \[1, 7, 5\], but must have shape \[2, steps, 5\]": {"features": CASE.features[:1]},
    r"features has shape \[7, 5\], but must have shape \[2, steps, 5\]": {"features": CASE.features[0]},
    r"labels has dtype torch.int64, but must be torch.int8": {"labels": CASE.labels.long()},
    r"labels has shape \[2, 6\], but must have shape \[2, 7\]": {"labels": CASE.labels[:, :6]},
    r"labels\[1, 3\] is 0, but entries must be -1 or 1": {"labels": _with(CASE.labels, (1, 3), 0)},
    r"labels\[0, 6\] is 2, but entries must be -1 or 1": {"labels": _with(CASE.labels, (0, 6), 2)},
    r"labels\[0, 0\] is -128, but entries must be -1 or 1": {"labels": _with(CASE.labels, (0, 0), -128)},
    r"weights has dtype torch.float32, but must be torch.float64": {"weights": CASE.weights.float()},
    r"weights has shape \[5\], but must have shape \[R, m\]": {"weights": CASE.weights[0]},
    r"weights has shape \[0, 5\], but needs a replicate and a feature": {"weights": CASE.weights[:0]},
    r"weights has shape \[2, 0\], but needs a replicate and a feature": {"weights": CASE.weights[:, :0]},
    r"total has dtype torch.int64, but must be torch.float64": {"total": CASE.total.long()},
    r"total has shape \[2, 4\], but must have shape \[2, 5\]": {"total": CASE.total[:, :4]},
    r"step_size has dtype torch.float32, but must be torch.float64": {"step_size": CASE.step_size.float()},
    r"step_size has shape \[1\], but must have shape \[2\]": {"step_size": CASE.step_size[:1]},
    r"step_size\[1\] is -0.5, but must be finite and at least 0": {"step_size": _with(CASE.step_size, (1,), -0.5)},
    r"step_size\[0\] is nan, but must be finite and at least 0": {"step_size": _with(CASE.step_size, (0,), NAN)},
    r"step_size\[0\] is inf, but must be finite and at least 0": {"step_size": _with(CASE.step_size, (0,), INF)},
    r"features is on meta, but weights are on cpu": {"features": CASE.features.to("meta")},
    r"labels is on meta, but weights are on cpu": {"labels": CASE.labels.to("meta")},
    r"total is on meta, but weights are on cpu": {"total": CASE.total.to("meta")},
    r"step_size is on meta, but weights are on cpu": {"step_size": CASE.step_size.to("meta")},
}  # fmt: skip


@pytest.mark.parametrize(("says", "changes"), REFUSALS.items())
def test_refusals(says: str, changes: dict[str, Any]) -> None:
    with pytest.raises(kernels.KernelValueError, match=says) as caught:
        CASE.run(**changes)
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


def test_refusals_of_options() -> None:
    with pytest.raises(
        kernels.KernelValueError, match="implementation is 'cuda', but must be one of auto, ref"
    ):
        CASE.run("cuda")
    for threads in (0, -1):
        with pytest.raises(
            kernels.KernelValueError, match=f"threads is {threads}, but must be an integer of at"
        ):
            CASE.run(threads=threads)
    for level in {"avx2", "avx512", "baseline"} - set(HINGE_NATIVE):
        with pytest.raises(kernels.KernelUnavailableError, match=f"'{level}'") as caught:
            CASE.run(level)
        assert str(caught.value).endswith(".")
