"""The signed first step on checkpoints of a teacher that was trained online: measured, certified, and tried.

`python -m sim.two_stage.checkpoint --n 51 --k 4` trains a teacher on the parity, one sample a step, and asks of the
checkpoints around its phase transition: do they show the support to a signed student, and on how many samples?

For one student unit (random sign weights) and labels F = tanh(f/2τ), which are what a student distilled by
KL-divergence sees in its first step (its own logits are 0; τ = 0 stands for the sign of f):

- `theory.measured_step` certifies, from held-out samples, a number of samples B that suffices with probability 1 − δ,
  up to the probability α that the held-out samples mislead, or says that they leave no dead zone;
- students on batches of their own are tried at B, with the dead zone that goes with it.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import final

import numpy as np
import numpy.typing as npt

import kernels
from kernels import Network
from sim import streams
from sim.arguments import Parser
from sim.artifacts import Artifacts
from sim.errors import SimError
from sim.execution.threads import check_threads
from sim.ranges import parse_count, parse_range
from sim.rates import RateSchedule
from sim.teacher import Trajectory
from sim.teacher_spec import TeacherSpec
from theory.errors import TheoryError
from theory.intervals import Interval, clopper_pearson
from theory.measured_step import MeasuredStep

CHUNK = 1 << 15


@final
@dataclass(frozen=True)
class Trial:
    """What one checkpoint showed.

    Attributes:
        step: the teacher's.
        accuracy: of the teacher, on its held-out set.
        inside: least |mean| on the support, measured.
        outside: largest |mean| off it, measured.
        samples: certified to suffice; None where the intervals leave no dead zone.
        found: students of `students` that found the support on so many samples.
    """

    step: int
    accuracy: float
    inside: float
    outside: float
    samples: int | None
    found: int
    students: int

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the success probability; None where nothing was tried."""
        return None if self.samples is None else clopper_pearson(self.found, self.students)


@final
@dataclass(frozen=True)
class Unit:
    """One student unit on the labels of one checkpoint.

    Attributes:
        network: the teacher's, one replicate.
        weights: int8 [n] of ±1.
        temperature: τ of the labels tanh(f/2τ), at least 0; 0 for sign(f).
        key: of the samples.
    """

    network: Network
    weights: npt.NDArray[np.int8]
    temperature: float
    key: int

    def terms(self, stream: int, samples: int, threads: int) -> Iterator[npt.NDArray[np.float64]]:
        """Z = F T x of a stream's samples, in chunks [chunk, n + 1]; the last column is F T."""
        n = len(self.weights)
        for start in range(0, samples, CHUNK):
            stop = min(start + CHUNK, samples)
            x = kernels.draw_inputs(self.key, stream, n, start, stop).numpy().astype(np.float64)
            f = kernels.logits(self.key, stream, self.network, start, stop, threads=threads)[0].numpy()
            soft = np.tanh(f.astype(np.float64) / (2 * self.temperature)) if self.temperature else np.sign(f)
            label = soft * (x @ self.weights > 0)
            yield np.column_stack([label[:, None] * x, label])

    def measure(self, samples: int, alpha: float, threads: int) -> MeasuredStep:
        """Means and intervals from `samples` samples of stream 0."""
        n = len(self.weights)
        sums, squares, second, fourth = np.zeros(n), np.zeros(n), 0.0, 0.0
        for z in self.terms(0, samples, threads):
            label2 = z[:, n] ** 2
            sums += z[:, :n].sum(axis=0)
            squares += label2.sum()  # Z² = F² T, as x is ±1
            second += float(label2.sum())
            fourth += float((label2**2).sum())
        return MeasuredStep.of_sums(sums, squares, second, fourth, samples, 1.0, alpha)

    def find(self, stream: int, samples: int, dead_zone: float, threads: int) -> tuple[int, ...]:
        """Where the signed step on a stream's first `samples` samples is not 0."""
        n = len(self.weights)
        total = sum((z[:, :n].sum(axis=0) for z in self.terms(stream, samples, threads)), np.zeros(n))
        return tuple(np.flatnonzero(np.abs(total) > dead_zone * samples).tolist())


def tried(
    unit: Unit, support: Sequence[int], *, measured_on: int, delta: Fraction, alpha: float, students: int,
    most: int, threads: int,
) -> tuple[MeasuredStep, int | None, int]:  # fmt: skip
    """Measure one unit, certify its number of samples, and try students on it.

    Returns:
        the measurement, the certified samples (None: no dead zone, or more than `most`), and how many students of
        `students` found the support exactly.
    """
    measured = unit.measure(measured_on, alpha, threads)
    try:
        step = measured.signed_step(support)
    except TheoryError:
        return measured, None, 0
    samples = math.ceil(measured.sufficient(support, delta))
    if samples > most:
        return measured, None, 0
    found = sum(
        unit.find(1 + s, samples, float(step.dead_zone), threads) == tuple(support) for s in range(students)
    )
    return measured, samples, found


def around_transition(spec: TeacherSpec, accuracy: Mapping[int, float]) -> tuple[int, ...]:
    """Steps of the checkpoints from four before the first above 55 % accuracy to the first of at least 99 %.

    Raises:
        SimError: no checkpoint is above 55 %.
    """
    steps = [step for step in spec.checkpoints() if step in accuracy]
    first = next((i for i, step in enumerate(steps) if accuracy[step] > 0.55), None)
    if first is None:
        raise SimError(f"{spec.label()} does not leave chance in {spec.steps} steps: give more steps")
    last = next((i for i, step in enumerate(steps) if accuracy[step] >= 0.99), len(steps) - 1)
    return tuple(steps[max(0, first - 4) : max(first, last) + 1])


def trials(
    spec: TeacherSpec, artifacts: Path, *, at: Sequence[int] | None, temperature: float, measured_on: int,
    students: int, most: int, delta: Fraction = Fraction(1, 10), alpha: float = 0.01, threads: int = 1,
) -> Iterator[Trial]:  # fmt: skip
    """Train the teacher, and try its checkpoints at the steps `at`; None: those around its phase transition.

    Raises:
        SimError: a step is no multiple of the segment, or there is no transition.
    """
    trajectory = Trajectory(spec, Artifacts(artifacts))
    if at is None:
        trajectory.ensure(threads)
        at = around_transition(spec, trajectory.held_out())
    else:
        trajectory.ensure_steps(at, threads)
    accuracy = trajectory.held_out()
    support = spec.task.support
    key = streams.key(spec.id, "probe")
    weights = kernels.draw_signs(streams.key(spec.id, "initialisation"), 0, spec.n).numpy()
    for step in at:
        unit = Unit(trajectory.load(step), weights, temperature, key)
        measured, samples, found = tried(
            unit, support, measured_on=measured_on, delta=delta, alpha=alpha, students=students, most=most,
            threads=threads,
        )  # fmt: skip
        sizes = np.abs(measured.means)
        outside = float(np.delete(sizes, list(support)).max(initial=0.0))
        inside = float(sizes[list(support)].min())
        yield Trial(step, accuracy[step], inside, outside, samples, found, students)


def checked_spec(given: argparse.Namespace, segment: int) -> TeacherSpec:
    """The teacher of the command line, all numbers checked before any work.

    Raises:
        SimError: a value is not allowed.
    """
    if not 0 <= given.temperature < math.inf:
        raise SimError(f"temperature {given.temperature} is not allowed: give a number from 0")
    check_threads(given.threads)
    for name, value, least in (
        ("students", given.students, 1),
        ("most", parse_count(given.most, "--most"), 1),
        ("measured-on", parse_count(given.measured_on, "--measured-on"), 2),
    ):
        if value < least:
            raise SimError(f"--{name} {value} is not allowed: give a whole number of at least {least}")
    if given.n == given.k:
        raise SimError(f"n = {given.n} equals k: the first step has nothing to find; give n > k")
    return TeacherSpec(
        given.n, given.k, given.width, RateSchedule.parse(given.lr), parse_count(given.steps, "--steps"),
        checkpoint_every=segment, segment=segment, batch=given.batch, seed=given.seed,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; exit code 0, or 2 for refused values."""
    parser = Parser(prog="python -m sim.two_stage.checkpoint", description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=51, help="dimension (default 51)")
    parser.add_argument("--k", type=int, default=4, help="size of the support (default 4)")
    parser.add_argument("--width", type=int, default=1000, help="of the teacher (default 1000)")
    parser.add_argument("--lr", default="0.01", help="of the teacher (default 0.01)")
    parser.add_argument("--steps", default="4e5", help="of the teacher (default 400000)")
    parser.add_argument("--batch", type=int, default=1, help="samples a step of the teacher (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the task and the teacher (default 0)")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="of the labels (default 1; 0: their sign)"
    )
    parser.add_argument(
        "--at", help="steps of checkpoints, such as 60000..90000:10000 (default: the transition)"
    )
    parser.add_argument("--segment", default="1e4", help="steps between checkpoints (default 10000)")
    parser.add_argument(
        "--measured-on", default="2e6", help="held-out samples a checkpoint (default 2000000)"
    )
    parser.add_argument("--students", type=int, default=40, help="tried at each checkpoint (default 40)")
    parser.add_argument(
        "--most", default="1e6", help="certified samples beyond which none is tried (default 1000000)"
    )
    parser.add_argument("--artifacts", type=Path, help="folder for the teacher (default: a temporary one)")
    parser.add_argument("--threads", type=int, default=2)
    try:
        given = parser.parse_args(arguments)
        segment = parse_count(given.segment, "--segment")
        at = None if given.at is None else parse_range(given.at, "--at", default_step=max(1, segment))
        spec = checked_spec(given, segment)
        if at is not None and (at[-1] > spec.steps or any(step % segment for step in at)):
            raise SimError(
                f"--at {given.at} is not allowed: give multiples of {segment} from 0 to {spec.steps}"
            )
        with tempfile.TemporaryDirectory() as folder:
            print("    step  accuracy  least on S  largest off  certified B  found")
            for trial in trials(
                spec, given.artifacts or Path(folder), at=at, temperature=given.temperature,
                measured_on=parse_count(given.measured_on, "--measured-on"), students=given.students,
                most=parse_count(given.most, "--most"), threads=given.threads,
            ):  # fmt: skip
                samples = "-" if trial.samples is None else str(trial.samples)
                found = "-" if trial.samples is None else f"{trial.found}/{trial.students}"
                print(
                    f"{trial.step:8d}  {trial.accuracy:8.3f}  {trial.inside:10.5f}  {trial.outside:11.5f}  "
                    f"{samples:>11}  {found}",
                    flush=True,
                )
    except (SimError, TheoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
