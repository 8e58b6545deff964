"""The section of length generalisation: accuracy by trained and tested length, and tables of it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lstm_attn.report.panel import COLORS, colors_of, panel
from lstm_attn.report.section import NamedFigure, Section, Table
from lstm_attn.report.tables import NONE, groups, names

Entry = Mapping[str, Any]  # of one cell
GAP = 0.3  # between models, of a row
COLOR_MAP = colormaps["cividis"]  # brightness rises evenly, for all eyes
DARK = 0.55  # squares below this accuracy take white text
OUTLINE: dict[str, Any] = {"fill": False, "edgecolor": COLORS[5], "linewidth": 2}
TEXT = (
    "Median accuracy at each tested length, after training on sequences of the outlined lengths. "
    "Below each median of {trials} trials, solved or not, is the range of the trials, each tested "
    "on {sequences:,} fresh sequences per length, in {programs}. Without memory, accuracy is "
    "{guess:.3f}. A model holds to the longest tested length up to which, from the trained one on, "
    "at least half of its trials solve the task: {criterion}. Learned positions past the trained "
    "length are as at initialisation, since training never reached them."
)


def sections(result: Mapping[str, Any]) -> list[Section]:
    """One for each task."""
    return [
        Section(
            f"Length generalisation: {task}",
            _text(entries),
            [
                NamedFigure(
                    f"length-generalisation-{task}",
                    f"Accuracy of each model on {task}, by trained and tested length",
                    accuracy_by_length(entries, f"{task}: accuracy by tested length"),
                )
            ],
            [_table("Accuracy", entries, _accuracy), _table("Solved", entries, _solved)],
        )
        for task, entries in groups(result["cells"], "task").items()
    ]


def accuracy_by_length(entries: Sequence[Entry], title: str = "") -> Figure:
    """A heat map with a row for each model and range of trained lengths, a column for each tested
    length."""
    rows = _by_model(entries)
    lengths = sorted({at["length"] for entry in entries for at in entry["at"]})
    tops = _tops(rows)
    colors = colors_of(names(rows, "model"))

    def draw(axes: Axes) -> None:
        for top, entry in zip(tops, rows, strict=True):
            _draw_row(axes, top, entry, lengths)
        axes.set_yticks([top + 0.5 for top in tops], [f"{label(e)}, {trained_on(e)}" for e in rows])
        for tick, entry in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_color(colors[entry["model"]])
        axes.set_xticks(np.arange(len(lengths)) + 0.5, [str(length) for length in lengths])
        axes.set(xlim=(0, len(lengths)), ylim=(tops[-1] + 1, 0), ylabel="model, trained on")
        axes.set_xlabel(
            f"tested length T (steps)\nmedian of {rows[0]['trials']} trials, their range below it"
        )
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.add_patch(Rectangle((0, 0), 0, 0, label="lengths trained on", **OUTLINE))
        _draw_scale(axes, rows[0]["accuracy_without_memory"])

    return panel(title, draw, (3.0 + 0.55 * len(lengths), 1.2 + 0.34 * (tops[-1] + 1)))


def _by_model(entries: Sequence[Entry]) -> list[Entry]:
    """The entries of a model one after another."""
    models = list(map(label, entries))
    return sorted(entries, key=lambda entry: models.index(label(entry)))


def _tops(rows: Sequence[Entry]) -> list[float]:
    """The top of each row: rows are one below the other, with a gap between models."""
    tops = [0.0]
    for before, entry in itertools.pairwise(rows):
        tops.append(tops[-1] + 1 + GAP * (label(before) != label(entry)))
    return tops


def _draw_row(axes: Axes, top: float, entry: Entry, lengths: Sequence[int]) -> None:
    for at in entry["at"]:
        left, middle = lengths.index(at["length"]), median(at)
        color = COLOR_MAP(middle)
        square = Rectangle((left, top), 1, 1, facecolor=color, edgecolor="white", linewidth=0.8)
        axes.add_patch(square)
        look: Any = {"color": "white" if middle < DARK else "black"}
        look |= {"ha": "center", "va": "center"}
        axes.text(left + 0.5, top + 0.36, share(middle), fontsize=8, **look)
        axes.text(left + 0.5, top + 0.75, range_of(at), fontsize=5.5, **look)
    trained = [n for n, T in enumerate(lengths) if entry["shortest"] <= T <= entry["length"]]
    if trained:
        corner, width = (trained[0] + 0.03, top + 0.05), len(trained) - 0.06
        axes.add_patch(Rectangle(corner, width, 0.9, zorder=3, **OUTLINE))


def _draw_scale(axes: Axes, guess: float) -> None:
    """The colour scale of accuracy, with a mark at that of a model without memory."""
    mappable = ScalarMappable(Normalize(0, 1), COLOR_MAP)
    scale = axes.figure.colorbar(mappable, ax=axes, fraction=0.04, pad=0.02).ax
    scale.axhline(guess, color="white", linewidth=1.5)
    scale.set_yticks([0, guess, 0.5, 1], ["0", f"{share(guess)} no memory", ".50", "1"])
    scale.set_ylabel("accuracy", labelpad=-28)
    scale.tick_params(labelsize=7)


def _text(entries: Sequence[Entry]) -> str:
    first = entries[0]
    return TEXT.format(
        trials=first["trials"],
        sequences=first["sequences"],
        programs="one program" if first["programs"] == 1 else f"{first['programs']} programs",
        guess=first["accuracy_without_memory"],
        criterion=first["criterion"],
    )


def _table(what: str, entries: Sequence[Entry], cell: Callable[[Entry], str]) -> Table:
    """A row for each model and range of trained lengths, a column for each tested length."""
    lengths = [f"T = {at['length']}" for at in entries[0]["at"]]
    rows = [
        [label(entry), trained_on(entry), reach(entry), *map(cell, entry["at"])]
        for entry in _by_model(entries)
    ]
    return Table([f"{what}: model", "trained on", "holds to", *lengths], rows)


def _accuracy(at: Entry) -> str:
    return f"{share(median(at))} ({range_of(at)})"


def _solved(at: Entry) -> str:
    low, high = at["solve_rate"]
    return f"{at['solved']}/{len(at['accuracies'])} ({low:.2f}–{high:.2f})"


def label(entry: Entry) -> str:
    """The model, followed by its positions if it has them."""
    return f"{entry['model']} {entry['positions']}" if entry["positions"] else str(entry["model"])


def trained_on(entry: Entry) -> str:
    shortest, length = entry["shortest"], entry["length"]
    return f"T = {length}" if shortest == length else f"T = {shortest} to {length}"


def reach(entry: Entry) -> str:
    """The longest tested length up to which, from the trained one on, at least half of the trials
    solve; with a "+" if no longer one was tested."""
    beyond = [at for at in entry["at"] if at["length"] >= entry["length"]]
    held = itertools.takewhile(lambda at: 2 * at["solved"] >= entry["trials"], beyond)
    lengths = [at["length"] for at in held]
    return f"{lengths[-1]}{'+' * (len(lengths) == len(beyond))}" if lengths else NONE


def share(value: float) -> str:
    """A number from 0 to 1 in at most three characters; only 1 itself is written as 1."""
    if value == 1:
        return "1"
    return f"{min(value, 0.99) if value > 0.99 else value:.2f}".removeprefix("0")


def median(at: Entry) -> float:
    """The median accuracy of the trials at one tested length."""
    return float(np.median(at["accuracies"]))


def range_of(at: Entry) -> str:
    """The lowest and the highest accuracy of the trials at one tested length."""
    return f"{share(min(at['accuracies']))}–{share(max(at['accuracies']))}"
