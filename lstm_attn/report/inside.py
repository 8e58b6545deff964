"""What `experiments.inside` found: gates, time scales, attention, and accuracy under cuts."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.report import inside_figures as figures
from lstm_attn.report import tables
from lstm_attn.report.section import STAGES, Picture, Section, Table

Cell = Mapping[str, Any]  # one of inside.json
TEXT = (
    "Time scale of a unit: 1 / (1 - f) steps, f its mean forget gate (of a GRU, its update gate). "
    "Distance of a head: how far back it looks, in steps, as weighted by its attention, over the "
    "queries whose answer is due. A path cut always: recurrence starts anew at every step; "
    "attention sees its own step alone. Cut once: nothing of that path passes from before step "
    "{crossing} to that step or a later one, so what the model still remembers came by the other "
    "path. A path that only tells the time is missed as much as one that carries the answer, and a "
    "cut model is where it was never trained: it may do worse than without memory. Medians "
    "over {trials} trials; the interval is of order statistics and holds the median of all trials "
    "with the confidence given. Dots are trials, solved or not: {solved} solve the task. Pictures "
    "of gates and attention are of one trained trial and one sequence: of {shown}."
)


def sections(found: Mapping[str, Any]) -> list[Section]:
    """One for each task and length."""
    by_task = tables.groups(found["cells"], "task", "length")
    return [
        _section(f"{task}, T = {length}", f"{task}-{length}", cells, found["edges"])
        for (task, length), cells in by_task.items()
    ]


def _section(title: str, name: str, cells: Sequence[Cell], edges: Sequence[float]) -> Section:
    pictures = [
        Picture(f"cuts-{name}", f"accuracy under cuts: {title}", figures.cuts(cells, title))
    ]
    pictures += [
        Picture(
            f"cut-recall-{cell['cell']}",
            f"accuracy by recalled position under cuts: {cell['cell']}",
            figures.recall_when_cut(cell, f"{cell['model']}, {title}"),
        )
        for cell in cells
        if "by_position" in cell["cuts"][0] and cell["gates"] and cell["attention"]
    ]
    if any(cell["attention"] for cell in cells):
        alt = f"mean attention distance of each head: {title}"
        pictures.append(Picture(f"distance-{name}", alt, figures.distances(cells, title)))
    for cell in cells:
        for layer in cell["gates"]:
            whose = figures.whose(cell, layer["layer"])
            sample = {gate: figures.from_percent(rows) for gate, rows in layer["sample"].items()}
            pictures += [
                Picture(
                    f"time-scales-{cell['cell']}-{_slug(layer)}",
                    f"time scales of the units of {whose}, {title}",
                    figures.time_scales(layer, edges, cell["model"], f"{whose}, {title}"),
                ),
                Picture(
                    f"gates-{cell['cell']}-{_slug(layer)}",
                    f"gates over time of {whose}, {title}",
                    figures.gates(sample, f"{whose}, {title}"),
                ),
            ]
        for layer in cell["attention"]:
            for number, head in enumerate(layer["heads"], 1):
                whose = f"{figures.whose(cell, layer['layer'])}, head {number}"
                weights = figures.from_percent(head["map"])
                pictures.append(
                    Picture(
                        f"attention-{cell['cell']}-{_slug(layer)}-{number}",
                        f"attention map of {whose}, {title}",
                        figures.attention_map(weights, f"{whose}, {title}"),
                    )
                )
    text = TEXT.format(
        crossing=cells[0]["crossing"] + 1,
        trials=_range(cells, "trials"),
        solved=", ".join(f"{tables.count(cell)} of {cell['model']}" for cell in cells),
        shown=", ".join(map(_shown, cells)),
    )
    return Section(f"Inside the models: {title}", text, pictures, _tables(cells))


def _shown(cell: Cell) -> str:
    """Whose inside the pictures show, as an unsolved trial shows no solution."""
    shown = cell["shown"]
    return f"{cell['model']} seed {shown['seed']} ({'' if shown['solved'] else 'not '}solved)"


def _tables(cells: Sequence[Cell]) -> list[Table]:
    units, heads, cut = [], [], []
    for cell in cells:
        for layer in cell["gates"]:
            for kind, key in (("median", "median_unit"), ("slowest", "slowest_unit")):
                row = [figures.whose(cell, layer["layer"]), kind]
                units.append([*row, *(_steps(layer[stage][key]) for stage in STAGES)])
        for layer in cell["attention"]:
            for number, head in enumerate(layer["heads"], 1):
                row = [figures.whose(cell, layer["layer"]), str(number)]
                heads.append([*row, *(_steps(head[stage]) for stage in STAGES)])
        for entry in cell["cuts"]:
            accuracy = entry["accuracy"]
            row = [cell["model"], entry["cut"], _between(accuracy, ".3f")]
            cut.append([*row, f"{accuracy['confidence']:.0%}", str(accuracy["trials"])])
    shown = [Table(("model", "path cut", "accuracy", "confidence", "trials"), cut)]
    if units:
        shown.append(Table(("layer", "unit", "time scale before", "after training"), units))
    if heads:
        shown.append(Table(("layer", "head", "distance before", "after training"), heads))
    return shown


def in_words(cell: Cell) -> tuple[str, str, str]:
    """For a narrow table: time scale of the slowest unit and distance of the farthest head, each
    before and after training, and accuracy as each path is cut once."""
    units = cell["gates"]
    heads = [head for layer in cell["attention"] for head in layer["heads"]]
    scales = [
        max((u[stage]["slowest_unit"]["median"] for u in units), default=None) for stage in STAGES
    ]
    far = [max((h[stage]["median"] for h in heads), default=None) for stage in STAGES]
    accuracy = [
        f"{entry['cut'].removesuffix(', once')} {entry['accuracy']['median']:.2f}"
        for entry in cell["cuts"]
        if not entry["cut"].endswith("always")
    ]
    return _arrow(scales), _arrow(far), "\n".join(accuracy)


def _arrow(values: Sequence[float | None]) -> str:
    return ", ".join(f"{value:.3g}" for value in values if value is not None) or tables.NONE


def _steps(statistic: Mapping[str, Any]) -> str:
    return f"{_between(statistic, '.3g')} steps"


def _between(statistic: Mapping[str, Any], form: str) -> str:
    median, low, high = (format(statistic[key], form) for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _slug(layer: Mapping[str, Any]) -> str:
    return layer["layer"].replace("/", "-")


def _range(cells: Sequence[Cell], key: str) -> str:
    return " to ".join(map(str, sorted({cell[key] for cell in cells})))
