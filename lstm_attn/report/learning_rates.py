"""What a study of learning rates found: solve rate and steps against the rate, a line a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report import tables
from lstm_attn.report.panel import REFERENCE_COLOR, colors_of, panel
from lstm_attn.report.section import Picture, Section, Table

SHIFT = 1.1  # factor between the points of two models at one rate
RATE = "peak learning rate"


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Two pictures, and a table with a column a rate."""
    where = f"{found['task']}, T = {found['length']}"
    models = found["models"]
    rates = [one["learning_rate"] for one in models[0]["rates"]]
    text = (
        f"Trials that solve within {found['budget']:,} steps, of "
        f"{models[0]['rates'][0]['trials']} seeds at each rate, with the 95 % Wilson interval; "
        f"points are shifted sideways a little. Solved: {found['criterion']}. Steps to solve "
        "are the median over the trials that solve; a dot is a trial."
    )
    pictures = [
        Picture(
            "learning-rate-solved",
            f"Solve rate against learning rate: {where}",
            solve_rate_by_rate(models, f"Solve rate: {where}"),
        ),
        Picture(
            "learning-rate-steps",
            f"Steps to solve against learning rate: {where}",
            steps_by_rate(models, found["budget"], f"Steps to solve: {where}"),
        ),
    ]
    body = [
        [
            model["model"],
            f"{model['parameters']:,}",
            *(f"{tables.count(one)}\n{tables.interval(one)}" for one in model["rates"]),
        ]
        for model in models
    ]
    headings = ["model", "parameters", *(f"{rate:g}" for rate in rates)]
    steps = [
        [
            model["model"],
            "",
            *(
                f"{tables.steps(one)}\n{tables.steps_interval(one)}".strip()
                for one in model["rates"]
            ),
        ]
        for model in models
    ]
    return [
        Section(
            f"Learning rates: {where}",
            text,
            pictures,
            [
                Table(headings, body),
                Table(["median of steps to solve", "", *headings[2:]], steps),
            ],
        )
    ]


def solve_rate_by_rate(models: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Solve rate against learning rate, a line a model, with Wilson intervals."""

    def draw(axes: Axes) -> None:
        for color, shift, model in _shifted(models):
            x = shift * _rates(model)
            low, middle, high = (
                np.array([one[f"solve_rate{end}"] for one in model["rates"]])
                for end in ("_low", "", "_high")
            )
            ends = np.maximum([middle - low, high - middle], 0)
            axes.errorbar(
                x, middle, ends, color=color, label=model["model"],
                marker="o", markersize=4, linewidth=1.5, elinewidth=1, capsize=2,
            )  # fmt: skip
        axes.set(ylim=(-0.03, 1.03), ylabel="trials that solve")
        _rate_axis(axes, models)

    return panel(title, draw)


def steps_by_rate(models: Sequence[Mapping[str, Any]], budget: int, title: str = "") -> Figure:
    """Steps to solve against learning rate: the median of trials that solve, a dot for each."""

    def draw(axes: Axes) -> None:
        for color, shift, model in _shifted(models):
            x = shift * _rates(model)
            medians = [one["median_steps_to_solve"] for one in model["rates"]]
            y = np.array([np.nan if median is None else median for median in medians])
            axes.plot(x, y, color=color, label=model["model"])
            for place, one in zip(x, model["rates"], strict=True):
                dots = one["steps_to_solve"]
                axes.plot([place] * len(dots), dots, "o", color=color, markersize=3.5, alpha=0.6)
        axes.axhline(budget, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="budget")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("steps to solve")
        _rate_axis(axes, models)

    return panel(title, draw)


def _rates(model: Mapping[str, Any]) -> np.ndarray:
    return np.array([one["learning_rate"] for one in model["rates"]])


def _shifted(
    models: Sequence[Mapping[str, Any]],
) -> list[tuple[str, float, Mapping[str, Any]]]:
    """(colour, factor that keeps points of equal rate apart, model)."""
    colors = colors_of(model["model"] for model in models)
    return [
        (colors[model["model"]], SHIFT ** (index - (len(models) - 1) / 2), model)
        for index, model in enumerate(models)
    ]


def _rate_axis(axes: Axes, models: Sequence[Mapping[str, Any]]) -> None:
    rates = _rates(models[0])
    axes.set_xscale("log")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.set_xticks([], minor=True)
    axes.set_xlim(rates[0] / 1.4, rates[-1] * 1.4)
    axes.set_xlabel(RATE)
