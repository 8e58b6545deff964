"""The section of learning rates: solve rate and steps to solve against the rate, by model."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from lstm_attn.report.figures import Line, draw_solve_rates, draw_steps
from lstm_attn.report.panel import log_ticks, panel, reference
from lstm_attn.report.section import NamedFigure, Section, Table
from lstm_attn.report.tables import solved, steps_to_solve

Model = Mapping[str, Any]  # one of learning_rates.json


def sections(result: Mapping[str, Any]) -> list[Section]:
    """Two figures, and two tables with a column for each rate."""
    where = f"{result['task']}, T = {result['length']}"
    models, budget = result["models"], result["budget"]
    rates = models[0]["rates"]

    def draw_medians(axes: Axes) -> None:
        draw_steps(axes, _by_rate(axes, models))
        reference(axes, "budget", y=budget)

    text = (
        "Solve rate and steps to solve against the peak learning rate. First figure: trials that "
        f"solve within {budget:,} steps, of {rates[0]['trials']} seeds at each rate, with the 95 % "
        "interval; points are shifted sideways so that all can be seen. Second: the median "
        f"over the trials that solve; a dot is a trial. Solved: {result['criterion']}."
    )
    figures = [
        NamedFigure(
            "learning-rate-solved",
            f"Solve rate against learning rate: {where}",
            panel(
                f"Solve rate: {where}",
                lambda axes: draw_solve_rates(axes, _by_rate(axes, models)),
            ),
        ),
        NamedFigure(
            "learning-rate-steps",
            f"Steps to solve against learning rate: {where}",
            panel(f"Steps to solve: {where}", draw_medians),
        ),
    ]
    columns = [f"{rate['learning_rate']:g}" for rate in rates]
    tables = [
        Table(
            ["model", "parameters", *columns],
            [[m["model"], f"{m['parameters']:,}", *map(solved, m["rates"])] for m in models],
        ),
        Table(
            ["median of steps to solve", *columns],
            [[m["model"], *map(steps_to_solve, m["rates"])] for m in models],
        ),
    ]
    return [Section(f"Learning rates: {where}", text, figures, tables)]


def _by_rate(axes: Axes, models: Sequence[Model]) -> list[Line]:
    """A line for each model; draws their axis of rates."""
    rates = [rate["learning_rate"] for rate in models[0]["rates"]]
    log_ticks(axes, rates, "peak learning rate", 1.4)
    return [
        Line(m["model"], rates, m["rates"], [rate["steps_to_solve"] for rate in m["rates"]])
        for m in models
    ]
