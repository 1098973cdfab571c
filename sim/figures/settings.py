"""Which cells are drawn together: those that differ in n and k only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable


@runtime_checkable
class HasCell(Protocol):
    """A summary of one cell."""

    @property
    def cell(self) -> Any:
        """A cell with a first step."""

    @property
    def replicates(self) -> int:
        """Students that are stored."""


S = TypeVar("S", bound=HasCell)

TRAITS: Mapping[str, Callable[[Any], object]] = {
    "seed": lambda cell: cell.seed,
    "resolution": lambda cell: cell.resolution,
}
"""What cells of one series may differ in beside n, k, horizons, and what depends on n."""


def settings(cells: Sequence[S]) -> dict[str, list[S]]:
    """Cells by setting, one for each (n, k) at the most, ordered by k and n; settings by name.

    Settings are named by the series and by what else sets them apart. Of two horizons the longer one tells more. Where
    cells of one (n, k) have several thresholds or dead zones, which depend on n, the i-th of each are together.
    """
    varied = {
        name
        for name, value in TRAITS.items()
        for series in {c.cell.series for c in cells}
        if len({value(c.cell) for c in cells if c.cell.series == series}) > 1
    }
    found: dict[str, list[S]] = {}
    for one in cells:
        traits = "".join(f", {name} {value(one.cell)}" for name, value in TRAITS.items() if name in varied)
        found.setdefault(one.cell.series + traits, []).append(one)
    result: dict[str, list[S]] = {}
    for name, group in found.items():
        at: dict[tuple[int, int], dict[tuple[Any, ...], S]] = {}
        for one in sorted(group, key=lambda c: (c.replicates > 0, c.cell.horizon)):
            cell = one.cell
            own_choice = (cell.q, getattr(cell, "dead_zone", None) or 0)
            at.setdefault((cell.k, cell.n), {})[own_choice] = one
        most = max(len(choices) for choices in at.values())
        what = "dead zone" if hasattr(group[0].cell, "dead_zone") else "threshold"
        for index in range(most):
            suffix = f", {what} {index + 1} of {most}" if most > 1 else ""
            ordered = ([choices[c] for c in sorted(choices)] for _, choices in sorted(at.items()))
            result[name + suffix] = [own[index] for own in ordered if index < len(own)]
    return dict(sorted(result.items()))


def spread(values: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the values, the first and last among them, evenly spread."""
    if len(values) <= most:
        return list(values)
    return [values[round(i * (len(values) - 1) / (most - 1))] for i in range(most)]
