"""Differences between two cells, as `analysis.compare_records` gives them: in words, and as rows
of a figure."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import REFERENCE_COLOR, panel, reference
from lstm_attn.report.tables import NONE

Compared = Mapping[str, Any]  # of `analysis.compare_records`
Difference = Mapping[str, Any]  # its remember_rate or its steps
LEAST_P = 0.001  # that is shown as a number
WIDTH, ROW_HEIGHT, MARGINS = 6.0, 0.27, 1.25  # inches
TITLE_LETTERS = 75  # of a line


# Columns of a table of exact tests, as `analysis.table_of_tests` gives them.
TESTS: dict[str, Callable[[Any], str]] = {
    "first": lambda test: test["first"],
    "second": lambda test: test["second"],
    "": lambda test: test["what"],
    "seeds of the first": lambda test: str(test["first_ahead"]),
    "of the second": lambda test: str(test["second_ahead"]),
    "seeds": lambda test: str(test["pairs"]),
    "p": lambda test: p_value(test["p"]),
}


def p_value(p: float) -> str:
    """An adjusted p; at 1, where nothing speaks for a difference, a dash."""
    if p == 1:
        return NONE
    return f"{p:.3f}" if p >= LEAST_P else f"< {LEAST_P:g}"


def rate(compared: Compared | None) -> str:
    """The difference of two rates, and its interval."""
    return NONE if compared is None else _in_words(compared["remember_rate"], ".2f")


def steps(compared: Compared | None) -> str:
    """The difference of steps spent, and its interval."""
    if compared is None or compared["steps"] is None:
        return NONE
    return _in_words(compared["steps"], ",.0f")


def _in_words(difference: Difference, form: str) -> str:
    value, low, high = (difference[name] for name in ("value", "low", "high"))
    interval = "too few pairs" if low is None else f"{_signed(low, form)} to {_signed(high, form)}"
    return f"{_signed(value, form)}\n{interval}"


def _signed(value: float, form: str) -> str:
    """With its sign, unless it rounds to zero."""
    shown = format(value, f"+{form}")
    if not any(digit in shown for digit in "123456789"):
        return shown[1:]
    return shown.replace("-", "−")


class Row(NamedTuple):
    """A value and its interval.

    low, high: None for no interval.
    word: at the right end of the row.
    stands_out: filled and in colour; other rows are grey and hollow.
    """

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
    """Rows one below the other, in their order.

    Args:
      color: of the rows that stand out.
      line: the x of the vertical line to compare with, and its label.
      limits: of the x axis.
    """

    def draw(axes: Axes) -> None:
        reference(axes, line[1], x=line[0])
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
        axes.set_yticks(range(len(drawn)), [row.label for row in drawn], parse_math=False)
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
