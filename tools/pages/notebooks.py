"""The notebooks as pages: text, code and what it shows, executed when the site is built.

What was executed is kept in build/notebooks and serves until the notebook or the package changes.
"""

import base64
import hashlib
import os
import re
import time
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.mathtext import math_to_image

from lstm_attn import host
from tools.pages import ROOT

FOLDER = "notebooks"  # of the repository, and of the site
KEPT = ROOT / "build" / "notebooks"
MOST_SECONDS = 1800  # of a cell
MATHS = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$")


class NotebookPage(NamedTuple):
    """text: in Markdown. files: name -> content of the pictures that it shows."""

    text: str
    files: dict[str, bytes]


def names() -> list[str]:
    return sorted(path.stem for path in (ROOT / FOLDER).glob("*.ipynb"))


def page(name: str) -> NotebookPage:
    """The notebook of that name, executed."""
    notebook = executed(name)
    files: dict[str, bytes] = {}
    parts = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(with_maths(cell.source, files))
        elif cell.cell_type == "code":
            parts.append(_fenced("python", cell.source))
            for place, output in enumerate(_joined(cell.outputs)):
                parts.append(_shown(output, f"{name}-{number}-{place}", files))
    seconds = notebook.metadata["seconds"]
    parts.append(
        f"Executed in {seconds:.0f} seconds, compilation included, on {host.usable_cores()} cores, "
        f"when these pages were made. [The notebook](../repository/{FOLDER}/{name}.ipynb)."
    )
    return NotebookPage("\n\n".join(filter(None, parts)) + "\n", files)


def executed(name: str) -> Any:
    """The notebook with its outputs; `seconds` in its metadata is what it took.

    Raises:
      nbclient.exceptions.CellExecutionError: of a cell, naming it.
    """
    import nbformat
    from nbclient import NotebookClient

    source = ROOT / FOLDER / f"{name}.ipynb"
    kept = KEPT / f"{name}-{_digest(source)}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    notebook = nbformat.read(source, as_version=4)
    began = time.monotonic()
    NotebookClient(
        notebook,
        timeout=MOST_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(source.parent)}},
    ).execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    notebook.metadata["seconds"] = time.monotonic() - began
    KEPT.mkdir(parents=True, exist_ok=True)
    for old in KEPT.glob(f"{name}-*.ipynb"):
        old.unlink()
    nbformat.write(notebook, kept)
    return notebook


def _digest(notebook: Path) -> str:
    """Of all that the outputs depend on."""
    package = sorted((ROOT / "lstm_attn").rglob("*.py"))
    content = hashlib.sha256()
    for path in (notebook, *package):
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


def with_maths(text: str, files: dict[str, bytes]) -> str:
    """The text with its formulas as pictures, since a page fetches nothing that could set them."""

    def picture(match: re.Match) -> str:
        display, inline = match.groups()
        formula = (display or inline).strip()
        name = f"formula-{hashlib.sha256(formula.encode()).hexdigest()[:12]}.svg"
        drawn = BytesIO()
        with rc_context({"savefig.facecolor": "none"}):
            math_to_image(f"${formula}$", drawn, format="svg")
        files[name] = re.sub(rb"<metadata>.*?</metadata>", b"", drawn.getvalue(), flags=re.DOTALL)
        alt = formula.replace('"', "&quot;").replace("<", "&lt;")
        image = f'<img class="formula" src="{name}" alt="{alt}">'
        return f"\n\n{image}\n\n" if display else image

    # Code is not text: a formula begins and ends outside of backticks.
    pieces = re.split(r"(```.*?```|`[^`]*`)", text, flags=re.DOTALL)
    return "".join(
        piece if place % 2 else MATHS.sub(picture, piece) for place, piece in enumerate(pieces)
    )


def _joined(outputs: Sequence[Any]) -> list[dict[str, Any]]:
    """The outputs of a cell, with what it printed in pieces as one."""
    joined: list[dict[str, Any]] = []
    for output in map(dict, outputs):
        printed = output["output_type"] == "stream"
        if printed and joined and joined[-1]["output_type"] == "stream":
            joined[-1]["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def _shown(output: Mapping[str, Any], name: str, files: dict[str, bytes]) -> str:
    """What a cell printed or drew, or its value."""
    if output["output_type"] == "stream":
        return _fenced("text", output["text"])
    data = output.get("data", {})
    if "image/png" in data:
        files[f"{name}.png"] = base64.b64decode(data["image/png"])
        return f'<img src="{name}.png" alt="What the cell above draws">'
    return _fenced("text", data["text/plain"]) if "text/plain" in data else ""


def _fenced(language: str, text: str) -> str:
    fence = "`" * max([3, *(1 + len(ticks) for ticks in re.findall("`+", text))])
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
