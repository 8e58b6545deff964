"""The pictures of what goes on inside the models."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, colors_of, line_with_band, panel
from lstm_attn.report.section import AFTER, BEFORE, STAGES

Cell = Mapping[str, Any]  # one of inside.json
# Light where a gate is shut or no weight lies; equal steps of lightness, in grey print too.
SHADES = "cividis"
LEAST_SHOWN = 100  # steps, so that histograms of several models mostly share an axis
CUTS = (
    "nothing",
    *(
        f"{part}, {how}"
        for how in ("always", "once")
        for part in ("recurrence", "attention", "both")
    ),
)
CUT_COLORS = {
    "nothing": "#000000",
    "recurrence": COLORS[0],
    "attention": COLORS[1],
    "both": "#999999",
}


def whose(cell: Cell, layer: str) -> str:
    """The model; and the layer, where the model has several of its kind."""
    several = any(
        layer in names and len(names) > 1
        for names in ([entry["layer"] for entry in cell[kind]] for kind in ("gates", "attention"))
    )
    return f"{cell['model']} {layer}" if several else cell["model"]


def from_percent(rows: Sequence[str]) -> np.ndarray:
    """A matrix of shares from its lines of whole percents."""
    return np.array([row.split() for row in rows], float) / 100


def time_scales(layer: Mapping[str, Any], edges: Sequence[float], model: str, title: str) -> Figure:
    """Histogram of the units' time scales over all trials, before training and after."""
    color = colors_of([model])[model]

    looks: dict[str, dict[str, Any]] = {
        BEFORE: {"histtype": "step", "color": REFERENCE_COLOR, "linewidth": 1.5},
        AFTER: {"color": color, "alpha": 0.75},
    }

    def draw(axes: Axes) -> None:
        for stage, look in looks.items():
            counts = np.array(layer[stage]["counts"])
            shares = counts / counts.sum()
            axes.hist(edges[:-1], edges, weights=shares, label=f"{stage} training", **look)
        axes.set(
            xscale="log", xlabel="time scale 1 / (1 - f) of a unit (steps)", ylabel="share of units"
        )
        used = np.flatnonzero(np.sum([layer[stage]["counts"] for stage in STAGES], axis=0))
        axes.set_xlim(edges[0], max(LEAST_SHOWN, edges[used[-1] + 1]))

    return panel(title, draw)


def gates(blocks: Mapping[str, np.ndarray], title: str) -> Figure:
    """The gates of one sequence, unit by time, one block a gate.

    Args:
      blocks: name -> activations [H, T] from 0 to 1, the fastest unit first; it is drawn lowest.
    """

    def draw(axes: Axes) -> None:
        units, steps = next(iter(blocks.values())).shape
        gap = max(1, units // 12)
        for number, block in enumerate(blocks.values()):
            low = -number * (units + gap)
            # Units are drawn upward from the fastest.
            image = axes.imshow(
                block, cmap=SHADES, vmin=0, vmax=1, aspect="auto", origin="lower",
                interpolation="nearest", extent=(0.5, steps + 0.5, low, low + units),
            )  # fmt: skip
        bottom = -(len(blocks) - 1) * (units + gap)
        axes.set(ylim=(bottom, units), xlim=(0.5, steps + 0.5), xlabel="step of the sequence")
        centres = [-number * (units + gap) + units / 2 for number in range(len(blocks))]
        axes.set_yticks(centres, list(blocks), rotation=90, va="center")
        axes.set_ylabel(f"gate: its {units} units, slow ones on top")
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False)
        axes.figure.colorbar(image, ax=axes, label="activation (0 shut, 1 open)")

    return panel(title, draw)


def attention_map(weights: np.ndarray, title: str) -> Figure:
    """The weights of one head on one sequence, [T, T], query by key."""

    def draw(axes: Axes) -> None:
        steps = len(weights)
        image = axes.imshow(
            weights, cmap=SHADES, vmin=0, vmax=1, interpolation="nearest",
            extent=(0.5, steps + 0.5, steps + 0.5, 0.5),
        )  # fmt: skip
        axes.grid(visible=False)
        axes.locator_params(integer=True)
        axes.set(xlabel="step looked at (key)", ylabel="step that looks (query)")
        axes.figure.colorbar(image, ax=axes, label="attention weight")

    return panel(title, draw)


def distances(cells: Sequence[Cell], title: str) -> Figure:
    """Mean attention distance of every head: a dot a trial, and the median with its interval."""
    rows = [
        (cell["model"], f"{whose(cell, layer['layer'])}\nhead {number}", head)
        for cell in cells
        for layer in cell["attention"]
        for number, head in enumerate(layer["heads"], 1)
    ]
    colors = colors_of(model for model, _, _ in rows)
    cell = next(cell for cell in cells if cell["attention"])

    def draw(axes: Axes) -> None:
        for place, (model, _, head) in enumerate(rows):
            for stage, shift, color in (
                (BEFORE, -0.17, REFERENCE_COLOR),
                (AFTER, 0.17, colors[model]),
            ):
                values = head[stage]["values"]
                axes.plot(
                    values, [place + shift] * len(values), "o", color=color, markersize=3, alpha=0.5
                )
                _interval(axes, head[stage], place + shift, color, horizontal=True)
        for stage, color in ((BEFORE, REFERENCE_COLOR), (AFTER, "black")):
            axes.plot([], [], "o-", color=color, markersize=4, label=f"{stage} training")
        for distance, linestyle, linewidth, label in (
            ("uniform_distance", "--", 1.0, "all steps alike"),
            ("due_distance", ":", 1.3, "the symbol due"),
        ):
            if cell[distance] is not None:
                look: Any = {"linestyle": linestyle, "linewidth": linewidth, "label": label}
                axes.axvline(cell[distance], color=REFERENCE_COLOR, **look)
        axes.set_yticks(range(len(rows)), [label for _, label, _ in rows])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("mean attention distance (steps back)")

    return panel(title, draw)


def cuts(cells: Sequence[Cell], title: str) -> Figure:
    """Accuracy under each cut, a bar a model: medians with intervals, a dot a trial."""
    colors = colors_of(cell["model"] for cell in cells)
    made = {entry["cut"] for cell in cells for entry in cell["cuts"]}
    names = [name for name in CUTS if name in made]

    def draw(axes: Axes) -> None:
        width = 0.8 / len(cells)
        for number, cell in enumerate(cells):
            shift = (number - (len(cells) - 1) / 2) * width
            color = colors[cell["model"]]
            for entry in cell["cuts"]:
                x = names.index(entry["cut"]) + shift
                accuracy = entry["accuracy"]
                axes.bar(x, accuracy["median"], width * 0.92, color=color, alpha=0.45)
                axes.plot(
                    [x] * accuracy["trials"], accuracy["values"], "o", color=color, markersize=2.5
                )
                _interval(axes, accuracy, x, "black", horizontal=False)
            axes.bar(0, 0, color=color, alpha=0.45, label=cell["model"])
        chance = cells[0]["accuracy_without_memory"]
        axes.axhline(chance, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="no memory")
        axes.set_xticks(range(len(names)), [name.replace(", ", "\n") for name in names], fontsize=7)
        axes.set(ylim=(0, 1.05), xlabel="path cut", ylabel="accuracy")

    return panel(title, draw)


def recall_when_cut(cell: Cell, title: str) -> Figure:
    """Accuracy by recalled position with a path cut once: median and range of trials."""

    def draw(axes: Axes) -> None:
        shown = [entry for entry in cell["cuts"] if not entry["cut"].endswith("always")]
        for number, entry in enumerate(shown):
            accuracy = np.array(entry["by_position"])  # [positions, R]
            positions = np.arange(1, len(accuracy) + 1)
            part = entry["cut"].split(",")[0]
            shift = 0.12 * (number - (len(shown) - 1) / 2)
            line_with_band(
                axes, positions + shift, accuracy, CUT_COLORS[part], f"{part} cut", dots=True
            )
        axes.set_xticks(positions)
        chance = cell["accuracy_without_memory"]
        axes.axhline(chance, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="no memory")
        axes.set(ylim=(0, 1.05), xlabel="recalled position", ylabel="accuracy")

    return panel(title, draw)


def _interval(
    axes: Axes, statistic: Mapping[str, Any], at: float, color: str, *, horizontal: bool
) -> None:
    middle = statistic["median"]
    sides = [[middle - statistic["low"]], [statistic["high"] - middle]]
    look: Any = {"color": color, "marker": "o", "markersize": 4, "elinewidth": 1.2, "capsize": 2}
    if horizontal:
        axes.errorbar([middle], [at], xerr=sides, **look)
    else:
        axes.errorbar([at], [middle], yerr=sides, **look)
