"""The study of learning rates: its checks, and the whole on trials whose ends are known."""

import dataclasses
import re

import pytest

from lstm_attn.models import ModelConfig
from lstm_attn.runner.configs import OneTaskConfig
from lstm_attn.studies.learning_rates import STUDY, LearningRatesConfig
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study

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
    """Catches a study begun that has nothing to show."""
    with pytest.raises(ValueError, match=message) as caught:
        dataclasses.replace(CONFIG, **changes)
    assert "\n" not in str(caught.value)


def test_every_rate_of_a_model_is_its_own(tmp_path, make_records):
    """Oracle: by hand; trials are all seeds of the first rate, .1, and then of .001. Catches a
    model's findings under another's name, and rates exchanged."""
    make_records({"adding-4-gru": [2, 4, None, None], "adding-4-lstm": [None, None, 3, None]})
    folder, out = do_study(STUDY, CONFIG, tmp_path / "run")
    found = folder.study("learning_rates")
    solved = {
        model["model"]: {one["learning_rate"]: one["steps_to_solve"] for one in model["rates"]}
        for model in found["models"]
    }
    assert solved == {"gru": {0.001: [], 0.1: [2, 4]}, "lstm": {0.001: [3], 0.1: []}}
    assert re.search(r"0\.1 +2/2 +3 +0/2 +–", out)
    assert f"report: {folder.path}/report.html" in out
    assert "Learning rates: adding, T = 4" in (folder.path / "report.html").read_text()
