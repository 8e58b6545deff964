"""A run folder that grows: its trials stay, missing ones are trained, and the result is one run."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file

from lstm_attn import tasks, trained
from lstm_attn.models import ModelConfig
from lstm_attn.runner import grow, merge_trials
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.train_grid import train_missing
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig, checkpoints
from tests.studies.test_compare import without_seconds

pytestmark = pytest.mark.usefixtures("compiled_quickly")
# Four devices, one trial each: then a trial's bits do not depend on the number of trials.
SMALL = TrainingConfig(
    steps=120, evaluate_every=10, warmup_steps=1, seeds=4, learning_rates=(0.05,), batch_size=8,
    evaluation_sequences=20, confirmation_sequences=40, trials_on_device="map",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def an_easy_criterion():
    """So that each trial passes both criteria after a few steps of its own."""

    def low(self, metrics):
        return bool(metrics["loss"] < 0.1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.Adding, "is_solved", low)
        patch.setattr(tasks.Adding, "remembers", low)
        yield


def cell_of(**changes):
    training = dataclasses.replace(SMALL, **changes)
    return Cell("adding-2-gru", "gru", tasks.adding(2), ModelConfig(features=8), training)


def train(path, *cells):
    """The records of the folder's cells, and the printed lines."""
    console = Console(record=True, width=200)
    folder = RunFolder.open(path, {})
    return train_missing(cells, folder, console), console.export_text()


def contents(path, name="adding-2-gru"):
    folder = RunFolder(path)
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return (
        without_seconds(folder.results),
        without_seconds(lines),
        load_file(folder.checkpoint(name)),
    )


def check_alike(path, other):
    (records, lines, arrays), (their_records, their_lines, theirs) = map(contents, (path, other))
    assert records == their_records
    assert lines == their_lines
    assert arrays.keys() == theirs.keys()
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], theirs[name], err_msg=name)


# A multiple of four trials each, or batches would be split over devices when few are trained.
WHOLE = {"seeds": 8, "learning_rates": (0.05, 0.001), "stop_when_solved": True}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """All trials at once; those of one learning rate pass early, those of the other never."""
    path = tmp_path_factory.mktemp("whole") / "run"
    train(path, cell_of(**WHOLE))
    (record,) = RunFolder(path).results
    assert 0 < record["solved"] == record["remembers"] < record["trials"]
    return path


@pytest.mark.full
@pytest.mark.parametrize(
    ("has", "asked"),
    [({"seeds": 4, "learning_rates": (0.001,)}, {}), ({"learning_rates": (0.001,)}, {"seeds": 4})],
)
def test_a_cell_that_grows_by_seeds_and_rates_is_that_of_all_at_once(has, asked, whole, tmp_path):
    """Identity, bit for bit, of record, metrics and checkpoint, whether all trials are asked for or
    some old and some new ones. Catches trials that are exchanged, values not held after some trials
    have ended, trials trained again, and files left over."""
    path = tmp_path / "run"
    train(path, cell_of(**WHOLE | has))
    cells, said = train(path, cell_of(**WHOLE | asked))
    assert f"adding-2-gru: {4 if 'seeds' in has else 8} of 16 trials are there" in said
    assert "1 of 1 cells to train" in said
    assert cells == [cell_of(**WHOLE)]
    check_alike(path, whole)
    assert [file.name for file in (path / "checkpoints").iterdir()] == ["adding-2-gru.safetensors"]
    assert list(RunFolder(path).cells) == ["adding-2-gru"]
    # And it is a cell like any other: loaded, and not trained again.
    assert len(trained.load(path, "adding-2-gru").seeds) == 16
    assert "0 of 1 cells to train" in train(path, cell_of(**WHOLE))[1]


@pytest.mark.full
@pytest.mark.parametrize("stopped_at", ["replace_evaluations", "add_result", "note_cells"])
def test_growing_can_be_stopped_between_its_steps(stopped_at, whole, tmp_path, monkeypatch):
    """Identity with an uninterrupted run. Catches a merge of what is already merged."""
    path = tmp_path / "run"
    train(path, cell_of(**WHOLE | {"seeds": 4}))
    usual, merging = getattr(RunFolder, stopped_at), []

    def stop(*arguments, **options):
        if merging:
            raise KeyboardInterrupt
        return usual(*arguments, **options)

    merge = merge_trials.merge
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, stopped_at, stop)
        patch.setattr(merge_trials, "merge", lambda *given: (merging.append(1), merge(*given)))
        with pytest.raises(KeyboardInterrupt):
            train(path, cell_of(**WHOLE))
    train(path, cell_of(**WHOLE))
    check_alike(path, whole)


def test_fewer_trials_leave_the_cell_as_it_is(whole):
    """Catches a cell that shrinks, or a smaller one that is trained next to it."""
    before = contents(whole)
    cells, said = train(whole, cell_of(**WHOLE | {"seeds": 2}))
    assert cells == [cell_of(**WHOLE)]
    assert "adding-2-gru: 16 trials are there, 4 were asked for" in said
    assert contents(whole)[:2] == before[:2]


@pytest.mark.full
def test_an_unfinished_cell_is_finished_before_it_grows(tmp_path, monkeypatch):
    """Identity with all trials at once. Catches a checkpoint of fewer trials refused or lost."""
    path, other = tmp_path / "run", tmp_path / "whole"
    save, calls = checkpoints.save, []

    def stop_at_third(*arguments):
        calls.append(save(*arguments))
        if len(calls) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", stop_at_third)
        with pytest.raises(KeyboardInterrupt):
            train(path, cell_of())
    _, said = train(path, cell_of(seeds=8))
    assert "1 of 1 cells to train" in said
    train(other, cell_of(seeds=8))
    check_alike(path, other)


@pytest.mark.full
def test_other_settings_are_another_cell(tmp_path):
    """Oracle: by hand. Catches a folder that refuses them, a cell that replaces another, and a name
    that changes when the same command is given again."""
    asked = [cell_of(), cell_of(steps=20), cell_of(seeds=4, first_seed=4)]
    names = ["adding-2-gru", "adding-2-gru+steps=20", "adding-2-gru+first_seed=4"]
    for cell, name in zip(asked, names, strict=True):
        (placed,), said = train(tmp_path, cell)
        assert placed == dataclasses.replace(cell, name=name)
        assert (name == cell.name) or "adding-2-gru is there with other settings; the new" in said
    results = RunFolder(tmp_path).results
    assert [record["cell"] for record in results] == names
    assert [record["steps"] for record in results] == [120, 20, 120]
    again, said = train(tmp_path, *asked)
    assert [cell.name for cell in again] == names
    assert "0 of 3 cells to train" in said


def placed_after(path, has, asked):
    """The placement of the second cell in a folder that has finished the first, and its message."""
    folder = RunFolder.open(path, {})
    folder.add_result({"cell": has.name, **has.purpose})
    (placed,) = grow.place([asked], folder)
    return placed, grow.in_words(placed, asked)


@pytest.mark.parametrize(
    ("has", "asked", "whole", "lacking"),
    [
        ((0, 2, (0.01,)), (0, 1, (0.01, 0.03)), (0, 2, (0.01, 0.03)), (0, 2, (0.03,))),
        ((0, 4, (0.01,)), (2, 4, (0.01,)), (0, 6, (0.01,)), (4, 2, (0.01,))),
        ((1, 1, (0.01, 0.02)), (1, 1, (0.03, 0.02)), (1, 1, (0.01, 0.02, 0.03)), (1, 1, (0.03,))),
    ],
)
def test_overlapping_trials_grow_the_cell_to_the_grid_of_both(has, asked, whole, lacking, tmp_path):
    """Oracle: by hand. Catches trials trained again in a cell of their own."""

    def of(trials):
        return cell_of(**dict(zip(grow.TRIAL_KEYS, trials, strict=True)))

    placed, _ = placed_after(tmp_path, of(has), of(asked))
    assert placed.cell == of(whole)
    assert [part.training for part in placed.parts] == [of(has).training, of(lacking).training]
    first, count, rates = lacking
    seeds = f"seeds={first}to{first + count - 1}"
    assert placed.parts[1].name == f"adding-2-gru+{seeds},learning_rates={rates[0]}"


def test_a_grid_that_costs_more_than_a_new_cell_is_not_trained(tmp_path):
    """Oracle: by hand, 8 more trials against 2. Catches many trials that nobody asked for, and one
    that is silently trained again."""
    has, asked = (cell_of(seeds=n, learning_rates=r) for n, r in ((8, 0.01), (1, (0.01, 0.03))))
    placed, said = placed_after(tmp_path, has, asked)
    assert placed.cell.training == asked.training
    assert said.endswith("trains 1 of its trials again")


@pytest.mark.parametrize(
    ("has", "asked", "name"),
    [
        ({}, {"learning_rates": (0.02,)}, "learning_rates=0.02"),
        ({}, {"learning_rates": (0.01, 0.03)}, "learning_rates=0.01_0.03"),
        ({"evaluate_every": None, "warmup_steps": None},
         {"evaluate_every": None, "warmup_steps": None, "steps": 30}, "steps=30"),
        ({}, {"evaluate_every": 20}, "evaluate_every=20"),
    ],
)  # fmt: skip
def test_a_name_says_what_was_asked_for(has, asked, name, tmp_path):
    """Oracle: by hand. Catches a list that reads as a negative number, a name with settings that
    follow from the steps, and a digest instead of a name."""
    placed, _ = placed_after(tmp_path, cell_of(**has), cell_of(**asked))
    assert placed.cell.name == f"adding-2-gru+{name}"


def test_a_name_is_free_until_there_is_a_checkpoint(tmp_path):
    """Catches a plain name kept by a first try that stopped before its first checkpoint."""
    folder = RunFolder.open(tmp_path, {})
    grow.place([cell_of(steps=20)], folder)
    (placed,) = grow.place([cell_of()], folder)
    assert placed.cell.name == "adding-2-gru"
    # But two cells of one command never share a name.
    names = [one.cell.name for one in grow.place([cell_of(), cell_of(steps=20)], folder)]
    assert names == ["adding-2-gru", "adding-2-gru+steps=20"]
