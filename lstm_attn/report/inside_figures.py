"""The figures of the inside of models: gates, time scales, attention, and what cuts change."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.figures import accuracy_by_position
from lstm_attn.report.panel import (
    COLORS,
    REFERENCE_COLOR,
    colors_of,
    dots,
    error_bars,
    log_scale,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.section import STAGES

Cell = Mapping[str, Any]  # one of inside.json
# Dark where a gate is shut or a weight is zero; equal steps of lightness, in grey print too.
IMAGE: dict[str, Any] = {"cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
LEAST_SHOWN = 100  # steps, so that histograms of several models mostly share an axis
PATHS = ("recurrence", "attention", "both")
CUTS = tuple(f"{path}, {how}" for how in ("always", "once") for path in PATHS)
CUT_COLORS = {
    "nothing cut": "#000000",
    "recurrence cut": COLORS[0],
    "attention cut": COLORS[1],
    "both cut": "#999999",
}


def whose(cell: Cell, layer: str) -> str:
    """The model, followed by the layer if the model has several of its kind."""
    several = any(
        layer in names and len(names) > 1
        for names in ([entry["layer"] for entry in cell[kind]] for kind in ("gates", "attention"))
    )
    return f"{cell['model']} {layer}" if several else cell["model"]


def heads(cell: Cell) -> Iterator[tuple[str, Mapping[str, Any], int, Mapping[str, Any]]]:
    """Each head of the cell: (`whose` it is, its layer, its number from 1, the head)."""
    for layer in cell["attention"]:
        for number, head in enumerate(layer["heads"], 1):
            yield whose(cell, layer["layer"]), layer, number, head


def from_percent(rows: Sequence[str]) -> np.ndarray:
    """A matrix of shares from its rows, lines of whole percents."""
    return np.array([row.split() for row in rows], float) / 100


def time_scales(layer: Mapping[str, Any], edges: Sequence[float], model: str, title: str) -> Figure:
    """Histogram of the units' time scales over all trials, before and after training."""
    looks: tuple[dict[str, Any], ...] = (
        {"histtype": "step", "color": REFERENCE_COLOR, "linewidth": 1.5},
        {"color": colors_of([model])[model], "alpha": 0.75},
    )

    def draw(axes: Axes) -> None:
        for stage, look in zip(STAGES, looks, strict=True):
            counts = np.array(layer[stage]["counts"])
            shares = counts / counts.sum()
            axes.hist(edges[:-1], edges, weights=shares, label=f"{stage} training", **look)
        log_scale(axes.xaxis)
        axes.set(xlabel="time scale 1 / (1 - f) of a unit (steps)", ylabel="share of units")
        used = np.flatnonzero(np.sum([layer[stage]["counts"] for stage in STAGES], axis=0))
        axes.set_xlim(edges[0], max(LEAST_SHOWN, edges[used[-1] + 1]))

    return panel(title, draw)


def gates(blocks: Mapping[str, np.ndarray], title: str) -> Figure:
    """The gates of one sequence, unit by time, one block for each gate.

    Args:
      blocks: name -> activations [H, T] from 0 to 1, the fastest unit first; it is drawn lowest.
    """

    def draw(axes: Axes) -> None:
        units, steps = next(iter(blocks.values())).shape
        lowest = [-number * (units + max(1, units // 12)) for number in range(len(blocks))]
        for low, block in zip(lowest, blocks.values(), strict=True):
            extent = (0.5, steps + 0.5, low, low + units)
            image = axes.imshow(block, aspect="auto", origin="lower", extent=extent, **IMAGE)
        axes.set(ylim=(lowest[-1], units), xlim=(0.5, steps + 0.5), xlabel="step of the sequence")
        middles = [low + units / 2 for low in lowest]
        axes.set_yticks(middles, list(blocks), rotation=90, va="center")
        axes.set_ylabel(f"gate: its {units} units, slow ones on top")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False)
        axes.figure.colorbar(image, ax=axes, label="activation (0 shut, 1 open)")

    return panel(title, draw)


def attention_map(weights: np.ndarray, title: str) -> Figure:
    """The weights of one head on one sequence, [T, T], query by key."""

    def draw(axes: Axes) -> None:
        last = len(weights) + 0.5
        image = axes.imshow(weights, extent=(0.5, last, last, 0.5), **IMAGE)
        axes.grid(visible=False)
        axes.locator_params(integer=True)
        axes.set(xlabel="step looked at (key)", ylabel="step that looks (query)")
        axes.figure.colorbar(image, ax=axes, label="attention weight")

    return panel(title, draw)


def distances(cells: Sequence[Cell], title: str) -> Figure:
    """Mean attention distance of each head: a dot for each trial, their median and its interval."""
    rows = [
        (cell["model"], f"{whose}\nhead {number}", head)
        for cell in cells
        for whose, _, number, head in heads(cell)
    ]
    colors = colors_of(model for model, _, _ in rows)
    cell = next(cell for cell in cells if cell["attention"])

    def draw(axes: Axes) -> None:
        for place, (model, _, head) in enumerate(rows):
            for shift, stage, color in zip(
                offsets(2, 0.34), STAGES, (REFERENCE_COLOR, colors[model]), strict=True
            ):
                dots(axes, np.array(head[stage]["values"], float), place + shift, color)
                ends = ([head[stage][key]] for key in ("low", "median", "high"))
                low, median, high = (np.array(end, float) for end in ends)  # NaN for null
                error_bars(axes, [place + shift], low, median, high, color, horizontal=True)
        for stage, color in zip(STAGES, (REFERENCE_COLOR, "black"), strict=True):
            axes.plot([], [], "o-", color=color, markersize=4, label=f"{stage} training")
        reference(axes, "all steps alike", x=cell["uniform_distance"])
        reference(axes, "the symbol due", x=cell["due_distance"], linestyle=":")
        axes.set_yticks(range(len(rows)), [label for _, label, _ in rows])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("mean attention distance (steps back)")

    return panel(title, draw)


def changes(cells: Sequence[Cell], key: str, title: str, words: str) -> Figure:
    """What each cut changes: a dot for each trial, hollow if it does not remember without a cut,
    and the median.

    Args:
      key: "share_remembered" or "accuracy"; words: the same in words.
    """
    colors = colors_of(cell["model"] for cell in cells)
    made = {entry["cut"] for cell in cells for entry in cell["cuts"]}
    names = [name for name in CUTS if name in made]
    width = 0.8 / len(cells)

    def draw(axes: Axes) -> None:
        for shift, cell in zip(offsets(len(cells), width), cells, strict=True):
            color = colors[cell["model"]]
            remembers = np.array([t["steps_to_remember"] is not None for t in cell["per_trial"]])
            for entry in cell["cuts"]:
                if entry["change"] is None:
                    continue
                change, place = entry["change"][key], names.index(entry["cut"]) + shift
                y = np.array(change["values"], float)  # NaN for null
                # Many trials change alike: dots side by side show how many.
                x = place + offsets(len(y), 0.7 * width / len(y))
                dots(axes, x[remembers], y[remembers], color)
                look: dict[str, Any] = {"markersize": 3.5, "markerfacecolor": "none"}
                axes.plot(x[~remembers], y[~remembers], "o", color=color, alpha=0.6, **look)
                if change["median"] is not None:
                    bar = [place - 0.4 * width, place + 0.4 * width]
                    axes.plot(bar, [change["median"]] * 2, color=color, linewidth=2)
            axes.plot([], [], "o", color=color, markersize=4, label=cell["model"])
        reference(axes, "nothing cut", y=0)
        axes.set_xticks(range(len(names)), [name.replace(", ", "\n") for name in names], fontsize=7)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set(xlabel="path cut", ylabel=f"change of {words}")
        axes.set_ylim(-1.05, max(0.1, axes.get_ylim()[1]))

    return panel(title, draw)


def recall_when_cut(cell: Cell, title: str) -> Figure:
    """Accuracy by recalled position with a path cut once: median over trials and their range."""
    accuracies = {
        f"{entry['cut'].split(',')[0]} cut": np.array(entry["by_position"])
        for entry in cell["cuts"]
        if not entry["cut"].endswith("always")
    }
    return accuracy_by_position(accuracies, CUT_COLORS, cell["accuracy_without_memory"], title)
