"""The section of an ablation: every change compared with the reference."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report import differences
from lstm_attn.report.differences import Row, rows
from lstm_attn.report.panel import colors_of
from lstm_attn.report.section import NamedFigure, Section, table
from lstm_attn.report.tables import NONE, solved, steps_to_solve

Column = Mapping[str, Any]  # the reference or a change, of ablation.json


def sections(result: Mapping[str, Any]) -> list[Section]:
    """Solve rates, differences of steps, and a table of both."""
    columns, model = result["columns"], result["model"]
    reference, changed = columns[0], columns[1:]
    where = f"{model} on {result['task']}, T = {result['length']}"
    color = colors_of([model])[model]
    rate_title = f"Solve rate by change: {where}"
    steps_title = f"Steps spent, minus those of the reference: {where}"
    solve_rates = rows(
        rate_title,
        f"trials that solve, of {reference['trials']} seeds (95 % interval)",
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
        "Solve rate and steps spent of the reference and of each change to one of its settings. "
        f"All have the same {reference['trials']} seeds, so differences are paired. Solved: "
        f"{result['criterion']}, within {result['budget']:,} steps. "
        f"{differences.NOISE_RULE} {differences.STEPS_RULE} Hollow and grey rows are within noise."
    )
    body = table(
        columns,
        {
            "changed": lambda column: column["name"],
            "solved": solved,
            "solve rate − reference": lambda column: differences.rate(column["to_reference"]),
            "steps to solve": steps_to_solve,
            "steps spent − reference": lambda column: differences.steps(column["to_reference"]),
            "parameters": lambda column: f"{column['parameters']:,}",
            "diverged": lambda column: str(column["diverged"] or NONE),
        },
    )
    figures = [
        NamedFigure("ablation-solve-rate", rate_title, solve_rates),
        NamedFigure("ablation-steps", steps_title, spent),
    ]
    return [Section(f"Ablation: {where}", text, figures, [body])]


def _rate_row(column: Column) -> Row:
    """The solve rate, in colour if its difference from the reference is beyond noise."""
    compared = column["to_reference"]
    return Row(
        column["name"],
        column["solve_rate"],
        column["solve_rate_low"],
        column["solve_rate_high"],
        differences.verdict(compared["solve_rate"]) if compared else "",
        not compared or not compared["solve_rate"]["within_noise"],
    )
