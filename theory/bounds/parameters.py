"""What a theorem may be asked about: its parameters, their ranges and defaults, read from Python or from a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from theory import errors
from theory.errors import TheoryError
from theory.targets import MAX_SUPPORT

LABELS = ("parity", "equal", "leaky")
"""Labels by name: the parity; an intermediate teacher sum_{i in S} x_i; hard labels that err with probability n^-c."""

Role = Literal["integer", "real", "labels"]


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    low, high: the range, ends included unless `open_ends`; None is no end.  default None: it must be given.
    """

    name: str
    meaning: str
    role: Role = "integer"
    low: Fraction | None = None
    high: Fraction | None = None
    default: Any = None
    open_ends: bool = False

    def check(self, value: Any) -> Any:
        """Return the value as an int, Fraction or name; a float means the dyadic rational that it is.

        Raises TheoryError for what is outside the range.
        """
        if self.role == "labels":
            return errors.choice(self.name, value, LABELS)
        if self.role == "integer":
            low = None if self.low is None else int(self.low)
            return errors.integer(
                self.name, value, 0 if low is None else low, None if self.high is None else int(self.high)
            )
        number = errors.rational(self.name, value)
        below = self.low is not None and (number < self.low or (self.open_ends and number == self.low))
        above = self.high is not None and (number > self.high or (self.open_ends and number == self.high))
        if below or above:
            raise TheoryError(f"{self.name} = {value} is not in {self.range}.")
        return number

    def read(self, text: str) -> Any:
        """Return the value that a text stands for, such as `4`, `0.1`, `1/3`, `parity`; raises TheoryError."""
        if self.role == "labels":
            return self.check(text)
        try:
            number = Fraction(text) if len(text) <= 100 else None
        except (ValueError, ZeroDivisionError):
            number = None
        if number is None or (self.role == "integer" and number.denominator != 1):
            kind = "a whole number" if self.role == "integer" else "a number such as 0.1 or 1/3"
            raise TheoryError(f"{self.name} = {text[:80]!r} is not {kind}.")
        return self.check(int(number) if self.role == "integer" else number)

    @property
    def range(self) -> str:
        """The range in words, such as `(0, 1)`, `[0, 16]`, `1, 2, ...`."""
        if self.role == "labels":
            return ", ".join(LABELS)
        if self.role == "integer":
            low = 0 if self.low is None else int(self.low)
            return f"{low}, {low + 1}, ..." if self.high is None else f"{low}..{int(self.high)}"
        left, right = ("(", ")") if self.open_ends else ("[", "]")
        start = f"{left}{float(self.low):g}" if self.low is not None else "(-inf"
        end = f"{float(self.high):g}{right}" if self.high is not None else "inf)"
        return f"{start}, {end}"


_ZERO, _ONE = Fraction(0), Fraction(1)

N = Parameter("n", "dimension", low=_ONE)
K = Parameter("k", "size of the support", low=_ONE, high=Fraction(MAX_SUPPORT), default=4)
DELTA = Parameter("delta", "failure probability", "real", _ZERO, _ONE, Fraction(1, 10), open_ends=True)
EPSILON = Parameter(
    "epsilon", "hinge loss to be reached", "real", _ZERO, _ONE, Fraction(1, 10), open_ends=True
)
BIAS = Parameter("bias", "bias of the unit", "real", default=Fraction(0))
LABEL = Parameter("labels", "what supervises the step", "labels", default="parity")
TEACHER_ERROR = Parameter(
    "c", "the teacher errs with probability n^-c", "real", _ZERO, Fraction(16), Fraction(1), open_ends=True
)
WIDTH = Parameter("width", "neurons m of the student", low=_ONE, default=64)
TOLERANCE = Parameter(
    "tolerance", "tolerance tau of a query", "real", _ZERO, _ONE, Fraction(1, 100), open_ends=True
)
SAMPLES = Parameter("samples", "samples B of the first step", low=_ONE, default=10**6)
TEACHER_WIDTH = Parameter(
    "teacher_width", "neurons m of the teacher, even", low=Fraction(2), high=Fraction(4096), default=256
)
SURPLUS = Parameter("surplus", "samples beyond n", default=10)
INPUT_MEAN = Parameter(
    "mean", "mean of each input coordinate", "real", _ZERO, _ONE, Fraction(1, 2), open_ends=True
)

Values = Mapping[str, Any]
"""Checked values of a theorem's parameters by name."""


def checked(parameters: tuple[Parameter, ...], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return the values of all parameters, defaults filled in.

    Raises TheoryError for an unknown name, a missing value or one outside its range.
    """
    names = {parameter.name for parameter in parameters}
    for name in given:
        if name not in names:
            raise TheoryError(f"{owner} has no parameter {name!r}; it has {', '.join(sorted(names))}.")
    values = {}
    for parameter in parameters:
        value = given.get(parameter.name, parameter.default)
        if value is None:
            raise TheoryError(f"{owner} needs {parameter.name} ({parameter.meaning}), in {parameter.range}.")
        values[parameter.name] = parameter.check(value)
    return values


def check_dimension(values: Values) -> None:
    """Refuse n <= k: there is nothing off the support to tell it from."""
    if values["n"] <= values["k"]:
        raise TheoryError(f"n = {values['n']} is not above k = {values['k']}; n > k is needed.")


def check_teacher_error(given: Mapping[str, Any], values: Values) -> None:
    """Refuse an exponent c that is given for labels that do not err."""
    if given.get("c") is not None and values["labels"] != "leaky":
        raise TheoryError(
            f"c = {given['c']} has no effect on labels {values['labels']!r}; it is for 'leaky'."
        )
