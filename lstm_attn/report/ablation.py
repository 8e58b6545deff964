"""The section of an ablation: every change compared with the reference."""

from collections.abc import Mapping
from typing import Any

from lstm_attn.report.differences import Row, rows
from lstm_attn.report.panel import colors_of
from lstm_attn.report.section import NamedFigure, Section, table
from lstm_attn.report.tables import (
    NONE,
    mean_steps,
    remember_interval,
    remembering,
    share_remembered,
)

Column = Mapping[str, Any]  # the reference or a change, of ablation.json


def sections(result: Mapping[str, Any]) -> list[Section]:
    """Rates of trials that remember, differences of steps, and a table of both."""
    columns, model = result["columns"], result["model"]
    reference, changed = columns[0], columns[1:]
    where = f"{model} on {result['task']}, T = {result['length']}"
    color = colors_of([model])[model]
    rate_title = f"Trials that remember, by change: {where}"
    steps_title = f"Steps spent, minus those of the reference: {where}"
    rates = rows(
        rate_title,
        f"trials that remember, of {reference['trials']} seeds (95 % interval)",
        list(map(_rate_row, columns)),
        color,
        (reference["remember_rate"], "reference"),
        (-0.03, 1.03),
    )
    spent = rows(
        steps_title,
        "median of paired differences, steps (95 % interval)",
        list(map(_steps_row, changed)),
        color,
        (0, "reference"),
    )
    said = [f"{test['verdict']}." for one in changed for test in one["tests"] if test["verdict"]]
    text = (
        "Each row changes one setting of the reference, at the reference's learning rate "
        f"({result['learning_rate']:g}) and budget ({result['budget']:,} steps). All have the same "
        f"{reference['trials']} seeds. p is that of exact tests over them, McNemar's of who "
        "remembers and the sign test of steps, after Holm for all tests of the table. "
        + (" ".join(said) or "No difference allows a sentence.")
    )
    body = table(
        columns,
        {
            "changed": lambda column: column["name"],
            "remember": lambda column: f"{remembering(column)}\n{remember_interval(column)}",
            "p": lambda column: p_value(column, 0),
            "share remembered": share_remembered,
            "steps to remember": mean_steps,
            "p ": lambda column: p_value(column, 1),
            "parameters": lambda column: f"{column['parameters']:,}",
            "diverged": lambda column: str(column["diverged"] or NONE),
        },
    )
    figures = [
        NamedFigure("ablation-remember", rate_title, rates),
        NamedFigure("ablation-steps", steps_title, spent),
    ]
    return [Section(f"Ablation: {where}", text, figures, [body])]


def p_value(column: Column, index: int) -> str:
    """The adjusted p of a column's test of who remembers (0) or of steps (1)."""
    return f"{column['tests'][index]['p']:.3f}" if column["tests"] else NONE


def _rate_row(column: Column) -> Row:
    """The rate, in colour if a test allows a sentence on it."""
    value, low, high = (column[f"remember_rate{end}"] for end in ("", "_low", "_high"))
    return Row(column["name"], value, low, high, *_tested(column, 0))


def _steps_row(column: Column) -> Row:
    """The difference of steps, in colour if a test allows a sentence on it. The interval is that
    of one row alone: it knows nothing of the other rows."""
    value, low, high = (column["to_reference"]["steps"][end] for end in ("value", "low", "high"))
    return Row(column["name"], value, low, high, *_tested(column, 1))


def _tested(column: Column, index: int) -> tuple[str, bool]:
    """p in words, and whether the test allows a sentence; the reference has none and stands out."""
    if not column["tests"]:
        return "", True
    return f"p = {p_value(column, index)}", bool(column["tests"][index]["verdict"])
