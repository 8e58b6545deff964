"""The figures of a grid, and those that studies share."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from lstm_attn.history import History
from lstm_attn.report.panel import (
    COLORS,
    SIZE_INCHES,
    colors_of,
    dots,
    error_bars,
    line_with_band,
    log_scale,
    log_ticks,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.tables import groups

FORGOTTEN = 0.05  # of the baseline: a trial that remembers forgets at most this share
LEAST_SHARE = -0.1  # where shares below it are drawn
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
    """One model's records against length: x [n], rising, and n records."""

    label: str
    x: Sequence[float]
    records: Sequence[Record]


def learning_curves(histories: Mapping[str, History], baseline: float, title: str = "") -> Figure:
    """Loss over baseline against training steps: a thin line for each trial.

    Args:
      histories: label -> the history of a cell; a colour each, in this order.
      baseline: the loss of a model without memory, drawn as a line at 1.
    """

    def draw(axes: Axes) -> None:
        for label, color in colors_of(histories).items():
            history = histories[label]
            ratio = np.where(history.diverged, np.nan, history.metrics["loss"] / baseline)
            axes.plot(history.steps, ratio, color=color, linewidth=0.7, alpha=0.6)
            axes.plot([], [], color=color, label=label)
        reference(axes, y=FORGOTTEN, linestyle=":")
        reference(axes, "no memory", y=1)
        log_scale(axes.yaxis)
        axes.set(xlabel="training steps", ylabel="loss / baseline")

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


def share_remembered(records: Sequence[Record], title: str = "") -> Figure:
    """1 - loss / baseline at the end of each trial against length; a diverged one at 0."""

    def draw(axes: Axes) -> None:
        for color, shift, line in _side_by_side(_by_length(axes, records)):
            for place, record in zip(shift * np.array(line.x), line.records, strict=True):
                shares = [trial["share_remembered"] or 0.0 for trial in record["per_trial"]]
                dots(axes, place, np.maximum(shares, LEAST_SHARE), color)
            axes.plot([], [], "o", color=color, markersize=3.5, label=line.label)
        reference(axes, "remembers", y=1 - FORGOTTEN)
        axes.set(ylim=(LEAST_SHARE - 0.03, 1.03), ylabel="share remembered")

    return panel(title, draw)


def remember_rates(records: Sequence[Record], title: str = "") -> Figure:
    """The rate of trials that remember against length, each with its 95 % interval."""

    def draw(axes: Axes) -> None:
        for color, shift, line in _side_by_side(_by_length(axes, records)):
            low, rate, high = (
                [record[f"remember_rate{end}"] for record in line.records]
                for end in ("_low", "", "_high")
            )
            x = shift * np.array(line.x)
            error_bars(axes, x, low, rate, high, color, line.label, joined=False)
        reference(axes, y=0.5)
        axes.set(ylim=(-0.03, 1.03), ylabel="trials that remember")

    return panel(title, draw)


def survival(records: Sequence[Record], title: str = "") -> Figure:
    """The share of trials that do not remember yet against steps: the Kaplan-Meier curve of each
    record. Trials that never do are censored where their cell's training ended, with a bar. Curves
    are drawn two points apart, so that equal ones can be seen."""

    def draw(axes: Axes) -> None:
        colors = colors_of(record["model"] for record in records)
        points = offsets(len(records), 2 / 72)  # of an inch
        for record, up in zip(records, points, strict=True):
            place = axes.transData + ScaledTranslation(0, up, axes.figure.dpi_scale_trans)
            ends = sorted(
                trial["steps_to_remember"]
                for trial in record["per_trial"]
                if trial["steps_to_remember"] is not None
            )
            trials, color, budget = record["trials"], colors[record["model"]], budget_of(record)
            left = 1 - np.arange(len(ends) + 1) / trials
            x, y = [0.0, *ends, budget], [*left, left[-1]]
            look: dict[str, Any] = {"color": color, "transform": place}
            axes.step(x, y, where="post", linewidth=1.5, label=record["model"], **look)
            if len(ends) < trials:
                axes.plot(budget, left[-1], "|", markersize=9, markeredgewidth=1.5, **look)
        axes.set(
            ylim=(-0.03, 1.03), xlabel="training steps", ylabel="trials that do not remember yet"
        )
        axes.set_xlim(0, 1.04 * max(map(budget_of, records)))

    return panel(title, draw)


def budget_of(record: Record) -> int:
    """The steps that each trial of the record had."""
    return record["training_config"]["steps"]


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
        Line(model, [record["length"] for record in mine], mine)
        for model, records_of_model in groups(records, "model").items()
        for mine in [sorted(records_of_model, key=lambda record: record["length"])]
    ]


def _side_by_side(lines: Sequence[Line]) -> list[tuple[str, float, Line]]:
    """(colour, factor of x that keeps the points of two lines apart, line)."""
    colors = colors_of(line.label for line in lines)
    factors = 1.06 ** offsets(len(lines))
    return [(colors[line.label], factor, line) for factor, line in zip(factors, lines, strict=True)]
