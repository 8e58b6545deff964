"""The section of the inside of models: gates, time scales, attention, and accuracy under cuts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import inside_figures as draw
from lstm_attn.report import tables
from lstm_attn.report.section import STAGES, NamedFigure, Section, Table, table

Cell = Mapping[str, Any]  # one of inside.json
Statistic = Mapping[str, Any]  # a median over trials and its interval
TEXT = (
    "What units remember, where heads look, and what accuracy is left when a path is cut. "
    "Time scale of a unit: 1 / (1 - f) steps, f its mean forget gate (update gate in a GRU). "
    "Distance of a head: how many steps back it looks, weighted by its attention, over the queries "
    "whose answer is due. A path cut always: the state is reset at every step; a query sees its "
    "own step only. A path cut once: nothing passes through it from before step {crossing} to that "
    "step or a later one, so what the model still remembers took the other path. A model may need "
    "a path only to tell the time. A cut model is in states it was never trained in, so it may do "
    "worse than without memory. Medians over {trials} trials, with an interval of "
    "order statistics and how often such an interval holds the median of all trials. Dots are "
    "trials, solved or not: {solved} solve the task. Figures of gates and attention show one "
    "trained trial and one sequence: {shown}."
)


def sections(result: Mapping[str, Any]) -> list[Section]:
    """One for each task and length."""
    by_task = tables.groups(result["cells"], "task", "length")
    return [
        _section(f"{task}, T = {length}", f"{task}-{length}", cells, result["edges"])
        for (task, length), cells in by_task.items()
    ]


def _section(title: str, name: str, cells: Sequence[Cell], edges: Sequence[float]) -> Section:
    figures = [
        NamedFigure(f"cuts-{name}", f"Accuracy under cuts: {title}", draw.cuts(cells, title))
    ]
    figures += [
        NamedFigure(
            f"cut-recall-{cell['cell']}",
            f"Accuracy by recalled position under cuts: {cell['cell']}",
            draw.recall_when_cut(cell, f"{cell['model']}, {title}"),
        )
        for cell in cells
        if "by_position" in cell["cuts"][0] and cell["gates"] and cell["attention"]
    ]
    if any(cell["attention"] for cell in cells):
        alt = f"Mean attention distance of each head: {title}"
        figures.append(NamedFigure(f"distance-{name}", alt, draw.distances(cells, title)))
    for cell in cells:
        figures += _figures_of(cell, edges, title)
    text = TEXT.format(
        crossing=cells[0]["crossing"] + 1,
        trials=" to ".join(map(str, sorted({cell["trials"] for cell in cells}))),
        solved=", ".join(f"{tables.count(cell)} of {cell['model']}" for cell in cells),
        shown=", ".join(map(_shown, cells)),
    )
    return Section(f"Inside the models: {title}", text, figures, _tables(cells))


def _figures_of(cell: Cell, edges: Sequence[float], title: str) -> list[NamedFigure]:
    """Time scales and gates of each recurrent layer, and the map of each head."""
    figures = []
    for layer in cell["gates"]:
        where = f"{draw.whose(cell, layer['layer'])}, {title}"
        end = f"{cell['cell']}-{_slug(layer)}"
        blocks = {gate: draw.from_percent(rows) for gate, rows in layer["sample"].items()}
        scales = draw.time_scales(layer, edges, cell["model"], where)
        figures += [
            NamedFigure(f"time-scales-{end}", f"Time scales of the units: {where}", scales),
            NamedFigure(f"gates-{end}", f"Gates over time: {where}", draw.gates(blocks, where)),
        ]
    for whose, layer, number, head in draw.heads(cell):
        where = f"{whose}, head {number}, {title}"
        figures.append(
            NamedFigure(
                f"attention-{cell['cell']}-{_slug(layer)}-{number}",
                f"Attention map: {where}",
                draw.attention_map(draw.from_percent(head["map"]), where),
            )
        )
    return figures


def _shown(cell: Cell) -> str:
    """The trial whose inside the figures show; that of an unsolved trial is no solution."""
    shown = cell["shown"]
    return f"{cell['model']} seed {shown['seed']} ({'' if shown['solved'] else 'not '}solved)"


def _tables(cells: Sequence[Cell]) -> list[Table]:
    cuts = [(cell["model"], entry) for cell in cells for entry in cell["cuts"]]
    units = [
        (
            draw.whose(cell, layer["layer"]),
            kind,
            *(layer[stage][f"{kind}_unit"] for stage in STAGES),
        )
        for cell in cells
        for layer in cell["gates"]
        for kind in ("median", "slowest")
    ]
    heads = [
        (whose, str(number), *(head[stage] for stage in STAGES))
        for cell in cells
        for whose, _, number, head in draw.heads(cell)
    ]
    shown = [
        table(
            cuts,
            {
                "model": lambda row: row[0],
                "path cut": lambda row: row[1]["cut"],
                "accuracy": lambda row: _between(row[1]["accuracy"], ".3f"),
                "confidence": lambda row: _confidence(row[1]["accuracy"]),
                "trials": lambda row: str(row[1]["accuracy"]["trials"]),
            },
        )
    ]
    for rows, kind, what in ((units, "unit", "time scale"), (heads, "head", "distance")):
        columns = {
            "layer": lambda row: row[0],
            kind: lambda row: row[1],
            f"{what} before training": lambda row: _steps(row[2]),
            f"{what} after training": lambda row: _steps(row[3]),
        }
        shown += [table(rows, columns)] if rows else []
    return shown


def in_words(cell: Cell) -> tuple[str, str, str]:
    """For a narrow table: the time scale of the slowest unit and the distance of the farthest head,
    both before and after training, and accuracy as each path is cut once."""
    scales = [
        max((units[stage]["slowest_unit"]["median"] for units in cell["gates"]), default=None)
        for stage in STAGES
    ]
    far = [
        max((head[stage]["median"] for *_, head in draw.heads(cell)), default=None)
        for stage in STAGES
    ]
    accuracy = [
        f"{entry['cut'].removesuffix(', once')} {entry['accuracy']['median']:.2f}"
        for entry in cell["cuts"]
        if not entry["cut"].endswith("always")
    ]
    return _listed(scales), _listed(far), "\n".join(accuracy)


def _listed(values: Sequence[float | None]) -> str:
    return ", ".join(f"{value:.3g}" for value in values if value is not None) or tables.NONE


def _steps(statistic: Statistic) -> str:
    return f"{_between(statistic, '.3g')} steps"


def _confidence(statistic: Statistic) -> str:
    return tables.NONE if statistic["trials"] == 1 else f"{statistic['confidence']:.0%}"


def _between(statistic: Statistic, form: str) -> str:
    """The median and its interval; one trial has no interval."""
    median, low, high = (format(statistic[key], form) for key in ("median", "low", "high"))
    return median if statistic["trials"] == 1 else f"{median} ({low} to {high})"


def _slug(layer: Mapping[str, Any]) -> str:
    return layer["layer"].replace("/", "-")
