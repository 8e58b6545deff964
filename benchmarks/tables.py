"""Tables of a record, for the terminal."""

import statistics
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from benchmarks.comparison import Spread
from benchmarks.record import Row, by_case, fastest, speed_over_peers, throughputs

NOTHING = "–"


def case_tables(record: dict[str, Any]) -> list[Table]:
    """One table a case, one line a contender."""
    tables = []
    for title, rows in by_case(record["rows"]).items():
        floor = rows[0]
        table = Table(
            title=title,
            title_justify="left",
            caption=(
                f"floor {1e3 * floor['floor_seconds']:.4g} ms a step, at "
                f"{floor['flops_per_second'] / 1e9:.0f} Gflop/s and "
                f"{floor['bytes_per_second'] / 1e9:.1f} GB/s in the same run; "
                f"{len(floor['samples'])} rounds"
            ),
            caption_justify="left",
        )
        table.add_column("contender", no_wrap=True)
        peer = fastest(rows, ours=False)
        headings = ["ms", "quartiles", "x floor", "compile s", "temporary", "peak"]
        for heading in (*headings, *(["speed / peer"] if peer else [])):
            table.add_column(heading, justify="right")
        for row in rows:
            times = {name: 1e3 * row[f"{name}_seconds"] for name in Spread._fields}
            cells = [
                row["name"],
                f"{times['median']:.4g}",
                f"{times['lower_quartile']:.4g}–{times['upper_quartile']:.4g}",
                f"{row['distance']:.2f}",
                NOTHING if row["compile_seconds"] is None else f"{row['compile_seconds']:.2f}",
                _mebibytes(row["temporary_bytes"]),
                _mebibytes(row["peak_bytes"]),
            ]
            if peer:
                cells.append(f"{peer['median_seconds'] / row['median_seconds']:.2f}")
            table.add_row(*cells)
        for skip in record["skipped"]:
            if skip["case"] == title:
                table.add_row(skip["name"], *[NOTHING] * (len(table.columns) - 1))
        tables.append(table)
    return tables


def _mebibytes(count: int | None) -> str:
    return NOTHING if count is None else f"{count / 2**20:.1f} MiB"


def summaries(rows: Sequence[Row], title: str = "all cases") -> list[Table]:
    """Ours against the fastest peer of each case, one line for each of ours; none without peers."""
    ratios = speed_over_peers(rows)
    if not ratios:
        return []
    table = Table(title=f"speed over the fastest peer of each case: {title}", title_justify="left")
    for heading in ("contender", "geometric mean", "least", "cases"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for name, values in ratios.items():
        mean, least = statistics.geometric_mean(values), min(values)
        table.add_row(name, f"{mean:.2f}", f"{least:.2f}", str(len(values)))
    return [table]


def tokens_tables(rows: Sequence[Row]) -> list[Table]:
    """Training throughput of language models, one line a contender; none without such rows."""
    if not rows:
        return []
    table = Table(title="language models: training tokens a second", title_justify="left")
    for heading in ("case", "contender"):
        table.add_column(heading, no_wrap=True)
    for heading in ("parameters", "tokens/s", "quartiles", "speed / peer"):
        table.add_column(heading, justify="right")
    for row, median, lower, upper, speed in throughputs(rows):
        table.add_row(
            row["case"],
            row["name"],
            f"{row['parameters']:,}",
            f"{median:,.0f}",
            f"{lower:,.0f}–{upper:,.0f}",
            NOTHING if speed is None else f"{speed:.2f}",
        )
    return [table]
