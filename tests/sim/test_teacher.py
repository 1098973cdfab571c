"""Teachers: their trajectories against naive SGD, checkpoints, kill -9 and resume, divergence; and the task."""

import contextlib
import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch

import kernels
from kernels import Network
from sim import teacher
from sim.artifacts import Artifacts, step_name
from sim.cell import canonical_json
from sim.errors import SimError
from sim.network import DTYPES, initialise, output_rate
from sim.parity import EVALUATION_SAMPLES, Outcome, ParityTask, Status, probabilities, right_answers
from sim.rates import RateSchedule
from sim.teacher import TeacherSpec, Trajectory
from tests.statistics import assert_proportion

SPEC = TeacherSpec(
    n=6,
    k=2,
    width=8,
    rate=RateSchedule.parse("0.05:cosine:warmup=0.1:final=0.1"),
    steps=240,
    checkpoint_every=60,
    segment=20,
    seed=3,
)
STEEP = replace(SPEC, rate=RateSchedule(10.0))
"""Diverges at step 96, whatever the rounding: changes of 1e-5 of the initial weights do not change the step."""


def trajectory(folder: Path, spec: TeacherSpec = SPEC) -> Trajectory:
    return Trajectory(spec, Artifacts(folder))


def files(folder: Path) -> dict[str, str]:
    """Digests of all files of a folder, by path."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def path_of(t: Trajectory, step: int) -> Path:
    return t.run.path(step_name(step))


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(SimError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trajectory:
    """SPEC, trained in one go with one thread."""
    t = trajectory(tmp_path_factory.mktemp("whole"))
    assert t.ensure() == Outcome(Status.OK)
    return t


# The task


def test_a_task_is_its_n_k_and_seed() -> None:
    tasks = [ParityTask(6, 2, 3), ParityTask(7, 2, 3), ParityTask(6, 3, 3), ParityTask(6, 2, 4)]
    assert len({task.id for task in tasks}) == 4
    assert ParityTask(6, 2, 3).id == tasks[0].id
    names = ("teacher data", "student data", "evaluation", "probe", "teacher initialisation")
    assert len({task.key(name) for task in tasks for name in names}) == 20
    with pytest.raises(SimError, match="k = 4 is larger than n = 3"):
        ParityTask(3, 4)
    with pytest.raises(SimError, match="seed -1 is not allowed"):
        ParityTask(3, 2, -1)


def test_labels_are_the_parity_of_the_support() -> None:
    task = ParityTask(9, 3, 1)
    x = kernels.draw_inputs(task.key("student data"), 5, 9, 4000, 4200)
    labels = task.labels("student data", 5, 4000, 4200)
    assert torch.equal(labels, x[:, list(task.support)].prod(1).to(torch.int8))
    assert torch.equal(probabilities(labels, torch.float64), (labels > 0).to(torch.float64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_is_of_the_held_out_set_and_zero_says_minus_one(dtype: str) -> None:
    task = ParityTask(6, 2, 3)
    networks = initialise("torch-default", 6, 2, 5, 1, range(3), dtype)
    x = kernels.draw_inputs(task.key("evaluation"), 0, 6, 0, EVALUATION_SAMPLES).to(torch.float64)
    y = x[:, list(task.support)].prod(1)
    W, b, a, c = (t.to(torch.float64) for t in networks)
    z = torch.einsum("rsm,rm->rs", torch.relu(x @ W.mT + b[:, None]), a) + c[:, None]
    assert z.abs().min() > 1e-5
    assert torch.equal(task.accuracy(networks), ((z > 0) == (y > 0)).to(torch.float64).mean(1))
    nothing = Network(*(torch.zeros_like(t) for t in networks))
    assert torch.equal(task.accuracy(nothing), (y < 0).to(torch.float64).mean().expand(3))
    assert torch.equal(task.accuracy(nothing, samples=10), (y[:10] < 0).to(torch.float64).mean().expand(3))
    assert_proportion(
        int((y < 0).sum()), EVALUATION_SAMPLES, 0.5, alternative=0.56, claim="held-out labels are fair"
    )


def test_right_answers_are_sums_over_samples() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.0, 800.0], [0.5, 0.5, -0.5, -800.0]])
    labels = torch.tensor([1, 1, -1, -1], dtype=torch.int8)
    correct, loss = right_answers(logits, labels)
    assert correct.tolist() == [2, 4]
    expected = [
        math.log1p(math.exp(-2)) + math.log1p(math.exp(1)) + math.log(2) + 800,
        2 * math.log1p(math.exp(-0.5)) + math.log1p(math.exp(-0.5)),
    ]
    assert loss == pytest.approx(expected, rel=1e-14)


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


# Divergence


def test_divergence_is_recorded_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = trajectory(tmp_path, STEEP)
    outcome = t.ensure()
    assert outcome == Outcome(Status.DIVERGED, 96)
    segment = 80
    # The first logit that is not finite, found by hand.
    network = initialise("torch-default", 6, 2, 8, STEEP.task.key("teacher initialisation"), [0], "float32")
    rates = torch.full((1, 20), 10.0, dtype=torch.float64)
    for start in range(0, segment + 20, 20):
        labels = STEEP.task.labels("teacher data", 0, start, start + 20)
        targets = probabilities(labels, torch.float32)[None]
        network, logits = kernels.sgd(STEEP.task.key("teacher data"), 0, network, targets, rates, start=start)
        bad = (~logits[0].isfinite()).nonzero().flatten().tolist()
        assert bool(bad) == (start == segment)
    assert segment + bad[0] == 96

    assert t.outcome() == outcome
    assert t.steps() == (0, 60)
    assert t.load(60).W.isfinite().all()
    message = refusal(lambda: t.load(240))
    assert message == (
        "step 240 of teacher n=6 k=2 width=8 rate=10 is not there: it diverged at step 96, give at most 80"
    )
    curve = t.curve()
    assert curve.steps[-1] == segment
    assert np.isfinite(curve.loss).all()

    # Again, from nothing, and from what is there: the same.
    before = files(tmp_path)
    monkeypatch.setattr(teacher, "_Diverged", pytest.fail)
    assert t.ensure() == outcome
    monkeypatch.undo()
    assert files(tmp_path) == before
    t.run.remove(teacher.DIVERGED)
    assert t.ensure(threads=2) == outcome
    assert files(tmp_path) == before
    t.run.remove(step_name(0))
    assert t.outcome() == Outcome(Status.INCOMPLETE)
    assert t.ensure() == outcome
    assert files(tmp_path) == before
    # Densified up to the end there is; a run that ends before is none that diverged.
    t.densify(0, 240, 20)
    assert t.steps() == tuple(range(0, segment + 1, 20))
    short = trajectory(tmp_path, replace(STEEP, steps=20))
    assert short.outcome() == short.ensure() == Outcome(Status.OK)
    assert trajectory(tmp_path, replace(STEEP, steps=segment)).ensure() == Outcome(Status.OK)


def test_parameters_that_are_not_finite_end_a_run_even_if_no_logit_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sgd = kernels.sgd

    def poisoned(*arguments: Any, start: int, **more: Any) -> Any:
        result = sgd(*arguments, start=start, **more)
        if start == 100:
            result.network.W[0, 2, 3] = -math.inf
        return result

    monkeypatch.setattr(kernels, "sgd", poisoned)
    t = trajectory(tmp_path)
    assert t.ensure() == Outcome(Status.DIVERGED, 120)
    assert t.steps() == (0, 60)
    assert "it diverged at step 120, give at most 100" in refusal(lambda: t.load(120))


def test_a_divergence_within_a_batch_is_counted_in_steps(tmp_path: Path) -> None:
    spec = replace(STEEP, batch=4, rate=RateSchedule(30.0))
    t = trajectory(tmp_path, spec)
    assert t.ensure() == Outcome(Status.DIVERGED, 34)
    assert t.curve().steps.tolist() == [20]


# Processes

LAUNCHER = """
import json, os, signal, sys, time
from pathlib import Path
from sim.artifacts import Artifacts
from sim.teacher import TeacherSpec, Trajectory


def kill_at(event):
    # Saving passes through three events: half written, whole, renamed.
    fsync, replace = os.fsync, os.replace

    def passed():
        nonlocal event
        event -= 1
        if event == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def synced(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_file():
            if event == 1:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            passed()
        fsync(descriptor)

    def replaced(old, new):
        passed()
        replace(old, new)
        passed()

    os.fsync, os.replace = synced, replaced


print("ready", flush=True)
for line in sys.stdin:
    folder, spec, threads, event, pause = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        kill_at(event)

        def progress(text, share):
            time.sleep(pause)

        outcome = Trajectory(TeacherSpec.from_spec(spec), Artifacts(Path(folder))).ensure(threads, progress)
        os._exit(0 if outcome.step is None else 7)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


class Launcher:
    """Starts training, one process after the other, of a process that has imported everything."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read() == "ready"

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(
        self, folder: Path, spec: TeacherSpec, *, threads: int = 1, event: int = 0, pause: float = 0.0
    ) -> int:
        """Start training; the process kills itself at a numbered event of its saving, counted from 1."""
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write(canonical_json([str(folder), spec.spec(), threads, event, pause]) + "\n")
        pipe.flush()
        return int(self.read())

    def wait(self) -> int:
        return int(self.read())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


@pytest.mark.parametrize("event", range(1, 16))
def test_killed_in_the_middle_of_saving_and_resumed_equals_an_uninterrupted_run(
    event: int, launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    # Five checkpoints, three events each.
    launcher.start(tmp_path, SPEC, event=event)
    assert launcher.wait() == signal.SIGKILL
    t = trajectory(tmp_path)
    assert t.steps() == SPEC.checkpoints()[: event // 3]
    for step in t.steps():
        t.load(step)
    launcher.start(tmp_path, SPEC, threads=2)
    assert launcher.wait() == 0
    assert files(tmp_path) == files(whole.run.root)


def test_killed_at_random_moments_and_resumed_equals_an_uninterrupted_run(
    launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    chance = random.Random(2024)
    for latest in (0.05, 0.1, 0.15, 0.2, 0.2, 0.2):
        # A quarter of a second in all, were it not killed; so the first is killed for certain.
        child = launcher.start(tmp_path, SPEC, pause=0.02)
        time.sleep(chance.uniform(0.0, latest))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        assert launcher.wait() in (0, signal.SIGKILL)
    launcher.start(tmp_path, SPEC)
    assert launcher.wait() == 0
    assert files(tmp_path) == files(whole.run.root)


def test_killed_in_a_run_that_diverges_and_resumed_is_the_same(launcher: Launcher, tmp_path: Path) -> None:
    trajectory(tmp_path / "whole", STEEP).ensure()
    saves = len(trajectory(tmp_path / "whole", STEEP).run.names())
    for event in range(1, 3 * saves + 1):
        folder = tmp_path / str(event)
        launcher.start(folder, STEEP, event=event)
        assert launcher.wait() == signal.SIGKILL
        launcher.start(folder, STEEP)
        assert os.waitstatus_to_exitcode(launcher.wait()) == 7
        assert files(folder) == files(tmp_path / "whole")


def test_of_two_processes_the_second_waits_and_takes_over_if_the_first_is_killed(
    launcher: Launcher, whole: Trajectory, tmp_path: Path
) -> None:
    child = launcher.start(tmp_path, SPEC, pause=0.1)
    t = trajectory(tmp_path)
    end = time.monotonic() + 20
    while not t.steps():
        assert time.monotonic() < end
        time.sleep(0.005)
    told: list[str] = []

    def progress(text: str, share: float) -> None:
        if not told:
            os.kill(child, signal.SIGKILL)
        told.append(text)

    assert t.ensure(progress=progress) == Outcome(Status.OK)
    assert told[0] == f"{SPEC.label()}: waiting for another process that trains it"
    assert told[-1] == f"{SPEC.label()}: 240 of 240 steps"
    assert launcher.wait() == signal.SIGKILL
    assert files(tmp_path) == files(whole.run.root)


def test_of_two_processes_the_second_finds_the_work_done(launcher: Launcher, tmp_path: Path) -> None:
    launcher.start(tmp_path, SPEC, pause=0.03)
    t = trajectory(tmp_path)
    end = time.monotonic() + 20
    while not t.steps():
        assert time.monotonic() < end
        time.sleep(0.005)
    told: list[str] = []
    assert t.ensure(progress=lambda text, share: told.append(text)) == Outcome(Status.OK)
    assert {text.partition(": ")[2] for text in told} == {"waiting for another process that trains it"}
    assert launcher.wait() == 0
