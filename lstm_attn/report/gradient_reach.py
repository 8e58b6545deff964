"""The section of gradient reach: norms of d loss / d h_t and d loss / d x_t against the lag."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_attn.report.panel import (
    MODEL_COLORS,
    REFERENCE_COLOR,
    colors_of,
    line_with_band,
    panel,
    reference,
)
from lstm_attn.report.section import AFTER, BEFORE, NamedFigure, Section, Table
from lstm_attn.report.tables import NONE, names

Result = Mapping[str, Any]  # of gradient_reach.json
Entry = Mapping[str, Any]  # one of its measurements: a cell before or after training
Norms = Mapping[str, Any]  # of one layer or of the inputs, by lag
# The group of a line: each group has figures of its own.
MODELS, STARTS = "models", "starts"
INPUTS = "inputs"
FLOOR = 1e-8  # of the figures
# All starts are LSTMs: each start has its own shade of the LSTM's colour.
SHADES = LinearSegmentedColormap.from_list("starts", ["#8CCBF2", MODEL_COLORS["lstm"], "#000000"])
TEXT = (
    "Norm of the gradient of the loss at the last step against the lag, the number of steps before "
    "the loss; relative to the norm at lag 0. The gradient with respect to h is the total "
    "derivative: through the recurrence, the output and, in the hybrid, the attention over the "
    "states. Each trial is the median over its sequences; line: median over trials; band: their "
    "range. Starts are LSTMs that differ in their bias alone; chrono spreads the forget gates over "
    "time scales from 2 to T steps. In the LSTM, d loss / d h drops between lag 0 and lag 1: at "
    "lag 0 h reaches the output directly, before that through the gates alone."
)
TABLE_TEXT = (
    "The table has the first lag at which the norm is at most half of that at lag 0, and less than "
    "1e-6 of it: the median over trials with its 95 % interval of order statistics (with fewer "
    "than six trials, their range); ≥ T if there is no such lag."
)


def sections(result: Result) -> list[Section]:
    """A figure for each length, group and gradient; one table."""
    figures = [
        NamedFigure(
            f"gradient-{'x' if name == INPUTS else 'h'}-{group}-{length}",
            f"Gradient reach: {_title(result, length, name)}, {group}",
            norms_by_lag(result, length, group, name),
        )
        for length in names(result["measured"], "length")
        for group in (STARTS, MODELS)
        for name in ("hidden", INPUTS)
    ]
    return [Section("Gradient reach", f"{TEXT} {TABLE_TEXT}", figures, [reach_table(result)])]


def norms_by_lag(result: Result, length: int, group: str, name: str) -> Figure:
    """Norms against the lag on a logarithmic axis, a line for each model or start.

    A line of norms before training is dashed, if there are norms after training too.

    Args:
      length: T of the task.
      name: INPUTS for d loss / d x, anything else for d loss / d h.
    """
    shown = _curves(result, length, group, name)
    trained = {label for _, label, phase, _ in shown if phase == AFTER}
    lines = names([line for line in result["lines"] if line["group"] == group], "label")
    shades = dict(zip(lines, SHADES(np.linspace(0, 1, len(lines))), strict=True))
    colors: Mapping[str, Any] = colors_of(lines) if group == MODELS else shades

    def draw(axes: Axes) -> None:
        for line, label, phase, norms in shown:
            lags, color = np.array(norms["lags"]), colors[line]
            y = np.stack([norms[key] for key in ("low", "median", "high")], axis=1)
            y = np.maximum(y, FLOOR / 10)  # a logarithm has no zero; below the figure
            if phase == AFTER or label not in trained:
                line_with_band(axes, lags, y, color, label)
            else:
                axes.plot(lags, y[:, 1], "--", color=color, linewidth=1)
        if trained and BEFORE in {phase for *_, phase, _ in shown}:
            axes.plot([], [], "--", color=REFERENCE_COLOR, linewidth=1, label="before training")
        reference(axes, "half", y=0.5, linestyle=":")
        reference(axes, "1e-6", y=1e-6, linestyle="-.")
        axes.set(yscale="log", xlabel="lag (steps before the loss)")
        axes.set_xlim(0, max((norms["length"] for *_, norms in shown), default=length) - 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=FLOOR)
        axes.set_ylabel(f"norm of d loss / d {_symbol(name)} (lag 0 = 1)")

    return panel(_title(result, length, name), draw)


def reach_table(result: Result, *, intervals: bool = True) -> Table:
    """A row for each line, layer and phase."""
    headings = ("", "T", "training", "solved", "trials",
                "h: half", "h: 1e-6", "x: half", "x: 1e-6")  # fmt: skip
    rows = [
        (
            label,
            f"{entry['length']:,}",
            entry["phase"],
            entry["solved"] or NONE,
            str(entry["gradients"][INPUTS]["trials"]),
            *(
                _statement(norms, key, intervals)
                for norms in (h, entry["gradients"][INPUTS])
                for key in ("halves", "vanishes")
            ),
        )
        for line in result["lines"]
        for entry in _of(result, line["cell"])
        for label, h in (_labelled(line["label"], _layers(entry)) or {line["label"]: None}).items()
    ]
    # A start that is also a model has its row there.
    return Table(headings, list(map(list, dict.fromkeys(rows))))


def _curves(
    result: Result, length: int, group: str, name: str
) -> list[tuple[str, str, str, Norms]]:
    """The curves of a figure, of layers or of the inputs: (line, label, phase, norms) each."""
    return [
        (line["label"], label, entry["phase"], norms)
        for line in result["lines"]
        if line["group"] == group
        for entry in _of(result, line["cell"])
        if entry["length"] == length
        for label, norms in _labelled(
            line["label"],
            {INPUTS: entry["gradients"][INPUTS]} if name == INPUTS else _layers(entry),
        ).items()
        if norms["trials"]
    ]


def _of(result: Result, cell: str) -> list[Entry]:
    return [entry for entry in result["measured"] if entry["cell"] == cell]


def _layers(entry: Entry) -> dict[str, Norms]:
    return {name: norms for name, norms in entry["gradients"].items() if name != INPUTS}


def _labelled(line: str, layers: Mapping[str, Any]) -> dict[str, Any]:
    """The label of each layer: that of its line, with its own name if there are several."""
    return {
        f"{line}, {layer}" if len(layers) > 1 else line: norms for layer, norms in layers.items()
    }


def _title(result: Result, length: int, name: str) -> str:
    phases = {entry["phase"] for entry in result["measured"] if entry["length"] == length}
    when = "" if AFTER in phases else ", untrained"
    return f"d loss / d {_symbol(name)}: {result['task']}, T = {length}{when}"


def _symbol(name: str) -> str:
    return "x" if name == INPUTS else "h"


def _statement(norms: Norms | None, key: str, interval: bool) -> str:
    if norms is None or not norms["trials"]:
        return NONE
    never = f"≥ {norms['length']:,}"

    def words(value: float | None) -> str:
        return never if value is None else f"{value:,g}"

    median, low, high = (words(norms[key][part]) for part in ("median", "low", "high"))
    return f"{median} ({low}–{high})" if interval and low != never else median
