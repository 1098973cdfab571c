"""Heat maps over n and k: samples for a success, a panel a setting."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from sim.figures.base import MAX_PANELS, Drawing, Drawn, Panel, head, limited, panel_axes, plain_text
from sim.figures.heat import NO_RUN, Field, draw_fields, engineering, log_norm
from sim.figures.samples import Measured
from sim.figures.settings import settings
from sim.summary import GridSummary


@final
@dataclass(frozen=True)
class Shown:
    """What a field over (n, k) shows.

    Attributes:
        measured: where the success reaches the probability; None without replicates.
        horizon: samples that there were.
    """

    measured: Measured | None
    horizon: int


def draw_grid(
    axes: Axes,
    cells: Mapping[tuple[int, int], Shown],
    ns: Sequence[int],
    ks: Sequence[int],
    what: str,
    *,
    panel: str = "samples",
    norm: LogNorm | None = None,
) -> Drawn:
    """Heat map of samples over n and k.

    Args:
        axes: where to draw.
        cells: by (n, k); those without replicates, or that are not there, say so.
        ns: columns.
        ks: rows, from the bottom.
        what: the samples are for, on the colour scale.
        panel: name of the axes in the data.
        norm: of the colours; by default over the values that there are.

    Returns:
        A row for each cell with replicates: y infinite where the success was not reached.
    """
    drawn = Drawn()
    fields = []
    for i, k in enumerate(ks):
        fields.append([NO_RUN] * len(ns))
        for j, n in enumerate(ns):
            shown = cells.get((n, k))
            if shown is None or shown.measured is None:
                continue
            drawn.add([shown.measured.row(panel, f"k = {k}", n)], [(j, i)])
            fields[-1][j] = _field(shown.measured, shown.horizon)
    draw_fields(axes, [str(n) for n in ns], [str(k) for k in ks], fields, what, norm=norm)
    axes.set_xlabel("n")
    axes.set_ylabel("k")
    return drawn


def _field(measured: Measured, horizon: int) -> Field:
    samples, ends = measured.samples, measured.crossing.interval
    if samples is None:
        return Field(f"at once\n≤ {engineering(ends.upper)}" if math.isfinite(ends.upper) else "at once")
    if math.isinf(samples):
        return Field(f"not reached\nby {engineering(horizon)}", hatched=True)
    return Field(f"{engineering(samples)}\n{engineering(ends.lower)}–{engineering(ends.upper)}", samples)


def heat_drawings(
    figures: Iterable[tuple[str, Mapping[str, Mapping[tuple[int, int], Shown]]]], what: str
) -> Sequence[Drawing]:
    """Figures of at most `MAX_PANELS` heat maps, all maps of one `what` on one colour scale.

    Args:
        figures: what each is of, such as `to loss 0.1`, and its panels by setting.
        what: is shown, such as `samples for 90 % success`, for titles.
    """
    drawings = []
    for name, panels in figures:
        if not any(shown.measured for own in panels.values() for shown in own.values()):
            continue
        values = [
            m.samples
            for own in panels.values()
            for shown in own.values()
            if (m := shown.measured) is not None and m.samples is not None
        ]
        named = list(panels.items())
        pages = [named[i : i + MAX_PANELS] for i in range(0, len(named), MAX_PANELS)]
        for number, page in enumerate(pages, 1):
            parts = [name] if name else []
            parts += [f"part {number} of {len(pages)}"] if len(pages) > 1 else []
            drawings.append(partial(_figure, ", ".join([what, *parts]), page, log_norm(values)))
    return limited(drawings)


def _figure(
    title: str, page: Sequence[tuple[str, Mapping[tuple[int, int], Shown]]], norm: LogNorm
) -> Drawing:
    axes_of = [[sorted({place[i] for place in own}) for i in (0, 1)] for _, own in page]
    ns, ks = (max((own[i] for own in axes_of), key=len) for i in (0, 1))
    width = min(14.0, max(4.6, 1.6 + 0.95 * len(ns)))
    columns = max(1, min(3, int(16 // width)))
    figure, every = panel_axes(
        len(page), width=width, height=min(8.0, 1.4 + 0.7 * max(2, len(ks))), columns=columns
    )
    panels = []
    for axes, (name, cells), own in zip(every, page, axes_of, strict=True):
        panels.append(
            Panel.of(
                axes, draw_grid(axes, cells, own[0], own[1], "samples", panel=name, norm=norm), "samples"
            )
        )
        axes.set_title(plain_text(name, 50), fontsize=10)
    title = title[:1].upper() + title[1:]
    head(figure, f"{title}: with 95 % intervals")
    return Drawing(figure, tuple(panels), f"{title} over n and k, a heat map for each setting.", "heat")


def step_heat(summary: GridSummary) -> Sequence[Drawing]:
    """Samples of a first step for success 1 − δ over n and k, a panel a schedule; none without measurements."""
    panels = {
        name: {
            (c.cell.n, c.cell.k): Shown(
                None if c.curve is None else Measured.of(c.cell.n, c.curve, c.high), c.cell.samples
            )
            for c in cells
        }
        for name, cells in settings(summary.cells).items()
    }
    highs = {cell.high for cell in summary.cells}
    level = f"{100 * highs.pop():g} % success" if len(highs) == 1 else "success 1 − δ"
    return heat_drawings([("", panels)], f"samples of a first step for {level}")
