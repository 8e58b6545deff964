"""How learning rates were chosen: what was tried on the tuning seeds, the window, and the cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lstm_attn.report.figures import FORGOTTEN
from lstm_attn.report.panel import colors_of, log_ticks, panel, reference
from lstm_attn.report.section import NamedFigure, Section, table
from lstm_attn.report.tables import groups, window

Record = Mapping[str, Any]  # of tuning.json
GREATEST = 3.0  # loss / baseline above which points are drawn here


def sections(result: Mapping[str, Any]) -> list[Section]:
    """What was tried for each cell, and what was chosen.

    Args:
      result: cells, as `runner.tune` notes them.
    """
    cells = result["cells"]
    figures = [
        _figure(f"{task}, T = {length}", f"tuning-{task}-{length}", mine)
        for (task, length), mine in groups(cells, "task", "length").items()
    ]
    text = (
        "Loss / baseline at the end of training against the learning rate, on tuning seeds that no "
        "test has: the median over seeds, a line for each model and choice; open points ended at a "
        "quarter of the steps. The rate with the lowest median is tested."
    )
    if any(cell["window"] for cell in cells):
        text += (
            " Window: how many factors of ten of the rate stay within a factor of two of the best; "
            "≥ where it reaches the edge of what was tried."
        )
    shown = table(
        cells,
        {
            "cell": lambda cell: cell["cell"],
            "chosen": lambda cell: ", ".join(
                filter(None, (f"{cell['learning_rate']:g}", cell["choice"]))
            ),
            "window": lambda cell: window(cell["window"]),
            "trials": lambda cell: str(cell["trials"]),
            "steps": lambda cell: f"{cell['steps']:,}",
            "seconds": lambda cell: f"{cell['seconds']:.0f}",
        },
    )
    return [Section("Tuning", text, figures, [shown])]


def _figure(title: str, name: str, cells: Sequence[Record]) -> NamedFigure:
    def draw(axes: Axes) -> None:
        rates = {one["learning_rate"] for cell in cells for one in cell["tried"]}
        log_ticks(axes, sorted(rates), "learning rate", 1.4)
        colors = colors_of(cell["model"] for cell in cells)
        for cell in cells:
            for number, (choice, tried) in enumerate(groups(cell["tried"], "choice").items()):
                tried = sorted(tried, key=lambda one: one["learning_rate"])
                x = np.array([one["learning_rate"] for one in tried])
                y = np.array([_forgotten(one) for one in tried])
                color, label = (
                    colors[cell["model"]],
                    " ".join(filter(None, (cell["model"], choice))),
                )
                style = ("-", "--", ":", "-.")[number % 4]
                axes.plot(x, y, linestyle=style, color=color, linewidth=1.3, label=label)
                for place, height, one in zip(x, y, tried, strict=True):
                    fill = color if one["whole"] else "white"
                    axes.plot(place, height, "o", color=color, markerfacecolor=fill, markersize=4)
        axes.set(ylabel="loss / baseline")
        if any(cell["window"] for cell in cells):  # losses of a text are nearer to one another
            reference(axes, y=1)
            reference(axes, y=FORGOTTEN, linestyle=":")
            axes.set(yscale="log")

    return NamedFigure(name, f"loss against learning rate: {title}", panel(title, draw))


def _forgotten(one: Record) -> float:
    found = one["log_forgotten"]
    return GREATEST if found is None else min(math.exp(found), GREATEST)
