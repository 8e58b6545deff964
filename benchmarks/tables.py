"""Tables of a record, for the terminal."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from benchmarks.comparison import Spread
from benchmarks.record import Row, by_case, fastest, speed_over_peers, throughputs

NOTHING = "–"


def case_tables(record: dict[str, Any]) -> list[Table]:
    """One table a case, one line a contender."""
    tables = []
    for title, rows in by_case(record["rows"]).items():
        floor, peer = rows[0], fastest(rows, ours=False)
        headings = ["contender", "ms", "quartiles", "x floor", "compile s", "temporary", "peak"]
        lines = []
        for row in rows:
            median, lower, upper = (
                f"{1e3 * row[f'{name}_seconds']:.4g}" for name in Spread._fields
            )
            compiling = row["compile_seconds"]
            lines.append(
                [
                    row["name"],
                    median,
                    f"{lower}–{upper}",
                    f"{row['distance']:.2f}",
                    NOTHING if compiling is None else f"{compiling:.2f}",
                    _mebibytes(row["temporary_bytes"]),
                    _mebibytes(row["peak_bytes"]),
                ]
            )
            if peer:
                lines[-1].append(f"{peer['median_seconds'] / row['median_seconds']:.2f}")
        if peer:
            headings.append("speed / peer")
        lines += [
            [skip["name"], *[NOTHING] * (len(headings) - 1)]
            for skip in record["skipped"]
            if skip["case"] == title
        ]
        caption = (
            f"floor {1e3 * floor['floor_seconds']:.4g} ms a step, at "
            f"{floor['flops_per_second'] / 1e9:.0f} Gflop/s and "
            f"{floor['bytes_per_second'] / 1e9:.1f} GB/s in the same run; "
            f"{len(floor['samples'])} rounds"
        )
        tables.append(plain(title, headings, lines, caption=caption))
    return tables


def _mebibytes(count: int | None) -> str:
    return NOTHING if count is None else f"{count / 2**20:.1f} MiB"


def summaries(rows: Sequence[Row], title: str = "all cases") -> list[Table]:
    """Ours against the fastest peer of each case, one line for each of ours; none without peers."""
    lines = [
        (name, f"{statistics.geometric_mean(values):.2f}", f"{min(values):.2f}", str(len(values)))
        for name, values in speed_over_peers(rows).items()
    ]
    title = f"speed over the fastest peer of each case: {title}"
    return [plain(title, ("contender", "geometric mean", "least", "cases"), lines)] if lines else []


def tokens_tables(rows: Sequence[Row]) -> list[Table]:
    """Training throughput of language models, one line a contender; none without such rows."""
    lines = [
        (
            row["case"],
            row["name"],
            f"{row['parameters']:,}",
            f"{median:,.0f}",
            f"{lower:,.0f}–{upper:,.0f}",
            NOTHING if speed is None else f"{speed:.2f}",
        )
        for row, median, lower, upper, speed in throughputs(rows)
    ]
    headings = ("case", "contender", "parameters", "tokens/s", "quartiles", "speed / peer")
    title = "language models: training tokens a second"
    return [plain(title, headings, lines, left=2)] if lines else []


def plain(
    title: str,
    headings: Iterable[str],
    lines: Iterable[Iterable[str]],
    left: int = 1,
    caption: str = "",
) -> Table:
    """The first `left` columns to the left, the others, of figures, to the right."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right", no_wrap=index < left)
    for line in lines:
        table.add_row(*line)
    return table
