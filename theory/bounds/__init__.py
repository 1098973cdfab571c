"""Bounds on the number of samples of the first step: one theorem a file, all behind one interface, `Bound`.

`REGISTRY` maps names to factories; to add a bound is to add a file, an entry here and a test.

>>> from fractions import Fraction
>>> from theory.targets import Parity
>>> from theory.walsh import threshold_count
>>> q = threshold_count(50, 0)
>>> low, high = (REGISTRY[name]().samples(50, 2, q, Parity(2), Fraction(1, 10)) for name in ("B2", "B1"))
>>> low.kind.value, int(low.value), high.kind.value, int(high.value)
('lower', 134, 'upper', 8263)
"""

from collections.abc import Callable

from theory.bounds.base import Assumption, Bound, BoundValue
from theory.bounds.bernstein import Bernstein, IntermediateTeacher
from theory.bounds.bretagnolle_huber import BretagnolleHuber, LeCam
from theory.bounds.exact_marginals import ExactMarginals
from theory.bounds.leaky_teacher import AnyLeakyTeacher

REGISTRY: dict[str, Callable[[], Bound]] = {
    "B1": Bernstein,
    "B1'": ExactMarginals,
    "B1-intermediate": IntermediateTeacher,
    "B2": BretagnolleHuber,
    "B2h": LeCam,
    "B2-leaky": AnyLeakyTeacher,
}

__all__ = [
    "REGISTRY",
    "AnyLeakyTeacher",
    "Assumption",
    "Bernstein",
    "Bound",
    "BoundValue",
    "BretagnolleHuber",
    "ExactMarginals",
    "IntermediateTeacher",
    "LeCam",
]
