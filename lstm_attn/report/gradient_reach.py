"""Gradient reach: norms of d loss / d h_t and d loss / d x_t against the lag."""

from collections.abc import Iterator, Mapping
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
from lstm_attn.report.section import AFTER, BEFORE, Picture, Section, Table
from lstm_attn.report.tables import NONE

Found = Mapping[str, Any]
# Which picture a line stands in.
MODELS, STARTS = "models", "starts"
INPUTS = "inputs"
FLOOR = 1e-8  # of the pictures
# All starts are LSTMs: shades of its colour, as many as there are.
SHADES = LinearSegmentedColormap.from_list("starts", ["#8CCBF2", MODEL_COLORS["lstm"], "#000000"])
TEXT = (
    "Norms of the gradient of the loss at the last step, over that at lag 0, against the lag: how "
    "many steps before the loss. d loss / d h is the total derivative, through the recurrence, the "
    "output and, in the hybrid, the attention over the states. Of each trial the median over its "
    "sequences; line: median over trials; band: least to greatest. Starts are LSTMs that differ in "
    "their bias alone; chrono spreads the forget gates over time scales from 2 to T steps. The "
    "LSTM's d loss / d h drops between lag 0 and 1, since h reaches the output directly there and "
    "through the gates alone before."
)
TABLE_TEXT = (
    "The first lag at which the norm is at most half of that at lag 0, and less than 1e-6 of it: "
    "median over trials with its 95 % interval by order (with fewer than six trials, the least and "
    "the greatest); ≥ T where there is no such lag."
)


def sections(found: Found) -> list[Section]:
    """Pictures by length, group and gradient; one table."""
    pictures = [
        Picture(
            f"gradient-{'x' if name == INPUTS else 'h'}-{group}-{length}",
            f"Gradient reach: {_title(found, length, name)}, {group}",
            norms_by_lag(found, length, group, name),
        )
        for length in dict.fromkeys(entry["length"] for entry in found["measured"])
        for group in (STARTS, MODELS)
        for name in ("hidden", INPUTS)
    ]
    return [Section("Gradient reach", f"{TEXT} {TABLE_TEXT}", pictures, [reach_table(found)])]


def norms_by_lag(found: Found, length: int, group: str, name: str) -> Figure:
    """A line a model or a start, on a logarithmic axis; dashed what was measured before training
    where it was measured after it too.

    Args:
      length: T of the task.
      name: INPUTS for d loss / d x, anything else for d loss / d h.
    """

    def draw(axes: Axes) -> None:
        shown = list(_curves(found, length, group, name))
        for label, color, phase, curve in shown:
            lags = np.array(curve["lags"])
            y = np.stack([curve[key] for key in ("low", "median", "high")], axis=1)
            y = np.maximum(y, FLOOR / 10)  # a logarithm has no zero; below the picture
            if phase == AFTER or (label, AFTER) not in {(one[0], one[2]) for one in shown}:
                line_with_band(axes, lags, y, color, label)
            else:
                axes.plot(lags, y[:, 1], "--", color=color, linewidth=1)
        if {BEFORE, AFTER} <= {phase for _, _, phase, _ in shown}:
            axes.plot([], [], "--", color=REFERENCE_COLOR, linewidth=1, label="before training")
        reference(axes, "half", y=0.5, linestyle=":")
        reference(axes, "1e-6", y=1e-6, linestyle="-.")
        axes.set(yscale="log", xlabel="lag (steps before the loss)")
        axes.set_xlim(0, max((curve["length"] for *_, curve in shown), default=length) - 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=FLOOR)
        axes.set_ylabel(f"norm of d loss / d {_symbol(name)} (lag 0 = 1)")

    return panel(_title(found, length, name), draw)


def reach_table(found: Found, *, intervals: bool = True) -> Table:
    """A row a line, layer and phase."""
    headings = ("", "T", "training", "solved", "trials",
                "h: half", "h: 1e-6", "x: half", "x: 1e-6")  # fmt: skip
    rows = []
    for line in found["lines"]:
        for entry in _of(found, line["cell"]):
            x = entry["gradients"][INPUTS]
            layers = _layers(entry)
            for layer, h in layers.items() or [("", None)]:
                label = f"{line['label']}, {layer}" if len(layers) > 1 else line["label"]
                rows.append(
                    [
                        label,
                        f"{entry['length']:,}",
                        entry["phase"],
                        entry["solved"] or NONE,
                        str(x["trials"]),
                        *(
                            _statement(of, key, intervals)
                            for of in (h, x)
                            for key in ("halves", "vanishes")
                        ),
                    ]
                )
    # A start that is also a model has its row there.
    return Table(headings, list(map(list, dict.fromkeys(map(tuple, rows)))))


def _curves(
    found: Found, length: int, group: str, name: str
) -> Iterator[tuple[str, Any, str, Mapping[str, Any]]]:
    """(label, colour, phase, curve) of each line that has one."""
    mine = [line for line in found["lines"] if line["group"] == group]
    labels = list(dict.fromkeys(line["label"] for line in mine))
    shades = SHADES(np.linspace(0, 1, len(labels)))
    colors = colors_of(labels) if group == MODELS else dict(zip(labels, shades, strict=True))
    for line in mine:
        for entry in _of(found, line["cell"]):
            curves = {INPUTS: entry["gradients"][INPUTS]} if name == INPUTS else _layers(entry)
            for layer, curve in curves.items():
                label = f"{line['label']}, {layer}" if len(curves) > 1 else line["label"]
                if entry["length"] == length and curve["trials"]:
                    yield label, colors[line["label"]], entry["phase"], curve


def _of(found: Found, cell: str) -> list[Mapping[str, Any]]:
    return [entry for entry in found["measured"] if entry["cell"] == cell]


def _layers(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: curve for name, curve in entry["gradients"].items() if name != INPUTS}


def _title(found: Found, length: int, name: str) -> str:
    phases = {entry["phase"] for entry in found["measured"] if entry["length"] == length}
    when = "" if AFTER in phases else ", untrained"
    return f"d loss / d {_symbol(name)}: {found['task']}, T = {length}{when}"


def _symbol(name: str) -> str:
    return "x" if name == INPUTS else "h"


def _statement(curve: Mapping[str, Any] | None, key: str, interval: bool) -> str:
    if curve is None or not curve["trials"]:
        return NONE
    never = f"≥ {curve['length']:,}"

    def words(value: float | None) -> str:
        return never if value is None else f"{value:,g}"

    median, low, high = (words(curve[key][part]) for part in ("median", "low", "high"))
    return f"{median} ({low}–{high})" if interval and low != never else median
