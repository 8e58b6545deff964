"""The look of every figure: axes, title, legend, colours, and the marks that figures share."""

import io
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy.typing import ArrayLike

SIZE_INCHES = (4.6, 3.3)
DPI = 200
LETTERS_OF_AN_INCH = 8.3  # of a title, so that it ends within the figure
REFERENCE_COLOR = "#767676"
REFERENCE = "reference"  # the mark of what is drawn to compare with
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
# Okabe & Ito 2008: readers who see fewer colours can tell them apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MODEL_COLORS = dict(
    zip(("lstm", "gru", "transformer", "lstm_attention", "attention_pooling"), COLORS, strict=False)
)


class Panel(Figure):
    """A figure that a notebook shows, whether or not pyplot has been imported.

    `show()` shows it there too, and in a window if a script calls it.
    """

    def show(self, warn: bool = True) -> None:
        """The picture: in a notebook below its cell, from a script in a window until it is closed.

        Args:
          warn: where no window can open, since the machine has no display.
        """
        # What draws figures without windows need not import pyplot, which looks for a display.
        from matplotlib import pyplot

        self.set_dpi(DPI / 2)
        pyplot.figure(self)
        with warnings.catch_warnings():
            if not warn:
                warnings.simplefilter("ignore")
            pyplot.show()
        pyplot.close(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI / 2)
        return buffer.getvalue()


@rc_context(STYLE)
def panel(
    title: str, draw: Callable[[Axes], None], inches: tuple[float, float] = SIZE_INCHES
) -> Figure:
    """A figure with one set of axes, drawn on by draw(axes), and the legend below them."""
    return panels([(title, draw)], inches, legend=True)


@rc_context(STYLE)
def panels(
    parts: Sequence[tuple[str, Callable[[Axes], None]]],
    inches: tuple[float, float] | None = None,
    *,
    legend: bool = False,
) -> Figure:
    """A figure with several sets of axes, one below the other: (title, draw) each.

    Args:
      legend: one below them all, in which a label of several axes is there once.
    """
    inches = inches or (SIZE_INCHES[0], 2.4 * len(parts))
    figure = Panel(figsize=inches, dpi=DPI, layout="constrained")
    for axes, (title, draw) in zip(np.ravel(figure.subplots(len(parts), 1)), parts, strict=True):
        draw(axes)
        # A name from a run folder is shown as it is, dollar signs included.
        lines = textwrap.fill(title, int(LETTERS_OF_AN_INCH * inches[0]))
        axes.set_title(lines, parse_math=False)
    if legend:
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        below = figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=3
        )
        for text in below.get_texts():
            text.set_parse_math(False)
    return figure


def colors_of(names: Iterable[str]) -> dict[str, str]:
    """Name -> colour.

    A model has its own. Other names take the rest in turn: first the colours that no model has,
    then those of the models that are not among the names.
    """
    names = list(dict.fromkeys(names))
    given = {name: MODEL_COLORS[name] for name in names if name in MODEL_COLORS}
    left = [color for color in COLORS[len(MODEL_COLORS) :] + COLORS if color not in given.values()]
    left = list(dict.fromkeys(left)) or list(COLORS)
    others = [name for name in names if name not in given]
    given |= {name: left[index % len(left)] for index, name in enumerate(others)}
    return {name: given[name] for name in names}


def offsets(count: int, step: float = 1.0) -> np.ndarray:
    """Offsets [count], `step` apart around 0, that keep points side by side."""
    return step * (np.arange(count) - (count - 1) / 2)


def line_with_band(
    axes: Axes, x: np.ndarray, y: np.ndarray, color: str, label: str, *, dots: bool = False
) -> None:
    """The median of y [x, R] over R as a line, its range as a band, and a dot at the last x.

    Args:
      dots: a dot at every x. Where the median is not finite, nothing is drawn.
    """
    finite = np.where(np.isfinite(y), y, np.inf)
    middle, low = np.median(finite, axis=1), finite.min(axis=1)
    high = np.where(np.isfinite(y), y, -np.inf).max(axis=1)
    shown = np.isfinite(middle)
    axes.fill_between(x, low, high, where=shown, color=color, alpha=0.15, linewidth=0)
    marked = slice(None) if dots else slice(-1, None)
    axes.plot(x[shown], middle[shown], color=color, linewidth=1.2 if dots else 1.7, label=label)
    axes.plot(x[shown][marked], middle[shown][marked], "o", color=color, markersize=3.5)


def error_bars(
    axes: Axes,
    x: ArrayLike,
    low: ArrayLike,
    middle: ArrayLike,
    high: ArrayLike,
    color: str,
    label: str | None = None,
    *,
    horizontal: bool = False,
    joined: bool = True,
) -> None:
    """A point at each middle, with its interval from low to high.

    Args:
      joined: by a line, where it is a trend.
      x: [n]; along the y axis if horizontal.
      low, middle, high: [n]; an end that is not finite is left out.
    """
    low, middle, high = (np.asarray(values, float) for values in (low, middle, high))
    sides = np.nan_to_num(np.maximum([middle - low, high - middle], 0), posinf=0)
    look: Any = {
        "color": color, "label": label, "marker": "o", "markersize": 4, "linewidth": 1.5,
        "elinewidth": 1, "capsize": 2, "linestyle": "-" if joined else "none",
    }  # fmt: skip
    if horizontal:
        axes.errorbar(middle, x, xerr=sides, **look)
    else:
        axes.errorbar(x, middle, yerr=sides, **look)


def dots(axes: Axes, x: ArrayLike, y: ArrayLike, color: str) -> None:
    """A dot for each trial, pale, so that dots on one another show."""
    axes.plot(*np.broadcast_arrays(x, y), "o", color=color, markersize=3.5, alpha=0.6)


def reference(
    axes: Axes,
    label: str | None = None,
    *,
    x: float | None = None,
    y: float | None = None,
    linestyle: str = "--",
) -> None:
    """A grey line through the axes at x or y, to compare with."""
    look: Any = {
        "color": REFERENCE_COLOR, "linestyle": linestyle, "linewidth": 1, "label": label,
        "gid": REFERENCE,
    }  # fmt: skip
    if x is not None:
        axes.axvline(x, **look)
    if y is not None:
        axes.axhline(y, **look)


def is_empty(figure: Figure) -> bool:
    """Whether nothing is drawn in any axes but references to compare with."""
    return not any(
        axes.images or any(map(_is_drawn, (*axes.lines, *axes.patches, *axes.collections)))
        for axes in figure.axes
    )


def _is_drawn(artist: Any) -> bool:
    if artist.get_gid() == REFERENCE:
        return False
    paths = artist.get_paths() if hasattr(artist, "get_paths") else [artist.get_path()]
    return any(np.isfinite(path.vertices).all(axis=1).any() for path in paths)


class Plain(LogFormatter):
    """Ticks of a logarithmic axis as numbers are written, 0.01, which can be searched for."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def log_scale(axis: XAxis | YAxis) -> None:
    """Makes the axis logarithmic, with plain numbers."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain())


def log_ticks(axes: Axes, values: Sequence[float], label: str, margin: float) -> None:
    """A logarithmic x axis with a tick at each of the values, and a margin around them."""
    values = sorted(values)
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
    axes.set_xlim(values[0] / margin, values[-1] * margin)
    axes.set_xlabel(label)
