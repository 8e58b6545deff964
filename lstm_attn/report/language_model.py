"""The sections of language models: bits per byte, and how far back each looks in text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstm_attn.report.language_model_figures import bits, contexts, curves, differences
from lstm_attn.report.language_model_figures import memory as memory_figure
from lstm_attn.report.panel import colors_of, panel
from lstm_attn.report.section import NamedFigure, Quote, Section, Table, table
from lstm_attn.report.tables import NONE

Model = Mapping[str, Any]  # one of language_model.json
Pair = Mapping[str, Any]  # of two models: bits per byte of the second minus those of the first
# A mean with the ends of its interval, and that of each seed; null where a trial diverged.
Point = Mapping[str, Any]
NO_VERDICT = "No difference allows a sentence."
_WRITTEN = (
    "Each prompt is from the test text (grey); below it, how the first trial of each model goes on "
    "at temperature .7. Models that go on alike are named together."
)
_AGAIN = "(as after prompt {})"


def sections(result: Mapping[str, Any]) -> list[Section]:
    """Bits per byte of all models, how each uses its context, and what each writes."""
    models, pairs, length = result["models"], result["pairs"], result["length"]
    colors = colors_of(model["model"] for model in models)
    figures = [
        NamedFigure(
            "text-bits",
            "Bits per byte of every seed, and their mean with its interval, by model",
            panel("Bits per byte", lambda axes: bits(axes, models, colors)),
        ),
        NamedFigure(
            "text-training",
            "Validation loss against the training step",
            panel("Training", lambda axes: curves(axes, models, colors)),
        ),
        NamedFigure(
            "text-by-context",
            "Loss against the length of the context, all models",
            panel("Context", lambda axes: contexts(axes, models, length, colors)),
        ),
    ]
    if pairs:
        alt = "Differences of bits per byte, with their intervals"
        figures.insert(1, NamedFigure("text-differences", alt, differences(pairs)))
    by_model = [
        NamedFigure(
            f"text-memory-{model['model']}",
            f"Memory on text of {model['model']}: loss by position and context, induction",
            memory_figure(model, result, colors[model["model"]]),
        )
        for model in models
    ]
    tables = [bits_table(models), *([differences_table(pairs)] if pairs else [])]
    return [
        Section(f"Language models: {result['source']}", _text(result), figures, tables),
        Section(
            "How far back they look, on text",
            _memory_text(result),
            by_model,
            [context_table(models), induction_table(models)],
        ),
        Section("What they write", _WRITTEN, quotes=written(models)),
    ]


def written(models: Sequence[Model]) -> list[Quote]:
    """Each prompt, and how the models continue it. Models that continue it alike are named
    together, and a text that is there already is not shown again."""
    by_prompt: dict[str, dict[str, list[str]]] = {}  # prompt -> text -> models
    for model in models:
        for sample in model["samples"]:
            of_prompt = by_prompt.setdefault(sample["prompt"]["text"], {})
            of_prompt.setdefault(sample["text"], []).append(model["model"])
    quotes: list[Quote] = []
    place: dict[str, int] = {}  # text -> the number of the prompt that it was shown after
    for number, (prompt, texts) in enumerate(by_prompt.items(), 1):
        shown = [
            (", ".join(dict.fromkeys(who)), _AGAIN.format(place[text]) if text in place else text)
            for text, who in texts.items()
        ]
        place |= {text: number for text in texts if text not in place}
        quotes.append(Quote(prompt, shown))
    return quotes


def bits_table(models: Sequence[Model]) -> Table:
    """A row for each model: its mean with the interval, the range of its seeds, and its cost."""
    return table(
        models,
        {
            "model": lambda model: model["model"],
            "parameters": lambda model: f"{model['parameters']:,}",
            "bits per byte": lambda model: _statement(model["bits_per_byte"], ".3f"),
            "range of seeds": range_of_seeds,
            "learning rate": lambda model: f"{model['learning_rate']:g}",
            "seconds": lambda model: f"{model['seconds']:.0f}",
            "of tuning": seconds_of_tuning,
        },
    )


def differences_table(pairs: Sequence[Pair]) -> Table:
    """A row for each two models."""
    return table(
        pairs,
        {
            "difference": lambda pair: f"{pair['second']} minus {pair['first']}",
            "bits per byte": lambda pair: _statement(pair, "+.3f"),
        },
    )


def mean_and_interval(point: Point) -> tuple[str, str]:
    """Such as ("1.753", "1.543–1.964"); NONE for what is not there."""
    mean, low, high = (point[key] for key in ("mean", "low", "high"))
    return (
        NONE if mean is None else f"{mean:.3f}",
        NONE if low is None or high is None else f"{low:.3f}–{high:.3f}",
    )


def range_of_seeds(model: Model) -> str:
    """The least and the greatest bits per byte of its seeds, and how many diverged."""
    by_seed = model["bits_per_byte"]["by_seed"]
    finite = [bits for bits in by_seed if bits is not None]
    lost = len(by_seed) - len(finite)
    shown = [f"{min(finite):.3f}–{max(finite):.3f}"] if finite else []
    return ", ".join([*shown, *([f"{lost} diverged"] if lost else [])])


def count_of_seeds(models: Sequence[Model]) -> str:
    """How many seeds each model has: "5", or "2 to 5"."""
    counts = sorted({len(model["seeds"]) for model in models})
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def seconds_of_tuning(model: Model) -> str:
    return f"{model['tuning']['seconds']:.0f}" if model["tuning"] else NONE


def verdicts(result: Mapping[str, Any]) -> str:
    """The sentences that the intervals of differences allow."""
    said = [f"{pair['verdict']}." for pair in result["pairs"] if pair["verdict"]]
    return " ".join(said) or NO_VERDICT


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


def _text(result: Mapping[str, Any]) -> str:
    count, seeds = len(result["pairs"]), count_of_seeds(result["models"])
    return (
        f"Bits per byte on the test text of {result['source']}: {result['vocabulary']} different "
        f"{result['level']} tokens, segments of {result['length']}, {result['tokens_a_step']:,} "
        f"tokens per step for every model, {result['budget']:,} steps, {seeds} seeds, "
        "learning rates tuned on other seeds by the validation loss. The mean over seeds, with a "
        "95 % interval of a bootstrap over seeds and blocks of the text: how the mean would change "
        "with other seeds and other text of the same kind. Of a difference both models have the "
        "same blocks, so that hard and easy text cancel out. "
        f"{verdicts(result)} "
        + (f"One interval in twenty excludes 0 by chance; there are {count}. " if count else "")
        + f"Models with a carry read the text from beginning to end; others see at most "
        f"{result['length']} tokens back. Figures: every seed (dots) and the mean with its "
        "interval; the differences, in colour where the interval excludes 0; validation loss "
        "during training, median and range of seeds; test loss against the context, where a line "
        "that leaves the figure goes on to the loss in the table below."
    )


def _memory_text(result: Mapping[str, Any]) -> str:
    return (
        "Top: the loss of a token against its position in a window, with nothing before the "
        "window; dashed: the loss from token frequencies alone. Middle: how far the loss of the "
        "same tokens falls when the context grows from the shortest. Bottom, an induction test: "
        f"how far the loss of {result['passage']} random tokens at the end of a text falls if the "
        "same tokens occur that far before, compared with the same text with other tokens there. "
        "Points: the mean over seeds with its 95 % interval, a bootstrap over seeds and places of "
        "the text; dots: every seed. "
        f"Training had segments of {result['length']}: longer positions and distances are new to a "
        "model without a carry. A model with a carry has hardly ever begun without one, so a short "
        "context costs it more than a model that begins every segment so."
    )


def _statement(point: Point | None, form: str) -> str:
    """The mean; on a second line its interval. NONE where there is none."""
    if point is None:
        return NONE
    mean, low, high = (_number(point[key]) for key in ("mean", "low", "high"))
    if not np.isfinite(mean):
        return NONE
    interval = f"{low:{form}} to {high:{form}}" if np.isfinite(low + high) else NONE
    return f"{mean:{form}}\n{interval}"


def _number(value: float | None) -> float:
    return np.nan if value is None else value
