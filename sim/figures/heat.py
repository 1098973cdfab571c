"""Heat maps: colours on a logarithmic scale, and a text in each field."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, NullLocator

from sim.errors import SimError
from sim.figures.base import Number, plain_text, say_empty

COLOUR_MAP: Final = "cividis_r"
"""Its lightness alone tells the values apart, for every kind of colour vision and without colours."""

MAX_TEXTS: Final = 16
"""Columns beyond which the fields have no texts."""

MAX_TICKS: Final = 24
"""Labels of columns or rows at the most."""


@final
@dataclass(frozen=True)
class Field:
    """A field of a heat map.

    Attributes:
        text: in it, of one to three lines.
        value: its colour, positive; NaN for grey.
        hatched: on grey: there were runs, which did not get there.
    """

    text: str
    value: Number = math.nan
    hatched: bool = False


NO_RUN: Final = Field("no run")


def log_norm(values: Iterable[Number]) -> LogNorm:
    """A logarithmic scale over the values that are positive and finite; any scale without such."""
    finite = [value for value in values if 0 < value < math.inf] or [1.0, 10.0]
    return LogNorm(min(finite), max(*finite, min(finite) * 1.01))


def engineering(value: Number) -> str:
    """A number of samples in a few characters, such as `1.2M`; ∞ for infinite."""
    if math.isinf(value):
        return "∞"
    rounded = float(f"{value:.3g}")
    return EngFormatter(sep="")(rounded)


def draw_fields(
    axes: Axes,
    columns: Sequence[str],
    rows: Sequence[str],
    fields: Sequence[Sequence[Field]],
    what: str,
    *,
    norm: LogNorm | None = None,
) -> None:
    """A heat map; row i and column j have their middle at (j, i).

    Args:
        axes: where to draw; its figure gets a colour scale.
        columns: labels, from the left.
        rows: labels, from the bottom.
        fields: by row and column.
        what: the values are, for the colour scale.
        norm: of the colours; by default over the values that there are.

    Raises:
        SimError: there is not one field for each row and column.
    """
    if len(fields) != len(rows) or any(len(row) != len(columns) for row in fields):
        raise SimError(
            f"fields of another shape than {len(rows)} rows × {len(columns)} columns are refused: give one for each"
        )
    colours = np.array([[f.value for f in row] for row in fields], dtype=np.float64).reshape(
        len(rows), len(columns)
    )
    colours[~(np.isfinite(colours) & (colours > 0))] = np.nan
    norm = log_norm(colours[np.isfinite(colours)].tolist()) if norm is None else norm
    if colours.size:
        axes.set_facecolor("#dddddd")
        image = axes.imshow(colours, origin="lower", aspect="auto", cmap=COLOUR_MAP, norm=norm)
        for i, row in enumerate(fields):
            for j, field in enumerate(row):
                if field.hatched and math.isnan(colours[i, j]):
                    axes.add_patch(
                        Rectangle(
                            (j - 0.5, i - 0.5),
                            1,
                            1,
                            fill=False,
                            hatch="///",
                            edgecolor="#c4c4c4",
                            linewidth=0,
                        )
                    )
                if len(columns) <= MAX_TEXTS:
                    dark = math.isfinite(colours[i, j]) and norm(colours[i, j]) > 0.55
                    axes.text(
                        j,
                        i,
                        field.text,
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="#fefefe" if dark else "#111111",
                    )
        if not np.isnan(colours).all():
            scale = axes.figure.colorbar(image, ax=axes)
            scale.set_label(plain_text(what))
            low, high = float(norm.vmin or 1), float(norm.vmax or 1)
            # Powers of ten, which are the rule, may lie outside.
            ticks = sorted({low, float(f"{math.sqrt(low * high):.2g}"), high})
            scale.set_ticks(ticks, labels=[engineering(tick) for tick in ticks])
            scale.ax.yaxis.set_minor_locator(NullLocator())
    for axis, labels in ((axes.xaxis, columns), (axes.yaxis, rows)):
        every = max(1, -(-len(labels) // MAX_TICKS))
        axis.set_ticks(
            range(0, len(labels), every), labels=[plain_text(label, 30) for label in labels[::every]]
        )
    if not colours.size:
        say_empty(axes)
