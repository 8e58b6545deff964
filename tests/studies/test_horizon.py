"""The horizon study on trainers with known horizons, interrupted and not."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from lstm_attn import models, training
from lstm_attn.analysis.horizon import judge
from lstm_attn.errors import UsageError
from lstm_attn.history import Evaluation
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.command_line import checked
from lstm_attn.runs import RunFolder
from lstm_attn.studies.horizon import STUDY, HorizonConfig, probe_cell
from tests.study_fixtures import do_study

EVERY, STEPS = 10, 60
# Training steps per step of memory that each of three trials needs.
DIFFICULTY = {"gru": (1.0, 2.0, 9.0), "lstm": (0.1, 0.2, 0.1)}


def settings(**changes):
    config = {
        "models": ["gru", "lstm"],
        "task": {
            "names": ["adding"],
            "shortest": 4,
            "longest": 64,
            "lengths_per_doubling": 2,
        },
        "budget_seconds": 0,
        "model": dataclasses.asdict(models.ModelConfig(features=2, num_heads=1)),
        "training": dataclasses.asdict(
            training.TrainingConfig(
                steps=STEPS, batch_size=4, seeds=3, warmup_steps=1, evaluate_every=EVERY,
                evaluation_sequences=4, stop_when_solved=True,
            )
        ),
    }  # fmt: skip
    for key, value in changes.items():
        part, _, inner = key.partition("__")
        if inner:
            config[part][inner] = value
        else:
            config[part] = value
    return checked(HorizonConfig, config)


@pytest.fixture
def trainer(monkeypatch):
    """Replaces training: trials solve at DIFFICULTY x T steps, at 2 steps a second.

    Gives the chunks that were run, as (model, T, step).
    """
    chunks = []
    programs = {}  # by model; parameters of adding are the same for every T
    trains = []
    make_program = Cell.make_program

    def noted(cell):
        trains.append(cell.model_name)
        if cell.model_name not in programs:
            programs[cell.model_name] = make_program(cell)
        return programs[cell.model_name]

    def run(program, task, config, *, states=None, earlier=(), began=None):
        states = program.start() if states is None else states
        needs = task.length * np.array(DIFFICULTY[trains[-1]])
        for step in range(int(states.step[0]) + EVERY, config.steps + 1, EVERY):
            chunks.append((trains[-1], task.length, step))
            states = states._replace(step=np.full(3, step, np.int32))
            solved = needs <= step
            metrics = {"loss": np.where(solved, 0.001, 0.1).astype(np.float32)}
            yield Evaluation(step, step / 2, metrics, solved, solved, np.zeros(3, bool)), states
            if solved.all():
                return

    monkeypatch.setattr(Cell, "make_program", noted)
    monkeypatch.setattr(training, "run", run)
    return chunks


def searched(config, path):
    folder, out = do_study(STUDY, config, path)
    print(out)
    return folder.study("horizon")


def true_interval(lengths, model, steps):
    """Neighbours on the scale: within the steps, two of three trials solve the first one only."""
    second = sorted(DIFFICULTY[model])[1]
    good = [T for T in lengths if math.ceil(T * second / EVERY) * EVERY <= steps]
    bad = [T for T in lengths if T not in good]
    return max(good, default=None), min(bad, default=None)


@pytest.mark.full
def test_the_study_finds_the_horizons_put_in(trainer, tmp_path, capsys):
    """Oracle: the trainer's law. gru ends between two lengths, lstm at the longest. Catches a probe
    that trains on after its verdict, probes counted for another model, half of the trials taken for
    all, and a report or a terminal that does not show the result."""
    config = settings()
    found = searched(config, tmp_path / "run")
    lengths = [4, 6, 8, 11, 16, 23, 32, 45, 64]
    assert found["lengths"] == lengths
    gru, lstm = found["searches"]
    assert (gru["solved"], gru["unsolved"]) == true_interval(lengths, "gru", STEPS) == (23, 32)
    assert (lstm["solved"], lstm["unsolved"]) == true_interval(lengths, "lstm", STEPS) == (64, None)
    assert gru["complete"]
    assert lstm["complete"]
    assert [probe["length"] for probe in gru["probes"]] == [4, 8, 16, 32, 23]
    assert [probe["length"] for probe in lstm["probes"]] == [4, 8, 16, 32, 64]
    # Each probe ends with the chunk that settles it: at 2 T for gru, or earlier at the budget.
    assert [probe["steps_run"] for probe in gru["probes"]] == [10, 20, 40, 60, 50]
    assert [probe["steps"] for probe in gru["probes"]] == [10, 20, 40, None, 50]
    assert len(trainer) == sum(p["steps_run"] // EVERY for p in gru["probes"] + lstm["probes"])
    out = capsys.readouterr().out
    assert "[1] adding-4-gru  step 10" in out
    assert "[6] adding-4-lstm" in out
    assert "adding, gru: horizon 23 ≤ T < 32" in out
    assert "adding, lstm: horizon T ≥ 64" in out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "23 ≤ T &lt; 32" in page
    assert (tmp_path / "run" / "horizon-adding-steps.png").exists()


def test_a_budget_of_seconds_ends_a_probe(trainer, tmp_path):
    """Oracle: the trainer's law at 2 steps a second: 15 seconds are 30 steps. Catches a budget that
    ends no probe, and one that is applied only afterwards."""
    config = settings(models=["gru"], budget_seconds=15)
    found = searched(config, tmp_path)
    (gru,) = found["searches"]
    assert (
        (gru["solved"], gru["unsolved"]) == true_interval(found["lengths"], "gru", 30) == (11, 16)
    )
    assert found["budget"] == {"steps": STEPS, "seconds": 15}
    assert max(step for _, _, step in trainer) == 30


@pytest.mark.full
@pytest.mark.parametrize("stopped_at", ["save", "add_result", "write_study"])
def test_a_search_that_was_stopped_goes_on_to_the_same_result(
    stopped_at, trainer, tmp_path, monkeypatch
):
    """Identity with an uninterrupted search; interrupted in the middle of a probe, before its
    record, and between two probes. Catches a probe or a search that starts again."""
    config = settings(models=["gru"])
    whole = searched(config, tmp_path / "whole")
    chunks = list(trainer)
    trainer.clear()
    module = training.checkpoints if stopped_at == "save" else RunFolder
    act, calls = getattr(module, stopped_at), itertools.count(1)

    def interrupted(*arguments):
        if next(calls) == 3:
            raise KeyboardInterrupt
        act(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, stopped_at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            searched(config, tmp_path / "stopped")
    assert 0 < len(trainer) < len(chunks)
    resumed = searched(config, tmp_path / "stopped")
    assert resumed == whole
    # At most the chunk that was not saved is done twice.
    assert len(trainer) - len(chunks) == (stopped_at == "save")
    assert sorted(set(trainer)) == sorted(chunks)
    trainer.clear()
    assert searched(config, tmp_path / "stopped") == whole
    assert trainer == []


@pytest.mark.full
def test_an_early_end_in_real_training_has_the_verdict_of_the_whole_budget(tmp_path):
    """Identity with training to the end of the budget, in memory. Catches an early end that changes
    what is trained, or a verdict read from another cell."""
    config = settings(
        models=["gru"], task__shortest=2, task__longest=2, task__lengths_per_doubling=1,
        model=dataclasses.asdict(models.ModelConfig(features=8, num_heads=1)),
        training=dataclasses.asdict(
            training.TrainingConfig(
                steps=600, batch_size=32, seeds=3, learning_rates=(0.02,), warmup_steps=10,
                evaluate_every=50, evaluation_sequences=100, stop_when_solved=True,
                schedule="constant",
            )
        ),
    )  # fmt: skip
    found = searched(config, tmp_path)
    (gru,) = found["searches"]
    for probe in gru["probes"]:
        cell = probe_cell(config, "adding", "gru", probe["length"])
        whole = training.train(
            cell.build(), cell.task, dataclasses.replace(config.training, stop_when_solved=False)
        ).history
        full = judge(whole, config.budget)
        assert whole.steps[-1] == 600
        assert (probe["verdict"], probe["steps"]) == (full.verdict, full.steps)
    assert gru["probes"][0]["steps"] < 600, "too hard: nothing ended early"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task__longest": 3}, "task.longest: expected at least 4, got 3"),
        ({"task__shortest": 1}, "adding: length: expected at least 2, got 1"),
        (
            {"task__lengths_per_doubling": 0},
            "task.lengths_per_doubling: expected at least 1, got 0",
        ),
        ({"budget_seconds": -1}, "budget_seconds: expected finite and >= 0, got -1"),
        ({"models": ["gru", "gru"]}, "models: 'gru' is given twice"),
        ({"models": ["gur"]}, "unknown model 'gur': did you mean gru"),
        ({"task__names": []}, "task.names: expected at least one, got none"),
        ({"training__stop_when_solved": False}, "training.stop_when_solved: expected True"),
    ],
)
def test_a_config_that_does_not_fit_is_one_line(changes, message):
    """Catches a search that begins and fails an hour in."""
    with pytest.raises(UsageError) as caught:
        settings(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
