"""Builds of the C++ sources by the tests themselves: with faults planted in them, or with emulated instructions."""

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernels
from kernels import _load

SOURCES = Path(kernels.__file__).parent / "csrc"
HARNESSES = Path(__file__).parent / "native"
FIRST_STEP = ("harness.cpp", ("level.cpp", "schedule.cpp", "circuit.cpp"))
TRAINING = ("harness_training.cpp", ("level_training.cpp", "training.cpp", "level_hinge.cpp", "hinge.cpp"))
COMPILER = shutil.which("g++") or shutil.which("c++")

LOSSES = ("logistic", "hinge", "correlation", "squared")
Array = npt.NDArray[Any]

needs_compiler = pytest.mark.skipif(
    COMPILER is None or not SOURCES.is_dir(), reason="needs a C++ compiler and the kernels' sources"
)


def build(
    sources: Path, library: Path, flags: Sequence[str] = (), what: tuple[str, Sequence[str]] = FIRST_STEP
) -> ctypes.CDLL:
    """Compile the sources, as level `baseline` whatever the flags, and load them."""
    harness, parts = what
    assert COMPILER is not None
    command = [
        COMPILER, "-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", "-w",
        "-DPARITY_LEVEL=baseline", *flags, f"-I{sources}", str(HARNESSES / harness),
        *(str(sources / name) for name in parts), "-o", str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library))


def plant(fault: tuple[str, str, str], folder: Path) -> Path:
    """A copy of the sources with a fault: file, what stands there once, what stands there with the fault."""
    name, there, planted = fault
    for path in SOURCES.iterdir():
        text = path.read_text()
        if path.name == name:
            assert text.count(there) == 1, f"{there!r} must stand once in {name}"
            text = text.replace(there, planted)
        (folder / path.name).write_text(text)
    return folder


def _pointer(array: npt.NDArray[np.generic]) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


def use(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the library what `kernels.first_step` calls for implementation "native"."""

    def first_step(key: int, *rest: object) -> None:
        streams, weights, q, support, tables, records, start, probability, other, threads, _, sums, active = (
            rest
        )
        arrays = [np.asarray(a) for a in (streams, weights, q, support, tables, records)]
        sizes = np.array([*weights.shape, support.shape[0], tables.shape[0], records.shape[0]])  # type: ignore[attr-defined]
        sums[...] = active[...] = 0  # type: ignore[index]
        failed = library.parity_first_step(
            ctypes.c_uint64(key), *(_pointer(a) for a in arrays), ctypes.c_int64(start), ctypes.c_uint64(probability),
            _pointer(other), ctypes.c_int64(threads), _pointer(sizes), _pointer(sums), _pointer(active),
        )  # type: ignore[arg-type] # fmt: skip
        assert failed == 0

    module = ModuleType("built")
    module.first_step = first_step  # type: ignore[attr-defined]
    monkeypatch.setattr(_load, "_core", module)


def use_training(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the library what `kernels.sgd` and `kernels.logits` call for float64 and implementation "native", and what
    `kernels.hinge_sgd` does.
    """

    def sgd(
        key: int, stream: int, start: int, steps: int, batch: int, W: Array, b: Array, a: Array, c: Array,
        targets: Array, target_of: Array, rates: Array, factors: Array, hidden_rate: float, output_rate: float,
        loss: str, block: int, threads: int, level: str, logits: Array,
    ) -> None:  # fmt: skip
        sizes = np.array([start, steps, batch, *W.shape, rates.shape[0], factors.shape[0], block])
        arrays = (W, b, a, c, targets, target_of, rates, factors)
        failed = library.parity_sgd(
            ctypes.c_uint64(key), ctypes.c_uint64(stream), _pointer(sizes), *(_pointer(array) for array in arrays),
            ctypes.c_double(hidden_rate), ctypes.c_double(output_rate), ctypes.c_int64(LOSSES.index(loss)),
            ctypes.c_int64(threads), _pointer(logits),
        )  # fmt: skip
        assert failed == 0

    def logits(
        key: int, stream: int, start: int, stop: int, W: Array, b: Array, a: Array, c: Array, threads: int,
        level: str, out: Array,
    ) -> None:  # fmt: skip
        sizes = np.array([start, stop, *W.shape])
        failed = library.parity_logits(
            ctypes.c_uint64(key), ctypes.c_uint64(stream), _pointer(sizes), *(_pointer(v) for v in (W, b, a, c)),
            ctypes.c_int64(threads), _pointer(out),
        )  # fmt: skip
        assert failed == 0

    def hinge_sgd(
        features: Array, labels: Array, weights: Array, total: Array, step_size: Array, threads: int, level: str,
        loss: Array, updates: Array,
    ) -> None:  # fmt: skip
        arrays = (np.array(features.shape), features, labels, step_size, weights, total, loss, updates)
        failed = library.parity_hinge_sgd(*(_pointer(array) for array in arrays), ctypes.c_int64(threads))
        assert failed == 0

    module = ModuleType("built")
    module.hinge_sgd = hinge_sgd  # type: ignore[attr-defined]
    module.sgd = sgd  # type: ignore[attr-defined]
    module.logits = logits  # type: ignore[attr-defined]
    monkeypatch.setattr(_load, "_core", module)
