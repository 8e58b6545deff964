"""The study of length generalisation: its cells, its result, interrupted and not."""

import dataclasses
import importlib
import io
import json
import math
import shutil

import pytest
from rich.console import Console

from lstm_attn import tasks
from lstm_attn.analysis.solving import remember_rate, solve_rate
from lstm_attn.models import ModelConfig
from lstm_attn.runner import grow
from lstm_attn.runner.configs import RATES
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import RunFolder
from lstm_attn.studies.length_generalisation import LengthConfig, TrainedOn, grid_cells
from lstm_attn.studies.tested_lengths import MeasuredOn
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
        steps=4, evaluate_every=4, warmup_steps=1, seeds=2, learning_rates=(0.01, 10.0),
        evaluation_sequences=20, confirmation_sequences=20,
    ),
    tuning=TuningConfig(seeds=1, halving=False),
)  # fmt: skip


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


BEST_RATE = {"gru": 0.01, "none": 0.003, "rotary": 0.03}


def forgotten(cell, rate):
    """The loss of all trials: least at a rate of its own for each scheme, and least of all with
    rotary positions on T alone, with none on a range."""
    kind = cell.model.positions if cell.model_name == "transformer" else cell.model_name
    tuned = "none" if cell.task.shortest < cell.task.length else "rotary"
    return (1 if kind == tuned else 2) * 1e-4 * 10 ** abs(math.log10(rate / BEST_RATE[kind]))


@pytest.fixture
def tested(monkeypatch):
    """Replaces training by that law, and the test by one in which all trials remember T alone.
    Gives (cell, learning rates) of each test."""

    def train(session, cells, *, train=None):
        placed = [one.cell for one in grow.place(cells, session.folder)]
        for cell in placed:
            there = {record["cell"]: record["trials"] for record in session.folder.results}
            if there.get(cell.name) != cell.training.trials:
                trials = [
                    {
                        "seed": seed, "learning_rate": rate, "steps": cell.training.steps,
                        "final_loss": forgotten(cell, rate),
                    }
                    for rate in cell.training.learning_rates
                    for seed in cell.training.all_seeds
                ]  # fmt: skip
                record = {
                    "cell": cell.name, **cell.purpose, "baseline": 1.0, "trials": len(trials),
                    "steps": cell.training.steps, "seconds": 1.0, "per_trial": trials,
                }  # fmt: skip
                session.folder.add_result(record, instead_of=[cell.name])
        return placed

    def test(cell, lengths, config, folder):
        calls.append((cell.name, cell.training.learning_rates))
        found = {"cell": cell.name, "model": cell.model_name, "positions": None, "task": "adding"}
        if cell.model_name == "transformer":
            found["positions"] = cell.model.positions
        seeds = cell.training.all_seeds
        return found | {
            "length": cell.task.length, "shortest": cell.task.shortest, "criterion": "C",
            "budget": 4, "learning_rate": cell.training.learning_rates[0], "trials": len(seeds),
            "sequences": config.sequences, "seconds": 0.0, "horizon": None,
            "at": [
                {
                    "length": length, **solve_rate(0, len(seeds)),
                    **remember_rate(len(seeds) * (length == cell.task.length), len(seeds)),
                    "per_trial": [
                        {"seed": seed, "share_remembered": 0.5, "remembers": True} for seed in seeds
                    ],
                }
                for length in lengths
            ],
        }  # fmt: skip

    calls = []
    monkeypatch.setattr(Session, "train", train)
    monkeypatch.setattr(experiment, "test_cell", test)
    return calls


def test_each_scheme_is_tuned_for_its_rate_and_the_best_one_counts(tested, tmp_path):
    """Oracle: the law. Catches one rate for all schemes or ranges, a scheme that is chosen over all
    ranges, a cell that is tested at all rates, one that is tested again, and rows that a later
    command forgets."""
    config = dataclasses.replace(
        CONFIG,
        positions=("none", "rotary"),
        task=TrainedOn(("adding",), (4,), (1.0, 0.5)),
        training=dataclasses.replace(CONFIG.training, learning_rates=RATES),
        tuning=TuningConfig(seeds=1),
    )
    session = Session(RunFolder.open(tmp_path / "run", {}), Console(file=io.StringIO()))
    (table,) = experiment.work(config, session)
    rates = {"gru": 0.01, "transformer_none": 0.003, "transformer_rotary": 0.03}
    assert dict(tested) == {
        f"adding-{lengths}-{name}": (rate,)
        for lengths in ("4", "2to4")
        for name, rate in rates.items()
    }
    rows = {row["cell"].removeprefix("adding-"): row for row in found(tmp_path / "run")}
    assert {name for name, row in rows.items() if row["counts"]} == {
        "4-gru", "4-transformer_rotary", "2to4-gru", "2to4-transformer_none",
    }  # fmt: skip
    assert table.rows[2][:5] == ("transformer rotary (tuned)", "T = 4", "0/2", "2/2", "0/2")
    experiment.work(dataclasses.replace(config, models=("gru",)), session)
    assert len(tested) == len(found(tmp_path / "run")) == 6


@pytest.mark.full
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
            assert [trial["seed"] for trial in at["per_trial"]] == [0, 1]
            for trial in at["per_trial"]:
                assert trial["share_remembered"] == pytest.approx(1 - 6 * trial["loss"])
            assert at["remembers"] == sum(trial["remembers"] for trial in at["per_trial"])
        assert entry["horizon"]["bounded"] in ("inside", "above", "below")
    assert (path / "length-generalisation-adding.png").stat().st_size > 0
    assert "Length generalisation: adding" in (path / "report.html").read_text()
    assert "2 of 2 cells to train" in out
    assert "T = 2 to 4" in out


@pytest.mark.full
def test_each_cell_is_tested_at_its_tuned_rate(whole):
    """By the protocol, from the files. Catches a test of all rates, and a loss of another cell's
    tuning."""
    path, _ = whole
    tuning = {one["cell"]: one for one in RunFolder(path).study("tuning")["cells"]}
    for entry in found(path):
        mine = tuning[entry["cell"]]
        assert entry["learning_rate"] == mine["learning_rate"]
        losses = [one["log_forgotten"] for one in mine["tried"]]
        assert entry["log_forgotten"] == min(loss for loss in losses if loss is not None)
        assert mine["model_config"]["positions"] == entry["positions"] or not entry["positions"]


@pytest.mark.full
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
        ("tuning", {"seeds": 0}, "tuning.seeds: expected at least 1 to choose a rate, got 0"),
        ("tuning", {"positions": ("rotary",)}, "tuning.positions: expected none, since each"),
        ("training", {"seeds": 101}, "tuning.first_seed: expected seeds that no test has"),
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
