"""The horizon study on trials with known horizons, interrupted and not."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner import grow
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.studies.horizon import STUDY, HorizonConfig, SearchedTask
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study, record_of

# Training steps that the median trial needs for each step of memory.
NEEDS = {"gru": 2.0, "lstm": 0.1, "transformer": 50.0}
STEPS, SEEDS = 64, 8
# Of the seeds, around 1.
FACTORS = 2 ** np.linspace(-0.5, 0.5, SEEDS)
BEST_RATE = 0.01

CONFIG = HorizonConfig(
    models=("gru", "lstm", "transformer"),
    task=SearchedTask(("adding",), first=8, shortest=4, longest=64),
    model=ModelConfig(features=4, num_heads=2, num_layers=1),
    training=TrainingConfig(
        steps=STEPS, evaluate_every=1, warmup_steps=1, seeds=SEEDS, learning_rates=(BEST_RATE,),
        schedule="constant",
    ),
)  # fmt: skip
GRU = dataclasses.replace(CONFIG, models=("gru",))


def slower(rate):
    """How many times as long a trial takes far from the best rate."""
    return 4 ** abs(math.log10(rate / BEST_RATE))


def ends_of(cell):
    """The step at which each trial remembers."""
    ends = []
    for rate in cell.training.learning_rates:
        for seed in cell.training.all_seeds:
            factor = FACTORS[seed % SEEDS]
            end = math.ceil(NEEDS[cell.model_name] * cell.task.length * factor * slower(rate))
            ends.append(end if end <= cell.training.steps else None)
    return ends


@pytest.fixture
def trainer(monkeypatch):
    """Replaces training by that law; gives the names of the cells that were trained."""
    trained = []

    def train(session, cells, *, train=None):
        placed = [one.cell for one in grow.place(cells, session.folder)]
        for cell in placed:
            there = {record["cell"]: record["trials"] for record in session.folder.results}
            if there.get(cell.name) != cell.training.trials:
                trained.append(cell.name)
                record = record_of(cell, ends_of(cell))
                for trial in record["per_trial"]:
                    trial["final_loss"] = 0.001 * slower(trial["learning_rate"])
                session.folder.add_result(record, instead_of=[cell.name])
        return placed

    monkeypatch.setattr(Session, "train", train)
    return trained


def test_the_study_finds_the_horizons_put_in(trainer, tmp_path):
    """Oracle: the law. Half of the GRUs remember 64 / 2 steps, of the LSTMs 640, which is more than
    is tried, of the Transformers 1.3. Catches models exchanged, a search that stops outside or with
    wide gaps, one that goes on beyond its limits, and a bound that looks like a horizon."""
    folder, out = do_study(STUDY, CONFIG, tmp_path / "run")
    found = folder.study("horizon")
    gru, lstm, transformer = found["searches"]
    assert gru["bounded"] == "inside"
    assert gru["low"] < 32 < gru["high"]
    assert gru["t50"] == pytest.approx(32, rel=0.1)
    lengths = [one["length"] for one in gru["lengths"]]
    assert lengths == sorted(lengths)
    near = [length for length in lengths if 20 < length < 50]
    assert all(b / a < 1.5 for a, b in itertools.pairwise(near))
    assert (lstm["bounded"], lstm["t50"], lstm["high"]) == ("above", 64, None)
    assert [one["length"] for one in lstm["lengths"]] == [8, 16, 32, 64]
    assert (transformer["bounded"], transformer["t50"]) == ("below", 4)
    assert [one["length"] for one in transformer["lengths"]] == [4, 8, 16]
    for one in gru["lengths"]:
        need = NEEDS["gru"] * one["length"] * FACTORS
        assert one["remembers"] == (np.ceil(need) <= STEPS).sum()
    assert "> 64" in out
    assert "< 4" in out
    page = (folder.path / "report.html").read_text()
    assert "&gt; 64" in page
    assert (folder.path / "horizon-adding.png").exists()
    assert len(trainer) == len(set(trainer)) == len(folder.results)


def test_half_of_the_budget_has_half_of_the_horizon(trainer, tmp_path):
    """Oracle: the law, which is linear: with a budget of 32 steps T50 is 16. Catches a pass counted
    after the smaller budget, and the slope of the wrong axis."""
    config = dataclasses.replace(GRU, task=dataclasses.replace(GRU.task, first=4))
    folder, _ = do_study(STUDY, config, tmp_path / "run")
    (gru,) = folder.study("horizon")["searches"]
    t50 = {one["budget"]: one["t50"] for one in gru["by_budget"] if one["bounded"] == "inside"}
    assert t50[64] == gru["t50"]
    assert t50[32] == pytest.approx(16, rel=0.25)
    assert gru["against_budget"]["low"] < 1 < gru["against_budget"]["high"]


def test_a_schedule_that_ends_has_one_budget(trainer, tmp_path):
    """By the definition: under a cosine a trial of half the budget is another trial. Catches smaller
    budgets that were never trained."""
    training = dataclasses.replace(GRU.training, schedule="cosine")
    folder, _ = do_study(STUDY, dataclasses.replace(GRU, training=training), tmp_path / "run")
    (gru,) = folder.study("horizon")["searches"]
    assert [one["budget"] for one in gru["by_budget"]] == [64]
    assert gru["against_budget"] is None


@pytest.mark.full
def test_each_length_is_tested_at_its_tuned_rate(trainer, tmp_path):
    """Oracle: the law, whose best rate is .01. Catches
    trials of all rates in the fit, tuning seeds in the test, and a cost without tuning."""
    config = dataclasses.replace(
        GRU,
        training=dataclasses.replace(GRU.training, learning_rates=(0.001, 0.01, 0.1)),
        tuning=TuningConfig(seeds=4, halving=False, carry=True),
        task=dataclasses.replace(GRU.task, first=16),
    )
    folder, _ = do_study(STUDY, config, tmp_path / "run")
    (gru,) = folder.study("horizon")["searches"]
    for one in gru["lengths"]:
        assert (one["trials"], one["learning_rate"]) == (SEEDS, BEST_RATE)
    tuning = folder.study("tuning")["cells"]
    assert {cell["length"] for cell in tuning} == {one["length"] for one in gru["lengths"]}
    assert gru["steps_of_tuning"] == sum(cell["steps"] for cell in tuning)
    seeds = {trial["seed"] for record in folder.results for trial in record["per_trial"]}
    assert seeds == set(range(SEEDS))


@pytest.mark.parametrize("stopped_at", [2, pytest.param(3, marks=pytest.mark.full)])
def test_a_search_that_was_stopped_goes_on_to_the_same_result(
    stopped_at, trainer, tmp_path, monkeypatch
):
    """Identity with an uninterrupted search, stopped before its second and third round. Catches a
    length that is trained again, and a search that begins elsewhere."""
    folder, _ = do_study(STUDY, GRU, tmp_path / "whole")
    whole, names = folder.study("horizon"), list(trainer)
    trainer.clear()
    train, calls = Session.train, []

    def stop(session, cells, **options):
        calls.append(None)
        if len(calls) == stopped_at:
            raise KeyboardInterrupt
        return train(session, cells, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "train", stop)
        with pytest.raises(KeyboardInterrupt):
            do_study(STUDY, GRU, tmp_path / "stopped")
    assert 0 < len(trainer) < len(names)
    folder, _ = do_study(STUDY, GRU, tmp_path / "stopped")
    assert folder.study("horizon") == whole
    assert trainer == names


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("task", {"longest": 8}, "task.longest: expected at least 9, got 8"),
        ("task", {"first": 3}, "task.first: expected at least 4, got 3"),
        ("task", {"shortest": 0}, "task.shortest: expected at least 1, got 0"),
        ("task", {"shortest": 1}, "adding: length: expected at least 2, got 1"),
        ("task", {"names": ()}, "task.names: expected at least one, got none"),
        (None, {"models": ("gru", "gru")}, "models: 'gru' is given twice"),
        (None, {"models": ("gur",)}, "unknown model 'gur': did you mean gru"),
        ("training", {"seeds": 1}, "training.seeds: expected at least 2, which are resampled"),
        ("training", {"seeds": 200}, "tuning.first_seed: expected seeds that no test has"),
    ],
)
def test_a_config_that_does_not_fit_is_one_line(part, changes, message):
    """Catches a search that begins and fails an hour in."""

    def configured():
        if part is None:
            return dataclasses.replace(CONFIG, **changes)
        changed = dataclasses.replace(getattr(CONFIG, part), **changes)
        return dataclasses.replace(CONFIG, **{part: changed})

    with pytest.raises(UsageError) as caught:
        configured()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_rates_want_tuning():
    """Catches trials of all rates in one fit."""
    training = dataclasses.replace(CONFIG.training, learning_rates=(0.01, 0.1))
    with pytest.raises(UsageError, match="tuning.seeds: expected at least 1 to choose a rate"):
        dataclasses.replace(CONFIG, training=training, tuning=TuningConfig(seeds=0))
