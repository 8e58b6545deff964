"""The section of the memory horizon: the fit of each model, and T50 against the budget."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lstm_attn.report.panel import (
    colors_of,
    error_bars,
    log_scale,
    log_ticks,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.section import NamedFigure, Section, Table, table
from lstm_attn.report.tables import NONE, groups, remember_interval, remembering

Result = Mapping[str, Any]  # of horizon.json
Search = Mapping[str, Any]  # one of its searches: a task and a model
FURTHEST = 4.0  # how far beyond the lengths tried an open interval is drawn, as a factor


def sections(result: Result) -> list[Section]:
    """One for each task."""
    by_task = groups(result["searches"], "task")
    return [_section(result, task, searches) for task, searches in by_task.items()]


def in_words(fit: Mapping[str, Any]) -> str:
    """T50 with its interval: "63 (51–82)", "> 480" or "< 8"; "63 (–82)" and "63 (51–)" if an end
    lies outside the lengths that were tested."""
    if fit["bounded"] == "above":
        return f"> {fit['t50']:.0f}"
    if fit["bounded"] == "below":
        return f"< {fit['t50']:.0f}"
    low, high = (f"{end:.0f}" if end else "" for end in (fit["low"], fit["high"]))
    return f"{fit['t50']:.0f} ({low}–{high})"


def slope_in_words(search: Search) -> str:
    """The slope of log T50 on log steps with its interval."""
    line = search["against_budget"]
    if line is None or line["low"] is None or line["high"] is None:
        return NONE
    return f"{line['slope']:.2f} ({line['low']:.2f}–{line['high']:.2f})"


def horizon_table(searches: Sequence[Search], *, with_task: bool = False) -> Table:
    """A row for each search."""
    columns = {
        "task": lambda search: search["task"],
        "model": lambda search: search["model"],
        "T50": in_words,
        "slope on steps": slope_in_words,
        "lengths": lambda search: str(len(search["lengths"])),
        "parameters": lambda search: f"{search['parameters']:,}",
        "seconds": lambda search: f"{search['seconds']:.0f}",
        "of tuning": lambda search: f"{search['seconds_of_tuning']:.0f}",
    }
    return table(searches, columns if with_task else {k: columns[k] for k in [*columns][1:]})


def lengths_table(searches: Sequence[Search]) -> Table:
    """A row for each length that was tried, by model and length."""
    rows = [{"model": search["model"], **one} for search in searches for one in search["lengths"]]
    return table(
        rows,
        {
            "model": lambda one: one["model"],
            "T": lambda one: str(one["length"]),
            "remember": remembering,
            "interval": remember_interval,
            "exact": lambda one: str(one["solved"]),
            "learning rate": lambda one: f"{one['learning_rate']:g}",
            "seconds": lambda one: f"{one['seconds']:.0f}",
        },
    )


def draw_fits(axes: Axes, searches: Sequence[Search]) -> None:
    """The rate at each length with its interval, the fitted curve, and the interval of T50."""
    lengths = sorted({one["length"] for search in searches for one in search["lengths"]})
    log_ticks(axes, _spread(lengths), "length T (steps to remember over)", 1.25)
    axes.set_xlim(lengths[0] / 1.25, lengths[-1] * 1.25)
    colors = colors_of(search["model"] for search in searches)
    grid = np.geomspace(lengths[0], lengths[-1], 200)
    factors = 1.03 ** offsets(len(searches))
    for number, (factor, search) in enumerate(zip(factors, searches, strict=True)):
        color, mine = colors[search["model"]], search["lengths"]
        low, rate, high = (
            [one[f"remember_rate{end}"] for one in mine] for end in ("_low", "", "_high")
        )
        x = factor * np.array([one["length"] for one in mine], float)
        error_bars(axes, x, low, rate, high, color, search["model"], joined=False)
        if search["bounded"] == "inside":
            curve = 1 / (1 + np.exp(-search["slope"] * np.log2(search["t50"] / grid)))
            axes.plot(grid, curve, color=color, linewidth=1.2)
            high_end = search["high"] or lengths[-1] * FURTHEST
            place = -0.04 - 0.03 * number
            axes.plot([max(search["low"], 1e-9), high_end], [place] * 2, color=color, linewidth=2)
            axes.plot(search["t50"], place, "|", color=color, markersize=7)
    reference(axes, y=0.5)
    axes.set(ylim=(-0.06 - 0.03 * len(searches), 1.04), ylabel="trials that remember")


def draw_against_budget(axes: Axes, searches: Sequence[Search]) -> None:
    """T50 against the budget of steps, where it is inside the lengths tried."""
    budgets = sorted({one["budget"] for search in searches for one in search["by_budget"]})
    log_ticks(axes, budgets, "budget (training steps)", 1.2)
    log_scale(axes.yaxis)
    colors = colors_of(search["model"] for search in searches)
    factors = 1.02 ** offsets(len(searches))
    for factor, search in zip(factors, searches, strict=True):
        inside = [one for one in search["by_budget"] if one["bounded"] == "inside"]
        inside.sort(key=lambda one: one["budget"])
        x = factor * np.array([one["budget"] for one in inside], float)
        t50 = [one["t50"] for one in inside]
        low = [max(one["low"], one["t50"] / FURTHEST) for one in inside]
        high = [one["high"] or one["t50"] * FURTHEST for one in inside]
        error_bars(axes, x, low, t50, high, colors[search["model"]], search["model"])
    axes.set_ylabel("T50")


def _section(result: Result, task: str, searches: Sequence[Search]) -> Section:
    budget, seeds = result["budget"], result["seeds"]
    title = f"{task}: T50 within {budget:,} steps"
    figures = [
        NamedFigure(
            f"horizon-{task}",
            f"Trials that remember against length, and T50: {task}",
            panel(title, lambda axes: draw_fits(axes, searches)),
        )
    ]
    if any(len(search["by_budget"]) > 1 for search in searches):
        figures.append(
            NamedFigure(
                f"horizon-{task}-budget",
                f"T50 against the budget of steps: {task}",
                panel(f"{task}: T50 against budget", lambda a: draw_against_budget(a, searches)),
            )
        )
    text = (
        f"T50 is the length that half of the trials remember within {budget:,} steps: a logistic "
        f"curve of log T fitted to all trials of all lengths, {seeds} seeds each, at tuned "
        "learning rates. Points: rate of trials that remember, with its 95 % interval; bars below: "
        "T50 and its 95 % interval, from a bootstrap over seeds that reaches at least to the "
        "lengths tried next to it. > and < where T50 is beyond every length tried; an interval "
        "with an open end leaves them. Second figure: T50 within "
        "smaller budgets, read off the same trials, whose learning rate is "
        f"{result['schedule']}; slope: of log T50 on log steps."
    )
    tables = [horizon_table(searches), lengths_table(searches)]
    return Section(f"Memory horizon: {task}", text, figures, tables)


def _spread(lengths: Sequence[int]) -> list[int]:
    """Lengths for the axis: each at least 1.4 times the one before."""
    shown = [lengths[0]]
    for length in lengths:
        if length >= 1.4 * shown[-1]:
            shown.append(length)
    return shown
