"""What language models make of text: bits a byte, and how far back they look, a figure a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import colors_of, error_bars, panel, panels, reference
from lstm_attn.report.section import Picture, Quote, Section, Table
from lstm_attn.report.tables import NONE

LOSS = "loss, bits a token"


def sections(found: Mapping[str, Any]) -> list[Section]:
    """Bits a byte of all models, what each makes of its context, and what each writes."""
    models = found["models"]
    colors = colors_of(model["model"] for model in models)
    pictures = [
        Picture(
            "text-training",
            "Loss of the validation part against the training step",
            panel("Training", lambda axes: _curves(axes, models, colors)),
        ),
        Picture(
            "text-by-context",
            "Loss against the length of the context, all models",
            panel("Context", lambda axes: _contexts(axes, models, found["length"], colors)),
        ),
    ]
    families = [
        Picture(
            f"text-memory-{model['model']}",
            f"Memory on text of {model['model']}: loss by position and context, induction",
            memory_figure(model, found, colors[model["model"]]),
        )
        for model in models
    ]
    return [
        Section(
            f"Language models: {found['source']}", _text(found), pictures, [bits_table(models)]
        ),
        Section(
            "How far back they look, on text",
            _memory_text(found),
            families,
            [context_table(models), induction_table(models)],
        ),
        *(
            Section(
                f"Written by {model['model']}",
                "After three places of the test part (grey), by its first trial at temperature .7.",
                quotes=[
                    Quote(sample["prompt"]["text"], sample["text"]) for sample in model["samples"]
                ],
            )
            for model in models
        ),
    ]


def bits_table(models: Sequence[Mapping[str, Any]]) -> Table:
    """One row a model, with its difference from the first one, block by block."""
    rows = []
    for model in models:
        bits = model["bits_per_byte"]
        apart = model["minus_first"]
        rows.append(
            [
                model["model"],
                f"{model['parameters']:,}",
                f"{_number(bits['mean']):.3f}",
                _interval(bits, ".3f"),
                ", ".join(f"{_number(trial):.2f}" for trial in model["by_trial"]),
                NONE if apart is None else f"{_number(apart['mean']):+.3f}",
                NONE if apart is None else _interval(apart, "+.3f"),
                f"{model['seconds']:.0f}",
            ]
        )
    minus = f"minus {models[0]['model']}"
    headings = [
        "model", "parameters", "bits a byte", "95 % interval", "by trial", minus, "95 % interval",
        "seconds",
    ]  # fmt: skip
    return Table(headings, rows)


def context_table(models: Sequence[Mapping[str, Any]]) -> Table:
    """Loss of the same tokens given more and more context, and how far it falls."""
    contexts = [point["context"] for point in models[0]["by_context"]]
    rows = [
        [
            model["model"],
            f"{_number(model['by_context'][0]['mean']):.3f}",
            *(
                f"{-_number(point['fall']['mean']):+.3f}\n"
                f"{_interval(_turned(point['fall']), '+.3f')}"
                for point in model["by_context"][1:]
            ),
        ]
        for model in models
    ]
    return Table(["loss, bits a token", f"context {contexts[0]}", *map(str, contexts[1:])], rows)


def induction_table(models: Sequence[Mapping[str, Any]]) -> Table:
    """By how many bits a token a passage that stood before is likelier, by distance."""
    rows = [
        [
            model["model"],
            *(
                f"{_number(point['mean']):+.3f}\n{_interval(point, '+.3f')}"
                for point in model["induction"]
            ),
        ]
        for model in models
    ]
    distances = [str(point["distance"]) for point in models[0]["induction"]]
    return Table(["fall at the second occurrence, by distance", *distances], rows)


def memory_figure(model: Mapping[str, Any], found: Mapping[str, Any], color: str) -> Figure:
    """Loss by position, how far it falls with context, and for a passage that stood before."""

    def position(axes: Axes) -> None:
        points = model["by_position"]
        middles = [np.sqrt(point["first"] * point["last"]) for point in points]
        _points(axes, middles, points, color)
        reference(axes, y=found["baseline_bits"])
        axes.set(xlabel="position in a window that begins without memory, tokens", ylabel=LOSS)

    def context(axes: Axes) -> None:
        points = model["by_context"]
        falls = [point["fall"] for point in points]
        _points(axes, [point["context"] for point in points], falls, color)
        reference(axes, y=0)
        axes.set(xlabel="context, tokens", ylabel="fall, bits a token")

    def induction(axes: Axes) -> None:
        points = model["induction"]
        _points(axes, [point["distance"] for point in points], points, color)
        reference(axes, y=0)
        axes.set(
            xlabel=f"distance to the same {found['passage']} tokens before, tokens",
            ylabel="fall, bits a token",
        )

    name = model["model"]
    return panels(
        [
            (f"{name}: loss by position", position),
            (f"{name}: fall with more context", context),
            (f"{name}: fall at a repetition", induction),
        ]
    )


def _text(found: Mapping[str, Any]) -> str:
    return (
        f"{found['source']}, {found['vocabulary']} different {found['level']} tokens, segments of "
        f"{found['length']}, {found['tokens_a_step']:,} tokens a step for every model. Bits a byte "
        "are those of the whole test part, the mean over trials; their interval is over blocks of "
        "it, and says nothing of other seeds, for which see the trials. Differences are taken "
        "block by block, so that hard and easy text cancel out. Models with a carry read the part "
        f"through; others see at most {found['length']} tokens back. Curves: validation part; a "
        "line that leaves the picture of contexts goes on to the loss of the table below."
    )


def _memory_text(found: Mapping[str, Any]) -> str:
    return (
        "Position: loss of tokens so far into a window, nothing before it; dashed, by frequencies "
        "alone. Context: how far the loss of the same tokens falls below that with the shortest "
        f"context. A passage again: {found['passage']} random tokens at the end of a text, and how "
        "far their loss falls if they stood that far before, beside the same text with others "
        f"there. Trained on segments of {found['length']}: positions and distances beyond them are "
        "new to a model without a carry. One with a carry has hardly ever begun without it, so a "
        "short context costs it more than a model that begins every segment so."
    )


def _curves(axes: Axes, models: Sequence[Mapping[str, Any]], colors: Mapping[str, str]) -> None:
    for model in models:
        steps = [point["step"] for point in model["curve"]]
        bits = np.array([point["bits"] for point in model["curve"]], float)
        axes.plot(steps, bits, color=colors[model["model"]], label=model["model"])
    axes.set(xlabel="step", ylabel="validation " + LOSS)


def _contexts(
    axes: Axes, models: Sequence[Mapping[str, Any]], length: int, colors: Mapping[str, str]
) -> None:
    for model in models:
        points = model["by_context"]
        contexts = [point["context"] for point in points]
        losses = np.array([point["mean"] for point in points], float)
        color = colors[model["model"]]
        axes.plot(contexts, losses, "o-", color=color, markersize=4, label=model["model"])
    reference(axes, x=length)
    # Beyond the trained length a loss may be many times higher; it would flatten all others.
    within = [
        point["mean"]
        for model in models
        for point in model["by_context"]
        if point["context"] <= length and point["mean"] is not None
    ]
    if within:
        low, high = min(within), max(within)
        axes.set_ylim(low - 0.1 * (high - low) - 0.01, high + (high - low) + 0.01)
    _in_powers_of_two(axes)
    axes.set(xlabel="context, tokens (dashed: a segment of training)", ylabel=LOSS)


def _points(
    axes: Axes, x: Sequence[float], points: Sequence[Mapping[str, Any]], color: str
) -> None:
    low, mean, high = (
        np.array([point[key] for point in points], float) for key in ("low", "mean", "high")
    )
    error_bars(axes, x, low, mean, high, color)
    _in_powers_of_two(axes)


def _in_powers_of_two(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _interval(ends: Mapping[str, Any], form: str) -> str:
    low, high = _number(ends["low"]), _number(ends["high"])
    return f"{low:{form}} to {high:{form}}" if np.isfinite(low + high) else NONE


def _turned(fall: Mapping[str, Any]) -> dict[str, float]:
    """The ends of a fall's interval as those of a rise."""
    return {"low": -_number(fall["high"]), "high": -_number(fall["low"])}


def _number(value: float | None) -> float:
    return np.nan if value is None else value
