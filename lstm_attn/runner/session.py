"""A study at work: its run folder, its console, and who trains its cells."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Console

from lstm_attn import training
from lstm_attn.runner import launchers, machine
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.progress import OnEvaluation
from lstm_attn.runner.train_grid import Train, train_missing
from lstm_attn.runs import ENVIRONMENT, RunFolder
from lstm_attn.training import TrainingConfig


class Session(NamedTuple):
    """What a study is given besides its config.

    folder: the run folder, which belongs to this process meanwhile.
    console: prints progress.
    launcher: who trains the cells.
    profile: whether to measure where the time of each cell goes.
    on_evaluation: called with the name of a cell and each evaluation that this process makes of it;
      names of tuning cells begin with "tuning/".
    """

    folder: RunFolder
    console: Console
    launcher: launchers.Options = launchers.HERE
    profile: bool = False
    on_evaluation: OnEvaluation | None = None

    def train(self, cells: Sequence[Cell], *, train: Train | None = None) -> list[Cell]:
        """`train_missing`: trains what the folder lacks, and returns the cells as it names them."""
        return train_missing(
            cells,
            self.folder,
            self.console,
            self.launcher,
            train=train,
            on_evaluation=self.on_evaluation,
        )

    def within(self, name: str) -> "Session":
        """The session of a run folder within this one, WORKDIR/NAME, of the same study."""
        inner = RunFolder.open(self.folder.path / name, self.folder.config)
        if (self.folder.path / ENVIRONMENT).exists():
            inner.begin(self.folder.environment)
        note = self.on_evaluation
        within = None if note is None else lambda cell, one: note(f"{name}/{cell}", one)
        return self._replace(folder=inner, on_evaluation=within)

    def record(self, cell: Cell) -> dict[str, Any]:
        """What results.json says of a trained cell."""
        return next(record for record in self.folder.results if record["cell"] == cell.name)

    def begin(self, config: TrainingConfig, compilation_cache: str | None) -> None:
        """Turns the compilation cache on, and notes the machine in the folder.

        Workers of a launcher note their own machines and layouts.

        Args:
          compilation_cache: as `training.use_compilation_cache` takes it.
        """
        note = training.use_compilation_cache(compilation_cache)
        if note:
            self.console.print(f"note: {note}", soft_wrap=True)
        if self.launcher.launcher == launchers.LOCAL:
            layout = training.choose_layout(config)
            # The layout follows from the trials, which may be others than before.
            noted = self.folder.begin(machine.environment(layout))
            if changed := [key for key in noted if key != "layout"]:
                self.console.print(f"note: not as when this run was begun: {', '.join(changed)}")
            self.console.print(str(layout), soft_wrap=True)
