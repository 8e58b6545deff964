"""A study: a config, what it does in a run folder, and the function that a notebook calls."""

import contextlib
import dataclasses
import os
import shutil
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from lstm_attn import report, training
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.models import ModelConfig
from lstm_attn.runner import command_line, memory_check
from lstm_attn.runner.session import Session
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table, goes_with, temporary_folder
from lstm_attn.training import TrainingConfig, multihost

# What an argument may be: a single value will do for a list.
Names = str | Sequence[str]
Numbers = float | Sequence[float]
Workdir = str | os.PathLike | None
# Classes whose fields are arguments of every study.
SETTINGS = (ModelConfig, TrainingConfig)


@dataclasses.dataclass(frozen=True)
class Study:
    """One question, as data.

    name: of its function and file here, its config, its script, its report section, and of the
      file in the run folder that holds what it measured.
    config: a dataclass with a default for each field; `model` and `training` are two of them.
    work: (config, session) -> tables and lines, the main table first. It trains with
      `session.train`, and notes what it measures with `session.folder.write_study`.
    check: (config, path of the run folder) -> None, before anything is begun there; for what a
      config alone can't know, such as whether a file is there.
    """

    name: str
    config: type
    work: Callable[[Any, Session], Sequence[Table | str]]
    check: Callable[[Any, Path], None] = lambda config, workdir: None

    def run(self, config: Any, session: Session, *, with_page: bool = True) -> Result:
        """Trains and measures what the session's folder lacks, and writes the report there.

        Raises:
          UsageError: what the caller can mend, such as a size for which there is no memory.
        """
        try:
            shown = self.work(config, session)
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            short = memory_check.out_of_memory(error)
            if short is None:
                raise
            raise short from error
        # Other processes than the leader have a copy of the folder, which is thrown away.
        with_page = with_page and multihost.leads()
        page = report.write(session.folder.path) if with_page else None
        return Result(self.name, session.folder, shown, page)

    def call(
        self,
        workdir: Workdir,
        fields: Mapping[str, Any],
        settings: Mapping[str, Any],
        *,
        profile: bool = False,
    ) -> Result:
        """The study as a function call: no flags, live progress, with or without a folder.

        Args:
          workdir: the run folder, which is taken up if it is there; None for a temporary one.
          fields: of the config, by keys such as `task.lengths`; None for the default.
          settings: of the model and of training, see `configure`.

        Raises:
          UsageError: a value or a folder that does not fit, on one line.
        """
        config = self.configure(fields, settings)
        path = temporary_folder() if workdir is None else Path(workdir)
        try:
            self.check(config, path)
            # Devices are laid out before JAX computes; afterwards they stay as they are.
            with contextlib.suppress(RuntimeError):
                training.use_host_cores()
            folder = RunFolder.open(path, dataclasses.asdict(config))
            session = Session(folder, Terminal(), profile=profile)
            session.begin(config.training, compilation_cache=None)
            result = self.run(config, session, with_page=workdir is not None)
        except BaseException as error:
            if workdir is None:
                shutil.rmtree(path, ignore_errors=True)
            elif isinstance(error, KeyboardInterrupt):
                print(f"interrupted; the same call goes on from {path}")
            raise
        if workdir is None:
            goes_with(result, path)
        return result

    def configure(self, fields: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
        """The config with these fields and settings, checked; the others are the default's.

        A single value will do for a list. A setting is a field of ModelConfig or TrainingConfig by
        its name, or a whole group of the config, such as `training=`, as a dict or its dataclass.

        Raises:
          UsageError: an unknown name, or a value that does not fit, naming the key.
        """
        tree = dataclasses.asdict(self.config())
        groups = {
            name: kind
            for name, kind in typing.get_type_hints(self.config).items()
            if dataclasses.is_dataclass(kind)
        }
        owners = {
            field.name: group
            for group, kind in groups.items()
            if kind in SETTINGS
            for field in dataclasses.fields(kind)
        }
        given: dict[str, Any] = {}
        for name, value in settings.items():
            if name in groups:
                group = value if isinstance(value, Mapping) else _fields(name, value, groups[name])
                given |= {f"{name}.{key}": one for key, one in group.items()}
            elif name in owners:
                given[f"{owners[name]}.{name}"] = value
            else:
                raise unknown_name(f"argument of {self.name}", name, [*groups, *owners])
        given |= {key: value for key, value in fields.items() if value is not None}
        for key, value in given.items():
            _set(tree, self.config, key, value)
        return command_line.checked(self.config, tree)


def _fields(name: str, value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, kind):
        raise UsageError(f"{name}: expected a dict or a {kind.__name__}, got {value!r}")
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}


def _set(tree: dict[str, Any], kind: Any, key: str, value: Any) -> None:
    """Sets the value at a key such as `task.lengths`; a single one as a list where one is due."""
    group, _, rest = key.partition(".")
    wanted = typing.get_type_hints(kind).get(group)
    if rest:
        _set(tree[group], wanted, rest, value)
        return
    if hasattr(value, "tolist"):  # an array or a number of numpy
        value = value.tolist()
    if typing.get_origin(wanted) is tuple:
        value = (value,) if isinstance(value, str) or not _is_iterable(value) else tuple(value)
    tree[group] = value


def _is_iterable(value: Any) -> bool:
    return hasattr(value, "__iter__")
