"""Cells and paragraphs of Markdown that the sections of pages share."""

from typing import Any

from lstm_attn.report.tables import NONE


def joined(*paragraphs: str) -> str:
    """Those that are not empty, one after another."""
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def three_figures(value: float) -> str:
    """Rounded to three significant figures, or to whole numbers from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def with_target(
    value: float | None, target: float | None = None, sign: str = "≤", digits: int = 2
) -> str:
    """The value, with its target in brackets where there is one."""
    if value is None:
        return NONE
    bracket = "" if target is None else f" ({sign} {target:,.{digits}f})"
    return f"{value:,.{digits}f}{bracket}"


def shown_figure(record: dict[str, Any], alt: str) -> str:
    """The figure that is written next to the record."""
    return f'<img src="results/benchmarks/{record["benchmark"]}.png" alt="{alt}">'
