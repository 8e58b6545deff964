"""The README's table of speed: ours over others, from the records of the benchmarks."""

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import joined
from benchmarks.sections import fastest, speed_over_peers
from lstm_attn.report.tables import groups, markdown

Record = dict[str, Any]  # of a benchmark
Row = dict[str, Any]
Line = tuple[str, str, list[float]]  # what, compared with what, speeds over it
WITHOUT_KERNEL = "ours, fused, one device"


def section(folder: Path) -> str:
    """A row for each comparison of which the folder has the record: the geometric mean of speeds
    over all shapes, and their range; slower ones too."""
    records = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in COMPARISONS
        if (folder / f"{name}.json").exists()
    }
    lines = [line for name, record in records.items() for line in COMPARISONS[name](record)]
    rows = [
        [what, peer, _speed(speeds), str(len(speeds))] for what, peer, speeds in lines if speeds
    ]
    machines = {
        f"{record['cores']} cores ({record['processor']}), {record['finished'][:10]}": None
        for record in records.values()
    }
    return joined(
        markdown(["what", "compared with", "times as fast", "shapes"], rows, left=(0, 1)),
        f"Geometric mean over shapes, and their range. {'; '.join(machines)}.",
    )


def whole_job(record: Record) -> list[Line]:
    what = f"{record['trials']} trials of adding, T = {record['length']}, to solved"
    return [(f"{what}, compilation included", "a Flax training loop", [record["speed"]])]


def training(record: Record) -> list[Line]:
    """Steps of an LSTM, by the fastest of ours at each shape and without the kernel; text."""
    layers = [row for row in record["rows"] if "cell" in row]
    texts = [row for row in record["rows"] if "model" in row]
    without = speed_over_peers(layers).get(WITHOUT_KERNEL)
    peers = "the fastest other library"
    return [
        ("a training step of an LSTM", peers, over_others(layers)),
        *([("the same without the native kernel, one device", peers, without)] if without else []),
        *(
            (f"training the {model} of the language models", "PyTorch", over_others(rows))
            for model, rows in groups(texts, "model").items()
        ),
    ]


def recurrent(record: Record) -> list[Line]:
    both = [row for row in record["rows"] if row["direction"] == "forward and backward"]
    return [
        (f"a layer of {cell.upper()}, with its gradient", "the fastest other library",
         over_others(rows))
        for cell, rows in groups(both, "cell").items()
    ]  # fmt: skip


def attention(record: Record) -> list[Line]:
    both = [row for row in record["rows"] if row["direction"] == "forward and backward"]
    return [
        ("attention, with its gradient", peer, over_others(both, name))
        for peer, name in (("jax.nn.dot_product_attention", "jax.nn"), ("PyTorch", "torch"))
    ]


COMPARISONS: dict[str, Callable[[Record], list[Line]]] = {
    "whole_job": whole_job,
    "training": training,
    "recurrent": recurrent,
    "attention": attention,
}


def over_others(rows: Sequence[Row], name: str | None = None) -> list[float]:
    """Speed of the fastest of ours over the fastest other, or that of the name, by case."""
    speeds = []
    for mine in groups(rows, "case").values():
        ours = fastest(mine, ours=True)
        other = fastest([row for row in mine if name in (None, row["name"])], ours=False)
        if ours and other:
            speeds.append(other["median_seconds"] / ours["median_seconds"])
    return speeds


def _speed(speeds: Sequence[float]) -> str:
    mean = statistics.geometric_mean(speeds)
    return f"{mean:.2f}" + (f" ({min(speeds):.2f}–{max(speeds):.2f})" if len(speeds) > 1 else "")
