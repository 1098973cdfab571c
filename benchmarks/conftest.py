"""Targets are measured only when asked for, as nightly tests are."""

from tests.kernels.conftest import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
