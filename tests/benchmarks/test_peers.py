"""A comparison of speed means something only if all contenders compute the same: every peer beside the kernel."""

import numpy as np
import pytest
import torch

import kernels
from benchmarks import first_step, hinge, theory, training
from benchmarks.peers import NO_JAX, forward, has_jax
from benchmarks.peers import first_step as first_step_peers
from benchmarks.peers import hinge as hinge_peers
from benchmarks.peers import training as training_peers
from benchmarks.problems import N, hinge_problem, network
from benchmarks.side_by_side import Contender
from tests.statistics import assert_proportion

KINDS = ("eager PyTorch", "PyTorch by hand", "torch.func", "JAX", "numpy")


def jax_or_skip(kind: str) -> None:
    if kind == "JAX" and not has_jax():
        pytest.skip(NO_JAX)


def arrays(result: object) -> list[np.ndarray]:
    """What a contender returned, be it one array or several, of whatever library."""
    several = result if isinstance(result, tuple | list) else [result]
    return [np.asarray(value) for value in several]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "neurons", "streams"), [(20, 1, 8), (13, 5, 1)])
def test_first_step(kind: str, n: int, neurons: int, streams: int) -> None:
    jax_or_skip(kind)
    make = {
        "eager PyTorch": first_step_peers.eager,
        "PyTorch by hand": first_step_peers.by_hand,
        "torch.func": first_step_peers.functional,
        "JAX": first_step_peers.with_jax,
        "numpy": first_step_peers.with_numpy,
    }[kind]
    peer = make(first_step_peers.draw(n, 3, neurons, streams, 512))
    ours = first_step.ours(n, neurons, 512, streams=streams, k=3)
    assert peer.work == ours.work
    assert np.array_equal(arrays(peer.run())[0], arrays(ours.run())[0])  # integers, exact in float32


def of_training(kind: str, width: int, students: int, steps: int) -> Contender:
    if kind == "eager PyTorch":
        return training_peers.eager(width, steps, 12, 3)
    make = {
        "PyTorch by hand": training_peers.by_hand,
        "torch.func": training_peers.functional,
        "JAX": training_peers.with_jax,
        "numpy": training_peers.with_numpy,
    }[kind]
    return make(width, students, steps, 12, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_sgd(kind: str) -> None:
    jax_or_skip(kind)
    students = 1 if kind == "eager PyTorch" else 3
    peer = of_training(kind, 17, students, 200)
    ours = training.ours(17, students, 200, n=12, k=3)
    assert peer.work == ours.work
    start, result = network(17, students, 12), ours.run()
    for found, wanted, before in zip(arrays(peer.run()), arrays(result), arrays(start), strict=True):
        moved = np.abs(wanted - before).max()
        assert moved > 1e-3
        assert np.abs(found - wanted).max() < 1e-4 * moved + 1e-6


@pytest.mark.parametrize("kind", KINDS[1:])
def test_logits(kind: str) -> None:
    jax_or_skip(kind)
    (peer,) = forward.logits(9, 2, count=64)[kind]()
    wanted = arrays(training.forward(9, 2, 64).run())[0]
    assert np.allclose(arrays(peer.run())[0], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["PyTorch by hand", "numpy"])
def test_labels_are_signs_and_fair(kind: str) -> None:
    (peer,) = forward.labels(N, 6, count=65_536)[kind]()
    labels = arrays(peer.run())[0]
    assert set(np.unique(labels)) == {-1, 1}
    assert peer.work == labels.size
    positive = int((labels == 1).sum())
    assert_proportion(
        positive, labels.size, 0.5, alternative=0.48, rate=1e-8, claim=f"labels of {kind} are fair"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_hinge(kind: str) -> None:
    jax_or_skip(kind)
    make = {
        "eager PyTorch": hinge_peers.eager,
        "PyTorch by hand": hinge_peers.by_hand,
        "torch.func": hinge_peers.functional,
        "JAX": hinge_peers.with_jax,
        "numpy": hinge_peers.with_numpy,
    }[kind]
    peer = make(hinge_problem(5, 3, 400))
    ours = hinge.ours(5, 3, 400)
    assert peer.work == ours.work
    result = ours.run()
    assert isinstance(result, kernels.HingeSGDResult)
    assert int(result.updates.min()) < 400  # some margins were large enough
    weights, total = arrays(peer.run())
    assert np.allclose(weights, result.weights, rtol=1e-9, atol=1e-12)
    assert np.allclose(total, result.total, rtol=1e-9, atol=1e-12)


def test_laws_by_enumeration() -> None:
    for n, k in ((7, 2), (10, 4)):
        assert theory.law(n, k) == theory.enumerated(n, k) == theory.one_by_one(n, k)


def test_our_contenders_run_what_they_say() -> None:
    """As many units of work as the arguments say, on every level."""
    for level in kernels.status().levels:
        assert arrays(first_step.ours(9, 3, 100, streams=2, level=level).run())[0].shape == (2, 3, 9)
        assert first_step.ours(9, 3, 100, streams=2, level=level).work == 600
    assert isinstance(training.labels(100).run(), torch.Tensor)
