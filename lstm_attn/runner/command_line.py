"""The command line of a program: flags and config; a mistake in them is one line and status 2."""

import contextlib
import io
import os
import runpy
import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, FieldReference, config_flags

from lstm_attn.errors import UsageError, in_words, one_line, unknown_name
from lstm_attn.runner import command_help
from lstm_attn.runner.checked_config import EXPECTED, leaves, resolved

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
NO_READER_STATUS = 141
OUR_MODULES = ("lstm_attn.", "benchmarks.", "tools.")


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


@contextlib.contextmanager
def while_read() -> Iterator[None]:
    """Ends the program quietly where nobody reads its output any more, as behind `| head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_has_gone():
            raise  # of another pipe
        # Otherwise the exit would write the rest, and fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(NO_READER_STATUS)


def _reader_has_gone() -> bool:
    output = select.poll()
    try:
        output.register(sys.stdout.fileno(), 0)
    except io.UnsupportedOperation:  # no file
        return False
    return bool(output.poll(0))


def define_config(about: str) -> flags.FlagHolder[Any]:
    """The flag --config. config_flags reads the command as soon as the flag is defined, and with it
    the files of flags in it."""
    try:
        return config_flags.DEFINE_config_file("config", None, about)
    except (flags.Error, OSError, ValueError) as error:
        fail(f"flags: {in_words(error)}")


def run(main: Callable[[], int | None], about_config: Callable[[], str] = str) -> NoReturn:
    """Parses sys.argv and runs main; a UsageError becomes one line, any other error a traceback.

    Args:
      about_config: what --help says after the flags.
    """

    def without_arguments(arguments: Sequence[str]) -> int | None:
        if arguments:
            fail(f"unexpected argument {arguments[0]!r}: everything is given as --flag=value")
        return main()

    run_on_arguments(without_arguments, about_config)


def run_on_arguments(
    main: Callable[[Sequence[str]], int | None], about_config: Callable[[], str] = str
) -> NoReturn:
    """As `run`, for a main that takes the positional arguments."""

    def guarded(arguments: list[str]) -> int | None:
        try:
            with while_read():
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

    # The flags that belong to this script; absl would leave out those of our modules.
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        for flag in defined if module.startswith(OUR_MODULES) else ():
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    if command_help.is_asked(sys.argv[1:]):
        try:
            with while_read():
                print(command_help.of_command(about_config()))
        except UsageError as error:  # of the config that was given besides
            fail(error)
        sys.exit()
    app.run(guarded, flags_parser=_parse_flags)
    raise AssertionError("app.run exits")


def _parse_flags(argv: Sequence[str]) -> list[str]:
    # JAX logs absent backends at a level that absl shows by default.
    logging.set_verbosity(logging.WARNING)
    given: list[str] = []
    config: Mapping[str, Any] = {}
    try:
        # A flag file may hold a config too.
        given = flags.FLAGS.read_flags_from_files(list(argv), force_gnu=False)[1:]
        config = _check_config_flags(given)
        return flags.FLAGS(list(argv))
    except flags.IllegalFlagValueError as error:
        fail(_expected(str(error), given, config))
    except (UsageError, flags.Error) as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)
    except Exception as error:
        # Errors of the user's own values, which config_flags lets through.
        fail(f"flags: {in_words(error)}")


def _expected(message: str, arguments: Sequence[str], config: Mapping[str, Any]) -> str:
    """absl's message for a value of a flag; that of a config's key says what the key expects."""
    for name, text in _given(arguments):
        key = name.removeprefix("config.")
        if key in config and message.startswith(f"flag --{name}={text}: "):
            kind: Any = type(config[key])
            if kind is tuple and config[key]:
                entry: Any = type(config[key][0])
                kind = tuple[entry, ...]
            if kind in EXPECTED:
                return f"--{name}: expected {EXPECTED[kind]}, got {text!r}"
    return message


def _check_config_flags(arguments: Sequence[str]) -> dict[str, Any]:
    """The config before the overrides. Raises UsageError for a wrong --config or override;
    config_flags would give a traceback."""
    given = list(_given(arguments))
    configs = [value for name, value in given if name == "config"]
    overrides = [name.removeprefix("config.") for name, _ in given if name.startswith("config.")]
    if len(configs) > 1:
        raise UsageError(f"--config: expected one file, got {' and '.join(configs)}")
    if not configs:
        if overrides and "config" in flags.FLAGS:
            raise UsageError(f"--config: expected a Python file, got --config.{overrides[0]} alone")
        return {}
    config = load_config(configs[0])
    known = list(config)
    for key, value in config.items():
        if isinstance(value, FieldReference):
            resolved(key, value)
    for key in overrides:
        if key not in known:
            raise unknown_name("config key", key, known)
    return config


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each flag. absl allows one dash or two, and a value after `=` or as the
    next argument."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            if name.startswith("noconfig."):
                name = name.removeprefix("no")
            yield name, value if equals else following


def given_config() -> str | None:
    """The file after --config of sys.argv, before flags are parsed; None without one."""
    return next((value for name, value in _given(sys.argv[1:]) if name == "config"), None)


def load_config(path: str) -> dict[str, Any]:
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
