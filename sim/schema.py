"""The schema of the exported tables: type, range and meaning of every column of every protocol.

It is stored in Parquet files and is the page `docs/tables.md`: `python -m sim.schema > docs/tables.md` renews it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from sim.cell import MAX_K, MAX_N, MAX_SAMPLES, MAX_SEED
from sim.network import MAX_WIDTH
from sim.online.records import STATUSES
from sim.protocol.base import Protocol
from sim.protocol.registry import PROTOCOLS
from sim.two_stage.cell import MAX_SECOND, STUDENTS

TABLE_VERSION = 1
"""Rises when a column is added, or means something else."""

COMMAND = "python -m sim.schema > docs/tables.md"

Kind = Literal["text", "integer", "real"]


@final
@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        kind: its type; `text` is UTF-8, `integer` int64, `real` float64.
        meaning: for people.
        unit: of a number; empty where it has none.
        least, most: ends of the range of a number, both included.
        values: the only ones of a text; empty where it has others.
        pattern: a regular expression of the whole of a text; empty for any.
        form: the range in words, where the other attributes do not say it well.
        empty: whether there may be no value: null in Parquet, nothing between the commas in CSV.
    """

    kind: Kind
    meaning: str
    unit: str = ""
    least: int | float = -math.inf
    most: int | float = math.inf
    values: tuple[str, ...] = ()
    pattern: str = ""
    form: str = ""
    empty: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        words = self.form or (" or ".join(self.values) if self.kind == "text" else self._interval())
        return f"{words}, or empty" if self.empty else words

    def _interval(self) -> str:
        if math.isinf(self.least):
            return "any finite number"
        if math.isinf(self.most):
            return f"{self.least:g} or more"
        between = "or" if self.kind == "integer" and self.most - self.least == 1 else "to"
        return f"{_number(self.least)} {between} {_number(self.most)}"

    def allows(self, value: object) -> bool:
        """Whether a value of the table is of the stated type and range."""
        if value is None:
            return self.empty
        if self.kind == "text":
            fits = not self.values or value in self.values
            return isinstance(value, str) and fits and re.fullmatch(self.pattern or ".+", value) is not None
        if not isinstance(value, int if self.kind == "integer" else float) or isinstance(value, bool):
            return False
        return math.isfinite(value) and self.least <= value <= self.most


def table_of(protocol: Protocol) -> dict[str, Column]:
    """The columns of a protocol's table, in order.

    Raises:
        KeyError: a column has no description.
    """
    return {name: COLUMNS[protocol.name][name] for name in protocol.columns}


def _number(value: int | float) -> str:
    """A whole number, large ones as powers of 2."""
    whole = int(value)
    for offset, end in ((0, ""), (1, " - 1")):
        power = (whole + offset).bit_length() - 1
        if power >= 16 and whole + offset == 1 << power:
            return f"2^{power}{end}"
    return str(whole)


def _hexadecimal(digits: int, meaning: str) -> Column:
    return Column("text", meaning, pattern=f"[0-9a-f]{{{digits}}}", form=f"{digits} hexadecimal digits")


def _json(meaning: str, *, empty: bool = False) -> Column:
    return Column("text", meaning, pattern=r"\{.*\}", form="canonical JSON", empty=empty)


_HEAD = {
    "cell": _hexadecimal(64, "id of the cell: SHA-256 of the canonical JSON of its specification"),
    "protocol": Column(
        "text",
        "name and version of the experiment; the version rises when outcomes change",
        pattern="[a-z-]+/[0-9]+",
        form="NAME/VERSION",
    ),
    "n": Column("integer", "dimension of the inputs", "coordinates", 1, MAX_N),
    "k": Column("integer", "size of the support", "coordinates", 1, MAX_K),
    "seed": Column("integer", "seed of the cell", least=0, most=MAX_SEED),
    "replicate": Column("integer", "number of the student", least=0),
}
_SCHEDULE = _json("what supervises the first step")
_DIGEST = _hexadecimal(32, "hash of all gradient sums of the replicate")

COLUMNS: Mapping[str, Mapping[str, Column]] = {
    "first-step": {
        **_HEAD,
        "q": Column(
            "integer",
            "a neuron is active iff at most q of its w_i x_i are -1; at most n",
            "coordinates",
            -1,
            MAX_N,
        ),
        "schedule": _SCHEDULE,
        "samples": Column("integer", "B, the size of the batch", "samples", 1, MAX_SAMPLES),
        "success": Column(
            "integer",
            "1 if the k largest gradient entries after B samples are exactly the support",
            least=0,
            most=1,
        ),
        "digest": _DIGEST,
    },
    "two-stage": {
        **_HEAD,
        "schedule": _SCHEDULE,
        "student": Column(
            "text",
            "signed: the first layer is the sign of its step; biases: it is the step itself, with random biases",
            values=STUDENTS,
        ),
        "first": Column("integer", "B, samples of the first stage", "samples", 1, MAX_SAMPLES),
        "second": Column("integer", "T, samples of the second stage", "samples", 1, MAX_SECOND),
        "total": Column("integer", "B + T", "samples", 2, MAX_SAMPLES + MAX_SECOND, form="2 to 2^43 + 2^32"),
        "found": Column(
            "integer",
            "1 if the first stage found the support after B samples; empty for students with biases",
            least=0,
            most=1,
            empty=True,
        ),
        "loss": Column(
            "real",
            "population hinge loss of the averaged iterate after T steps; of a signed student that has not found "
            "the support, what it would be if it had",
            least=0,
        ),
        "error": Column("real", "its probability of a wrong sign, likewise", least=0, most=1),
        "digest": _DIGEST,
    },
    "online": {
        **_HEAD,
        "role": Column("text", "whose curve this is", values=("teacher", "student")),
        "seed": Column("integer", "seed of task, samples and initial weights", least=0, most=MAX_SEED),
        "replicate": Column("integer", "number of the student; 0 for teachers", least=0),
        "teacher_width": Column(
            "integer",
            "of the teacher, or of the one that teaches; empty without",
            "neurons",
            1,
            MAX_WIDTH,
            empty=True,
        ),
        "teacher_rate": Column(
            "text",
            "learning rate of the teacher, or of the one that teaches; empty without",
            form="as --teacher-lr reads it",
            empty=True,
        ),
        "schedule": _json("the student's supervision; empty for teachers", empty=True),
        "temperature": Column(
            "real", "of the teacher's labels, 0 for hard ones; empty where there is none", least=0, empty=True
        ),
        "width": Column("integer", "of the network whose curve this is", "neurons", 1, MAX_WIDTH),
        "rate": Column("text", "learning rate of the network whose curve this is", form="as --lr reads it"),
        "status": Column(
            "text", "of the whole replicate: whether it, or its teacher, diverged", values=STATUSES
        ),
        "diverged_at": Column(
            "integer",
            "step at which it, or its teacher, diverged; empty if it did not",
            "steps",
            0,
            MAX_SAMPLES,
            empty=True,
        ),
        "step": Column("integer", "steps so far", "steps", 1, MAX_SAMPLES),
        "samples": Column("integer", "steps times batch", "samples", 1, MAX_SAMPLES),
        "accuracy": Column(
            "real",
            "share of right answers since the point before, before learning from each sample",
            least=0,
            most=1,
            empty=True,
        ),
        "loss": Column(
            "real",
            "mean loss of the same samples against the labels seen; empty where it is not finite",
            "nats",
            empty=True,
        ),
        "agreement": Column(
            "real",
            "share of the same samples on which the teacher has the same sign; empty for teachers, and where none "
            "teaches",
            least=0,
            most=1,
            empty=True,
        ),
        "held_out": Column(
            "real", "accuracy on 4,096 samples that are never learned from", least=0, most=1, empty=True
        ),
        "checkpoint": Column(
            "integer",
            "step of the teacher's checkpoint that taught last; empty without",
            "steps",
            0,
            MAX_SAMPLES,
            empty=True,
        ),
    },
}
"""By protocol and column."""

_ROWS = {
    "first-step": "One row a (cell, replicate, B of the cell's record grid).",
    "two-stage": "One row a (cell, replicate, x of the cell's ladder), which takes B = min(x, horizon of the first "
    "stage) and T = min(x, horizon of the second).",
    "online": "One row a (cell, replicate, log point). Measurements are empty after a divergence.",
}

_PAGE = """# Exported tables

`python -m sim.grid export --format csv|parquet --to FILE` writes the records of a store as a table, one table a
protocol. Both formats hold the same values. The bytes of a file depend on the records alone (and, of Parquet, on the
version of pyarrow): not on the machine, the time, or the order in which the records were stored.

**Rows** are in the order of cells, replicates, points. Cells are ordered by protocol, k, schedule (as `status` shows
it), n, id; replicates by their number, points by the samples taken. Only what is stored has rows.

**CSV** is UTF-8 with a header, commas, ends of line `\\n`, and double quotes around texts that hold commas or quotes.
Reals are the shortest decimals that read back as the same float64. An empty cell has no value; no text is empty.

**Parquet** has `string`, `int64` and `float64` columns; those that are never empty are declared so. A column's meaning,
unit and range are metadata of its field (`description`, `unit`, `range`); the protocol and the version of this schema
(now {version}) are metadata of the file (`protocol`, `table_version`).

**Reals** are finite in all tables below: a record is JSON, which has no other ones, and what diverged is empty. Were
there another one, it would be `nan`, `inf` or `-inf` in CSV and the same float64 in Parquet.

This page is generated: `{command}`.
"""


def page() -> str:
    """`docs/tables.md`."""
    parts = [_PAGE.format(version=TABLE_VERSION, command=COMMAND)]
    for protocol in PROTOCOLS.values():
        lines = [f"## {protocol.name}\n", _ROWS[protocol.name] + "\n"]
        lines += ["| column | type | unit | range | meaning |", "|---|---|---|---|---|"]
        for name, column in table_of(protocol).items():
            lines.append(f"| {name} | {column.kind} | {column.unit} | {column.allowed} | {column.meaning} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
