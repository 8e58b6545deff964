"""Figures of language models: bits per byte, differences, training, and memory on text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.differences import Row, rows
from lstm_attn.report.panel import (
    COLORS,
    dots,
    error_bars,
    line_with_band,
    panels,
    reference,
)
from lstm_attn.report.tables import NONE

Model = Mapping[str, Any]  # one of language_model.json
Point = Mapping[str, Any]  # a mean with the ends of its interval; null where a trial diverged
LOSS = "loss, bits per token"
FALL = "fall, bits per token"


def bits(axes: Axes, models: Sequence[Model], colors: Mapping[str, str]) -> None:
    """The mean of each model with its interval, and a dot for each seed."""
    for place, model in enumerate(models):
        found, color = model["bits_per_byte"], colors[model["model"]]
        low, mean, high = (np.array([found[key]], float) for key in ("low", "mean", "high"))
        error_bars(axes, [place], low, mean, high, color, joined=False)
        dots(axes, place + 0.18, np.array(found["by_seed"], float), color)
    names = [model["model"] for model in models]
    axes.set_xticks(range(len(models)), names, parse_math=False)
    axes.set_xlim(-0.5, len(models) - 0.5)
    axes.set_ylabel("bits per byte of the test text")


def differences(pairs: Sequence[Mapping[str, Any]]) -> Figure:
    """A row for each two models, in colour where the interval excludes 0."""

    def row(pair: Mapping[str, Any]) -> Row:
        mean, low, high = (pair[key] for key in ("mean", "low", "high"))
        excludes_0 = low is not None and high is not None and not low <= 0 <= high
        name = f"{pair['second']} minus {pair['first']}"
        if mean is None:
            return Row(name, np.nan, None, None, NONE, False)
        return Row(name, mean, low, high, f"{mean:+.3f}", excludes_0)

    return rows(
        "Differences of bits per byte",
        "bits per byte (95 % interval)",
        list(map(row, pairs)),
        COLORS[0],
        (0, "equal"),
    )


def curves(axes: Axes, models: Sequence[Model], colors: Mapping[str, str]) -> None:
    """Validation loss by step, the median and the range of seeds."""
    for model in models:
        steps = np.array([point["step"] for point in model["curve"]])
        losses = np.array([point["bits"] for point in model["curve"]], float)
        line_with_band(axes, steps, losses, colors[model["model"]], model["model"])
    axes.set(xlabel="training step", ylabel="validation " + LOSS)


def contexts(axes: Axes, models: Sequence[Model], length: int, colors: Mapping[str, str]) -> None:
    for model in models:
        points = model["by_context"]
        lengths = [point["context"] for point in points]
        losses = np.array([point["mean"] for point in points], float)
        color = colors[model["model"]]
        axes.plot(lengths, losses, "o-", color=color, markersize=4, label=model["model"])
        for context, point in zip(lengths, points, strict=True):
            dots(axes, context, np.array(point["by_seed"], float), color)
    reference(axes, x=length)
    # Beyond the trained length a loss may be many times higher; it would flatten all others.
    within = [
        point["mean"]
        for model in models
        for point in model["by_context"]
        if point["context"] <= length and point["mean"] is not None
    ]
    if within:
        low, high = min(within), max(within)
        axes.set_ylim(low - 0.1 * (high - low) - 0.01, high + (high - low) + 0.01)
    _in_powers_of_two(axes)
    axes.set(xlabel="context, tokens (dashed: a training segment)", ylabel=LOSS)


def _in_powers_of_two(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def memory(model: Model, result: Mapping[str, Any], color: str) -> Figure:
    """Loss by position, its fall with more context, and its fall for a repeated passage."""

    def draw(
        x: Sequence[float], points: Sequence[Point], level: float, xlabel: str, ylabel: str
    ) -> Any:
        def on(axes: Axes) -> None:
            low, mean, high = (
                np.array([point[key] for point in points], float) for key in ("low", "mean", "high")
            )
            error_bars(axes, x, low, mean, high, color)
            for place, point in zip(x, points, strict=True):
                dots(axes, place, np.array(point["by_seed"], float), color)
            reference(axes, y=level)
            _in_powers_of_two(axes)
            axes.set(xlabel=xlabel, ylabel=ylabel)

        return on

    name, bins = model["model"], model["by_position"]
    contexts, passages = model["by_context"], model["induction"]
    position = draw(
        [np.sqrt(point["first"] * point["last"]) for point in bins],
        bins,
        result["baseline_bits"],
        "position in a window that begins without memory, tokens",
        LOSS,
    )
    context = draw(
        [point["context"] for point in contexts],
        [point["fall"] for point in contexts],
        0,
        "context, tokens",
        FALL,
    )
    induction = draw(
        [point["distance"] for point in passages],
        passages,
        0,
        f"distance to the first occurrence of the {result['passage']} tokens, tokens",
        FALL,
    )
    return panels(
        [
            (f"{name}: loss by position", position),
            (f"{name}: fall with more context", context),
            (f"{name}: fall at a repetition", induction),
        ]
    )
