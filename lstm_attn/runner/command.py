"""What the command of every study does: a checked config and a run folder for it to work in."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TextIO

import jax
from absl import flags

from lstm_attn import training
from lstm_attn.errors import UsageError, one_line
from lstm_attn.runner import (
    checked_config,
    command_help,
    command_line,
    dry_run,
    launchers,
    tuning_notes,
)
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.checked_config import leaves
from lstm_attn.runner.launchers import flags as launcher_flags
from lstm_attn.runner.launchers.gather import CellsFailed
from lstm_attn.runner.session import Session
from lstm_attn.runner.terminal import Terminal
from lstm_attn.runs import RunFolder
from lstm_attn.training import multihost

CONFIG = command_line.define_config("The config, such as configs/quick.py; required.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run folder, made if it is not there; required, but for --dry_run."
)
DRY_RUN = flags.DEFINE_bool(
    "dry_run",
    False,
    "Print the cells of the grid, their parameters, and how long they would take, estimated from "
    "a few steps of each model. Nothing is trained, and nothing is written.",
)
COMPILATION_CACHE = flags.DEFINE_string(
    "compilation_cache",
    None,
    "Folder for compiled programs; empty for none. Otherwise $JAX_COMPILATION_CACHE_DIR or the "
    "user's cache folder.",
)
FAILED_STATUS = 1
NO_FOLDER = Path(os.devnull) / "none"  # a run folder that is certainly not there
flags.mark_flag_as_required("config")


class Study(Protocol):
    """What a command needs of a study, see `lstm_attn.studies.study.Study`."""

    @property
    def config(self) -> type: ...

    @property
    def check(self) -> Callable[[Any, Path], None]: ...

    @property
    def cells(self) -> Callable[[Any, Path], Sequence[Cell]]: ...

    def run(self, config: Any, session: Session) -> Any:
        """Does the study and returns its result, which can be shown."""


def run(study: Study, profile: flags.FlagHolder[bool] | None = None) -> NoReturn:
    """The command of a study: does it in the folder --workdir; interrupted, it says how to go on.

    Args:
      profile: the flag that asks for `Session.profile`; None for a study without.
    """

    def rehearse() -> int:
        workdir = Path(WORKDIR.value) if WORKDIR.value else None
        config: Any = checked_config.checked(study.config, CONFIG.value)
        study.check(config, workdir or NO_FOLDER)
        training.use_host_cores()
        dry_run.show(study.cells(config, workdir or NO_FOLDER), config, workdir, Terminal())
        return 0

    def main() -> int:
        if DRY_RUN.value:
            return rehearse()
        if not WORKDIR.value:
            got = "none" if WORKDIR.value is None else "an empty name"
            raise UsageError(f"--workdir: expected a folder, got {got}")
        # Mistakes are reported before anything is begun.
        options = launcher_flags.options()
        launcher = launchers.chosen(options, Path(WORKDIR.value))
        config: Any = checked_config.checked(study.config, CONFIG.value)
        study.check(config, Path(WORKDIR.value))
        if launcher and asked_for():
            raise UsageError(
                "--launcher: each cell is trained by one process; expected no --distributed"
            )
        training.use_host_cores()
        start()

        def work(folder: RunFolder) -> int:
            session = Session(folder, Terminal(), options, profile is not None and profile.value)
            try:
                session.begin(config.training, COMPILATION_CACHE.value)
                study.run(config, session).show()
            except KeyboardInterrupt:
                print(f"interrupted; the same command goes on from {folder.path}")
                return command_line.INTERRUPTED_STATUS
            except CellsFailed as error:
                print(f"error: {error}", file=sys.stderr)
                return FAILED_STATUS
            return 0

        return work_together(WORKDIR.value, dataclasses.asdict(config), work)

    command_line.run(main, lambda: _about_config(study))


def _about_config(study: Study) -> str:
    """The part of --help on the config: its values are those of a file that is given besides."""
    values = dict(leaves(dataclasses.asdict(study.config())))
    path = command_line.given_config()
    if path is not None:
        values |= command_line.load_config(path)
    source = "the defaults" if path is None else f"the values of {path}"
    return command_help.of_config(study.config, values, source)


LOST_STATUS = 1
# Why one process may fail alone: its disk, its memory. It then says so itself.
OF_ONE_PROCESS = (OSError, MemoryError, jax.errors.JaxRuntimeError)
GRACE_SECONDS = 5  # for the others to end in the same way

DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Train in several processes, started with the same command: by SLURM, Open MPI, Kubernetes or "
    "on a Cloud TPU, where JAX finds them itself.",
)
ADDRESS = flags.DEFINE_string(
    "coordinator_address", None, "For processes started by hand: host:port of process 0."
)
PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "How many processes are started by hand.", lower_bound=1
)
PROCESS = flags.DEFINE_integer(
    "process_id", None, "Which of the processes this is: 0, 1, ...", lower_bound=0
)


def asked_for() -> bool:
    """Whether the flags ask for several processes."""
    return DISTRIBUTED.value or (ADDRESS.value, PROCESSES.value, PROCESS.value) != (None,) * 3


def start() -> None:
    """Joins this process with the others, if the flags ask for several.

    Raises:
      UsageError: flags that do not fit together, or no other process was found.
    """
    address, processes, process = ADDRESS.value, PROCESSES.value, PROCESS.value
    if address is None or processes is None or process is None:
        if (address, processes, process) != (None, None, None):
            raise UsageError(
                "--coordinator_address, --num_processes, --process_id: expected all or none of "
                f"them, got {address}, {processes}, {process}"
            )
        if DISTRIBUTED.value:
            multihost.initialize()
        return
    if process >= processes:
        raise UsageError(
            f"--process_id: expected less than --num_processes={processes}, got {process}"
        )
    multihost.initialize(address, processes, process)


def work_together(path: str, config: dict[str, Any], work: Callable[[RunFolder], int]) -> int:
    """Does the work in the run folder at the path, as one of all processes of the run.

    Args:
      path: the leader's folder; no other process looks there.
      work: gives a status, the same in every process.

    Returns:
      The status. Other processes than the leader are silent, but for an error of their own.
    """
    if not multihost.several():
        return work(RunFolder.open(path, config))
    grace = GRACE_SECONDS
    with contextlib.ExitStack() as stack:
        if not multihost.leads():
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_nowhere())))
            path = stack.enter_context(tempfile.TemporaryDirectory(prefix="lstm_attn-"))
        try:
            status = work(_open(path, config))
            if status == 0:
                multihost.wait()  # the leader may have more to do
                return 0
        except UsageError as error:
            status = command_line.USAGE_STATUS
            if multihost.leads() or isinstance(error.__cause__, OF_ONE_PROCESS):
                _say(error)
        except (RuntimeError, ValueError) as error:
            if not multihost.is_loss(error):
                raise
            status, grace = LOST_STATUS, 0
            _say(
                "another process of this run has ended, and so does this one; the same command "
                f"goes on ({str(error).splitlines()[0]})"
            )
    multihost.end(status, grace)


def _open(path: str, config: dict[str, Any]) -> RunFolder:
    """The run folder of this process."""
    multihost.check_alike("config", config)
    opened = []
    multihost.agreed(lambda: opened.append(RunFolder.open(path, config)))
    multihost.copy_files(Path(path), lambda: _to_copy(Path(path)), Path(path))
    return opened[0] if opened else RunFolder.open(path, config)


def _to_copy(folder: Path) -> list[str]:
    """What training goes on from, and what a study takes up; not what is drawn from it."""
    files: list[Path] = []
    for place in (folder, folder / tuning_notes.NAME):
        files += [*place.glob("*.json"), *place.glob("*.jsonl"), *place.glob("checkpoints/*")]
        # Of cells that the workers of a launcher have begun.
        files += [*place.glob("cells/*/*.json*"), *place.glob("cells/*/checkpoints/*")]
    return sorted(str(file.relative_to(folder)) for file in files if file.suffix != ".partial")


def _nowhere() -> TextIO:
    return open(os.devnull, "w")


def _say(message: object) -> None:
    which = "" if multihost.leads() else f"process {jax.process_index()}: "
    print(f"error: {which}{one_line(message)}", file=sys.stderr, flush=True)
