"""What the records of results.json say, in words and tables."""

import html
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

Record = Mapping[str, Any]  # of results.json
NONE = "–"


def names(records: Sequence[Record], key: str) -> list[Any]:
    """The values of a key, each once, in order of appearance."""
    return list(dict.fromkeys(record[key] for record in records))


def groups(records: Sequence[Record], *keys: str) -> dict[Any, list[Any]]:
    """Records by the value of the key, or by the tuple of values of several keys; groups and
    records in order of appearance."""
    grouped: dict[Any, list[Any]] = {}
    for record in records:
        values = tuple(record[key] for key in keys)
        grouped.setdefault(values if len(keys) > 1 else values[0], []).append(record)
    return grouped


def horizon(records: Sequence[Record], task: str, model: str) -> int | None:
    """The longest length at which at least half of the trials solve the task; None if at none."""
    lengths = [
        record["length"]
        for record in records
        if (record["task"], record["model"]) == (task, model) and record["solve_rate"] >= 0.5
    ]
    return max(lengths, default=None)


def verdict(records: Sequence[Record], task: str) -> str:
    """One sentence: who remembers how far, longest first."""
    mine = [record for record in records if record["task"] == task]
    reach: dict[int | None, list[str]] = {}
    for model in names(mine, "model"):
        reach.setdefault(horizon(mine, task, model), []).append(model)
    parts = [
        f"{_listed(reach[length])} to T = {length}" if length else f"{_listed(reach[None])} at none"
        for length in sorted(reach, key=lambda length: -(length or 0))
    ]
    tried = ", ".join(str(length) for length in sorted(names(mine, "length")))
    reached = "; ".join(parts)
    return f"Of the lengths tried ({tried}), at least half of the trials solve {task}: {reached}."


def count(record: Record) -> str:
    return f"{record['solved']}/{record['trials']}"


def interval(record: Record) -> str:
    return f"{record['solve_rate_low']:.2f}–{record['solve_rate_high']:.2f}"


def steps(record: Record) -> str:
    median = record["median_steps_to_solve"]
    return NONE if median is None else f"{median:,.0f}"


def steps_interval(record: Record) -> str:
    """The interval of the median and how often such an interval holds it; "" where none solve, and
    for one trial, whose median has no interval."""
    low, high = record["median_steps_low"], record["median_steps_high"]
    if low is None or high is None or record["trials"] == 1:
        return ""
    return f"{low:,.0f}–{high:,.0f}, {record['median_confidence']:.0%}"


def solved(record: Record) -> str:
    """How many trials solve; on a second line the 95 % interval of the rate."""
    return f"{count(record)}\n{interval(record)}"


def steps_to_solve(record: Record) -> str:
    """The median; on a second line its interval, if there is one."""
    return f"{steps(record)}\n{steps_interval(record)}".strip()


def loss_over_baseline(record: Record) -> str:
    loss = record["final_loss"]
    return NONE if loss is None else f"{loss / record['baseline']:.3g}"


def as_markdown(text: str) -> str:
    """The text as itself in Markdown, also in a table and in an attribute of HTML."""
    # Of HTML only what begins a tag, an entity or the end of an attribute: "T < 60" stays.
    escaped = re.sub(r"""<(?=[a-zA-Z/!?])|&(?=[#a-zA-Z])|\"""", lambda m: html.escape(m[0]), text)
    return re.sub(r"([\\|`*\[\]])", r"\\\1", escaped)


def markdown(
    headings: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> str:
    """A table of Markdown; columns of these indices to the left, the others to the right."""
    rule = ["---" if index in left else "---:" for index in range(len(headings))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))


def markdown_table(records: Sequence[Record]) -> str:
    """The verdict table of a run as Markdown: rows are tasks and models, columns are lengths."""
    lengths = sorted(names(records, "length"))
    cells = groups(records, "task", "model")
    headings = ["task", "model", "parameters", *(f"T = {length}" for length in lengths), "horizon"]
    rows = []
    for task, model in product(names(records, "task"), names(records, "model")):
        at = {record["length"]: record for record in cells.get((task, model), ())}
        sizes = sorted({record["parameters"] for record in at.values()})
        rows.append(
            [
                as_markdown(task),
                as_markdown(model),
                _range(sizes),
                *(f"{count(at[n])} ({interval(at[n])})" if n in at else NONE for n in lengths),
                str(horizon(records, task, model) or NONE),
            ]
        )
    return markdown(headings, rows, left=(0, 1))


def _range(sizes: Sequence[int]) -> str:
    if not sizes:
        return NONE
    return f"{sizes[0]:,}" + (f"–{sizes[-1]:,}" if sizes[-1] != sizes[0] else "")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
