"""Numbers of numpy and of other libraries as Python's own, which JSON, hashes and messages want."""

import dataclasses
import numbers
import operator
from typing import Any

import numpy as np

WHOLE = ("int", "int | None", "tuple[int, ...]")
REAL = ("float", "float | None", "tuple[float, ...]")


def plain(value: Any) -> Any:
    """A number as Python's int or float; any other value, a bool too, as it is.

    A whole number is what `operator.index` takes; any other is a `numbers.Real`.
    """
    if type(value) in (int, float, bool):
        return value
    try:
        return operator.index(value)
    except TypeError:
        is_real = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
        return float(value) if is_real else value


def is_number(value: object) -> bool:
    """Whether `plain` gives an int or a float."""
    return type(plain(value)) in (int, float)


def number_fields(settings: Any) -> dict[str, str]:
    """The fields of a dataclass that hold numbers: their names, and their types as one of WHOLE or
    REAL."""
    kinds = {
        field.name: field.type.__name__ if field.type in (int, float) else str(field.type)
        for field in dataclasses.fields(settings)
    }
    return {name: kind for name, kind in kinds.items() if kind in (*WHOLE, *REAL)}


def make_plain(settings: Any) -> None:
    """Makes the numbers in the fields of a frozen dataclass Python's own, before they are checked.

    In a field of several numbers an array of them will do.
    """
    for name, kind in number_fields(settings).items():
        value = getattr(settings, name)
        if kind.startswith("tuple") and isinstance(value, tuple | list | np.ndarray):
            # What is no sequence of numbers is left to the checks.
            value = tuple(map(plain, value)) if np.ndim(value) else value
        object.__setattr__(settings, name, plain(value))
