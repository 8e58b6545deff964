"""The figures of benchmarks."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.record import Row, by_case, grouped
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, STYLE

OURS_COLOR, PEER_COLOR = COLORS[0], COLORS[1]
PANEL_WIDTH, LINE_HEIGHT = 3.4, 0.24
LEGEND_COLUMNS = 4
MEBIBYTE = 2**20
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FLOOR = "floor"


def bars_by_case(record: dict[str, Any]) -> Figure:
    """One panel a case: medians and quartiles of all contenders, and the floor."""
    cases = by_case(record["rows"])
    names = list(dict.fromkeys(row["name"] for row in record["rows"]))

    def draw(axes: Axes, title: str) -> None:
        _time_bars(axes, cases[title], names)
        axes.set_title(title.replace(", B=", "\nB="))

    return _panels(
        cases, draw, columns=3, width=PANEL_WIDTH, height=1.1 + LINE_HEIGHT * len(names),
        left=1.8, share_y=True,
    )  # fmt: skip


def distances_by_contender(record: dict[str, Any]) -> Figure:
    """One panel a cell and direction: time over the floor by contender, one marker a shape."""
    groups = grouped(record["rows"], lambda row: f"{row['cell']}, {row['direction']}")
    shapes = list(dict.fromkeys(sizes_of(row) for row in record["rows"]))
    most = max(len({row["name"] for row in rows}) for rows in groups.values())

    def draw(axes: Axes, title: str) -> None:
        _distances(axes, groups[title], shapes)
        axes.set_title(title)

    return _panels(
        groups, draw, columns=2, width=4.6, height=1.1 + LINE_HEIGHT * most, left=1.2, share_x=True
    )


def memory_and_time(record: dict[str, Any]) -> Figure:
    """Two panels a case: memory above the inputs, and time."""
    cases = by_case(record["rows"])
    most = max(len(rows) for rows in cases.values())

    def draw(axes: Axes, panel: tuple[str, str]) -> None:
        title, kind = panel
        names = [row["name"] for row in cases[title]]
        if kind == "memory":
            _memory_bars(axes, cases[title], names)
            axes.set_title(title)
        else:
            _time_bars(axes, cases[title], names)
            axes.set_yticklabels([])

    groups = [(title, kind) for title in cases for kind in ("memory", "time")]
    return _panels(groups, draw, columns=2, width=4.5, height=1.0 + LINE_HEIGHT * most)


Group = TypeVar("Group")


def _panels(
    groups: Collection[Group],
    draw: Callable[[Axes, Group], None],
    *,
    columns: int,
    width: float,
    height: float,
    left: float = 0.0,
    share_x: bool = False,
    share_y: bool = False,
) -> Figure:
    """A grid of panels of that many inches, one a group, with one legend for all below."""
    columns = min(columns, len(groups))
    lines = math.ceil(len(groups) / columns)
    with rc_context(STYLE):
        size = (left + width * columns, height * lines + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharex=share_x, sharey=share_y)
        panels = list(grid.flat)
        for axes, group in zip(panels, groups, strict=False):
            draw(axes, group)
        for axes in panels[len(groups) :]:
            axes.remove()
        figure.legend(*legend(figure), loc="outside lower center", ncols=LEGEND_COLUMNS)
    return figure


def tokens_by_room(record: dict[str, Any]) -> Figure:
    """One panel a batch size: tokens a second against the positions that there is room for."""
    groups = grouped(record["rows"], lambda row: f"batch {row['batch']}")

    def tokens(row: Row) -> float:
        return row["batch"] / row["median_seconds"]

    return _lines(groups, "room", "positions that there is room for", tokens, "tokens a second")


def attention_by_length(record: dict[str, Any]) -> Figure:
    """One panel a direction, mask and batch size: time against length, and the floor."""

    def title(row: Row) -> str:
        return f"{row['direction']}{', causal' if row['is_causal'] else ''}, B={row['batch']}"

    floors = [{**r, "name": FLOOR, "median_seconds": r["floor_seconds"]} for r in record["rows"]]
    groups = grouped([*record["rows"], *floors], title)

    def milliseconds(row: Row) -> float:
        return 1e3 * row["median_seconds"]

    return _lines(groups, "length", "length T", milliseconds, "ms")


def _lines(
    groups: dict[str, list[Row]],
    at: str,
    x_label: str,
    value: Callable[[Row], float],
    y_label: str,
) -> Figure:
    """One panel a group: value(row) against row[at], one line a contender."""
    rows = [row for group in groups.values() for row in group]
    names = [name for name in dict.fromkeys(row["name"] for row in rows) if name != FLOOR]

    def draw(axes: Axes, title: str) -> None:
        for name, mine in grouped(groups[title], lambda row: row["name"]).items():
            mine = sorted(mine, key=lambda row: row[at])
            points = [row[at] for row in mine], [value(row) for row in mine]
            if name == FLOOR:
                axes.plot(*points, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=name)
                continue
            index = names.index(name)
            # Lines of equal values cover each other: markers of falling size tell them apart.
            axes.plot(
                *points, color=COLORS[index], label=name, linewidth=1.4, marker=MARKERS[index],
                markersize=8 - 1.2 * index, markerfacecolor="none",
            )  # fmt: skip
        _log_axes(axes, sorted({row[at] for row in groups[title]}))
        axes.set(title=title, xlabel=x_label, ylabel=y_label)

    return _panels(groups, draw, columns=4, width=3.6, height=3.0)


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
            color=COLORS[index % len(COLORS)], marker=MARKERS[index % len(MARKERS)], markersize=6,
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
    """Handles and labels of the figure, every label once."""
    shown: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    return list(shown.values()), list(shown)
