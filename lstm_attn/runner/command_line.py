"""The command line of a program: flags and config; a mistake in them is one line and status 2."""

import dataclasses
import os
import reprlib
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import dacite
from absl import app, flags, logging
from ml_collections import ConfigDict, FieldReference, config_flags

from lstm_attn.errors import UsageError, unknown_name, visible

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
LONGEST_LINE = 2000  # letters of a message, which may quote a long value
OUR_MODULES = ("lstm_attn.", "benchmarks.", "tools.")
# What a config key expects, by its type.
EXPECTED = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    tuple[int, ...]: "whole numbers, such as 10,50",
    tuple[float, ...]: "numbers, such as 0.1,0.2",
    tuple[str, ...]: "names, such as lstm,gru",
}
# And by its key, where it is a name in a table.
A_MODEL = "such as lstm (a model of your own is a line in models.MODELS)"
A_TASK = "such as adding (a task of your own is a line in tasks.TASKS)"
EXPECTED_NAMES = {
    "models": f"names, {A_MODEL}",
    "model_name": f"a name, {A_MODEL}",
    "task.names": f"names, {A_TASK}",
    "task.name": f"a name, {A_TASK}",
}
Settings = TypeVar("Settings")


class NumberOrNone(flags.ArgumentParser):
    """A flag for a key of a config whose value is None: a whole number that follows from others
    unless it is given."""

    syntactic_help = "a whole number or None"

    def parse(self, argument: str) -> int | None:
        """Raises ValueError, which absl reports, for text that is neither."""
        return None if argument == "None" else int(argument, 0)


config_flags.register_flag_parser_for_type(type(None), NumberOrNone())


def fail(message: object) -> NoReturn:
    """Ends the program after a mistake of the user: one line on stderr, status 2."""
    print(f"error: {one_line(message)}", file=sys.stderr)
    sys.exit(USAGE_STATUS)


def one_line(message: object) -> str:
    """The message on one line, control characters escaped, cut to LONGEST_LINE letters."""
    line = visible(" ".join(str(message).split()))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..."


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses sys.argv and runs main; a UsageError becomes one line, any other error a traceback."""

    def without_arguments(arguments: Sequence[str]) -> int | None:
        if arguments:
            fail(f"unexpected argument {arguments[0]!r}: everything is given as --flag=value")
        return main()

    run_on_arguments(without_arguments)


def run_on_arguments(main: Callable[[Sequence[str]], int | None]) -> NoReturn:
    """As `run`, for a main that takes the positional arguments."""

    def guarded(arguments: list[str]) -> int | None:
        try:
            status = main(arguments[1:])
        except UsageError as error:
            fail(error)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            status = INTERRUPTED_STATUS
        if status == INTERRUPTED_STATUS:
            # An orderly exit would wait for the chunk that is running, which is not kept anyway.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        return status

    # --help lists the flags that belong to this script; absl would leave out those of our modules.
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith(OUR_MODULES) else ():
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    app.run(guarded, flags_parser=_parse_flags)
    raise AssertionError("app.run exits")


def _parse_flags(argv: Sequence[str]) -> list[str]:
    # JAX logs absent backends at a level that absl shows by default.
    logging.set_verbosity(logging.WARNING)
    try:
        # A flag file may hold a config too.
        given = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)
        _check_config_flags(given[1:])
        return flags.FLAGS(list(argv))
    except (UsageError, flags.Error) as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)
    except Exception as error:
        # Errors of the user's own values, which config_flags lets through.
        fail(f"flags: {in_words(error)}")


def _check_config_flags(arguments: Sequence[str]) -> None:
    """Raises UsageError for a wrong --config or override; config_flags would give a traceback."""
    given = list(_given(arguments))
    configs = [value for name, value in given if name == "config"]
    overrides = [name.removeprefix("config.") for name, _ in given if name.startswith("config.")]
    if len(configs) > 1:
        raise UsageError(f"--config: expected one file, got {' and '.join(configs)}")
    if not configs:
        if overrides and "config" in flags.FLAGS:
            raise UsageError(f"--config: expected a Python file, got --config.{overrides[0]} alone")
        return
    config = _load_config(configs[0])
    known = list(config)
    for key, value in config.items():
        if isinstance(value, FieldReference):
            _resolved(key, value)
    for key in overrides:
        if key not in known:
            raise unknown_name("config key", key, known)


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each flag. absl allows one dash or two, and a value after `=` or as the
    next argument."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            if name.startswith("noconfig."):
                name = name.removeprefix("no")
            yield name, value if equals else following


def _load_config(path: str) -> dict[str, Any]:
    """The leaves of the config in the file."""
    try:
        is_file = Path(path).is_file()
    except (OSError, ValueError) as error:  # a name too long, or with a null in it
        raise UsageError(f"--config: expected a Python file, got {path!r}: {error}") from error
    if not is_file:
        raise UsageError(f"--config: expected a Python file, found none at {path!r}")
    try:
        get_config = runpy.run_path(path).get("get_config")
        config = get_config() if callable(get_config) else None
        if isinstance(config, ConfigDict):
            return dict(leaves(config))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: {path} is not Python: {error}") from error
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise UsageError(f"--config: {path} raises {in_words(error)}") from error
    raise UsageError(f"--config: {path} expected get_config() to return a ConfigDict")


def in_words(error: BaseException) -> str:
    """An error that is not ours, with its type: the message alone may be a bare key or empty."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


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
    """The config as a frozen dataclass; lists become tuples, and "lstm,gru" two names.

    Raises:
      UsageError: an unknown or missing key, a value of the wrong type or out of range, naming
        the key.
    """
    known = dict(_field_types(settings))
    for key, value in leaves(config):
        if isinstance(value, FieldReference):
            value = _resolved(key, value)
        if key in known:
            _check_numbers(key, value, known[key])
        elif not any(name.startswith(f"{key}.") for name in known):  # dacite refuses a branch
            raise unknown_name("config key", key, known)
    if isinstance(config, ConfigDict):
        config = config.to_dict()
    try:
        hooks: dict[Any, Any] = {float: _number, tuple[str, ...]: _names}
        return dacite.from_dict(settings, _tuples(config), dacite.Config(type_hooks=hooks))
    except dacite.WrongTypeError as error:
        usual = EXPECTED.get(error.field_type, error.field_type)
        expected = EXPECTED_NAMES.get(error.field_path or "", usual)
        # A task or a module of the caller's own may be pages long.
        got = one_line(reprlib.repr(error.value))
        message = f"config: {error.field_path}: expected {expected}, got {got}"
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


def _resolved(key: str, reference: FieldReference) -> Any:
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
    elif isinstance(value, bool) and kind in (int, float):
        number = "a whole number" if kind is int else "a number"
        raise UsageError(f"config: {key}: expected {number}, got {value}")


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _number(value: Any) -> Any:
    """A whole number as a float; dacite refuses other types."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _names(value: Any) -> Any:
    """Names in one text, separated by commas, as several; dacite refuses other types."""
    if not isinstance(value, tuple) or not all(isinstance(entry, str) for entry in value):
        return value
    return tuple(name.strip(" ") for entry in value for name in entry.split(","))
