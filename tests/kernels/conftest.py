"""Nightly tests run only when asked for: by `-m nightly` or HYPOTHESIS_PROFILE=nightly."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is marked nightly."""
    if "nightly" in config.option.markexpr or os.environ.get("HYPOTHESIS_PROFILE") == "nightly":
        return
    nightly = [item for item in items if item.get_closest_marker("nightly")]
    if nightly:
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]
