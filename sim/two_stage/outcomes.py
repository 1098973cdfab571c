"""A student's record, read along the ladder of its cell."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from sim.protocol.base import Payload
from sim.two_stage.cell import TwoStageCell


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What one student showed at every (B, T) of its cell's ladder.

    Attributes:
        found: bool [X], whether the first stage found the support; True throughout for students that need not.
        loss, error: float64 [X], of the averaged iterate; of a signed student that has not found the support, what
            they would be if it had.
    """

    found: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.float64]
    error: npt.NDArray[np.float64]

    def reaches(self, values: npt.NDArray[np.float64], epsilon: float) -> npt.NDArray[np.bool_]:
        """Whether loss or error is at most ε, bool [X]; only where the support was found, as ε is below the floors."""
        return np.asarray(self.found & (values <= epsilon), dtype=bool)


def outcome_of(cell: TwoStageCell, payload: Payload) -> Outcome:
    """The outcome of a checked record."""
    loss, error = (np.array(payload[name], dtype=np.float64) for name in ("loss", "error"))
    if cell.student != "signed":
        return Outcome(np.ones(len(cell.ladder), dtype=bool), loss, error)
    found = found_of(payload)
    at_first = {B: p for p, B in enumerate(cell.first_grid)}
    at_second = {T: p for p, T in enumerate(cell.second_grid)}
    first = [at_first[B] for B, _ in cell.ladder]
    second = [at_second[T] for _, T in cell.ladder]
    return Outcome(found[first], loss[second], error[second])


def found_of(payload: Payload) -> npt.NDArray[np.bool_]:
    """Whether a signed student found the support, at every B of the first grid."""
    return np.array([c == "1" for c in payload["found"]])


def measures_problem(payload: Payload, points: int) -> str | None:
    """Whether `loss` and `error` are lists of as many numbers, non-negative, errors at most 1."""
    for name, most in (("loss", math.inf), ("error", 1.0)):
        values = payload.get(name)
        if not isinstance(values, list) or len(values) != points:
            return f"has no {name} at each of {points} sample counts"
        if not all(_number(v) and 0 <= v <= most and v < math.inf for v in values):
            return f"has no {name} at each of {points} sample counts"
    return None


def _number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)
