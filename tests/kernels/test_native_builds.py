"""The sources built anew: faults planted in them are caught; the AVX-512 layer is right under emulation."""

from pathlib import Path

import pytest
import torch

import kernels
from tests.kernels.cases import Case, make_case
from tests.kernels.native_build import SOURCES, build, needs_compiler, plant, use

SIMDE = Path("/usr/include/simde/x86/avx512.h")

# SIMDe's portable versions of the AVX-512 intrinsics, in place of the compiler's.
SHIM = """#pragma once
#include_next <immintrin.h>
#undef __AVX512F__
#undef __AVX512BW__
#undef __AVX512VPOPCNTDQ__
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#define __AVX512F__ 1
#define __AVX512BW__ 1
#define __AVX512VPOPCNTDQ__ 1
"""

# file, what stands there, what stands there with the fault
FAULTS = {
    "wrong carry": ("simd.h", "carry = (a & b) | (u & c);", "carry = (a & b) | (a & c);"),
    "wrong sum": ("simd.h", "return u ^ c;\n}\n#if PARITY_AVX2", "return u | c;\n}\n#if PARITY_AVX2"),
    "partial mask one short": ("chunk.h", "hi - at < 64 ? hi - at : 64", "hi - at < 64 ? hi - at - 1 : 64"),
    "partial mask one early": ("chunk.h", "lo > at ? lo - at : 0", "lo > at ? lo - at - 1 : 0"),
    "biased generator": ("random.h", "a[h] = b[h] ^ (b[h] >> 11);", "a[h] = b[h] | (b[h] >> 11);"),
    "eleven outputs discarded": ("random.h", "i < 12; ++i) step(discarded)", "i < 11; ++i) step(discarded)"),
    "a lane repeated": ("random.h", "words + 6 * lane;", "words + 6 * (lane & 6);"),
    "counter not advanced": ("random.h", "counter += splat(1);", "counter += splat(0);"),
    "mixture compares the wrong way": ("random.h", "undecided[h] & ~u[h];", "undecided[h] & u[h];"),
    "threshold not strict": (
        "threshold.h",
        "(int64_t{1} << planes) - 1 - q)",
        "(int64_t{1} << planes) - 2 - q)",
    ),
    "ripple one plane short": ("adders.h", "p < Last; ++p", "p < Last - 1; ++p"),
    "partner forgotten": ("tally.h", "if (rounds_ >> l & 1) count", "if (rounds_ >> l & 2) count"),
    "tree of eight forgotten": ("threshold.h", "if (length & 8)", "if (length & 64)"),
    "tree of 32 one plane low": ("threshold.h", "ripple<5, Planes>", "ripple<4, Planes>"),
    "leftovers swapped": ("threes.h", "table[4 + s] = a ^ b;", "table[4 + s] = a | b;"),
    "selectors of the second round": (
        "threes.h",
        "a |= x << at, b |= y << at, c",
        "a |= x << at, b |= x << at, c",
    ),
    "negatives not counted": ("wide.h", "values[j] - negatives", "values[j]"),
    "labels not complemented": ("labels.h", "high[h] ^ flip", "high[h]"),
    "records not accumulated": ("schedule.cpp", "p = 1; p < job.record_count", "p = 2; p < job.record_count"),
}

# the same where counting ones is one instruction, as it is with AVX-512
FAST = "-DPARITY_FAST_COUNT=1"
FAULTS_OF_COUNTS = {
    "a vector not counted": ("tally.h", "h < kPer; ++h) count +=", "h < kPer - 1; ++h) count +="),
    "a count left behind": ("tally.h", "counts_[i] = zero();", "(void)counts_;"),
    "second neuron on the first's sums": ("sliced.h", "row[u * job_.n * kStored + l] =", "row[l] ="),
    "second neuron's labels": ("sliced.h", "labelled_[unit + u] +=", "labelled_[unit] +="),
    "last neuron of an odd number": (
        "sliced.h",
        "for (; j < count_; ++j) add_units",
        "for (; j + 1 < count_; ++j) add_units",
    ),
    "neurons on their own": ("sliced.h", "fires_[(j + u) * kVectors", "fires_[j * kVectors"),
}


def _cases() -> list[Case]:
    cases = [
        make_case(
            m,
            n,
            4,
            [start + 1, 65, 512, 700, 4100],
            neurons=m,
            classes=2,
            start=start,
            probability=probability,
        )
        for m in (1, 41, 130)
        for n in (7, 90)
        for start, probability in ((0, None), (3, 2**63 + 3))
    ]
    # units that always fire fill the counters
    return cases + [
        make_case(m, 9, 1, [300, stop], neurons=m, hard=True, q=9)
        for m in (1, 60, 130)
        for stop in (512, 29_000)
    ]


def _wrong(expected: list[kernels.FirstStepSums]) -> bool:
    return any(
        not torch.equal(right.sums, result.sums) or not torch.equal(right.active, result.active)
        for right, case in zip(expected, _cases(), strict=True)
        for result in [case.run("native", threads=2)]
    )


@needs_compiler
@pytest.mark.skipif(not kernels.status().levels, reason="needs the extension")
@pytest.mark.parametrize("flags", [(), (FAST,)])
def test_a_fresh_build_is_right(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = [case.run("reference") for case in _cases()]
    library = build(SOURCES, tmp_path / "fresh.so", flags)
    use(library, monkeypatch)
    assert not _wrong(expected)


@needs_compiler
@pytest.mark.nightly
@pytest.mark.skipif(not kernels.status().levels, reason="needs the extension")
@pytest.mark.parametrize("fault", [*FAULTS, *FAULTS_OF_COUNTS])
def test_planted_faults_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = [case.run() for case in _cases()]
    flags = (FAST,) if fault in FAULTS_OF_COUNTS else ()
    sources = plant((FAULTS | FAULTS_OF_COUNTS)[fault], tmp_path)
    use(build(sources, tmp_path / "faulty.so", flags), monkeypatch)
    assert _wrong(expected)


@needs_compiler
@pytest.mark.nightly
@pytest.mark.skipif(not kernels.status().levels or not SIMDE.exists(), reason="needs the extension and SIMDe")
def test_avx512_under_emulation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every AVX-512 intrinsic replaced by SIMDe's portable version; the vectors are 64 bytes wide all the same."""
    shapes = [(n, 3 + n % 2 * 257) for n in [*range(1, 71), 127, 128, 129, 200]]
    shapes += [(21, m) for m in (1, 2, 191, 192, 193, 255, 256, 257, 511, 512, 513, 703, 704, 705)]
    cases = [*_cases(), *(make_case(n + m, n, min(n, 3), [700], neurons=m, classes=2) for n, m in shapes)]
    cases += [make_case(m, 23, 5, [5000, 20000, 70001], neurons=m, start=3333) for m in (1, 30, 200)]
    expected = [case.run() for case in cases]
    (tmp_path / "immintrin.h").write_text(SHIM)
    flags = ["-mavx2", "-mpopcnt", "-mbmi", "-mbmi2", f"-I{tmp_path}", "-DPARITY_PIN(v)=(void)(v)"]
    use(build(SOURCES, tmp_path / "emulated.so", flags), monkeypatch)
    for case, right in zip(cases, expected, strict=True):
        result = case.run("native", threads=2)
        assert torch.equal(result.sums, right.sums)
        assert torch.equal(result.active, right.active)
