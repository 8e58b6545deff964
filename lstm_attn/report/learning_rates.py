"""The section of learning rates: solve rate and steps to solve against the rate, by model."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.figures import Line, draw_solve_rates, draw_steps
from lstm_attn.report.panel import log_ticks, panel, reference
from lstm_attn.report.section import Picture, Section, Table
from lstm_attn.report.tables import solved, steps_to_solve

Model = Mapping[str, Any]  # one of learning_rates.json


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Two figures, and two tables with a column for each rate."""
    where = f"{found['task']}, T = {found['length']}"
    models = found["models"]
    rates = models[0]["rates"]
    text = (
        f"Trials that solve within {found['budget']:,} steps, of {rates[0]['trials']} seeds at "
        "each rate, with the 95 % Wilson interval; points are shifted sideways a little. Solved: "
        f"{found['criterion']}. Steps to solve are the median over the trials that solve; a dot "
        "is a trial."
    )
    pictures = [
        Picture(
            "learning-rate-solved",
            f"Solve rate against learning rate: {where}",
            solve_rate_by_rate(models, f"Solve rate: {where}"),
        ),
        Picture(
            "learning-rate-steps",
            f"Steps to solve against learning rate: {where}",
            steps_by_rate(models, found["budget"], f"Steps to solve: {where}"),
        ),
    ]
    columns = [f"{rate['learning_rate']:g}" for rate in rates]
    tables = [
        Table(
            ["model", "parameters", *columns],
            [[m["model"], f"{m['parameters']:,}", *map(solved, m["rates"])] for m in models],
        ),
        Table(
            ["median of steps to solve", "", *columns],
            [[m["model"], "", *map(steps_to_solve, m["rates"])] for m in models],
        ),
    ]
    return [Section(f"Learning rates: {where}", text, pictures, tables)]


def solve_rate_by_rate(models: Sequence[Model], title: str = "") -> Figure:
    """Solve rate against learning rate, a line for each model, with 95 % Wilson intervals."""
    return panel(title, lambda axes: draw_solve_rates(axes, _by_rate(axes, models)))


def steps_by_rate(models: Sequence[Model], budget: int, title: str = "") -> Figure:
    """Steps to solve against learning rate: the median of the trials that solve, a dot for each."""

    def draw(axes: Axes) -> None:
        draw_steps(axes, _by_rate(axes, models))
        reference(axes, "budget", y=budget)

    return panel(title, draw)


def _by_rate(axes: Axes, models: Sequence[Model]) -> list[Line]:
    """A line for each model; draws their axis of rates."""
    rates = [rate["learning_rate"] for rate in models[0]["rates"]]
    log_ticks(axes, rates, "peak learning rate", 1.4)
    return [
        Line(
            model["model"],
            rates,
            model["rates"],
            [rate["steps_to_solve"] for rate in model["rates"]],
        )
        for model in models
    ]
