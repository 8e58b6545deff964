"""A record in Markdown: every contender for the terminal, and the section of the README, each
figure with its target.

A record is the JSON that a benchmark writes; a row of it is one contender on one case.
"""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.markdown import joined, shown_figure, three_figures, with_target
from lstm_attn.report.tables import NONE, groups, markdown

Record = dict[str, Any]
Row = dict[str, Any]
MEBIBYTE = 2**20

# What the project set out to reach.
SPEED_TARGET, LEAST_SPEED_TARGET = 1.5, 1.0
DISTANCE_TARGETS = {128: 3.0, 512: 2.0}  # by H
ATTENTION_TARGET = 0.7  # of the time of jax.nn, causal, forward and backward
ATTENTION_TARGET_LENGTH = 2048
MEMORY_TARGET_MEBIBYTES = 1024
MEMORY_TARGET_LENGTHS = {"lstm": 100_000, "attention": 16_384}
TIME_TARGET = 1.5  # of the time without segments


def every_contender(record: Record) -> str:
    """A table a case, one line a contender: times, time over the floor, compilation, memory."""
    headings = ["contender", "ms", "time over floor", "compile, s", "XLA's account, MiB",
                "peak, MiB"]  # fmt: skip
    tables = []
    for title, rows in groups(record["rows"], "case").items():
        lines = [
            [
                row["name"],
                milliseconds(row),
                with_target(row["distance"]),
                with_target(row["compile_seconds"]),
                _mebibytes(row["temporary_bytes"]),
                _mebibytes(row["peak_bytes"]),
            ]
            for row in rows
        ]
        tables += [f"{title}; {len(rows[0]['samples'])} rounds:", markdown(headings, lines)]
    return joined(*tables)


def training_section(record: Record) -> str:
    """One line a shape: ours, the fastest peer, speed, distance to the floor, compilation. Then
    language models."""
    layers = [row for row in record["rows"] if "cell" in row]
    lines = []
    for rows in groups(layers, "case").values():
        ours, speed, pair = _ours_and_peer(rows)
        linen = [r for r in rows if r["name"].startswith("linen") and "one program" in r["name"]]
        compiling = min((row["compile_seconds"] for row in linen), default=None)
        lines.append(
            [
                f"{ours['cell']} {_sizes(ours)}",
                *pair,
                with_target(speed, LEAST_SPEED_TARGET, "≥"),
                with_target(ours["distance"], DISTANCE_TARGETS.get(ours["features"])),
                with_target(ours["compile_seconds"], compiling),
            ]
        )
    headings = ["cell, B, T, D, H", "ms a step", "ours", "ms a step", "fastest peer", "speed",
                "time over floor", "compile, s"]  # fmt: skip
    return _section(
        record,
        "Milliseconds of a training step by library and shape",
        markdown(headings, lines, left=(0, 2, 4)),
        _speeds(layers),
        "Milliseconds are medians with quartiles. Targets are in brackets; the target of "
        "compilation is the faster of the linen cells in one program.",
        after=_language_models([row for row in record["rows"] if "model" in row]),
    )


def _speeds(rows: Sequence[Row]) -> str:
    """One sentence a cell and contender of ours."""
    sentences = []
    for cell, mine in groups(rows, "cell").items():
        best = [speed for _, speed, _ in map(_ours_and_peer, groups(mine, "case").values())
                if speed]  # fmt: skip
        ratios = {"the fastest of ours": best} if best else {}
        for name, values in {**ratios, **speed_over_peers(mine)}.items():
            mean, least = statistics.geometric_mean(values), min(values)
            sentences.append(
                f"- {cell}, {own_name(name)}: {mean:.2f} times the speed of the fastest peer of "
                f"each shape (target {SPEED_TARGET}), least {least:.2f} (target "
                f"{LEAST_SPEED_TARGET})."
            )
    return "\n".join(sentences)


def _language_models(rows: Sequence[Row]) -> str:
    """Training throughput, one line a model and contender; "" without rows."""
    lines = []
    for mine in groups(rows, "case").values():
        peer = fastest(mine, ours=False)
        for row in mine:
            tokens = row["batch"] * row["length"]
            # Few seconds, many tokens.
            kinds = ("median", "upper_quartile", "lower_quartile")
            median, low, high = (f"{tokens / row[f'{kind}_seconds']:,.0f}" for kind in kinds)
            lines.append(
                [
                    f"{row['model']} {row['batch']}, {row['length']}, {row['features']}",
                    own_name(row["name"]),
                    f"{row['parameters']:,}",
                    f"{median} ({low}–{high})",
                    with_target(ratio(peer, row) if peer and row["is_ours"] else None),
                ]
            )
    headings = ["model, B, T, H of the LSTM", "trained by", "parameters", "tokens a second",
                "speed over torch"]  # fmt: skip
    table = markdown(headings, lines, left=(0, 1))
    introduction = (
        "Language models on characters, one trial: tokens a second in training, with reading the "
        "text, clipping and Adam. The LSTM carries its state from segment to segment."
    )
    return joined(introduction, table) if lines else ""


def recurrent_section(record: Record) -> str:
    """One line a cell, direction and shape."""
    lines = []
    for rows in groups(record["rows"], "case").values():
        ours, speed, pair = _ours_and_peer(rows)
        layer = f"{ours['cell']}, {ours['direction']}"
        lines.append(
            [layer, _sizes(ours), *pair, with_target(speed), with_target(ours["distance"])]
        )
    headings = ["layer", "B, T, D, H", "ms", "ours", "ms", "fastest peer", "speed",
                "time over floor"]  # fmt: skip
    return _section(
        record,
        "Time over the floor by library, layer and shape",
        markdown(headings, lines, left=(0, 1, 3, 5)),
    )


def attention_section(record: Record) -> str:
    """One line a direction, mask and size: ours, jax.nn, torch."""
    lines = []
    for rows in groups(record["rows"], "case").values():
        ours = fastest(rows, ours=True)
        if ours is None:
            continue
        named = {row["name"]: row for row in rows}
        own_jax, torch = named.get("jax.nn"), named.get("torch")
        targeted = (
            ours["is_causal"]
            and ours["length"] == ATTENTION_TARGET_LENGTH
            and ours["direction"] == "forward and backward"
        )
        over_jax = None if own_jax is None else ratio(ours, own_jax)
        lines.append(
            [
                f"{ours['direction']}{', causal' if ours['is_causal'] else ''}",
                f"{ours['batch']}, {ours['length']:,}, {ours['heads']}, {ours['features']}",
                milliseconds(ours),
                own_name(ours["name"]),
                milliseconds(own_jax),
                with_target(over_jax, ATTENTION_TARGET if targeted else None),
                milliseconds(torch),
                with_target(None if torch is None else ratio(ours, torch)),
                f"{ours['distance']:.2f}",
            ]
        )
    headings = ["attention", "B, T, N, K", "ms", "ours", "jax.nn, ms", "ours / jax.nn", "torch, ms",
                "ours / torch", "time over floor"]  # fmt: skip
    return _section(
        record,
        "Milliseconds of attention against length",
        markdown(headings, lines, left=(0, 1, 3)),
    )


def memory_section(record: Record) -> str:
    """One line a case and contender: memory above the inputs, and time."""
    lines, sentence = [], ""
    for title, rows in groups(record["rows"], "case").items():
        length = rows[0]["length"]
        targeted = MEMORY_TARGET_LENGTHS[rows[0].get("cell", "attention")] == length
        for row in rows:
            target = MEMORY_TARGET_MEBIBYTES if targeted and row["is_ours"] else None
            lines.append(
                [
                    title,
                    own_name(row["name"]),
                    _mebibytes(row["peak_bytes"], target),
                    _mebibytes(row["temporary_bytes"]),
                    milliseconds(row),
                ]
            )
        named = {row["name"]: row for row in rows}
        kept, segments = named.get("ours, all steps kept"), named.get("ours, segments")
        if kept and segments:  # lengths rise: the last sentence is the one that stays
            sentence = (
                f"At T = {length:,}, the longest at which both fit, segments take "
                f"{ratio(segments, kept):.2f} times as long (target {TIME_TARGET})."
            )
    headings = ["case", "contender", "peak, MiB", "XLA's account, MiB", "ms"]
    return _section(
        record,
        "Memory and time of long sequences",
        markdown(headings, lines, left=(0, 1)),
        sentence,
    )


def decoding_section(record: Record) -> str:
    """Tokens a second: one line a model and batch size, one column a number of positions."""
    rooms = sorted({row["room"] for row in record["rows"]})
    lines = []
    for (batch, name), rows in groups(record["rows"], "batch", "name").items():
        tokens = {row["room"]: f"{batch / row['median_seconds']:,.0f}" for row in rows}
        lines.append([name, str(batch), *(tokens.get(room, NONE) for room in rooms)])
    return _section(
        record,
        "Tokens a second against the room for positions",
        markdown(["model", "B", *(f"{room:,}" for room in rooms)], lines),
        "Tokens a second; columns: for how many positions there is room.",
    )


def _section(record: Record, alt: str, *before: str, after: str = "") -> str:
    """What is said before the figure, the figure, what is said after it, and the closing line."""
    return joined(*before, shown_figure(record, alt), after, closing_line(record))


def closing_line(record: Record) -> str:
    """Who was left out, and where this was measured."""
    reasons = {(skip["name"], skip["reason"]) for skip in record["skipped"]}
    listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons))
    rates = [(row["flops_per_second"] / 1e9, row["bytes_per_second"] / 1e9)
             for row in record["rows"]]  # fmt: skip
    flops, traffic = (statistics.median(values) for values in zip(*rates, strict=True))
    return joined(
        f"Left out: {listed}." if listed else "",
        f"{record['finished'][:10]}, {record['cores']} cores ({record['processor']}), device "
        f"{record['device']}, jax {record['versions']['jax']}; matmul {flops:.0f} Gflop/s and "
        f"memory {traffic:.1f} GB/s in the same run.",
    )


def fastest(rows: Iterable[Row], *, ours: bool) -> Row | None:
    """The row with the lowest median among ours, or among the others; None without such rows."""
    mine = [row for row in rows if row["is_ours"] == ours]
    return min(mine, key=lambda row: row["median_seconds"], default=None)


def speed_over_peers(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Name of each of ours -> the fastest peer's time over its own, for each case with a peer; a
    name that lacks one of these cases is left out."""
    ratios: dict[str, list[float]] = {}
    cases = 0
    for mine in groups(rows, "case").values():
        peer = fastest(mine, ours=False)
        if peer is None:
            continue
        cases += 1
        for row in mine:
            if row["is_ours"]:
                ratios.setdefault(row["name"], []).append(ratio(peer, row))
    return {name: values for name, values in ratios.items() if len(values) == cases}


def _ours_and_peer(rows: Sequence[Row]) -> tuple[Row, float | None, list[str]]:
    """The fastest of ours; the fastest peer's time over its own, None without a peer; and the times
    and names of both."""
    ours, peer = fastest(rows, ours=True), fastest(rows, ours=False)
    assert ours, "one of ours is always measured"
    cells = [milliseconds(ours), own_name(ours["name"]), milliseconds(peer)]
    return ours, ratio(peer, ours) if peer else None, [*cells, peer["name"] if peer else NONE]


def ratio(row: Row, other: Row) -> float:
    return row["median_seconds"] / other["median_seconds"]


def own_name(name: str) -> str:
    return name.removeprefix("ours, ")


def _mebibytes(count: int | None, target: float | None = None) -> str:
    return with_target(None if count is None else count / MEBIBYTE, target, digits=0)


def _sizes(row: Row) -> str:
    return f"{row['batch']}, {row['length']:,}, {row['inputs']}, {row['features']}"


def milliseconds(row: Row | None) -> str:
    if row is None:
        return NONE
    kinds = ("median", "lower_quartile", "upper_quartile")
    median, low, high = (three_figures(1e3 * row[f"{kind}_seconds"]) for kind in kinds)
    return f"{median} ({low}–{high})"
