"""Nightly tests run only when asked for, as those of the kernels."""

from tests.kernels.conftest import pytest_collection_modifyitems

__all__ = ["pytest_collection_modifyitems"]
