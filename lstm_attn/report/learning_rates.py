"""The section of learning rates: loss / baseline against the rate, by model, and the windows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lstm_attn.report.figures import FORGOTTEN
from lstm_attn.report.panel import (
    colors_of,
    dots,
    log_scale,
    log_ticks,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.section import NamedFigure, Section, Table
from lstm_attn.report.tables import remembering_and_forgotten, window

GREATEST = 3.0  # loss / baseline above which trials are drawn here, and diverged ones


def sections(result: Mapping[str, Any]) -> list[Section]:
    """A figure of every trial, and a table with a column for each rate."""
    where = f"{result['task']}, T = {result['length']}"
    models = result["models"]
    rates = models[0]["rates"]
    text = (
        "Loss / baseline at the end of training against the peak learning rate: a dot is a trial, "
        f"of {rates[0]['trials']} seeds at each rate and {result['budget']:,} steps; the line "
        f"joins the medians. Trials above {GREATEST:g} and diverged ones are drawn there. "
        "Dotted: 5 %, below which a trial remembers. The table has the trials that remember and "
        "the median at each rate. Window: over how many factors of ten of the rate the median "
        "stays within a factor of two of its best; ≥ where an edge of the rates cuts it."
    )
    title = f"Share forgotten: {where}"

    def draw(axes: Axes) -> None:
        tried = [rate["learning_rate"] for rate in rates]
        log_ticks(axes, tried, "peak learning rate", 1.4)
        factors = 1.06 ** offsets(len(models))
        for factor, model in zip(factors, models, strict=True):
            color = colors_of(m["model"] for m in models)[model["model"]]
            for place, at_rate in zip(factor * np.array(tried), model["rates"], strict=True):
                dots(axes, place, np.array(list(map(_height, at_rate["forgotten"]))), color)
            medians = [_height(at_rate["median_forgotten"]) for at_rate in model["rates"]]
            axes.plot(factor * np.array(tried), medians, color=color, label=model["model"])
        reference(axes, y=1)
        reference(axes, y=FORGOTTEN, linestyle=":")
        log_scale(axes.yaxis)
        axes.set_ylabel("loss / baseline")

    figure = NamedFigure(
        "learning-rates", f"Loss against learning rate: {where}", panel(title, draw)
    )
    columns = [f"{rate['learning_rate']:g}" for rate in rates]
    table = Table(
        ["model", "parameters", *columns, "window"],
        [
            [
                m["model"],
                f"{m['parameters']:,}",
                *map(remembering_and_forgotten, m["rates"]),
                window(m["window"]),
            ]
            for m in models
        ],
    )
    return [Section(f"Learning rates: {where}", text, [figure], [table])]


def _height(forgotten: float | None) -> float:
    return GREATEST if forgotten is None else min(forgotten, GREATEST)
