"""Steps that several tests of bounds share."""

from fractions import Fraction

from theory.targets import EqualTeacher, Junta, LeakyTeacher, LowDegree, Parity, Target, leaky_error

TENTH = Fraction(1, 10)
TARGETS: dict[str, tuple[int, int, Target]] = {
    "parity": (50, 24, Parity(2)),
    "parity, k = 4": (20, 9, Parity(4)),
    "logits": (21, 10, EqualTeacher((1, -1))),
    "hard": (11, 5, EqualTeacher((1, 1, 1), "hard")),
    "low degree": (11, 5, LowDegree(2, 2)),
    "leaky": (25, 12, LeakyTeacher(2, leaky_error(25, 1))),
    "leaky logits": (25, 12, LeakyTeacher(4, leaky_error(25, Fraction(1, 2)), labels="logits")),
    "junta": (10, 4, Junta((3, 1, 0, -2))),
}
TINY: dict[str, tuple[int, int, Target, int]] = {
    "one coordinate": (3, 1, Parity(1), 24),
    "majority of two": (3, 1, EqualTeacher((1, 1), "hard"), 24),
    "sum of two": (3, 1, EqualTeacher((1, -1)), 18),
    "biased unit": (3, 2, Parity(1), 24),
    "unequal": (3, 1, Junta((2, 1, -1, -1)), 14),
    "parity": (4, 1, Parity(2), 9),
}
