"""The look of every picture: one set of axes, its title, its legend below."""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE_INCHES = (4.6, 3.3)
DPI = 200
REFERENCE_COLOR = "#767676"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "grid.color": "#e8e8e8",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


class Panel(Figure):
    """A figure that a notebook shows, whether or not pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI / 2)
        return buffer.getvalue()


def panel(
    title: str, draw: Callable[[Axes], None], inches: tuple[float, float] = SIZE_INCHES
) -> Figure:
    """A figure of one set of axes, on which draw(axes) has drawn."""
    with rc_context(STYLE):
        figure = Panel(figsize=inches, dpi=DPI, layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        # A name from a run folder is shown as it is, dollar signs and all.
        axes.set_title(title, parse_math=False)
        legend = figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=3
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def panels(parts: Sequence[tuple[str, Callable[[Axes], None]]]) -> Figure:
    """A figure of several sets of axes, one below the other: each one's title, and what draws."""
    with rc_context(STYLE):
        inches = (SIZE_INCHES[0], 2.4 * len(parts))
        figure = Panel(figsize=inches, dpi=DPI, layout="constrained")
        for axes, (title, draw) in zip(
            np.ravel(figure.subplots(len(parts), 1)), parts, strict=True
        ):
            draw(axes)
            axes.set_title(title, parse_math=False)
    return figure


def line_with_band(
    axes: Axes, x: np.ndarray, y: np.ndarray, color: str, label: str, *, dots: bool = False
) -> None:
    """Median and range of y [x, R], with a dot at the end or at every x. The line is left out where
    the median is not finite."""
    finite = np.where(np.isfinite(y), y, np.inf)
    middle, low = np.median(finite, axis=1), finite.min(axis=1)
    high = np.where(np.isfinite(y), y, -np.inf).max(axis=1)
    shown = np.isfinite(middle)
    axes.fill_between(x, low, high, where=shown, color=color, alpha=0.15, linewidth=0)
    marked = slice(None) if dots else slice(-1, None)
    axes.plot(x[shown], middle[shown], color=color, linewidth=1.2 if dots else 1.7, label=label)
    axes.plot(x[shown][marked], middle[shown][marked], "o", color=color, markersize=3.5)


# Okabe & Ito 2008: told apart by readers who see fewer colours.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MODEL_COLORS = dict(
    zip(("lstm", "gru", "transformer", "lstm_attention", "attention_pooling"), COLORS, strict=False)
)


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Name -> colour. A model has its own; other names take those that are left, in turn: first the
    ones that no model has, then those of models that are not among the names."""
    names = list(dict.fromkeys(names))
    given = {name: MODEL_COLORS[name] for name in names if name in MODEL_COLORS}
    left = [color for color in COLORS[len(MODEL_COLORS) :] + COLORS if color not in given.values()]
    left = list(dict.fromkeys(left)) or list(COLORS)
    others = [name for name in names if name not in given]
    given |= {name: left[index % len(left)] for index, name in enumerate(others)}
    return {name: given[name] for name in names}
