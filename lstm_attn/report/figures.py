"""The figures of a grid, and those that studies share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.history import History
from lstm_attn.report.panel import (
    COLORS,
    SIZE_INCHES,
    colors_of,
    dots,
    error_bars,
    line_with_band,
    log_ticks,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.tables import groups

# Time that is not arithmetic is grey.
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


class Line(NamedTuple):
    """One model's trials against a length or a learning rate.

    x: [n], rising.
    records: n of them, with the solve rate, the median of steps to solve and their intervals.
    steps: for each x, the steps to solve of the trials that solve.
    """

    label: str
    x: Sequence[float]
    records: Sequence[Record]
    steps: Sequence[Sequence[float]]


def learning_curves(histories: Mapping[str, History], baseline: float, title: str = "") -> Figure:
    """Loss over baseline against training steps: the median over trials and their range.

    Args:
      histories: label -> the history of a cell; a colour each, in this order.
      baseline: the loss of a model without memory, drawn as a line at 1.
    """

    def draw(axes: Axes) -> None:
        for label, color in colors_of(histories).items():
            history = histories[label]
            ratio = np.where(history.diverged, np.nan, history.metrics["loss"] / baseline)
            line_with_band(axes, history.steps, ratio, color, label)
        reference(axes, "no memory", y=1)
        axes.set(yscale="log", xlabel="training steps", ylabel="loss / baseline")

    return panel(title, draw)


def recall_by_position(
    histories: Mapping[str, History], chance: float | None, title: str = ""
) -> Figure:
    """`accuracy_by_position` of each history at its last evaluation; a diverged trial is left out.

    Args:
      histories: label -> the history of a cell whose task has the metric `accuracy_by_position`.
      chance: the accuracy of a guess, drawn as a line; None for no line.
    """
    accuracies = {
        label: np.where(
            history.diverged[-1][:, None], np.nan, history.metrics["accuracy_by_position"][-1]
        ).T
        for label, history in histories.items()
    }
    return accuracy_by_position(accuracies, colors_of(histories), chance, title)


def accuracy_by_position(
    accuracies: Mapping[str, np.ndarray],
    colors: Mapping[str, str],
    chance: float | None,
    title: str,
) -> Figure:
    """Accuracy against recalled position, a line each: the median over trials and their range.

    Args:
      accuracies: label -> [positions, R].
      colors: label -> colour.
      chance: the accuracy of a guess, drawn as a line; None for no line.
    """

    def draw(axes: Axes) -> None:
        # Lines of models that recall everything coincide: dots side by side tell them apart.
        for shift, (label, accuracy) in zip(
            offsets(len(accuracies), 0.17), accuracies.items(), strict=True
        ):
            positions = np.arange(1, len(accuracy) + 1)
            line_with_band(axes, positions + shift, accuracy, colors[label], label, dots=True)
            axes.set_xticks(positions)
        reference(axes, "no memory", y=chance)
        axes.set(ylim=(0, 1.05), xlabel="recalled position", ylabel="accuracy")

    return panel(title, draw)


def solve_rates(records: Sequence[Record], title: str = "") -> Figure:
    """Solve rate against length, each with its 95 % interval."""
    return panel(title, lambda axes: draw_solve_rates(axes, _by_length(axes, records)))


def steps_to_solve(records: Sequence[Record], title: str = "") -> Figure:
    """Steps to solve against length: the median of the trials that solve, and a dot for each."""
    return panel(title, lambda axes: draw_steps(axes, _by_length(axes, records)))


def draw_solve_rates(axes: Axes, lines: Sequence[Line]) -> None:
    """The solve rates of each line, with their 95 % intervals."""
    for color, shift, line in _side_by_side(lines):
        low, rate, high = (
            [record[f"solve_rate{end}"] for record in line.records] for end in ("_low", "", "_high")
        )
        error_bars(axes, shift * np.array(line.x), low, rate, high, color, line.label)
    axes.set(ylim=(-0.03, 1.03), ylabel="trials that solve")


def draw_steps(axes: Axes, lines: Sequence[Line]) -> None:
    """The median steps to solve of each line, a gap where none solves, and a dot for each trial."""
    for color, shift, line in _side_by_side(lines):
        x = shift * np.array(line.x)
        medians = np.array([record["median_steps_to_solve"] for record in line.records], float)
        axes.plot(x, medians, color=color, label=line.label, linewidth=1.5)
        for place, steps in zip(x, line.steps, strict=True):
            dots(axes, place, steps, color)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("steps to solve")


def seconds_by_part(times: Sequence[Record], title: str = "") -> Figure:
    """A bar for each cell: the seconds of its parts side by side; a negative part is left out.

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


def _by_length(axes: Axes, records: Sequence[Record]) -> list[Line]:
    """A line for each model of the grid; draws their axis of lengths."""
    lengths = {record["length"] for record in records}
    log_ticks(axes, sorted(lengths), "length T (steps to remember over)", 1.25)
    return [
        Line(
            model,
            [record["length"] for record in mine],
            mine,
            [
                [
                    t["steps_to_solve"]
                    for t in record["per_trial"]
                    if t["steps_to_solve"] is not None
                ]
                for record in mine
            ],
        )
        for model, records_of_model in groups(records, "model").items()
        for mine in [sorted(records_of_model, key=lambda record: record["length"])]
    ]


def _side_by_side(lines: Sequence[Line]) -> list[tuple[str, float, Line]]:
    """(colour, factor of x that keeps the points of two lines apart, line)."""
    colors = colors_of(line.label for line in lines)
    factors = 1.06 ** offsets(len(lines))
    return [(colors[line.label], factor, line) for factor, line in zip(factors, lines, strict=True)]
