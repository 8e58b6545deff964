"""Tasks whose answer is known exactly. A new task is one file here and one line in TASKS."""

from collections.abc import Callable

from lstm_attn.errors import unknown_name
from lstm_attn.tasks.adding_problem import Adding
from lstm_attn.tasks.base import Batch, Task
from lstm_attn.tasks.copy_problem import Copy

adding = Adding
copy = Copy

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "copy": copy,
}


def build(name: str, length: int, variant: str) -> Task:
    """The task of that name in TASKS.

    Raises:
      ValueError: an unknown name or variant, or a length too short for the task, on one line.
    """
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name](length=length, variant=variant)


__all__ = ["TASKS", "Adding", "Batch", "Copy", "Task", "adding", "build", "copy"]
