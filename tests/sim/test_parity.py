"""The task: its identity, labels, held-out set, and sums over samples."""

import math

import pytest
import torch

import kernels
from kernels import Network
from sim.errors import SimError
from sim.network import DTYPES, initialise
from sim.parity import EVALUATION_SAMPLES, ParityTask, probabilities, right_answers
from tests.statistics import assert_proportion


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
