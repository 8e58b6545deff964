"""How learning rates were chosen: what was tried on the tuning seeds, the window, and the cost."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lstm_attn.report.figures import FORGOTTEN
from lstm_attn.report.panel import colors_of, log_scale, log_ticks, panel, reference
from lstm_attn.report.section import NamedFigure, Section, table
from lstm_attn.report.tables import groups, lengths_in_words, window

Record = Mapping[str, Any]  # of tuning.json
GREATEST = 3.0  # loss / baseline above which points are drawn here


def sections(result: Mapping[str, Any]) -> list[Section]:
    """What was tried for each cell, and what was chosen.

    Args:
      result: cells, as `runner.tune` notes them.
    """
    cells = result["cells"]
    figures = [
        _figure(f"{task}, T = {trained}", f"tuning-{task}-{trained.replace(' ', '')}", mine)
        for (task, shortest, length), mine in groups(cells, "task", "shortest", "length").items()
        for trained in [lengths_in_words(shortest, length)]
    ]
    text = (
        "Loss / baseline at the end of training against the learning rate, on tuning seeds that no "
        "test has: the median over seeds, a line for each model and choice; open points ended "
        "early, as the worse half of the rates. The rate with the lowest median is tested. In all: "
        f"{sum(cell['trials'] for cell in cells):,} trials, "
        f"{sum(cell['seconds'] for cell in cells) / 60:.1f} minutes."
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


def _labels(cells: Sequence[Record]) -> list[str]:
    """The model of each cell; where several have the same, what its cell's name says of it."""
    models = [cell["model"] for cell in cells]
    return [
        model if models.count(model) == 1 else model + cell["cell"].rpartition(model)[2]
        for model, cell in zip(models, cells, strict=True)
    ]


def _figure(title: str, name: str, cells: Sequence[Record]) -> NamedFigure:
    def draw(axes: Axes) -> None:
        rates = {one["learning_rate"] for cell in cells for one in cell["tried"]}
        log_ticks(axes, sorted(rates), "learning rate", 1.4)
        colors = colors_of(cell["model"] for cell in cells)
        lines: Counter[str] = Counter()  # of each model
        for name, cell in zip(_labels(cells), cells, strict=True):
            color = colors[cell["model"]]
            for choice, tried in groups(cell["tried"], "choice").items():
                tried = sorted(tried, key=lambda one: one["learning_rate"])
                x = np.array([one["learning_rate"] for one in tried])
                y = np.array([_forgotten(one) for one in tried])
                label = " ".join(filter(None, (name, choice)))
                style = ("-", "--", ":", "-.")[lines[cell["model"]] % 4]
                lines[cell["model"]] += 1
                axes.plot(x, y, linestyle=style, color=color, linewidth=1.3, label=label)
                for place, height, one in zip(x, y, tried, strict=True):
                    fill = color if one["whole"] else "white"
                    axes.plot(place, height, "o", color=color, markerfacecolor=fill, markersize=4)
        axes.set(ylabel="loss / baseline")
        if any(cell["window"] for cell in cells):  # losses of a text are nearer to one another
            reference(axes, y=1)
            reference(axes, y=FORGOTTEN, linestyle=":")
            log_scale(axes.yaxis)

    return NamedFigure(name, f"loss against learning rate: {title}", panel(title, draw))


def _forgotten(one: Record) -> float:
    found = one["log_forgotten"]
    return GREATEST if found is None else min(math.exp(found), GREATEST)
