"""The sections of language models: bits per byte, and how far back each looks in text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstm_attn.report.panel import colors_of, error_bars, panel, panels, reference
from lstm_attn.report.section import NamedFigure, Quote, Section, Table, table
from lstm_attn.report.tables import NONE

Model = Mapping[str, Any]  # one of language_model.json
Point = Mapping[str, Any]  # a mean with the ends of its interval; null where a trial diverged
LOSS = "loss, bits per token"
FALL = "fall, bits per token"


def sections(result: Mapping[str, Any]) -> list[Section]:
    """Bits per byte of all models, how each uses its context, and what each writes."""
    models, length = result["models"], result["length"]
    colors = colors_of(model["model"] for model in models)
    figures = [
        NamedFigure(
            "text-training",
            "Validation loss against the training step",
            panel("Training", lambda axes: _curves(axes, models, colors)),
        ),
        NamedFigure(
            "text-by-context",
            "Loss against the length of the context, all models",
            panel("Context", lambda axes: _contexts(axes, models, length, colors)),
        ),
    ]
    by_model = [
        NamedFigure(
            f"text-memory-{model['model']}",
            f"Memory on text of {model['model']}: loss by position and context, induction",
            memory_figure(model, result, colors[model["model"]]),
        )
        for model in models
    ]
    written = [
        Section(
            f"Written by {model['model']}",
            "Text that the first trial writes at temperature .7, each after a prompt from the test "
            "text (grey).",
            quotes=[Quote(sample["prompt"]["text"], sample["text"]) for sample in model["samples"]],
        )
        for model in models
    ]
    return [
        Section(
            f"Language models: {result['source']}", _text(result), figures, [bits_table(models)]
        ),
        Section(
            "How far back they look, on text",
            _memory_text(result),
            by_model,
            [context_table(models), induction_table(models)],
        ),
        *written,
    ]


def bits_table(models: Sequence[Model]) -> Table:
    """A row for each model, with its difference from the first one, block by block."""
    return table(
        models,
        {
            "model": lambda model: model["model"],
            "parameters": lambda model: f"{model['parameters']:,}",
            "bits per byte": lambda model: _statement(model["bits_per_byte"], ".3f"),
            "by trial": lambda model: ", ".join(
                f"{_number(bits):.2f}" for bits in model["by_trial"]
            ),
            f"minus {models[0]['model']}": lambda model: _statement(model["minus_first"], "+.3f"),
            "seconds": lambda model: f"{model['seconds']:.0f}",
        },
    )


def context_table(models: Sequence[Model]) -> Table:
    """The loss with the shortest context, and how far it falls with longer ones."""
    first, *longer = (point["context"] for point in models[0]["by_context"])
    rows = [
        [
            model["model"],
            f"{_number(model['by_context'][0]['mean']):.3f}",
            *(_statement(point["fall"], "+.3f") for point in model["by_context"][1:]),
        ]
        for model in models
    ]
    headings = [f"fall at context {context}" for context in longer]
    return Table(["model", f"loss at context {first}", *headings], rows)


def induction_table(models: Sequence[Model]) -> Table:
    """How far the loss of a passage falls at its repetition, by distance."""
    headings = [f"fall at distance {point['distance']}" for point in models[0]["induction"]]
    rows = [
        [model["model"], *(_statement(point, "+.3f") for point in model["induction"])]
        for model in models
    ]
    return Table(["repeated passage", *headings], rows)


def memory_figure(model: Model, result: Mapping[str, Any], color: str) -> Figure:
    """Loss by position, its fall with more context, and its fall for a repeated passage."""

    def draw(
        x: Sequence[float], points: Sequence[Point], level: float, xlabel: str, ylabel: str
    ) -> Any:
        def on(axes: Axes) -> None:
            low, mean, high = (
                np.array([point[key] for point in points], float) for key in ("low", "mean", "high")
            )
            error_bars(axes, x, low, mean, high, color)
            reference(axes, y=level)
            _in_powers_of_two(axes)
            axes.set(xlabel=xlabel, ylabel=ylabel)

        return on

    name, bins = model["model"], model["by_position"]
    contexts, passages = model["by_context"], model["induction"]
    position = draw(
        [np.sqrt(point["first"] * point["last"]) for point in bins],
        bins,
        result["baseline_bits"],
        "position in a window that begins without memory, tokens",
        LOSS,
    )
    context = draw(
        [point["context"] for point in contexts],
        [point["fall"] for point in contexts],
        0,
        "context, tokens",
        FALL,
    )
    induction = draw(
        [point["distance"] for point in passages],
        passages,
        0,
        f"distance to the first occurrence of the {result['passage']} tokens, tokens",
        FALL,
    )
    return panels(
        [
            (f"{name}: loss by position", position),
            (f"{name}: fall with more context", context),
            (f"{name}: fall at a repetition", induction),
        ]
    )


def _text(result: Mapping[str, Any]) -> str:
    return (
        f"Bits per byte on the test text of {result['source']}: {result['vocabulary']} different "
        f"{result['level']} tokens, segments of {result['length']}, {result['tokens_a_step']:,} "
        "tokens per step for every model. The mean over trials, with a 95 % interval over blocks "
        "of the text, which says nothing about other seeds; for those see the trials. Differences "
        "are taken block by block, so that hard and easy text cancel out. Models with a carry read "
        f"the text from beginning to end; others see at most {result['length']} tokens back. First "
        "figure: validation loss during training. Second: test loss against the context; a line "
        "that leaves the figure goes on to the loss in the table below."
    )


def _memory_text(result: Mapping[str, Any]) -> str:
    return (
        "Top: the loss of a token against its position in a window, with nothing before the "
        "window; dashed: the loss from token frequencies alone. Middle: how far the loss of the "
        "same tokens falls when the context grows from the shortest. Bottom, an induction test: "
        f"how far the loss of {result['passage']} random tokens at the end of a text falls if the "
        "same tokens occur that far before, compared with the same text with other tokens there. "
        f"Training had segments of {result['length']}: longer positions and distances are new to a "
        "model without a carry. A model with a carry has hardly ever begun without one, so a short "
        "context costs it more than a model that begins every segment so."
    )


def _curves(axes: Axes, models: Sequence[Model], colors: Mapping[str, str]) -> None:
    for model in models:
        steps = [point["step"] for point in model["curve"]]
        bits = np.array([point["bits"] for point in model["curve"]], float)
        axes.plot(steps, bits, color=colors[model["model"]], label=model["model"])
    axes.set(xlabel="training step", ylabel="validation " + LOSS)


def _contexts(axes: Axes, models: Sequence[Model], length: int, colors: Mapping[str, str]) -> None:
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
    axes.set(xlabel="context, tokens (dashed: a training segment)", ylabel=LOSS)


def _in_powers_of_two(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _statement(point: Point | None, form: str) -> str:
    """The mean; on a second line its interval. NONE where there is no point or no interval."""
    if point is None:
        return NONE
    mean, low, high = (_number(point[key]) for key in ("mean", "low", "high"))
    interval = f"{low:{form}} to {high:{form}}" if np.isfinite(low + high) else NONE
    return f"{mean:{form}}\n{interval}"


def _number(value: float | None) -> float:
    return np.nan if value is None else value
