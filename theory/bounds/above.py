"""What theorems for dimensions above the size of the support share."""

from collections.abc import Mapping
from typing import Any

from theory.bounds.parameters import check_dimension
from theory.bounds.theorem import Theorem


class AboveSupport(Theorem):
    """A theorem with the parameters n and k that speaks of n > k only; subclasses are final."""

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters, checked; refuses n <= k."""
        values = super().check(given)
        check_dimension(values)
        return values
