"""Where a benchmark leaves its figures: the flag --output, one for all of them."""

import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from matplotlib.figure import Figure
from rich.console import Console

from lstm_attn.errors import UsageError
from lstm_attn.runner import machine

DPI = 160

OUTPUT = flags.DEFINE_string("output", None, "Where the figures go, NAME.json; NAME.png beside it.")


def checked_output() -> Path | None:
    """Seen to before anything is measured; None where nothing is to be kept."""
    if OUTPUT.value is None:
        return None
    path = Path(OUTPUT.value)
    if path.suffix != ".json":
        raise UsageError(f"--output: expected NAME.json, got {OUTPUT.value!r}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {path} can't be written: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--output {path} can't be written: no permission in {path.parent}")
    return path


def stamp(benchmark: str, packages: Sequence[str] = ()) -> dict[str, Any]:
    """What every record begins with: its name, when, and the machine and versions it depends on.

    Args:
      packages: whose versions matter too, of those that are installed.
    """
    finished = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"benchmark": benchmark, "finished": finished, **machine.describe(packages)}


def write(path: Path, record: dict[str, Any], picture: Figure, console: Console) -> None:
    """The record as JSON, the picture as PNG beside it, and a line that says so."""
    path.write_text(json.dumps(record, indent=1) + "\n")
    picture.savefig(path.with_suffix(".png"), dpi=DPI)
    console.print(f"written: {path} and {path.with_suffix('.png')}", soft_wrap=True)
