"""The border of a program: flags in, one clear line and status 2 where they don't fit."""

import dataclasses
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

import dacite
from absl import app, flags, logging
from ml_collections import ConfigDict

from lstm_attn.errors import UsageError, unknown_name

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
Settings = TypeVar("Settings")


def fail(message: object) -> NoReturn:
    """Ends the program as a wrong use of it ends: one line on stderr, status 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USAGE_STATUS)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses sys.argv and runs main; a UsageError becomes one line, any other error a traceback."""

    def without_arguments(arguments: Sequence[str]) -> int | None:
        if arguments:
            fail(f"unexpected argument {arguments[0]!r}: everything is given as --flag=value")
        return main()

    run_on_arguments(without_arguments)


def run_on_arguments(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """As `run`, of a main that takes what is given without a flag."""

    def guarded(arguments: list[str]) -> int | None:
        try:
            status = main(arguments[1:])
        except UsageError as error:
            fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            status = INTERRUPTED_STATUS
        if status == INTERRUPTED_STATUS:
            # An orderly exit would wait for the chunk in flight, of which nothing is kept.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        return status

    app.run(guarded, flags_parser=_parse_flags)
    raise AssertionError("app.run exits")


def _parse_flags(argv: Sequence[str]) -> list[str]:
    # JAX logs which backends are absent, at a level that absl shows unless told otherwise.
    logging.set_verbosity(logging.WARNING)
    try:
        _check_config_flags(argv[1:])
        return flags.FLAGS(list(argv))
    except UsageError as error:
        fail(error)
    except flags.Error as error:
        fail(str(error).replace("\n", " "))


def _check_config_flags(arguments: Sequence[str]) -> None:
    """Names what is wrong with --config or an override; config_flags would give a traceback."""
    given = {}
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        # absl takes one dash or two, and a value after `=` or as the next argument.
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            given[name] = value if equals else following
    if "config" not in given:
        return
    known = _keys(_load_config(given["config"]))
    for name in given:
        if name.startswith("config.") and name.removeprefix("config.") not in known:
            raise unknown_name("config key", name.removeprefix("config."), known)


def _load_config(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise UsageError(f"--config: expected a Python file, found none at {path!r}")
    try:
        get_config = runpy.run_path(path).get("get_config")
    except SyntaxError as error:
        raise UsageError(f"--config: {path} is not Python: {error}") from error
    config = get_config() if callable(get_config) else None
    if not isinstance(config, ConfigDict):
        raise UsageError(f"--config: {path} expected get_config() to return a ConfigDict")
    return config.to_dict()


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        name
        for key, value in tree.items()
        for name in (_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
    ]


def checked(settings: type[Settings], config: dict[str, Any]) -> Settings:
    """The config as a frozen dataclass; a list will do where a tuple is wanted.

    Raises:
      UsageError: an unknown or missing key, a value of the wrong type or out of range, naming
        the key.
    """
    known = _field_names(settings)
    for key in _keys(config):
        if key not in known:
            raise unknown_name("config key", key, known)
    try:
        options = dacite.Config(type_hooks={float: _number, int: _whole})
        return dacite.from_dict(settings, _tuples(config), options)
    except dacite.DaciteError as error:
        raise UsageError(f"config: {error}") from error


def _field_names(settings: Any, prefix: str = "") -> list[str]:
    types = get_type_hints(settings)
    return [
        name
        for field in dataclasses.fields(settings)
        for name in (
            _field_names(types[field.name], f"{prefix}{field.name}.")
            if dataclasses.is_dataclass(types[field.name])
            else [prefix + field.name]
        )
    ]


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """A whole number will do where a float is wanted; other types are left for dacite to refuse."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: Any) -> Any:
    """True is a whole number to Python; nobody means it."""
    if isinstance(value, bool):
        raise UsageError(f"config: expected a whole number, got {value}")
    return value
