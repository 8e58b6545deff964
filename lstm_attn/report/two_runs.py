"""Two runs compared: every cell that both have, and which differences are beyond noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import differences, tables
from lstm_attn.report.panel import COLORS
from lstm_attn.report.section import NamedFigure, Section, Table, table

LISTED = 5  # cells of one run alone that are named


def section(result: Mapping[str, Any]) -> Section:
    """The comparison of two runs.

    Args:
      result: first and second, their names; cells, each with its name and what
        `analysis.compare_records` gives; left_out, the cells of one run alone; settings, each key
        of the configs that differs, with both values.
    """
    first, second, cells = result["first"], result["second"], result["cells"]
    beyond = [cell["cell"] for cell in cells if _differs(cell["compared"])]
    if not cells:
        summary = "They have no finished cell in common of a task that has a criterion."
    elif beyond:
        summary = f"Beyond noise in {len(beyond)} of {len(cells)} cells: {', '.join(beyond)}."
    else:
        summary = f"All differences are within noise, in {len(cells)} of {len(cells)} cells."
    title = f"{second} compared with {first}"
    if not cells:
        return Section(title, summary)
    unpaired = [cell["cell"] for cell in cells if not cell["compared"]["paired"]]
    parts = [
        f"{summary} Each difference is {second} minus {first}, for a cell with the same task, "
        "variant, length, model and name in both. A pass counts within the smaller of the two "
        "budgets, or within the steps that both ran if a cell ended with trials open.",
        differences.NOISE_RULE,
        differences.STEPS_RULE,
    ]
    if unpaired:
        parts.append(f"Not paired, since their trials differ: {', '.join(unpaired)}.")
    if result["left_out"]:
        parts.append(f"Only in one of the two: {_some(result['left_out'])}.")
    shown = [_cells_table(first, second, cells)]
    if result["settings"]:
        settings = [[one["key"], one["first"], one["second"]] for one in result["settings"]]
        shown.append(Table(["config", first, second], settings))
    figure_title = f"Trials that remember: {second} minus {first}"
    figure = differences.rows(
        figure_title,
        "difference of rates (95 % interval)",
        [differences.row(cell["cell"], cell["compared"]["remember_rate"]) for cell in cells],
        COLORS[0],
        (0, "no difference"),
        (-1.03, 1.03),
    )
    return Section(title, " ".join(parts), [NamedFigure("comparison", figure_title, figure)], shown)


def _some(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _differs(compared: Mapping[str, Any]) -> bool:
    steps = compared["steps"]
    return not (compared["remember_rate"]["within_noise"] and (not steps or steps["within_noise"]))


def _cells_table(first: str, second: str, cells: Sequence[Mapping[str, Any]]) -> Table:
    def remember(rate: Mapping[str, Any]) -> str:
        return f"{tables.remembering(rate)} ({tables.remember_interval(rate)})"

    return table(
        cells,
        {
            "cell": lambda cell: cell["cell"],
            f"remember, {first}": lambda cell: remember(cell["compared"]["first"]),
            f"remember, {second}": lambda cell: remember(cell["compared"]["second"]),
            "rate, difference": lambda cell: differences.rate(cell["compared"]),
            "steps spent, difference": lambda cell: differences.steps(cell["compared"]),
        },
    )
