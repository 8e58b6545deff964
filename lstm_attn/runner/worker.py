"""Trains one cell in the folder that a launcher made for it, from its last checkpoint.

    python -m lstm_attn.runner.worker --folder=WORKDIR/cells/CELL

Launchers call `attempt`; the command does the same by hand. The command that made the folder then
takes the cell into WORKDIR.
"""

import os
import traceback
from pathlib import Path

import jax
from absl import flags

from lstm_attn import host, training
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.runner import command_line, machine
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

FOLDER = flags.DEFINE_string("folder", None, "The cell's own run folder.")
CORES = flags.DEFINE_integer("cores", 1, "CPU cores to use, one JAX device each.")


def train(path: str, cores: int, cache: str | None) -> None:
    """Trains the folder's cell from its last checkpoint to its record.

    Args:
      cores: how many CPU devices JAX gets.
      cache: folder of compiled programs, as `training.use_compilation_cache` takes it.

    Raises:
      UsageError: not a cell's folder, or one that another process uses or that can't be written.
    """
    cell = cell_folder.cell_of(Path(path))
    folder = RunFolder.open(path, RunFolder(path).config)
    if folder.results:
        return
    # Both must be set before JAX computes: its devices, and the threads that they share.
    os.environ[host.CORES_VARIABLE] = str(cores)
    jax.config.update("jax_num_cpu_devices", cores)
    with GridProgress([cell]) as progress:
        note = training.use_compilation_cache(cache)
        changed = folder.begin(machine.environment(training.choose_layout(cell.training)))
        if note:
            progress.console.print(f"note: {note}")
        if changed:
            progress.console.print(f"note: not as when this cell was begun: {', '.join(changed)}")
        train_cell(cell, folder, progress)


def attempt(path: str, cores: int, cache: str) -> str | None:
    """What launchers run: `train`; the answer is None for success, else what went wrong."""
    try:
        train(path, cores, cache)
    except UsageError as error:
        return str(error)
    except Exception:
        return traceback.format_exc()
    return None


def main() -> None:
    if not FOLDER.value or not (Path(FOLDER.value) / "config.json").exists():
        raise UsageError(f"--folder: expected a cell's run folder, got {FOLDER.value!r}")
    check_whole("--cores", CORES.value)
    train(FOLDER.value, CORES.value, None)


if __name__ == "__main__":
    command_line.run(main)
