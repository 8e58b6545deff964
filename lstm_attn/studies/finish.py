"""How a study ends: what it found on the screen, and its report in the run folder."""

from rich.console import Console, RenderableType

from lstm_attn import report
from lstm_attn.runs import RunFolder
from lstm_attn.training import multihost


def close(folder: RunFolder, console: Console, *found: RenderableType) -> None:
    """Prints what was found, a table as a rule, then writes the report and says where it is."""
    for part in found:
        console.print(part)
    if multihost.leads():  # others' folders are thrown away
        console.print(f"report: {report.write(folder.path)}", soft_wrap=True)
