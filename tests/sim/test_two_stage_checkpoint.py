import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from kernels import Network
from sim.errors import SimError
from sim.rates import RateSchedule
from sim.teacher_spec import TeacherSpec
from sim.two_stage.checkpoint import Unit, around_transition, main, tried
from tests.statistics import assert_proportion_at_least

N, SUPPORT = 9, (1, 4, 6)
WEIGHTS = np.array([1, -1, 1, 1, -1, 1, -1, -1, 1], dtype=np.int8)


def linear_network(scale: float = 1.0, leak: float = 0.0) -> Network:
    """f(x) = scale sum_{i in S} x_i + leak x_0, as a pair of ReLUs."""
    direction = torch.zeros(N)
    direction[list(SUPPORT)] = scale
    direction[0] = leak
    W = torch.stack([direction, -direction])[None]
    return Network(W, torch.zeros(1, 2), torch.tensor([[1.0, -1.0]]), torch.zeros(1))


def exact_means(scale: float, temperature: float) -> np.ndarray:
    """E[F T x_i] by enumeration of all inputs."""
    x = np.array(np.meshgrid(*[[1, -1]] * N, indexing="ij")).reshape(N, -1).T
    f = scale * x[:, list(SUPPORT)].sum(axis=1)
    F = np.tanh(f / (2 * temperature)) if temperature else np.sign(f)
    return ((F * (x @ WEIGHTS > 0))[:, None] * x).mean(axis=0)


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_means_are_those_of_the_labels(temperature: float) -> None:
    unit = Unit(linear_network(2.0), WEIGHTS, temperature, 5)
    measured = unit.measure(40_000, 1e-6, 1)
    assert (np.abs(measured.means - exact_means(2.0, temperature)) <= measured.radii).all()
    assert measured.radii.max() < 0.05


def test_students_find_the_support_on_the_certified_samples() -> None:
    unit = Unit(linear_network(), WEIGHTS, 1.0, 11)
    measured, samples, found = tried(
        unit,
        SUPPORT,
        measured_on=20_000,
        delta=Fraction(1, 10),
        alpha=0.01,
        students=60,
        most=10**6,
        threads=1,
    )
    assert samples is not None
    assert 100 < samples < 20_000
    assert samples == math.ceil(measured.sufficient(SUPPORT, Fraction(1, 10)))
    assert_proportion_at_least(found, 60, 0.9, alternative=0.5, claim="measured step suffices")
    assert unit.find(200, 1, 2.0, 1) == ()


def test_a_leaking_teacher_leaves_no_dead_zone() -> None:
    unit = Unit(linear_network(leak=2.0), WEIGHTS, 1.0, 11)
    _, samples, found = tried(
        unit,
        SUPPORT,
        measured_on=20_000,
        delta=Fraction(1, 10),
        alpha=0.01,
        students=5,
        most=10**6,
        threads=1,
    )
    assert (samples, found) == (None, 0)


def spec(steps: int) -> TeacherSpec:
    return TeacherSpec(20, 2, 10, RateSchedule.parse("0.01"), steps, checkpoint_every=1000, segment=1000)


def test_the_window_around_the_transition() -> None:
    curve = dict(zip(range(0, 9000, 1000), [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.7, 0.995, 1.0], strict=True))
    assert around_transition(spec(8000), curve) == (2000, 3000, 4000, 5000, 6000, 7000)
    with pytest.raises(SimError, match="does not leave chance"):
        around_transition(spec(8000), dict.fromkeys(curve, 0.5))


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "n": 12, "k": 2, "width": 50, "lr": 0.05, "steps": 4000, "segment": 1000, "at": "1000,4000",
        "measured-on": 2000, "students": 2, "threads": 1,
    }  # fmt: skip
    code = main([part for name, value in given.items() for part in (f"--{name}", str(value))])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [int(line.split()[0]) for line in lines[1:]] == [1000, 4000]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--temperature", "-1"], "temperature -1"),
        (["--k", "0"], "k = 0"),
        (["--lr", "fast"], "fast"),
        (["--steps", "15", "--segment", "10"], "15"),
        (["--threads", "0"], "threads"),
        (["--students", "-3"], "--students -3"),
        (["--most", "0"], "--most 0"),
        (["--measured-on", "1"], "--measured-on 1"),
        (["--n", "4", "--k", "4"], "n = 4 equals k"),
        (["--at", "15000"], "--at 15000"),
        (["--at", "500000"], "--at 500000"),
        (["--foo", "1"], "--foo"),
        (["--n", "x"], "'x'"),
    ],
)
def test_refused_values(arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert word in error
