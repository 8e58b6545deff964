"""Sections of the README from the records of whole runs: their speed and their size."""

from lstm_attn.report.tables import markdown
from tools.pages.section_parts import MEBIBYTE, Record, joined, picture, with_target

JOB_TARGET = 3.0  # times the speed of an idiomatic Flax loop


def whole_job_section(record: Record) -> str:
    """A line a side."""
    lines = []
    for side, row in record["rows"].items():
        low, high = row["interval"]
        solved = f"{row['solved']}/{len(row['ends'])} ({low:.2f}–{high:.2f})"
        lines.append([side, f"{row['seconds']:.0f}", solved])
    speed = with_target(record["speed"], JOB_TARGET, "≥", 1)
    return joined(
        markdown(["side", "seconds", "solved"], lines),
        f"Adding, T = {record['length']:,}, an LSTM of H = {record['features']}, at most "
        f"{record['steps']:,} steps a trial, compilation included: ours is {speed} times as fast.",
        '<img src="results/benchmarks/whole_job.png" alt="Solved trials against seconds">',
    )


def resident_size_section(record: Record) -> str:
    """A line a cell."""
    lines = [
        [
            row["cell"],
            f"{row['chunks']:,}",
            str(sum(row["compiled_between_chunks"].values())),
            f"{row['resident_bytes'] / MEBIBYTE:,.0f}",
            f"{row['growth_bytes'] / MEBIBYTE:+.1f}",
        ]
        for row in record["rows"]
    ]
    headings = ["cell", "chunks", "compilations between them", "resident MiB", "growth, MiB"]
    return joined(
        markdown(headings, lines),
        f"{record['minutes']:g} minutes, at most {record['limit_bytes'] / MEBIBYTE:,.0f} MiB of "
        "private memory; growth is that of a cell's last tenth over its second.",
        picture(record, "Resident size against minutes"),
    )
