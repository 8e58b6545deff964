"""Sections of the README from the records in results/benchmarks, each figure beside its target."""

import statistics
from collections.abc import Callable, Sequence

from benchmarks.record import Row, by_case, fastest, of_layers, of_text, speed_over_peers
from lstm_attn.report.tables import markdown
from tools.pages.run_sections import resident_size_section, whole_job_section
from tools.pages.section_parts import (
    MEBIBYTE,
    NOTHING,
    Record,
    joined,
    picture,
    three_figures,
    with_target,
)
from tools.pages.throughput_section import language_models_table

# What the project set out to reach.
SPEED_TARGET, LEAST_SPEED_TARGET = 1.5, 1.0
DISTANCE_TARGETS = {128: 3.0, 512: 2.0}  # by H
ATTENTION_TARGET = 0.7  # of the time of jax.nn, causal, forward and backward
ATTENTION_TARGET_LENGTH = 2048
MEMORY_TARGET = 1024 * MEBIBYTE
MEMORY_TARGET_LENGTHS = {"lstm": 100_000, "attention": 16_384}
TIME_TARGET = 1.5  # of the time without segments


def training_section(record: Record) -> str:
    """A line a shape: ours, the fastest peer, their ratio, the distance to the floor, compiling.
    Then language models."""
    lines = []
    layers = of_layers(record["rows"])
    for rows in by_case(layers).values():
        ours, peer = fastest(rows, ours=True), fastest(rows, ours=False)
        assert ours, "a training step of ours is always measured"
        linen = [r for r in rows if r["name"].startswith("linen") and "one program" in r["name"]]
        compiling = min((row["compile_seconds"] for row in linen), default=None)
        target = DISTANCE_TARGETS.get(ours["features"])
        lines.append(
            [
                f"{ours['cell']} {_sizes(ours)}",
                _milliseconds(ours),
                ours["name"].removeprefix("ours, "),
                _milliseconds(peer) if peer else NOTHING,
                peer["name"] if peer else NOTHING,
                with_target(_speed(ours, peer), LEAST_SPEED_TARGET, "≥") if peer else NOTHING,
                with_target(ours["distance"], target, "≤"),
                with_target(ours["compile_seconds"], compiling, "≤"),
            ]
        )
    headings = ["cell, B, T, D, H", "ms a step", "ours", "ms a step", "fastest peer", "speed",
                "time over floor", "compile, s"]  # fmt: skip
    return joined(
        markdown(headings, lines, left=(0, 2, 4)),
        _speeds(layers, f" (target {SPEED_TARGET})"),
        "Milliseconds are medians with their quartiles. Targets stand in brackets; that of "
        "compiling is the quicker of the linen cells in one program.",
        picture(record, "Milliseconds of a training step by library and shape"),
        language_models_table(of_text(record["rows"])),
        _left_out(record),
        _circumstances(record),
    )


def recurrent_section(record: Record) -> str:
    """A line a cell, direction and shape."""
    lines = []
    for rows in by_case(record["rows"]).values():
        ours, peer = fastest(rows, ours=True), fastest(rows, ours=False)
        assert ours, "a layer of ours is always measured"
        lines.append(
            [
                f"{ours['cell']}, {ours['direction']}",
                _sizes(ours),
                _milliseconds(ours),
                ours["name"].removeprefix("ours, "),
                _milliseconds(peer) if peer else NOTHING,
                peer["name"] if peer else NOTHING,
                f"{_speed(ours, peer):.2f}" if peer else NOTHING,
                f"{ours['distance']:.2f}",
            ]
        )
    headings = ["layer", "B, T, D, H", "ms", "ours", "ms", "fastest peer", "speed",
                "time over floor"]  # fmt: skip
    return joined(
        markdown(headings, lines, left=(0, 1, 3, 5)),
        picture(record, "Time over the floor by library, layer and shape"),
        _left_out(record),
        _circumstances(record),
    )


def attention_section(record: Record) -> str:
    """A line a direction, mask and size: ours, jax.nn, torch."""
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
                ours["name"].removeprefix("ours, "),
                _milliseconds(own_jax) if own_jax else NOTHING,
                with_target(ratio, ATTENTION_TARGET if targeted else None, "≤"),
                _milliseconds(torch) if torch else NOTHING,
                f"{ours['distance']:.2f}",
            ]
        )
    headings = ["attention", "B, T", "ms", "ours", "jax.nn, ms", "ours / jax.nn", "torch, ms",
                "time over floor"]  # fmt: skip
    return joined(
        markdown(headings, lines, left=(0, 1, 3)),
        picture(record, "Milliseconds of attention against length"),
        _left_out(record),
        _circumstances(record),
    )


def memory_section(record: Record) -> str:
    """A line a case and contender: memory above the inputs, time, and time over the first's."""
    lines, ratios = [], []
    cases = by_case(record["rows"])
    for title, rows in cases.items():
        targeted = _memory_target(rows[0])
        for row in rows:
            peak, temporary = row["peak_bytes"], row["temporary_bytes"]
            lines.append(
                [
                    title,
                    row["name"].removeprefix("ours, "),
                    with_target(_mebibytes(peak), targeted if row["is_ours"] else None, "≤", 0),
                    with_target(_mebibytes(temporary), None, "≤", 0),
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
    return joined(
        markdown(headings, lines, left=(0, 1)),
        sentence,
        picture(record, "Memory and time of long sequences"),
        _left_out(record),
        _circumstances(record),
    )


def decoding_section(record: Record) -> str:
    """Tokens a second: a line a model and batch size, a column a number of positions."""
    rows = {(row["name"], row["batch"], row["room"]): row for row in record["rows"]}
    rooms = sorted({room for _, _, room in rows})
    lines = []
    for name, batch in dict.fromkeys((name, batch) for name, batch, _ in rows):
        mine = [rows.get((name, batch, room)) for room in rooms]
        tokens = [f"{batch / row['median_seconds']:,.0f}" if row else NOTHING for row in mine]
        lines.append([name, str(batch), *tokens])
    return joined(
        markdown(["model", "B", *(f"{room:,}" for room in rooms)], lines),
        "Tokens a second, by the positions that there is room for.",
        picture(record, "Tokens a second against positions"),
        _left_out(record),
        _circumstances(record),
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


def _speeds(rows: Sequence[Row], target: str) -> str:
    """One sentence a contender of ours and cell."""
    sentences = []
    for cell in dict.fromkeys(row["cell"] for row in rows):
        mine = [row for row in rows if row["cell"] == cell]
        best = [_speed(*pair) for pair in map(_best_pair, by_case(mine).values()) if pair]
        ratios = {"the fastest of ours": best} if best else {}
        for name, values in {**ratios, **speed_over_peers(mine)}.items():
            mean, least = statistics.geometric_mean(values), min(values)
            sentences.append(
                f"{cell}, {name.removeprefix('ours, ')}: {mean:.2f} times the speed of the fastest "
                f"peer of each shape{target}, least {least:.2f} (target {LEAST_SPEED_TARGET})."
            )
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _best_pair(rows: Sequence[Row]) -> tuple[Row, Row] | None:
    ours, peer = fastest(rows, ours=True), fastest(rows, ours=False)
    return (ours, peer) if ours and peer else None


def _speed(ours: Row, peer: Row) -> float:
    return peer["median_seconds"] / ours["median_seconds"]


def _memory_target(row: Row) -> float | None:
    kind = row.get("cell", "attention")
    return MEMORY_TARGET / MEBIBYTE if MEMORY_TARGET_LENGTHS[kind] == row["length"] else None


def _mebibytes(count: int | None) -> float | None:
    return None if count is None else count / MEBIBYTE


def _sizes(row: Row) -> str:
    return f"{row['batch']}, {row['length']:,}, {row['inputs']}, {row['features']}"


def _milliseconds(row: Row) -> str:
    kinds = ("median", "lower_quartile", "upper_quartile")
    median, low, high = (1e3 * row[f"{kind}_seconds"] for kind in kinds)
    return f"{three_figures(median)} ({three_figures(low)}–{three_figures(high)})"


def _circumstances(record: Record) -> str:
    rates = [(row["flops_per_second"] / 1e9, row["bytes_per_second"] / 1e9)
             for row in record["rows"]]  # fmt: skip
    flops, traffic = (statistics.median(values) for values in zip(*rates, strict=True))
    return (
        f"{record['finished'][:10]}, {record['cores']} cores ({record['processor']}), device "
        f"{record['device']}, jax {record['versions']['jax']}; matmul {flops:.0f} Gflop/s and "
        f"memory {traffic:.1f} GB/s in the same run."
    )


def _left_out(record: Record) -> str:
    """Who did not take part somewhere, and why."""
    reasons = {(skip["name"], skip["reason"]) for skip in record["skipped"]}
    listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons))
    return f"Left out: {listed}." if listed else ""
