"""Every trial of a run as a row: for CSV and for pandas."""

import csv
import io
from collections.abc import Sequence
from typing import Any

# What a row says of its trial's cell.
OF_A_CELL = (
    "task", "variant", "length", "model", "features", "parameters", "criterion", "baseline",
    "cell",
)  # fmt: skip


def rows(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each trial: its own values, and those of its cell.

    Args:
      records: of results.json.
    """
    return [
        {
            **{key: record[key] for key in OF_A_CELL},
            "budget": record["training_config"]["steps"],
            **trial,
        }
        for record in records
        for trial in record["per_trial"]
    ]


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV, with a line of headings; empty where a value is null."""
    found = rows(records)
    text = io.StringIO()
    if found:
        # Of a damaged folder a trial may say more than another.
        names = list(dict.fromkeys(name for row in found for name in row))
        writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    return text.getvalue()
