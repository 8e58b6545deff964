"""The figures of the benchmarks."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.comparison import Row, by_case
from lstm_attn.report.figures import COLORS, REFERENCE_COLOR, STYLE

OURS_COLOR, PEER_COLOR = COLORS[0], COLORS[1]
PANEL_WIDTH, LINE_HEIGHT = 3.4, 0.24
MOST_COLUMNS = 3
MEBIBYTE = 2**20


def bars_by_case(record: dict[str, Any]) -> Figure:
    """A panel a case: a line a contender with its median and quartiles, and the floor."""
    cases = by_case(record["rows"])
    names = list(dict.fromkeys(row["name"] for row in record["rows"]))
    columns = min(MOST_COLUMNS, len(cases))
    lines = math.ceil(len(cases) / columns)
    size = (1.8 + PANEL_WIDTH * columns, (1.1 + LINE_HEIGHT * len(names)) * lines + 0.4)
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = list(figure.subplots(lines, columns, squeeze=False, sharey=True).flat)
        for axes, (title, rows) in zip(panels, cases.items(), strict=False):
            _time_bars(axes, rows, names)
            axes.set_title(title.replace(", B=", "\nB="))
        for axes in panels[len(cases) :]:
            axes.remove()
        figure.legend(*legend(figure), loc="outside lower center", ncols=4)
    return figure


def memory_and_time(record: dict[str, Any]) -> Figure:
    """A line of two panels a case: memory above the inputs, and time."""
    cases = by_case(record["rows"])
    most = max(len(rows) for rows in cases.values())
    size = (9.0, (1.0 + LINE_HEIGHT * most) * len(cases) + 0.4)
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(cases), 2, squeeze=False)
        for (left, right), (title, rows) in zip(panels, cases.items(), strict=True):
            names = [row["name"] for row in rows]
            _memory_bars(left, rows, names)
            _time_bars(right, rows, names)
            right.set_yticklabels([])
            left.set_title(title)
        figure.legend(*legend(figure), loc="outside lower center", ncols=4)
    return figure


def tokens_by_room(record: dict[str, Any]) -> Figure:
    """A panel a batch size: tokens a second against the positions that there is room for."""
    batches = sorted({row["batch"] for row in record["rows"]})
    names = list(dict.fromkeys(row["name"] for row in record["rows"]))
    rooms = sorted({row["room"] for row in record["rows"]})
    with rc_context(STYLE):
        figure = Figure(figsize=(4 * len(batches), 3.4), layout="constrained")
        for axes, batch in zip(
            figure.subplots(1, len(batches), squeeze=False)[0], batches, strict=True
        ):
            for color, name in zip(COLORS, names, strict=False):
                mine = [r for r in record["rows"] if (r["name"], r["batch"]) == (name, batch)]
                mine.sort(key=lambda row: row["room"])
                tokens = [batch / row["median_seconds"] for row in mine]
                axes.plot([r["room"] for r in mine], tokens, "o-", color=color, label=name)
            axes.set(xscale="log", yscale="log", xlabel="positions that there is room for")
            axes.set_xticks(rooms, [f"{room:,}" for room in rooms])
            axes.set_xticks([], minor=True)
            axes.set_title(f"batch {batch}")
        figure.axes[0].set_ylabel("tokens a second")
        figure.legend(*legend(figure), loc="outside lower center", ncols=4)
    return figure


def _time_bars(axes: Axes, rows: Sequence[Row], names: list[str]) -> None:
    largest = max(1e3 * row["upper_quartile_seconds"] for row in rows)
    for row in rows:
        place = names.index(row["name"])
        quartiles = [1e3 * row[f"{kind}_quartile_seconds"] for kind in ("lower", "upper")]
        _bar(axes, place, 1e3 * row["median_seconds"], row["is_ours"], at=quartiles[1])
        axes.plot(quartiles, [place, place], color="black", linewidth=1.2, label="quartiles")
    floor = 1e3 * min(row["floor_seconds"] for row in rows)
    axes.axvline(floor, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="floor")
    _name_lines(axes, names, largest)
    axes.set_xlabel("ms a step")


def _memory_bars(axes: Axes, rows: Sequence[Row], names: list[str]) -> None:
    known = [row for row in rows if row["peak_bytes"] is not None]
    for row in known:
        size = row["peak_bytes"] / MEBIBYTE
        _bar(axes, names.index(row["name"]), size, row["is_ours"], at=size)
    _name_lines(axes, names, max((row["peak_bytes"] / MEBIBYTE for row in known), default=1))
    axes.set_xlabel("MiB above the inputs")


def _bar(axes: Axes, place: int, value: float, is_ours: bool, *, at: float) -> None:
    color = OURS_COLOR if is_ours else PEER_COLOR
    label = "ours" if is_ours else "other libraries"
    axes.barh(place, value, color=color, height=0.7, label=label)
    axes.annotate(
        f" {value:.3g}" if value < 1000 else f" {value:,.0f}",
        (max(value, at), place), va="center", fontsize=7, color="#333333",
    )  # fmt: skip


def _name_lines(axes: Axes, names: list[str], largest: float) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * max(largest, 1e-9))
    axes.grid(visible=False, axis="y")


def legend(figure: Figure) -> tuple[list, list]:
    """Every label of the figure once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
