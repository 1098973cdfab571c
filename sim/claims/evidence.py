"""All that was measured, whatever store or file it lies in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, final

from sim.online.report import Report
from sim.online.summary import OnlineSummary, OnlineSummaryOfCell
from sim.protocol.base import Summary
from sim.summary import CellSummary, GridSummary, GrowthSummary
from sim.two_stage.comparisons import Comparisons, compared
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary

Of = TypeVar("Of", CellSummary, TwoStageSummary, OnlineSummaryOfCell, Report)


@final
@dataclass(frozen=True, eq=False)
class Evidence:
    """What the claims are held against.

    Attributes:
        first_step, growths: of the first-step protocol.
        two_stage: of the two-stage protocol.
        online: teachers and students of the online protocol.
        reports: probes of teachers.
    """

    first_step: tuple[CellSummary, ...] = ()
    growths: tuple[GrowthSummary, ...] = ()
    two_stage: tuple[TwoStageSummary, ...] = ()
    online: tuple[OnlineSummaryOfCell, ...] = ()
    reports: tuple[Report, ...] = ()

    @staticmethod
    def of(summaries: Iterable[Summary], reports: Iterable[Report] = ()) -> "Evidence":
        """The evidence of summaries, of any protocols, and of probes; of a cell that is there twice the first counts.

        A protocol about which there are no claims adds nothing.
        """
        first_step: list[CellSummary] = []
        growths: list[GrowthSummary] = []
        two_stage: list[TwoStageSummary] = []
        online: list[OnlineSummaryOfCell] = []
        for summary in summaries:
            match summary:
                case GridSummary():
                    first_step += summary.cells
                    growths += summary.growths
                case TwoStageGrid():
                    two_stage += summary.cells
                case OnlineSummary():
                    online += summary.cells
                case _:
                    continue  # no claim is about its protocol
        return Evidence(
            tuple(first_step), tuple(growths), tuple(two_stage), tuple(online), tuple(reports)
        ).joined(Evidence())

    def joined(self, other: "Evidence") -> "Evidence":
        """Both together; of a cell that is there twice the first counts, and of a teacher's probes."""
        return Evidence(
            _once((*self.first_step, *other.first_step)),
            (*self.growths, *other.growths),
            _once((*self.two_stage, *other.two_stage)),
            _once((*self.online, *other.online)),
            _once((*self.reports, *other.reports)),
        )

    @cached_property
    def totals(self) -> Comparisons:
        """Growths and ratios of the two-stage totals."""
        return compared(self.two_stage)


def _once(values: Iterable[Of]) -> tuple[Of, ...]:
    """The first of each cell."""
    found: dict[str, Of] = {}
    for value in values:
        found.setdefault(value.cell.id, value)
    return tuple(found.values())
