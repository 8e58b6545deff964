"""Run folders in; tables, figures and one HTML page out. No JAX."""

from lstm_attn.report.figures import (
    learning_curves,
    recall_by_position,
    solve_rates,
    steps_to_solve,
)
from lstm_attn.report.page import in_grid_order, write
from lstm_attn.report.tables import horizon, markdown_table, verdict

__all__ = [
    "horizon",
    "in_grid_order",
    "learning_curves",
    "markdown_table",
    "recall_by_position",
    "solve_rates",
    "steps_to_solve",
    "verdict",
    "write",
]
