"""Teachers that diverge: the step is recorded, and what is there before it is kept."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernels
from sim import teacher
from sim.artifacts import step_name
from sim.network import initialise
from sim.parity import Outcome, Status, probabilities
from sim.rates import RateSchedule
from tests.sim.teacher_cases import STEEP, files, refusal, trajectory


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
