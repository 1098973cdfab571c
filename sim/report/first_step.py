"""The tables of first steps: samples to success beside what theory says of them, and their growth with n."""

from collections.abc import Iterable

from sim.numbers import si
from sim.report.table import (
    Column,
    Row,
    Table,
    Value,
    bound,
    count,
    crossing,
    estimate,
    real,
    text,
    verdict,
)
from sim.summary import CellSummary, GridSummary, number
from sim.table import law_text, predicted_text
from theory.intervals import Interval
from theory.verdict import Kind

_CELLS = (
    Column("schedule", meaning="what supervises the step"),
    Column("k", numeric=True, meaning="size of the support"),
    Column("n", numeric=True, meaning="dimension"),
    Column("seed", numeric=True, folds=True),
    Column("students", numeric=True, meaning="replicates stored", folds=True),
    Column(
        "samples for 50 % [95 %]",
        numeric=True,
        meaning="samples at which half of the students find the support",
    ),
    Column("predicted", numeric=True, meaning="the exact law's Gaussian limit, for 50 %"),
    Column("for 1 − δ [95 %]", numeric=True, meaning="samples at which a share 1 − δ of the students does"),
    Column("predicted for 1 − δ", numeric=True, meaning="the same prediction, for 1 − δ"),
    Column("lower bound", numeric=True, meaning="fewer samples cannot give 1 − δ: certified"),
    Column("upper bound", numeric=True, meaning="so many samples give 1 − δ: certified"),
    Column(
        "success at horizon [95 %]",
        numeric=True,
        meaning="share of students that succeed with all their samples",
    ),
    Column("verdict", meaning="of all bounds and predictions of the cell together"),
)

_GROWTHS = (
    Column("k", numeric=True, meaning="size of the support"),
    Column("schedule", meaning="what supervises the step"),
    Column("law", meaning="what is fitted to the samples B for 50 %"),
    Column("slope [95 %]", numeric=True, meaning="weighted least squares, bootstrap over students"),
    Column("predicted", numeric=True, meaning="the same regression on the predicted samples at the same n"),
    Column("as n → ∞", meaning="the limit of the exponent"),
    Column("n used", meaning="dimensions in the fit"),
    Column("verdict"),
)


def tables(summary: GridSummary) -> list[Table]:
    """The table of cells and, where there are any, that of growths."""
    made = [
        Table.of(
            "first-step-cells",
            "First step: samples to success, each cell beside its bounds",
            _CELLS,
            [_cell(cell) for cell in sorted(summary.cells, key=lambda c: c.cell.order)],
            "Success: the k largest entries of the student's first-step gradient are exactly the support.",
        )
    ]
    if summary.growths:
        made.append(
            Table.of(
                "first-step-growths",
                "First step: growth with n of the samples for 50 % success",
                _GROWTHS,
                _growths(summary),
            )
        )
    return made


def _cell(summary: CellSummary) -> Row:
    cell, prediction = summary.cell, summary.theory["prediction"]
    return Row(
        (
            text(cell.schedule.label()),
            count(cell.k),
            count(cell.n),
            Value(str(cell.seed), float(cell.seed)),
            count(summary.replicates),
            crossing(summary.crossing(0.5)),
            real(number(prediction["half"])),
            crossing(summary.crossing(summary.high)),
            real(number(prediction["high"])),
            bound(summary.best_bound(Kind.LOWER)[1]),
            bound(summary.best_bound(Kind.UPPER)[1]),
            _final(summary),
            verdict(summary.judgement.verdict),
        ),
        (cell.id,),
        f"cell-{cell.id[:12]}",
    )


def _final(summary: CellSummary) -> Value:
    if summary.final_rate is None:
        return Value("-")
    rate, interval = summary.final_rate
    return Value(f"{rate:.3g} {_share(interval)} at {si(summary.cell.samples)}", rate)


def _share(interval: Interval) -> str:
    return f"[{interval.lower:.3f}, {interval.upper:.3f}]"


def _growths(summary: GridSummary) -> Iterable[Row]:
    for growth in summary.growths:
        own = [
            s.cell.id
            for s in summary.cells
            if s.cell.k == growth.k
            and s.cell.schedule.label() == growth.schedule
            and s.cell.n in (*growth.fit.used, *growth.fit.missing)
        ]
        yield Row(
            (
                count(growth.k),
                text(growth.schedule),
                text(law_text(growth)),
                estimate(growth.fit.slope, growth.fit.bootstrap),
                real(growth.predicted, predicted_text(growth)),
                text(growth.limit or "-"),
                text(", ".join(map(str, growth.fit.used)) or "-"),
                verdict(growth.judgement.verdict),
            ),
            tuple(own),
        )
