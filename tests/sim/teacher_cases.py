"""A small teacher, one that diverges, and what tests of teachers ask of their files."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sim.artifacts import Artifacts, step_name
from sim.errors import SimError
from sim.rates import RateSchedule
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec

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
