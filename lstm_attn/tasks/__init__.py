"""Tasks whose answer is known exactly. A new task is one file here and one line in TASKS."""

import dataclasses
from collections.abc import Callable

from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.tasks.adding_problem import Adding
from lstm_attn.tasks.arrays import Arrays, from_arrays
from lstm_attn.tasks.base import Batch, StoredTask, Task, cross_entropy, in_mask, squared_error
from lstm_attn.tasks.copy_problem import Copy
from lstm_attn.tasks.flip_flop import FlipFlop
from lstm_attn.tasks.group_words import Words
from lstm_attn.tasks.mqar import Mqar
from lstm_attn.tasks.range_of_lengths import OverRange, each_alone
from lstm_attn.tasks.regular_languages import (
    CycleNavigation,
    EvenPairs,
    ModularArithmetic,
    Parity,
)
from lstm_attn.tasks.retrieval import Induction, Retrieval
from lstm_attn.tasks.selective_copy import SelectiveCopy
from lstm_attn.tasks.symbols import SymbolTask, accuracy_by
from lstm_attn.tasks.text_prediction import TextPrediction

adding = Adding
copy = Copy
over_range = OverRange

TASKS: dict[str, Callable[..., Task]] = {
    "adding": adding,
    "copy": copy,
    "selective_copy": SelectiveCopy,
    "parity": Parity,
    "even_pairs": EvenPairs,
    "cycle_navigation": CycleNavigation,
    "modular_arithmetic": ModularArithmetic,
    "flip_flop": FlipFlop,
    "mqar": Mqar,
    "induction": Induction,
    "retrieval": Retrieval,
    "words": Words,
}


def build(name: str, length: int, variant: str | None = None, shortest: int | None = None) -> Task:
    """The task of that name in TASKS; over a range of lengths where shortest is less than length.

    Args:
      name: "adding", or with a variant "adding:arjovsky2016".
      variant: the same on its own; None for the one in the name, or else the task's default.

    Its name is that key: run folders note it, and build the task again from it.

    Raises:
      UsageError: an unknown name or variant, a length too short for the task, or an entry of TASKS
        that makes a task of another name or length, on one line.
    """
    name, _, named = name.partition(":")
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    variant = variant or named or None
    # The least length depends on the variant, so a class of tasks gets it at once.
    fields = getattr(TASKS[name], "__dataclass_fields__", {})
    options = {"variant": variant} if variant and "variant" in fields else {}
    task = _named(TASKS[name](length=length, **options), name)
    if task.length != length:
        raise UsageError(
            f"task {name!r}: length: expected {task.length}, the only one it has, got {length}"
        )
    if variant not in (None, task.variant):
        if variant not in task.variants:
            raise unknown_name(f"variant of {name}", variant, task.variants)
        task = dataclasses.replace(task, variant=variant)  # type: ignore[type-var]
    return task if shortest in (None, length) else over_range(task, shortest)


def _named(task: Task, name: str) -> Task:
    if task.name == name:
        return task
    if isinstance(task, Arrays):
        return dataclasses.replace(task, name=name)
    raise UsageError(
        f"task {name!r}: expected a task whose name is its key in TASKS, got {task.name!r}; "
        f"write name = {name!r} into {type(task).__name__}, or tasks.TASKS[{task.name!r}] = ..."
    )


__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "Copy",
    "CycleNavigation",
    "EvenPairs",
    "FlipFlop",
    "Induction",
    "ModularArithmetic",
    "Mqar",
    "OverRange",
    "Parity",
    "Retrieval",
    "SelectiveCopy",
    "StoredTask",
    "SymbolTask",
    "Task",
    "TextPrediction",
    "Words",
    "accuracy_by",
    "adding",
    "build",
    "copy",
    "cross_entropy",
    "each_alone",
    "from_arrays",
    "in_mask",
    "over_range",
    "squared_error",
]
