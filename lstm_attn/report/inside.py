"""The section of the inside of models: gates, time scales, attention, and what cuts change."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lstm_attn.report import inside_figures as draw
from lstm_attn.report import tables
from lstm_attn.report.differences import p_value
from lstm_attn.report.section import STAGES, NamedFigure, Section, Table, table

Cell = Mapping[str, Any]  # one of inside.json
Statistic = Mapping[str, Any]  # a median over trials and its interval
TEXT = (
    "What units remember, where heads look, and what is forgotten when a path is cut. Each model "
    "has its own learning rate, tuned on other seeds than the {trials} that are shown, and at most "
    "{budget} steps. Remember: trials whose loss is confirmed to be at most 5 % of that without "
    "memory, with the 95 % interval of the rate; exact: those that meet the criterion published "
    "with the task; share remembered: 1 - loss / baseline, median and range. Time scale of a unit: "
    "1 / (1 - f) steps, f its mean forget gate (update gate in a GRU). Distance of a head: how "
    "many steps back it looks, weighted by its attention, over the queries whose answer is due. "
    "Medians have an interval of order statistics; confidence is how often such an interval holds "
    "the median of all trials. Figures of gates and attention show one trained trial and one "
    "sequence: {shown}. "
)
CUTS = (
    "A path cut always: the state is reset at every step; a query sees its own step only. A path "
    "cut once: nothing passes through it from before step {crossing} to that step or a later one, "
    "so what the model still remembers took the other path. A cut model is in states that it was "
    "never trained in. The effect of a cut is the change of a trial against itself without a cut, "
    "on the same {sequences} sequences; a trial that does worse than without memory remembers "
    "nothing. Dots are trials, hollow if they do not remember without a cut; bars: medians. p: "
    "exact sign test of whether more trials lose than gain in the share remembered, or fewer, "
    "adjusted by Holm for all cuts of the run. Of the cuts made once: "
)


def sections(result: Mapping[str, Any]) -> list[Section]:
    """One for each task and length."""
    by_task = tables.groups(result["cells"], "task", "length")
    return [
        _section(f"{task}, T = {length}", f"{task}-{length}", cells, result)
        for (task, length), cells in by_task.items()
    ]


def _section(title: str, name: str, cells: Sequence[Cell], result: Mapping[str, Any]) -> Section:
    figures = [
        NamedFigure(
            f"cuts-{name}-{key.partition('_')[0]}",
            f"Change of the {words} under cuts: {title}",
            draw.changes(cells, key, f"Change under cuts: {title}", words),
        )
        for key, words in (("share_remembered", "share remembered"), ("accuracy", "accuracy"))
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
        figures += _figures_of(cell, result["edges"], title)
    tests = {(test["cell"], test["cut"]): test for test in result["tests"]}
    said = [
        # Many seeds may lose a little: the test counts them, the median says how much.
        f"{verdict}; median change {_median_change(entry)}."
        for cell in cells
        for entry in cell["cuts"]
        if entry["cut"].endswith("once")
        and (verdict := tests.get((cell["cell"], entry["cut"]), {}).get("verdict"))
    ]
    text = TEXT.format(
        trials=_listed_once(cell["trials"] for cell in cells),
        budget=_listed_once(cell["budget"] for cell in cells),
        shown=", ".join(map(_shown, cells)),
    )
    text += CUTS.format(crossing=cells[0]["crossing"] + 1, sequences=f"{result['sequences']:,}")
    text += " ".join(said) or "no change allows a sentence."
    return Section(f"Inside the models: {title}", text, figures, _tables(cells, tests))


def _listed_once(numbers: Iterable[int]) -> str:
    return " to ".join(f"{number:,}" for number in sorted(set(numbers)))


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
    """The trial whose inside the figures show; that of one which does not remember is no answer."""
    trial = cell["per_trial"][cell["shown"]]
    does = "remembers" if trial["steps_to_remember"] is not None else "does not remember"
    return f"{cell['model']} seed {trial['seed']} ({does})"


def _tables(cells: Sequence[Cell], tests: Mapping[tuple[str, str], Any]) -> list[Table]:
    cuts = [(cell, entry) for cell in cells for entry in cell["cuts"]]
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
            cells,
            {
                "model": lambda cell: cell["model"],
                "remember": tables.remembering,
                "interval": tables.remember_interval,
                "exact": lambda cell: str(cell["solved"]),
                "share remembered": tables.share_remembered,
                "rate": tables.rates,
                "parameters": lambda cell: f"{cell['parameters']:,}",
            },
        ),
        table(
            cuts,
            {
                "model": lambda row: row[0]["model"],
                "path cut": lambda row: row[1]["cut"],
                "share remembered": lambda row: _between(row[1]["share_remembered"], ".3f"),
                "change": lambda row: _change(row[1], "share_remembered"),
                "p": lambda row: _p_value(tests.get((row[0]["cell"], row[1]["cut"]))),
                "accuracy": lambda row: _between(row[1]["accuracy"], ".3f"),
                "change ": lambda row: _change(row[1], "accuracy"),
                "confidence": lambda row: _confidence(row[1]["share_remembered"]),
                "trials": lambda row: str(row[1]["share_remembered"]["trials"]),
            },
        ),
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


def _change(entry: Mapping[str, Any], key: str) -> str:
    """The change under a cut, with its sign; a dash for nothing cut."""
    if entry["change"] is None:
        return tables.NONE
    return _between(entry["change"][key], "+.3f").replace("-", "−")


def _median_change(entry: Mapping[str, Any]) -> str:
    return f"{entry['change']['share_remembered']['median']:+.3f}".replace("-", "−")


def _p_value(test: Mapping[str, Any] | None) -> str:
    return tables.NONE if test is None else p_value(test["p"])


def in_words(cell: Cell) -> tuple[str, str, str, str]:
    """For a narrow table: how many trials remember, the time scale of the slowest unit and the
    distance of the farthest head, both before and after training, and the share remembered as each
    path is cut once."""
    scales = [
        _greatest(layer[stage]["slowest_unit"] for layer in cell["gates"]) for stage in STAGES
    ]
    far = [_greatest(head[stage] for *_, head in draw.heads(cell)) for stage in STAGES]
    share = [
        f"{entry['cut'].removesuffix(', once')} {_in_short(entry['share_remembered']['median'])}"
        for entry in cell["cuts"]
        if not entry["cut"].endswith("always")
    ]
    return tables.remembering(cell), _listed(scales), _listed(far), "\n".join(share)


def _greatest(statistics: Iterable[Statistic]) -> float | None:
    """The greatest of the medians that there are."""
    medians = [statistic["median"] for statistic in statistics]
    return max((median for median in medians if median is not None), default=None)


def _in_short(value: float | None) -> str:
    return tables.NONE if value is None else f"{value:.2f}"


def _listed(values: Sequence[float | None]) -> str:
    return ", ".join(f"{value:.3g}" for value in values if value is not None) or tables.NONE


def _steps(statistic: Statistic) -> str:
    return f"{_between(statistic, '.3g')} steps" if statistic["trials"] else tables.NONE


def _confidence(statistic: Statistic) -> str:
    return tables.NONE if statistic["trials"] < 2 else f"{statistic['confidence']:.0%}"


def _between(statistic: Statistic, form: str) -> str:
    """The median and its interval; one trial has no interval, and none has no median."""
    if not statistic["trials"]:
        return tables.NONE
    median, low, high = (format(statistic[key], form) for key in ("median", "low", "high"))
    return median if statistic["trials"] == 1 else f"{median} ({low} to {high})"


def _slug(layer: Mapping[str, Any]) -> str:
    return layer["layer"].replace("/", "-")
