"""A config as a frozen dataclass: a value that can be read in one way is taken, any other refused.

A user's mistake is one line that names the key, what was expected, and what was written.
"""

import dataclasses
import functools
import reprlib
from collections.abc import Iterator
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import dacite
import numpy as np
from ml_collections import ConfigDict, FieldReference

from lstm_attn.errors import UsageError, in_words, one_line, unknown_name
from lstm_attn.plain_numbers import is_number, plain

# What a config key expects, by its type.
EXPECTED = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    type(None): "a whole number or None",
    tuple[int, ...]: "whole numbers, such as 10,50",
    tuple[float, ...]: "numbers, such as 0.1,0.2",
    tuple[str, ...]: "names, such as lstm,gru",
    tuple: "values, separated by commas",
}
# And by its key, where it is a name in a table.
A_MODEL = "such as lstm (a model of your own is a line in models.MODELS)"
A_TASK = "such as adding (a task of your own is a line in tasks.TASKS)"
ONE_NAME = {"model_name": f"one name, {A_MODEL}", "task.name": f"one name, {A_TASK}"}
EXPECTED_NAMES = {"models": f"names, {A_MODEL}", "task.names": f"names, {A_TASK}", **ONE_NAME}
Settings = TypeVar("Settings")


def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Key, such as `task.lengths`, and value of each entry of a config; an empty branch is one too.

    A placeholder without a value is given as its FieldReference.
    """
    referring = {"preserve_field_references": True} if isinstance(tree, ConfigDict) else {}
    for key, value in tree.items(**referring):
        if isinstance(value, dict | ConfigDict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def checked(settings: type[Settings], config: ConfigDict | dict[str, Any]) -> Settings:
    """The config as a frozen dataclass; lists become tuples.

    Where several values are asked for, one will do, and so will a text with commas: "lstm,gru" are
    two names, "10,50" two numbers.

    Raises:
      UsageError: an unknown or missing key, a value of the wrong type or out of range, naming
        the key.
    """
    known = dict(_field_types(settings))
    for key, value in leaves(config):
        if isinstance(value, FieldReference):
            value = resolved(key, value)
        if key in known:
            _check_numbers(key, value, known[key])
            if key in ONE_NAME and isinstance(value, str) and "," in value:
                raise UsageError(f"config: {key}: expected {ONE_NAME[key]}, got {value!r}")
        elif not any(name.startswith(f"{key}.") for name in known):  # dacite refuses a branch
            raise unknown_name("config key", key, known)
    if isinstance(config, ConfigDict):
        config = config.to_dict()
    try:
        hooks: dict[Any, Any] = {tuple[kind, ...]: read for kind, read in SEVERAL.items()}  # type: ignore[valid-type]
        hooks |= {int: plain, float: _number}
        return dacite.from_dict(settings, _tuples(config), dacite.Config(type_hooks=hooks))
    except dacite.WrongTypeError as error:
        usual = EXPECTED.get(error.field_type, error.field_type)
        expected = EXPECTED_NAMES.get(error.field_path or "", usual)
        message = f"config: {error.field_path}: expected {expected}, got {_as_written(error.value)}"
        raise UsageError(message) from error
    except dacite.DaciteError as error:
        raise UsageError(f"config: {error}") from error


def _field_types(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(settings)
    for field in dataclasses.fields(settings):
        kind, name = hints[field.name], f"{prefix}{field.name}"
        if dataclasses.is_dataclass(kind):
            yield from _field_types(kind, f"{name}.")
        else:
            yield name, kind


def resolved(key: str, reference: FieldReference) -> Any:
    try:
        return reference.get()
    except Exception as error:  # a required placeholder, or the user's own operation
        raise UsageError(f"config: {key} has no value: {in_words(error)}") from error


def _check_numbers(key: str, value: Any, kind: Any) -> None:
    """Refuses True and False as numbers, which Python and dacite allow."""
    if isinstance(value, tuple | list):
        kinds = get_args(kind) if get_origin(kind) is tuple else (Any,)
        for entry in value:
            _check_numbers(key, entry, kinds[0])
    elif isinstance(value, bool | np.bool_) and kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        raise UsageError(f"config: {key}: expected {number}, got {value}")


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """A number as a float; dacite refuses other types."""
    return float(plain(value)) if is_number(value) else value


def _several(kind: type, value: Any) -> Any:
    """What can be read as several values of the kind, as a tuple; anything else as it is, or a text
    as the only entry, for dacite to refuse."""
    if kind is str and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        # One flag, "lstm,gru" or "[lstm,gru]", arrives as one name.
        if len(value) != 1 or value[0][:1] not in ("[", "("):
            return tuple(name.strip(" ") for entry in value for name in entry.split(","))
        (value,) = value
    if isinstance(value, str):
        texts = [text.strip() for text in value.strip().strip("()[]").split(",")]
        try:
            return tuple(kind(text) for text in texts if text)
        except ValueError:
            return (value,)
    return (plain(value),) if is_number(value) and kind is not str else value


SEVERAL = {kind: functools.partial(_several, kind) for kind in (int, float, str)}


def _as_written(value: Any) -> str:
    """A value in a message: one text of a flag arrives as a tuple of it; and a task or a module of
    the caller's own may be pages long."""
    if isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str):
        value = value[0]
    return one_line(reprlib.repr(value))
