"""The figures of the benchmarks."""

import math
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.comparison import Row, by_case
from lstm_attn.report.figures import COLORS, REFERENCE_COLOR, STYLE

OURS_COLOR, PEER_COLOR = COLORS[0], COLORS[1]
PANEL_WIDTH, LINE_HEIGHT = 3.4, 0.24
MOST_COLUMNS = 3


def bars_by_case(record: dict[str, Any]) -> Figure:
    """A panel a case: a line a contender with its median and quartiles, and the floor."""
    cases = by_case(record["rows"])
    names = list(dict.fromkeys(row["name"] for row in record["rows"]))
    columns = min(MOST_COLUMNS, len(cases))
    lines = math.ceil(len(cases) / columns)
    size = (1.8 + PANEL_WIDTH * columns, (1.1 + LINE_HEIGHT * len(names)) * lines + 0.4)
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(lines, columns, squeeze=False, sharey=True).flat
        for axes, (title, rows) in zip(panels, cases.items(), strict=False):
            _bars(axes, title, rows, names)
        for axes in list(panels)[len(cases) :]:
            axes.remove()
        figure.legend(*axes_legend(figure), loc="outside lower center", ncols=3)
    return figure


def _bars(axes: Axes, title: str, rows: list[Row], names: list[str]) -> None:
    for row in rows:
        place = names.index(row["name"])
        times = [1e3 * row[f"{kind}_seconds"]
                 for kind in ("median", "lower_quartile", "upper_quartile")]  # fmt: skip
        color = OURS_COLOR if row["is_ours"] else PEER_COLOR
        label = "ours" if row["is_ours"] else "other libraries"
        axes.barh(place, times[0], color=color, height=0.7, label=label)
        axes.plot(times[1:], [place, place], color="black", linewidth=1.2, label="quartiles")
        axes.annotate(
            f" {times[0]:.3g}", (max(times), place), va="center", fontsize=7, color="#333333"
        )
    floor = 1e3 * rows[0]["floor_seconds"]
    axes.axvline(floor, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="floor")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max(1e3 * row["upper_quartile_seconds"] for row in rows))
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="ms a step", title=title)


def axes_legend(figure: Figure) -> tuple[list, list]:
    """Every label of the figure once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
