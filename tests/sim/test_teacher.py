"""Teachers: their specification, and their trajectories against naive SGD, as checkpoints and curves."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernels
from kernels import Network
from sim.artifacts import Artifacts, step_name
from sim.network import initialise, output_rate
from sim.parity import Outcome, Status
from sim.rates import RateSchedule
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec
from tests.sim.teacher_cases import SPEC, files, path_of, refusal, trajectory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """SPEC, trained in one go with one thread."""
    t = trajectory(tmp_path_factory.mktemp("whole"))
    assert t.ensure() == Outcome(Status.OK)
    return t


# The specification
def test_specifications_are_read_back_and_each_field_counts() -> None:
    assert TeacherSpec.from_spec(SPEC.spec()) == SPEC
    others: dict[str, Any] = {
        "n": 7,
        "k": 1,
        "width": 10,
        "rate": RateSchedule(0.05),
        "steps": 260,
        "checkpoint_every": 40,
        "initialisation": "symmetric",
        "batch": 2,
        "decay": 0.1,
        "segment": 10,
        "seed": 4,
        "dtype": "float64",
    }
    assert others.keys() == SPEC.spec().keys()
    changed = {name: replace(SPEC, **{name: value}) for name, value in others.items()}
    assert len({SPEC.id, *(spec.id for spec in changed.values())}) == 1 + len(others)
    for name, spec in changed.items():
        assert (spec.trajectory() == SPEC.trajectory()) == (name == "checkpoint_every"), name


def test_a_constant_rate_makes_longer_runs_go_on_from_shorter_ones() -> None:
    short = replace(SPEC, rate=RateSchedule(0.05))
    longer = replace(short, steps=480)
    assert short.trajectory() == longer.trajectory()
    assert short.id != longer.id


def test_checkpoints_are_at_the_start_the_multiples_and_the_end() -> None:
    assert SPEC.checkpoints() == (0, 60, 120, 180, 240)
    assert replace(SPEC, steps=100).checkpoints() == (0, 60, 100)
    assert replace(SPEC, checkpoint_every=1000).checkpoints() == (0, 240)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"k": 7}, "k = 7 is larger than n = 6"),
        ({"width": 0}, "width 0 is not allowed"),
        ({"initialisation": "zero"}, "initialisation 'zero' is unknown"),
        ({"batch": 0}, "batch 0 is not allowed: give 1 to 65536 samples a step"),
        ({"decay": math.nan}, "weight decay nan is not allowed"),
        ({"decay": math.inf}, "weight decay inf is not allowed"),
        ({"decay": -1.0}, "weight decay -1.0 is not allowed"),
        ({"segment": 0}, "segment 0 is not allowed: give at least 1 step"),
        ({"steps": 250}, "steps 250 is not allowed: give a multiple of the segment, 20"),
        ({"steps": 0}, "steps 0 is not allowed"),
        ({"checkpoint_every": 30}, "checkpoint_every 30 is not allowed: give a multiple"),
        ({"seed": -1}, "seed -1 is not allowed"),
        ({"dtype": "int8"}, "dtype 'int8' is unknown"),
        ({"steps": 1 << 44, "segment": 1 << 20, "checkpoint_every": 1 << 20}, "are too many"),
    ],
)
def test_specifications_that_are_none_are_refused(fields: dict[str, Any], message: str) -> None:
    assert message in refusal(lambda: replace(SPEC, **fields))


def test_a_specification_of_something_else_is_refused() -> None:
    for spec in ({}, {**SPEC.spec(), "colour": "red"}, {"rate": SPEC.rate.spec()}):
        assert "cannot be read" in refusal(lambda spec=spec: TeacherSpec.from_spec(spec))  # type: ignore[misc]


# The trajectory
def naive(spec: TeacherSpec, until: int) -> tuple[Network, np.ndarray, np.ndarray]:
    """Step-by-step SGD in numpy: the network, and the logits and labels met on the way."""
    task, B = spec.task, spec.batch
    first = initialise(
        spec.initialisation, spec.n, spec.k, spec.width, task.key("teacher initialisation"), [0], "float64"
    )
    W, b, a, c = (t[0].numpy().copy() for t in first)
    X = kernels.draw_inputs(task.key("teacher data"), 0, spec.n, 0, until * B).numpy().astype(float)
    y = X[:, list(task.support)].prod(1)
    rates = spec.rate.values(0, until, spec.steps)
    factor = output_rate(spec.initialisation)
    logits = np.empty(until * B)
    for t in range(until):
        x, keep, eta = X[t * B : (t + 1) * B], 1 - rates[t] * spec.decay, rates[t] / B
        h = x @ W.T + b
        z = np.maximum(h, 0) @ a + c
        logits[t * B : (t + 1) * B] = z
        delta = 1 / (1 + np.exp(-z)) - (y[t * B : (t + 1) * B] > 0)
        back = delta[:, None] * a * (h > 0)
        W, b = keep * W - eta * back.T @ x, keep * b - eta * back.sum(0)
        a, c = keep * a - factor * eta * delta @ np.maximum(h, 0), keep * c - factor * eta * delta.sum()
    return Network(*(torch.as_tensor(t)[None] for t in (W, b, a, c))), logits, y


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"initialisation": "symmetric", "rate": RateSchedule(0.2)},
        {"batch": 3, "decay": 0.02},
        {"batch": 2, "initialisation": "symmetric", "seed": 8, "segment": 60},
    ],
)
def test_it_is_naive_sgd_and_the_curve_is_what_was_met(fields: dict[str, Any], tmp_path: Path) -> None:
    spec = replace(SPEC, dtype="float64", **fields)
    t = trajectory(tmp_path, spec)
    t.ensure()
    network, logits, y = naive(spec, spec.steps)
    for ours, theirs in zip(t.load(spec.steps), network, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    middle, _, _ = naive(spec, 120)
    torch.testing.assert_close(t.load(120).W, middle.W, rtol=1e-10, atol=1e-12)
    curve = t.curve(120)
    assert curve.steps.tolist() == [120, 240]
    right, loss = (logits > 0) == (y > 0), np.log1p(np.exp(-y * logits))
    assert curve.accuracy == pytest.approx(right.reshape(2, -1).mean(1), abs=1e-15)
    assert curve.loss == pytest.approx(loss.reshape(2, -1).mean(1), rel=1e-9)
    held_out = [float(spec.task.accuracy(t.load(step))[0]) for step in (120, 240)]
    assert curve.held_out.tolist() == held_out
    assert t.held_out()[120] == held_out[0]


def test_a_teacher_learns_a_small_parity(tmp_path: Path) -> None:
    spec = TeacherSpec(8, 2, 64, RateSchedule(0.05), 4000, 2000, segment=500)
    t = trajectory(tmp_path, spec)
    t.ensure()
    curve = t.curve()
    assert t.held_out()[0] < 0.7
    assert curve.held_out[-1] > 0.99
    assert curve.accuracy[-1] > 0.97
    assert curve.loss[-1] < 0.1 < curve.loss[0]


def test_points_of_a_curve_add_up(whole: Trajectory) -> None:
    fine = whole.curve()
    assert fine.steps.tolist() == list(range(20, 241, 20))
    assert [not math.isnan(h) for h in fine.held_out] == [s % 60 == 0 for s in fine.steps]
    coarse = whole.curve(100)
    assert coarse.steps.tolist() == [100, 200, 240]
    for values, sums in ((fine.accuracy, coarse.accuracy), (fine.loss, coarse.loss)):
        groups = [values[:5].mean(), values[5:10].mean(), values[10:].mean()]
        assert sums == pytest.approx(groups, rel=1e-12)
    assert "points every 30 steps are not allowed" in refusal(lambda: whole.curve(30))


def test_what_is_there_is_not_trained_again(whole: Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert whole.outcome() == Outcome(Status.OK)
    monkeypatch.setattr(kernels, "sgd", pytest.fail)
    monkeypatch.setattr(whole.run.__class__, "lock", pytest.fail)  # a read-only copy is good enough
    before = {p: p.stat().st_mtime_ns for p in whole.run.folder.iterdir()}
    assert whole.ensure() == Outcome(Status.OK)
    assert whole.densify(60, 180, 60) == Outcome(Status.OK)
    assert {p: p.stat().st_mtime_ns for p in whole.run.folder.iterdir()} == before


def test_threads_and_the_checkpoints_that_are_kept_change_no_byte(whole: Trajectory, tmp_path: Path) -> None:
    t = trajectory(tmp_path, replace(SPEC, checkpoint_every=20))
    t.ensure(threads=2)
    assert t.run.id == whole.run.id
    assert t.steps() == tuple(range(0, 241, 20))
    for step in whole.steps():
        assert path_of(t, step).read_bytes() == path_of(whole, step).read_bytes()


@pytest.mark.parametrize(("start", "stop"), [(60, 60), (60, 180)])
def test_checkpoints_that_are_the_first_of_all_are_trained_from_step_0(
    start: int, stop: int, whole: Trajectory, tmp_path: Path
) -> None:
    t = trajectory(tmp_path)
    assert t.densify(start, stop, 60) == Outcome(Status.OK)
    assert t.steps() == tuple(range(start, stop + 1, 60))
    for step in t.steps():
        assert path_of(t, step).read_bytes() == path_of(whole, step).read_bytes()


def test_the_cpu_may_be_named(whole: Trajectory, tmp_path: Path) -> None:
    t = Trajectory(SPEC, Artifacts(tmp_path), device="cpu")
    assert t.ensure() == Outcome(Status.OK)
    assert files(tmp_path) == files(whole.run.root)


def test_all_that_training_is_given_is_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On `meta`, a device without numbers, so up to the first call of the kernel."""
    given: list[Any] = []

    def reached(
        key: int, stream: int, network: Network, targets: torch.Tensor, rates: torch.Tensor, **more: Any
    ) -> Any:
        given.extend((*network, targets, rates, more["decay"]))
        raise InterruptedError

    monkeypatch.setattr(kernels, "sgd", reached)
    t = Trajectory(replace(SPEC, decay=0.1), Artifacts(tmp_path), device="meta")
    with pytest.raises(InterruptedError):
        t.densify(60, 60, 60)
    assert [tensor.device.type for tensor in given] == ["meta"] * 7


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here: the reference's path is not run on one"
)
def test_a_cuda_device_gives_the_same_up_to_rounding(tmp_path: Path) -> None:
    spec = replace(SPEC, dtype="float64", decay=0.02, batch=2)
    ours = Trajectory(spec, Artifacts(tmp_path / "cuda"), device="cuda")
    theirs = trajectory(tmp_path / "cpu", spec)
    assert ours.densify(60, 60, 20) == ours.ensure() == theirs.ensure() == Outcome(Status.OK)
    assert ours.densify(120, 180, 20) == Outcome(Status.OK)  # goes on from a file, and arrives at another
    for step in theirs.steps():
        for a, b in zip(ours.load(step), theirs.load(step), strict=True):
            assert a.device.type == "cpu"
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    assert ours.held_out() == theirs.held_out()
    assert ours.curve().accuracy.tolist() == theirs.curve().accuracy.tolist()
    assert ours.curve().loss == pytest.approx(theirs.curve().loss, rel=1e-9)


def test_densified_checkpoints_are_those_of_the_trajectory(tmp_path: Path) -> None:
    fine, coarse = (
        trajectory(tmp_path / str(every), replace(SPEC, checkpoint_every=every)) for every in (20, 120)
    )
    fine.ensure()
    coarse.ensure()
    assert coarse.steps() == (0, 120, 240)
    assert coarse.densify(120, 220, 40) == Outcome(Status.OK)
    assert coarse.steps() == (0, 120, 160, 200, 240)
    coarse.densify(0, 240, 20, threads=2)
    assert files(tmp_path / "20") == files(tmp_path / "120")
    assert coarse.held_out() == fine.held_out()


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((0, 240, 30), "checkpoints from 0 every 30 are not allowed: give multiples of the segment, 20"),
        ((10, 240, 20), "checkpoints from 10 every 20 are not allowed"),
        ((0, 240, 0), "every 0 are not allowed"),
        ((0, 260, 20), "checkpoints from 0 to 260 are not allowed: give 0 <= start <= stop <= 240"),
        ((80, 60, 20), "checkpoints from 80 to 60 are not allowed"),
        ((-20, 60, 20), "checkpoints from -20 to 60 are not allowed"),
    ],
)
def test_steps_that_cannot_be_densified_are_refused(
    whole: Trajectory, steps: tuple[int, int, int], message: str
) -> None:
    assert message in refusal(lambda: whole.densify(*steps))


def test_a_longer_run_goes_on_from_a_shorter_one(tmp_path: Path) -> None:
    short = replace(SPEC, rate=RateSchedule(0.05))
    longer = replace(short, steps=360)
    trajectory(tmp_path / "a", short).ensure()
    before = files(tmp_path / "a")
    told: list[float] = []
    t = trajectory(tmp_path / "a", longer)
    assert t.outcome() == Outcome(Status.INCOMPLETE)
    t.ensure(progress=lambda text, share: told.append(share))
    assert len(told) == 6
    trajectory(tmp_path / "b", longer).ensure()
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert before.items() <= files(tmp_path / "a").items()
    assert trajectory(tmp_path / "a", short).steps() == short.checkpoints()
    assert trajectory(tmp_path / "a", short).curve().steps[-1] == 240


def test_progress_says_how_far_the_work_is(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    trajectory(tmp_path).ensure(progress=lambda text, share: told.append((text, share)))
    assert [share for _, share in told] == pytest.approx([(i + 1) / 12 for i in range(12)])
    text = "teacher n=6 k=2 width=8 rate=0.05:cosine:warmup=0.1:final=0.1: 100 of 240 steps"
    assert told[4][0] == text


@pytest.mark.parametrize("lost", [(0,), (240,), (60, 120), (0, 60, 120, 180), (0, 180)])
def test_files_that_were_deleted_are_made_again(
    whole: Trajectory, lost: tuple[int, ...], tmp_path: Path
) -> None:
    t = trajectory(tmp_path)
    for step in whole.steps():
        if step not in lost:
            t.run.folder.mkdir(parents=True, exist_ok=True)
            path_of(t, step).write_bytes(path_of(whole, step).read_bytes())
    assert t.outcome() == Outcome(Status.INCOMPLETE)
    t.ensure()
    for step in SPEC.checkpoints():
        assert path_of(t, step).read_bytes() == path_of(whole, step).read_bytes()


def test_a_checkpoint_that_training_does_not_arrive_at_is_refused(whole: Trajectory, tmp_path: Path) -> None:
    t = trajectory(tmp_path)
    artifact = whole.run.load(step_name(120), whole._layout(120))
    artifact.tensors["c"] += 1e-6
    t.run.save(step_name(120), artifact.tensors, artifact.notes)
    message = refusal(t.ensure)
    assert f"{path_of(t, 120)} is not what this version computes on this machine: delete" in message
    # What was made on the way to it is another trajectory's, too.
    assert t.steps() == (0, 120)


@pytest.mark.parametrize("step", [1, 20, 300])
def test_steps_without_a_checkpoint_are_refused(whole: Trajectory, step: int) -> None:
    message = refusal(lambda: whole.load(step))
    assert message.startswith(f"step {step} of teacher n=6 k=2 width=8")
    assert message.endswith("has no checkpoint: give one of 0, 60, 120, 180, 240")


def test_an_untrained_teacher_has_nothing(tmp_path: Path) -> None:
    t = trajectory(tmp_path)
    assert t.outcome() == Outcome(Status.INCOMPLETE)
    assert t.steps() == ()
    assert "give one of none so far, train it first" in refusal(lambda: t.load(0))
    assert "has no checkpoint: train it first" in refusal(t.curve)
    assert not list(tmp_path.iterdir())


def test_bad_checkpoints_are_refused_by_load_and_by_a_run_that_would_go_on_from_them(
    whole: Trajectory, tmp_path: Path
) -> None:
    t = trajectory(tmp_path)
    trajectory(tmp_path, replace(SPEC, width=10)).ensure()
    good = path_of(whole, 60).read_bytes()
    bad = {
        "is damaged, it is truncated": good[:-10],
        "is damaged, its tensors": good[:-1] + bytes([good[-1] ^ 1]),
        "it is of another run": path_of(trajectory(tmp_path, replace(SPEC, width=10)), 60).read_bytes(),
        "is step-00000000000120 under another name": path_of(whole, 120).read_bytes(),
    }
    t.run.folder.mkdir(parents=True)
    for part, data in bad.items():
        path_of(t, 60).write_bytes(data)
        assert part in refusal(lambda: t.load(60))
        assert part in refusal(lambda: t.densify(60, 120, 20))
        assert path_of(t, 60).read_bytes() == data
    # Of another shape, under the right run: only by hand.
    artifact = whole.run.load(step_name(60), whole._layout(60))
    t.run.save(step_name(60), {**artifact.tensors, "b": torch.zeros(1, 9)}, artifact.notes)
    assert "b [1, 9] float32" in refusal(lambda: t.load(60))
