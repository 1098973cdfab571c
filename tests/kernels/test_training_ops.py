"""The training ops' registration, what their wrappers refuse and how, and that the reference waits for no device."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import kernels
from kernels.randomness import signed
from kernels.training_reference import logits_reference, parity_labels_reference, sgd_reference
from tests.kernels.interrupts import assert_interrupted
from tests.kernels.training_cases import LOSSES, NATIVE, TrainingCase, assert_equal, distance, make_training

CASE = replace(make_training(1, 6, 5, 7, students=2, batch=3, decay=True, start=4090), key=2**64 - 9)
SUPPORT = torch.tensor([0, 2, 5])
OPS = torch.ops.parity_kernels


def _sgd_arguments(case: TrainingCase = CASE, level: str = "auto") -> tuple[Any, ...]:
    return (
        signed(case.key), case.stream, *case.network, case.targets, case.target_of, case.rates, case.decay,
        case.start, case.batch, case.hidden_rate, case.output_rate, case.loss, 0, 1, level,
    )  # fmt: skip


def _logits_arguments() -> tuple[Any, ...]:
    return (signed(CASE.key), CASE.stream, *CASE.network, 4090, 4111, 1, "auto")


def _labels_arguments() -> tuple[Any, ...]:
    return (signed(CASE.key), CASE.stream, 6, SUPPORT, 4090, 4111, "auto")


def _on(device: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.to(device) if isinstance(a, torch.Tensor) else a for a in arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestOpcheck:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("decay", [False, True])
    def test_sgd(self, dtype: torch.dtype, decay: bool) -> None:
        case = make_training(2, 6, 5, 7, students=2, batch=3, decay=decay, dtype=dtype)
        torch.library.opcheck(OPS.sgd.default, _sgd_arguments(case))

    def test_logits(self) -> None:
        torch.library.opcheck(OPS.logits.default, _logits_arguments())

    def test_parity_labels(self) -> None:
        torch.library.opcheck(OPS.parity_labels.default, _labels_arguments())


def test_meta_tensors_need_no_data() -> None:
    outputs = OPS.sgd(*_on("meta", _sgd_arguments()))
    assert [tuple(t.shape) for t in outputs] == [(2, 5, 6), (2, 5), (2, 5), (2,), (2, 21)]
    assert OPS.logits(*_on("meta", _logits_arguments())).shape == (2, 21)
    labels = OPS.parity_labels(*_on("meta", _labels_arguments()))
    assert (labels.shape, labels.dtype) == ((21,), torch.int8)


@pytest.mark.parametrize("name", ["sgd", "logits", "parity_labels"])
def test_the_reference_is_registered_for_other_devices(name: str) -> None:
    """What the dispatcher would call for a device that has no kernel of its own."""
    keys = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeExplicitAutograd")
    assert f"parity_kernels::{name}" in keys
    cpu = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    assert (f"parity_kernels::{name}" in cpu) == bool(NATIVE)


def test_the_op_is_what_the_wrapper_calls() -> None:
    """Also where the key, as a signed integer, is negative."""
    assert signed(CASE.key) < 0
    *new, logits = OPS.sgd(*_sgd_arguments(level="auto"))
    assert_equal(kernels.SGDResult(kernels.Network(*new), logits), CASE.run())
    seen = kernels.logits(CASE.key, CASE.stream, CASE.network, 4090, 4111)
    assert torch.equal(OPS.logits(*_logits_arguments()), seen)
    labels = kernels.parity_labels(CASE.key, CASE.stream, 6, SUPPORT, 4090, 4111)
    assert torch.equal(OPS.parity_labels(*_labels_arguments()), labels)


def test_the_reference_takes_the_key_as_a_signed_integer() -> None:
    """As the dispatcher would call it for another device; on the CPU the compiled code may hide it."""
    key = torch._C.DispatchKey.CompositeExplicitAutograd
    *new, logits = OPS.sgd.default._op_dk(key, *_sgd_arguments())
    assert_equal(kernels.SGDResult(kernels.Network(*new), logits), CASE.run("reference"))
    seen = kernels.logits(CASE.key, CASE.stream, CASE.network, 4090, 4111, implementation="reference")
    assert torch.equal(OPS.logits.default._op_dk(key, *_logits_arguments()), seen)
    labels = kernels.parity_labels(CASE.key, CASE.stream, 6, SUPPORT, 4090, 4111, implementation="reference")
    assert torch.equal(OPS.parity_labels.default._op_dk(key, *_labels_arguments()), labels)


class _Watch(TorchDispatchMode):
    """Collects the ops that are called and the devices of all tensors that go in or come out."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: set[str] = set()
        self.devices: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.ops.add(func._schema.name)
        leaves = tree_leaves((args, kwargs, out))
        self.devices |= {leaf.device.type for leaf in leaves if isinstance(leaf, torch.Tensor)}
        return out


WAITING = {
    "aten::_local_scalar_dense", "aten::item", "aten::is_nonzero", "aten::equal", "aten::nonzero", "aten::unique",
    "aten::masked_select", "aten::_assert_async",
}  # fmt: skip


def _reference_arguments(device: str, loss: str = "logistic") -> tuple[Any, ...]:
    return (
        CASE.key, CASE.stream, *_on(device, _sgd_arguments()[2:10]), CASE.start, CASE.batch, 1.0, 2.0, loss,
    )  # fmt: skip


class TestNoWaiting:
    """A segment on another device is queued without a look at its data."""

    @pytest.mark.parametrize("loss", LOSSES)
    def test_a_segment_stays_on_its_device(self, loss: str) -> None:
        """On meta tensors, which have no data: every tensor that any op takes or gives is on that device."""
        arguments, support = _reference_arguments("meta", loss), SUPPORT.to("meta")
        with _Watch() as watch:
            *network, logits = sgd_reference(*arguments)
            seen = logits_reference(CASE.key, CASE.stream, *network, 4090, 4111)
            labels = parity_labels_reference(CASE.key, CASE.stream, 6, support, 4090, 4111)
        assert watch.devices == {"meta"}
        assert watch.ops.isdisjoint(WAITING)
        assert len(watch.ops) > 20
        assert logits.shape == seen.shape == (2, 21)
        assert labels.shape == (21,)

    def test_a_segment_is_one_graph(self) -> None:
        """Traced without data, and the graph gives what the reference does on other data."""

        def segment(W: Any, b: Any, a: Any, c: Any, targets: Any, rates: Any) -> Any:
            return sgd_reference(
                CASE.key, CASE.stream, W, b, a, c, targets, CASE.target_of, rates, CASE.decay, CASE.start,
                CASE.batch, 1.0, 2.0, "logistic",
            )  # fmt: skip

        def arguments(case: TrainingCase) -> tuple[Any, ...]:
            return (*case.network, case.targets, case.rates)

        other = make_training(3, 6, 5, 7, students=2, batch=3)
        graph = make_fx(segment, tracing_mode="fake", _allow_non_fake_inputs=True)(*arguments(other))
        called = {str(node.target).split(".")[0] for node in graph.graph.nodes if node.op == "call_function"}
        assert {f"aten::{name.removeprefix('aten.')}" for name in called}.isdisjoint(WAITING)
        *new, logits = graph(*arguments(CASE))
        assert distance(kernels.SGDResult(kernels.Network(*new), logits), CASE.run("reference")) == 0

    def test_the_watch_sees_what_waits(self) -> None:
        with _Watch() as watch:
            float(torch.ones(1).sum())
            torch.ones(2).nonzero()
        assert watch.ops & WAITING == {"aten::_local_scalar_dense", "aten::nonzero"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
@pytest.mark.parametrize("loss", LOSSES)
def test_on_cuda(loss: str) -> None:
    """The reference on a GPU, chosen by "auto", equals that on the CPU, and its ops refuse to wait."""
    case = make_training(4, 20, 65, 300, students=3, batch=2, loss=loss, decay=True, start=4000)
    there = {
        "network": kernels.Network(*(tensor.cuda() for tensor in case.network)),
        "targets": case.targets.cuda(),
        "rates": case.rates.cuda(),
        "decay": case.decay.cuda(),  # type: ignore[union-attr]
        "target_of": case.target_of.cuda(),  # type: ignore[union-attr]
    }
    result = case.run(**there)
    assert result.logits.is_cuda
    back = kernels.SGDResult(kernels.Network(*(t.cpu() for t in result.network)), result.logits.cpu())
    assert distance(back, case.run("reference")) < 1e-10
    seen = kernels.logits(case.key, case.stream, result.network, 0, 99).cpu()
    here = kernels.logits(case.key, case.stream, back.network, 0, 99)
    torch.testing.assert_close(seen, here, rtol=0, atol=1e-12)
    labels = kernels.parity_labels(case.key, case.stream, 20, SUPPORT.cuda(), 0, 99)
    assert torch.equal(labels.cpu(), kernels.parity_labels(case.key, case.stream, 20, SUPPORT, 0, 99))
    arguments = _reference_arguments("cuda", loss)
    torch.cuda.set_sync_debug_mode("error")
    try:
        sgd_reference(*arguments)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with pytest.raises(
        kernels.KernelUnavailableError, match="runs on the CPU only, but the tensors are on cuda"
    ):
        case.run("native", **there)


@pytest.mark.skipif(not NATIVE, reason="the extension is not built, or does not train")
def test_an_interrupt_ends_a_long_call() -> None:
    """Minutes of work are dropped."""
    assert_interrupted(
        "network = kernels.Network(torch.ones(1, 20_000, 100), torch.ones(1, 20_000), torch.ones(1, 20_000),"
        " torch.ones(1)); targets, rates = torch.ones(1, 4_000_000), torch.zeros(1, 4_000_000, dtype=torch.float64)",
        'kernels.sgd(1, 0, network, targets, rates, implementation="native")',
    )


def _network(**changes: Any) -> kernels.Network:
    return CASE.network._replace(**changes)


def _with(tensor: torch.Tensor, at: tuple[int, ...], value: float) -> torch.Tensor:
    new = tensor.clone()
    new[at] = value
    return new


W, B, A, C = CASE.network
NAN, INF = float("nan"), float("inf")
REFUSALS: dict[str, dict[str, Any]] = {
    r"key is -1, but must be an integer in \[0, 2\^64\)": {"key": -1},
    r"key is 18446744073709551616, but": {"key": 1 << 64},
    r"stream is -1, but must be an integer in \[0, 9223372036854775807\]": {"stream": -1},
    r"stream is 9223372036854775808, but": {"stream": 1 << 63},
    r"start is -1, but must be an integer in \[0, 17592186044416\]": {"start": -1},
    r"the last sample is 17592186044396 \+ 7 \* 3, but a stream has 17592186044416": {"start": (1 << 44) - 20},
    r"batch is 0, but must be an integer of at least 1": {"batch": 0},
    r"block is 129, but must be an integer in \[0, 128\]": {"block": 129},
    r"block is -1, but": {"block": -1},
    r"loss is 'mse', but must be one of logistic, hinge, correlation, squared": {"loss": "mse"},
    r"hidden_rate is -0.5, but must be finite and at least 0": {"hidden_rate": -0.5},
    r"hidden_rate is nan, but": {"hidden_rate": NAN},
    r"output_rate is inf, but must be finite and at least 0": {"output_rate": INF},
    r"W has dtype torch.int64, but must be torch.float32 or torch.float64": {"network": _network(W=W.long())},
    r"W has dtype torch.bfloat16, but": {"network": _network(W=W.bfloat16())},
    r"W has shape \[5, 6\], but must have shape \[R, m, n\]": {"network": _network(W=W[0])},
    r"W has shape \[0, 5, 6\], but needs a network and a hidden unit": {"network": _network(W=W[:0])},
    r"W has shape \[2, 0, 6\], but needs": {"network": _network(W=W[:, :0])},
    r"W has n = 0 coordinates, but 1 <= n <= 4095 must hold": {"network": _network(W=W[:, :, :0])},
    r"W has n = 4096 coordinates, but 1 <= n <= 4095": {"network": _network(W=torch.zeros(2, 5, 4096))},
    r"b has dtype torch.float32, but must be torch.float64": {"network": _network(b=B.float())},
    r"b has shape \[2, 4\], but must have shape \[2, 5\]": {"network": _network(b=B[:, :4])},
    r"a has shape \[1, 5\], but must have shape \[2, 5\]": {"network": _network(a=A[:1])},
    r"c has shape \[2, 1\], but must have shape \[2\]": {"network": _network(c=C[:, None])},
    r"targets has shape \[2, 20\], but must have shape \[G, 21\]": {"targets": CASE.targets[:, :20]},
    r"targets has dtype torch.float32, but must be torch.float64": {"targets": CASE.targets.float()},
    r"targets\[1, 20\] is 1.25, but must be in \[0, 1\] for the logistic loss": {
        "targets": _with(CASE.targets, (1, 20), 1.25)
    },
    r"targets\[0, 0\] is -1.0, but must be in \[0, 1\]": {"targets": _with(CASE.targets, (0, 0), -1)},
    r"targets\[0, 2\] is nan, but must be in \[0, 1\]": {"targets": _with(CASE.targets, (0, 2), NAN)},
    r"targets\[0, 3\] is inf, but must be finite": {"targets": _with(CASE.targets, (0, 3), INF), "loss": "hinge"},
    r"targets\[0, 4\] is nan, but must be finite": {"targets": _with(CASE.targets, (0, 4), NAN), "loss": "squared"},
    r"targets has 3 rows, but without target_of must have 1 or one for each of the 2 networks": {
        "targets": CASE.targets[[0, 1, 0]], "target_of": None
    },
    r"targets has 0 rows, but without target_of": {"targets": CASE.targets[:0], "target_of": None},
    r"target_of has shape \[3\], but must have shape \[2\]": {"target_of": torch.tensor([0, 1, 0])},
    r"target_of has dtype torch.int32, but must be torch.int64": {"target_of": torch.zeros(2, dtype=torch.int32)},
    r"target_of\[1\] is 2, but must be a row of targets, in \[0, 1\]": {"target_of": torch.tensor([0, 2])},
    r"target_of\[0\] is -1, but": {"target_of": torch.tensor([-1, 0])},
    r"rates has dtype torch.float32, but must be torch.float64": {"rates": CASE.rates.float()},
    r"rates has shape \[7\], but must have shape \[1 or 2, steps\]": {"rates": CASE.rates[0]},
    r"rates has shape \[3, 7\], but must have shape \[1 or 2, steps\]": {"rates": CASE.rates[[0, 1, 0]]},
    r"rates\[1, 3\] is -0.25, but must be finite and at least 0": {"rates": _with(CASE.rates, (1, 3), -0.25)},
    r"rates\[0, 6\] is nan, but must be finite": {"rates": _with(CASE.rates, (0, 6), NAN)},
    r"rates\[0, 0\] is inf, but must be finite": {"rates": _with(CASE.rates, (0, 0), INF)},
    r"decay has shape \[2, 6\], but must have shape \[1 or 2, 1 or 7\]": {"decay": CASE.decay[:, :6]},  # type: ignore[index]
    r"decay has dtype torch.float32, but must be torch.float64": {"decay": CASE.decay.float()},  # type: ignore[union-attr]
    r"decay\[1, 6\] is -1.0, but must be finite and at least 0": {"decay": _with(CASE.rates, (1, 6), -1)},
    r"decay\[0, 1\] is nan, but must be finite": {"decay": _with(CASE.rates, (0, 1), NAN)},
    r"targets is on meta, but the network is on cpu": {"targets": CASE.targets.to("meta")},
    r"rates is on meta, but the network is on cpu": {"rates": CASE.rates.to("meta")},
    r"decay is on meta, but": {"decay": CASE.rates.to("meta")},
    r"target_of is on meta, but": {"target_of": torch.tensor([0, 1], device="meta")},
    r"a is on meta, but W is on cpu": {"network": _network(a=A.to("meta"))},
}  # fmt: skip


def _check_sentence(error: Exception) -> None:
    assert str(error).count(". ") == 0
    assert str(error).endswith(".")


@pytest.mark.parametrize(("says", "changes"), REFUSALS.items())
def test_refusals_of_sgd(says: str, changes: dict[str, Any]) -> None:
    with pytest.raises(kernels.KernelValueError, match=says) as caught:
        CASE.run(**changes)
    _check_sentence(caught.value)


@pytest.mark.parametrize(
    ("says", "changes"),
    {
        r"key is -1, but": {"key": -1},
        r"stream is -7, but": {"stream": -7},
        r"samples 9 to 8 were asked for, but 0 <= start <= stop <= 17592186044416": {"start": 9, "stop": 8},
        r"samples -1 to 8 were asked for": {"start": -1, "stop": 8},
        r"samples 0 to 17592186044417 were asked for": {"start": 0, "stop": (1 << 44) + 1},
        r"b has shape \[2, 4\], but must have shape \[2, 5\]": {"network": _network(b=B[:, :4])},
    }.items(),
)
def test_refusals_of_logits(says: str, changes: dict[str, Any]) -> None:
    arguments = {"key": 1, "stream": 0, "network": CASE.network, "start": 0, "stop": 8} | changes
    with pytest.raises(kernels.KernelValueError, match=says) as caught:
        kernels.logits(**arguments)
    _check_sentence(caught.value)


@pytest.mark.parametrize(
    ("says", "changes"),
    {
        r"key is -1, but": {"key": -1},
        r"stream is -7, but": {"stream": -7},
        r"n is 4096, but 1 <= n <= 4095 must hold": {"n": 4096},
        r"n is 0, but": {"n": 0},
        r"samples 9 to 8 were asked for": {"start": 9},
        r"support is \[2, 1\], but must be strictly increasing in \[0, 5\]": {
            "support": torch.tensor([2, 1])
        },
        r"support is \[1, 1\], but": {"support": torch.tensor([1, 1])},
        r"support is \[0, 6\], but": {"support": torch.tensor([0, 6])},
        r"support has k = 7 coordinates, but may have at most n = 6": {"support": torch.arange(7)},
        r"support has dtype torch.int32, but must be torch.int64": {"support": SUPPORT.int()},
        r"support has shape \[1, 3\], but must have shape \[k\]": {"support": SUPPORT[None]},
    }.items(),
)
def test_refusals_of_parity_labels(says: str, changes: dict[str, Any]) -> None:
    arguments = {"key": 1, "stream": 0, "n": 6, "support": SUPPORT, "start": 0, "stop": 8} | changes
    with pytest.raises(kernels.KernelValueError, match=says) as caught:
        kernels.parity_labels(**arguments)
    _check_sentence(caught.value)


@pytest.mark.parametrize("function", ["sgd", "logits", "parity_labels"])
def test_refusals_of_options(function: str) -> None:
    def call(implementation: str, threads: int = 1) -> object:
        if function == "sgd":
            return CASE.run(implementation, threads)
        if function == "logits":
            return kernels.logits(1, 0, CASE.network, 0, 8, implementation=implementation, threads=threads)
        return kernels.parity_labels(1, 0, 6, SUPPORT, 0, 8, implementation=implementation)

    with pytest.raises(
        kernels.KernelValueError, match="implementation is 'cuda', but must be one of auto, ref"
    ):
        call("cuda")
    if function != "parity_labels":
        with pytest.raises(
            kernels.KernelValueError, match="threads is 0, but must be an integer of at least 1"
        ):
            call("auto", 0)
    for level in {"avx2", "avx512", "baseline"} - set(NATIVE):
        with pytest.raises(kernels.KernelUnavailableError, match=f"'{level}'") as caught:
            call(level)
        assert str(caught.value).endswith(".")
