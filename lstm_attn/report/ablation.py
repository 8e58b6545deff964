"""The section of an ablation: every change compared with the reference."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report import differences
from lstm_attn.report.differences import Row, rows
from lstm_attn.report.panel import colors_of
from lstm_attn.report.section import Picture, Section, Table
from lstm_attn.report.tables import NONE, solved, steps_to_solve


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Solve rates, differences of steps, and a table of both."""
    columns, model = found["columns"], found["model"]
    reference, changed = columns[0], columns[1:]
    where = f"{model} on {found['task']}, T = {found['length']}"
    color = colors_of([model])[model]
    rate_title = f"Solve rate by what is changed: {where}"
    steps_title = f"Steps spent, minus the reference's: {where}"
    solve_rates = rows(
        rate_title,
        f"trials that solve, of {reference['trials']} seeds (95 % Wilson interval)",
        list(map(_rate_row, columns)),
        color,
        (reference["solve_rate"], "reference"),
        (-0.03, 1.03),
    )
    spent = rows(
        steps_title,
        "median of paired differences, steps (95 % interval)",
        [differences.row(one["name"], one["to_reference"]["steps"]) for one in changed],
        color,
        (0, "reference"),
    )
    text = (
        f"Each row changes one key of the reference; all rows have the same {reference['trials']} "
        f"seeds, so differences are over pairs. Solved: {found['criterion']}, within "
        f"{found['budget']:,} steps. {differences.NOISE_RULE} {differences.STEPS_RULE} Hollow and "
        "grey: within noise."
    )
    headings = (
        "changed", "solved", "solve rate − reference", "steps to solve",
        "steps spent − reference", "parameters", "diverged",
    )  # fmt: skip
    body = [
        [
            column["name"],
            solved(column),
            differences.rate(column["to_reference"]),
            steps_to_solve(column),
            differences.steps(column["to_reference"]),
            f"{column['parameters']:,}",
            str(column["diverged"] or NONE),
        ]
        for column in columns
    ]
    pictures = [
        Picture("ablation-solve-rate", rate_title, solve_rates),
        Picture("ablation-steps", steps_title, spent),
    ]
    return [Section(f"Ablation: {where}", text, pictures, [Table(headings, body)])]


def _rate_row(column: Mapping[str, Any]) -> Row:
    """The solve rate itself; its difference from the reference says whether it stands out."""
    compared = column["to_reference"]
    return Row(
        column["name"],
        column["solve_rate"],
        column["solve_rate_low"],
        column["solve_rate_high"],
        differences.verdict(compared["solve_rate"]) if compared else "",
        not compared or not compared["solve_rate"]["within_noise"],
    )
