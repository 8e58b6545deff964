"""Sections of the README from the records in results/benchmarks, each figure with its target."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.record import (
    Row,
    by_case,
    fastest,
    of_layers,
    of_text,
    speed_over_peers,
    throughputs,
)
from lstm_attn.report.tables import markdown
from tools.pages.markdown import NOTHING, joined, three_figures, with_target

Record = dict[str, Any]
MEBIBYTE = 2**20

# What the project set out to reach.
SPEED_TARGET, LEAST_SPEED_TARGET = 1.5, 1.0
DISTANCE_TARGETS = {128: 3.0, 512: 2.0}  # by H
ATTENTION_TARGET = 0.7  # of the time of jax.nn, causal, forward and backward
ATTENTION_TARGET_LENGTH = 2048
MEMORY_TARGET = 1024 * MEBIBYTE
MEMORY_TARGET_LENGTHS = {"lstm": 100_000, "attention": 16_384}
TIME_TARGET = 1.5  # of the time without segments
JOB_TARGET = 3.0  # times the speed of an idiomatic Flax loop


def training_section(record: Record) -> str:
    """One line a shape: ours, the fastest peer, speed, distance to the floor, compilation. Then
    language models."""
    layers = of_layers(record["rows"])
    lines = []
    for rows in by_case(layers).values():
        ours, speed, pair = _ours_and_peer(rows)
        linen = [r for r in rows if r["name"].startswith("linen") and "one program" in r["name"]]
        compiling = min((row["compile_seconds"] for row in linen), default=None)
        lines.append(
            [
                f"{ours['cell']} {_sizes(ours)}",
                *pair,
                with_target(speed, LEAST_SPEED_TARGET, "≥"),
                with_target(ours["distance"], DISTANCE_TARGETS.get(ours["features"]), "≤"),
                with_target(ours["compile_seconds"], compiling, "≤"),
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
        after=_language_models(of_text(record["rows"])),
    )


def _speeds(rows: Sequence[Row]) -> str:
    """One sentence a cell and contender of ours."""
    sentences = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        mine = [row for row in rows if row["cell"] == cell]
        best = [speed for _, speed, _ in map(_ours_and_peer, by_case(mine).values()) if speed]
        ratios = {"the fastest of ours": best} if best else {}
        for name, values in {**ratios, **speed_over_peers(mine)}.items():
            mean, least = statistics.geometric_mean(values), min(values)
            sentences.append(
                f"- {cell}, {_own_name(name)}: {mean:.2f} times the speed of the fastest peer of "
                f"each shape (target {SPEED_TARGET}), least {least:.2f} (target "
                f"{LEAST_SPEED_TARGET})."
            )
    return "\n".join(sentences)


def _language_models(rows: Sequence[Row]) -> str:
    """One line a model and contender; "" without rows."""
    if not rows:
        return ""
    lines = [
        [
            f"{row['model']} {row['batch']}, {row['length']}, {row['features']}",
            _own_name(row["name"]),
            f"{row['parameters']:,}",
            f"{median:,.0f} ({lower:,.0f}–{upper:,.0f})",
            NOTHING if speed is None or not row["is_ours"] else f"{speed:.2f}",
        ]
        for row, median, lower, upper, speed in throughputs(rows)
    ]
    headings = ["model, B, T, H of the LSTM", "trained by", "parameters", "tokens a second",
                "speed over torch"]  # fmt: skip
    return joined(
        "Language models on characters, one trial: tokens a second in training, with reading the "
        "text, clipping and Adam. The LSTM carries its state from segment to segment.",
        markdown(headings, lines, left=(0, 1)),
    )


def recurrent_section(record: Record) -> str:
    """One line a cell, direction and shape."""
    lines = []
    for rows in by_case(record["rows"]).values():
        ours, speed, pair = _ours_and_peer(rows)
        layer = f"{ours['cell']}, {ours['direction']}"
        figures = [with_target(value, None, "") for value in (speed, ours["distance"])]
        lines.append([layer, _sizes(ours), *pair, *figures])
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
    for rows in by_case(record["rows"]).values():
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
        ratio = ours["median_seconds"] / own_jax["median_seconds"] if own_jax else None
        lines.append(
            [
                f"{ours['direction']}{', causal' if ours['is_causal'] else ''}",
                f"{ours['batch']}, {ours['length']:,}",
                _milliseconds(ours),
                _own_name(ours["name"]),
                _milliseconds(own_jax),
                with_target(ratio, ATTENTION_TARGET if targeted else None, "≤"),
                _milliseconds(torch),
                f"{ours['distance']:.2f}",
            ]
        )
    headings = ["attention", "B, T", "ms", "ours", "jax.nn, ms", "ours / jax.nn", "torch, ms",
                "time over floor"]  # fmt: skip
    return _section(
        record,
        "Milliseconds of attention against length",
        markdown(headings, lines, left=(0, 1, 3)),
    )


def memory_section(record: Record) -> str:
    """One line a case and contender: memory above the inputs, and time."""
    lines, ratios = [], []
    for title, rows in by_case(record["rows"]).items():
        kind = rows[0].get("cell", "attention")
        targeted = MEMORY_TARGET_LENGTHS[kind] == rows[0]["length"]
        for row in rows:
            target = MEMORY_TARGET / MEBIBYTE if targeted and row["is_ours"] else None
            lines.append(
                [
                    title,
                    _own_name(row["name"]),
                    with_target(_mebibytes(row["peak_bytes"]), target, "≤", 0),
                    with_target(_mebibytes(row["temporary_bytes"]), None, "≤", 0),
                    _milliseconds(row),
                ]
            )
        named = {row["name"]: row for row in rows}
        kept, segments = named.get("ours, all steps kept"), named.get("ours, segments")
        if kept and segments:
            ratio = segments["median_seconds"] / kept["median_seconds"]
            ratios.append((kept["length"], ratio))
    sentence = ""
    if ratios:
        length, ratio = max(ratios)
        sentence = (
            f"At T = {length:,}, the longest at which both fit, segments take {ratio:.2f} times as "
            f"long (target {TIME_TARGET})."
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
    rows = {(row["name"], row["batch"], row["room"]): row for row in record["rows"]}
    rooms = sorted({room for _, _, room in rows})
    lines = []
    for name, batch in dict.fromkeys((name, batch) for name, batch, _ in rows):
        mine = [rows.get((name, batch, room)) for room in rooms]
        tokens = [f"{batch / row['median_seconds']:,.0f}" if row else NOTHING for row in mine]
        lines.append([name, str(batch), *tokens])
    return _section(
        record,
        "Tokens a second against the room for positions",
        markdown(["model", "B", *(f"{room:,}" for room in rooms)], lines),
        "Tokens a second; columns: for how many positions there is room.",
    )


def whole_job_section(record: Record) -> str:
    """One line a side."""
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
        _figure(record, "Solved trials against seconds"),
    )


def resident_size_section(record: Record) -> str:
    """One line a cell."""
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
        "private memory. Growth: from the second tenth of a cell's time to its last, medians.",
        _figure(record, "Resident size against minutes"),
    )


SECTIONS: dict[str, Callable[[Record], str]] = {
    "recurrent": recurrent_section,
    "training": training_section,
    "attention": attention_section,
    "memory": memory_section,
    "decoding": decoding_section,
    "whole_job": whole_job_section,
    "resident_size": resident_size_section,
}


def _section(record: Record, alt: str, *before: str, after: str = "") -> str:
    """What is said before the figure, the figure, what is said after it; then who was left out and
    where this was measured."""
    reasons = {(skip["name"], skip["reason"]) for skip in record["skipped"]}
    listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons))
    rates = [(row["flops_per_second"] / 1e9, row["bytes_per_second"] / 1e9)
             for row in record["rows"]]  # fmt: skip
    flops, traffic = (statistics.median(values) for values in zip(*rates, strict=True))
    return joined(
        *before,
        _figure(record, alt),
        after,
        f"Left out: {listed}." if listed else "",
        f"{record['finished'][:10]}, {record['cores']} cores ({record['processor']}), device "
        f"{record['device']}, jax {record['versions']['jax']}; matmul {flops:.0f} Gflop/s and "
        f"memory {traffic:.1f} GB/s in the same run.",
    )


def _figure(record: Record, alt: str) -> str:
    return f'<img src="results/benchmarks/{record["benchmark"]}.png" alt="{alt}">'


def _ours_and_peer(rows: Sequence[Row]) -> tuple[Row, float | None, list[str]]:
    """The fastest of ours; the fastest peer's time over its own, None without a peer; and the times
    and names of both."""
    ours, peer = fastest(rows, ours=True), fastest(rows, ours=False)
    assert ours, "one of ours is always measured"
    speed = peer["median_seconds"] / ours["median_seconds"] if peer else None
    cells = [_milliseconds(ours), _own_name(ours["name"]), _milliseconds(peer)]
    return ours, speed, [*cells, peer["name"] if peer else NOTHING]


def _own_name(name: str) -> str:
    return name.removeprefix("ours, ")


def _mebibytes(count: int | None) -> float | None:
    return None if count is None else count / MEBIBYTE


def _sizes(row: Row) -> str:
    return f"{row['batch']}, {row['length']:,}, {row['inputs']}, {row['features']}"


def _milliseconds(row: Row | None) -> str:
    if row is None:
        return NOTHING
    kinds = ("median", "lower_quartile", "upper_quartile")
    median, low, high = (three_figures(1e3 * row[f"{kind}_seconds"]) for kind in kinds)
    return f"{median} ({low}–{high})"
