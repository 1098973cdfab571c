"""What a store says of two-stage students: for each cell the samples of each stage and in total beside their bounds.

Levels are those of `sim.levels`. In each cell these are judged:

- the first stage's samples for success 1 − δ/2, against the best lower and upper bound of them;
- for each ε, the second stage's samples for a loss ≤ ε with probability 1 − δ/2, against T2-δ; it bounds those for an
  error ≤ ε too, which are never more;
- for each ε, the total for 1 − δ: to the loss against the upper bound, to the error, which is never more, against the
  lower one;
- the sums of online losses against R²G²: that holds for every sequence of samples, so one student that exceeds it by
  more than rounding contradicts it, and all students together show it;
- of students with biases, the loss at both horizons against the bound b of its mean: by Markov's inequality it is above
  b/δ with probability at most δ, which is contradicted or consistent as rates are (`sim.levels`).

Growths and ratios are shown, not judged: bounds of totals leave room for any slope between two n.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from rich.console import Console

from sim.levels import ALPHA_CONTRADICTED, ALPHA_SHOWN, judge_bound, judge_rate
from sim.online.report import Report
from sim.protocol.base import Json
from sim.report.table import Table
from sim.store import Store, StoredCell
from sim.summary import JudgedSummary, number
from sim.two_stage.cell import TwoStageCell, two_stage_cell
from sim.two_stage.outcomes import Outcome, found_of, outcome_of
from theory.intervals import Crossing, SuccessCurve
from theory.verdict import Judgement, Kind, Verdict, combine

ROUNDING = 1e-9
"""Relative error of a sum of online losses, generously."""

QUANTITIES = ("loss", "error")


@final
@dataclass(frozen=True, eq=False)
class TwoStageSummary:
    """One cell: measured curves, bounds and verdict.

    Attributes:
        cell: the cell.
        theory: what theory says about it, as stored beside it.
        payloads: the stored replicates by number, increasing.
        wanted: replicates that the run asked for, or None.
    """

    cell: TwoStageCell
    theory: dict[str, Any]
    payloads: Mapping[int, Mapping[str, Any]]
    wanted: int | None

    @property
    def replicates(self) -> int:
        """Number of stored replicates."""
        return len(self.payloads)

    @property
    def complete(self) -> bool:
        """Whether all wanted replicates are there."""
        return self.replicates >= (self.wanted or 1)

    @property
    def delta(self) -> float:
        """δ."""
        return float(self.theory["delta"])

    @cached_property
    def losses(self) -> tuple[Fraction, ...]:
        """The ε, decreasing."""
        return tuple(Fraction(text) for text in self.theory["losses"])

    @property
    def probabilities(self) -> dict[str, float]:
        """The success probabilities of which the bounds speak: 1 − δ/2 of each stage, 1 − δ in total."""
        return {"first": 1 - self.delta / 2, "second": 1 - self.delta / 2, "total": 1 - self.delta}

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """The replicates along the ladder."""
        return [outcome_of(self.cell, payload) for payload in self.payloads.values()]

    @cached_property
    def first_curve(self) -> SuccessCurve | None:
        """Whether signed students found the support, on the first grid; None without any."""
        if not self.payloads or self.cell.student != "signed":
            return None
        return SuccessCurve(
            np.array(self.cell.first_grid), np.array([found_of(p) for p in self.payloads.values()])
        )

    def second_curve(self, epsilon: Fraction, quantity: str = "loss") -> SuccessCurve | None:
        """Whether signed students' loss or error, given the support, is ≤ ε, on the second grid; None without any."""
        if not self.payloads or self.cell.student != "signed":
            return None
        measured = np.array([p[quantity] for p in self.payloads.values()])
        return SuccessCurve(np.array(self.cell.second_grid), measured <= float(epsilon))

    def total_curve(self, epsilon: Fraction, quantity: str = "loss") -> SuccessCurve | None:
        """Whether students' loss or error is ≤ ε, against totals; None without any."""
        if not self.payloads:
            return None
        reached = [o.reaches(getattr(o, quantity), float(epsilon)) for o in self.outcomes]
        return SuccessCurve(np.array(self.cell.totals), np.array(reached))

    def crossing(self, curve: SuccessCurve | None, stage: str, alpha: float = ALPHA_SHOWN) -> Crossing | None:
        """Samples at which a curve reaches the stage's probability, with interval; None without replicates."""
        return None if curve is None else curve.crossing(self.probabilities[stage], alpha)

    def total(
        self,
        epsilon: Fraction,
        quantity: str = "loss",
        probability: float | None = None,
        alpha: float = ALPHA_SHOWN,
    ) -> Crossing | None:
        """The total to ε with a probability (1 − δ where it is not given), with interval."""
        curve = self.total_curve(epsilon, quantity)
        return None if curve is None else curve.crossing(probability or 1 - self.delta, alpha)

    def bound(self, stage: str, kind: Kind, epsilon: Fraction | None = None) -> float:
        """The best bound of a stage's samples (with probability, not of the mean); 0 or infinite without any.

        Of S1′ the number from which on every B is good, as success is recorded at some counts only.
        """
        values = [
            number(b.get("persistent", b["samples"]))
            for b in self.theory["bounds"]
            if b["stage"] == stage
            and Kind(b["kind"]) is kind
            and b["delta"] is not None
            and (b["loss"] is None or epsilon is None or Fraction(b["loss"]) == epsilon)
        ]
        return min(values, default=math.inf) if kind is Kind.UPPER else max(values, default=0.0)

    @cached_property
    def online(self) -> tuple[float, float] | None:
        """Mean and largest sum of online losses; None without signed students."""
        if not self.payloads or self.cell.student != "signed":
            return None
        sums = [float(payload["online"]) for payload in self.payloads.values()]
        return float(np.mean(sums)), max(sums)

    @cached_property
    def judgements(self) -> list[tuple[str, Judgement]]:
        """What was judged, each with its name."""
        if not self.payloads:
            return [("cell", Judgement(Verdict.UNDECIDED, "Nothing was measured.", 0.0))]
        parts = [*self._first(), *self._online(), *self._expected()]
        for epsilon in self.losses:
            parts += self._second(epsilon) + self._total(epsilon)
        return parts

    @property
    def judged(self) -> bool:
        """Whether any bound speaks of these students."""
        return bool(self.judgements)

    @cached_property
    def judgement(self) -> Judgement:
        """All of them together; undecided where no bound speaks."""
        if not self.judged:
            return Judgement(Verdict.UNDECIDED, str(self.theory.get("statement", "No bound speaks.")), 0.0)
        named = [Judgement(j.verdict, f"{name}: {j.reason}", j.alpha) for name, j in self.judgements]
        return combine(named)

    def _first(self) -> list[tuple[str, Judgement]]:
        return self._against(self.first_curve, "first", "first stage", (Kind.LOWER, Kind.UPPER))

    def _second(self, epsilon: Fraction) -> list[tuple[str, Judgement]]:
        name = f"second stage to loss {float(epsilon):g}"
        return self._against(self.second_curve(epsilon), "second", name, (Kind.UPPER,), epsilon)

    def _total(self, epsilon: Fraction) -> list[tuple[str, Judgement]]:
        to_loss, to_error = f"total to loss {float(epsilon):g}", f"total to error {float(epsilon):g}"
        return [
            *self._against(self.total_curve(epsilon), "total", to_loss, (Kind.UPPER,), epsilon),
            *self._against(self.total_curve(epsilon, "error"), "total", to_error, (Kind.LOWER,), epsilon),
        ]

    def _against(
        self,
        curve: SuccessCurve | None,
        stage: str,
        name: str,
        kinds: Iterable[Kind],
        epsilon: Fraction | None = None,
    ) -> list[tuple[str, Judgement]]:
        result = []
        for kind in kinds:
            value = self.bound(stage, kind, epsilon)
            if curve is None or value == (math.inf if kind is Kind.UPPER else 0.0):
                continue
            judgement = judge_bound(curve, self.probabilities[stage], value, kind)
            if judgement is not None:
                result.append((name, judgement))
        return result

    def _online(self) -> list[tuple[str, Judgement]]:
        return [] if self.online is None else [("sum of online losses", self.judge_online())]

    def judge_online(self) -> Judgement:
        """The sums of online losses of signed students against R²G², which holds for certain."""
        assert self.online is not None
        largest, allowed = self.online[1], float(self.theory["online"])
        below = largest <= allowed * (1 + ROUNDING)
        verdict = Verdict.CONSISTENT if below else Verdict.CONTRADICTED
        reason = f"The largest sum, {largest:.6g}, is {'not ' if below else ''}above R^2 G^2 = {allowed:.6g}."
        return Judgement(verdict, reason, 0.0)

    @cached_property
    def final_losses(self) -> list[float]:
        """Each student's loss at both horizons, whether or not its support was found."""
        return [float(outcome.loss[-1]) for outcome in self.outcomes]

    @cached_property
    def expected_loss(self) -> float | None:
        """Mean over the stored students of the bounds of their expected loss at both horizons; None without any."""
        bounds = self.theory.get("expected_loss")
        known = [] if bounds is None else [number(bounds[r]) for r in self.payloads if r < len(bounds)]
        return float(np.mean(known)) if known else None

    def _expected(self) -> list[tuple[str, Judgement]]:
        bounds = self.theory.get("expected_loss")
        return [] if bounds is None else [("loss at both horizons", self.judge_expected())]

    def judge_expected(self, alpha: float = ALPHA_CONTRADICTED) -> Judgement:
        """The losses at both horizons against the bounds of their means; alpha: two-sided error of a contradiction."""
        bounds = self.theory["expected_loss"]
        if max(self.payloads) >= len(bounds):
            reason = f"Only {len(bounds)} students have a bound: run the grid again with all its replicates."
            return Judgement(Verdict.UNDECIDED, reason, 0.0)
        own = [number(bounds[replicate]) / self.delta for replicate in self.payloads]
        above = sum(loss > bound for loss, bound in zip(self.final_losses, own, strict=True))
        judged = judge_rate(above, self.replicates, self.delta, alpha)
        if judged.verdict is Verdict.CONTRADICTED:
            return judged
        reason = f"{above} of {self.replicates} students are above 1/delta times the bound of their mean."
        return Judgement(judged.verdict, reason, judged.alpha)


@final
@dataclass(frozen=True, eq=False)
class TwoStageGrid(JudgedSummary):
    """All cells of a store or a run."""

    kinds: ClassVar[tuple[str, ...]] = ("totals", "success", "heat")
    title: ClassVar[str] = "Two stages"
    lead: ClassVar[str] = (
        "A large-batch first step, then output weights trained online: samples in total to a loss."
    )
    cells: tuple[TwoStageSummary, ...]

    @property
    def verdict(self) -> Verdict:
        """The weakest verdict of all cells of which a bound speaks; undecided if there are none."""
        return combine(cell.judgement for cell in self.cells if cell.judged).verdict

    @property
    def complete(self) -> bool:
        """Whether every cell has its replicates."""
        return all(cell.complete for cell in self.cells)

    def print(self, console: Console) -> None:
        """The tables of cells, growths and ratios, and the verdict."""
        from sim.two_stage.table import print_summary

        print_summary(self, console)

    def json(self) -> Json:
        """The same as JSON values."""
        from sim.two_stage.report import as_json

        return as_json(self)

    def explain(self) -> Iterator[str]:
        """What each cell is, what theory says, what was measured, and why the verdict is what it is."""
        from sim.two_stage.table import explain_cell

        for cell in self.cells:
            yield from explain_cell(cell)

    def page_tables(self) -> list[Table]:
        """The tables of a report."""
        from sim.report.two_stage import tables

        return tables(self)

    def drawings(self, kind: str, report: Report | None = None) -> Sequence[Any]:
        """Totals against n; success against totals; totals over n and k. The report is not read."""
        self.refuse_kind(kind)
        from sim.two_stage import figures

        match kind:
            case "totals":
                return [figures.totals_drawing(self)]
            case "success":
                return figures.success_drawings_of(self)
            case _:
                return figures.heat_drawings(self)


def summarise(
    store: Store, stored: Iterable[StoredCell], wanted: Mapping[str, int] | None = None
) -> TwoStageGrid:
    """Read the two-stage students of a store.

    Args:
        store: an open store.
        stored: cells to look at.
        wanted: how many replicates of each are wanted, by cell id; those with higher numbers are left out. All when
            None.
    """
    summaries = []
    for one in stored:
        limit = None if wanted is None else wanted[one.cell.id]
        payloads = {
            replicate: payload
            for replicate, payload in store.checked_records(one.cell).items()
            if limit is None or replicate < limit
        }
        summaries.append(TwoStageSummary(two_stage_cell(one.cell), one.theory, payloads, limit))
    return TwoStageGrid(tuple(summaries))
