"""Cells handed out to folders of their own and taken back, interrupted at any point."""

import dataclasses
import itertools
import json
import os
import shutil

import pytest

from lstm_attn import tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.launchers import cell_folder
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig
from tests.runner.launchers.conftest import finish, leave


def contents(folder):
    """Every file of the run folder by its path; metrics by cell, since cells come in any order."""
    files = {
        str(path.relative_to(folder.path)): path.read_bytes()
        for path in folder.path.rglob("*")
        if path.is_file() and path.name not in (".lock", "metrics.jsonl")
    }
    lines = list(map(json.loads, (folder.path / "metrics.jsonl").read_text().splitlines()))
    names = {line["cell"] for line in lines}
    return files, {name: [line for line in lines if line["cell"] == name] for name in names}


@pytest.mark.parametrize(
    ("task", "model", "training"),
    [
        (tasks.adding(10), {}, {}),
        (tasks.copy(12), {"chrono_steps": (2.0, 30.0), "dropout": 0.1}, {}),
        (tasks.over_range(tasks.adding(20), 5), {}, {"learning_rates": (1e-3, 1 / 3), "clip_norm": 2}),
    ],
)  # fmt: skip
def test_a_cell_comes_back_from_its_config(task, model, training, tmp_path):
    """Identity, through JSON. Catches a lost field, a tuple that becomes a list, a range of lengths
    that becomes one length."""
    cell = Cell("name", "gru", task, ModelConfig(**model), TrainingConfig(**training))
    RunFolder.open(tmp_path / "cell", cell_folder.config_of(cell))
    assert cell_folder.cell_of(tmp_path / "cell") == cell


def test_a_folder_of_another_cell_is_refused(cells, folder):
    """Catches a worker that trains the cell of an earlier run."""
    cell_folder.hand_out(cells[0], folder)
    longer = dataclasses.replace(cells[0], task=tasks.adding(5))
    with pytest.raises(UsageError, match="cells/adding-4-lstm is of another config than the run's"):
        cell_folder.hand_out(longer, folder)


def test_what_a_cell_has_goes_out_and_comes_back(cells, folder):
    """Identity: the run folder with all three cells, handed out and taken in. Catches files of a
    cell whose name has the same beginning, repeated lines, a checkpoint left behind."""
    for cell in cells:
        leave(cell, folder.path, 10, 20)
    before = contents(folder)
    own = cell_folder.hand_out(cells[0], folder)
    assert [e.step for e in RunFolder(own).evaluations(cells[0].name)] == [10, 20]
    assert cell_folder.latest(cells[0], own).step == 20
    assert sorted(path.name for path in (own / "checkpoints").iterdir()) == [
        "adding-4-lstm.previous.safetensors",
        "adding-4-lstm.safetensors",
    ]
    cell_folder.take_in(cells[0], folder)
    assert contents(folder) == before
    assert not (folder.path / "cells").exists()


def test_what_a_worker_has_done_takes_the_place_of_what_was_there(cells, folder):
    """Oracle: by hand. Catches an older state that is kept, and a record lost or ignored."""
    leave(cells[0], folder.path, 10)
    own = cell_folder.hand_out(cells[0], folder)
    assert not cell_folder.finished(own)
    leave(cells[0], own, 20, scale=2.0)
    finish(cells[0], own)
    assert cell_folder.finished(own)
    latest = RunFolder(own).checkpoint(cells[0].name).read_bytes()
    cell_folder.take_in(cells[0], folder)
    assert [e.step for e in folder.evaluations(cells[0].name)] == [10, 20, 30, 40]
    assert [record["cell"] for record in folder.results] == [cells[0].name]
    assert folder.checkpoint(cells[0].name).read_bytes() == latest


def stopping_at(number, patch):
    """Interrupts before the number-th change of a file by the code; lists all changes."""
    calls = []

    def counted(function):
        def call(*arguments, **options):
            calls.append(function)
            if len(calls) == number:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    for owner, name in (
        (RunFolder, "add_evaluation"),
        (RunFolder, "drop_evaluations_after"),
        (RunFolder, "add_result"),
        (RunFolder, "begin"),
        (shutil, "rmtree"),
        (os, "replace"),
    ):
        patch.setattr(owner, name, counted(getattr(owner, name)))


def stopped_folders(begun, act, monkeypatch):
    """(n, folder), n = 1, 2, ...: each a fresh folder in which `act` was interrupted before the
    n-th change of a file; one for each change."""
    for number in itertools.count(1):
        folder = begun(f"stopped-{number}")
        with monkeypatch.context() as patch:
            stopping_at(number, patch)
            try:
                act(folder)
                return
            except KeyboardInterrupt:
                pass
        yield number, folder


@pytest.mark.parametrize("there_is_a_record", [True, False])
def test_taking_in_can_be_stopped_anywhere(there_is_a_record, cells, tmp_path, monkeypatch):
    """Identity with an uninterrupted run: interrupted before each change of a file, then done
    again, as the next run does. Catches a line or a record lost or repeated, a folder left over."""

    def begun(name):
        folder = RunFolder.open(tmp_path / name, {})
        leave(cells[1], folder.path, 10)
        leave(cells[0], folder.path, 10)
        own = cell_folder.hand_out(cells[0], folder)
        leave(cells[0], own, 20)
        if there_is_a_record:
            finish(cells[0], own)
        RunFolder(own).begin({"versions": {"jax": "1"}})
        return folder

    reference = begun("reference")
    assert cell_folder.take_in(cells[0], reference) == []

    def take_in(folder):
        cell_folder.take_in(cells[0], folder)

    for stops, folder in stopped_folders(begun, take_in, monkeypatch):
        if cell_folder.place(cells[0], folder).exists():
            cell_folder.take_in(cells[0], folder)
        cell_folder.sweep(folder)
        assert contents(folder) == contents(reference), stops
    assert stops > 8


def test_handing_out_can_be_stopped_anywhere(cells, tmp_path, monkeypatch):
    """Identity with an uninterrupted run. Catches half a folder taken for a whole one, so that a
    cell would start again."""

    def begun(name):
        folder = RunFolder.open(tmp_path / name, {})
        leave(cells[0], folder.path, 10, 20)
        return folder

    whole = RunFolder(cell_folder.hand_out(cells[0], begun("reference")))

    def hand_out(folder):
        cell_folder.hand_out(cells[0], folder)

    for stops, folder in stopped_folders(begun, hand_out, monkeypatch):
        cell_folder.sweep(folder)
        own = cell_folder.hand_out(cells[0], folder)
        assert contents(RunFolder(own)) == contents(whole), stops
        assert [path.name for path in own.parent.iterdir()] == [own.name]
    assert stops > 5
