"""Language models in the README: how many tokens a second they train on, beside torch's."""

from collections.abc import Sequence

from benchmarks.record import Row, throughputs
from lstm_attn.report.tables import markdown
from tools.pages.section_parts import NOTHING, joined


def language_models_table(rows: Sequence[Row]) -> str:
    """A line a model and contender, and what is measured; "" without rows."""
    if not rows:
        return ""
    lines = []
    for row, median, lower, upper, speed in throughputs(rows):
        lines.append(
            [
                f"{row['model']} {row['batch']}, {row['length']}, {row['features']}",
                row["name"].removeprefix("ours, "),
                f"{row['parameters']:,}",
                f"{median:,.0f} ({lower:,.0f}–{upper:,.0f})",
                NOTHING if speed is None or not row["is_ours"] else f"{speed:.2f}",
            ]
        )
    headings = ["model, B, T, H of the LSTM", "trained by", "parameters", "tokens a second",
                "speed over torch"]  # fmt: skip
    return joined(
        "Language models on characters, one trial: tokens a second in training, reading the text, "
        "clipping and Adam included. The LSTM carries its state from segment to segment.",
        markdown(headings, lines, left=(0, 1)),
    )
