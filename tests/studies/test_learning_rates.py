"""The study of learning rates: its checks, and the whole study on trials with known results."""

import dataclasses
import re

import pytest

from lstm_attn.models import ModelConfig
from lstm_attn.runner.configs import OneTaskConfig
from lstm_attn.studies.learning_rates import STUDY, LearningRatesConfig, cells, findings
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study, record_of

CONFIG = LearningRatesConfig(
    ("gru", "lstm"),
    OneTaskConfig("adding", 4),
    ModelConfig(features=4),
    TrainingConfig(
        steps=4, evaluate_every=2, warmup_steps=1, seeds=2, learning_rates=(0.1, 0.001),
        evaluation_sequences=20,
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ()}, "models: expected at least one, got none"),
        ({"models": ("lstm", "lstm")}, "models: 'lstm' is given twice"),
        ({"models": ("lsmt",)}, "unknown model 'lsmt': did you mean lstm"),
        (
            {"task": OneTaskConfig("adding", 1)},
            "adding: length: expected at least 2, got 1",
        ),
        ({"training": TrainingConfig()}, "training.learning_rates: expected at least two"),
    ],
)
def test_a_config_that_does_not_fit_is_one_line(changes, message):
    """Catches a study that trains although it has nothing to show."""
    with pytest.raises(ValueError, match=message) as caught:
        dataclasses.replace(CONFIG, **changes)
    assert "\n" not in str(caught.value)


def test_every_rate_of_a_model_is_its_own(tmp_path, make_records):
    """Oracle: by hand; trials are all seeds of the first rate, .1, and then of .001. Catches
    results under another model's name, and rates exchanged."""
    make_records({"adding-4-gru": [2, 4, None, None], "adding-4-lstm": [None, None, 3, None]})
    folder, out = do_study(STUDY, CONFIG, tmp_path / "run")
    found = folder.study("learning_rates")
    remember = {
        model["model"]: {one["learning_rate"]: one["remembers"] for one in model["rates"]}
        for model in found["models"]
    }
    assert remember == {"gru": {0.001: 0, 0.1: 2}, "lstm": {0.001: 1, 0.1: 0}}
    assert re.search(r"0\.1 +2/2 +\S+ +0/2", out)
    assert f"report: {folder.path}/report.html" in out
    assert "Learning rates: adding, T = 4" in (folder.path / "report.html").read_text()


@pytest.mark.parametrize("changes", [{"learning_rates": (0.01, 0.2)}, {"steps": 8}])
def test_a_folder_takes_other_rates_and_steps(tmp_path, make_records, changes):
    """Oracle: by hand. Catches records looked up by the names of the config, although the new cells
    have other names in the folder."""
    make_records({"adding-4-gru": [None] * 4, "adding-4-lstm": [None] * 4})
    do_study(STUDY, CONFIG, tmp_path / "run")
    make_records({"adding-4-gru": [1, 1, None, None], "adding-4-lstm": [None, None, 1, None]})
    training = dataclasses.replace(CONFIG.training, **changes)
    folder, _ = do_study(STUDY, dataclasses.replace(CONFIG, training=training), tmp_path / "run")
    assert len(folder.results) == 4
    gru, lstm = folder.study("learning_rates")["models"]
    assert [sorted(one["remembers"] for one in model["rates"]) for model in (gru, lstm)] == [
        [0, 2], [0, 1]
    ]  # fmt: skip
    assert gru["cell"].startswith("adding-4-gru+")


def test_rates_that_another_call_has_trained_are_left_out():
    """Oracle: by hand. Catches a table of one model's three rates and the other's two."""
    first, second = cells(CONFIG)
    more = dataclasses.replace(CONFIG.training, learning_rates=(0.1, 0.01, 0.001))
    records = [
        record_of(dataclasses.replace(first, training=more), [1, 1, 2, 2, 3, 3]),
        record_of(second, [1, 1, 3, 3]),
    ]
    for model in findings(CONFIG, records)["models"]:
        assert {one["learning_rate"]: one["trials"] for one in model["rates"]} == {
            0.1: 2,
            0.001: 2,
        }
