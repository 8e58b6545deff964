"""The pictures: one panel each, so that a page can set them side by side or in one column."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.history import History
from lstm_attn.report.panel import (
    COLORS,
    REFERENCE_COLOR,
    SIZE_INCHES,
    colors_of,
    line_with_band,
    panel,
)

RECALL_SHIFT = 0.17  # of a position
# What is not arithmetic is grey.
PART_COLORS = {
    "trace": "#c8c8c8",
    "compile": "#8c8c8c",
    "data": COLORS[5],
    "forward": COLORS[0],
    "backward": COLORS[1],
    "optimiser": COLORS[2],
    "evaluation": COLORS[4],
    "unexplained": "#e8e8e8",
    "host": "#404040",
}
Record = Mapping[str, Any]  # of results.json


def learning_curves(histories: Mapping[str, History], baseline: float, title: str = "") -> Figure:
    """Loss over baseline against steps: the median over trials, and a band from least to greatest.

    Args:
      histories: label -> the history of a cell; one colour each, in this order.
      baseline: the loss of a model without memory, drawn as a line at 1.
    """

    def draw(axes: Axes) -> None:
        for label, color in colors_of(histories).items():
            history = histories[label]
            ratio = np.where(history.diverged, np.nan, history.metrics["loss"] / baseline)
            line_with_band(axes, history.steps, ratio, color, label)
        axes.axhline(1, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="no memory")
        axes.set(yscale="log", xlabel="training steps", ylabel="loss / baseline")

    return panel(title, draw)


def recall_by_position(
    histories: Mapping[str, History], chance: float | None, title: str = ""
) -> Figure:
    """Accuracy by recalled position at the last evaluation: the median over trials, and a band
    from least to greatest.

    Args:
      histories: label -> the history of a cell whose task has the metric `accuracy_by_position`.
      chance: the accuracy of a guess, drawn as a line; None for no line.
    """

    def draw(axes: Axes) -> None:
        # Models that recall everything lie on one line: dots side by side tell them apart.
        shifts = RECALL_SHIFT * (np.arange(len(histories)) - (len(histories) - 1) / 2)
        colors = colors_of(histories)
        for shift, (label, history) in zip(shifts, histories.items(), strict=True):
            color = colors[label]
            accuracy = history.metrics["accuracy_by_position"][-1]  # [R, positions]
            accuracy = np.where(history.diverged[-1][:, None], np.nan, accuracy)
            positions = np.arange(1, accuracy.shape[1] + 1)
            line_with_band(axes, positions + shift, accuracy.T, color, label, dots=True)
            axes.set_xticks(positions)
        if chance is not None:
            axes.axhline(
                chance, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="no memory"
            )
        axes.set(ylim=(0, 1.05), xlabel="recalled position", ylabel="accuracy")

    return panel(title, draw)


def solve_rates(records: Sequence[Record], title: str = "") -> Figure:
    """Solve rate against length, each with its 95 % Wilson interval."""

    def draw(axes: Axes) -> None:
        for color, offset, model, mine in _by_model(records):
            rates = np.array([record["solve_rate"] for record in mine])
            low = rates - [record["solve_rate_low"] for record in mine]
            high = [record["solve_rate_high"] for record in mine] - rates
            lengths = np.array([record["length"] for record in mine]) * offset
            axes.errorbar(
                lengths, rates, np.maximum([low, high], 0), color=color, label=model,
                marker="o", markersize=4, linewidth=1.5, elinewidth=1, capsize=2,
            )  # fmt: skip
        axes.set(ylim=(-0.03, 1.03), ylabel="trials that solve")
        _length_axis(axes, records)

    return panel(title, draw)


def steps_to_solve(records: Sequence[Record], title: str = "") -> Figure:
    """Steps to solve against length: the median of trials that solve, and a dot for each."""

    def draw(axes: Axes) -> None:
        for color, offset, model, mine in _by_model(records):
            solved = [record for record in mine if record["median_steps_to_solve"] is not None]
            lengths = np.array([record["length"] for record in solved]) * offset
            medians = [record["median_steps_to_solve"] for record in solved]
            axes.plot(lengths, medians, color=color, label=model, linewidth=1.5)
            for length, record in zip(lengths, solved, strict=True):
                steps = [trial["steps_to_solve"] for trial in record["per_trial"]]
                dots = [value for value in steps if value is not None]
                axes.plot([length] * len(dots), dots, "o", color=color, markersize=3.5, alpha=0.6)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("steps to solve")
        _length_axis(axes, records)

    return panel(title, draw)


def seconds_by_part(times: Sequence[Record], title: str = "") -> Figure:
    """A bar a grid cell: the seconds of its parts one after another; a negative part is left out.

    Args:
      times: of `RunFolder.times`.
    """

    def draw(axes: Axes) -> None:
        cells = [record["cell"] for record in times]
        left = np.zeros(len(times))
        for part, color in PART_COLORS.items():
            seconds = np.maximum([record["seconds"][part] for record in times], 0)
            axes.barh(cells, seconds, left=left, color=color, label=part, height=0.7)
            left += seconds
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", labelsize=7, length=0)
        axes.set_xlabel("seconds")

    return panel(title, draw, (SIZE_INCHES[0], 1.5 + 0.18 * len(times)))


def _by_model(records: Sequence[Record]) -> Iterable[tuple[str, float, str, list[Record]]]:
    """(colour, factor that keeps points of equal length apart, model, its records by length)."""
    names = list(dict.fromkeys(record["model"] for record in records))
    for index, (name, color) in enumerate(colors_of(names).items()):
        mine = [record for record in records if record["model"] == name]
        offset = 1.06 ** (index - (len(names) - 1) / 2)
        yield color, offset, name, sorted(mine, key=lambda record: record["length"])


def _length_axis(axes: Axes, records: Sequence[Record]) -> None:
    lengths = sorted({record["length"] for record in records})
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.set_xticks([], minor=True)
    axes.set_xlim(lengths[0] / 1.25, lengths[-1] * 1.25)
    axes.set_xlabel("length T (steps to remember over)")
