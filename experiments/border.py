"""The border of a program: flags in, one clear line and status 2 where they don't fit."""

import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import dacite
from absl import app, flags, logging

from lstm_attn.errors import UsageError, unknown_name

USAGE_STATUS = 2
CONFIG_FLAG = "--config"
Settings = TypeVar("Settings")


def fail(message: object) -> NoReturn:
    """Ends the program as a wrong use of it ends: one line on stderr, status 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USAGE_STATUS)


def run(main: Callable[[], int | None]) -> NoReturn:
    """Parses sys.argv and runs main; a UsageError becomes one line, any other error a traceback."""

    def guarded(positional: list[str]) -> int | None:
        if positional[1:]:
            fail(f"unexpected argument {positional[1]!r}: everything is given as --flag=value")
        try:
            return main()
        except UsageError as error:
            fail(error)

    app.run(guarded, flags_parser=_parse_flags)
    raise AssertionError("app.run exits")


def _parse_flags(argv: Sequence[str]) -> list[str]:
    # JAX logs which backends are absent, at a level that absl shows unless told otherwise.
    logging.set_verbosity(logging.WARNING)
    try:
        _check_overrides(argv[1:])
        return flags.FLAGS(list(argv))
    except UsageError as error:
        fail(error)
    except flags.Error as error:
        fail(str(error).replace("\n", " "))


def _check_overrides(arguments: Sequence[str]) -> None:
    """Names an unknown key of an override; config_flags would answer with a traceback."""
    paths = [a.partition("=")[2] for a in arguments if a.partition("=")[0] == CONFIG_FLAG]
    if not paths:
        return
    if not Path(paths[-1]).is_file():
        raise UsageError(f"{CONFIG_FLAG} expected a Python file, found none at {paths[-1]!r}")
    known = _keys(runpy.run_path(paths[-1])["get_config"]().to_dict())
    for argument in arguments:
        key, given, _ = argument.removeprefix(CONFIG_FLAG + ".").partition("=")
        if argument.startswith(CONFIG_FLAG + ".") and key not in known:
            raise unknown_name("config key", key, known)
        if argument.startswith(CONFIG_FLAG + ".") and not given:
            raise UsageError(f"{argument}: expected {CONFIG_FLAG}.{key}=VALUE")


def _keys(tree: dict[str, Any], prefix: str = "") -> list[str]:
    return [
        name
        for key, value in tree.items()
        for name in (_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key])
    ]


def checked(settings: type[Settings], config: dict[str, Any]) -> Settings:
    """The config as a frozen dataclass.

    Raises:
      UsageError: an unknown or missing key, a value of the wrong type or out of range, naming
        the key.
    """
    try:
        hooks: dict[Any, Any] = {float: _number}
        options = dacite.Config(strict=True, type_hooks=hooks)
        return dacite.from_dict(settings, config, options)
    except dacite.DaciteError as error:
        raise UsageError(f"config: {error}") from error


def _number(value: Any) -> Any:
    """A whole number will do where a float is wanted; other types are left for dacite to refuse."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
