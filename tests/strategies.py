"""Hypothesis strategies for the objects of the theory. No torch here."""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import ParamSpec, TypeVar

import numpy as np
from hypothesis import strategies as st

from theory.targets import EqualTeacher, Junta, LeakyTeacher, LowDegree, Parity, Target
from theory.teacher import PhaseOneTeacher

P = ParamSpec("P")
T = TypeVar("T")


def made(build: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return build(...) and leave `random` as it was: beartype uses it, and hypothesis forbids that here."""
    state = random.getstate()
    try:
        return build(*args, **kwargs)
    finally:
        random.setstate(state)


def signs(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Sign vectors in {-1, 1}^size."""
    return st.tuples(*[st.sampled_from((-1, 1))] * size)


def biases(n: int) -> st.SearchStrategy[Fraction]:
    """Biases of a unit on n inputs: integers (so ties, n even or odd), halves, thirds, some beyond n."""
    integers = st.integers(-n - 1, n + 1).map(Fraction)
    others = st.builds(Fraction, st.integers(-3 * n - 3, 3 * n + 3), st.sampled_from((2, 3)))
    return st.one_of(st.just(Fraction(0)), integers, others)


def supports(n: int, k: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Increasing k-subsets of range(n)."""
    return st.permutations(range(n)).map(lambda order: tuple(sorted(order[:k])))


def rationals(limit: int = 3) -> st.SearchStrategy[Fraction]:
    """Rationals in [-limit, limit] with small denominators, zero often among them."""
    return st.builds(Fraction, st.integers(-limit, limit), st.sampled_from((1, 1, 2, 3, 7)))


def juntas(k: int, *, hard: bool = False) -> st.SearchStrategy[Junta]:
    """Random tables: of +-1, or (unless hard) also rational or with floats."""
    size = 1 << k
    values = st.one_of(rationals(), st.sampled_from((-1, 1)), st.sampled_from((0.1, -0.5, 2.0)))
    signs_only = st.lists(st.sampled_from((-1, 1)), min_size=size, max_size=size)
    anything = st.lists(values, min_size=size, max_size=size)
    return (signs_only if hard else st.one_of(signs_only, anything)).map(lambda v: made(Junta, tuple(v)))


@st.composite
def phase_one_teachers(draw: st.DrawFn, n: int, k: int, pairs: int = 4) -> PhaseOneTeacher:
    """Phase-1 teachers of up to `pairs` mirrored pairs; k even."""
    count = draw(st.integers(1, pairs))
    weights = np.array(draw(st.lists(signs(n), min_size=count, max_size=count)), dtype=np.int8)
    steps = draw(st.lists(st.integers(0, 2 * k - 2), min_size=count, max_size=count))
    return made(PhaseOneTeacher, n, draw(supports(n, k)), weights, np.array(steps, dtype=np.int64))


@st.composite
def targets(draw: st.DrawFn, k: int, *, hard: bool = False) -> Target:
    """Targets of every kind on k support coordinates; only those with +-1 labels if hard."""
    labels = "hard" if hard else draw(st.sampled_from(("logits", "hard")))
    chosen = draw(signs(k))
    error = draw(st.sampled_from((Fraction(0), Fraction(1), Fraction(1, 3), Fraction(5, 1 << 64), 0.125)))
    kinds = ["parity", "equal", "leaky", "junta"] + ["low-degree"] * (not hard) + ["phase-one"] * (k % 2 == 0)
    match draw(st.sampled_from(kinds)):
        case "parity":
            return made(Parity, k)
        case "low-degree":
            return made(LowDegree, k, draw(st.integers(1, k)), chosen)
        case "equal":
            return made(EqualTeacher, chosen, labels)
        case "leaky":
            return made(LeakyTeacher, k, error, chosen, labels)
        case "phase-one":
            teacher = draw(phase_one_teachers(k + 1, k))
            return made(getattr, teacher, "support_logits" if labels == "logits" else "support_labels")
        case _:
            return draw(juntas(k, hard=hard))
