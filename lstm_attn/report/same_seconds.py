"""Who remembers within the same seconds: the second table of a grid, for equal time."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm_attn.history import History
from lstm_attn.report.section import Section, Table
from lstm_attn.report.tables import groups, names

Record = Mapping[str, Any]
TITLE = "At the same seconds"
TEXT = (
    "Trials that remember within the seconds, of all trials of a cell together, in which the "
    "fastest model of the task and length used up its budget of steps, or had both criteria "
    "confirmed in every trial. Compilation and tuning do not count."
)


def remembering_within(history: History, seconds: float) -> int:
    """How many trials have remembered at the last evaluation within the seconds."""
    within = history.remembers[history.seconds <= seconds]
    return int((within.any(axis=0) & ~history.diverged[-1]).sum())


def sections(records: Sequence[Record], histories: Mapping[str, History]) -> list[Section]:
    """One table for each task, with a row for each length; none where models can't be compared.

    Args:
      records: of a grid, in its order.
      histories: of their cells.
    """
    tables = []
    for task, mine in groups(records, "task").items():
        models = names(mine, "model")
        rows = []
        for length, cells in groups(mine, "length").items():
            of_model = {cell["model"]: histories[cell["cell"]] for cell in cells}
            seconds = min(float(history.seconds[-1]) for history in of_model.values())
            rows.append(
                [
                    f"{task}, T = {length}",
                    f"{seconds:.3g}",
                    *(_count(of_model.get(model), seconds) for model in models),
                ]
            )
        if len(models) > 1:
            tables.append(Table(["task", "seconds", *models], rows))
    return [Section(TITLE, TEXT, (), tables)] if tables else []


def _count(history: History | None, seconds: float) -> str:
    if history is None:
        return ""
    return f"{remembering_within(history, seconds)}/{history.remembers.shape[1]}"
