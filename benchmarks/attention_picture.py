"""Time and memory of attention against length."""

from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.comparison import Row
from benchmarks.pictures import legend
from benchmarks.workloads import DIRECTIONS
from lstm_attn.report.figures import COLORS, REFERENCE_COLOR, STYLE

MARKERS = {"median_seconds": ("ms", 1e3), "peak_bytes": ("MiB above the inputs", 2**-20)}


def lines(record: dict[str, Any]) -> Figure:
    """A column for each direction and mask; time above, memory below. A line a contender and batch
    size: the smallest batch solid, others dashed.
    """
    rows = record["rows"]
    masks = [(direction, causal) for direction in DIRECTIONS for causal in (False, True)]
    with rc_context(STYLE):
        figure = Figure(figsize=(3.2 * len(masks), 6), layout="constrained")
        panels = figure.subplots(len(MARKERS), len(masks), squeeze=False)
        for line, (quantity, (label, factor)) in zip(panels, MARKERS.items(), strict=True):
            for axes, (direction, causal) in zip(line, masks, strict=True):
                mine = [r for r in rows if (r["direction"], r["is_causal"]) == (direction, causal)]
                _panel(axes, mine, quantity, factor)
                axes.set_title(f"{direction}{', causal' if causal else ''}")
            line[0].set_ylabel(label)
        for axes in panels[-1]:
            axes.set_xlabel("length T")
        figure.legend(*legend(figure), loc="outside lower center", ncols=5)
    return figure


def _panel(axes: Axes, rows: list[Row], quantity: str, factor: float) -> None:
    names = list(dict.fromkeys(row["name"] for row in rows))
    batches = sorted({row["batch"] for row in rows})
    for color, name in zip(COLORS, names, strict=False):
        for batch in batches:
            mine = [r for r in rows if (r["name"], r["batch"]) == (name, batch)]
            mine = [row for row in mine if row[quantity] is not None]
            axes.plot(
                [row["length"] for row in mine],
                [factor * row[quantity] for row in mine],
                color=color,
                linestyle="-" if batch == batches[0] else "--",
                marker="o",
                markersize=3,
                linewidth=1.4,
                label=f"{name}, B={batch}",
            )
    if quantity == "median_seconds":
        for batch in batches:
            floors = {r["length"]: factor * r["floor_seconds"] for r in rows if r["batch"] == batch}
            style = ":" if batch == batches[0] else (0, (1, 3))
            axes.plot(
                list(floors), list(floors.values()), color=REFERENCE_COLOR, linestyle=style,
                linewidth=1, label=f"floor, B={batch}",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log")
    lengths = sorted({row["length"] for row in rows})
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.set_xticks([], minor=True)
