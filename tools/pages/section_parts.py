"""What the README's sections of benchmarks are put together from."""

from typing import Any

Record = dict[str, Any]
NOTHING = "–"
MEBIBYTE = 2**20


def with_target(value: float | None, target: float | None, sign: str, digits: int = 2) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.{digits}f}" + (
        f" ({sign} {target:,.{digits}f})" if target is not None else ""
    )


def three_figures(value: float) -> str:
    """And all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def picture(record: Record, text: str) -> str:
    return f'<img src="results/benchmarks/{record["benchmark"]}.png" alt="{text}">'


def joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
