"""A run folder drawn as PNG figures and one self-contained HTML page."""

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from lstm_attn.history import History, stack
from lstm_attn.report import figures, studies, tables
from lstm_attn.report.colors import colors_of
from lstm_attn.report.section import Picture
from lstm_attn.runs import RunFolder, flatten

PAGE = "report.html"


def write(path: str | os.PathLike) -> Path:
    """Draws the finished cells of the run folder; returns the path of its report.html."""
    folder = RunFolder(path)
    records = in_grid_order(folder) if is_grid(folder) else []
    task_names = tables.names(records, "task")
    histories = {record["cell"]: _history(folder, record) for record in records}
    sections = {
        "curves": _by_cell(records, "loss", histories, figures.learning_curves),
        "rates": _by_task(records, "solve-rate", figures.solve_rates),
        "recall": _by_cell(
            [record for record in records if record["chance"] is not None],
            "recall",
            histories,
            figures.recall_by_position,
        ),
        "steps": _by_task(records, "steps-to-solve", figures.steps_to_solve),
        "times": _of_profile(folder.times),
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lstm_attn.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    html = environment.get_template("page.html.jinja").render(
        tables=tables,
        records=records,
        tasks=task_names,
        colors=colors_of(tables.names(records, "model")),
        pictures={
            section: [_drawn(picture, folder.path) for picture in pictures]
            for section, pictures in sections.items()
        },
        diverged=[
            {**trial, "cell": record["cell"]}
            for record in records
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        ],
        studies=[
            {
                "title": section.title,
                "text": section.text,
                "pictures": [_drawn(picture, folder.path) for picture in section.pictures],
                "tables": section.tables,
            }
            for section in studies.sections(folder)
        ],
        config=flatten(folder.config),
        environment=flatten(folder.environment),
        folder=folder.path.name,
    )
    page = folder.path / PAGE
    page.write_text(html, encoding="utf-8")
    return page


def is_grid(folder: RunFolder) -> bool:
    """Whether the run is a grid of models x tasks x lengths."""
    config = folder.config
    return "models" in config and {"names", "lengths"} <= set(config.get("task", ()))


def in_grid_order(folder: RunFolder) -> list[dict[str, Any]]:
    """The run's records in the order of its config, whatever order they were finished in."""
    config = folder.config
    return sorted(
        folder.results,
        key=lambda record: (
            config["task"]["names"].index(record["task"]),
            config["task"]["lengths"].index(record["length"]),
            config["models"].index(record["model"]),
        ),
    )


def _history(folder: RunFolder, record: tables.Record) -> History:
    trials = record["per_trial"]
    return stack(
        folder.evaluations(record["cell"]),
        np.array([trial["seed"] for trial in trials]),
        np.array([trial["learning_rate"] for trial in trials]),
    )


def _by_cell(
    records: Sequence[dict], kind: str, histories: dict[str, History], draw: Any
) -> list[Picture]:
    """One picture for each task and length, with a line for each model."""
    pictures = []
    for task, length in dict.fromkeys((record["task"], record["length"]) for record in records):
        mine = [
            record for record in records if (record["task"], record["length"]) == (task, length)
        ]
        reference = mine[0]["chance" if kind == "recall" else "baseline"]
        title = f"{task}, T = {length}"
        lines = {record["model"]: histories[record["cell"]] for record in mine}
        pictures.append(
            Picture(f"{kind}-{task}-{length}", f"{kind}: {title}", draw(lines, reference, title))
        )
    return pictures


def _by_task(records: Sequence[dict], kind: str, draw: Any) -> list[Picture]:
    return [
        Picture(
            f"{kind}-{task}",
            f"{kind.replace('-', ' ')} against length: {task}",
            draw([record for record in records if record["task"] == task], task),
        )
        for task in tables.names(records, "task")
    ]


def _of_profile(times: Sequence[dict]) -> list[Picture]:
    title = "Where the time went"
    drawn = [figures.seconds_by_part(times, title)] if times else []
    return [Picture("seconds-by-part", title, figure) for figure in drawn]


def _drawn(picture: Picture, folder: Path) -> dict[str, str]:
    """Writes the PNG; gives it as a data address, so that the page needs no other file."""
    path = folder / f"{picture.name}.png"
    picture.figure.savefig(path)
    data = base64.b64encode(path.read_bytes()).decode()
    return {"alt": picture.alt, "data": f"data:image/png;base64,{data}"}
