"""Two runs beside each other: every cell that both have, and what differs beyond noise."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import differences, tables
from lstm_attn.report.colors import COLORS
from lstm_attn.report.rows import Row, rows
from lstm_attn.report.section import Picture, Section, Table


def section(found: Mapping[str, Any]) -> Section:
    """The comparison of two runs.

    Args:
      found: first and second, their names; cells, each with its name, the record of each run and
        what `analysis.compare_records` found; left_out, the cells of one run alone; settings, each
        key of the configs that differs, with both values.
    """
    first, second = found["first"], found["second"]
    cells = found["cells"]
    beyond = [cell["cell"] for cell in cells if _differs(cell["compared"])]
    if not cells:
        summary = "They have no finished cell in common."
    elif beyond:
        summary = f"Beyond noise in {len(beyond)} of {len(cells)} cells: {', '.join(beyond)}."
    else:
        summary = f"All differences are within noise, in {len(cells)} of {len(cells)} cells."
    unpaired = [cell["cell"] for cell in cells if not cell["compared"]["paired"]]
    text = " ".join(
        part
        for part in (
            f"{summary} Differences are those of {second} minus {first}, cell by cell, of cells "
            "that agree in task, variant, length, model and name.",
            differences.NOISE_RULE,
            differences.STEPS_RULE,
            f"Other trials, so not paired: {', '.join(unpaired)}." if unpaired else "",
            f"In one of the two alone: {', '.join(found['left_out'])}."
            if found["left_out"]
            else "",
        )
        if part
    )
    settings = Table(
        ["config", first, second],
        [[setting["key"], setting["first"], setting["second"]] for setting in found["settings"]],
    )
    shown = ([_cells_table(first, second, cells)] if cells else []) + (
        [settings] if found["settings"] else []
    )
    return Section(f"{second} beside {first}", text, _pictures(first, second, cells), shown)


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
                f"{tables.count(cell[one])} ({tables.interval(cell[one])})"
                for one in ("first", "second")
            ),
            differences.rate(cell["compared"]),
            differences.steps(cell["compared"]),
        ]
        for cell in cells
    ]
    return Table(headings, body)


def _pictures(first: str, second: str, cells: Sequence[Mapping[str, Any]]) -> list[Picture]:
    if not cells:
        return []
    drawn = [
        Row(
            cell["cell"],
            difference["value"],
            difference["low"],
            difference["high"],
            differences.verdict(difference),
            not difference["within_noise"],
        )
        for cell in cells
        for difference in [cell["compared"]["solve_rate"]]
    ]
    title = f"Solve rate: {second} minus {first}"
    figure = rows(
        title,
        "difference of solve rates (95 % interval)",
        drawn,
        COLORS[0],
        (0, "no difference"),
        (-1.03, 1.03),
    )
    return [Picture("comparison", title, figure)]
