"""The picture of `tools.scaling.check`: predicted seconds against measured ones."""

from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.pictures import MARKS, legend
from lstm_attn.report.panel import COLORS, REFERENCE_COLOR, STYLE


def predicted_over_measured(record: dict[str, Any]) -> Figure:
    """A mark a row, its colour the model and its shape the mesh; a line where both are equal."""
    models = list(dict.fromkeys(row["model"] for row in record["rows"]))
    meshes = list(dict.fromkeys(tuple(row["mesh"]) for row in record["rows"]))
    with rc_context(STYLE):
        figure = Figure(figsize=(5.4, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for row in record["rows"]:
            trial, batch = row["mesh"]
            axes.plot(
                1e3 * row["measured_seconds"], 1e3 * row["predicted_seconds"], linestyle="none",
                marker=MARKS[meshes.index((trial, batch)) % len(MARKS)], markersize=7,
                color=COLORS[models.index(row["model"]) % len(COLORS)], markerfacecolor="none",
                markeredgewidth=1.4, label=f"{row['model']}, {trial} x {batch}",
            )  # fmt: skip
        measured = [1e3 * row["measured_seconds"] for row in record["rows"]]
        ends = [0.7 * min(measured), 1.4 * max(measured)]
        axes.plot(ends, ends, color=REFERENCE_COLOR, linestyle="--", linewidth=1, label="equal")
        axes.fill_between(
            ends, [end / 2 for end in ends], [2 * end for end in ends],
            color=REFERENCE_COLOR, alpha=0.12, linewidth=0, label="within a factor of 2",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", title="A training step on this machine")
        axes.set(xlabel="measured, ms a step", ylabel="predicted, ms a step")
        figure.legend(*legend(figure), loc="outside lower center", ncols=3)
    return figure
