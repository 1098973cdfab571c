"""The two-stage protocol: a first step, then output weights online; and how many samples that takes in total.

A replicate is one student, on streams of its own. What it showed after B samples of the first stage and T of the second
is recorded on grids (`sim.two_stage.cell`), and the total for a loss is read off their ladder. The second stage is
taught the parity under every schedule: schedules differ in the first stage only, as in the theorems about totals.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar, final

from sim.cell import Cell, canonical_json
from sim.cost_disk import stored_bytes
from sim.protocol.base import Json, Means, Options, Part, Payload, Progress, Protocol, Summary
from sim.protocol.first_step import LEAST_SAMPLES, schedule_kind
from sim.schedule import CrossEntropy, Progressive
from sim.store import Store, StoredCell
from sim.two_stage import biases, signed
from sim.two_stage.cell import TwoStageCell, two_stage_cell


@final
class TwoStage(Protocol):
    """Cells of the two-stage protocol."""

    name: ClassVar[str] = "two-stage"
    version: ClassVar[int] = 1
    flags: ClassVar[tuple[str, ...]] = (
        *("labels", "teacher", "teacher_error", "degree", "delta", "samples", "resolution"),
        *("loss", "student", "second", "width", "dead_zone"),
    )
    columns: ClassVar[tuple[str, ...]] = (
        *("cell", "protocol", "n", "k", "schedule", "student", "seed", "replicate"),
        *("first", "second", "total", "found", "loss", "error", "digest"),
    )
    integers: ClassVar[tuple[str, ...]] = (
        *("n", "k", "seed", "replicate", "first", "second", "total", "found"),
    )
    reals: ClassVar[tuple[str, ...]] = ("loss", "error")

    def cell_from_spec(self, spec: Mapping[str, Any]) -> TwoStageCell:
        """A two-stage cell."""
        return TwoStageCell.of_spec(spec)

    def check(self, parts: Sequence[Part]) -> None:
        """All can be run anywhere."""

    def run(self, parts: Sequence[Part], means: Means, progress: Progress) -> dict[str, dict[int, Payload]]:
        """Records of each part: see `sim.two_stage.signed.run` and `sim.two_stage.biases.run`."""
        records: dict[str, dict[int, Payload]] = {}
        for done, part in enumerate(parts):

            def share(value: float, done: int = done) -> None:
                progress((done + value) / len(parts))

            cell = two_stage_cell(part.cell)
            run = signed.run if cell.student == "signed" else biases.run
            records[cell.id] = run(cell, part.replicates, means.threads, share)
        return records

    def seconds(self, parts: Sequence[Part], *, afresh: bool = False) -> float:
        """Expected seconds on one thread; nothing is kept, so all are afresh."""
        return sum(_seconds(two_stage_cell(part.cell), len(part.replicates)) for part in parts)

    def memory(self, parts: Sequence[Part]) -> float:
        """Sums of the first stage, and a window of the second."""
        cells = [(two_stage_cell(part.cell), len(part.replicates)) for part in parts]
        return max(
            signed.memory(c, count) if c.student == "signed" else biases.memory(c) for c, count in cells
        )

    def disk(self, parts: Sequence[Part]) -> tuple[float, float]:
        """Losses and errors at all points; no artifacts."""
        total = 0.0
        for cell, count in ((two_stage_cell(part.cell), len(part.replicates)) for part in parts):
            plain = cell.student == "signed"
            record = signed.record_bytes(cell) if plain else biases.record_bytes(cell)
            total += stored_bytes(cell.spec(), 3300.0 if plain else 450.0 + 20 * count, record, count)
        return total, 0.0

    def kind(self, cell: Cell) -> str:
        """One for each kind of student and schedule."""
        own = two_stage_cell(cell)
        return f"two stages, {own.student}, {schedule_kind(own.schedule)}"

    def smaller(self, part: Part, share: float) -> Part:
        """Fewer replicates first, then fewer samples of both stages."""
        cell, count = two_stage_cell(part.cell), len(part.replicates)
        least = signed.TOGETHER if cell.student == "signed" else 1
        kept = max(min(count, least), int(count * share))
        left = share * count / kept
        first, second = (
            min(most, max(LEAST_SAMPLES, int(most * left))) for most in (cell.first, cell.second)
        )
        return Part(replace(cell, first=first, second=second), part.replicates[:kept])

    def planning(self, cell: Cell, replicates: int) -> float:
        """Bounds; of students with biases one for each that a theorem speaks of."""
        own = two_stage_cell(cell)
        schedule, patterns = own.schedule, 1 << own.k
        if own.student == "biases":
            taught = isinstance(schedule, Progressive) and schedule.labels == "logits"
            spoken = taught and own.n % 2 == 1 and schedule.parameters()["teacher"] != "phase-1"
            return 1e-3 + (2.5e-5 * replicates * own.width * patterns if spoken else 0.0)
        if isinstance(schedule, Progressive) and schedule.teacher != "equal":
            return 1e-3
        return 0.06 if isinstance(schedule, CrossEntropy) else 0.06 + 0.012 * patterns

    def let_go(self, parts: Sequence[Part], means: Means) -> None:
        """Nothing was kept."""

    def problem(self, cell: Cell, payload: Payload) -> str | None:
        """A record has a value for each point of the cell's grids."""
        own = two_stage_cell(cell)
        return signed.problem(own, payload) if own.student == "signed" else biases.problem(own, payload)

    def theory_again(self, cell: Cell, stored: Json) -> Json:
        """Bounds, for the δ, the losses and the number of students of the stored ones."""
        from sim.two_stage.theory import theory_of

        losses = [Fraction(text) for text in stored["losses"]]
        return theory_of(two_stage_cell(cell), float(stored["delta"]), losses, int(stored["replicates"]))

    def options(self, given: argparse.Namespace) -> Options:
        """Options of a two-stage grid."""
        from sim.two_stage.options import TwoStageOptions

        return TwoStageOptions.from_arguments(given)

    def summarise(
        self, store: Store, stored: Sequence[StoredCell], wanted: Mapping[str, int] | None
    ) -> Summary:
        """Samples of each stage and in total beside their bounds, growths and ratios."""
        from sim.two_stage.summary import summarise

        return summarise(store, stored, wanted)

    def rows(self, store: Store, stored: StoredCell) -> Iterator[tuple[Any, ...]]:
        """A row a (replicate, x of the ladder)."""
        from sim.two_stage.outcomes import outcome_of

        cell = two_stage_cell(stored.cell)
        schedule = canonical_json(cell.schedule.spec())
        head = (cell.id, cell.protocol, cell.n, cell.k, schedule, cell.student, cell.seed)
        for replicate, payload in store.checked_records(cell).items():
            outcome = outcome_of(cell, payload)
            measured = zip(cell.ladder, outcome.found, outcome.loss, outcome.error, strict=True)
            for (B, T), found, loss, error in measured:
                sure = int(found) if cell.student == "signed" else None
                yield (
                    *head,
                    replicate,
                    B,
                    T,
                    B + T,
                    sure,
                    float(loss),
                    float(error),
                    str(payload.get("digest")),
                )


def _seconds(cell: TwoStageCell, replicates: int) -> float:
    """Expected seconds of some replicates on one thread."""
    return signed.seconds(cell, replicates) if cell.student == "signed" else biases.seconds(cell) * replicates
