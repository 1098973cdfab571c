"""Records that were published as files, read as evidence: untrusted, so checked throughout.

A file is JSON, compressed by gzip or not:

- a list of cells of the online protocol, each `{"id", "spec", "records"}`, records by replicate;
- `{"teacher", "probes", "held_out"}`, probes of a teacher as `sim.probes.Probes` writes them, with the held-out
  accuracy of each probed step;
- or what the verb `probe` wrote.

Cells of an earlier version of the protocol, whose results differ in rounding only, are read as cells of the present
one; their summaries say which version recorded them.
"""

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Never

from sim.cell import Cell, canonical_json
from sim.claims.evidence import Evidence
from sim.claims.settings import RECORDED
from sim.errors import SimError
from sim.online.cell import NAME, VERSION, OnlineCell, StudentCell, TeacherCell, online_cell
from sim.online.options import no_theory
from sim.online.records import problem
from sim.online.report import Report
from sim.online.summary import OnlineSummaryOfCell
from sim.online.window import Window, transition_of
from sim.probe import READINGS
from sim.probes import Probes
from sim.protocol.online import Online
from sim.teacher_spec import TeacherSpec
from sim.transition import Transition, find_peak, find_transition

MAX_BYTES: Final = 1 << 29
"""Of a file, decompressed."""

MAX_REPLICATE: Final = 1 << 31
MAX_CELLS: Final = 100_000


def read(paths: Iterable[Path]) -> Evidence:
    """The evidence of files of records, each cell once.

    Raises:
        SimError: a file cannot be read, or is none; the message is a sentence that says what is wrong with which.
    """
    cells: dict[str, OnlineSummaryOfCell] = {}
    probed: list[tuple[Path, Mapping[str, Any]]] = []
    for path in paths:
        values = _json(path)
        if isinstance(values, list):
            for summary in _cells(path, values):
                if summary.cell.id in cells:
                    raise SimError(
                        f"{path} has cell {summary.cell.label()} twice, or another file has it: give it once"
                    )
                cells[summary.cell.id] = summary
        elif isinstance(values, dict):
            probed.append((path, values))
        else:
            raise _bad(path, "its JSON is neither a list of cells nor probes of a teacher")
    online = tuple(cells.values())
    return Evidence(online=online, reports=tuple(_report(path, values, online) for path, values in probed))


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            begins = file.read(2)
        with gzip.open(path) if begins == b"\x1f\x8b" else path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise _bad(path, f"it is longer than {MAX_BYTES} bytes")
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (EOFError, zlib.error) as error:
        raise _bad(path, f"its compressed data are damaged ({error})") from error
    except OSError as error:
        raise SimError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, SimError):
            raise
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
        raise _bad(path, f"it is no JSON ({reason})") from error


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


def _bad(path: Path, reason: str) -> SimError:
    return SimError(f"{path} cannot be used as records: {reason}")


def _cells(path: Path, values: list[Any]) -> Iterable[OnlineSummaryOfCell]:
    if len(values) > MAX_CELLS:
        raise _bad(path, f"it has more than {MAX_CELLS} cells")
    for number, value in enumerate(values):
        where = f"cell {number}"
        if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
            raise _bad(path, f"{where} has no specification")
        spec, records = value["spec"], value.get("records")
        if not isinstance(records, dict) or not records:
            raise _bad(path, f"{where} has no records")
        tag = spec.get("protocol")
        cell = _cell(path, where, spec)
        _check_identity(path, where, value.get("id"), spec)
        yield OnlineSummaryOfCell(
            cell, {**no_theory(), RECORDED: tag}, _records(path, where, cell, records), None
        )


def _cell(path: Path, where: str, spec: Mapping[str, Any]) -> OnlineCell:
    versions = [f"{NAME}/{version}" for version in range(1, VERSION + 1)]
    if spec.get("protocol") not in versions:
        raise _bad(path, f"{where} is of protocol {spec.get('protocol')!r}, not of {' or '.join(versions)}")
    try:
        return online_cell(Cell.from_spec({**spec, "protocol": Online.tag()}))
    except (OverflowError, RecursionError, ValueError) as error:  # a SimError is a ValueError
        raise _bad(path, f"{where}: {error}") from error


def _check_identity(path: Path, where: str, given: object, spec: Mapping[str, Any]) -> None:
    # A specification of which a cell was made has finite numbers.
    if given != hashlib.sha256(canonical_json(spec).encode()).hexdigest():
        raise _bad(path, f"{where} does not have the id of its specification")


def _records(
    path: Path, where: str, cell: OnlineCell, values: Mapping[str, Any]
) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    batch = cell.batch if isinstance(cell, StudentCell) else cell.teacher.batch
    for key, record in values.items():
        number = int(key) if key.isascii() and key.isdecimal() and len(key) <= 10 else -1
        if (
            number < 0
            or str(number) != key
            or number > MAX_REPLICATE
            or (isinstance(cell, TeacherCell) and number)
        ):
            raise _bad(path, f"{where} has a record of number {key[:20]!r}")
        if not isinstance(record, dict) or record.get("batch") != batch:
            raise _bad(path, f"record {key} of {where} has no batch of {batch}")
        diverged = record.get("diverged_at")
        try:
            wrong = problem(cell, record)
        except OverflowError:
            wrong = "has a number that is none"
        if wrong is None and not (diverged is None or (type(diverged) is int and diverged >= 0)):
            wrong = "has a step of divergence that is no step"
        if wrong is not None:
            raise _bad(path, f"record {key} of {where} {wrong}")
        found[number] = record
    return dict(sorted(found.items()))


def _report(path: Path, values: Mapping[str, Any], online: Iterable[OnlineSummaryOfCell]) -> Report:
    """Probes with their teacher's record, where the files have it: its curve has the transition."""
    if "format" in values:
        try:
            return Report.from_json(values)
        except SimError as error:
            raise _bad(path, str(error)) from error
    try:
        spec = TeacherSpec.from_spec(values["teacher"])
        probes = Probes.from_json(values["probes"])
        accuracies = {int(step): float(accuracy) for step, accuracy in values["held_out"].items()}
        held_out = dict(sorted(accuracies.items()))
        wrong = _probes_problem(spec, probes, held_out)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise _bad(path, f"it has no teacher with probes and held-out accuracies ({reason})") from error
    if wrong is not None:
        raise _bad(path, wrong)
    steps = list(held_out)
    cell = TeacherCell.of(Online.tag(), spec, spec.checkpoint_every, "cpu")
    record = next((s.records[0] for s in online if s.cell == cell), None)
    transition, agrees = _curve(record, held_out)
    every = math.gcd(*(step - steps[0] for step in steps)) or 1
    return Report(cell, Window(steps[0], steps[-1], every), READINGS[0], agrees, transition, held_out, probes)


def _probes_problem(spec: TeacherSpec, probes: Probes, held_out: Mapping[int, float]) -> str | None:
    """Why these are no probes of the teacher, each with an accuracy; errors of any kind may be raised instead."""
    steps = [point.step for point in probes.points]
    if not steps or sorted(steps) != list(held_out) or not all(0 <= a <= 1 for a in held_out.values()):
        return "it has no held-out accuracy in [0, 1] for each probed step"
    if (
        probes.spec.n != spec.n
        or len(probes.spec.support) != spec.k
        or min(steps) < 0
        or max(steps) > spec.steps
    ):
        return "its probes are not of its teacher"
    for point in probes.points:
        reading = point.readings.get(READINGS[0])
        if reading is None:
            return f"its probes have no reading {READINGS[0]}"
        for name, one in point.readings.items():
            if not len(one.values) == len(one.errors) == len(probes.spec.inside):
                return f"its probes have no reading {name} of each monomial"
        if point.replicate != 0:
            return "its probes are of several networks a step"
    for name in set.intersection(*(set(point.readings) for point in probes.points)) & {*READINGS}:
        find_peak(probes, name)  # raises where numbers are none
    return None


def _curve(record: Mapping[str, Any] | None, held_out: Mapping[int, float]) -> tuple[Transition, bool]:
    """The transition of the teacher's curve, and whether the probed checkpoints lie on it."""
    if record is None:
        return find_transition(list(held_out), list(held_out.values())), True
    curve = dict(zip(record["steps"], record["held_out"], strict=True))
    agrees = all(curve[step] == held_out[step] for step in curve.keys() & held_out.keys())
    return transition_of(record), agrees
