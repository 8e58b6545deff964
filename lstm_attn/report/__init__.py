"""Run folders in; tables, figures and one HTML page out. No JAX."""

from lstm_attn import host

host.give_matplotlib_a_folder()  # before the first import of matplotlib

from lstm_attn.report import ablation, differences, tables, trials
from lstm_attn.report.escaping import harmless
from lstm_attn.report.figures import (
    learning_curves,
    recall_by_position,
    remember_rates,
    share_remembered,
    survival,
)
from lstm_attn.report.page import labels, write, write_several
from lstm_attn.report.reading import Run, checked_results, in_grid_order, in_order, read
from lstm_attn.report.tables import markdown_table, verdict

__all__ = [
    "Run",
    "ablation",
    "checked_results",
    "differences",
    "harmless",
    "in_grid_order",
    "in_order",
    "labels",
    "learning_curves",
    "markdown_table",
    "read",
    "recall_by_position",
    "remember_rates",
    "share_remembered",
    "survival",
    "tables",
    "trials",
    "verdict",
    "write",
    "write_several",
]
