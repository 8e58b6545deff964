"""The section of gradient reach: norms of d loss / d h_t and d loss / d x_t against the lag."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstm_attn.report.differences import TESTS
from lstm_attn.report.panel import (
    MODEL_COLORS,
    REFERENCE_COLOR,
    SIZE_INCHES,
    colors_of,
    dots,
    line_with_band,
    log_scale,
    offsets,
    panel,
    reference,
)
from lstm_attn.report.section import AFTER, STAGES, NamedFigure, Section, Table, table
from lstm_attn.report.tables import (
    NONE,
    names,
    rates,
    remember_interval,
    remembering,
    share_remembered,
)

Result = Mapping[str, Any]  # of gradient_reach.json
Line = Mapping[str, Any]  # one of its lines: a model or a start, with what its cell remembers
Entry = Mapping[str, Any]  # one of its measurements: a cell before or after training
Norms = Mapping[str, Any]  # of one layer or of the inputs, by lag
# The group of a line: each group has figures of its own.
MODELS, STARTS = "models", "starts"
HIDDEN, INPUTS = "hidden", "inputs"
# Of the curves: nothing below is shown, and their axis goes down at least so far.
FLOOR, SMALLEST = 1e-8, 1e-3
ROW_HEIGHT, MARGINS = 0.42, 1.2  # inches of the figures of reach
# All starts are LSTMs: each start has its own shade of the LSTM's colour.
SHADES = LinearSegmentedColormap.from_list("starts", ["#8CCBF2", MODEL_COLORS["lstm"], "#000000"])
TEXT = (
    "Norm of the gradient of the loss at the last step against the lag, the number of steps before "
    "the loss; relative to the norm at lag 1, since at lag 0 the output reads h and x directly. "
    "The gradient with respect to h is the total derivative: through the recurrence, the output "
    "and, in the hybrid, the attention over the states. Each trial is the median over its "
    "sequences; line: median over trials; band: their range. Before training, and where it ended: "
    "once both criteria were confirmed, or after {budget} steps. Starts are LSTMs that differ in "
    "their bias alone; chrono spreads the forget gates over time scales from 2 to T steps. Reach: "
    "the first lag at which a trial is below {share:g} % of its norm at lag 1; ≥ T where there is "
    "none. Dots are trials, {trials} seeds; bar: median and range. Each row of the table has its "
    "own learning rate, tuned on other seeds. Remember: trials whose loss is confirmed to be at "
    "most 5 % of that without memory, with the 95 % interval of the rate; exact: those that meet "
    "the criterion published with the task; share remembered: 1 - loss / baseline at the end, "
    "median and range; h and x: reach, median and range. "
)
TESTED = (
    "Last table: every two starts on the same seeds, by the exact sign test of the reach of "
    "d loss / d h and McNemar's test of who remembers; p is adjusted by Holm for all tests of the "
    "table. "
)


def sections(result: Result) -> list[Section]:
    """Curves of each group and gradient, the reach of each gradient, and the tests of starts."""
    title, lines = _title(result), result["lines"]
    first, *_ = _of(result, lines[0]["cell"])
    figures = [
        NamedFigure(
            f"gradient-{_symbol(name)}-{group}",
            f"Gradient by lag, {group}: d loss / d {_symbol(name)}, {title}",
            norms_by_lag(result, group, name),
        )
        for group in (STARTS, MODELS)
        for name in (HIDDEN, INPUTS)
    ]
    figures += [
        NamedFigure(
            f"reach-{_symbol(name)}",
            f"Reach of every trial: d loss / d {_symbol(name)}, {title}",
            reaches(result, name),
        )
        for name in (HIDDEN, INPUTS)
    ]
    text = TEXT.format(
        budget=f"{result['budget']:,}",
        share=100 * _inputs_of(first)["share"],
        trials=" to ".join(map(str, sorted({line["trials"] for line in lines}))),
    )
    shown = [reach_table(result)]
    if result["tests"]:
        said = [f"{test['verdict']}." for test in result["tests"] if test["verdict"]]
        text += TESTED + (" ".join(said) or "No difference allows a sentence.")
        shown.append(table(result["tests"], TESTS))
    return [Section(f"Gradient reach: {title}", text, figures, shown)]


def norms_by_lag(result: Result, group: str, name: str) -> Figure:
    """Norms against the lag on a logarithmic axis, a line for each model or start: dashed before
    training, solid with the range of trials after it.

    Args:
      name: INPUTS for d loss / d x, HIDDEN for d loss / d h.
    """
    shown = _curves(result, group, name)
    colors = _colors(result, group)

    def draw(axes: Axes) -> None:
        for line, label, phase, norms in shown:
            lags, color = np.array(norms["lags"]), colors[line]
            y = np.stack([norms[key] for key in ("low", "median", "high")], axis=1)
            y = np.maximum(y, FLOOR / 10)  # a logarithm has no zero; below the figure
            if phase == AFTER:
                line_with_band(axes, lags, y, color, label)
            else:
                axes.plot(lags, y[:, 1], "--", color=color, linewidth=1)
        axes.plot([], [], "--", color=REFERENCE_COLOR, linewidth=1, label="before training")
        for share in sorted({norms["share"] for *_, norms in shown}):
            reference(axes, f"{share:g}", y=share, linestyle=":")
        log_scale(axes.yaxis)
        axes.set_xlabel("lag (steps before the loss)")
        axes.set_xlim(0, max((norms["length"] for *_, norms in shown), default=2) - 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        lowest = min([min(norms["low"]) for *_, norms in shown], default=1)
        axes.set_ylim(bottom=max(FLOOR, 0.3 * min(lowest, SMALLEST)))
        axes.set_ylabel(f"norm of d loss / d {_symbol(name)} (lag 1 = 1)")

    return panel(f"d loss / d {_symbol(name)}: {_title(result)}", draw)


def reaches(result: Result, name: str) -> Figure:
    """The reach of every trial, a row for each start, model and layer: dots, median and range,
    grey before training and in colour after it.

    Args:
      name: as in `norms_by_lag`.
    """
    rows: dict[tuple[str, Any], dict[str, Norms]] = {}
    for group in (STARTS, MODELS):
        colors = _colors(result, group)
        for line, label, phase, norms in _curves(result, group, name):
            rows.setdefault((label, colors[line]), {})[phase] = norms

    def draw(axes: Axes) -> None:
        length = 1
        for place, ((_, color), phases) in enumerate(rows.items()):
            for shift, phase in zip(offsets(2, 0.42), STAGES, strict=True):
                if phase not in phases:
                    continue
                norms, look = phases[phase], color if phase == AFTER else REFERENCE_COLOR
                length = max(length, norms["length"])
                values = np.array(norms["reach"]["values"], float)  # NaN for null
                # Many trials have the same reach: dots side by side show how many.
                row = place + shift
                dots(axes, values, row + offsets(len(values), 0.3 / len(values)), look)
                low, median, high = (norms["reach"][key] for key in ("low", "median", "high"))
                axes.plot([low, high], [row, row], color="black", linewidth=1)
                axes.plot(median, row, "|", color="black", markersize=10, markeredgewidth=2)
        for phase, look in zip(STAGES, (REFERENCE_COLOR, MODEL_COLORS["lstm"]), strict=True):
            axes.plot([], [], "o", color=look, markersize=4, label=f"{phase} training")
        reference(axes, "T", x=length)
        axes.set_yticks(range(len(rows)), [label for label, _ in rows], parse_math=False)
        axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, 1.03 * length)
        axes.set_xlabel(f"reach of d loss / d {_symbol(name)} (steps before the loss)")

    return panel(
        f"Reach of d loss / d {_symbol(name)}: {_title(result)}",
        draw,
        (SIZE_INCHES[0], MARGINS + ROW_HEIGHT * max(len(rows), 3)),
    )


def reach_table(result: Result, *, ranges: bool = True) -> Table:
    """A row for each line and layer: what it remembers, and its reach before and after training.

    Args:
      ranges: the intervals and ranges too, else medians alone.
    """
    remember: dict[str, Callable[[Line], str]] = {
        "remember": lambda line: f"{remembering(line)}\n{remember_interval(line)}",
        "exact": lambda line: str(line["solved"]),
        "share remembered": share_remembered,
        "rate": rates,
    }
    if not ranges:
        remember["remember"] = remembering
        remember["share remembered"] = lambda line: share_remembered(line).partition(" ")[0]
    headings = ["", *remember, "h before", "h after", "x before", "x after"]
    rows = []
    for line in result["lines"]:
        entries = {entry["phase"]: entry for entry in _of(result, line["cell"])}
        layers = list(dict.fromkeys(name for entry in entries.values() for name in _layers(entry)))
        for layer in layers or [""]:  # a Transformer has no recurrent one
            label = f"{line['label']}, {layer}" if len(layers) > 1 else line["label"]
            h = [_layers(entries[p]).get(layer) if p in entries else None for p in STAGES]
            x = [_inputs_of(entries[p]) if p in entries else None for p in STAGES]
            reached = [_reach(norms, ranges) for norms in (*h, *x)]
            rows.append([label, *(column(line) for column in remember.values()), *reached])
    # A start that is also a model has its row there.
    return Table(headings, list(map(list, dict.fromkeys(map(tuple, rows)))))


def _curves(result: Result, group: str, name: str) -> list[tuple[str, str, str, Norms]]:
    """The curves of a figure, of layers or of the inputs: (line, label, phase, norms) each."""
    return [
        (line["label"], label, entry["phase"], norms)
        for line in result["lines"]
        if line["group"] == group
        for entry in _of(result, line["cell"])
        for label, norms in _labelled(
            line["label"], {INPUTS: _inputs_of(entry)} if name == INPUTS else _layers(entry)
        ).items()
        if norms["trials"]
    ]


def _colors(result: Result, group: str) -> Mapping[str, Any]:
    """The colour of each line of the group, by its label."""
    labels = names([line for line in result["lines"] if line["group"] == group], "label")
    if group == MODELS:
        return colors_of(labels)
    shades = SHADES(np.linspace(0, 1, len(labels)))
    return dict(zip(labels, map(tuple, shades.tolist()), strict=True))


def _of(result: Result, cell: str) -> list[Entry]:
    return [entry for entry in result["measured"] if entry["cell"] == cell]


def _inputs_of(entry: Entry) -> Norms:
    return entry["gradients"][INPUTS]


def _layers(entry: Entry) -> dict[str, Norms]:
    return {name: norms for name, norms in entry["gradients"].items() if name != INPUTS}


def _labelled(line: str, layers: Mapping[str, Any]) -> dict[str, Any]:
    """The label of each layer: that of its line, with its own name if there are several."""
    return {
        f"{line}, {layer}" if len(layers) > 1 else line: norms for layer, norms in layers.items()
    }


def _title(result: Result) -> str:
    return f"{result['task']}, T = {result['length']}"


def _symbol(name: str) -> str:
    return "x" if name == INPUTS else "h"


def _reach(norms: Norms | None, ranges: bool) -> str:
    """The median over trials, and their range."""
    if norms is None or not norms["trials"]:
        return NONE

    def words(value: float) -> str:
        return f"{'≥ ' if value >= norms['length'] else ''}{value:,g}"

    median, low, high = (words(norms["reach"][key]) for key in ("median", "low", "high"))
    return f"{median} ({low}–{high})" if ranges else median
