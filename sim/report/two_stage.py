"""The tables of two-stage students: each stage and the total beside their bounds, growths, and ratios of totals."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

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
from sim.two_stage.comparisons import Comparisons, compared
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary
from sim.two_stage.table import ratio_text
from theory.verdict import Kind

_HEAD = (
    Column(
        "schedule", meaning="what supervises the first step, and the student where it is not the signed one"
    ),
    Column("k", numeric=True, meaning="size of the support", folds=True),
    Column("n", numeric=True, meaning="dimension"),
)

_FIRST = (
    *_HEAD,
    Column("students", numeric=True, meaning="replicates stored", folds=True),
    Column("dead zone", numeric=True, meaning="entries of the first step below it count as 0"),
    Column("lower bound", numeric=True, meaning="certified"),
    Column(
        "for 1 − δ/2 [95 %]", numeric=True, meaning="samples at which a share 1 − δ/2 has found the support"
    ),
    Column("upper bound", numeric=True, meaning="certified"),
)

_TOTALS = (
    *_HEAD,
    Column("loss ε", numeric=True, meaning="hinge loss, or error, that is to be reached"),
    Column("second stage [95 %]", numeric=True, meaning="its samples to loss ε for a share 1 − δ/2"),
    Column("T2-δ", numeric=True, meaning="upper bound of the second stage, certified"),
    Column("total to loss [95 %]", numeric=True, meaning="samples of both stages for a share 1 − δ"),
    Column("total to error [95 %]", numeric=True, meaning="the same, to an error of at most ε"),
    Column("lower bound", numeric=True, meaning="of the total, certified"),
    Column("upper bound", numeric=True, meaning="of the total, certified"),
    Column("verdict", meaning="of all bounds of the cell together"),
)

_BIASES = (
    *_HEAD,
    Column("loss ε", numeric=True),
    Column("total to loss [95 %]", numeric=True),
    Column("total to error [95 %]", numeric=True),
    Column("mean loss at horizons", numeric=True, meaning="over students, with all their samples"),
    Column("bound of it", numeric=True),
    Column("verdict"),
)

_GROWTHS = (
    Column("k", numeric=True, folds=True),
    Column("schedule"),
    Column("loss ε", numeric=True),
    Column("slope [95 %]", numeric=True, meaning="of log N against log n, N the total for 50 %"),
    Column("of the lower bounds", numeric=True, meaning="the same regression on the bounds at the same n"),
    Column("of the upper bounds", numeric=True, meaning="the same regression on the bounds at the same n"),
)

_RATIOS = (
    Column("k", numeric=True, folds=True),
    Column("loss ε", numeric=True),
    Column("total of"),
    Column("over that of"),
    Column("n", numeric=True),
    Column("ratio [95 %]", numeric=True, meaning="how many times as many samples in total"),
    Column("at least", numeric=True, meaning="certified"),
    Column("at most", numeric=True, meaning="certified"),
)


def tables(summary: TwoStageGrid) -> list[Table]:
    """Of first stages, totals, students with biases, growths and ratios: those that have rows."""
    cells = sorted(summary.cells, key=lambda c: c.cell.order)
    signed = [cell for cell in cells if cell.cell.student == "signed"]
    together = compared(summary.cells)
    made = [
        Table.of(
            "two-stage-first", "Two stages: the first, which finds the support", _FIRST, map(_first, signed)
        ),
        Table.of(
            "two-stage-totals",
            "Two stages: samples in total, to a loss",
            _TOTALS,
            [_total(cell, epsilon) for cell in signed for epsilon in cell.losses],
        ),
        Table.of(
            "two-stage-biases",
            "Two stages: students with random biases",
            _BIASES,
            [_biased(cell, e) for cell in cells if cell.cell.student != "signed" for e in cell.losses],
        ),
        Table.of(
            "two-stage-growths",
            "Two stages: growth with n of the total for 50 %, N ~ n^slope",
            _GROWTHS,
            _growths(together),
        ),
        Table.of(
            "two-stage-ratios",
            "Two stages: how many times more samples, with the bounds",
            _RATIOS,
            _ratios(together),
        ),
    ]
    return [table for table in made if table.rows]


def _head(summary: TwoStageSummary) -> tuple[Value, Value, Value]:
    return text(summary.cell.series), count(summary.cell.k), count(summary.cell.n)


def _first(summary: TwoStageSummary) -> Row:
    cell = summary.cell
    return Row(
        (
            *_head(summary),
            count(summary.replicates),
            real(None if cell.dead_zone is None else float(cell.dead_zone)),
            bound(summary.bound("first", Kind.LOWER)),
            crossing(summary.crossing(summary.first_curve, "first")),
            bound(summary.bound("first", Kind.UPPER)),
        ),
        (cell.id,),
        f"cell-{cell.id[:12]}",
    )


def _total(summary: TwoStageSummary, epsilon: Fraction) -> Row:
    return Row(
        (
            *_head(summary),
            real(float(epsilon), f"{float(epsilon):g}"),
            crossing(summary.crossing(summary.second_curve(epsilon), "second")),
            bound(summary.bound("second", Kind.UPPER, epsilon)),
            crossing(summary.total(epsilon)),
            crossing(summary.total(epsilon, "error")),
            bound(summary.bound("total", Kind.LOWER, epsilon)),
            bound(summary.bound("total", Kind.UPPER, epsilon)),
            verdict(summary.judgement.verdict),
        ),
        (summary.cell.id,),
    )


def _biased(summary: TwoStageSummary, epsilon: Fraction) -> Row:
    mean = float(np.mean(summary.final_losses)) if summary.payloads else None
    first = epsilon == summary.losses[0]
    return Row(
        (
            *_head(summary),
            real(float(epsilon), f"{float(epsilon):g}"),
            crossing(summary.total(epsilon)),
            crossing(summary.total(epsilon, "error")),
            real(mean, None if mean is None else f"{mean:.3g}"),
            real(summary.expected_loss),
            verdict(summary.judgement.verdict) if summary.judged else text("no bound"),
        ),
        (summary.cell.id,),
        f"cell-{summary.cell.id[:12]}" if first else None,
    )


def _growths(compared: Comparisons) -> Iterator[Row]:
    for growth in compared.growths:
        own = (s.cell.id for s in compared.cells if s.cell.k == growth.k and s.cell.series == growth.series)
        yield Row(
            (
                count(growth.k),
                text(growth.series),
                real(float(growth.epsilon), f"{float(growth.epsilon):g}"),
                estimate(growth.fit.slope, growth.fit.bootstrap),
                _slope(growth.lower),
                _slope(growth.upper),
            ),
            tuple(own),
        )


def _slope(value: float | None) -> Value:
    return real(value, None if value is None else f"{value if abs(value) > 1e-9 else 0:.3g}")


def _ratios(compared: Comparisons) -> Iterator[Row]:
    for c in compared.ratios:
        for ratio in c.ratios:
            own = (
                s.cell.id
                for s in compared.cells
                if s.cell.k == c.k and s.cell.n == ratio.n and s.cell.series in (c.more, c.less)
            )
            yield Row(
                (
                    count(c.k),
                    real(float(c.epsilon), f"{float(c.epsilon):g}"),
                    text(c.more),
                    text(c.less),
                    count(ratio.n),
                    Value(ratio_text(ratio), ratio.estimate),
                    bound(ratio.lower),
                    bound(ratio.upper),
                ),
                tuple(own),
            )
