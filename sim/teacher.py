"""Teachers: a network trained on the parity itself, step by step, with checkpoints on the way.

**Canonical cuts.** Every run is cut into calls of the kernel of `segment` steps counted from step 0, never elsewhere:
rounding depends on where calls are cut, so results depend neither on which checkpoints are kept nor on where a run was
stopped and resumed. A checkpoint is a function of the trajectory and its step alone, bit for bit. It holds the network
and what was measured on the way to it (right answers and losses of each segment, before the steps that learned from
them), so that a resumed run has the curve of an uninterrupted one.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

import kernels
from kernels import Network
from sim.artifacts import ArtifactError, Artifacts, Layout, step_name, stretches
from sim.errors import Paused, SimError
from sim.network import DTYPES, initialise, layout, output_rate
from sim.parity import EVALUATION_SAMPLES, Curve, Outcome, Status, probabilities, right_answers
from sim.teacher_spec import TeacherSpec

DIVERGED = "diverged"
"""Name of the file that says where a trajectory ends."""

OnProgress = Callable[[str, float], None]
"""Called now and then with a line of text and the share (0 to 1) of the work that is done."""


class _State(NamedTuple):
    """A trajectory after `step` steps; `correct` int64 and `loss` float64 are sums over each segment before."""

    step: int
    network: Network
    correct: Tensor
    loss: Tensor


class _Diverged(Exception):
    def __init__(self, step: int) -> None:
        self.step = step


@final
class Trajectory:
    """The trajectory of a teacher, kept as checkpoints among artifacts.

    Processes that train the same trajectory at the same time wait for one another. Whatever the user deletes is
    trained again.

    Args:
        spec: the teacher.
        artifacts: where its files are. Rounding depends on the device: each device needs a folder of its own.
        device: `cpu`, or another device of torch, on which the kernels' reference trains. Files, and what `load`
            returns, are on the CPU.
    """

    def __init__(self, spec: TeacherSpec, artifacts: Artifacts, device: str = "cpu") -> None:
        self.spec, self.device = spec, device
        self.run = artifacts.run("teacher", spec.trajectory())
        self._task = spec.task

    def ensure(self, threads: int = 1, progress: OnProgress | None = None) -> Outcome:
        """Train what is missing of the checkpoints `spec.checkpoints()`, from the nearest ones that are there.

        Args:
            threads: threads of the kernel; results do not depend on them.
            progress: told how far the work is, after each segment.

        Raises:
            ArtifactError: a checkpoint to go on from is damaged, one cannot be written, or training arrives at one
                that differs from what it finds.
        """
        return self._ensure(self.spec.checkpoints(), threads, progress)

    def densify(
        self, start: int, stop: int, every: int, threads: int = 1, progress: OnProgress | None = None
    ) -> Outcome:
        """Add checkpoints at start, start + every, …, up to stop, of the same trajectory, bit for bit.

        Args:
            start: first step, a multiple of the segment.
            stop: last step, at most `spec.steps`.
            every: a multiple of the segment.
            threads: as for `ensure`.
            progress: as for `ensure`.

        Raises:
            SimError: the steps are not allowed.
            ArtifactError: as for `ensure`.
        """
        segment, steps = self.spec.segment, self.spec.steps
        if every < segment or every % segment or start % segment:
            raise SimError(
                f"checkpoints from {start} every {every} are not allowed: give multiples of the segment, {segment}"
            )
        if not 0 <= start <= stop <= steps:
            raise SimError(
                f"checkpoints from {start} to {stop} are not allowed: give 0 <= start <= stop <= {steps}"
            )
        return self._ensure(range(start, stop + 1, every), threads, progress)

    def ensure_steps(
        self,
        steps: Iterable[int],
        threads: int = 1,
        progress: OnProgress | None = None,
        until: float | None = None,
    ) -> Outcome:
        """Train what is missing of the checkpoints at these steps, in one pass.

        Args:
            steps: at least one; multiples of the segment, at most `spec.steps`.
            threads: as for `ensure`.
            progress: as for `ensure`.
            until: moment of the monotonic clock at which training stops with a checkpoint, wherever it is; None: never.

        Raises:
            SimError: a step is not allowed.
            ArtifactError: as for `ensure`.
            Paused: it stopped so.
        """
        wanted, segment, last = set(steps), self.spec.segment, self.spec.steps
        for step in sorted(wanted):
            if not 0 <= step <= last or step % segment:
                raise SimError(
                    f"a checkpoint at step {step} is not allowed: give multiples of {segment} from 0 to {last}"
                )
        return self._ensure(wanted, threads, progress, until)

    def missing(self, steps: Iterable[int]) -> list[int]:
        """Those of these steps whose checkpoints are still to be made, increasing."""
        return self._missing(sorted(steps))

    def ends(self, steps: Iterable[int]) -> tuple[str, ...]:
        """Names of the files that are there and that making the checkpoints at these steps reads."""
        wanted = sorted(steps)
        plan = stretches(self._missing(wanted), self.run.steps(), wanted[-1])
        there = {step_name(step) for start, stop, _ in plan for step in (start, stop)}
        return tuple(name for name in sorted({*there, DIVERGED}) if self.run.exists(name))

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints that are there, densified ones included, up to `spec.steps`, increasing."""
        return tuple(step for step in self.run.steps() if step <= self._last_step())

    def outcome(self) -> Outcome:
        """How the run stands, without training."""
        wanted = {step for step in self.spec.checkpoints() if step <= self._last_step()}
        if not wanted <= set(self.run.steps()):
            return Outcome(Status.INCOMPLETE)
        end = self._divergence()
        return Outcome(Status.OK) if end is None else Outcome(Status.DIVERGED, end[0])

    def load(self, step: int) -> Network:
        """The network after `step` steps: one replicate, R = 1.

        Raises:
            ArtifactError: there is no such checkpoint, the teacher diverged before, or the file is damaged, of another
                run or shape, or of a newer format.
        """
        end = self._divergence()
        if end is not None and step > end[1]:
            raise ArtifactError(
                f"step {step} of {self.spec.label()} is not there: it diverged at step {end[0]}, give at most {end[1]}"
            )
        if step not in self.steps():
            raise ArtifactError(
                f"step {step} of {self.spec.label()} has no checkpoint: give one of {_listed(self.steps())}"
            )
        return self._load(step).network

    def curve(self, every: int | None = None) -> Curve:
        """The learning curve, as far as checkpoints go.

        Args:
            every: steps between points, a multiple of the segment, which is the default; the last step is always one.

        Raises:
            SimError: `every` is not allowed.
            ArtifactError: there is no checkpoint, or one is damaged.
        """
        segment = self.spec.segment
        every = segment if every is None else every
        if every < segment or every % segment:
            raise SimError(
                f"points every {every} steps are not allowed: give a multiple of the segment, {segment}"
            )
        correct, loss = self._records()
        ends = np.unique(np.append(np.arange(every // segment, len(correct), every // segment), len(correct)))
        ends = ends[ends > 0].astype(np.int64)
        samples = np.diff(ends, prepend=0) * segment * self.spec.batch
        held_out = self.held_out()
        return Curve(
            steps=ends * segment,
            accuracy=np.diff(np.append(0, np.cumsum(correct))[ends], prepend=0) / samples,
            loss=np.array(
                [math.fsum(loss[a:b]) for a, b in zip(np.append(0, ends), ends, strict=False)],
                dtype=np.float64,
            )
            / samples,
            held_out=np.array([held_out.get(int(end) * segment, math.nan) for end in ends], dtype=np.float64),
        )

    def held_out(self) -> dict[int, float]:
        """Accuracy on the held-out set at each checkpoint that is there, by step, step 0 included."""
        return {
            step: self.run.notes(step_name(step))["held_out"] / EVALUATION_SAMPLES for step in self.steps()
        }

    def _ensure(
        self, wanted: Iterable[int], threads: int, progress: OnProgress | None, until: float | None = None
    ) -> Outcome:
        report: OnProgress = progress or (lambda text, share: None)
        label = self.spec.label()
        wanted = sorted(wanted)
        if self._missing(wanted):
            with self.run.lock(lambda: report(f"{label}: waiting for another process that trains it", 0.0)):
                self._train(self._missing(wanted), wanted[-1], threads, report, until)
        end = self._divergence()
        if end is None or wanted[-1] <= end[1]:
            return Outcome(Status.OK)
        return Outcome(Status.DIVERGED, end[0])

    def _missing(self, wanted: Iterable[int]) -> list[int]:
        there = set(self.run.steps())
        return [step for step in wanted if step not in there and step <= self._last_step()]

    def _train(
        self, missing: list[int], last: int, threads: int, report: OnProgress, until: float | None
    ) -> None:
        """Make the missing checkpoints, stretch by stretch."""
        plan = list(stretches(missing, self.run.steps(), last))
        total = sum(stop - start for start, stop, _ in plan)
        done = 0
        for start, stop, targets in plan:
            # At step 0 there need be no checkpoint, neither before nor after.
            begins = start == 0 and not self.run.exists(step_name(0))
            state = self._initial() if begins else self._load(start)
            state = state._replace(network=_moved(state.network, self.device))
            made = []
            if start in targets:
                self._save(state, threads)
            while state.step < stop:
                try:
                    state = self._advance(state, threads)
                except _Diverged as divergence:
                    self._save_end(state, divergence.step)
                    return
                done += self.spec.segment
                report(f"{self.spec.label()}: {done:,} of {total:,} steps", done / total)
                up = until is not None and time.monotonic() >= until and state.step < stop
                if state.step in targets or up:
                    self._save(state, threads)
                    made.append(state.step)
                if up:
                    raise Paused
            if stop not in targets:
                self._check_arrival(state, made)

    def _initial(self) -> _State:
        spec = self.spec
        key = self._task.key("teacher initialisation")
        network = initialise(spec.initialisation, spec.n, spec.k, spec.width, key, [0], spec.dtype)
        return _State(0, network, torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.float64))

    def _advance(self, state: _State, threads: int) -> _State:
        """One segment.

        Raises:
            _Diverged: a logit of the segment, or a parameter after it, is not finite.
        """
        spec = self.spec
        stop = state.step + spec.segment
        samples = (state.step * spec.batch, stop * spec.batch)
        labels = self._task.labels("teacher data", 0, *samples)
        result = kernels.sgd(
            self._task.key("teacher data"),
            0,
            state.network,
            probabilities(labels, DTYPES[spec.dtype])[None].to(self.device),
            torch.from_numpy(spec.rate.values(state.step, stop, spec.steps))[None].to(self.device),
            start=samples[0],
            batch=spec.batch,
            decay=torch.tensor([[spec.decay]], dtype=torch.float64).to(self.device) if spec.decay else None,
            output_rate=output_rate(spec.initialisation),
            threads=threads,
        )
        logits = result.logits.cpu()
        bad = logits[0].isfinite().logical_not().nonzero()
        if len(bad):
            raise _Diverged(state.step + int(bad[0]) // spec.batch)
        if not all(bool(tensor.isfinite().all()) for tensor in result.network):
            raise _Diverged(stop)
        correct, loss = right_answers(logits, labels)
        return _State(
            stop,
            result.network,
            torch.cat([state.correct, torch.from_numpy(correct)]),
            torch.cat([state.loss, torch.from_numpy(loss)]),
        )

    def _save(self, state: _State, threads: int) -> None:
        accuracy = self._task.accuracy(state.network, threads=threads)
        tensors = {**_moved(state.network, "cpu")._asdict(), "correct": state.correct, "loss": state.loss}
        notes = {"step": state.step, "held_out": round(float(accuracy[0]) * EVALUATION_SAMPLES)}
        self.run.save(step_name(state.step), tensors, notes)

    def _load(self, step: int) -> _State:
        tensors = self.run.load(step_name(step), self._layout(step)).tensors
        network = Network(**{name: tensors[name] for name in Network._fields})
        return _State(step, network, tensors["correct"], tensors["loss"])

    def _layout(self, step: int) -> Layout:
        network = layout(self.spec.n, self.spec.width, 1, self.spec.dtype)
        return {**network, **self._records_layout(step)}

    def _records_layout(self, step: int) -> Layout:
        segments = step // self.spec.segment
        return {"correct": ((segments,), torch.int64), "loss": ((segments,), torch.float64)}

    def _save_end(self, state: _State, step: int) -> None:
        """Record the divergence at `step`, in the segment after `state`."""
        self.run.save(
            DIVERGED, {"correct": state.correct, "loss": state.loss}, {"step": step, "last": state.step}
        )

    def _divergence(self) -> tuple[int, int] | None:
        """The step at which this run diverged and the last one that can have a checkpoint."""
        if not self.run.exists(DIVERGED):
            return None
        notes = self.run.notes(DIVERGED)
        return (notes["step"], notes["last"]) if notes["last"] < self.spec.steps else None

    def _last_step(self) -> int:
        end = self._divergence()
        return self.spec.steps if end is None else end[1]

    def _records(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Right answers and summed losses of each segment, from the latest file that has them."""
        end = self._divergence()
        if end is not None:
            tensors = self.run.load(DIVERGED, self._records_layout(end[1])).tensors
            return tensors["correct"].numpy(), tensors["loss"].numpy()
        steps = self.steps()
        if not steps:
            raise ArtifactError(f"{self.spec.label()} has no checkpoint: train it first")
        state = self._load(steps[-1])
        return state.correct.numpy(), state.loss.numpy()

    def _check_arrival(self, state: _State, made: list[int]) -> None:
        """Training has come to a checkpoint that was there already: it must be that one, bit for bit."""
        there = self._load(state.step)
        ours = _moved(state.network, "cpu")
        pairs = zip((*ours, *state[2:]), (*there.network, *there[2:]), strict=True)
        if all(torch.equal(a, b) for a, b in pairs):
            return
        for step in made:
            self.run.remove(step_name(step))
        raise ArtifactError(
            f"artifact {self.run.path(step_name(state.step))} is not what this version computes on this machine: "
            f"delete {self.run.folder} and run again to compute all of it anew"
        )


def _moved(network: Network, device: str) -> Network:
    return Network(*(tensor.to(device) for tensor in network))


def _listed(steps: tuple[int, ...]) -> str:
    """Steps for a message; few of them where there are many."""
    if not steps:
        return "none so far, train it first"
    shown = steps if len(steps) <= 8 else (*steps[:4], "…", *steps[-3:])
    return ", ".join(str(step) for step in shown)
