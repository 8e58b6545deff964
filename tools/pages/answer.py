"""The README's answer, from the quick run: verdicts, and share remembered against seconds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import ArrayLike

from benchmarks.markdown import joined
from lstm_attn import report
from lstm_attn.history import History
from lstm_attn.report import tables
from lstm_attn.report.figures import FORGOTTEN, LEAST_SHARE
from lstm_attn.report.panel import DPI, STYLE, colors_of, reference
from lstm_attn.runs import RunFolder
from tools.pages.paragraphs import check_clean, figure, made

NAME = "share-by-seconds"  # of its file, in the folder of the run
INCHES = (7.2, 3.1)
Record = Mapping[str, Any]  # of results.json


def longest(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Task -> the records of its longest length, in order."""
    return {
        task: [record for record in mine if record["length"] == max(r["length"] for r in mine)]
        for task, mine in tables.groups(records, "task").items()
    }


def seconds_of_a_trial(record: Record, seconds: ArrayLike) -> np.ndarray:
    """What a trial has cost when its cell has taken so many seconds: its share of them, without
    those spent waiting for the program."""
    return (np.asarray(seconds) - record["seconds_to_program"]) / record["trials"]


def share_by_seconds(records: Sequence[Record], histories: Mapping[str, History]) -> Figure:
    """A panel a task, at its longest length: share remembered against the seconds of a trial, a
    thin line each, and the median of a model as a thick one.

    Args:
      records: of a grid, in its order.
      histories: of their cells.
    """
    tasks = longest(records)
    with rc_context(STYLE):
        drawn = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
        panels = drawn.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for axes, (task, mine) in zip(panels, tasks.items(), strict=True):
            _lines(axes, mine, histories)
            axes.set_title(f"{task}, T = {mine[0]['length']}", parse_math=False)
        panels[0].set_ylabel("share remembered")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


def _lines(axes: Axes, records: Sequence[Record], histories: Mapping[str, History]) -> None:
    colors = colors_of(record["model"] for record in records)
    for record in records:
        history, color = histories[record["cell"]], colors[record["model"]]
        forgotten = np.where(history.diverged, np.inf, history.metrics["loss"] / record["baseline"])
        shares = np.maximum(1 - np.nan_to_num(forgotten, nan=np.inf), LEAST_SHARE)
        seconds = seconds_of_a_trial(record, history.seconds)
        axes.plot(seconds, shares, color=color, linewidth=0.5, alpha=0.35)
        middle = np.median(shares, axis=1)
        axes.plot(seconds, middle, color=color, linewidth=2, label=record["model"])
        axes.plot(seconds[-1], middle[-1], "o", color=color, markersize=4)
    reference(axes, "remembers", y=1 - FORGOTTEN)
    axes.set(xscale="log", xlabel="seconds of training, each trial")
    axes.set_ylim(LEAST_SHARE - 0.03, 1.05)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def draw(folder: RunFolder) -> None:
    """Draws the run in the folder into its NAME.png."""
    run = report.read(folder.path)
    share_by_seconds(run.grid, run.histories).savefig(folder.path / f"{NAME}.png")


def section(folder: RunFolder) -> str:
    """Verdicts, the picture and a table of what is remembered at the longest length, and its cost.

    Args:
      folder: a run of `experiments.compare`, with its picture by `draw`.
    """
    check_clean(folder)
    records = report.in_grid_order(folder)
    shown = longest(records)
    training = report.harmless(folder.config)["training"]
    sizes = [record["parameters"] for record in records]
    headings = ["model"]
    for task, mine in shown.items():
        headings += [f"{tables.as_markdown(task)}, T = {mine[0]['length']}", "seconds a trial"]
    of_model = tables.groups([record for mine in shown.values() for record in mine], "model")
    rows = []
    for model, mine in of_model.items():
        of_task = {record["task"]: record for record in mine}
        rows.append([tables.as_markdown(model)])
        for task in shown:
            rows[-1] += _cells(of_task[task]) if task in of_task else [tables.NONE] * 2
    return joined(
        *(
            f"**{tables.as_markdown(task)}**: {tables.as_markdown(report.verdict(records, task))}"
            for task in shown
        ),
        figure(f"{folder.path.name}/{NAME}", "Share remembered against seconds of training", 100),
        "A thin line is a trial, a thick one the median of a model: the share remembered, "
        f"1 - loss / baseline, against what a trial has cost. {training['seeds']} seeds, at most "
        f"{training['steps']:,} steps, {min(sizes):,} to {max(sizes):,} parameters, learning rates "
        "tuned on other seeds. In the table: trials that remember, with the 95 % interval of the "
        "rate.",
        tables.markdown(headings, rows),
        made(folder),
    )


def _cells(record: Record) -> list[str]:
    seconds = seconds_of_a_trial(record, record["seconds"])
    return [
        f"{tables.remembering(record)} ({tables.remember_interval(record)})",
        f"{float(seconds):.2f}",
    ]
