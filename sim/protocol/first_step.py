"""The first-step protocol: one large batch, one step, and the question whether it shows the support.

A replicate is one student neuron, w uniform in {−1, 1}^n, on a stream of samples of its own. After B samples it
*succeeds* iff the k largest |ĝ_i| are exactly the support, ĝ being the gradient of the first step
(`theory.gradient`). Success is recorded at every B of the record grid, in one pass over the stream.

Replicates are independent: nothing is shared between their streams, so binomial intervals are exact.
"""

import argparse
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
import numpy.typing as npt
import torch

from sim import gradients, phase_one, streams
from sim.cell import Cell, FirstStepCell, canonical_json
from sim.channels import Channels, channels_of
from sim.cost_disk import stored_bytes
from sim.gradients import GradientSums
from sim.protocol.base import Json, Means, Options, Part, Payload, Progress, Protocol, Summary
from sim.ranges import record_grid
from sim.schedule import LowDegreeCurriculum, OneShot, Progressive, Schedule
from sim.store import Store, StoredCell

CALL_SECONDS = 1.0
"""A call of the kernel aims at this length, so that progress is seen and interrupts are heard."""

LEAST_TIMED, LEAST_SAMPLES = 4, 64
"""Replicates of a sample of more work, and their samples."""


@final
class FirstStep(Protocol):
    """Cells of the first-step protocol."""

    name: ClassVar[str] = FirstStepCell.kind
    version: ClassVar[int] = 1
    flags: ClassVar[tuple[str, ...]] = (
        *("labels", "teacher", "teacher_error", "degree"),
        *("bias", "delta", "samples", "resolution"),
    )
    columns: ClassVar[tuple[str, ...]] = (
        *("cell", "protocol", "n", "k", "q", "schedule", "seed"),
        *("replicate", "samples", "success", "digest"),
    )
    integers: ClassVar[tuple[str, ...]] = ("n", "k", "q", "seed", "replicate", "samples", "success")

    def cell_from_spec(self, spec: Mapping[str, Any]) -> FirstStepCell:
        """A first-step cell."""
        return FirstStepCell.of_spec(spec)

    def run(self, parts: Sequence[Part], means: Means, progress: Progress) -> dict[str, dict[int, Payload]]:
        """Records: `success`, one character 0 or 1 for each B of the grid, and `digest` of all gradient sums."""
        records: dict[str, dict[int, Payload]] = {}
        for done, part in enumerate(parts):

            def share(value: float, done: int = done) -> None:
                progress((done + value) / len(parts))

            cell = first_step_cell(part.cell)
            records[cell.id] = self.run_cell(cell, part.replicates, means.threads, share)
        return records

    def run_cell(
        self, cell: FirstStepCell, replicates: Sequence[int], threads: int, progress: Progress
    ) -> dict[int, Payload]:
        """Records of one cell by replicate."""
        torch.set_num_threads(threads)
        grid = record_grid(cell.samples, cell.resolution)
        schedule = cell.schedule
        target = schedule.target(cell.n, cell.k)
        if target is not None:
            sums = self._by_kernel(cell, replicates, grid, channels_of(target), threads, progress)
        else:
            assert isinstance(schedule, Progressive)

            def one(replicate: int) -> GradientSums:
                if schedule.teacher == "phase-1":
                    return gradients.leaky_sums(cell, schedule, replicate, grid)
                teacher = phase_one.draw_teacher(cell, schedule, replicate)
                channels = channels_of(phase_one.projected_target(schedule, teacher))
                return self._by_kernel(cell, [replicate], grid, channels, threads, lambda share: None)[
                    replicate
                ]

            sums = gradients.teacher_by_teacher(replicates, one, progress)
        support = streams.draw_support(cell.id, cell.n, cell.k)
        return {
            replicate: _record(support, of_one.values[:, 0], of_one.counts)
            for replicate, of_one in sums.items()
        }

    def check(self, parts: Sequence[Part]) -> None:
        """All can be run anywhere."""

    def let_go(self, parts: Sequence[Part], means: Means) -> None:
        """Nothing was kept."""

    def seconds(self, parts: Sequence[Part], *, afresh: bool = False) -> float:
        """Expected seconds on one thread; nothing is kept, so all are afresh."""
        return sum(_seconds(first_step_cell(part.cell), len(part.replicates)) for part in parts)

    def memory(self, parts: Sequence[Part]) -> float:
        """Mostly the sums at all sample counts."""
        cells = [(first_step_cell(part.cell), len(part.replicates)) for part in parts]
        return max(gradients.memory(cell, _points(cell), count) for cell, count in cells)

    def disk(self, parts: Sequence[Part]) -> tuple[float, float]:
        """A character for each sample count, and a digest; no artifacts."""
        cells = [(first_step_cell(part.cell), part.replicates) for part in parts]
        return sum(
            stored_bytes(cell.spec(), _theory_bytes(cell, len(rs)), 58 + _points(cell), len(rs))
            for cell, rs in cells
        ), 0.0

    def kind(self, cell: Cell) -> str:
        """One for each schedule and kind of labels."""
        return f"first step, {schedule_kind(first_step_cell(cell).schedule)}"

    def smaller(self, part: Part, share: float) -> Part:
        """Fewer replicates first, then fewer samples."""
        cell, count = first_step_cell(part.cell), len(part.replicates)
        # Teachers of their own are drawn one by one; others share a call.
        least = LEAST_TIMED if cell.schedule.target(cell.n, cell.k) is not None else 1
        kept = max(min(count, least), int(count * share))
        samples = min(cell.samples, max(LEAST_SAMPLES, int(cell.samples * share * count / kept)))
        return Part(replace(cell, samples=samples), part.replicates[:kept])

    def planning(self, cell: Cell, replicates: int) -> float:
        """Bounds; and of drawn teachers a prediction for each."""
        own = first_step_cell(cell)
        patterns = 1 << own.k
        match own.schedule:
            case Progressive(teacher="phase-1", labels="hard"):
                return 1e-3
            case Progressive(teacher="phase-1"):
                return 0.2 + replicates * (0.01 + 5e-4 * own.n)
            case Progressive(teacher="phase-1-projected"):
                return 0.2 + replicates * (0.01 if own.schedule.labels == "hard" else 0.02)
            case OneShot() if own.schedule.exponent is not None:
                return 0.2 + (0.033 * patterns if own.schedule.labels == "hard" else 0.0)
            case Progressive() | LowDegreeCurriculum():
                return 0.25 + 0.02 * min(patterns, 64)
            case _:
                return 0.15 + 8e-4 * patterns

    def problem(self, cell: Cell, payload: Payload) -> str | None:
        """A record has one 0 or 1 for each point of the cell's record grid."""
        success = payload.get("success")
        points = len(record_grid(first_step_cell(cell).samples, first_step_cell(cell).resolution))
        if isinstance(success, str) and len(success) == points and set(success) <= {"0", "1"}:
            return None
        return f"has no success for each of {points} sample counts"

    def theory_again(self, cell: Cell, stored: Json) -> Json:
        """Bounds and predictions, for the δ and the number of students of the stored ones."""
        from sim.plan import theory_of

        return theory_of(first_step_cell(cell), float(stored["delta"]), int(stored["replicates"]))

    def options(self, given: argparse.Namespace) -> Options:
        """Options of a first-step grid."""
        from sim.options import GridOptions

        return GridOptions.from_arguments(given)

    def summarise(
        self, store: Store, stored: Sequence[StoredCell], wanted: Mapping[str, int] | None
    ) -> Summary:
        """Samples to success beside the bounds, and growths."""
        from sim.summary import summarise

        return summarise(store, stored, wanted)

    def rows(self, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        """A row a (replicate, sample count)."""
        cell = first_step_cell(stored.cell)
        grid = record_grid(cell.samples, cell.resolution)
        schedule = canonical_json(cell.schedule.spec())
        head = (cell.id, cell.protocol, cell.n, cell.k, cell.q, schedule, cell.seed)
        for replicate, payload in store.checked_records(cell).items():
            for samples, success in zip(grid, payload["success"], strict=True):
                yield (*head, replicate, samples, int(success), str(payload.get("digest")))

    def _by_kernel(
        self,
        cell: FirstStepCell,
        replicates: Sequence[int],
        grid: Sequence[int],
        channels: Channels,
        threads: int,
        progress: Progress,
    ) -> dict[int, GradientSums]:
        seconds = _seconds(cell, len(replicates)) / cell.samples / threads
        return gradients.kernel_sums(
            cell,
            replicates,
            grid,
            channels,
            threads=threads,
            call_samples=max(1, int(CALL_SECONDS / seconds)),
            progress=progress,
        )


def first_step_cell(cell: Cell) -> FirstStepCell:
    """The cell, which must be of this protocol."""
    if not isinstance(cell, FirstStepCell):
        raise TypeError(f"{cell!r} is no cell of the first-step protocol")
    return cell


def schedule_kind(schedule: Schedule) -> str:
    """The schedule without its numbers, for example `progressive phase-1 logits`."""
    values = schedule.parameters()
    return " ".join([schedule.name, *(values[name] for name in ("teacher", "labels") if name in values)])


def _points(cell: FirstStepCell) -> float:
    return gradients.grid_points(cell.samples, cell.resolution)


def _seconds(cell: FirstStepCell, replicates: int) -> float:
    """Expected seconds of some replicates on one thread."""
    return gradients.seconds(cell, cell.samples, _points(cell), replicates)


def _theory_bytes(cell: FirstStepCell, replicates: int) -> float:
    """Characters of what is stored beside a cell."""
    drawn = isinstance(cell.schedule, Progressive) and cell.schedule.teacher != "equal"
    return 500.0 + 25 * replicates if drawn else 1500.0


def succeeds(gradients: npt.NDArray[Any], support: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Whether the k largest |ĝ_i| are exactly the support, ties counting against.

    Args:
        gradients: integers [..., n], any common positive factor.
        support: k distinct coordinates.

    Returns:
        Booleans [...]; always True where k = n.
    """
    size = np.abs(gradients)
    inside = np.zeros(gradients.shape[-1], dtype=bool)
    inside[list(support)] = True
    if inside.all():
        return np.ones(gradients.shape[:-1], dtype=bool)
    return np.asarray(size[..., inside].min(axis=-1) > size[..., ~inside].max(axis=-1), dtype=bool)


def _record(support: Sequence[int], gradients: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> Payload:
    """A replicate's payload; `gradients` and `counts` have one leading entry for each B of the grid."""
    success = "".join("1" if s else "0" for s in succeeds(gradients, support))
    digest = hashlib.sha256(np.ascontiguousarray(counts, dtype="<i8").tobytes()).hexdigest()
    return {"success": success, "digest": digest[:32]}
