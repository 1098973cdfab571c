"""The tables of two-stage students, for people."""

import json
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
from rich.console import Console
from rich.table import Table

from sim.numbers import crossing_text, interval_text, si
from sim.two_stage.comparisons import FACTORS, Comparison, Growth, Passing, Ratio, compared
from sim.two_stage.summary import TwoStageGrid, TwoStageSummary
from theory.verdict import Kind, Verdict


def print_summary(summary: TwoStageGrid, console: Console) -> None:
    """Print the tables of each k and ε, growths, ratios, what is undecided or contradicted, and the overall verdict."""
    together = compared(summary.cells)
    for k in sorted({cell.cell.k for cell in summary.cells}):
        cells = [cell for cell in summary.cells if cell.cell.k == k]
        if any(cell.cell.student == "signed" for cell in cells):
            console.print(_first_table(cells, k))
        for student in sorted({cell.cell.student for cell in cells}, reverse=True):
            alike = [cell for cell in cells if cell.cell.student == student]
            table = _total_table if student == "signed" else _biases_table
            for epsilon in sorted({e for cell in alike for e in cell.losses}, reverse=True):
                console.print(table([cell for cell in alike if epsilon in cell.losses], k, epsilon))
    if together.growths:
        console.print(_growth_table(together.growths))
    if together.ratios:
        console.print(_ratio_table(together.ratios))
        console.print(_passing_table(together.ratios))
    for cell in summary.cells:
        if cell.judged and cell.judgement.verdict is not Verdict.CONSISTENT:
            text = f"{cell.judgement.verdict.value.upper()}: {cell.cell.label()}: {cell.judgement.reason}"
            console.print(text, highlight=False, soft_wrap=True)
    console.print(f"verdict: {summary.verdict.value.upper()}", highlight=False)


def _table(title: str, names: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", header_style="")
    for name in names:
        table.add_column(name, justify="left" if name in left else "right")
    return table


def _percent(cells: Sequence[TwoStageSummary], stage: str) -> str:
    levels = {cell.probabilities[stage] for cell in cells}
    return f"{100 * levels.pop():g} %" if len(levels) == 1 else {"total": "1-δ"}.get(stage, "1-δ/2")


def _by_schedule(table: Table, cells: Sequence[TwoStageSummary]) -> Iterator[tuple[str, TwoStageSummary]]:
    """Cells by schedule and n, a line between schedules; the name only where it changes."""
    last = None
    for cell in sorted(cells, key=lambda c: (c.cell.series, c.cell.n)):
        series = cell.cell.series
        if last is not None and series != last:
            table.add_section()
        yield series if series != last else "", cell
        last = series


def _first_table(cells: Sequence[TwoStageSummary], k: int) -> Table:
    level = _percent(cells, "first")
    names = ("schedule", "n", "dead zone", "lower bound", f"{level} found [95 % interval]", "upper bound")
    table = _table(f"first stage, k = {k}", (*names, "at horizon"), ("schedule",))
    for name, cell in _by_schedule(table, [c for c in cells if c.cell.dead_zone is not None]):
        curve = cell.first_curve
        final = "-" if curve is None else f"{curve.rates[-1]:.0%} at {si(cell.cell.first)}"
        assert cell.cell.dead_zone is not None
        table.add_row(
            name,
            str(cell.cell.n),
            f"{float(cell.cell.dead_zone):.3g}",
            bound_text(cell.bound("first", Kind.LOWER)),
            crossing_text(cell.crossing(curve, "first")),
            bound_text(cell.bound("first", Kind.UPPER)),
            final,
        )
    return table


def _total_table(cells: Sequence[TwoStageSummary], k: int, epsilon: Fraction) -> Table:
    second, total = _percent(cells, "second"), _percent(cells, "total")
    names = (
        *("schedule", "n", f"second stage {second} [95 %]", "T2-δ", f"total to loss {total} [95 %]"),
        *(f"to error {total} [95 %]", "lower bound", "upper bound", "verdict"),
    )
    table = _table(f"second stage and total to {float(epsilon):g}, k = {k}", names, ("schedule", "verdict"))
    for name, cell in _by_schedule(table, cells):
        table.add_row(
            name,
            str(cell.cell.n),
            crossing_text(cell.crossing(cell.second_curve(epsilon), "second")),
            bound_text(cell.bound("second", Kind.UPPER, epsilon)),
            crossing_text(cell.total(epsilon)),
            crossing_text(cell.total(epsilon, "error")),
            bound_text(cell.bound("total", Kind.LOWER, epsilon)),
            bound_text(cell.bound("total", Kind.UPPER, epsilon)),
            cell.judgement.verdict.value,
        )
    return table


def _biases_table(cells: Sequence[TwoStageSummary], k: int, epsilon: Fraction) -> Table:
    total = _percent(cells, "total")
    names = (
        *("schedule", "n", f"total to loss {total} [95 %]", f"to error {total} [95 %]"),
        *("mean loss at horizons", "bound of it", "verdict"),
    )
    table = _table(
        f"students with biases: total to {float(epsilon):g}, k = {k}", names, ("schedule", "verdict")
    )
    for name, cell in _by_schedule(table, cells):
        mean = "-" if not cell.payloads else f"{np.mean(cell.final_losses):.3g}"
        expected = cell.expected_loss
        table.add_row(
            name,
            str(cell.cell.n),
            crossing_text(cell.total(epsilon)),
            crossing_text(cell.total(epsilon, "error")),
            mean,
            "-" if expected is None else f"{expected:.3g}",
            cell.judgement.verdict.value if cell.judged else "no bound",
        )
    return table


def _growth_table(growths: Sequence[Growth]) -> Table:
    names = (
        *("k", "schedule", "to loss", "measured [95 % interval]"),
        *("of the lower bounds, same n", "of the upper bounds"),
    )
    table = _table("growth with n of the total for 50 %: N ~ n^slope", names, ("schedule",))
    for g in growths:
        slope = "-" if g.fit.slope is None else f"{g.fit.slope:.3g}"
        table.add_row(
            str(g.k),
            g.series,
            f"{float(g.epsilon):g}",
            f"{slope} {interval_text(g.fit.bootstrap)}",
            _slope(g.lower),
            _slope(g.upper),
        )
    return table


def _slope(value: float | None) -> str:
    return "-" if value is None else f"{value if abs(value) > 1e-9 else 0:.3g}"


def _ratio_table(comparisons: Sequence[Comparison]) -> Table:
    names = ("k", "to loss", "total of", "over that of", "n", "ratio [95 % interval]", "at least", "at most")
    table = _table("how many times more samples, with the bounds", names, ("total of", "over that of"))
    for index, c in enumerate(comparisons):
        if index:
            table.add_section()
        for ratio in c.ratios:
            head = (str(c.k), f"{float(c.epsilon):g}", c.more, c.less) if ratio is c.ratios[0] else ("",) * 4
            table.add_row(
                *head, str(ratio.n), ratio_text(ratio), bound_text(ratio.lower), bound_text(ratio.upper)
            )
    return table


def ratio_text(ratio: Ratio) -> str:
    """For example `15.2 [12.1, 18.3]`."""
    estimate = "-" if ratio.estimate is None else si(float(f"{ratio.estimate:.3g}"))
    return f"{estimate} {interval_text(ratio.interval)}"


def _passing_table(comparisons: Sequence[Comparison]) -> Table:
    names = ("k", "to loss", "total of", "over that of", "factor", "n [by 95 % intervals]", "by the bounds")
    table = _table("n of the grid from which on the ratio is at least", names, ("total of", "over that of"))
    for c in comparisons:
        largest = c.ratios[-1].n
        for factor in FACTORS:
            p = c.passes(factor)
            table.add_row(
                *(str(c.k), f"{float(c.epsilon):g}", c.more, c.less, f"{factor:g}"),
                f"{_n(p.estimate, largest)} [{_n(p.earliest, largest)}, {_n(p.latest, largest)}]",
                passing_bounds(p, largest),
            )
    return table


def passing_bounds(passing: Passing, largest: int) -> str:
    """The bracket of the bounds."""
    return f"[{_n(passing.bound_earliest, largest)}, {_n(passing.bound_latest, largest)}]"


def _n(value: int | None, largest: int) -> str:
    return f">{largest}" if value is None else str(value)


def bound_text(value: float) -> str:
    """A bound; `-` for one that says nothing."""
    return si(value) if 0 < value < math.inf else "-"


def explain_cell(summary: TwoStageSummary) -> Iterator[str]:
    """All about one cell, in lines."""
    cell, theory = summary.cell, summary.theory
    yield f"{cell.label()}\nid {cell.id}"
    yield f"what: {json.dumps(cell.spec(), sort_keys=True)}"
    yield f"labels: {theory['labels']}"
    yield f"signal: {theory['signal']}"
    for bound in theory["bounds"]:
        to = "" if bound["loss"] is None else f" to loss {float(Fraction(bound['loss'])):g}"
        level = "on average" if bound["delta"] is None else f"with probability {1 - bound['delta']:g}"
        every = (
            f", and every number from {si(float(bound['persistent']))} on" if "persistent" in bound else ""
        )
        yield (
            f"{bound['kind']} bound {bound['name']} of the {bound['stage']}{to} {level}: "
            f"{si(float(bound['samples']))} samples{every}. {bound['statement']}"
        )
    yield from _measured_lines(summary)
    for name, judgement in summary.judgements:
        yield f"{name}: {judgement.verdict.value.upper()}. {judgement.reason}"
    yield f"verdict: {summary.judgement.verdict.value.upper()}. {summary.judgement.reason}"


def _measured_lines(summary: TwoStageSummary) -> Iterator[str]:
    if not summary.payloads:
        return
    yield f"measured with {summary.replicates} replicates (share of students):"
    losses = summary.losses
    curves = [summary.total_curve(epsilon, q) for epsilon in losses for q in ("loss", "error")]
    names = [f"{q} <= {float(epsilon):g}" for epsilon in losses for q in ("loss", "error")]
    yield "  " + "  ".join(f"{name:>13}" for name in ("total", "first", "second", "found", *names))
    for x, (B, T) in enumerate(summary.cell.ladder):
        found = sum(int(o.found[x]) for o in summary.outcomes) / summary.replicates
        rates = [found, *(float(curve.rates[x]) for curve in curves if curve is not None)]
        numbers = [si(float(B + T)), si(float(B)), si(float(T)), *(f"{rate:.3f}" for rate in rates)]
        yield "  " + "  ".join(f"{number:>13}" for number in numbers)
    if summary.expected_loss is not None:
        yield (
            f"mean loss at both horizons {np.mean(summary.final_losses):.4g}; bound of its mean "
            f"{summary.expected_loss:.4g}. {summary.theory['statement']}"
        )
    if summary.online is not None:
        mean, largest = summary.online
        yield (
            f"sum of online losses: mean {mean:.4g}, largest {largest:.4g}; never above R^2 G^2 = "
            f"{float(summary.theory['online']):.4g}"
        )
