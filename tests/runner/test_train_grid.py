"""Which cells are trained."""

from rich.console import Console

from lstm_attn import tasks
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import record_of


def test_what_is_finished_is_not_trained_again(tmp_path):
    """Oracle: by hand. Catches a finished cell trained again, and a waiting one left out."""
    training = TrainingConfig(steps=100, warmup_steps=1, seeds=2, evaluation_sequences=20)
    grid = [
        Cell(name, "lstm", tasks.adding(4), ModelConfig(features=4), training) for name in "abc"
    ]
    folder = RunFolder.open(tmp_path / "run", {})
    folder.add_result(record_of(grid[1], [1, None]))
    trained = []
    console = Console(record=True)
    train_missing(grid, folder, console, train=lambda waiting, *_: trained.extend(waiting))
    assert trained == [grid[0], grid[2]]
    assert "2 of 3 cells to train" in console.export_text()
