"""What `experiments.horizon` found: horizon against budget, and the lengths that were tried."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import REFERENCE_COLOR, colors_of, offsets, panel, reference
from lstm_attn.report.section import Picture, Section, Table
from lstm_attn.report.tables import NONE, groups

Found = Mapping[str, Any]  # of horizon.json
Search = Mapping[str, Any]  # of its searches: one task and model
# Of a length, so that equal horizons stay visible as lines of their own.
SHIFT = 1.035


def sections(found: Found) -> list[Section]:
    """One a task."""
    by_task = groups(found["searches"], "task")
    return [_section(found, task, searches) for task, searches in by_task.items()]


def in_words(interval: Mapping[str, Any]) -> str:
    """An interval of the horizon T: "80 ≤ T < 113"."""
    solved, unsolved = interval["solved"], interval["unsolved"]
    if solved is None:
        return NONE if unsolved is None else f"T < {unsolved}"
    return f"T ≥ {solved}" if unsolved is None else f"{solved} ≤ T < {unsolved}"


def budget_in_words(found: Found) -> str:
    seconds = found["budget"]["seconds"]
    return f"{found['budget']['steps']:,} steps" + (f" and {seconds:g} seconds" if seconds else "")


def horizon_table(searches: Sequence[Search], *, with_task: bool = False) -> Table:
    """A row a search."""
    headings = ["model", "horizon", "lengths", "trials", "steps run", "seconds"]
    rows = [
        [
            search["model"],
            in_words(search) + ("" if search["complete"] else ", search not ended"),
            str(len(search["probes"])),
            str(search["probes"][0]["trials"]),
            f"{sum(probe['steps_run'] for probe in search['probes']):,}",
            f"{search['seconds']:.0f}",
        ]
        for search in searches
    ]
    if with_task:
        headings = ["task", *headings]
        rows = [[search["task"], *row] for search, row in zip(searches, rows, strict=True)]
    return Table(headings, rows)


def probe_table(searches: Sequence[Search]) -> Table:
    """A row a length that was tried, by model and length."""
    rows = []
    for search in searches:
        for probe in sorted(search["probes"], key=lambda probe: probe["length"]):
            low, high = probe["rate_interval"]
            rows.append(
                [
                    search["model"],
                    str(probe["length"]),
                    "yes" if probe["verdict"] else "no",
                    f"{probe['solved']}/{probe['trials']}",
                    str(probe["still_open"]) if probe["still_open"] else NONE,
                    f"{low:.2f}–{high:.2f}",
                    f"{probe['steps']:,}" if probe["steps"] else NONE,
                    f"{probe['seconds']:.0f}" if probe["seconds"] else NONE,
                ]
            )
    headings = ["model", "T", "solved", "trials", "still open", "rate", "steps until half",
                "seconds until half"]  # fmt: skip
    return Table(headings, rows)


def against_budget(
    searches: Sequence[Search],
    curve: str,
    end: float | None,
    lengths: Sequence[int],
    title: str,
    budget: str = "",
) -> Figure:
    """Steps up: the longest T seen solved within a budget; the band reaches to the shortest T
    beyond it that was not, or to the top where there is none.

    Args:
      curve: "by_steps" or "by_seconds".
      end: of the whole budget; None for the dearest length that was solved.
      lengths: of the search, rising.
      budget: what it is counted in, in words.
    """
    costs = [point["budget"] for search in searches for point in search[curve][1:]]
    last = end or max(costs, default=1.0)
    top = lengths[-1] * 1.5
    colors = colors_of(search["model"] for search in searches)

    def draw(axes: Axes) -> None:
        shifts = SHIFT ** offsets(len(searches))
        for shift, search in zip(shifts, searches, strict=True):
            color = colors[search["model"]]
            points = [point for point in search[curve] if point["solved"] is not None]
            points += [{**point, "budget": last} for point in points[-1:]]
            budgets = [point["budget"] for point in points]
            reach = [point["solved"] * shift for point in points]
            beyond = [top if p["unsolved"] is None else p["unsolved"] * shift for p in points]
            axes.fill_between(
                budgets, reach, beyond, step="post", color=color, alpha=0.13, linewidth=0
            )
            axes.step(
                budgets, reach, where="post", color=color, linewidth=1.7, label=search["model"]
            )
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


def _section(found: Found, task: str, searches: Sequence[Search]) -> Section:
    steps, seconds = found["budget"]["steps"], found["budget"]["seconds"]
    lengths = found["lengths"]
    trials = found["trials"]
    at_most = f", at most {seconds:g} s" if seconds else ""
    title = f"{task}: longest T that half of {trials} trials solve"
    pictures = [
        Picture(
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
        f"The longest T that at least half of {trials} trials solve within "
        f"{budget_in_words(found)}; T runs from {lengths[0]} to {lengths[-1]} (dashed) on a scale "
        f"of {len(lengths)} lengths, of which a search tries a few. Line: the longest T seen "
        "solved; band: up to the shortest T seen unsolved, between which the horizon lies if a "
        "longer T is never easier. A length ends as soon as its trials settle it; its rate is the "
        "95 % Wilson interval however those still open would have ended. Other seeds may move a "
        f"verdict. Smaller budgets are read off the same histories, to {found['evaluate_every']} "
        f"steps; the learning rate was planned for all {steps:,} ({found['schedule']})."
    )
    exceptions = [
        f" Not so for {search['model']}: T = {', '.join(map(str, search['exceptions']))} "
        f"unsolved, {search['solved']} solved."
        for search in searches
        if search["exceptions"]
    ]
    return Section(
        f"Memory horizon: {task}",
        text + "".join(exceptions),
        pictures,
        [horizon_table(searches), probe_table(searches)],
    )
