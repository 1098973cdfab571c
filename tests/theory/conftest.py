"""Nightly tests run only when asked for, as in tests/kernels; and tiny steps that are known exactly."""

import numpy as np
import pytest

from tests.kernels.conftest import pytest_collection_modifyitems
from tests.theory.bound_cases import TINY
from tests.theory.joint_law import failure_probabilities
from theory.targets import Target, patterns

__all__ = ["pytest_collection_modifyitems", "tiny"]


@pytest.fixture(scope="module", params=TINY)
def tiny(request: pytest.FixtureRequest) -> tuple[int, int, Target, dict[tuple[int, ...], np.ndarray]]:
    """A tiny step with the exact failure probabilities of all its sign patterns, B = 1..most."""
    n, q, target, most = TINY[request.param]
    failures = {s: failure_probabilities(n, q, target, s, most) for s in patterns(target.k)}
    return n, q, target, failures
