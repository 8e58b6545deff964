"""The driver of a grid, with workers whose fates are scripted."""

import json
import re
import subprocess
import sys

import pytest

from lstm_attn.runner.launchers import Lost, cell_folder, gather
from lstm_attn.runner.launchers.gather import CellsFailed
from lstm_attn.runner.progress import GridProgress
from tests.runner.launchers.conftest import finish, leave


class Scripted:
    """A launcher whose workers end as scripted, each some polls after the one before.

    script: name of a model -> the fates of its workers, in turn: the step at which one is lost, the
    text with which one fails, "finishes", or a function to call before one finishes.
    """

    def __init__(self, cells, script, at_once=None):
        self.script = {cell.name: (cell, list(script[cell.model_name])) for cell in cells}
        self.at_once = at_once
        self.launched, self.cancelled, self.most = [], [], 0
        self.open = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def launch(self, folders):
        self.launched.append([path.name for path in folders])
        self.open += len(folders)
        self.most = max(self.most, self.open)
        return [Work(self, path, len(folders) - n) for n, path in enumerate(folders)]


class Work:
    def __init__(self, launcher, path, looks):
        self.launcher, self.path, self.looks = launcher, path, looks
        self.cell, ends = launcher.script[path.name]
        self.end = ends.pop(0)

    def ended(self):
        self.looks -= 1
        if self.looks:
            return False
        self.launcher.open -= 1
        if self.end == "finishes":
            finish(self.cell, self.path)
        elif isinstance(self.end, int):
            last = cell_folder.latest(self.cell, self.path)
            leave(self.cell, self.path, *range((last.step if last else 0) + 10, self.end + 10, 10))
        elif callable(self.end):
            self.end()
            finish(self.cell, self.path)
        elif isinstance(self.end, BaseException):
            raise self.end
        return True

    def answer(self):
        if isinstance(self.end, int):
            raise Lost("killed")
        return self.end if isinstance(self.end, str) and self.end != "finishes" else None

    def cancel(self):
        self.launcher.cancelled.append(self.path.name)


@pytest.fixture
def gathered(cells, folder, monkeypatch, capsys):
    """Trains the three cells by the script: gathered(script) -> (launcher, printed text)."""
    monkeypatch.setattr(gather, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(gather, "LOOK_SECONDS", 0.0)

    def gathered(script, at_once=None):
        gathered.launcher = launcher = Scripted(cells, script, at_once)
        try:
            with GridProgress(cells) as progress:
                gather.train(cells, folder, progress, launcher=launcher)
        finally:
            launcher.printed = capsys.readouterr().out
        return launcher

    return gathered


ALL_FINISH = {name: ["finishes"] for name in ("lstm", "lstm_attention", "gru")}


def test_the_folder_is_in_the_order_of_the_grid(cells, folder, gathered):
    """Oracle: by hand; the workers finish last to first. Catches a folder in the order of
    finishing, and a finished cell or a count of cells that is not shown."""
    launcher = gathered(ALL_FINISH)
    names = [cell.name for cell in cells]
    assert [record["cell"] for record in folder.results] == names
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["cell"] for line in lines] == [
        name for name in names for _ in range(4)
    ]
    ends = re.findall(r"\[\d/3\] (\S+)  remembers 1/2, exact 1", launcher.printed)
    assert ends == names[::-1]
    assert "2 waiting, 0 running, 1 ended" in launcher.printed
    assert not (folder.path / "cells").exists()


def test_no_more_workers_than_there_is_room_for(gathered):
    """Oracle: by hand. Catches a launcher of this machine that gets the whole grid at once."""
    launcher = gathered(ALL_FINISH, at_once=2)
    assert launcher.most == 2
    assert list(map(len, launcher.launched)) == [2, 1]


def test_a_lost_worker_is_replaced_as_long_as_that_helps(folder, cells, gathered):
    """Oracle: by hand. After progress, losses count from one again; the third loss at one step is
    final. Catches a cell given up too early, one retried for ever, one that starts from nothing."""
    script = {**ALL_FINISH, "lstm": [10, 10, 20, 20, 30, "finishes"], "gru": [10, 10, 10]}
    with pytest.raises(CellsFailed, match="1 of 3 cells failed: adding-4-gru; the others are kept"):
        gathered(script)
    assert [record["cell"] for record in folder.results] == [
        "adding-4-lstm",
        "adding-4-lstm_attention",
    ]
    assert [e.step for e in folder.evaluations("adding-4-lstm")] == [10, 20, 30, 40]
    # What it has done remains for the next run.
    assert cell_folder.latest(cells[2], cell_folder.place(cells[2], folder)).step == 10


def test_lost_workers_are_reported(gathered):
    """Oracle: by hand. Catches a lost worker that is not reported."""
    launcher = gathered({**ALL_FINISH, "gru": [20, "finishes"]})
    assert "adding-4-gru: its worker was lost (killed); another goes on from step 20" in (
        launcher.printed
    )


def test_a_cell_that_fails_leaves_the_others_alone(cells, folder, gathered):
    """Oracle: by hand. Catches a grid that ends with its first failure, a traceback that is only in
    the worker's log, a failed cell that holds up those after it, one that is not tried again."""
    text = "Traceback (most recent call last):\n  ...\nValueError: why"
    with pytest.raises(CellsFailed, match="adding-4-lstm;"):
        gathered({**ALL_FINISH, "lstm": [text]})
    assert f"adding-4-lstm  failed: {text}" in gathered.launcher.printed
    assert len(folder.results) == 2
    with GridProgress(cells[:1]) as progress:
        gather.train(cells[:1], folder, progress, launcher=Scripted(cells, ALL_FINISH))
    assert {record["cell"] for record in folder.results} == {cell.name for cell in cells}


def test_an_interrupted_driver_stops_its_workers(gathered, folder):
    """Oracle: by hand. Catches jobs that go on after Ctrl-C."""
    with pytest.raises(KeyboardInterrupt):
        gathered({**ALL_FINISH, "gru": [KeyboardInterrupt()]})
    launcher = gathered.launcher
    assert launcher.cancelled == launcher.launched[0]
    assert "stopped 3 cells; each goes on from its last checkpoint" in launcher.printed
    assert folder.results == []


def test_a_cell_that_another_process_holds_is_waited_for(cells, folder, gathered):
    """Oracle: a process that holds two folders for a while, one of an unfinished cell, like jobs
    whose driver is gone. Catches a second worker at one cell, a folder taken from under a worker,
    and a driver that gives up."""
    finished, unfinished = (cell_folder.hand_out(cell, folder) for cell in (cells[0], cells[2]))
    finish(cells[0], finished)
    there = []
    code = (
        "import pathlib, time; from lstm_attn import files;"
        f"held = [files.hold(pathlib.Path(p)) for p in ({str(unfinished)!r}, {str(finished)!r})];"
        "print('held', flush=True); time.sleep(1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        launcher = gathered(
            {**ALL_FINISH, "lstm_attention": [10, lambda: there.append(finished.exists())]}
        )
    assert there == [True]
    assert launcher.launched == [["adding-4-lstm_attention"]] * 2 + [["adding-4-gru"]]
    assert f"adding-4-gru is in use by process {other.pid} on " in launcher.printed
    assert [record["cell"] for record in folder.results] == [cell.name for cell in cells]
