"""Slowdowns planted in the kernels' sources fail the comparison, which names the kernel."""

import shutil

import pytest

import kernels
from benchmarks.regression import instructions
from benchmarks.regression.__main__ import main
from benchmarks.regression.versions import ROOT, Version

LEVELS = kernels.status().levels
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not LEVELS or shutil.which("c++") is None, reason="needs the extension and a C++ compiler"
    ),
]

NEEDLESS_PASS = (
    "sweep.h",
    """    const int64_t stride = part_.stride;
    each_chunk(slot(0), [&](int64_t begin, int64_t end) {
      Vec sum{};
      F* row""",
    """    const int64_t stride = part_.stride;
    for (int64_t s = 0; s <= t; ++s) {
      each_vector([&](int64_t j) {
        Vec x = at(part_.h + s * stride + j);
        asm volatile("" : "+x"(x));
        at(part_.h + s * stride + j) = x;
      });
    }
    each_chunk(slot(0), [&](int64_t begin, int64_t end) {
      Vec sum{};
      F* row""",
)
"""Each step of SGD goes over the rows of H before it once more."""

SCALAR_POPCOUNT = (
    "simd.h",
    "return from(_mm512_popcnt_epi64(raw(v)));",
    """for (int i = 0; i < kWords; ++i) {
    uint64_t word = v[i];
    asm volatile("" : "+r"(word));
    v[i] = uint64_t(__builtin_popcountll(word));
  }
  return v;""",
)
"""Ones are counted word by word."""

FIRES_TWICE = (
    "solo.h",
    "if (present_) unit_.run(chunk.x, fires_);",
    "if (present_) unit_.run(chunk.x, fires_), unit_.run(chunk.x, fires_);",
)
"""The activation is computed twice."""


def _plant(fault: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the present sources the old version, and those with the fault the new one."""
    present = Version.of_folder(ROOT, "the sources as they are")
    name, there, planted = fault
    path = f"kernels/csrc/{name}"
    text = present.files[path].decode()
    assert text.count(there) == 1, f"{there!r} must stand once in {name}"
    slow = Version("the sources with a fault", {**present.files, path: text.replace(there, planted).encode()})
    monkeypatch.setattr(Version, "of_folder", lambda *_: slow)
    monkeypatch.setattr("benchmarks.regression.__main__.earlier", lambda *_: present)


def _sentences(capsys: pytest.CaptureFixture[str]) -> str:
    printed = capsys.readouterr()
    print(printed.out)
    print(printed.err)
    return printed.err


def test_a_needless_pass_over_h(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _plant(NEEDLESS_PASS, monkeypatch)
    assert main([]) == 1
    assert f"kernels.sgd is slower (sweep.h; sgd: width 1,000, 4 students, {LEVELS[0]})" in _sentences(capsys)


@pytest.mark.skipif("avx512" not in LEVELS, reason="needs AVX-512")
def test_popcount_without_its_vector_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _plant(SCALAR_POPCOUNT, monkeypatch)
    assert main([]) == 1
    wanted = "kernels.first_step is slower (sliced.h; first_step: n = 100, 24 neurons, a mixture, avx512)"
    assert wanted in _sentences(capsys)


@pytest.mark.skipif(
    instructions.unavailable() is not None or "avx2" not in LEVELS, reason="needs valgrind and AVX2"
)
def test_instructions_of_a_needless_activation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _plant(FIRES_TWICE, monkeypatch)
    assert main([]) == 1
    lines = [line for line in _sentences(capsys).splitlines() if "n = 200, 1 neuron, avx2" in line]
    assert len(lines) == 1
    assert lines[0].startswith("kernels.first_step is slower (solo.h; ")
    assert lines[0].endswith(" times the instructions.")
