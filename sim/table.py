"""The final table of first steps, for people and as JSON."""

import json
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from sim.numbers import crossing_text, interval_json, interval_text, si
from sim.summary import CellSummary, GridSummary, GrowthSummary, number
from theory.verdict import Kind, Verdict


def print_summary(summary: GridSummary, console: Console) -> None:
    """Print the table of cells, the growths, what is undecided or contradicted, and the overall verdict."""
    highs = sorted({round(100 * cell.high, 6) for cell in summary.cells})
    for k in sorted({cell.cell.k for cell in summary.cells}):
        console.print(_cell_table([cell for cell in summary.cells if cell.cell.k == k], k, highs))
    if summary.growths:
        console.print(_growth_table(summary.growths))
    for subject, judgement in _remarks(summary):
        console.print(f"{judgement[0]}: {subject}: {judgement[1]}", highlight=False, soft_wrap=True)
    console.print(f"verdict: {summary.verdict.value.upper()}", highlight=False)


def _remarks(summary: GridSummary) -> list[tuple[str, tuple[str, str]]]:
    parts = [(cell.cell.label(), cell.judgement) for cell in summary.cells]
    parts += [(f"growth of k={g.k} {g.schedule}", g.judgement) for g in summary.growths]
    return [(s, (j.verdict.value.upper(), j.reason)) for s, j in parts if j.verdict is not Verdict.CONSISTENT]


def _cell_table(cells: list[CellSummary], k: int, highs: list[float]) -> Table:
    high = f"{highs[0]:g} %" if len(highs) == 1 else "1-δ"
    table = Table(title=f"samples to success, k = {k}", title_justify="left", header_style="")
    for name in ("schedule", "n"):
        table.add_column(name, justify="left" if name == "schedule" else "right")
    for name in ("50 % [95 % interval]", "predicted", f"{high} [95 % interval]", "predicted"):
        table.add_column(name, justify="right")
    for name in ("lower bound", "upper bound", "at horizon", "verdict"):
        table.add_column(name, justify="right" if name != "verdict" else "left")
    last = None
    for summary in sorted(cells, key=lambda c: (c.cell.schedule.label(), c.cell.n)):
        label = summary.cell.schedule.label()
        if last is not None and label != last:
            table.add_section()
        prediction = summary.theory["prediction"]
        table.add_row(
            label if label != last else "",
            str(summary.cell.n),
            crossing_text(summary.crossing(0.5)),
            si(number(prediction["half"])),
            crossing_text(summary.crossing(summary.high)),
            si(number(prediction["high"])),
            si(summary.best_bound(Kind.LOWER)[1]),
            si(summary.best_bound(Kind.UPPER)[1]),
            _final(summary),
            summary.judgement.verdict.value,
        )
        last = label
    return table


def _growth_table(growths: tuple[GrowthSummary, ...]) -> Table:
    table = Table(
        title="growth with n of the samples for 50 % success", title_justify="left", header_style=""
    )
    for name in (
        "k",
        "schedule",
        "law",
        "measured [95 % interval]",
        "predicted, same n",
        "as n → ∞",
        "verdict",
    ):
        table.add_column(name, justify="left" if name in ("schedule", "law", "verdict") else "right")
    for growth in growths:
        slope = "-" if growth.fit.slope is None else f"{growth.fit.slope:.3g}"
        table.add_row(
            str(growth.k),
            growth.schedule,
            law_text(growth),
            f"{slope} {interval_text(growth.fit.bootstrap)}",
            predicted_text(growth),
            growth.limit or "-",
            growth.judgement.verdict.value,
        )
    return table


def law_text(growth: GrowthSummary) -> str:
    """What is fitted to the samples B."""
    return "B ~ slope · log n" if growth.logarithmic else "B ~ n^slope"


def predicted_text(growth: GrowthSummary) -> str:
    """The predicted slope, and how far the prediction may be off; `-` without one."""
    if growth.predicted is None:
        return "-"
    return f"{growth.predicted:.3g} ± {float(f'{growth.predicted_error:.1g}'):g}"


def _final(summary: CellSummary) -> str:
    if summary.final_rate is None:
        return "-"
    return f"{summary.final_rate[0]:.0%} at {si(summary.cell.samples)}"


def explain_cell(summary: CellSummary) -> Iterator[str]:
    """All about one cell, in lines."""
    cell, theory = summary.cell, summary.theory
    yield f"{cell.label()}\nid {cell.id}"
    yield f"what: {json.dumps(cell.spec(), sort_keys=True)}"
    yield f"labels: {theory['labels']}"
    yield f"signal: {theory['signal']}"
    for bound in theory["bounds"]:
        samples = si(float(bound["samples"]))
        yield f"{bound['kind']} bound {bound['name']}: {samples} samples. {bound['statement']}"
    prediction = theory["prediction"]
    half, high, plateau = (si(number(prediction[name])) for name in ("half", "high", "plateau"))
    yield (
        f"predicted: 50 % at {half}, {summary.high:.0%} at {high}, plateau {plateau}. {prediction['statement']}"
    )
    if summary.curve is not None:
        yield f"measured with {summary.replicates} replicates (rate and 95 % interval):"
        curve = summary.curve
        for B, rate, interval in zip(curve.grid, curve.rates, curve.intervals(), strict=True):
            yield f"  {si(float(B)):>9} samples  {rate:6.3f}  [{interval.lower:.3f}, {interval.upper:.3f}]"
    yield f"verdict: {summary.judgement.verdict.value.upper()}. {summary.judgement.reason}"


def as_json(summary: GridSummary) -> dict[str, Any]:
    """The table as JSON values; infinite ends are null."""
    return {
        "verdict": summary.verdict.value,
        "complete": summary.complete,
        "cells": [_cell_json(cell) for cell in summary.cells],
        "growths": [_growth_json(growth) for growth in summary.growths],
    }


def _cell_json(summary: CellSummary) -> dict[str, Any]:
    crossings = {}
    for name, probability in (("half", 0.5), ("high", summary.high)):
        crossing = summary.crossing(probability)
        if crossing is not None:
            crossings[name] = {
                "probability": probability,
                "samples": crossing.estimate,
                "interval": interval_json(crossing.interval),
            }
    final = summary.final_rate
    return {
        **summary.cell.json(),
        "replicates": summary.replicates,
        "samples_to_success": crossings,
        "success_at_horizon": None
        if final is None
        else {"rate": final[0], "interval": interval_json(final[1])},
        "theory": summary.theory,
        "verdict": summary.judgement.verdict.value,
        "reason": summary.judgement.reason,
    }


def _growth_json(growth: GrowthSummary) -> dict[str, Any]:
    return {
        "k": growth.k,
        "schedule": growth.schedule,
        "law": "B ~ slope log n" if growth.logarithmic else "B ~ n^slope",
        "slope": growth.fit.slope,
        "interval": interval_json(growth.fit.bootstrap),
        "box_interval": interval_json(growth.fit.box),
        "n_used": list(growth.fit.used),
        "n_missing": list(growth.fit.missing),
        "predicted": growth.predicted,
        "predicted_error": growth.predicted_error,
        "limit": growth.limit,
        "verdict": growth.judgement.verdict.value,
        "reason": growth.judgement.reason,
    }
