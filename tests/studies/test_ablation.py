"""The columns of an ablation, and the whole study on trials with known results."""

import dataclasses
import re

import pytest

from lstm_attn import studies
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner.configs import OneTaskConfig
from lstm_attn.studies.ablation import STUDY, AblationConfig, columns, findings
from lstm_attn.studies.study import Study
from lstm_attn.training import TrainingConfig
from tests.study_fixtures import do_study, record_of

CONFIG = AblationConfig(
    "lstm",
    OneTaskConfig("adding", 4),
    ModelConfig(features=4),
    TrainingConfig(steps=4, evaluate_every=2, warmup_steps=1, seeds=6, evaluation_sequences=20),
    (("model.forget_bias", 0), ("training.learning_rates", [0.003])),
)


def with_changes(*changes, **others):
    return dataclasses.replace(CONFIG, changes=changes, **others)


def test_a_column_changes_its_key_and_nothing_else():
    """Oracle: the reference's settings with one field replaced by hand. Catches a change that is
    lost, one that reaches the next column, and a column with seeds of its own."""
    reference, bias, rate = (column.cell for column in columns(CONFIG))
    assert (reference.model, reference.training) == (CONFIG.model, CONFIG.training)
    assert bias.model == dataclasses.replace(CONFIG.model, forget_bias=0.0)
    assert bias.training == CONFIG.training
    assert rate.model == CONFIG.model
    assert rate.training == dataclasses.replace(CONFIG.training, learning_rates=(0.003,))
    names = [column.name for column in columns(CONFIG)]
    assert names == ["reference", "model.forget_bias = 0", "training.learning_rates = 0.003"]


def test_every_cell_has_a_name_that_a_file_can_have():
    """Catches two columns in one checkpoint, and a name that leads out of the folder."""
    config = with_changes(
        ("model.chrono_steps", (2.0, 50.0)), ("model.forget_bias", -1.0), ("model.forget_bias", 3)
    )
    names = [column.cell.name for column in columns(config)]
    assert names[0] == "adding-4-lstm"
    assert names[1] == "adding-4-lstm-model.chrono_steps-2-to-50"
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"[\w.+-]+", name) for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((), "changes: expected at least one, got none"),
        (
            (("model.forget_bais", 0.0),),
            "unknown key in changes 'model.forget_bais': did you mean model.forget_bias",
        ),
        (
            (("forget_bias", 0.0),),
            "unknown key in changes 'forget_bias': did you mean model.forget_bias",
        ),
        ((("training.seeds", 4),), "unknown key in changes 'training.seeds'"),
        (
            (("model.forget_bias", "big"),),
            "changes: config: model.forget_bias: expected a number, got 'big'",
        ),
        ((("model.features", 0),), "changes: model.features: expected at least 1, got 0"),
        (
            (("training.evaluate_every", 3),),
            "changes: training.evaluate_every: expected a divisor of steps=4, got 3",
        ),
        (
            (("training.learning_rates", (0.1, 0.2)),),
            "changes: training.learning_rates: expected one learning rate",
        ),
        (
            (("model.forget_bias", 1),),
            "changes: model.forget_bias = 1 is what the reference has already",
        ),
        (
            (("model.forget_bias", 0), ("model.forget_bias", 0.0)),
            "changes: model.forget_bias = 0 is given twice",
        ),
    ],
)
def test_a_change_that_does_not_fit_is_one_line(changes, message):
    """Catches a column that trains for nothing, and an error that does not name its key."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        with_changes(*changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model_name", "acts", "does_not"),
    [
        ("lstm", ("model.chrono_steps", (2.0, 4.0)), ("model.positions", "rotary")),
        ("transformer", ("model.positions", "rotary"), ("model.forget_bias", 0.0)),
        ("gru", ("model.reset_after", False), ("model.forget_bias", 0.0)),
        ("lstm_attention", ("model.attention_placement", "alternating"), ("model.dropout", 0.1)),
        ("attention_pooling", ("model.features", 8), ("model.chrono_steps", (2.0, 4.0))),
    ],
)
def test_a_change_acts_on_the_model(model_name, acts, does_not):
    """Oracle: what ModelConfig says of each key. Catches a column that only repeats the reference,
    so that their difference is "within noise"."""
    with_changes(acts, model_name=model_name)
    with pytest.raises(ValueError, match=f"^changes: {does_not[0]} does not act on {model_name}$"):
        with_changes(does_not, model_name=model_name)


def test_the_reference_has_one_learning_rate():
    """Catches pairs of trials at different rates."""
    training = dataclasses.replace(CONFIG.training, learning_rates=(0.1, 0.2))
    with pytest.raises(ValueError, match="training: expected one learning rate"):
        with_changes(*CONFIG.changes, training=training)
    with pytest.raises(ValueError, match="unknown model 'lsmt'"):
        with_changes(*CONFIG.changes, model_name="lsmt")


def test_the_study_compares_each_column_with_the_reference(tmp_path, make_records):
    """Oracle: by hand. Without forget bias two seeds fewer remember, two steps later; the lower rate
    remembers as the reference does. Catches columns exchanged, a reference compared with itself,
    first minus second, p without Holm, and a sentence on six pairs."""
    make_records(
        {
            "adding-4-lstm": [1, 1, 1, 1, 1, None],
            "adding-4-lstm-model.forget_bias-0": [3, None, 3, None, 3, None],
            "adding-4-lstm-training.learning_rates-0.003": [1, 1, 1, 1, 1, None],
        },
    )
    folder, out = do_study(STUDY, CONFIG, tmp_path / "run")
    found = folder.study("ablation")
    assert (found["model"], found["task"], found["length"], found["budget"]) == (
        "lstm",
        "adding",
        4,
        4,
    )
    reference, bias, rate = found["columns"]
    assert reference["to_reference"] is None
    assert (reference["remembers"], bias["remembers"], rate["remembers"]) == (5, 3, 5)
    assert bias["to_reference"]["remember_rate"]["value"] == pytest.approx(-2 / 6)
    assert bias["to_reference"]["steps"]["value"] == 2
    assert bias["to_reference"]["paired"]
    assert not bias["to_reference"]["steps"]["within_noise"]
    assert rate["to_reference"]["remember_rate"]["value"] == 0
    assert rate["to_reference"]["steps"]["within_noise"]
    assert reference["tests"] == []
    # Four tests. Two seeds alone with the reference: p = 2 / 4. Five of five sooner with it: 2 / 32.
    assert [test["p"] for test in bias["tests"]] == [1.0, pytest.approx(4 * 2 / 32)]
    assert [test["p"] for test in rate["tests"]] == [1.0, 1.0]
    assert not any(test["verdict"] for column in found["columns"] for test in column["tests"])
    assert re.search(r"model\.forget_bias = 0 +3/6 +1\.000 .* 0\.250", out)
    assert f"report: {folder.path}/report.html" in out
    html = (folder.path / "report.html").read_text()
    assert "Ablation: lstm on adding, T = 4" in html
    assert sorted(path.name for path in folder.path.glob("*.png")) == [
        "ablation-remember.png", "ablation-steps.png"
    ]  # fmt: skip


def test_a_longer_column_is_measured_within_the_budget_of_the_reference():
    """Oracle: by hand; a column of 8 steps, a reference of 4. Catches steps of trials that
    the same row does not count among those that remember."""
    config = with_changes(("training.steps", 8))
    reference, longer = (column.cell for column in columns(config))
    ends = {reference: [4] * 6, longer: [2, 4, 6, 8, 8, None]}
    records = [record_of(cell, ends[cell]) for cell in (reference, longer)]
    column = findings(config, records)["columns"][1]
    assert column["remembers"] == 2
    assert column["mean_steps_to_remember"] == pytest.approx((2 + 5 * 4) / 6)


def test_twelve_pairs_allow_a_sentence():
    """Oracle: by hand; eleven of twelve seeds remember with the reference alone, p = 2 / 2^11, times
    four tests. Catches the models exchanged, and a sentence with the unadjusted p."""
    training = dataclasses.replace(CONFIG.training, seeds=12)
    config = dataclasses.replace(CONFIG, training=training)
    ends = [[2] * 12, [None] * 11 + [2], [2] * 12]
    cells = [column.cell for column in columns(config)]
    records = [record_of(cell, some) for cell, some in zip(cells, ends, strict=True)]
    _, bias, rate = findings(config, records)["columns"]
    assert [test["p"] for test in bias["tests"]] == pytest.approx([4 / 1024, 4 / 1024])
    assert bias["tests"][0]["verdict"] == (
        "reference remembers on more seeds than model.forget_bias = 0: 11 to 0 of 12 pairs "
        "(p = 0.00391 after Holm)"
    )
    assert [test["verdict"] for test in rate["tests"]] == [None, None]


def test_a_folder_takes_other_steps(tmp_path, make_records):
    """Oracle: by hand. Catches records looked up by the names of the config, although the new cells
    have other names in the folder."""
    names = [column.cell.name for column in columns(CONFIG)]
    make_records(dict.fromkeys(names, [None] * 6))
    do_study(STUDY, CONFIG, tmp_path / "run")
    make_records(dict(zip(names, ([6] * 6, [7] * 3 + [None] * 3, [None] * 6), strict=True)))
    longer = dataclasses.replace(CONFIG, training=dataclasses.replace(CONFIG.training, steps=8))
    folder, _ = do_study(STUDY, longer, tmp_path / "run")
    measured = folder.study("ablation")["columns"]
    assert [column["remembers"] for column in measured] == [6, 3, 0]
    assert all(
        column["cell"].startswith(f"{name}+") for column, name in zip(measured, names, strict=True)
    )


@pytest.mark.parametrize(
    "typed",
    [
        {"model.forget_bias": 0.0},
        ("model.forget_bias", 0.0),
        ["model.forget_bias", 0.0],
        [("model.forget_bias", 0.0)],
    ],
)
def test_changes_are_what_one_types(typed, monkeypatch):
    """Oracle: the pair, by hand. Catches a dict or a single pair split into letters."""
    monkeypatch.setattr(
        Study, "call", lambda self, _, fields, settings: self.configure(fields, settings)
    )
    assert studies.ablation("lstm", "adding", 4, typed).changes == (("model.forget_bias", 0.0),)


@pytest.mark.parametrize("typed", [["model.forget_bias"], "model.forget_bias", 3])
def test_changes_that_are_no_pairs_are_one_line(typed):
    """Catches a traceback, and a name split into letters."""
    message = r"changes: expected \(key, value\) pairs or a dict, .* got (3|'model.forget_bias')$"
    with pytest.raises(UsageError, match=message):
        studies.ablation("lstm", "adding", 4, typed)
