"""What supervises a first step: targets that depend on the support coordinates only.

Conventions, used by every table here and in the kernels.  The support S has k coordinates in increasing
order.  The *pattern index* of x_S has bit t (least significant first) equal to 1 iff x_{S_t} = -1.  A subset
A of S is the bitmask of its positions t.  A target's labels are a mixture of deterministic functions of x_S:
label = F_c(x_S) with probability p_c, c drawn independently of x; all but one target have one component.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from theory import errors
from theory.errors import Number, TheoryError
from theory.walsh import krawtchouk, walsh_transform

Labels = Literal["logits", "hard"]
Table = tuple[Fraction, ...]

MAX_SUPPORT = 16
"""Largest k for which a table of 2^k values is made."""


@lru_cache(maxsize=64)
def patterns(k: int) -> tuple[tuple[int, ...], ...]:
    """Return the 2^k patterns x_S in {-1, 1}^k in the order of their indices."""
    return tuple(tuple(-1 if p >> t & 1 else 1 for t in range(k)) for p in range(1 << k))


def pattern_index(pattern: Sequence[int]) -> int:
    """Return the index of a pattern (or of a sign vector) in {-1, 1}^k: bit t is 1 iff entry t is -1."""
    return sum(1 << t for t, value in enumerate(pattern) if value == -1)


class ScaledTable(NamedTuple):
    """2^k rationals as integers over one denominator: value p is values[p] / scale."""

    scale: int
    values: tuple[int, ...]

    @classmethod
    def of(cls, table: Table) -> "ScaledTable":
        """Return a table of rationals in this form, with the least denominator."""
        scale = math.lcm(*(value.denominator for value in table))
        return cls(scale, tuple(int(value * scale) for value in table))


class Target(ABC):
    """A label law that depends on the support only.  Subclasses are frozen dataclasses, compared by value."""

    if TYPE_CHECKING:  # a runtime property here would pass for the default of the dataclass fields named k

        @property
        def k(self) -> int:
            """Size of the support."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Short identifier, such as 'parity' or 'equal-teacher-hard'."""

    @property
    @abstractmethod
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """The mixture: (probability > 0, table of 2^k labels) per component; the probabilities sum to 1."""

    @abstractmethod
    def describe(self) -> str:
        """Return one sentence that says what the labels are."""

    @cached_property
    def table(self) -> Table:
        """Mean label of each pattern, 2^k values."""
        return self._average(lambda label: label)

    @cached_property
    def second_moment_table(self) -> Table:
        """Mean squared label of each pattern, 2^k values."""
        return self._average(lambda label: label * label)

    @cached_property
    def sup_norm(self) -> Fraction:
        """Largest |label| that has positive probability."""
        return max(abs(label) for _, table in self.components for label in table)

    @cached_property
    def hard(self) -> bool:
        """True iff every label is +1 or -1."""
        return all(abs(label) == 1 for _, table in self.components for label in table)

    @cached_property
    def walsh(self) -> Table:
        """The 2^k Walsh coefficients of the mean label, by subset mask."""
        return walsh_transform(self.table)

    @cached_property
    def scaled_table(self) -> ScaledTable:
        """`table` as integers over one denominator."""
        return ScaledTable.of(self.table)

    @cached_property
    def scaled_squares(self) -> ScaledTable:
        """`second_moment_table` as integers over one denominator."""
        return ScaledTable.of(self.second_moment_table)

    def _average(self, function: Callable[[Fraction], Fraction]) -> Table:
        tables = [(p, [function(label) for label in table]) for p, table in self.components]
        if len(tables) == 1:
            return tuple(tables[0][1])
        return tuple(sum((p * t[i] for p, t in tables), Fraction(0)) for i in range(1 << self.k))


@dataclass(frozen=True)
class Parity(Target):
    """The k-parity chi_S itself: cross-entropy from data, or a one-shot teacher that has converged.

    Raises TheoryError unless 1 <= k <= MAX_SUPPORT.
    """

    k: int

    def __post_init__(self) -> None:
        """Check the size."""
        object.__setattr__(self, "k", errors.integer("k", self.k, 1, MAX_SUPPORT))

    @property
    def name(self) -> str:
        """Short identifier."""
        return "parity"

    @cached_property
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """One component: the parity."""
        return ((Fraction(1), tuple(Fraction(math.prod(x)) for x in patterns(self.k))),)

    def describe(self) -> str:
        """Return one sentence that says what the labels are."""
        return f"The labels are the parity of {self.k} coordinates."


@dataclass(frozen=True)
class Junta(Target):
    """Any function of k coordinates, given by its 2^k values in the order of pattern indices.

    Values may be ints, Fractions or finite floats (taken as the exact rationals that they hold).  Raises
    TheoryError for a length that is not 2^k with 1 <= k <= MAX_SUPPORT, or a value that is not finite.
    """

    values: Sequence[Number]

    def __post_init__(self) -> None:
        """Check the table and make it exact."""
        size = len(self.values)
        if size < 2 or size & (size - 1) or size > 1 << MAX_SUPPORT:
            raise TheoryError(
                f"A junta table of {size} values is refused; 2^k values, k in 1..{MAX_SUPPORT}, are allowed."
            )
        exact = tuple(errors.rational(f"values[{i}]", value) for i, value in enumerate(self.values))
        object.__setattr__(self, "values", exact)

    @property
    def k(self) -> int:
        """Size of the support."""
        return len(self.values).bit_length() - 1

    @property
    def name(self) -> str:
        """Short identifier."""
        return "junta"

    @cached_property
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """One component: the table."""
        return ((Fraction(1), tuple(Fraction(value) for value in self.values)),)

    def describe(self) -> str:
        """Return one sentence that says what the labels are."""
        return f"The labels are a function of {self.k} coordinates, given by a table."


@dataclass(frozen=True)
class LowDegree(Target):
    """The explicit curriculum: the sum of prod_{i in A} s_i x_i over subsets A of S with 1 <= |A| <= degree.

    signs defaults to all +1.  Raises TheoryError unless 1 <= degree <= k and signs are k of +-1.
    """

    k: int
    degree: int = 1
    signs: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        k = errors.integer("k", self.k, 1, MAX_SUPPORT)
        chosen = (1,) * k if self.signs is None else self.signs
        object.__setattr__(self, "k", k)
        object.__setattr__(self, "degree", errors.integer("degree", self.degree, 1, k))
        object.__setattr__(self, "signs", errors.signs("signs", chosen, k))

    @property
    def name(self) -> str:
        """Short identifier."""
        return f"low-degree-{self.degree}"

    @cached_property
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """One component: sum_{d = 1..degree} K_d(h; k) where h of the s_i x_i are -1."""
        assert self.signs is not None
        shift = pattern_index(self.signs)
        degrees = range(1, self.degree + 1)
        by_count = [Fraction(sum(krawtchouk(d, h, self.k) for d in degrees)) for h in range(self.k + 1)]
        return ((Fraction(1), tuple(by_count[(p ^ shift).bit_count()] for p in range(1 << self.k))),)

    def describe(self) -> str:
        """Return one sentence that says what the labels are."""
        what = f"all signed monomials of degree 1..{self.degree} in {self.k} coordinates"
        return f"The labels are the sum of {what} (the explicit curriculum)."


@dataclass(frozen=True)
class EqualTeacher(Target):
    """An intermediate teacher with equal degree-1 coefficients: F = sum_i s_i x_i over the support.

    labels = "logits" gives F, "hard" its sign.  A tie F = 0 (even k only) gets the label
    chi_S(x) prod(s) = (-1)^(k/2): the same for every tie, so hard labels treat all coordinates alike but
    are not an odd function.  Raises TheoryError for signs that are not 1..MAX_SUPPORT of +-1, or for
    unknown `labels`.
    """

    signs: Sequence[int]
    labels: Labels = "logits"

    def __post_init__(self) -> None:
        """Check the parameters."""
        chosen = errors.signs("signs", self.signs)
        errors.integer("len(signs)", len(chosen), 1, MAX_SUPPORT)
        object.__setattr__(self, "signs", chosen)
        errors.choice("labels", self.labels, ("logits", "hard"))

    @property
    def k(self) -> int:
        """Size of the support."""
        return len(self.signs)

    @property
    def name(self) -> str:
        """Short identifier."""
        return f"equal-teacher-{self.labels}"

    @cached_property
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """One component: k - 2h or its sign, h the number of negative s_i x_i."""
        sums = [self.k - 2 * (p ^ pattern_index(self.signs)).bit_count() for p in range(1 << self.k)]
        if self.labels == "hard":
            tie = (-1) ** (self.k // 2)
            sums = [(total > 0) - (total < 0) or tie for total in sums]
        return ((Fraction(1), tuple(map(Fraction, sums))),)

    def describe(self) -> str:
        """Return one sentence that says what the labels are."""
        what = "the signed sum" if self.labels == "logits" else "the sign of the signed sum"
        return f"The labels are {what} of {self.k} coordinates (an equal-coefficient intermediate teacher)."


@dataclass(frozen=True)
class LeakyTeacher(Target):
    """A nearly converged teacher: the parity, but with probability `error` the hard label g of EqualTeacher.

    The draw is independent for each sample.  labels = "hard" gives that mixture of +-1 labels, "logits" its
    mean given x, (1 - error) chi_S + error g.  signs defaults to all +1.  A hard label differs from the
    parity with probability `disagreement` = error P(g != chi_S).  Raises TheoryError unless error is in
    [0, 1], signs are k of +-1, and `labels` is "hard" or "logits".
    """

    k: int
    error: Number
    signs: Sequence[int] | None = None
    labels: Labels = "hard"

    def __post_init__(self) -> None:
        """Check the parameters."""
        k = errors.integer("k", self.k, 1, MAX_SUPPORT)
        chosen = (1,) * k if self.signs is None else self.signs
        object.__setattr__(self, "k", k)
        object.__setattr__(self, "error", errors.probability("error", self.error))
        object.__setattr__(self, "signs", errors.signs("signs", chosen, k))
        errors.choice("labels", self.labels, ("logits", "hard"))

    @property
    def name(self) -> str:
        """Short identifier."""
        return f"leaky-teacher-{self.labels}"

    @cached_property
    def components(self) -> tuple[tuple[Fraction, Table], ...]:
        """The mixture (hard) or its mean (logits)."""
        assert self.signs is not None
        error = Fraction(self.error)
        parity, leak = Parity(self.k).table, EqualTeacher(self.signs, "hard").table
        if self.labels == "logits":
            mean = tuple((1 - error) * y + error * g for y, g in zip(parity, leak, strict=True))
            return ((Fraction(1), mean),)
        return tuple((p, table) for p, table in ((1 - error, parity), (error, leak)) if p > 0)

    @cached_property
    def disagreement(self) -> Fraction:
        """P(label != chi_S) of the hard labels, a multiple of `error`."""
        assert self.signs is not None
        pairs = zip(Parity(self.k).table, EqualTeacher(self.signs, "hard").table, strict=True)
        return Fraction(self.error) * Fraction(sum(y != g for y, g in pairs), 1 << self.k)

    def describe(self) -> str:
        """Return one sentence that says what the labels are."""
        share = f"{float(Fraction(self.error)):.3g}"
        how = f"replaced with probability {share} by" if self.labels == "hard" else f"plus {share} times"
        return (
            f"The labels are the parity of {self.k} coordinates, {how} their signed majority"
            f"{'' if self.labels == 'hard' else ' less the parity'} (a nearly converged teacher)."
        )


def leaky_error(n: int, c: Number | str) -> Fraction:
    """Return the multiple of 2^-64 nearest to n^-c (upwards from the middle), exactly.

    The simulator draws the mixture with a 64-bit fixed-point probability, so this error is exactly the one
    that is simulated.  A float or string c is read as the decimal that it prints, 0.1 as 1/10.
    Raises TheoryError unless n >= 1 and c >= 0 is a rational of denominator at most 1000.

    >>> leaky_error(16, 0.5), leaky_error(10, 0)
    (Fraction(1, 4), Fraction(1, 1))
    """
    n = errors.integer("n", n, 1)
    try:
        exponent = Fraction(str(c) if isinstance(c, float) else c)
    except (TypeError, ValueError, ZeroDivisionError):
        raise TheoryError(f"c = {c!r} is not a number; a rational c >= 0 is allowed.") from None
    if exponent < 0 or exponent.denominator > 1000:
        raise TheoryError(f"c = {c!r} is refused; a rational c >= 0 of denominator at most 1000 is allowed.")
    a, b = exponent.numerator, exponent.denominator
    doubled = _integer_root((1 << 65 * b) // n**a, b)  # floor(2^65 n^-c)
    return Fraction((doubled + 1) // 2, 1 << 64)


def _integer_root(value: int, degree: int) -> int:
    """Return floor(value^(1/degree)) by bisection on integers (value below 2^(65 degree + 1))."""
    low, high = 0, 1 << 66
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= value else (low, middle)
    return low
