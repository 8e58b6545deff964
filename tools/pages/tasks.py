"""The table of docs/tasks.md, from the tasks themselves: python -m tools.pages.tasks"""

from pathlib import Path

from lstm_attn import tasks
from lstm_attn.history import NO_CRITERION

PAGE = Path(__file__).parent.parent.parent / "docs" / "tasks.md"
BEGIN, END = "<!-- table: written by `python -m tools.pages.tasks` -->\n", "<!-- end of table -->"
LENGTH = 64
OTHER_LENGTHS = {"retrieval": 4, "copy:minimal-lru": 7}
HEADER = (
    "| task | variant | length | inputs | outputs | baseline | right without memory | exact if |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def row(name: str, variant: str) -> str:
    """What a task says of itself at the length of the table."""
    key = f"{name}:{variant}"
    task = tasks.build(key, OTHER_LENGTHS.get(key, OTHER_LENGTHS.get(name, LENGTH)))
    shown = "" if task.variants == ("standard",) else f"`{variant}`"
    criterion = "" if task.criterion == NO_CRITERION else task.criterion
    return (
        f"| `{name}` | {shown} | {task.length} | {task.sequence_length} x {task.input_features} "
        f"| {task.output_features} | {task.baseline:.4g} | {task.accuracy_without_memory:.3g} "
        f"| {criterion} |\n"
    )


def table() -> str:
    rows = [
        row(name, variant)
        for name in tasks.TASKS
        for variant in tasks.build(name, OTHER_LENGTHS.get(name, LENGTH)).variants
    ]
    return HEADER + "".join(rows)


def written(page: str) -> str:
    """The page with the table of now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
