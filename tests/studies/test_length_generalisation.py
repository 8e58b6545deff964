"""The study of length generalisation: its cells, its result, interrupted and not."""

import dataclasses
import importlib
import json
import shutil

import pytest

from lstm_attn import tasks
from lstm_attn.models import ModelConfig
from lstm_attn.studies.length_generalisation import LengthConfig, MeasuredOn, TrainedOn, grid_cells
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

pytestmark = pytest.mark.usefixtures("compiled_quickly")

experiment = importlib.import_module("lstm_attn.studies.length_generalisation")

CONFIG = LengthConfig(
    models=("gru", "transformer"),
    positions=("learned",),
    task=TrainedOn(("adding",), (4,), (0.5,)),
    test=MeasuredOn(factors=(0.5, 1.0, 2.0), sequences=20, batch_size=20),
    model=ModelConfig(features=4, num_layers=1),
    training=TrainingConfig(
        steps=4, evaluate_every=4, warmup_steps=1, seeds=2, evaluation_sequences=20
    ),
)


def run(path):
    """What the study prints; its folder is opened again, as the command does."""
    return do_study(experiment.STUDY, CONFIG, path)[1]


def found(path):
    """The result without its seconds."""
    text = (path / "length_generalisation.json").read_text()
    return [{**entry, "seconds": 0} for entry in json.loads(text)["cells"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("length_generalisation")
    return path, run(path)


def test_a_cell_for_each_task_range_and_scheme():
    """Oracle: by hand. Catches a lost scheme, and a range that is trained as one length."""
    config = dataclasses.replace(
        CONFIG,
        models=("transformer", "gru"),
        positions=("none", "rotary"),
        task=TrainedOn(("copy",), (10, 20), (1.0, 0.5)),
    )
    cells = grid_cells(config)
    assert [cell.name for cell in cells[:6]] == [
        "copy-10-transformer_none", "copy-10-transformer_rotary", "copy-10-gru",
        "copy-5to10-transformer_none", "copy-5to10-transformer_rotary", "copy-5to10-gru",
    ]  # fmt: skip
    assert [cell.model.positions for cell in cells[:3]] == ["none", "rotary", "sinusoidal"]
    assert cells[4].task == tasks.over_range(tasks.copy(10), 5)
    assert cells[-1].task == tasks.over_range(tasks.copy(20), 10)
    # Every model of a task is tested at the multiples of every trained length.
    lengths = [experiment.tested_lengths(config, cell.task) for cell in (cells[0], cells[-1])]
    assert lengths == [[5, 10, 20, 40]] * 2


def test_the_study_leaves_what_it_should(whole):
    """Catches a cell that is not tested, learned positions that end at the trained length, and a
    program for each length."""
    path, out = whole
    entries = found(path)
    names = [entry["cell"] for entry in entries]
    assert names == ["adding-2to4-gru", "adding-2to4-transformer_learned"]
    for entry in entries:
        assert [at["length"] for at in entry["at"]] == [2, 4, 8]
        assert (entry["trials"], entry["sequences"], entry["programs"]) == (2, 20, 1)
        for at in entry["at"]:
            assert all(0 <= accuracy <= 1 for accuracy in at["accuracies"])
            assert len(at["accuracies"]) == len(at["losses"]) == 2
    assert (path / "length-generalisation-adding.png").stat().st_size > 0
    assert "Length generalisation: adding" in (path / "report.html").read_text()
    assert "2 of 2 cells to train" in out
    assert "transformer learned  T = 2 to 4" in out


def test_an_interrupted_test_goes_on(whole, tmp_path, monkeypatch):
    """Identity with an uninterrupted run; interrupted in the second test. Catches a cell that is
    tested twice, and one that is left out."""
    path = tmp_path / "run"
    shutil.copytree(whole[0], path)
    (path / "length_generalisation.json").unlink()
    tested = []

    def stop_at_second(cell, *rest):
        tested.append(cell.name)
        if len(tested) == 2:
            raise KeyboardInterrupt
        return test_cell(cell, *rest)

    test_cell = experiment.test_cell
    monkeypatch.setattr(experiment, "test_cell", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        run(path)
    assert len(found(path)) == 1
    out = run(path)
    assert "0 of 2 cells to train" in out
    names = [entry["cell"] for entry in found(path)]
    assert tested == names[:2] + names[1:]
    assert found(path) == found(whole[0])


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        (None, {"models": ()}, "models: expected at least one, got none"),
        (None, {"models": ("lsmt",)}, "unknown model 'lsmt': did you mean lstm"),
        (None, {"positions": ("rotory",)}, "unknown positions 'rotory': did you mean rotary"),
        (None, {"positions": ()}, "positions: expected at least one, got none"),
        ("task", {"shortest": (0.0,)}, "task.shortest: expected shares of T, 0 < share <= 1, got"),
        ("task", {"trained_lengths": (4, 4)}, "task.trained_lengths: 4 is given twice"),
        ("task", {"shortest": (1.0, 0.9)}, "by which adding-4-gru is given twice"),
        ("test", {"factors": (1.0, -2.0)}, "test.factors: expected finite ones above 0, got -2.0"),
        (
            "test",
            {"factors": (1.0, float("inf"))},
            "test.factors: expected finite ones above 0, got inf",
        ),
        ("task", {"shortest": (0.25,)}, "adding: length: expected at least 2, got 1"),
        ("test", {"factors": (0.25,)}, "adding: length: expected at least 2, got 1"),
        ("test", {"factors": (0.3,)}, "test.factors: expected whole numbers of steps, got 0.3 of"),
        ("test", {"sequences": 30}, "test.sequences: expected a multiple of batch_size=20, got"),
        (
            "test",
            {"most_padding": 0.5},
            "test.most_padding: expected finite and at least 1, got 0.5",
        ),
    ],
)
def test_a_wrong_config_is_one_line_that_names_the_key(part, changes, message):
    """Catches a mistake that shows only after an hour of training."""
    changed = CONFIG if part is None else getattr(CONFIG, part)

    def replaced():
        inner = dataclasses.replace(changed, **changes)
        return inner if part is None else dataclasses.replace(CONFIG, **{part: inner})

    with pytest.raises(ValueError, match=message) as caught:
        replaced()
    assert "\n" not in str(caught.value)
