"""Figures. Each function draws on the axes that it is given, sets no global style and returns the plotted data."""

from sim.figures.base import (
    COLOURS,
    HEADER,
    MARKERS,
    MAX_FIGURES,
    Drawing,
    Drawn,
    Panel,
    Row,
    plain_text,
    save,
    save_data,
    save_drawing,
    settle,
)

__all__ = [
    "COLOURS",
    "HEADER",
    "MARKERS",
    "MAX_FIGURES",
    "Drawing",
    "Drawn",
    "Panel",
    "Row",
    "plain_text",
    "save",
    "save_data",
    "save_drawing",
    "settle",
]
