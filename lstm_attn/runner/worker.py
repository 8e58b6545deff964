"""Trains one cell in the run folder that a launcher has made for it, from where it stands.

    python -m lstm_attn.runner.worker --folder=WORKDIR/cells/CELL

Launchers call `attempt`; started by hand, it does the same. What it leaves is taken into WORKDIR by
the command that made the folder.
"""

import os
import traceback
from pathlib import Path

import jax
from absl import flags

from lstm_attn import training
from lstm_attn.errors import UsageError, check_whole
from lstm_attn.runner import command_line, machine
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runner.progress import GridProgress
from lstm_attn.runner.train_cells import train_cell
from lstm_attn.runs import RunFolder

FOLDER = flags.DEFINE_string("folder", None, "The cell's own run folder.")
CORES = flags.DEFINE_integer("cores", 1, "CPU cores to use, one JAX device each.")


def train(path: str, cores: int, cache: str | None) -> None:
    """Trains the cell of the folder, from its last checkpoint to its record.

    Args:
      cores: as many JAX devices, where no accelerator is the default.
      cache: folder of compiled programs, as `machine.use_compilation_cache` takes it.

    Raises:
      UsageError: not a cell's folder, one that another process works in or that can't be written.
    """
    cell = cell_folder.cell_of(Path(path))
    folder = RunFolder.open(path, RunFolder(path).config)
    if folder.results:
        return
    # Both before JAX computes: its devices, and the threads that they share.
    os.environ.setdefault("PJRT_NPROC", str(cores))
    jax.config.update("jax_num_cpu_devices", cores)
    with GridProgress([cell]) as progress:
        note = machine.use_compilation_cache(cache)
        changed = folder.begin(machine.environment(training.choose_layout(cell.training)))
        if note:
            progress.console.print(f"note: {note}")
        if changed:
            progress.console.print(f"note: not as when this cell was begun: {', '.join(changed)}")
        train_cell(cell, folder, progress)


def attempt(path: str, cores: int, cache: str) -> str | None:
    """What launchers run: `train`, with what went wrong as the answer, None where all is well."""
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
