"""What the records of results.json say, in words and tables."""

import html
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any

Record = Mapping[str, Any]  # of results.json
NONE = "–"
REMEMBERS, DOES_NOT, UNDECIDED = "remembers", "does not", "is undecided"
PLURAL = {REMEMBERS: "remember", DOES_NOT: "do not", UNDECIDED: "are undecided"}
LEAST_TRIALS = 8  # with fewer, no sentence is written
RULE = (
    "A trial remembers if its loss is at most 5 % of the loss of the best predictor without "
    "memory, and is exact if it meets the criterion published with the task; both are confirmed on "
    "fresh sequences that no evaluation has seen. A model remembers (or does not) where the 95 % "
    "interval of the rate lies above (or below) one half; else it is undecided."
)


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


def standing(record: Record) -> str:
    """Whether more than half of all possible trials remember: "remembers" or "does not" where the
    95 % interval of the rate allows it, else "undecided", and so with fewer than LEAST_TRIALS."""
    if record["trials"] >= LEAST_TRIALS:
        if record["remember_rate_low"] > 0.5:
            return REMEMBERS
        if record["remember_rate_high"] < 0.5:
            return DOES_NOT
    return UNDECIDED


def verdict(records: Sequence[Record], task: str) -> str:
    """What the intervals say of each model on the task, a sentence for all models alike."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}  # (standing, lengths) -> models
    for model, mine in groups([r for r in records if r["task"] == task], "model").items():
        at = groups([{**r, "standing": standing(r)} for r in mine], "standing")
        standings = tuple(
            (words, listed([str(n) for n in sorted(r["length"] for r in at[words])]))
            for words in PLURAL
            if words in at
        )
        alike.setdefault(standings, []).append(model)
    sentences = []
    for standings, models in alike.items():
        clauses = [
            f"{words if len(models) == 1 else PLURAL[words]} at T = {lengths}"
            for words, lengths in standings
        ]
        sentences.append(f"{listed(models)} {'; '.join(clauses)}.")
    return " ".join(sentences)


def count(record: Record) -> str:
    """Of exact trials."""
    return f"{record['solved']}/{record['trials']}"


def interval(record: Record) -> str:
    return f"{record['solve_rate_low']:.2f}–{record['solve_rate_high']:.2f}"


def remembering(record: Record) -> str:
    """How many trials remember."""
    return f"{record['remembers']}/{record['trials']}"


def remember_interval(record: Record) -> str:
    return f"{_short(record['remember_rate_low'], 2)}–{_short(record['remember_rate_high'], 2)}"


def share_remembered(record: Record) -> str:
    """1 - loss / baseline at the end: the median of trials, and their range; a diverged trial
    remembers nothing."""
    shares = sorted(
        0.0 if trial["share_remembered"] is None else trial["share_remembered"]
        for trial in record["per_trial"]
    )
    middle, low, high = statistics.median(shares), shares[0], shares[-1]
    return f"{_short(middle, 3)} ({_short(low, 3)}–{_short(high, 3)})"


def _short(value: float, digits: int) -> str:
    """The number without a zero before its point: .95."""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def mean_steps(record: Record) -> str:
    """The mean of steps to remember, up to the budget, with its interval."""
    low, high = record["mean_steps_low"], record["mean_steps_high"]
    return f"{record['mean_steps_to_remember']:,.0f} ({low:,.0f}–{high:,.0f})"


def remembering_and_forgotten(at_rate: Record) -> str:
    """How many trials remember, and the median of loss / baseline, at one learning rate."""
    return f"{remembering(at_rate)} {forgotten(at_rate['median_forgotten']):>6}"


def forgotten(share: float | None) -> str:
    """A loss / baseline; null where the median trial diverged."""
    return "div." if share is None else f"{share:.2g}"


def window(found: Record | None) -> str:
    """The width of a learning-rate window in factors of ten; ≥ where an edge cuts it."""
    if found is None:
        return NONE
    return f"{'≥ ' if found['open_low'] or found['open_high'] else ''}{found['decades']:.1f}"


def lengths_in_words(shortest: int, length: int) -> str:
    """Those that a model was trained on: 20, or 5 to 20."""
    return str(length) if shortest == length else f"{shortest} to {length}"


def rates(record: Record) -> str:
    """The learning rates of its trials."""
    return ", ".join(f"{rate:g}" for rate in names(record["per_trial"], "learning_rate"))


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
    """The verdict table of a run as Markdown: a row for each task and model, a column a length."""
    lengths = sorted(names(records, "length"))
    cells = groups(records, "task", "model")
    headings = ["task", "model", "parameters", *(f"T = {length}" for length in lengths)]
    rows = []
    for task, model in product(names(records, "task"), names(records, "model")):
        at = {record["length"]: record for record in cells.get((task, model), ())}
        sizes = sorted({record["parameters"] for record in at.values()})
        rows.append(
            [
                as_markdown(task),
                as_markdown(model),
                _range(sizes),
                *(_remembering_in_full(at[n]) if n in at else NONE for n in lengths),
            ]
        )
    return markdown(headings, rows, left=(0, 1))


def _remembering_in_full(record: Record) -> str:
    return (
        f"{remembering(record)} ({remember_interval(record)})<br>exact {record['solved']}<br>"
        f"share {share_remembered(record)}<br>rate {rates(record)}"
    )


def _range(sizes: Sequence[int]) -> str:
    if not sizes:
        return NONE
    return f"{sizes[0]:,}" + (f"–{sizes[-1]:,}" if sizes[-1] != sizes[0] else "")


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
