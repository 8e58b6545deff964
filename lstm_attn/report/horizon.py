"""The section of the memory horizon: horizon against budget, and the lengths that were tried."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import REFERENCE_COLOR, colors_of, offsets, panel, reference
from lstm_attn.report.section import NamedFigure, Section, Table, table
from lstm_attn.report.tables import NONE, groups

Result = Mapping[str, Any]  # of horizon.json
Search = Mapping[str, Any]  # one of its searches: a task and a model


def sections(result: Result) -> list[Section]:
    """One for each task."""
    by_task = groups(result["searches"], "task")
    return [_section(result, task, searches) for task, searches in by_task.items()]


def in_words(interval: Mapping[str, Any]) -> str:
    """An interval of the horizon T: "80 ≤ T < 113"."""
    solved, unsolved = interval["solved"], interval["unsolved"]
    if solved is None:
        return NONE if unsolved is None else f"T < {unsolved}"
    return f"T ≥ {solved}" if unsolved is None else f"{solved} ≤ T < {unsolved}"


def budget_in_words(result: Result) -> str:
    seconds = result["budget"]["seconds"]
    return f"{result['budget']['steps']:,} steps" + (f" and {seconds:g} seconds" if seconds else "")


def horizon_table(searches: Sequence[Search], *, with_task: bool = False) -> Table:
    """A row for each search."""
    columns = {
        "task": lambda search: search["task"],
        "model": lambda search: search["model"],
        "horizon": lambda search: (
            in_words(search) + ("" if search["complete"] else ", search not ended")
        ),
        "lengths": lambda search: str(len(search["probes"])),
        "trials": lambda search: str(search["probes"][0]["trials"]),
        "steps run": lambda search: f"{sum(p['steps_run'] for p in search['probes']):,}",
        "seconds": lambda search: f"{search['seconds']:.0f}",
    }
    return table(searches, columns if with_task else {k: columns[k] for k in [*columns][1:]})


def probe_table(searches: Sequence[Search]) -> Table:
    """A row for each length that was tried, by model and length."""
    probes = [
        {"model": search["model"], **probe}
        for search in searches
        for probe in sorted(search["probes"], key=lambda probe: probe["length"])
    ]
    return table(
        probes,
        {
            "model": lambda probe: probe["model"],
            "T": lambda probe: str(probe["length"]),
            "solved": lambda probe: "yes" if probe["verdict"] else "no",
            "trials": lambda probe: f"{probe['solved']}/{probe['trials']}",
            "still open": lambda probe: str(probe["still_open"] or NONE),
            "rate": lambda probe: "{:.2f}–{:.2f}".format(*probe["rate_interval"]),
            "steps until half": lambda probe: f"{probe['steps']:,}" if probe["steps"] else NONE,
            "seconds until half": lambda p: f"{p['seconds']:.0f}" if p["seconds"] else NONE,
        },
    )


def against_budget(
    searches: Sequence[Search],
    curve: str,
    end: float | None,
    lengths: Sequence[int],
    title: str,
    budget: str = "",
) -> Figure:
    """The horizon against the budget, a line for each model that steps up.

    The line is the longest T seen solved within a budget; the band reaches to the shortest longer T
    seen unsolved, or to the top where there is none.

    Args:
      curve: "by_steps" or "by_seconds".
      end: the whole budget; None for the cost of the dearest length that was solved.
      lengths: of the search, rising.
      budget: its unit, in words.
    """
    costs = [point["budget"] for search in searches for point in search[curve][1:]]
    last = end or max(costs, default=1.0)
    top = lengths[-1] * 1.5
    colors = colors_of(search["model"] for search in searches)
    # Lengths are shifted a little, so that lines of equal horizons stay visible.
    shifts = 1.035 ** offsets(len(searches))

    def draw(axes: Axes) -> None:
        for shift, search in zip(shifts, searches, strict=True):
            model, color = search["model"], colors[search["model"]]
            points = [point for point in search[curve] if point["solved"] is not None]
            points += [{**point, "budget": last} for point in points[-1:]]
            budgets = [point["budget"] for point in points]
            reach = [point["solved"] * shift for point in points]
            beyond = [top if p["unsolved"] is None else p["unsolved"] * shift for p in points]
            axes.fill_between(
                budgets, reach, beyond, step="post", color=color, alpha=0.13, linewidth=0
            )
            axes.step(budgets, reach, where="post", color=color, linewidth=1.7, label=model)
            axes.plot(budgets[-1:], reach[-1:], "o", color=color, markersize=4)
        axes.fill_between(
            [], [], color=REFERENCE_COLOR, alpha=0.2, label="to the shortest unsolved"
        )
        reference(axes, y=lengths[0])
        reference(axes, "range of T", y=lengths[-1])
        axes.set(yscale="log", ylim=(lengths[0] / 1.3, top))
        axes.set_ylabel("horizon T (steps)")
        shown = _spread(lengths)
        axes.set_yticks(shown, [str(length) for length in shown])
        axes.set_yticks([], minor=True)
        axes.set_xlabel(f"budget ({budget})")
        if curve == "by_steps":
            axes.set_xlim(0, last * 1.03)
        elif costs:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")

    return panel(title, draw)


def _spread(lengths: Sequence[int]) -> list[int]:
    """Lengths for the axis: each at least 1.4 times the one before."""
    shown = [lengths[0]]
    for length in lengths:
        if length >= 1.4 * shown[-1]:
            shown.append(length)
    return shown


def _section(result: Result, task: str, searches: Sequence[Search]) -> Section:
    steps, seconds = result["budget"]["steps"], result["budget"]["seconds"]
    lengths, trials = result["lengths"], result["trials"]
    at_most = f", at most {seconds:g} s" if seconds else ""
    title = f"{task}: longest T that half of {trials} trials solve"
    figures = [
        NamedFigure(
            f"horizon-{task}-{name}",
            f"Memory horizon against a budget of {name}: {task}",
            against_budget(searches, f"by_{name}", end, lengths, title, budget),
        )
        for name, end, budget in (
            ("steps", steps, f"training steps{at_most}"),
            ("seconds", seconds, f"seconds of all trials, at most {steps:,} steps"),
        )
    ]
    text = (
        f"The memory horizon, the longest T that at least half of {trials} trials solve, against "
        f"the budget, up to {budget_in_words(result)}. Line: the longest T seen solved. Band: up "
        "to the shortest longer T seen unsolved; the horizon lies in it, if a longer T is never "
        f"easier. A search tries a few of {len(lengths)} lengths from {lengths[0]} to "
        f"{lengths[-1]} (dashed). It stops a length as soon as half of the trials have solved it "
        "or no longer can; the rate is the 95 % interval over all ways in which the open "
        "trials could end. Other seeds may change a verdict. Smaller budgets are read off the same "
        f"evaluations, every {result['evaluate_every']} steps; the learning rate was planned for "
        f"all {steps:,} ({result['schedule']})."
    )
    exceptions = [
        f" A longer T was easier for {search['model']}: T = "
        f"{', '.join(map(str, search['exceptions']))} unsolved, {search['solved']} solved."
        for search in searches
        if search["exceptions"]
    ]
    return Section(
        f"Memory horizon: {task}",
        text + "".join(exceptions),
        figures,
        [horizon_table(searches), probe_table(searches)],
    )
