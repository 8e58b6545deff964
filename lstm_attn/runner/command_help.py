"""What --help says: the flags of a command, the keys of its config, and the names of its tables."""

import dataclasses
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_type_hints

from absl import flags

from lstm_attn.models import MODELS
from lstm_attn.tasks import TASKS

ASKED = ("-h", "--h", "-help", "--help")
FIRST = ("config", "workdir", "dry_run")  # of the flags
WIDEST = 100
INDENT = "      "


def is_asked(arguments: Iterable[str]) -> bool:
    """Whether the arguments ask for help; after `--` nothing is a flag."""
    before = iter(arguments)
    return any(argument in ASKED for argument in iter(lambda: next(before, "--"), "--"))


def of_command(about_config: str = "") -> str:
    """The docstring of the program, its flags, and what is said about its config."""
    about = (sys.modules["__main__"].__doc__ or "").strip()
    return "\n".join(filter(None, [about, "\nFlags:", *_flags(), about_config]))


def _flags() -> Iterator[str]:
    own = flags.FLAGS.get_key_flags_for_module(sys.argv[0])
    for flag in sorted(own, key=lambda flag: (*FIRST, flag.name).index(flag.name)):
        given = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}=..."
        default = "" if flag.default in (None, "", [], False) else f" Default: {flag.default}."
        yield f"  {given}\n{_wrapped(f'{flag.help.rstrip()}{default}')}"


def _wrapped(text: str) -> str:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, initial_indent=INDENT, subsequent_indent=INDENT)


def of_config(settings: type, values: Mapping[str, Any], source: str) -> str:
    """The keys of a config with a value and a line each, and the names of models and tasks.

    Args:
      settings: the dataclass of the config.
      values: of each key, such as `task.lengths`.
      source: what the values are, in words.
    """
    lines = [f"\nKeys of the config, each set by --config.KEY=VALUE, with {source}:"]
    for key, text in descriptions(settings).items():
        lines.append(f"  {key} = {as_typed(values[key])}\n{_wrapped(text)}")
    return "\n".join([*lines, f"\nModels: {', '.join(MODELS)}", f"Tasks: {', '.join(TASKS)}"])


def as_typed(value: Any) -> str:
    """A value as one would type it after --config.KEY=, without quotes where a shell needs none."""
    if isinstance(value, tuple | list):
        return ",".join(map(as_typed, value)) if _is_plain(value) else repr(value)
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


def _is_plain(value: tuple | list) -> bool:
    return bool(value) and all(isinstance(one, str | int | float) for one in value)


def descriptions(settings: type, prefix: str = "") -> dict[str, str]:
    """Key -> what its class's docstring says of it, in one sentence."""
    kinds = get_type_hints(settings)
    names = [field.name for field in dataclasses.fields(settings)]
    own = _entries(settings.__doc__ or "", names)
    found: dict[str, str] = {}
    for name in names:
        if dataclasses.is_dataclass(kinds[name]):
            found |= descriptions(kinds[name], f"{prefix}{name}.")
        else:
            found[prefix + name] = own[name]
    return found


def _entries(docstring: str, names: Iterable[str]) -> dict[str, str]:
    """Name -> its text, of a docstring with entries such as `seeds: how many.` or `a, b: both.`

    An entry begins a line or follows `;` or `.`, and its text goes on to the next entry or an empty
    line.
    """
    name = "|".join(map(re.escape, names))
    entry = re.compile(rf"(?:^|(?<=[;.\n]))\s*((?:{name})(?:,\s+(?:{name}))*):\s")
    found: dict[str, str] = {}
    for paragraph in textwrap.dedent(f"    {docstring}").split("\n\n"):
        _, *parts = entry.split(paragraph)
        for named, text in zip(parts[::2], parts[1::2], strict=True):
            found |= dict.fromkeys(re.split(r",\s+", named), _sentence(text))
    return found


def _sentence(text: str) -> str:
    """The first sentence of a text, on one line."""
    first = re.split(r"(?<=[^ .]\.)\s", " ".join(text.split()) + " ", maxsplit=1)[0]
    return first.strip().rstrip(";")
