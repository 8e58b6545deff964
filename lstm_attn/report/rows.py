"""A picture of rows: a value and its interval each, beside one line that all are held against."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import REFERENCE_COLOR, panel

WIDTH, ROW_HEIGHT, MARGINS = 6.0, 0.27, 1.25  # inches
TITLE_LETTERS = 75  # of a line


class Row(NamedTuple):
    """low, high: None for no interval. word: at the right. stands_out: filled and in colour."""

    label: str
    value: float
    low: float | None
    high: float | None
    word: str
    stands_out: bool


def rows(
    title: str,
    xlabel: str,
    drawn: Sequence[Row],
    color: str,
    line: tuple[float, str],
    limits: tuple[float, float] | None = None,
) -> Figure:
    """One row below the other, in their order.

    Args:
      color: of the rows that stand out; the others are grey and hollow.
      line: where the vertical line is, and what it is.
      limits: of the x axis.
    """

    def draw(axes: Axes) -> None:
        axes.axvline(line[0], color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=line[1])
        if limits:
            axes.set_xlim(limits)
        for place, row in enumerate(drawn):
            own = color if row.stands_out else REFERENCE_COLOR
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=own, linewidth=1.6)
            face = own if row.stands_out else "white"
            axes.plot(row.value, place, "o", color=own, markersize=5, markerfacecolor=face)
            axes.annotate(
                row.word, (1.02, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=8, color="#1c2430" if row.stands_out else "#5b6675",
                annotation_clip=False, parse_math=False,
            )  # fmt: skip
        labels = [row.label for row in drawn]
        axes.set_yticks(range(len(drawn)), labels, parse_math=False)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(drawn) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(xlabel)

    figure = panel("", draw, (WIDTH, MARGINS + ROW_HEIGHT * len(drawn)))
    # Labels of rows are long, so the title begins where they do.
    figure.suptitle(
        textwrap.fill(title, TITLE_LETTERS), x=0.01, ha="left", fontsize=10, fontweight="bold",
        parse_math=False,
    )  # fmt: skip
    return figure
