"""Run folders drawn as one self-contained HTML page, and as PNG figures beside it."""

import base64
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from lstm_attn.files import write_whole, writing
from lstm_attn.flat import flatten
from lstm_attn.history import History
from lstm_attn.report import comparison, figures, studies, tables
from lstm_attn.report.escaping import harmless
from lstm_attn.report.panel import colors_of
from lstm_attn.report.reading import BY_POSITION, Run, read
from lstm_attn.report.section import Picture, Section

PAGE = "report.html"
LONGEST_NAME = 100  # letters of a picture's, which take up to four bytes each in a file system


def write(path: str | os.PathLike) -> Path:
    """Draws the finished cells and studies of the run folder; returns the path of its report.html.

    The pictures are left in the folder as PNG too.

    Raises:
      UsageError: no run folder, or a damaged one, on one line.
    """
    run = read(path)
    folder = run.folder.path
    return _written(_in_folder(folder / PAGE), [_part(run, folder.name, folder)], [])


def write_several(
    paths: Sequence[str | os.PathLike],
    page: str | os.PathLike,
    comparisons: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Draws one page of several run folders, a part each, and leaves the folders as they are.

    Args:
      page: where it goes.
      comparisons: of two runs each, as `report.comparison.section` takes them; drawn first.

    Raises:
      UsageError: as `write`, or a page that can't be written.
    """
    names = labels(paths)
    parts = [_part(read(path), name, None) for path, name in zip(paths, names, strict=True)]
    compared = [_drawn_section(comparison.section(found), None) for found in comparisons]
    return _written(Path(page), parts, compared)


def labels(paths: Sequence[str | os.PathLike]) -> list[str]:
    """A name for each folder: its last part, or the whole path where two would be the same."""
    names = [Path(path).resolve().name for path in paths]
    return [
        name if names.count(name) == 1 else str(path)
        for name, path in zip(names, paths, strict=True)
    ]


def _written(page: Path, parts: Sequence[dict], compared: Sequence[dict]) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lstm_attn.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    models = [model for part in parts for model in tables.names(part["records"], "model")]
    html = environment.get_template("page.html.jinja").render(
        tables=tables, runs=parts, comparisons=compared, colors=colors_of(models)
    )
    write_whole(page, html.encode())
    return page


def _part(run: Run, name: str, folder: Path | None) -> dict[str, Any]:
    """What the page says of one run; its pictures are left in `folder`, None for nowhere."""
    records = run.grid
    recalled = [r for r in records if BY_POSITION in run.histories[r["cell"]].metrics]
    sections = {
        "curves": _by_cell(records, "loss", run.histories, figures.learning_curves),
        "rates": _by_task(records, "solve-rate", figures.solve_rates),
        "recall": _by_cell(recalled, "recall", run.histories, figures.recall_by_position),
        "steps": _by_task(records, "steps-to-solve", figures.steps_to_solve),
        "times": _of_profile(harmless(run.folder.times)),
    }
    return {
        "name": name,
        "records": records,
        "tasks": tables.names(records, "task"),
        "pictures": {
            section: [_drawn(picture, folder) for picture in pictures]
            for section, pictures in sections.items()
        },
        "diverged": [
            {**trial, "cell": record["cell"]}
            for record in records
            for trial in record["per_trial"]
            if trial["diverged_by"] is not None
        ],
        "studies": [_drawn_section(section, folder) for section in studies.sections(run.folder)],
        "config": flatten(run.config),
        "environment": flatten(run.environment),
    }


def _in_folder(path: Path) -> Path:
    """The path, without the link that may have come there with the run and would lead out of it."""
    if path.is_symlink():
        with writing(path):
            path.unlink()
    return path


def _by_cell(
    records: Sequence[dict], kind: str, histories: dict[str, History], draw: Any
) -> list[Picture]:
    """One picture for each task and length, with a line for each model."""
    pictures = []
    for (task, length), mine in tables.groups(records, "task", "length").items():
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
            draw(mine, task),
        )
        for task, mine in tables.groups(records, "task").items()
    ]


def _of_profile(times: Sequence[dict]) -> list[Picture]:
    title = "Where the time went"
    drawn = [figures.seconds_by_part(times, title)] if times else []
    return [Picture("seconds-by-part", title, figure) for figure in drawn]


def _drawn_section(section: Section, folder: Path | None) -> dict[str, Any]:
    return {
        "title": section.title,
        "text": section.text,
        "pictures": [_drawn(picture, folder) for picture in section.pictures],
        "tables": section.tables,
        "quotes": section.quotes,
    }


def _drawn(picture: Picture, folder: Path | None) -> dict[str, str]:
    """As a data address, so that the page needs no other file; and as a PNG in the folder."""
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png")
    if folder is not None:
        # A name comes from a run folder: it must not lead out of it.
        name = re.sub(r"[^\w.=+-]", "-", picture.name)[:LONGEST_NAME]
        write_whole(_in_folder(folder / f"{name}.png"), buffer.getvalue())
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"alt": picture.alt, "data": f"data:image/png;base64,{data}"}
