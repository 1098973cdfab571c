"""The op's registration, what its wrapper refuses and how, and the loading of the extension."""

import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import kernels
from kernels import _load
from kernels.randomness import signed
from tests.kernels.cases import assert_same, make_case
from tests.kernels.interrupts import assert_interrupted

NATIVE = kernels.status().levels
CASE = make_case(1, 10, 3, [5, 300], streams=2, neurons=3, classes=2)


def _arguments(level: str = "auto", mixed: bool = False) -> tuple[object, ...]:
    case = CASE
    return (
        signed(case.key), case.streams, case.weights, case.q, case.support, case.tables, case.records, 0,
        signed(2**63 + 7) if mixed else 0, case.tables.flip(1) if mixed else None, 1, level,
    )  # fmt: skip


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_opcheck(mixed: bool) -> None:
    torch.library.opcheck(torch.ops.parity_kernels.first_step.default, _arguments(mixed=mixed))


def test_fake_tensors_get_the_right_shapes() -> None:
    with FakeTensorMode() as mode:
        fakes = [mode.from_tensor(a) if isinstance(a, torch.Tensor) else a for a in _arguments()]
        sums, active = torch.ops.parity_kernels.first_step(*fakes)
    assert (sums.shape, sums.dtype) == ((2, 2, 2, 3, 10), torch.int64)
    assert (active.shape, active.dtype) == ((2, 2, 3), torch.int64)


def test_meta_tensors_need_no_data() -> None:
    metas = [a.to("meta") if isinstance(a, torch.Tensor) else a for a in _arguments()]
    assert torch.ops.parity_kernels.first_step(*metas)[0].shape == (2, 2, 2, 3, 10)


def test_the_reference_is_registered_for_other_devices() -> None:
    """What the dispatcher would call for a device that has no kernel of its own."""
    keys = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeExplicitAutograd")
    assert "parity_kernels::first_step" in keys
    cpu = torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
    assert ("parity_kernels::first_step" in cpu) == bool(NATIVE)


REFUSALS = {
    r"weights has dtype torch.float32, but must be torch.int8\.": {"weights": CASE.weights.float()},
    r"weights has shape \[2, 30\], but must have shape \[R, m, n\]": {"weights": CASE.weights.reshape(2, 30)},
    r"weights\[1, 2, 3\] is 0, but entries must be -1 or 1": {
        "weights": torch.where(torch.arange(60).reshape(2, 3, 10) == 53, 0, CASE.weights).to(torch.int8)
    },
    r"weights has shape \[0, 3, 10\], but needs": {
        "weights": CASE.weights[:0], "q": CASE.q[:0], "streams": CASE.streams[:0]
    },
    r"weights has n = 4096 coordinates, but 1 <= n <= 4095": {"weights": torch.ones((2, 3, 4096), dtype=torch.int8)},
    r"streams has shape \[1\], but must have shape \[2\]": {"streams": CASE.streams[:1]},
    r"streams has dtype torch.int32, but must be torch.int64": {"streams": torch.zeros(2, dtype=torch.int32)},
    r"streams\[1\] is -3, but must be in \[0, 9223372036854775807\]": {"streams": torch.tensor([0, -3])},
    r"q has shape \[3, 2\], but must have shape \[2, 3\]": {"q": CASE.q.T},
    r"q has dtype torch.float32, but must be torch.int32 or torch.int64": {"q": CASE.q.float()},
    r"q\[0, 1\] is 11, but must be in \[-1, n\] = \[-1, 10\]": {"q": torch.tensor([[0, 11, 0], [0, 0, 0]])},
    r"q\[1, 0\] is -2, but": {"q": torch.tensor([[0, 1, 0], [-2, 0, 0]])},
    r"support is \[0, 4, 4\], but must be strictly increasing in \[0, 9\]": {"support": torch.tensor([0, 4, 4])},
    r"support is \[1, 2, 10\], but": {"support": torch.tensor([1, 2, 10])},
    r"support is \[-1, 2, 3\], but": {"support": torch.tensor([-1, 2, 3])},
    r"support has k = 11 coordinates, but may have at most min\(n, 10\) = 10": {"support": torch.arange(11)},
    r"tables has shape \[2, 8\], but must have shape \[C, 4\]": {"support": torch.tensor([1, 2])},
    r"tables has shape \[0, 8\], but needs at least one class": {"tables": CASE.tables[:0]},
    r"tables\[0, 0\] is 2, but entries must be -1, 0 or 1": {"tables": torch.full((1, 8), 2, dtype=torch.int8)},
    r"tables\[0, 0\] is -128, but": {"tables": torch.full((1, 8), -128, dtype=torch.int8)},
    r"tables has dtype torch.int64, but must be torch.int8": {"tables": CASE.tables.long()},
    r"records is empty": {"records": torch.tensor([], dtype=torch.int64)},
    r"records begins with 5, but must be above start = 5": {"start": 5},
    r"records has 7 after 9, but must be strictly increasing": {"records": torch.tensor([9, 7])},
    r"records has 9 after 9, but": {"records": torch.tensor([9, 9])},
    r"records ends with 17592186044417, but a stream has 17592186044416 samples": {
        "records": torch.tensor([(1 << 44) + 1])
    },
    r"start is -1, but must be in \[0, 17592186044416\)": {"start": -1},
    r"key is 18446744073709551616, but must be an integer in \[0, 2\^64\)": {"key": 1 << 64},
    r"key is -1, but": {"key": -1},
    r"mixture has probability 18446744073709551617, but it must be an integer in \[0, 2\^64\]": {
        "mixture": ((1 << 64) + 1, CASE.tables)
    },
    r"the mixture's table has shape \[1, 8\], but must have shape \[2, 8\]": {"mixture": (1, CASE.tables[:1])},
}  # fmt: skip


@pytest.mark.parametrize(("says", "changes"), REFUSALS.items())
def test_refusals_name_the_value(says: str, changes: dict[str, object]) -> None:
    with pytest.raises(kernels.KernelValueError, match=says) as caught:
        CASE.run(**changes)  # type: ignore[arg-type]
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


def test_refusals_of_options() -> None:
    with pytest.raises(kernels.KernelValueError, match="threads is 0, but must be an integer of at least 1"):
        CASE.run(threads=0)
    with pytest.raises(
        kernels.KernelValueError, match="implementation is 'cuda', but must be one of auto, reference"
    ):
        CASE.run("cuda")
    missing = {"avx2", "avx512", "baseline"} - set(NATIVE)
    for level in missing:
        with pytest.raises(kernels.KernelUnavailableError, match=f"'{level}'"):
            CASE.run(level)


def test_without_an_extension_the_reference_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kernels._core", None)
    core, status = _load.load()
    assert core is None
    assert status.live == "reference"
    assert "reinstall the package" in status.reason
    monkeypatch.setattr(_load, "_core", core)
    monkeypatch.setattr(_load, "_status", status)
    assert_same(CASE.run(), CASE.run("reference"))
    with pytest.raises(
        kernels.KernelUnavailableError, match="'native' is not available: the compiled extension"
    ):
        CASE.run("native")


def test_a_foreign_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = types.ModuleType("kernels._core")
    foreign.__file__ = "/somewhere/kernels/_core.so"
    monkeypatch.setitem(sys.modules, "kernels._core", foreign)
    with pytest.raises(
        kernels.KernelUnavailableError, match="another package named 'kernels' is installed here"
    ):
        _load.load()


@pytest.mark.skipif(not NATIVE or not _load._CSRC.is_dir(), reason="needs the extension and its sources")
def test_a_stale_extension_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in _load._CSRC.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(_load, "_CSRC", tmp_path)
    _load.load()
    with (tmp_path / "adders.h").open("a") as file:
        file.write("\n")
    with pytest.raises(kernels.KernelUnavailableError, match="reinstall the package to rebuild it"):
        _load.load()


def test_status_says_what_is_live() -> None:
    status = kernels.status()
    assert status.live == (NATIVE[0] if NATIVE else "reference")
    assert status.live in str(status)
    assert status.reason.endswith(".")


@pytest.mark.skipif(not NATIVE, reason="needs the extension")
def test_an_interrupt_ends_a_long_call() -> None:
    """Minutes of work are dropped."""
    assert_interrupted(
        "weights = torch.ones((1, 1, 200), dtype=torch.int8);"
        " parity = torch.tensor([[1, -1, -1, 1]], dtype=torch.int8)",
        "kernels.first_step(1, torch.tensor([0]), weights, torch.tensor([[99]]), torch.tensor([0, 1]), parity,"
        " records=torch.tensor([10**11]))",
    )


def test_the_sum_of_a_call_with_a_mixture_is_what_its_tensors_say() -> None:
    """The op takes 64-bit words as signed integers; the wrapper's conversion loses nothing."""
    case = replace(CASE, key=(1 << 64) - 1, mixture=((1 << 64) - 1, CASE.tables.flip(1)))
    assert_same(case.run(), case.run("reference"))
