"""One self-contained HTML page of run folders; their figures in it, and as PNG files."""

import functools
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lstm_attn.files import write_whole, writing
from lstm_attn.flat import flatten
from lstm_attn.history import History
from lstm_attn.report import figures, same_seconds, studies, tables, trials, two_runs
from lstm_attn.report.escaping import harmless
from lstm_attn.report.panel import colors_of, is_empty
from lstm_attn.report.reading import BY_POSITION, Run, read
from lstm_attn.report.section import NamedFigure, Section, nothing_drawn
from lstm_attn.report.svg import Pictures

PAGE, TRIALS = "report.html", "trials.csv"
NAMED = 6  # models or tasks in a title
LONGEST_NAME = 100  # characters of a figure's file, at most four bytes each in a file system


def write(path: str | os.PathLike) -> Path:
    """Draws the finished cells and studies of a run folder; returns the path of its report.html.

    The figures are written into the folder as PNG files too, and every trial into trials.csv.

    Raises:
      UsageError: no run folder, or a damaged one, on one line.
    """
    run = read(path)
    folder = run.folder.path
    write_whole(_in_folder(folder / TRIALS), trials.as_csv(run.records).encode())
    return _written(_in_folder(folder / PAGE), [_part(run, folder.name)], [], folder)


def write_several(
    paths: Sequence[str | os.PathLike],
    page: str | os.PathLike,
    comparisons: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Draws one page of several run folders, one after another; writes nothing into the folders.

    Args:
      page: its path.
      comparisons: of two runs each, as `report.two_runs.section` takes them; they come first.

    Raises:
      UsageError: as `write`, or a page that can't be written.
    """
    names = labels(paths)
    parts = [_part(read(path), name) for path, name in zip(paths, names, strict=True)]
    return _written(Path(page), parts, list(map(two_runs.section, comparisons)), None)


def labels(paths: Sequence[str | os.PathLike]) -> list[str]:
    """A name for each folder: that of the folder, or its path where two would be the same."""
    names = [Path(path).resolve().name for path in paths]
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, paths, strict=True)
    ]


def _written(
    page: Path, parts: Sequence[dict], compared: Sequence[Section], folder: Path | None
) -> Path:
    """Writes the page; its figures into `folder` too, if there is one."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lstm_attn.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    pictures = Pictures()
    environment.filters["drawn"] = functools.partial(_drawn, pictures=pictures, folder=folder)
    environment.filters["breakable"] = _breakable
    models = [model for part in parts for model in tables.names(part["records"], "model")]
    html = environment.get_template("page.html.jinja").render(
        tables=tables,
        runs=parts,
        comparisons=compared,
        colors=colors_of(models),
        pictures=pictures,
        title=" | ".join(
            f"{part['subject']} – {part['name']}" if part["subject"] else part["name"]
            for part in parts
        ),
    )
    write_whole(page, html.encode())
    return page


def _part(run: Run, name: str) -> dict[str, Any]:
    """The section of one run."""
    records = run.grid
    recalled = [r for r in records if BY_POSITION in run.histories[r["cell"]].metrics]
    drawn = {
        "curves": _by_cell(records, "loss", run.histories, figures.learning_curves),
        "shares": _by_task(records, "share-remembered", figures.share_remembered),
        "rates": _by_task(records, "remember-rate", figures.remember_rates),
        "recall": _by_cell(recalled, "recall", run.histories, figures.recall_by_position),
        "survival": _survival(records),
        "times": _of_profile(harmless(run.folder.times)),
    }
    return {
        "name": name,
        "subject": subject(run.records),
        "records": records,
        "tasks": tables.names(records, "task"),
        "figures": {
            kind: [figure for figure in of_kind if not is_empty(figure.figure)]
            for kind, of_kind in drawn.items()
        },
        "left_out": {kind: nothing_drawn(of_kind) for kind, of_kind in drawn.items()}
        | {"survival": _nobody_remembers(records)},
        "diverged": [
            {**trial, "cell": record["cell"]}
            for record in records
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        ],
        "studies": [
            *same_seconds.sections(records, run.histories),
            *studies.sections(run.folder),
        ],
        "config": flatten(run.config),
        "environment": flatten(run.environment),
    }


def subject(records: Sequence[dict]) -> str:
    """Models and tasks in words: "lstm and gru on adding"; "" of nothing."""
    if not records:
        return ""
    sides = (_some(tables.names(records, key)) for key in ("model", "task"))
    return " on ".join(sides)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return tables.listed([*names[:NAMED], f"{more} more"] if more > 0 else names)


def _breakable(key: str) -> Markup:
    """A key, which a line may break after its points and underscores only."""
    return Markup("<wbr>").join(re.findall(r"[^._]*[._]+|[^._]+", key))


def _in_folder(path: Path) -> Path:
    """The path, after removing a link there: one that came with the run could lead out of it."""
    if path.is_symlink():
        with writing(path):
            path.unlink()
    return path


def _by_cell(
    records: Sequence[dict], kind: str, histories: dict[str, History], draw: Any
) -> list[NamedFigure]:
    """A figure for each task and length, with a line for each model."""
    drawn = []
    for (task, length), mine in tables.groups(records, "task", "length").items():
        reference = mine[0]["chance" if kind == "recall" else "baseline"]
        title = f"{task}, T = {length}"
        lines = {record["model"]: histories[record["cell"]] for record in mine}
        figure = draw(lines, reference, title)
        drawn.append(NamedFigure(f"{kind}-{task}-{length}", f"{kind}: {title}", figure))
    return drawn


def _survival(records: Sequence[dict]) -> list[NamedFigure]:
    """A figure for each task and length at which a trial remembers, with a curve for each model."""
    drawn = []
    for (task, length), mine in tables.groups(records, "task", "length").items():
        if any(record["remembers"] for record in mine):
            title = f"{task}, T = {length}"
            alt = f"steps to remember: {title}"
            figure = figures.survival(mine, title)
            drawn.append(NamedFigure(f"survival-{task}-{length}", alt, figure))
    return drawn


def _nobody_remembers(records: Sequence[dict]) -> str:
    """A sentence in place of the figures that `_survival` does not draw."""
    nobody = [
        f"{task}, T = {length}"
        for (task, length), mine in tables.groups(records, "task", "length").items()
        if not any(record["remembers"] for record in mine)
    ]
    return f"No trial remembers: {'; '.join(nobody)}." if nobody else ""


def _by_task(records: Sequence[dict], kind: str, draw: Any) -> list[NamedFigure]:
    return [
        NamedFigure(
            f"{kind}-{task}",
            f"{kind.replace('-', ' ')} against length: {task}",
            draw(mine, task),
        )
        for task, mine in tables.groups(records, "task").items()
    ]


def _of_profile(times: Sequence[dict]) -> list[NamedFigure]:
    if not times:
        return []
    title = "Where the time went"
    return [NamedFigure("seconds-by-part", title, figures.seconds_by_part(times, title))]


def _drawn(figure: NamedFigure, pictures: Pictures, folder: Path | None) -> Markup:
    """The figure inside the page, and its file."""
    drawn = figure.figure
    # Both drawings have the places of the first layout; matplotlib would make one for each.
    if engine := drawn.get_layout_engine():
        engine.execute(drawn)
        drawn.set_layout_engine(None)
    if folder is not None:
        buffer = io.BytesIO()
        drawn.savefig(buffer, format="png")
        # A name comes from a run folder: it must not lead out of it.
        name = re.sub(r"[^\w.=+-]", "-", figure.name)[:LONGEST_NAME]
        write_whole(_in_folder(folder / f"{name}.png"), buffer.getvalue())
    return pictures.svg(drawn, figure.alt)
