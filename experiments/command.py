"""What the command of every study does: a checked config and a run folder for it to work in."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import flags
from ml_collections import config_flags
from rich.console import Console

from experiments import border, compilation_cache, environment, launchers, many_hosts, memory
from experiments.launchers.gather import CellsFailed
from experiments.terminal import Terminal
from lstm_attn import training
from lstm_attn.errors import UsageError
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig

CONFIG = config_flags.DEFINE_config_file("config", None, "The config, such as configs/quick.py.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run folder, made if it is not there.", required=True
)
COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder for compiled programs; empty for none. Otherwise $JAX_COMPILATION_CACHE_DIR or the "
    "user's cache folder.",
)
FAILED_STATUS = 1
flags.mark_flag_as_required("config")


def run(
    settings: type,
    study: Callable[[Any, RunFolder, Console], None],
    check: Callable[[Any, Path], None] = lambda config, workdir: None,
) -> NoReturn:
    """Does the study in the folder --workdir; interrupted, it says how to go on.

    Args:
      settings: the dataclass that --config becomes; its `training` lays out the trials.
      study: (settings, folder, console) -> None.
      check: (settings, path of the folder) -> None, before anything is begun there; for what the
        settings can't know, such as a file.
    """

    def main() -> int:
        if not WORKDIR.value:
            raise UsageError("--workdir: expected a folder, got an empty name")
        # Before anything is begun, though it is the training that wants it.
        launcher = launchers.chosen(Path(WORKDIR.value))
        config: Any = border.checked(settings, CONFIG.value)
        check(config, Path(WORKDIR.value))
        if launcher and many_hosts.asked_for():
            raise UsageError(
                "--launcher: each cell is trained by one process; expected no --distributed"
            )
        training.use_host_cores()
        many_hosts.start()

        def work(folder: RunFolder) -> int:
            console = Terminal()
            try:
                if launcher:
                    prepare(console)
                else:
                    begin(folder, config.training, console)
                study(config, folder, console)
            except KeyboardInterrupt:
                print(f"interrupted; the same command goes on from {folder.path}")
                return border.INTERRUPTED_STATUS
            except CellsFailed as error:
                print(f"error: {error}", file=sys.stderr)
                return FAILED_STATUS
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                short = memory.out_of_memory(error)
                if short is None:
                    raise
                raise short from error
            return 0

        return many_hosts.work_together(WORKDIR.value, dataclasses.asdict(config), work)

    border.run(main)


def begin(folder: RunFolder, config: TrainingConfig, console: Console) -> None:
    """The compilation cache, and what the folder notes of the machine."""
    prepare(console)
    layout = training.choose_layout(config)
    changed = folder.begin(environment.describe(layout))
    if changed:
        console.print(f"note: not as when this run was begun: {', '.join(changed)}")
    console.print(str(layout), soft_wrap=True)


def prepare(console: Console) -> None:
    """The compilation cache; it is all where workers train the cells.

    The folder then notes the machines on which they worked, and they have the devices of this one.
    """
    note = compilation_cache.use(COMPILATION_CACHE.value)
    if note:
        console.print(f"note: {note}", soft_wrap=True)
