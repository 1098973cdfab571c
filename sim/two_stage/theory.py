"""What theory says of a two-stage cell: horizons before it is run, and what is stored beside it.

The theory of a cell is a pure function of (cell, δ, the losses ε) and, for students with biases, of the number of
replicates; `verify` computes it again. Each stage is given half of δ.

**First stage** (signed): B2h is a lower, S1 and S1′ are upper bounds of the samples for success 1 − δ/2.
**Second stage** (signed): T2-δ of the samples for a loss ≤ ε with probability 1 − δ/2; T2 of those for an expected loss
≤ ε. Neither the labels of the first stage nor n matter.
**Total** (signed): B2h for 1 − δ from below, as a student that has not found the support has no loss ≤ ε however long
its second stage is (N-one-shot, whose proof asks nothing of the labels but their law). From above N(x) of the ladder at
x = max(S1′, T2-δ), each for δ/2: both stages then have enough, whatever else x is above.
**Students with biases**: for n odd and logits of intermediate teachers without leakage a bound of the mean loss at both
horizons, for each student's own biases and teacher (`theory.raw_step`; the rounding of its weights, by at most n max|w|
2^−50, is far below the last digit that is shown).
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sim.cell import MAX_SAMPLES
from sim.errors import SimError
from sim.protocol.base import Json
from sim.schedule import CrossEntropy, OneShot, Progressive, Schedule
from sim.two_stage.biases import Student
from sim.two_stage.cell import MAX_SECOND, TwoStageCell, rational_text
from theory.bounds.base import Bound
from theory.bounds.le_cam import LeCam
from theory.bounds.second_stage import SecondStage
from theory.bounds.second_stage_confident import ConfidentSecondStage
from theory.bounds.signed_step import SignedFirstStep
from theory.bounds.signed_step_exact import ExactSignedFirstStep
from theory.bounds.total_one_shot import TotalOneShot
from theory.bounds.total_progressive import TotalProgressive
from theory.enclosure import upper
from theory.errors import TheoryError
from theory.gradient import FirstStepLaw
from theory.raw_step import RawStep
from theory.second_stage import OnlineHinge
from theory.signed_step import SignedStep, error_floor, loss_floor
from theory.targets import Target
from theory.teacher import degree_one_mean_square
from theory.verdict import Kind
from theory.walsh import signal_sentence, threshold_count

HORIZON_SHARE = 50
"""The first stage's horizon is S1' for δ over this. At S1' for δ/2 itself about one student in 2/δ still fails, so that
no measured interval for the probability 1 − δ/2 could close before the horizon. It takes 1.4 to 1.8 times as many.
"""

DEAD_ZONE_UNIT = 1 << 24
"""Dead zones of phase-1 teachers are whole multiples of 1 over this."""


def dead_zone_of(n: int, k: int, schedule: Schedule) -> Fraction:
    """The dead zone λ of a signed student that is told none.

    Where the labels have one law: half-way between the least mean gradient on the support and the largest off it,
    `SignedStep`. For logits of phase-1 teachers: a quarter of the root of the mean square of their degree-1
    coefficients c_i over initialisations, so half of the size of a typical mean gradient c_i/2, rounded down to a
    multiple of 2^−24.

    Raises:
        SimError: no dead zone serves all patterns of the unit's weights, or no rule is stated for these labels.
    """
    target = schedule.target(n, k)
    if target is not None:
        try:
            return SignedStep.of(n, threshold_count(n, 0), target).dead_zone
        except TheoryError as error:
            reason = str(error).rstrip(".").partition(";")[0]
            raise SimError(
                f"no dead zone serves {schedule.label()} at n = {n}, k = {k}: {reason}; "
                "give --dead-zone and --samples to measure all the same"
            ) from error
    assert isinstance(schedule, Progressive)
    if schedule.labels == "hard":
        raise SimError(
            f"no rule gives a dead zone for {schedule.label()}: give --dead-zone, such as 1/16, or --labels logits"
        )
    mean_square = degree_one_mean_square(k, schedule.teacher_width)
    root = math.isqrt(mean_square.numerator * DEAD_ZONE_UNIT**2 // mean_square.denominator // 16)
    return Fraction(root, DEAD_ZONE_UNIT)


def served(cell: TwoStageCell) -> Target | None:
    """The target, if S1 and S1′ speak of this cell: the labels have one law, and the dead zone is theirs."""
    target = cell.schedule.target(cell.n, cell.k)
    if target is None or cell.dead_zone is None:
        return None
    try:
        step = SignedStep.of(cell.n, cell.q, target)
    except TheoryError:
        return None
    return target if step.dead_zone == cell.dead_zone else None


def first_horizon(n: int, k: int, target: Target, delta: float) -> int:
    """B_h of a signed student whose dead zone is its target's: the persistent number of S1′ for δ/50.

    Raises:
        SimError: it is more than a cell can have.
    """
    needed = persistent(n, k, target, delta / HORIZON_SHARE)
    if needed > MAX_SAMPLES:
        raise SimError(
            f"no number of samples up to {MAX_SAMPLES} suffices at n = {n}, k = {k}: give --samples to measure all "
            "the same"
        )
    return math.ceil(needed)


def persistent(n: int, k: int, target: Target, delta: float) -> float:
    """A B from which on every number of samples gives success 1 − δ: S1′, its detail `persistent`."""
    value = bound(ExactSignedFirstStep, n, k, target, delta)
    return math.inf if value.vacuous else float(value.details["persistent"])


def second_horizon(k: int, epsilon: Fraction, delta: float) -> int:
    """T_h of a signed student: T2-δ for δ/2.

    Raises:
        SimError: it is more than a cell can have.
    """
    needed = math.ceil(confident(k, epsilon, delta / 2))
    if needed > MAX_SECOND:
        raise SimError(
            f"loss {float(epsilon):g} needs {needed} samples in the second stage, more than {MAX_SECOND}: "
            "give a larger --loss, or --second to measure all the same"
        )
    return needed


def confident(k: int, epsilon: Fraction, delta: float) -> float:
    """T2-δ."""
    return float(ConfidentSecondStage().evaluate(k=k, epsilon=epsilon, delta=Fraction(delta)).value)


@functools.lru_cache(maxsize=1024)
def bound(kind: type[Bound], n: int, k: int, target: Target, delta: float) -> Any:
    """A bound of the first step of an unbiased unit, in dimension n, for this δ."""
    return kind().samples(n, k, threshold_count(n, 0), target, Fraction(delta))


def check_losses(losses: Sequence[Fraction], ks: Sequence[int], student: str) -> None:
    """Refuse losses at which a signed student that has not found the support might succeed.

    Raises:
        SimError: a loss is not in (0, 1), or not below the floors.
    """
    for epsilon in losses:
        if not 0 < epsilon < 1:
            raise SimError(f"loss {float(epsilon):g} is not allowed: give 0 < loss < 1")
        for k in ks if student == "signed" else ():
            if epsilon >= loss_floor(k):
                raise SimError(
                    f"loss {float(epsilon):g} is not below {loss_floor(k)}, the least loss without the support at "
                    f"k = {k}: give a smaller one"
                )
            if epsilon >= error_floor(k):
                raise SimError(
                    f"loss {float(epsilon):g} is not below {error_floor(k)}, the least error without the support at "
                    f"k = {k}, and is an error to be reached, too: give a smaller one"
                )


def theory_of(cell: TwoStageCell, delta: float, losses: Sequence[Fraction], replicates: int) -> Json:
    """What theory says about a cell, as JSON values.

    Args:
        cell: the cell.
        delta: failure probability of the bounds.
        losses: the ε, decreasing.
        replicates: how many replicates there are; only matters for students with biases of their own.
    """
    if cell.student == "signed":
        return signed_theory(cell, delta, losses)
    return biases_theory(cell, delta, losses, replicates)


def signed_theory(cell: TwoStageCell, delta: float, losses: Sequence[Fraction]) -> Json:
    """What theory says of a cell of signed students, as JSON values.

    `bounds` has an entry a bound: `stage` (first, second, total, split), name, kind, samples, `loss` (of the second
    stage and of totals from above), `delta` (what it is about; None: of the mean), statement, reference; stage split:
    of the total of the best split, which is no more than the ladder's. `online`: R²G², which no sum of online losses
    exceeds.
    """
    target = cell.schedule.target(cell.n, cell.k)
    return {
        "delta": delta,
        "losses": [rational_text(epsilon) for epsilon in losses],
        "replicates": 0,
        "labels": labels_of(cell),
        "signal": signal_sentence(cell.n, cell.q, cell.k),
        "loss_floor": rational_text(loss_floor(cell.k)),
        "online": float(OnlineHinge.of_knots(cell.k).total_loss),
        "bounds": [
            *([] if target is None else _first_bounds(cell, target, delta)),
            *_second_bounds(cell, delta, losses),
            *([] if target is None else _total_bounds(cell, target, delta, losses)),
        ],
    }


def biases_theory(cell: TwoStageCell, delta: float, losses: Sequence[Fraction], replicates: int) -> Json:
    """What theory says of a cell of students with biases: `expected_loss`, a bound for each replicate, or why not."""
    reason = silence(cell)
    bounds = [] if reason else [_expected_loss(cell, replicate) for replicate in range(replicates)]
    return {
        "delta": delta,
        "losses": [rational_text(epsilon) for epsilon in losses],
        "replicates": replicates,
        "labels": labels_of(cell),
        "signal": signal_sentence(cell.n, cell.q, cell.k),
        "bounds": [],
        "expected_loss": None if reason else ["inf" if math.isinf(value) else value for value in bounds],
        "statement": reason
        or "E L <= 2 R^2 G^2/T + 2 R rho + rho^2/G^2 at both horizons, for the student's own biases and teacher.",
    }


def silence(cell: TwoStageCell) -> str | None:
    """Why no bound speaks of these students with biases; None if one does."""
    schedule = cell.schedule
    if cell.n % 2 == 0:
        return "No bound speaks of these students: the theorem on raw first steps needs an odd n."
    taught = isinstance(schedule, Progressive) and schedule.labels == "logits"
    if not taught or getattr(schedule, "teacher", None) == "phase-1":
        return (
            "No bound speaks of these students: the theorem on raw first steps is about logits of intermediate "
            "teachers without leakage."
        )
    return None


def _expected_loss(cell: TwoStageCell, replicate: int) -> float:
    """The bound of one student's expected loss at both horizons; infinite where its features express no parity."""
    student = Student.of(cell, replicate)
    law = FirstStepLaw(cell.n, cell.q, student.target, (1,) * cell.k)
    try:
        step = RawStep.of(student.population, student.step_size, law.second_moment)
    except TheoryError:
        return math.inf
    return upper(step.expected_loss(cell.n, cell.first, cell.second))


def labels_of(cell: TwoStageCell) -> str:
    """What the labels of the two stages are, in sentences."""
    target = cell.schedule.target(cell.n, cell.k)
    if target is not None:
        first = target.describe()
    else:
        assert isinstance(cell.schedule, Progressive)
        leak = "dropped" if cell.schedule.teacher == "phase-1-projected" else "kept"
        first = (
            f"The labels are the {'logits' if cell.schedule.labels == 'logits' else 'signs'} of the exact phase-1 "
            f"teacher of width {cell.schedule.teacher_width}, its leakage off the support {leak}."
        )
    return f"{first} The second stage is taught the parity."


def _first_bounds(cell: TwoStageCell, target: Target, delta: float) -> list[Json]:
    kinds: list[type[Bound]] = [LeCam]
    if served(cell) is not None:
        kinds += [ExactSignedFirstStep, SignedFirstStep]
    result = []
    for kind in kinds:
        value = bound(kind, cell.n, cell.k, target, delta / 2)
        if value.vacuous:
            continue
        entry = _entry("first", kind.name, kind.kind, value.value, kind.statement, value.reference, delta / 2)
        if kind is ExactSignedFirstStep:
            entry["persistent"] = float(value.details["persistent"])
        result.append(entry)
    return result


def _second_bounds(cell: TwoStageCell, delta: float, losses: Sequence[Fraction]) -> list[Json]:
    result = []
    for epsilon in losses:
        mean, sure = SecondStage(), ConfidentSecondStage()
        at_mean = mean.evaluate(k=cell.k, epsilon=epsilon)
        result.append(
            _entry(
                "second",
                mean.name,
                mean.kind,
                at_mean.value,
                mean.statement,
                at_mean.reference,
                None,
                epsilon,
            )
        )
        samples = confident(cell.k, epsilon, delta / 2)
        result.append(
            _entry(
                "second", sure.name, sure.kind, samples, sure.statement, sure.reference, delta / 2, epsilon
            )
        )
    return result


def _total_bounds(cell: TwoStageCell, target: Target, delta: float, losses: Sequence[Fraction]) -> list[Json]:
    result = []
    needed = bound(LeCam, cell.n, cell.k, target, delta)
    if not needed.vacuous:
        taught = isinstance(cell.schedule, CrossEntropy | OneShot)
        name = TotalOneShot.name if taught else LeCam.name
        statement = (
            "A signed student needs B2h samples in its first stage alone, for any loss below the floor."
        )
        result.append(_entry("total", name, Kind.LOWER, needed.value, statement, needed.reference, delta))
    if served(cell) is None:
        return result
    first = persistent(cell.n, cell.k, target, delta / 2)
    for epsilon in losses:
        second = confident(cell.k, epsilon, delta / 2)
        if first <= cell.first and second <= cell.second:
            B, T = cell.split(math.ceil(max(first, second)))
            statement = "N(x) of the ladder at x = max(S1', T2-delta), each for delta/2."
            reference = "S1' and T2-delta, a union bound"
            result.append(
                _entry("total", "N-ladder", Kind.UPPER, float(B + T), statement, reference, delta, epsilon)
            )
        if cell.schedule == Progressive():
            theorem = TotalProgressive()
            value = theorem.evaluate(n=cell.n, k=cell.k, delta=Fraction(delta), epsilon=epsilon)
            if not value.vacuous:
                entry = _entry(
                    "split",
                    theorem.name,
                    theorem.kind,
                    value.value,
                    theorem.statement,
                    value.reference,
                    delta,
                    epsilon,
                )
                result.append(entry)
    return result


def _entry(
    stage: str,
    name: str,
    kind: Kind,
    samples: float,
    statement: str,
    reference: str,
    delta: float | None,
    epsilon: Fraction | None = None,
) -> Json:
    return {
        "stage": stage,
        "name": name,
        "kind": kind.value,
        "samples": samples,
        "loss": None if epsilon is None else rational_text(epsilon),
        "delta": delta,
        "statement": statement,
        "reference": reference,
    }
