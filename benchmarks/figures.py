"""The figures of comparisons: bars of all contenders by case, and lines against a size."""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.sections import MEBIBYTE, Record, Row
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, STYLE, log_ticks, reference
from lstm_attn.report.tables import groups, names

OURS_COLOR, PEER_COLOR = COLORS[0], COLORS[1]
PANEL_WIDTH, LINE_HEIGHT = 3.4, 0.24
LEGEND_COLUMNS = 4
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
FLOOR = "floor"
Group = TypeVar("Group")


def time_by_case(record: Record) -> Figure:
    """One panel a layer's case: milliseconds of all contenders, and the floor where it is known."""
    return _bars_by_case([row for row in record["rows"] if "cell" in row], _time_bars)


def distance_by_case(record: Record) -> Figure:
    """One panel a case: time of all contenders over the floor."""
    return _bars_by_case(record["rows"], _distance_bars)


def memory_and_time(record: Record) -> Figure:
    """Two panels a case: memory above the inputs, and time."""
    cases = groups(record["rows"], "case")
    most = max(len(rows) for rows in cases.values())

    def draw(axes: Axes, panel: tuple[str, bool]) -> None:
        title, is_memory = panel
        contenders = names(cases[title], "name")
        if is_memory:
            known = [row for row in cases[title] if row["peak_bytes"] is not None]
            sizes = [row["peak_bytes"] / MEBIBYTE for row in known]
            _bars(axes, known, contenders, sizes, "MiB above the inputs")
            axes.set_title(title)
        else:
            _time_bars(axes, cases[title], contenders)
            axes.set_yticklabels([])

    chosen = [(title, is_memory) for title in cases for is_memory in (True, False)]
    return _panels(chosen, draw, columns=2, width=4.5, height=1.0 + LINE_HEIGHT * most)


def tokens_by_room(record: Record) -> Figure:
    """One panel a batch size: tokens a second against the most positions of a sequence."""
    rows = [
        {**row, "panel": f"batch {row['batch']}", "y": row["batch"] / row["median_seconds"]}
        for row in record["rows"]
    ]
    return _lines(rows, "room", "most positions of a sequence", "tokens a second")


def attention_by_length(record: Record) -> Figure:
    """One panel a direction, mask, batch size and heads: time against length, and the floor."""
    rows = []
    for row in record["rows"]:
        mask = ", causal" if row["is_causal"] else ""
        sizes = f"B={row['batch']} N={row['heads']} K={row['features']}"
        placed = {**row, "panel": f"{row['direction']}{mask}, {sizes}"}
        rows += [
            {**placed, "y": 1e3 * row["median_seconds"]},
            {**placed, "y": 1e3 * row["floor_seconds"], "name": FLOOR},
        ]
    return _lines(rows, "length", "length T", "ms")


def _lines(rows: Sequence[Row], at: str, x_label: str, y_label: str) -> Figure:
    """One panel for each value of "panel": "y" against row[at], one line a contender."""
    panels = groups(rows, "panel")
    contenders = [name for name in names(rows, "name") if name != FLOOR]

    def draw(axes: Axes, title: str) -> None:
        for name, mine in groups(panels[title], "name").items():
            mine = sorted(mine, key=lambda row: row[at])
            points = [row[at] for row in mine], [row["y"] for row in mine]
            if name == FLOOR:
                axes.plot(*points, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label=name)
                continue
            index = contenders.index(name)
            # Lines of equal values cover each other: markers of falling size tell them apart.
            axes.plot(
                *points, color=COLORS[index], label=name, linewidth=1.4, marker=MARKERS[index],
                markersize=8 - 1.2 * index, markerfacecolor="none",
            )  # fmt: skip
        log_ticks(axes, names(panels[title], at), x_label, margin=1.2)
        axes.set(yscale="log", title=title, ylabel=y_label)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
        axes.yaxis.set_minor_locator(NullLocator())

    return _panels(panels, draw, columns=4, width=3.6, height=3.0)


def _bars_by_case(
    rows: Sequence[Row], draw_bars: Callable[[Axes, Sequence[Row], list[str]], None]
) -> Figure:
    cases, contenders = groups(rows, "case"), names(rows, "name")

    def draw(axes: Axes, title: str) -> None:
        draw_bars(axes, cases[title], contenders)
        axes.set_title(title.replace(", B=", "\nB="))

    height = 1.1 + LINE_HEIGHT * len(contenders)
    return _panels(cases, draw, columns=3, width=PANEL_WIDTH, height=height, left=1.8, share_y=True)


def _time_bars(axes: Axes, rows: Sequence[Row], contenders: list[str]) -> None:
    medians, ends = ([1e3 * row[f"{kind}_seconds"] for row in rows]
                     for kind in ("median", "upper_quartile"))  # fmt: skip
    _bars(axes, rows, contenders, medians, "ms a step", ends)
    for row in rows:
        quartiles = [1e3 * row[f"{kind}_quartile_seconds"] for kind in ("lower", "upper")]
        places = [contenders.index(row["name"])] * 2
        axes.plot(quartiles, places, color="black", linewidth=1.2, label="quartiles")
    if floors := [1e3 * row["floor_seconds"] for row in rows if row["floor_seconds"]]:
        reference(axes, FLOOR, x=min(floors))


def _distance_bars(axes: Axes, rows: Sequence[Row], contenders: list[str]) -> None:
    _bars(axes, rows, contenders, [row["distance"] for row in rows], "time over the floor")
    reference(axes, FLOOR, x=1)


def _bars(
    axes: Axes,
    rows: Sequence[Row],
    contenders: list[str],
    values: Sequence[float],
    label: str,
    ends: Sequence[float] | None = None,
) -> None:
    """A bar a row, at the place of its contender, with its value written at its end."""
    ends = ends or values
    for row, value, end in zip(rows, values, ends, strict=True):
        place = contenders.index(row["name"])
        color, side = (OURS_COLOR, "ours") if row["is_ours"] else (PEER_COLOR, "other libraries")
        axes.barh(place, value, color=color, height=0.7, label=side)
        written = f" {value:.3g}" if value < 1000 else f" {value:,.0f}"
        axes.annotate(written, (end, place), va="center", fontsize=7, color="#333333")
    axes.set_yticks(range(len(contenders)), contenders)
    axes.set_ylim(len(contenders) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.2 * max([*ends, 0.01]))
    axes.set_xlabel(label)


def _panels(
    chosen: Collection[Group],
    draw: Callable[[Axes, Group], None],
    *,
    columns: int,
    width: float,
    height: float,
    left: float = 0.0,
    share_y: bool = False,
) -> Figure:
    """A grid of panels of that many inches, one a group, with one legend for all below."""
    columns = min(columns, len(chosen))
    lines = math.ceil(len(chosen) / columns)
    with rc_context(STYLE):
        size = (left + width * columns, height * lines + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        panels = list(figure.subplots(lines, columns, squeeze=False, sharey=share_y).flat)
        for axes, group in zip(panels, chosen, strict=False):
            draw(axes, group)
        for axes in panels[len(chosen) :]:
            axes.remove()
        figure.legend(*legend(figure), loc="outside lower center", ncols=LEGEND_COLUMNS)
    return figure


def legend(figure: Figure) -> tuple[list, list]:
    """Handles and labels of the figure, every label once."""
    shown: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    return list(shown.values()), list(shown)
