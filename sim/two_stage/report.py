"""The tables of two-stage students, as JSON values; infinite ends are null."""

from typing import Any

from sim.numbers import interval_json
from sim.two_stage.comparisons import FACTORS, Comparison, Growth, Passing, compared
from sim.two_stage.summary import QUANTITIES, TwoStageGrid, TwoStageSummary
from theory.intervals import Crossing
from theory.output import finite


def as_json(summary: TwoStageGrid) -> dict[str, Any]:
    """Everything of the tables."""
    together = compared(summary.cells)
    return {
        "verdict": summary.verdict.value,
        "complete": summary.complete,
        "cells": [_cell(cell) for cell in summary.cells],
        "growths": [_growth(growth) for growth in together.growths],
        "ratios": [_comparison(comparison) for comparison in together.ratios],
    }


def _cell(summary: TwoStageSummary) -> dict[str, Any]:
    levels = summary.probabilities
    to_losses = []
    for epsilon in summary.losses:
        second = {q: summary.crossing(summary.second_curve(epsilon, q), "second") for q in QUANTITIES}
        total = {q: summary.total(epsilon, q) for q in QUANTITIES}
        half = {q: summary.total(epsilon, q, probability=0.5) for q in QUANTITIES}
        to_losses.append(
            {
                "loss": float(epsilon),
                "second": {q: _crossing(c) for q, c in second.items()},
                "total": {q: _crossing(c) for q, c in total.items()},
                "total_half": {q: _crossing(c) for q, c in half.items()},
            }
        )
    online = summary.online
    return {
        **summary.cell.json(),
        "replicates": summary.replicates,
        "probabilities": levels,
        "first": _crossing(summary.crossing(summary.first_curve, "first")),
        "losses": to_losses,
        "online": None if online is None else {"mean": online[0], "largest": online[1]},
        "loss_at_horizons": [finite(loss) for loss in summary.final_losses],
        "theory": summary.theory,
        "verdict": summary.judgement.verdict.value if summary.judged else "no bound",
        "reason": summary.judgement.reason,
        "judgements": [
            {"name": name, "verdict": j.verdict.value, "reason": j.reason} for name, j in summary.judgements
        ],
    }


def _crossing(crossing: Crossing | None) -> dict[str, Any] | None:
    if crossing is None:
        return None
    return {
        "probability": crossing.probability,
        "samples": crossing.estimate,
        "interval": interval_json(crossing.interval),
    }


def _growth(growth: Growth) -> dict[str, Any]:
    return {
        "k": growth.k,
        "schedule": growth.series,
        "loss": float(growth.epsilon),
        "slope": growth.fit.slope,
        "interval": interval_json(growth.fit.bootstrap),
        "box_interval": interval_json(growth.fit.box),
        "n_used": list(growth.fit.used),
        "n_missing": list(growth.fit.missing),
        "lower_bounds": growth.lower,
        "upper_bounds": growth.upper,
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "k": comparison.k,
        "loss": float(comparison.epsilon),
        "more": comparison.more,
        "less": comparison.less,
        "ratios": [
            {
                "n": ratio.n,
                "ratio": ratio.estimate,
                "interval": interval_json(ratio.interval),
                "at_least": ratio.lower,
                "at_most": finite(ratio.upper),
            }
            for ratio in comparison.ratios
        ],
        "passes": [_passing(comparison.passes(factor)) for factor in FACTORS],
    }


def _passing(passing: Passing) -> dict[str, Any]:
    return {
        "factor": passing.factor,
        "n": passing.estimate,
        "interval": [passing.earliest, passing.latest],
        "bounds": [passing.bound_earliest, passing.bound_latest],
    }
