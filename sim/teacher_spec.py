"""What a teacher is and how it is trained."""

import hashlib
import math
from dataclasses import dataclass, fields
from typing import Any, final

from sim.cell import MAX_SAMPLES, canonical_json
from sim.errors import SimError
from sim.network import check_network
from sim.parity import ParityTask
from sim.rates import RateSchedule

MAX_BATCH = 1 << 16


def check_run(batch: int, segment: int, *, steps: int, **multiples: int) -> None:
    """Refuse lengths that no run can have; `steps` and the others must be multiples of the segment, by name.

    Raises:
        SimError: a value is not allowed.
    """
    if not 1 <= batch <= MAX_BATCH:
        raise SimError(f"batch {batch} is not allowed: give 1 to {MAX_BATCH} samples a step")
    if segment < 1:
        raise SimError(f"segment {segment} is not allowed: give at least 1 step")
    for name, value in {"steps": steps, **multiples}.items():
        if value < 1 or value % segment:
            raise SimError(f"{name} {value} is not allowed: give a multiple of the segment, {segment}")
    if steps * batch > MAX_SAMPLES:
        raise SimError(
            f"steps {steps} of batch {batch} are too many: at most {MAX_SAMPLES} samples can be drawn"
        )


@final
@dataclass(frozen=True)
class TeacherSpec:
    """A teacher and how it is trained: SGD on the logistic loss of the parity's labels.

    Attributes:
        n: inputs, 1 to 4095.
        k: size of the support, 1 to min(n, 10).
        width: hidden neurons m.
        rate: learning rate of each step.
        steps: length of the run, a multiple of `segment`.
        checkpoint_every: steps between checkpoints, a multiple of `segment`.
        initialisation: `torch-default` or `symmetric`.
        batch: samples a step.
        decay: weight decay λ >= 0: parameters are multiplied by 1 − ηλ at each step.
        segment: steps of one call of the kernel.
        seed: of the task (support, held-out set, samples) and of the initial weights.
        dtype: `float32` or `float64`.

    Raises:
        SimError: a value is not allowed.
    """

    n: int
    k: int
    width: int
    rate: RateSchedule
    steps: int
    checkpoint_every: int
    initialisation: str = "torch-default"
    batch: int = 1
    decay: float = 0.0
    segment: int = 10_000
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        ParityTask(self.n, self.k, self.seed)
        check_network(self.initialisation, self.width, self.dtype)
        if not 0 <= self.decay < math.inf:
            raise SimError(f"weight decay {self.decay} is not allowed: give a finite number, at least 0")
        check_run(self.batch, self.segment, steps=self.steps, checkpoint_every=self.checkpoint_every)

    @property
    def task(self) -> ParityTask:
        """What is learned."""
        return ParityTask(self.n, self.k, self.seed)

    def checkpoints(self) -> tuple[int, ...]:
        """Steps of the checkpoints that a run makes: 0, the multiples of `checkpoint_every`, the last step."""
        return tuple(sorted({*range(0, self.steps, self.checkpoint_every), self.steps}))

    def spec(self) -> dict[str, Any]:
        """All fields, as JSON values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "rate": self.rate.spec(), "decay": float(self.decay)}

    @property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of `spec()`, 64 hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.spec()).encode()).hexdigest()

    def trajectory(self) -> dict[str, Any]:
        """All that changes the sequence of networks, as JSON values: two specifications with the same share files.

        Which checkpoints are kept does not change it, nor does the length of a run whose rates do not depend on it: a
        longer run continues a shorter one.
        """
        spec = {"teacher": "sgd/1", **self.spec()}
        del spec["checkpoint_every"]
        if not self.rate.depends_on_total:
            del spec["steps"]
        return spec

    def label(self) -> str:
        """One line for people."""
        return f"teacher n={self.n} k={self.k} width={self.width} rate={self.rate.label()}"

    @staticmethod
    def from_spec(spec: dict[str, Any]) -> "TeacherSpec":
        """The teacher whose `spec()` this is.

        Raises:
            SimError: the specification does not describe one.
        """
        try:
            return TeacherSpec(**{**spec, "rate": RateSchedule.from_spec(spec["rate"])})
        except (KeyError, TypeError) as error:
            raise SimError(f"teacher {canonical_json(spec)} cannot be read: {error}") from error
