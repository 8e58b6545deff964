"""What an ablation found: every column beside the reference."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report import differences, tables
from lstm_attn.report.panel import colors_of
from lstm_attn.report.rows import Row, rows
from lstm_attn.report.section import Picture, Section, Table


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Solve rates, differences of steps, and a table of both."""
    model, reference = found["model"], found["columns"][0]
    changed = found["columns"][1:]
    where = f"{model} on {found['task']}, T = {found['length']}"
    color = colors_of([model])[model]
    rates = [_rate_row(column) for column in found["columns"]]
    steps = [_steps_row(column) for column in changed]
    solve_rates = rows(
        f"Solve rate by what is changed: {where}",
        f"trials that solve, of {reference['trials']} seeds (95 % Wilson interval)",
        rates,
        color,
        (reference["solve_rate"], "reference"),
        (-0.03, 1.03),
    )
    spent = rows(
        f"Steps spent, minus the reference's: {where}",
        "median of paired differences, steps (95 % interval)",
        steps,
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
            f"{tables.count(column)}\n{tables.interval(column)}",
            differences.rate(column["to_reference"]),
            f"{tables.steps(column)}\n{tables.steps_interval(column)}".strip(),
            differences.steps(column["to_reference"]),
            f"{column['parameters']:,}",
            str(column["diverged"] or tables.NONE),
        ]
        for column in found["columns"]
    ]
    pictures = [
        Picture("ablation-solve-rate", f"Solve rate by what is changed: {where}", solve_rates),
        Picture("ablation-steps", f"Steps spent, minus the reference's: {where}", spent),
    ]
    return [Section(f"Ablation: {where}", text, pictures, [Table(headings, body)])]


def _rate_row(column: Mapping[str, Any]) -> Row:
    compared = column["to_reference"]
    return Row(
        column["name"],
        column["solve_rate"],
        column["solve_rate_low"],
        column["solve_rate_high"],
        differences.verdict(compared["solve_rate"]) if compared else "",
        not compared or not compared["solve_rate"]["within_noise"],
    )


def _steps_row(column: Mapping[str, Any]) -> Row:
    steps = column["to_reference"]["steps"]
    few = steps["low"] is None
    return Row(
        column["name"],
        steps["value"],
        steps["low"],
        steps["high"],
        differences.verdict(steps) + (", too few pairs" if few else ""),
        not steps["within_noise"],
    )
