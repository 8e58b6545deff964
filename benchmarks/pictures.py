"""The figures of the benchmarks."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.record import Row, by_case
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, STYLE

OURS_COLOR, PEER_COLOR = COLORS[0], COLORS[1]
PANEL_WIDTH, LINE_HEIGHT = 3.4, 0.24
MOST_COLUMNS = 3
MEBIBYTE = 2**20
MARKS = ("o", "s", "^", "D", "v", "P", "X")
FLOOR = "floor"


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


def distances_by_contender(record: dict[str, Any]) -> Figure:
    """A panel a cell and direction: times of the floor, a line a contender, a mark a shape."""
    groups = list(dict.fromkeys((row["cell"], row["direction"]) for row in record["rows"]))
    shapes = list(dict.fromkeys(sizes_of(row) for row in record["rows"]))
    most = max(len({r["name"] for r in record["rows"] if r["cell"] == cell}) for cell, _ in groups)
    columns = min(2, len(groups))
    lines = math.ceil(len(groups) / columns)
    size = (1.2 + 4.6 * columns, (1.1 + LINE_HEIGHT * most) * lines + 0.6)
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        panels = list(figure.subplots(lines, columns, squeeze=False, sharex=True).flat)
        for axes, group in zip(panels, groups, strict=False):
            rows = [r for r in record["rows"] if (r["cell"], r["direction"]) == group]
            _distances(axes, rows, shapes)
            axes.set_title(", ".join(group))
        for axes in panels[len(groups) :]:
            axes.remove()
        figure.legend(*legend(figure), loc="outside lower center", ncols=3)
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
    groups = {f"batch {row['batch']}": ("batch", row["batch"]) for row in record["rows"]}

    def tokens(row: Row) -> float:
        return row["batch"] / row["median_seconds"]

    return _lines(record["rows"], groups, "room", "positions that there is room for",
                  tokens, "tokens a second")  # fmt: skip


def attention_by_length(record: dict[str, Any]) -> Figure:
    """A panel a direction, mask and batch size: time against length, and the floor."""
    rows = []
    for row in record["rows"]:
        causal = ", causal" if row["is_causal"] else ""
        rows.append({**row, "panel": f"{row['direction']}{causal}, B={row['batch']}"})
    groups = {row["panel"]: ("panel", row["panel"]) for row in rows}
    floors = [{**row, "name": FLOOR, "median_seconds": row["floor_seconds"]} for row in rows]

    def milliseconds(row: Row) -> float:
        return 1e3 * row["median_seconds"]

    return _lines([*rows, *floors], groups, "length", "length T", milliseconds, "ms")


def _lines(
    rows: Sequence[Row],
    groups: dict[str, tuple[str, Any]],
    at: str,
    x_label: str,
    value: Callable[[Row], float],
    y_label: str,
) -> Figure:
    """A panel for each title of groups, of the rows that have this value of this key; in it a line
    a contender."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    columns = min(4, len(groups))
    lines = math.ceil(len(groups) / columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 3 * lines + 0.5), layout="constrained")
        panels = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axes, (title, (key, wanted)) in zip(panels, groups.items(), strict=False):
            shown = [row for row in rows if row[key] == wanted]
            for index, name in enumerate(names):
                mine = sorted((r for r in shown if r["name"] == name), key=lambda row: row[at])
                points = [row[at] for row in mine], [value(row) for row in mine]
                if name == FLOOR:
                    axes.plot(
                        *points, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=name
                    )
                else:
                    # Lines of equal values lie on each other: the marks tell them apart.
                    axes.plot(
                        *points, color=COLORS[index], label=name, linewidth=1.4,
                        marker=MARKS[index], markersize=8 - 1.2 * index, markerfacecolor="none",
                    )  # fmt: skip
            _log_axes(axes, sorted({row[at] for row in shown}))
            axes.set(title=title, xlabel=x_label, ylabel=y_label)
        for axes in panels[len(groups) :]:
            axes.remove()
        figure.legend(*legend(figure), loc="outside lower center", ncols=6)
    return figure


def _log_axes(axes: Axes, places: Sequence[int]) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _distances(axes: Axes, rows: Sequence[Row], shapes: list[str]) -> None:
    names = list(dict.fromkeys(row["name"] for row in rows))
    for row in rows:
        index = shapes.index(sizes_of(row))
        axes.plot(
            row["distance"], names.index(row["name"]), linestyle="none",
            color=COLORS[index % len(COLORS)], marker=MARKS[index % len(MARKS)], markersize=6,
            markerfacecolor="none", markeredgewidth=1.4, label=shapes[index],
        )  # fmt: skip
    axes.axvline(1, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=FLOOR)
    _name_lines(axes, names)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        mine = next(row for row in rows if row["name"] == name)
        label.set_fontweight("bold" if mine["is_ours"] else "normal")
    axes.set(xscale="log", xlabel="time over the floor")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelbottom=True)


def sizes_of(row: Row) -> str:
    """The shape of a recurrent case."""
    return f"B={row['batch']} T={row['length']} D={row['inputs']} H={row['features']}"


def _time_bars(axes: Axes, rows: Sequence[Row], names: list[str]) -> None:
    largest = max(1e3 * row["upper_quartile_seconds"] for row in rows)
    for row in rows:
        place = names.index(row["name"])
        quartiles = [1e3 * row[f"{kind}_quartile_seconds"] for kind in ("lower", "upper")]
        _bar(axes, place, 1e3 * row["median_seconds"], row["is_ours"], at=quartiles[1])
        axes.plot(quartiles, [place, place], color="black", linewidth=1.2, label="quartiles")
    floor = 1e3 * min(row["floor_seconds"] for row in rows)
    axes.axvline(floor, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=FLOOR)
    _name_lines(axes, names)
    axes.set_xlim(0, 1.2 * largest)
    axes.set_xlabel("ms a step")


def _memory_bars(axes: Axes, rows: Sequence[Row], names: list[str]) -> None:
    known = [row for row in rows if row["peak_bytes"] is not None]
    for row in known:
        size = row["peak_bytes"] / MEBIBYTE
        _bar(axes, names.index(row["name"]), size, row["is_ours"], at=size)
    _name_lines(axes, names)
    largest = max((row["peak_bytes"] / MEBIBYTE for row in known), default=0)
    axes.set_xlim(0, 1.2 * max(largest, 1))
    axes.set_xlabel("MiB above the inputs")


def _bar(axes: Axes, place: int, value: float, is_ours: bool, *, at: float) -> None:
    color = OURS_COLOR if is_ours else PEER_COLOR
    label = "ours" if is_ours else "other libraries"
    axes.barh(place, value, color=color, height=0.7, label=label)
    axes.annotate(
        f" {value:.3g}" if value < 1000 else f" {value:,.0f}",
        (max(value, at), place), va="center", fontsize=7, color="#333333",
    )  # fmt: skip


def _name_lines(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def legend(figure: Figure) -> tuple[list, list]:
    """Every label of the figure once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
