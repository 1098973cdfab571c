"""Measured rows as a table: Markdown for people, JSON for programs and for drawing again."""

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import kernels
from benchmarks.calibration import Machine
from benchmarks.case import Limit, PeerRow, Row
from benchmarks.side_by_side import Spread, processor

VERSION = 1
KINDS = ("eager PyTorch", "PyTorch by hand", "torch.func", "JAX", "numpy", "Python loop")


class ResultError(ValueError):
    """A file is no result of this program."""


def result(
    machine: Machine | None, rows: Sequence[Row], rounds: int, threads: int, kind: str = "table"
) -> dict[str, Any]:
    """Everything that was measured, and on what, as JSON values; kind: table or scaling."""
    versions = {
        name: importlib.metadata.version(name)
        for name in ("torch", "jax", "numpy")
        if importlib.util.find_spec(name) is not None
    }
    status = kernels.status()
    return {
        "version": VERSION,
        "kind": kind,
        "processor": processor(),
        "threads": threads,
        "rounds": rounds,
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
        "kernels": {"live": status.live, "compiler": status.compiler},
        "machine": None if machine is None else asdict(machine),
        "rows": [asdict(row) for row in rows],
    }


def rows_of(found: Any) -> tuple[Machine | None, list[Row]]:
    """The machine and the rows of a result.

    Raises:
        ResultError: it is none, or one of another version or kind.
    """
    if not isinstance(found, dict) or found.get("version") != VERSION or found.get("kind") != "table":
        raise ResultError(
            f"it is no table of version {VERSION}: give a file that `python -m benchmarks` wrote"
        )
    try:
        heading(found)
        machine = None if found["machine"] is None else Machine(**found["machine"])
        if machine is not None:
            roofs(machine)
        rows = [
            Row(
                **{key: row[key] for key in ("kernel", "size", "unit", "limit_nanoseconds", "binding")},
                nanoseconds=Spread(*map(float, row["nanoseconds"])),
                limit=None if row["limit"] is None else Limit(**row["limit"]),
                peers=[
                    PeerRow(
                        p["kind"],
                        p["variant"],
                        *(Spread(*map(float, p[key])) for key in ("nanoseconds", "times")),
                    )
                    for p in row["peers"]
                ],
            )
            for row in found["rows"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ResultError(
            "it was altered or cut short: give a file as `python -m benchmarks` wrote it"
        ) from error
    return machine, rows


def heading(found: dict[str, Any]) -> str:
    """On what it was measured, as one line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['processor']}, {found['threads']} threads; kernels: {found['kernels']['live']}, "
        f"{found['kernels']['compiler']}; Python {found['python']}, {versions}; medians of {found['rounds']} "
        f"{'round' if found['rounds'] == 1 else 'rounds'}."
    )


def roofs(machine: Machine) -> str:
    """The machine's rates in one sentence."""
    read = ", ".join(f"{rate / 1e9:.0f} from {level}" for level, rate in machine.read.items())
    return (
        f"Calibrated: {machine.logic / 1e9:.1f}e9 vector operations a second ({machine.vector_bits} bits, level "
        f"{machine.level}), {machine.popcount / 1e9:.1f}e9 vector popcounts, {machine.multiply_add / 1e9:.0f} GFLOP/s "
        f"of float32 multiply-adds, {machine.gemm / 1e9:.0f} in a large fp32 product; GB/s read: {read}."
    )


def markdown(rows: Sequence[Row]) -> str:
    """One line a case: our time, how far it is from the limit, and how many times as long each kind of peer takes."""
    kinds = [kind for kind in KINDS if any(peer.kind == kind for row in rows for peer in row.peers)]
    heads = ["what", "size", "time of a", "ours", "× the limit", *kinds]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        over = row.over_limit
        limit = "" if over is None else f"{_plain(over)} ({row.binding})"
        by_kind = {peer.kind: _times(peer.times) for peer in row.peers}
        cells = [row.kernel, row.size, row.unit, _time(row.nanoseconds), limit]
        lines.append("| " + " | ".join([*cells, *(by_kind.get(kind, "") for kind in kinds)]) + " |")
    return "\n".join(lines)


def _time(spread: Spread) -> str:
    for unit, factor in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)):
        if spread.median < 1000 * factor or unit == "s":
            median, low, high = (f"{value / factor:.3g}" for value in spread)
            return f"{median} {unit} [{low}, {high}]"
    raise AssertionError


def _times(spread: Spread) -> str:
    return f"{_plain(spread.median)}× [{_plain(spread.low)}, {_plain(spread.high)}]"


def _plain(value: float) -> str:
    """Three digits, without an exponent."""
    return (
        f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{float(f'{value:.3g}'):,.0f}"
    )
