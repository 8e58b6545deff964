"""The study of the inside of models, from a config to its results, in this process."""

import dataclasses
import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from lstm_attn import models, modules, tasks, trained
from lstm_attn.analysis import look_at_trials
from lstm_attn.errors import UsageError
from lstm_attn.models import Model, ModelConfig
from lstm_attn.modules.observing import Observations
from lstm_attn.ops import LSTMGates
from lstm_attn.report.inside_figures import from_percent
from lstm_attn.runner.cell import TEST_SEED
from lstm_attn.runner.configs import CompareConfig, TaskConfig
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.studies.inside import STUDY, _shown, compare_cuts
from lstm_attn.studies.inside_measures import LOOKED_AT, in_percent, look_inside
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

pytestmark = pytest.mark.usefixtures("compiled_quickly")

CONFIG = CompareConfig(
    models=("gru", "lstm_attention"),
    task=TaskConfig(("copy",), (1,)),
    model=ModelConfig(features=4, num_heads=2, num_layers=1),
    training=TrainingConfig(
        steps=2, evaluate_every=2, warmup_steps=1, seeds=2, evaluation_sequences=10, batch_size=4,
        confirmation_sequences=0, learning_rates=(0.003, 0.01, 0.03),
    ),
    tuning=TuningConfig(seeds=1),
)  # fmt: skip
TASK = tasks.copy(3)
LENGTH = TASK.sequence_length
# Of four trials as initialised and as trained; the last one diverged.
KEEP = {"before": [0.5, 0.0], "after": [[0.5, 0.9], [0.99, 0.8], [0.0, 0.75], [np.nan, np.nan]]}
BACK = [[3, 1], [5, 13], [7, 2], [4, 4]]  # steps that each head looks back
RIGHT = [1.0, 1.0, 0.0, np.nan]  # whether it recalls what it can


def observe(params, inputs):
    """A layer of gates that keep the same share at every step, and two heads that look back a known
    number of steps."""
    batch, steps, _ = inputs.shape
    still = jnp.broadcast_to(jnp.asarray(params["keep"]), (batch, steps, 2))
    seen = jnp.maximum(jnp.arange(steps)[None] - jnp.asarray(params["back"])[:, None], 0)  # [N, T]
    weights = jnp.broadcast_to(jax.nn.one_hot(seen, steps), (batch, 2, steps, steps))
    gates = LSTMGates(still / 2, still, still, still / 4)
    return inputs, Observations({"lstm": gates}, {"attention": weights}, {"lstm": still})


def apply_cut(params, inputs, cut):
    """Knows the blanks. Recalls all symbols; with recurrence cut none, and with attention cut the
    first five: of the others it knows that they are no blanks. With both cut it answers blanks."""
    sure = 40.0
    known = ~cut.resets.any() & (cut.mask.all() | (jnp.arange(10) < 5))
    any_symbol = jnp.where(jnp.arange(9) > 0, sure, 0.0)
    right = sure * inputs[:, :10, :9]
    answers = jnp.where(known[:, None] & (params["right"] > 0), right, any_symbol)
    both = cut.resets.any() & ~cut.mask.all()
    answers = jnp.where(both, jnp.where(jnp.arange(9) > 0, 0.0, sure), answers)
    blanks = jnp.zeros((*inputs.shape[:2], 9)).at[..., 0].set(sure)
    return blanks.at[:, -10:].set(answers) + 0 * params["right"]


HAND_MADE = Model(
    lambda key: {"keep": jnp.zeros(2), "back": jnp.zeros(2, int), "right": jnp.zeros(())},
    lambda params, inputs: inputs,
    observe=observe,
    apply_cut=apply_cut,
)


def stacked(keep):
    return {
        "keep": np.broadcast_to(np.array(keep, np.float32), (4, 2)),
        "back": np.array(BACK),
        "right": np.array(RIGHT, np.float32),
    }


@pytest.fixture(scope="module")
def by_hand():
    """`look_inside` on the hand-made model, whose second trial is shown."""
    return look_inside(HAND_MADE, TASK, stacked(KEEP["before"]), stacked(KEEP["after"]), 1)


def test_gates_and_heads_are_those_of_a_hand_made_model(by_hand):
    """Closed form: 1 / (1 - f) steps of each unit, and heads that look back 1 to 13 steps. Catches
    before and after exchanged, a mean for a median, units or heads of trials mixed up, rows of the
    sample in another order than their time scales, another trial shown, and a diverged trial that
    ends the study."""
    (gates,) = by_hand["gates"]
    scales = 1 / (1 - np.array(KEEP["after"][:3]))
    after, before = gates["after"], gates["before"]
    np.testing.assert_allclose(after["slowest_unit"]["values"][:3], scales.max(1), rtol=1e-3)
    np.testing.assert_allclose(after["median_unit"]["values"][:3], scales.mean(1), rtol=1e-3)
    assert after["slowest_unit"]["values"][3] is None
    assert after["slowest_unit"]["trials"] == 3
    assert after["slowest_unit"]["median"] == pytest.approx(10, rel=1e-3)
    assert before["slowest_unit"]["values"] == [2.0] * 4
    assert (sum(before["counts"]), sum(after["counts"])) == (8, 6)
    # Two units: 80 % is the faster one. The input gate is half of it, the output gate a quarter.
    assert {name: [set(row.split()) for row in rows] for name, rows in gates["sample"].items()} == {
        "input i": [{"40"}, {"50"}], "forget f": [{"80"}, {"99"}], "output o": [{"20"}, {"25"}],
    }  # fmt: skip
    near, far = by_hand["attention"][0]["heads"]
    assert near["after"]["values"] == [1, 5, 2, 4]
    assert far["before"]["values"] == [3, 13, 7, 4]
    for head, back in ((near, 5), (far, 13)):
        weights = from_percent(head["map"])
        assert weights.shape == (LENGTH, LENGTH)
        assert weights.argmax(1).tolist() == [max(step - back, 0) for step in range(LENGTH)]
    assert (by_hand["due_distance"], by_hand["crossing"]) == (13, 12)


def test_a_cut_changes_what_each_trial_remembers(by_hand):
    """Closed form. The loss of guessing k of the ten symbols is k ln 8 / T, so the share remembered
    is 1 - k / 10: 1, .5 with attention cut, 0 with recurrence cut; of the third trial 0 whatever is
    cut; and 0 with both cut, which costs more than a guess. Catches a change of the wrong sign or against another cut, a loss that is not divided by the
    baseline, less than nothing remembered, cuts or trials exchanged, and a diverged trial counted as one that forgets."""
    cuts = {cut["cut"]: cut for cut in by_hand["cuts"]}
    shares = {"nothing": 1, "attention": 0.5, "recurrence": 0, "both": 0}
    assert list(cuts) == [
        "nothing", "recurrence, always", "attention, always", "both, always",
        "recurrence, once", "attention, once", "both, once",
    ]  # fmt: skip
    for name, cut in cuts.items():
        share = shares[name.split(",")[0]]
        assert cut["share_remembered"]["values"] == [share, share, 0, None]
        if name == "nothing":
            assert cut["change"] is None
            assert cut["accuracy"]["values"][:2] == [1, 1]
            continue
        assert cut["change"]["share_remembered"]["values"] == [share - 1, share - 1, 0, None]
        assert cut["change"]["share_remembered"]["median"] == share - 1
        change, accuracy = cut["change"]["accuracy"]["values"], cut["accuracy"]["values"]
        np.testing.assert_allclose(change[0], accuracy[0] - 1, atol=1e-4)
        by_position = np.array(cut["by_position"])
        assert by_position.shape == (10, 4)
        assert (by_position[:5, 0] == 1).all() == (name.split(",")[0] == "attention")
        assert (by_position[5:, 0] < 0.2).all()  # a guess: 1 of 8


def test_cuts_are_tested_by_the_sign_of_their_changes():
    """By hand. Of twelve trials all lose without attention, p = 2 / 2^12, and of eleven others four
    lose and four gain, three stay. Two tests: Holm's factors are 2 and 1. Catches a loss taken for a
    gain, trials without a change that count, diverged ones, p of each cell alone, and nothing cut
    among the cuts."""

    def cut(name, changes):
        values = None if changes is None else {"share_remembered": {"values": changes}}
        return {"cut": name, "change": values}

    cells = [
        {"cell": "a", "model": "hybrid",
         "cuts": [cut("nothing", None), cut("attention, once", [-0.5, -0.001] * 6)]},
        {"cell": "b", "model": "lstm",
         "cuts": [cut("recurrence, always", [0.1, -0.1, 0.0] * 3 + [0.2, -0.2, None])]},
        {"cell": "c", "model": "gru", "cuts": [cut("recurrence, once", [None] * 12)]},
    ]  # fmt: skip
    lost, even = compare_cuts(cells)
    assert (lost["cell"], lost["cut"]) == ("a", "attention, once")
    assert (lost["first_ahead"], lost["second_ahead"], lost["pairs"]) == (12, 0, 12)
    assert lost["p"] == pytest.approx(2 * 2 / 2**12)
    assert lost["verdict"].startswith(
        "hybrid remembers a larger share than hybrid with attention cut once: 12 to 0 of 12 pairs"
    )
    assert (even["cell"], even["first_ahead"], even["second_ahead"]) == ("b", 4, 4)
    assert (even["pairs"], even["p"], even["verdict"]) == (11, 1.0, None)


def test_the_trial_that_is_shown_remembers():
    """By hand. Catches the first trial shown, whether or not it remembers, and a diverged one."""

    def record(*trials):
        keys = ("steps_to_remember", "share_remembered")
        return {"per_trial": [dict(zip(keys, trial, strict=True)) for trial in trials]}

    assert _shown(record((None, 0.9), (300, 0.96), (100, 0.99))) == 1
    assert _shown(record((None, None), (None, 0.2))) == 1
    assert _shown(record((None, None), (None, None))) == 0


def test_several_rates_want_tuning(tmp_path):
    """Catches trials of all rates measured as one sample."""
    config = dataclasses.replace(CONFIG, tuning=TuningConfig(seeds=0))
    with pytest.raises(UsageError, match=r"^tuning.seeds: expected at least 1 to choose a rate"):
        do_study(STUDY, config, tmp_path / "run")


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    return do_study(STUDY, CONFIG, tmp_path_factory.mktemp("runs") / "a")


@pytest.mark.full
def test_the_study_finds_what_the_functions_give(looked_at):
    """Oracle: `look_at_trials` on the run's own parameters. Catches before and after exchanged,
    trials mixed up, a head without its trials, tuning seeds among the trials."""
    folder, out = looked_at
    gru, hybrid = folder.study("inside")["cells"]
    assert [cut["cut"] for cut in gru["cuts"]] == [
        "nothing", "recurrence, always", "recurrence, once"
    ]  # fmt: skip
    assert len(hybrid["cuts"]) == 7
    assert [trial["seed"] for trial in gru["per_trial"]] == [0, 1]
    assert len({trial["learning_rate"] for trial in hybrid["per_trial"]}) == 1
    assert len(folder.study("inside")["tests"]) == 2 + 6
    assert {cell["cell"] for cell in folder.study("tuning")["cells"]} == {
        "copy-1-gru", "copy-1-lstm_attention",
    }  # fmt: skip
    cell = trained.load(folder.path, "copy-1-lstm_attention")
    key = jax.random.key(TEST_SEED)
    seen = look_at_trials(cell.model, cell.task, cell.params, key, LOOKED_AT)
    slowest = [trial.time_scales["lstm"].max() for trial in seen]
    after = hybrid["gates"][0]["after"]
    np.testing.assert_allclose(after["slowest_unit"]["values"], slowest, atol=1e-3)
    assert sum(after["counts"]) == 2 * len(seen[0].time_scales["lstm"])
    distances = np.sort([trial.distances["attention"] for trial in seen], axis=1)
    for place, head in enumerate(hybrid["attention"][0]["heads"]):
        np.testing.assert_allclose(head["after"]["values"], distances[:, place], atol=1e-3)
        assert head["before"]["trials"] == 2
    assert f"report: {folder.path}/report.html" in out.replace("\n", "")
    assert "Inside the models: copy, T = 1" in (folder.path / "report.html").read_text()


@pytest.mark.full
def test_what_was_looked_at_is_not_looked_at_again(looked_at, monkeypatch):
    """Catches a rerun that trains or looks again, and a cell with new trials that is not looked at
    again."""
    folder, _ = looked_at
    found = folder.study("inside")
    before = json.dumps(found)
    found["cells"][-1]["trials"] = 1
    folder.write_study("inside", found)
    do_study(STUDY, CONFIG, folder.path)
    assert json.dumps(folder.study("inside")) == before
    monkeypatch.setattr(importlib.import_module("lstm_attn.studies.inside"), "look_inside", None)
    _, out = do_study(STUDY, CONFIG, folder.path)
    assert "0 of 2 cells to train" in out
    assert json.dumps(folder.study("inside")) == before


def test_a_model_with_nothing_to_look_at_is_refused_before_it_is_trained(tmp_path):
    """Catches a study that ends in an error after an hour."""
    config = dataclasses.replace(CONFIG, models=("attention_pooling",))
    message = r"^models: expected ones with modules.Recurrent, .*, got 'attention_pooling'$"
    with pytest.raises(ValueError, match=message):
        do_study(STUDY, config, tmp_path / "run")


class Elman(modules.Recurrent):
    """h' = tanh(x W + h U), without gates."""

    def parameters(self, features_in):
        shape = (features_in + self.features, self.features)
        return self.param("kernel", nn.initializers.glorot_uniform(), shape, self.param_dtype)

    def step(self, params, carry, x):
        h = jnp.tanh(jnp.concatenate([x, carry], axis=-1) @ params)
        return h, None


@pytest.mark.full
def test_a_recurrent_model_without_gates_is_cut(tmp_path, monkeypatch):
    """Oracle: the protocol, by which every `Recurrent` can be cut. Catches a study or a page that
    requires gates."""
    monkeypatch.setitem(models.MODELS, "elman", lambda features, config: Elman(features))
    config = dataclasses.replace(CONFIG, models=("elman",))
    folder, out = do_study(STUDY, config, tmp_path / "run")
    (cell,) = folder.study("inside")["cells"]
    assert [cut["cut"] for cut in cell["cuts"]] == [
        "nothing", "recurrence, always", "recurrence, once"
    ]  # fmt: skip
    assert cell["gates"] == cell["attention"] == []
    assert "elman" in out
    assert "recurrence, once" in (folder.path / "report.html").read_text()


def test_a_matrix_in_percent_comes_back():
    """Oracle: rounding. Catches rows and columns exchanged on the way to the report."""
    shares = np.random.default_rng(0).random((3, 4))
    np.testing.assert_allclose(from_percent(in_percent(shares)), shares, atol=0.00501)
