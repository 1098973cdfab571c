"""From options to cells of the first-step protocol, and the theory that is stored beside each cell.

The theory of a cell is a pure function of (cell, δ) and, where each replicate draws a teacher of its own, of the
number of replicates; `verify` computes it again.
"""

import functools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from sim import phase_one
from sim.cell import MAX_SAMPLES, FirstStepCell
from sim.errors import SimError
from sim.gradients import initial_weights
from sim.options import GridOptions
from sim.protocol.base import Json
from sim.protocol.first_step import FirstStep
from sim.schedule import CrossEntropy, LowDegreeCurriculum, OneShot, Progressive, Schedule
from sim.step_options import PHASE_ONE_SAMPLES
from theory.bounds import FIRST_STEP
from theory.gradient import FirstStepLaw
from theory.plateau import LeakyStep
from theory.prediction import GaussianStep, Prediction
from theory.targets import Target
from theory.verdict import Kind
from theory.walsh import signal_sentence


def plan_cells(options: GridOptions) -> list[FirstStepCell]:
    """The cells of a grid, in the order k, schedule, n; theory is asked for no more than the horizons need.

    Raises:
        SimError: some (n, k, schedule) has no signal, so that no horizon can be told; --samples sets one.
    """
    cells = []
    for k in options.k:
        for schedule in options.schedule_list(k):
            for n in options.n:
                q = options.threshold(n, k)
                samples = options.samples or horizon(n, k, q, schedule, options.delta)
                seed, resolution = options.seed, options.resolution
                cells.append(FirstStepCell(FirstStep.tag(), n, k, q, schedule, samples, resolution, seed))
    return cells


def horizon(n: int, k: int, q: int, schedule: Schedule, delta: float) -> int:
    """How many samples a cell takes: B1', the number that is proved to suffice for success 1 − δ.

    Where B1' is infinite (some sign pattern of the student never succeeds), success is followed until it has come
    within 1 % of its predicted plateau; the phase-1 teachers have a fixed horizon.

    Raises:
        SimError: there is no signal.
    """
    target = schedule.target(n, k)
    if target is None:
        return PHASE_ONE_SAMPLES
    if n == k:
        return 1
    sufficient = float(_bound("B1'", n, q, target, delta).value)
    if math.isinf(sufficient):
        prediction = Prediction(n, q, target)
        sufficient = prediction.samples_for(0.99 * prediction.plateau) if prediction.plateau > 0 else math.inf
    if MAX_SAMPLES < sufficient < math.inf:
        raise SimError(
            f"{schedule.label()} at n = {n}, k = {k} may need {sufficient:.2g} samples a student, more than the "
            f"{MAX_SAMPLES} that are allowed: give --samples up to that, or a smaller n"
        )
    if math.isinf(sufficient):
        raise SimError(
            f"no number of samples suffices for {schedule.label()} at n = {n}, k = {k}: "
            f"{signal_sentence(n, q, k)} Give --samples to measure all the same"
        )
    return math.ceil(sufficient)


def theory_of(cell: FirstStepCell, delta: float, replicates: int) -> Json:
    """What theory says about a cell, as JSON values (infinite numbers as the text `inf`).

    Args:
        cell: the cell.
        delta: failure probability of the bounds.
        replicates: how many replicates there are; only matters where each draws its own teacher.
    """
    target = cell.schedule.target(cell.n, cell.k)
    common: Json = {
        "delta": delta,
        "replicates": replicates if target is None else 0,
        "signal": signal_sentence(cell.n, cell.q, cell.k),
        "growth": None if target is None else _growth(cell.schedule, cell.k),
    }
    if target is None:
        assert isinstance(cell.schedule, Progressive)
        return common | _drawn_teachers(cell, cell.schedule, replicates)
    if cell.n == cell.k:
        return common | {
            "labels": target.describe(),
            "bounds": [],
            "prediction": _prediction(
                1.0, 1.0, 1.0, "All coordinates are the support: every student succeeds."
            ),
        }
    prediction = Prediction(cell.n, cell.q, target)
    return common | {
        "labels": target.describe(),
        "bounds": _bounds(cell, target, delta),
        "prediction": _prediction(
            prediction.samples_for(Fraction(1, 2)),
            prediction.samples_for(1 - Fraction(delta)),
            prediction.plateau,
            "Gaussian limit with exact means and in-support covariances, averaged over the student's signs.",
        ),
    }


@functools.lru_cache(maxsize=1024)
def _bound(name: str, n: int, q: int, target: Target, delta: float) -> Any:
    return FIRST_STEP[name]().samples(n, target.k, q, target, Fraction(delta))


def _bounds(cell: FirstStepCell, target: Target, delta: float) -> list[Json]:
    """All bounds that say something about this cell."""
    result = []
    for name, factory in FIRST_STEP.items():
        value = _bound(name, cell.n, cell.q, target, delta)
        if value.vacuous or (name == "B2-leaky" and not isinstance(cell.schedule, OneShot)):
            continue
        result.append(
            {
                "name": name,
                "kind": Kind(value.kind).value,
                "samples": _json(value.value),
                "statement": factory().statement,
                "reference": value.reference,
            }
        )
    return result


def _drawn_teachers(cell: FirstStepCell, schedule: Progressive, replicates: int) -> Json:
    """Theory where every replicate draws a phase-1 teacher: success is predicted student by student.

    A student succeeds in the limit iff the exact population gradient of its own teacher singles out the support.
    With leakage that is known for logits only; for hard labels nothing is claimed.
    """
    projected = schedule.teacher == "phase-1-projected"
    exact = projected or schedule.labels == "logits"
    models = [_student(cell, schedule, replicate) for replicate in range(replicates)] if exact else []
    plateau = [limit for _, limit in models]
    at_horizon = [success(float(cell.samples)) for success, _ in models]
    average = _average([success for success, _ in models])

    return {
        "labels": f"The labels are the {'logits' if schedule.labels == 'logits' else 'signs'} of the exact phase-1 "
        f"teacher of width {schedule.teacher_width}, its leakage off the support {'dropped' if projected else 'kept'}.",
        "bounds": [],
        "prediction": _prediction(
            _first(average, 0.5, cell.samples) if exact else math.nan,
            _first(average, 0.9, cell.samples) if exact else math.nan,
            float(np.mean(plateau)) if exact else math.nan,
            "Exact population gradients of these very teachers and students, Gaussian noise."
            if exact
            else "No exact population gradient is known for hard labels with leakage: nothing is predicted.",
        ),
        "plateau": {"judged": exact, "success_in_the_limit": plateau, "success_at_horizon": at_horizon},
    }


def predicted_success(cell: FirstStepCell, replicates: int) -> Callable[[float], float] | None:
    """Predicted success as a function of the samples B > 0, of which `theory_of` states where it reaches 1/2 and 1 − δ.

    Args:
        cell: the cell.
        replicates: as in `theory_of`.

    Returns:
        None where nothing is predicted.
    """
    target = cell.schedule.target(cell.n, cell.k)
    if target is not None:
        return _predicted(Prediction(cell.n, cell.q, target)) if cell.n > cell.k else lambda B: 1.0
    schedule = cell.schedule
    assert isinstance(schedule, Progressive)
    exact = schedule.teacher == "phase-1-projected" or schedule.labels == "logits"
    if not exact or replicates < 1:
        return None
    return _average([_student(cell, schedule, replicate)[0] for replicate in range(replicates)])


@functools.lru_cache(maxsize=1024)
def _predicted(prediction: Prediction) -> Callable[[float], float]:
    """Its success, of which what is asked again, as of cells that differ in their seed, is kept."""
    return functools.lru_cache(maxsize=256)(prediction.success)


def _average(students: Sequence[Callable[[float], float]]) -> Callable[[float], float]:
    """The mean over students of their success."""
    return lambda B: float(np.mean([success(B) for success in students]))


def _student(
    cell: FirstStepCell, schedule: Progressive, replicate: int
) -> tuple[Callable[[float], float], float]:
    """Predicted success of one replicate, its own teacher and weights: as a function of B, and in the limit."""
    weights = tuple(int(w) for w in initial_weights(cell, replicate)[0])
    teacher = phase_one.draw_teacher(cell, schedule, replicate)
    if schedule.teacher == "phase-1":
        step = LeakyStep.of(teacher, weights, cell.q)
        return step.success, step.limit
    signs = tuple(weights[i] for i in teacher.support)
    law = FirstStepLaw(cell.n, cell.q, phase_one.projected_target(schedule, teacher), signs)
    return GaussianStep.of(law).success, float(law.margin > 0)


def _first(curve: Callable[[float], float], probability: float, limit: int) -> float:
    """The B up to `limit` where the curve reaches the probability, by bisection in log B; inf if it does not."""
    if curve(float(limit)) < probability:
        return math.inf
    low, high = 0.0, math.log(limit)
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if curve(math.exp(middle)) >= probability else (middle, high)
    return math.exp(high)


def _growth(schedule: Schedule, k: int) -> Json:
    """The law of growth with n, and its exponent in the limit."""
    match schedule:
        case CrossEntropy():
            return {"logarithmic": False, "limit": f"k-1 = {k - 1}"}
        case OneShot(exponent=None):
            return {"logarithmic": False, "limit": f"k-1 = {k - 1}"}
        case OneShot(exponent=c):
            assert c is not None
            return {"logarithmic": False, "limit": f"min(2c, k-1) = {float(min(2 * c, Fraction(k - 1))):g}"}
        case Progressive() | LowDegreeCurriculum():
            return {"logarithmic": True, "limit": None}
        case _:
            raise TypeError(f"no growth law is known for {schedule!r}")


def _prediction(half: float, high: float, plateau: float, statement: str) -> Json:
    """Predicted samples and plateau; NaN, stored as null, where nothing is predicted."""
    return {
        "half": _json(half),
        "high": _json(high),
        "plateau": None if math.isnan(plateau) else plateau,
        "statement": statement,
    }


def _json(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return "inf" if math.isinf(value) else value
