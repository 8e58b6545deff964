"""What language models make of text: bits a byte, and how far back they look, a figure a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.colors import colors_of
from lstm_attn.report.panel import REFERENCE_COLOR, panel, panels
from lstm_attn.report.section import Picture, Section, Table

LOSS = "loss in bits a token"


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Bits a byte of all models, and what each makes of its context."""
    models = found["models"]
    colors = colors_of(model["model"] for model in models)
    rows = [
        [
            model["model"],
            f"{model['parameters']:,}",
            f"{model['bits_per_byte']['mean']:.3f}",
            f"{model['bits_per_byte']['low']:.3f} to {model['bits_per_byte']['high']:.3f}",
            *(_cell(point) for point in model["by_context"]),
            f"{model['seconds']:.0f}",
        ]
        for model in models
    ]
    contexts = [f"context {point['context']}" for point in models[0]["by_context"]]
    headings = ["model", "parameters", "bits a byte", "95 % interval", *contexts, "seconds"]
    text = (
        f"Held-out text of {found['source']}: {found['vocabulary']} different {found['level']} "
        f"tokens, segments of {found['length']}, {found['tokens_a_step']:,} tokens a step. Bits a "
        "byte are those of the whole test part, their interval is over blocks of it; models with a "
        f"carry read it through, others see at most {found['length']} tokens back. By context: "
        "bits a token of the same tokens, given only so many before them."
    )
    several = Picture(
        "text-by-context",
        "Loss against context, all models",
        panel("Loss against context", lambda axes: _context_lines(axes, models, colors)),
    )
    of_each = [
        Picture(
            f"text-memory-{model['model']}",
            f"Memory on text: {model['model']}",
            memory_of(model, found, colors[model["model"]]),
        )
        for model in models
    ]
    samples = [Section(f"Written by {model['model']}", model["sample"]) for model in models]
    title = f"Language models: {found['source']}"
    return [Section(title, text, [several, *of_each], [Table(headings, rows)]), *samples]


def memory_of(model: Mapping[str, Any], found: Mapping[str, Any], color: str) -> Figure:
    """Loss by position and by context, and how far it falls for a passage that comes again."""

    def by_position(axes: Axes) -> None:
        points = model["by_position"]
        middles = [np.sqrt(point["first"] * point["last"]) for point in points]
        _points(axes, middles, points, color, "in a window without memory before it")
        _baseline(axes, found)
        axes.set(xlabel="position in the window, tokens", ylabel=LOSS)

    def by_context(axes: Axes) -> None:
        points = model["by_context"]
        _points(axes, [p["context"] for p in points], points, color, "")
        _baseline(axes, found)
        axes.set(xlabel="context, tokens", ylabel=LOSS)

    def induction(axes: Axes) -> None:
        points = model["induction"]
        _points(axes, [p["distance"] for p in points], points, color, "")
        axes.axhline(0, color=REFERENCE_COLOR, linewidth=1, linestyle="--")
        axes.set(
            xlabel=f"distance of the second passage of {found['passage']}, tokens",
            ylabel="bits a token by which loss falls",
        )

    return panels(
        [
            (f"{model['model']}: position", by_position),
            ("context", by_context),
            ("a passage again", induction),
        ]
    )


def _points(
    axes: Axes, x: Sequence[float], points: Sequence[Mapping[str, Any]], color: str, label: str
) -> None:
    low, mean, high = (
        np.array([_number(point[key]) for point in points]) for key in ("low", "mean", "high")
    )
    ends = np.nan_to_num(np.maximum([mean - low, high - mean], 0))
    axes.errorbar(
        x, mean, ends, color=color, label=label or None,
        marker="o", markersize=4, linewidth=1.5, elinewidth=1, capsize=2,
    )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _context_lines(
    axes: Axes, models: Sequence[Mapping[str, Any]], colors: Mapping[str, str]
) -> None:
    for model in models:
        points = model["by_context"]
        contexts = [point["context"] for point in points]
        _points(axes, contexts, points, colors[model["model"]], model["model"])
    axes.set(xlabel="context, tokens", ylabel=LOSS)


def _baseline(axes: Axes, found: Mapping[str, Any]) -> None:
    axes.axhline(found["baseline_bits"], color=REFERENCE_COLOR, linewidth=1, linestyle="--")


def _cell(point: Mapping[str, Any]) -> str:
    return f"{point['mean']:.3f}"


def _number(value: float | None) -> float:
    return np.nan if value is None else value
