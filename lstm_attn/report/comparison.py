"""Two runs beside each other: every cell that both have, and what differs beyond noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import differences, tables
from lstm_attn.report.differences import rows
from lstm_attn.report.panel import COLORS
from lstm_attn.report.section import Picture, Section, Table

LISTED = 5  # cells of one run alone that are named


def section(found: Mapping[str, Any]) -> Section:
    """The comparison of two runs.

    Args:
      found: first and second, their names; cells, each with its name and what
        `analysis.compare_records` found; left_out, the cells of one run alone; settings, each
        key of the configs that differs, with both values.
    """
    first, second = found["first"], found["second"]
    cells = found["cells"]
    beyond = [cell["cell"] for cell in cells if _differs(cell["compared"])]
    if not cells:
        summary = "They have no finished cell in common of a task that has a criterion."
    elif beyond:
        summary = f"Beyond noise in {len(beyond)} of {len(cells)} cells: {', '.join(beyond)}."
    else:
        summary = f"All differences are within noise, in {len(cells)} of {len(cells)} cells."
    title = f"{second} beside {first}"
    if not cells:
        return Section(title, summary)
    unpaired = [cell["cell"] for cell in cells if not cell["compared"]["paired"]]
    parts = [
        f"{summary} Differences are those of {second} minus {first}, cell by cell, of cells that "
        "agree in task, variant, length, model and name; a solution counts within the smaller "
        "budget of the two, or within the steps that both ran where a cell ended with trials open.",
        differences.NOISE_RULE,
        differences.STEPS_RULE,
    ]
    if unpaired:
        parts.append(f"Other trials, so not paired: {', '.join(unpaired)}.")
    if found["left_out"]:
        parts.append(f"In one of the two alone: {_some(found['left_out'])}.")
    shown = [_cells_table(first, second, cells)]
    if found["settings"]:
        settings = [[one["key"], one["first"], one["second"]] for one in found["settings"]]
        shown.append(Table(["config", first, second], settings))
    return Section(title, " ".join(parts), [_picture(first, second, cells)], shown)


def _some(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _differs(compared: Mapping[str, Any]) -> bool:
    steps = compared["steps"]
    return not (compared["solve_rate"]["within_noise"] and (not steps or steps["within_noise"]))


def _cells_table(first: str, second: str, cells: Sequence[Mapping[str, Any]]) -> Table:
    headings = [
        "cell", f"solved, {first}", f"solved, {second}", "solve rate, difference",
        "steps spent, difference",
    ]  # fmt: skip
    body = [
        [
            cell["cell"],
            *(
                f"{tables.count(rate)} ({tables.interval(rate)})"
                for rate in (cell["compared"]["first"], cell["compared"]["second"])
            ),
            differences.rate(cell["compared"]),
            differences.steps(cell["compared"]),
        ]
        for cell in cells
    ]
    return Table(headings, body)


def _picture(first: str, second: str, cells: Sequence[Mapping[str, Any]]) -> Picture:
    drawn = [differences.row(cell["cell"], cell["compared"]["solve_rate"]) for cell in cells]
    title = f"Solve rate: {second} minus {first}"
    figure = rows(
        title,
        "difference of solve rates (95 % interval)",
        drawn,
        COLORS[0],
        (0, "no difference"),
        (-1.03, 1.03),
    )
    return Picture("comparison", title, figure)
