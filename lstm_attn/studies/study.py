"""A study: a config, what it does in a run folder, and the function that a notebook calls."""

import contextlib
import dataclasses
import inspect
import os
import shutil
import sys
import typing
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import jax

from lstm_attn import report, runs, training
from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.flat import flatten
from lstm_attn.models import ModelConfig
from lstm_attn.runner import checked_config, memory_check
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runs import RunFolder
from lstm_attn.studies.result import Result, Table, TemporaryFolder, temporary_folder
from lstm_attn.training import TrainingConfig, multihost

# What an argument may be: a single value will do for a list, and so will a text with commas.
Names = str | Sequence[str]
Numbers = float | str | Sequence[float]
Workdir = str | os.PathLike | None
HOOK = "on_evaluation"  # an argument of every study, besides those in its signature
# Classes whose fields are arguments of every study.
SETTINGS = (ModelConfig, TrainingConfig)
# What others call an argument; of several, those that the study has are meant.
SYNONYMS = {
    "model": ("models", "model_name"),
    "models": ("model_name",),
    "model_name": ("models",),
    "model_names": ("models", "model_name"),
    "task": ("tasks",),
    "tasks": ("task",),
    "task_name": ("tasks", "task"),
    "length": ("lengths", "trained_lengths", "longest"),
    "lengths": ("length", "trained_lengths", "longest"),
    "seq_len": ("lengths", "length", "trained_lengths"),
    "sequence_length": ("lengths", "length", "trained_lengths"),
    "T": ("lengths", "length", "trained_lengths"),
    "lr": ("learning_rates",),
    "lrs": ("learning_rates",),
    "rates": ("learning_rates",),
    "hidden": ("features",),
    "hidden_size": ("features",),
    "hidden_dim": ("features",),
    "units": ("features",),
    "width": ("features",),
    "d_model": ("features",),
    "layers": ("num_layers",),
    "heads": ("num_heads",),
    "batch": ("batch_size",),
    "epochs": ("steps",),
    "iterations": ("steps",),
    "max_steps": ("steps",),
    "trials": ("seeds",),
    "seed": ("seeds", "first_seed"),
    "folder": ("workdir",),
    "directory": ("workdir",),
    "output_dir": ("workdir",),
    "text": ("path",),
}

STUDIES: list["Study"] = []  # all there are, to name the one that a folder is of


@dataclasses.dataclass(frozen=True)
class Study:
    """One question, as data.

    name: of its function and file here, its config, its script, its report section, and of the
      file in the run folder that holds what it measured.
    config: a dataclass with a default for each field; `model` and `training` are two of them.
    work: (config, session) -> tables and lines, the main table first. It trains with
      `session.train`, and notes what it measures with `session.folder.write_study`.
    cells: (config, path of the run folder) -> the cells that are known before any is trained, for
      `--dry_run`.
    check: (config, path of the run folder) -> None, before anything is begun there; for what a
      config alone can't know, such as whether a file is there.
    """

    name: str
    config: type
    work: Callable[[Any, Session], Sequence[Table | str]]
    cells: Callable[[Any, Path], Sequence[Cell]]
    check: Callable[[Any, Path], None] = lambda config, workdir: None

    def __post_init__(self) -> None:
        STUDIES.append(self)

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
          settings: of the model and of training, see `configure`; and `on_evaluation`, see
            `Session`.

        Raises:
          UsageError: a value or a folder that does not fit, on one line.
        """
        settings = dict(settings)
        on_evaluation = settings.pop(HOOK, None)
        if on_evaluation is not None and not callable(on_evaluation):
            raise UsageError(
                f"{HOOK}: expected a function of a cell's name and an evaluation, got "
                f"{on_evaluation!r}"
            )
        config = self.configure(fields, settings)
        path = temporary_folder() if workdir is None else runs.checked_path(workdir)
        try:
            self._check_folder(path)
            self.check(config, path)
            # Devices are laid out before JAX computes; afterwards they stay as they are.
            with contextlib.suppress(RuntimeError):
                training.use_host_cores()
            folder = RunFolder.open(path, dataclasses.asdict(config))
            session = Session(folder, Terminal(), profile=profile, on_evaluation=on_evaluation)
            session.begin(config.training, compilation_cache=None)
            result = self.run(config, session, with_page=workdir is not None)
        except BaseException as error:
            if workdir is None:
                shutil.rmtree(path, ignore_errors=True)
            elif isinstance(error, KeyboardInterrupt):
                print(f"interrupted; the same call goes on from {path}")
            raise
        if workdir is None:
            result.temporary = TemporaryFolder(path)
        return result

    def _check_folder(self, path: Path) -> None:
        """Raises UsageError for a run folder of another study, by name if it is one of these."""
        if (path / runs.CONFIG).exists():
            there = flatten(RunFolder(path).config).keys()
            others = [other.name for other in STUDIES if there == other._keys != self._keys]
            if others:
                raise UsageError(
                    f"workdir {path} holds a run of {' or '.join(others)}; choose another"
                )

    @property
    def _keys(self) -> Set[str]:
        return flatten(dataclasses.asdict(self.config())).keys()

    def configure(self, fields: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
        """The config with these fields and settings, checked; the others are the default's.

        A single value will do for a list, and so will "lstm,gru" or "10,50". A setting is a field
        of ModelConfig or TrainingConfig by its name, or a whole group of the config, such as
        `training=`, as a dict or its dataclass.

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
                group = value if isinstance(value, Mapping) else self._fields_of(name, value)
                given |= {f"{name}.{key}": one for key, one in group.items()}
            elif name in owners:
                given[f"{owners[name]}.{name}"] = value
            else:
                known = dict.fromkeys([*self.arguments, HOOK, *groups, *owners])
                meant = SYNONYMS.get(name, ())
                raise unknown_name(f"argument of {self.name}", name, known, meant)
        given |= {key: value for key, value in fields.items() if value is not None}
        for key, value in given.items():
            _set(tree, self.config, key, value)
        return checked_config.checked(self.config, tree)

    @property
    def arguments(self) -> list[str]:
        """The names in the signature of the study's function."""
        function = getattr(sys.modules[self.work.__module__], self.name)
        parameters = inspect.signature(function).parameters.values()
        return [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]

    def _fields_of(self, group: str, value: Any) -> dict[str, Any]:
        kind = typing.get_type_hints(self.config)[group]
        if not isinstance(value, kind):
            meant = [name for name in SYNONYMS.get(group, ()) if name in self.arguments]
            hint = f"; did you mean {meant[0]}=?" if meant else ""
            raise UsageError(f"{group}: expected a dict or a {kind.__name__}, got {value!r}{hint}")
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
    if wanted is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if typing.get_origin(wanted) is tuple and not isinstance(value, str):
        value = tuple(value) if hasattr(value, "__iter__") else (value,)
    tree[group] = value
