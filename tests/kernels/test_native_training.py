"""The sources of training built anew, with faults planted in them: each is caught by comparison with the reference."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import kernels
from tests.kernels.hinge_cases import HINGE_NATIVE, make_hinge, same
from tests.kernels.native_build import SOURCES, TRAINING, build, needs_compiler, plant, use_training
from tests.kernels.training_cases import NATIVE, TrainingCase, distance, make_training

# file, what stands there, what stands there with the fault
FAULTS = {
    "the bias is not in the inner products": ("samples.h", "F(shape.coordinates - 2", "F(shape.n - 2"),
    "a batch sees itself": (
        "sweep.h",
        "row < first + batch; ++row) collect_rows<1>(row, first);",
        "row < first + batch; ++row) collect_rows<1>(row, row);",
    ),
    "look-up shifted": ("samples.h", "g % 16 * kGroup, base", "g % 16 * kGroup + 1, base"),
    "samples of an update shifted": ("samples.h", "at + g * kGroup) : 0", "at + g * kGroup + 1) : 0"),
    "slabs overlap": ("samples.h", "return groups * slab / slabs;", "return groups * slab / slabs - (slab > 0);"),
    "a signed sum is wrong": ("products.h", "low[4] = {w0 + w1, w1 - w0", "low[4] = {w0 + w1, w0 - w1"),
    "weights of the tables swapped": ("products.h", "difference = w3 - w2", "difference = w2 - w3"),
    "second slab forgets the first": (
        "products.h",
        "if (slab > 0) {\n        for (int64_t u = 0; u < kSums; ++u) sums[u] = at(h + u",
        "if (slab > 1) {\n        for (int64_t u = 0; u < kSums; ++u) sums[u] = at(h + u",
    ),
    "the next four sums look up what the first did": ("products.h", "offsets + q / 4 * apart", "offsets"),
    "the last group of a slab is not moved": ("products.h", "for (; g < end; ++g) {", "for (; g + 1 < end; ++g) {"),
    "rows past the end count": ("products.h", "t + u < block.rows ? at(c", "t + u < block.rows + 1 ? at(c"),
    "kept weights not scaled": ("products.h", "sums[u] *= keep;", "sums[u] *= 1;"),
    "a unit at the edge": (
        "reals.h", "return h > none ? x : none;", "return h < none ? none : x + (h > none ? none : x);",
    ),
    "rate of the output layer": (
        "sweep.h", "-(rate * steps_.output_rate) * delta,", "-(rate * steps_.hidden_rate) * delta,",
    ),
    "the new a is used": (
        "sweep.h",
        "c = where_active<F>(x, move.hidden * a);\n    at(h) = c;\n    const Vec next",
        "c = where_active<F>(x, move.hidden * (a + move.output * relu<F>(x)));\n    at(h) = c;\n    const Vec next",
    ),
    "the last step of a block is not finished": ("sweep.h", "sweeps[s].finish(t, moves[s]);", ";"),
    "one row is not gathered": ("sweep.h", "s < past; ++s, c += stride", "s + 1 < past; ++s, c += stride"),
    "inner rows miss one": ("sweep.h", "s < kInner; ++s) x += weights", "s + 1 < kInner; ++s) x += weights"),
    "chunks miss the last vector": (
        "sweep.h",
        "std::min(part_.vectors, begin + kChunkVectors)));",
        "std::min(part_.vectors - 1, begin + kChunkVectors)));",
    ),
    "hinge margin": ("sweep.h", "y * z < 1 ?", "y * z < 0 ?"),
    "decay of the rows before": ("train.h", "left * block.gram", "block.gram"),
    "decay of what is added": ("train.h", "place.share[s] = left;", "place.share[s] = 1;"),
    "sums of a split batch lost": (
        "train.h", "student.c = factor * student.c + student.c_sum,", "student.c = factor * student.c,",
    ),
    "first rate for all blocks": (
        "train.h",
        "job_.rates + (job_.rate_rows > 1 ? r : 0) * job_.steps + step",
        "job_.rates + (job_.rate_rows > 1 ? r : 0) * job_.steps",
    ),
    "tiles do not move on": ("train.h", "job_.start + done, at - done", "job_.start, at - done"),
    "logits without output bias": ("forward.h", "job_.c[r] + sum_lanes", "sum_lanes"),
    "members share one student": ("train.h", "u = me.team->take()) unit", "u = me.team->take() + 1) unit"),
    "the second of two students repeats the first": ("train.h", "student(r + s, scratch", "student(r, scratch"),
    "the second of two students has the first's targets": ("train.h", "course(r + s, b", "course(r, b"),
    "students left over are mistaken": ("train.h", "whole * (together_ - 1) + u, alone", "u, alone"),
    "padding gets weights": ("products.h", "sums[u] = Vec{};\n      }\n    }\n  }", "}\n    }\n  }"),
    "the next block's table is the old weights'": (
        "products.h",
        "at(w + u * kLane) = sums[u];\n      } else",
        "std::swap(at(w + u * kLane), sums[u]);\n      } else",
    ),
}  # fmt: skip

HINGE_FAULTS = {
    "neighbours are added first": (
        "level_hinge.cpp", "x.part[i] += x.part[i + half];", "x.part[i] = x.part[2 * i] + x.part[2 * i + 1];",
    ),
    "the total has the iterate after the step": (
        "level_hinge.cpp",
        "total[s] = total[s] + a[s];",
        "total[s] = total[s] + choose(learns, a[s] + splat_eight(states[s].step_size * y) * x, a[s]);",
    ),
    "the next row's first feature counts": ("level_hinge.cpp", "last_ + i < job.width)", "last_ + i <= job.width)"),
    "the last rows are copied from one too early": (
        "level_hinge.cpp", "features + (direct_ + t) * job_.width", "features + (direct_ + t - 1) * job_.width",
    ),
    "all in turn have the first's labels": (
        "level_hinge.cpp", "job_.labels + r * job_.steps;", "job_.labels + first * job_.steps;",
    ),
    "a wide loss misses the labels": ("level_hinge.cpp", "state.loss += 1 - margin;", "state.loss += 1 - y * margin;"),
    "the last eight are not learned": (
        "level_hinge.cpp",
        "add(last, keep(load_eight(x + last), mask));\n}\n",
        "add(last, keep(splat_eight(0), mask));\n}\n",
    ),
    "replicates left over are left out": (
        "level_hinge.cpp", "(job.replicates + together - 1) / together", "job.replicates / together",
    ),
}  # fmt: skip


def _cases() -> Iterator[TrainingCase]:
    for batch in (1, 3, 70):
        for loss in ("logistic", "hinge"):
            yield make_training(
                batch, 130, 70, 700 // batch, students=3, batch=batch, loss=loss, decay=batch != 1, start=4001
            )
    case = make_training(6, 6, 9, 1)
    W, b, a, c = case.network
    yield replace(case, network=kernels.Network(0 * W, 0 * b, a, c))  # all units at the edge
    case = make_training(5, 9, 2100, 80)
    yield replace(case, rates=case.rates * torch.linspace(1, 2, 80, dtype=torch.float64))


def _wrong(cases: list[tuple[TrainingCase, kernels.SGDResult]]) -> bool:
    for case, expected in cases:
        for threads in (1, 2):
            result = case.run("native", threads)
            if not distance(result, expected) < 1e-10:
                return True
        looks = (case.key, case.stream, case.network, 4090, 4200)
        right = kernels.logits(*looks, implementation="reference")
        if not (kernels.logits(*looks, implementation="native") - right).abs().max() < 1e-10:
            return True
    return False


def _hinge_wrong() -> bool:
    cases = [make_hinge(width, 5, 60, width) for width in (1, 5, 8, 9, 24, 35)]
    return any(
        not same(case.run("native", threads), case.run("reference")) for case in cases for threads in (1, 2)
    )


@pytest.fixture(scope="module")
def cases() -> list[tuple[TrainingCase, kernels.SGDResult]]:
    """With what the reference says."""
    return [(case, case.run("reference")) for case in _cases()]


@needs_compiler
@pytest.mark.skipif(not NATIVE, reason="needs the extension")
def test_a_fresh_build_is_right(
    cases: list[tuple[TrainingCase, kernels.SGDResult]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_training(build(SOURCES, tmp_path / "fresh.so", what=TRAINING), monkeypatch)
    assert not _wrong(cases)
    assert not _hinge_wrong()


@needs_compiler
@pytest.mark.nightly
@pytest.mark.skipif(not NATIVE, reason="needs the extension")
@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(
    fault: str,
    cases: list[tuple[TrainingCase, kernels.SGDResult]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    use_training(build(plant(FAULTS[fault], tmp_path), tmp_path / "faulty.so", what=TRAINING), monkeypatch)
    assert _wrong(cases)


@needs_compiler
@pytest.mark.nightly
@pytest.mark.skipif(not HINGE_NATIVE, reason="needs the extension")
@pytest.mark.parametrize("fault", HINGE_FAULTS)
def test_planted_faults_of_hinge_sgd_are_caught(
    fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_training(
        build(plant(HINGE_FAULTS[fault], tmp_path), tmp_path / "faulty.so", what=TRAINING), monkeypatch
    )
    assert _hinge_wrong()
