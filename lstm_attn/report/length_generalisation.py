"""Length generalisation in a report: a heat map a task, and the same numbers as a table."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from lstm_attn.report.panel import COLORS, colors_of, panel
from lstm_attn.report.section import Picture, Section, Table
from lstm_attn.report.tables import NONE, groups, names

Entry = Mapping[str, Any]  # of one cell
GAP = 0.3  # between models, of a row
COLOR_MAP = colormaps["cividis"]  # one brightness scale, for all eyes
DARK = 0.55  # below it, cells take white text
OUTLINE: dict[str, Any] = {"fill": False, "edgecolor": COLORS[5], "linewidth": 2}
TEXT = (
    "Trained on sequences of the outlined lengths, tested on each length beside them: the mean "
    "accuracy of {trials} trials, solved or not, and below it the 95 % interval of the mean "
    "(Student's, over trials; no narrower than chance makes it in the {all_sequences:,} fresh "
    "sequences that they met at each length, in {programs}). Without memory, accuracy is "
    "{guess:.3f}. A model holds to the longest tested length up to which, from the trained one on, "
    "at least half of its trials solve the task: {criterion}. Rows of learned positions past the "
    "trained length are as at initialisation, since training never reached them."
)


def sections(found: Mapping[str, Any]) -> list[Section]:
    """One for each task."""
    drawn = []
    for task, entries in groups(found["cells"], "task").items():
        title = f"Length generalisation: {task}"
        picture = Picture(
            f"length-generalisation-{task}",
            f"Accuracy of each model on {task}, by trained and tested length",
            accuracy_by_length(entries, f"{task}: accuracy by tested length"),
        )
        drawn.append(Section(title, _text(entries), [picture], _tables(entries)))
    return drawn


def accuracy_by_length(entries: Sequence[Entry], title: str = "") -> Figure:
    """A heat map: a row for each model and range of trained lengths, a column a tested length."""
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
            "tested length T (steps)\n"
            f"mean of {rows[0]['trials']} trials, its 95 % interval below it"
        )
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.add_patch(Rectangle((0, 0), 0, 0, label="lengths trained on", **OUTLINE))
        _draw_scale(axes, rows[0]["accuracy_without_memory"])

    return panel(title, draw, (3.0 + 0.55 * len(lengths), 1.2 + 0.34 * (tops[-1] + 1)))


def _by_model(entries: Sequence[Entry]) -> list[Entry]:
    return [e for name in dict.fromkeys(map(label, entries)) for e in entries if label(e) == name]


def _tops(rows: Sequence[Entry]) -> list[float]:
    """Where each row begins: one below the other, with a gap between models."""
    tops = [0.0]
    for before, entry in itertools.pairwise(rows):
        tops.append(tops[-1] + 1 + GAP * (label(before) != label(entry)))
    return tops


def _draw_row(axes: Axes, top: float, entry: Entry, lengths: Sequence[int]) -> None:
    for at in entry["at"]:
        left, accuracy = lengths.index(at["length"]), at["accuracy"]
        corner = (left, top)
        color = COLOR_MAP(accuracy["mean"])
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=color, edgecolor="white", linewidth=0.8))
        ink = "white" if accuracy["mean"] < DARK else "black"
        for height, words, size in (
            (0.36, share(accuracy["mean"]), 8),
            (0.75, interval(accuracy), 5.5),
        ):
            axes.text(
                left + 0.5, top + height, words, color=ink, fontsize=size, ha="center", va="center"
            )
    trained = [
        n for n, length in enumerate(lengths) if entry["shortest"] <= length <= entry["length"]
    ]
    if trained:
        axes.add_patch(
            Rectangle(
                (trained[0] + 0.03, top + 0.05), len(trained) - 0.06, 0.9, zorder=3, **OUTLINE
            )
        )


def _draw_scale(axes: Axes, guess: float) -> None:
    """The colours of accuracy, and where a model without memory lies on them."""
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
        all_sequences=first["trials"] * first["sequences"],
        programs="one program" if first["programs"] == 1 else f"{first['programs']} programs",
        guess=first["accuracy_without_memory"],
        criterion=first["criterion"],
    )


def _tables(entries: Sequence[Entry]) -> list[Table]:
    """Accuracy, then the trials that solve, at each length and with their intervals."""
    lengths = [at["length"] for at in entries[0]["at"]]
    return [
        Table(
            [f"{what}: model", "trained on", "holds to", *(f"T = {length}" for length in lengths)],
            [
                [label(entry), trained_on(entry), reach(entry), *(write(at) for at in entry["at"])]
                for entry in _by_model(entries)
            ],
        )
        for what, write in (("Accuracy", _accuracy), ("Solved", _solved))
    ]


def _accuracy(at: Entry) -> str:
    return f"{share(at['accuracy']['mean'])} ({interval(at['accuracy'])})"


def _solved(at: Entry) -> str:
    low, high = at["solve_rate"]
    return f"{at['solved']}/{len(at['accuracies'])} ({low:.2f}–{high:.2f})"


def label(entry: Entry) -> str:
    """A model, with its positions if it has them."""
    return f"{entry['model']} {entry['positions']}" if entry["positions"] else str(entry["model"])


def trained_on(entry: Entry) -> str:
    shortest, length = entry["shortest"], entry["length"]
    return f"T = {length}" if shortest == length else f"T = {shortest} to {length}"


def reach(entry: Entry) -> str:
    """The longest tested length up to which, from `length` on, at least half of the trials solve.

    With a "+" where no longer one was tested.
    """
    beyond = [at for at in entry["at"] if at["length"] >= entry["length"]]
    held = itertools.takewhile(lambda at: 2 * at["solved"] >= entry["trials"], beyond)
    lengths = [at["length"] for at in held]
    return f"{lengths[-1]}{'+' * (len(lengths) == len(beyond))}" if lengths else NONE


def share(value: float) -> str:
    """A number of 0 to 1 in three signs; what is not quite 1 is not written as 1."""
    if value == 1:
        return "1"
    return f"{min(value, 0.99) if value > 0.99 else value:.2f}".removeprefix("0")


def interval(ends: Mapping[str, float]) -> str:
    return f"{share(ends['low'])}–{share(ends['high'])}"
