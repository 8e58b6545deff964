"""Tuning: what is chosen, on which seeds, and how the grid of rates grows."""

import dataclasses
import io
import math

import pytest
from rich.console import Console

from lstm_attn import studies, tasks
from lstm_attn.errors import UsageError
from lstm_attn.models import ModelConfig
from lstm_attn.runner import tune, tuning_config, tuning_notes
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import RunFolder
from lstm_attn.training import TrainingConfig


def cell_of(model="lstm", rates=(1e-3, 1e-2, 1e-1), length=6):
    return Cell(
        f"adding-{length}-{model}",
        model,
        tasks.adding(length),
        ModelConfig(features=4, num_layers=1),
        TrainingConfig(steps=40, seeds=8, learning_rates=rates, stop_when_solved=True),
    )


def record_of(losses, steps=40, whole=None):
    """A record of one seed a rate, or of several: rate -> losses, None where a trial diverged."""
    return {
        "baseline": 2.0,
        "steps": steps,
        "trials": sum(map(len, losses.values())),
        "seconds": 1.0,
        "per_trial": [
            {"learning_rate": rate, "final_loss": loss, "steps": (whole or {}).get(rate, steps)}
            for rate, several in losses.items()
            for loss in several
        ],
    }


def test_the_rate_with_the_lowest_median_is_best_and_divergence_is_worst():
    """Closed form: medians of log(loss / baseline). Catches a mean, and a diverged trial that is
    left out."""
    tried = tune.tried("", record_of({0.1: [0.02, None], 0.01: [0.2, 0.02], 0.001: [1.0, 2.0]}))
    medians = {one.learning_rate: one.log_forgotten for one in tried}
    assert medians[0.1] == math.inf
    assert medians[0.01] == pytest.approx((math.log(0.1) + math.log(0.01)) / 2)
    assert medians[0.001] == pytest.approx(math.log(0.5) / 2)
    assert tune._ranked(tried)[0].learning_rate == 0.01


def test_a_rate_that_ended_early_is_worse_than_any_that_did_not():
    """By the definition. Catches a loss at a quarter of the steps that is compared with one at the
    end."""
    record = record_of({0.1: [0.01], 0.01: [0.5]}, whole={0.1: 10})
    assert tune._ranked(tune.tried("", record))[0].learning_rate == 0.01


@pytest.mark.parametrize(
    ("best", "rates", "more"),
    [
        (0.1, (0.01, 0.1), 0.3),
        (0.3, (0.01, 0.1, 0.3), 1.0),
        (0.001, (0.001, 0.003), 0.0003),
        (0.0003, (0.0003, 0.001), 0.0001),
        (0.01, (0.003, 0.01, 0.03), None),
        (10.0, (1.0, 10.0), None),
        (0.02, (0.002, 0.02), 0.06),
    ],
)
def test_the_grid_grows_on_the_side_of_the_best_rate(best, rates, more):
    """By hand. Catches growth at the other edge, beyond sense, or with the best inside."""
    found = tune._beyond(best, rates)
    assert found is None if more is None else 0.5 < found / more < 2


def test_a_single_rate_and_no_seeds_are_not_tuned():
    assert not tuning_config.is_tuned(cell_of(rates=(0.01,)), TuningConfig())
    assert not tuning_config.is_tuned(cell_of(), TuningConfig(seeds=0))
    assert tuning_config.is_tuned(cell_of(rates=(0.01,)), TuningConfig(gate_bias=True))
    assert tuning_config.is_tuned(cell_of(), TuningConfig())


def test_each_model_has_its_own_choices():
    """By the definition: bias 1 or chrono for gates, positions for the Transformer, as many of each.
    Catches a key that acts on no part of the model."""
    config = TuningConfig(gate_bias=True, positions=("sinusoidal", "rotary"))
    gates = tuning_config.choices(cell_of("gru", length=30), config)
    assert {name: model.chrono_steps for name, model in gates.items()} == {
        "bias_1": (),
        "chrono": (2.0, 30),
    }
    assert gates["bias_1"].update_bias == 1.0
    positions = tuning_config.choices(cell_of("transformer"), config)
    assert [model.positions for model in positions.values()] == ["sinusoidal", "rotary"]
    assert list(tuning_config.choices(cell_of("attention_pooling"), config)) == [""]


def test_tuning_seeds_are_no_test_seeds():
    """Catches a test on the seeds that a rate was chosen by."""
    with pytest.raises(UsageError, match="tuning.first_seed: expected seeds that no test has"):
        studies.compare("gru", "adding", 5, steps=4, seeds=200)


@pytest.fixture
def tuned_by(monkeypatch, tmp_path):
    """tuned_by(loss, cells, config): tunes with known losses in place of training.

    loss: function of (cell, learning rate); None for a diverged trial.

    Returns:
      The cells as they are tested, what tuning.json notes, and (name, rates) of each cell trained.
    """

    def run(loss, cells, config):
        asked = []

        def train(session, some):
            asked.extend((cell.name, cell.training.learning_rates) for cell in some)
            return list(some)

        def record(session, cell):
            rates = cell.training.learning_rates
            losses = {rate: [loss(cell, rate)] * cell.training.seeds for rate in rates}
            return record_of(losses, cell.training.steps)

        monkeypatch.setattr(Session, "train", train)
        monkeypatch.setattr(Session, "record", record)
        folder = RunFolder.open(tmp_path / "run", {})
        tested = tune.tune(cells, config, Session(folder, Console(file=io.StringIO())))
        return tested, folder.study("tuning"), asked

    return run


def far_from(best):
    """A loss that grows with the distance from the best rate."""
    return lambda cell, rate: 0.01 * 10 ** abs(math.log10(rate / best))


def test_a_longer_cell_tries_the_best_two_rates_of_the_shorter_one(tuned_by):
    """By hand. At T = 6 the order is .03, .01, .1, .001. At 12 .01 and .03 are tried, and since the
    better one is at an edge, whichever it is, .1 too. Catches all rates tried again, the two best by
    number, lengths tuned at once or in the order given, and another model's rates."""
    cells = [cell_of(length=12), cell_of(length=6), cell_of("gru", length=6)]
    rates = (1e-3, 1e-2, 3e-2, 1e-1)
    cells = [
        dataclasses.replace(cell, training=dataclasses.replace(cell.training, learning_rates=rates))
        for cell in cells
    ]

    def loss(cell, rate):
        return far_from(0.027 if cell.model_name == "lstm" else 0.01)(cell, rate)

    tested, noted, asked = tuned_by(loss, cells, TuningConfig(carry=True))
    assert asked == [
        ("adding-6-lstm", rates),
        ("adding-6-gru", rates),
        ("adding-12-lstm", (0.01, 0.03)),
        ("adding-12-lstm", (0.01, 0.03, 0.1)),
    ]
    assert [cell.training.learning_rates for cell in tested] == [(0.03,), (0.03,), (0.01,)]
    assert [cell.name for cell in tested] == [cell.name for cell in cells]
    costs = {cell["cell"]: cell["trials"] for cell in noted["cells"]}
    assert costs == {"adding-6-lstm": 8, "adding-6-gru": 8, "adding-12-lstm": 6}


def test_rates_are_carried_within_one_scheme_and_range(tuned_by):
    """By hand. With rotary positions .03 and .1 are the best at T = 8, without .001 and .003; on 2 to
    8 the other way round. Catches rates carried from another scheme, from T alone, or from a range
    that is not the same one but for rounding: 3 to 12 is 2 to 8, but not 6 to 8."""
    rates = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)

    def best(cell):
        if cell.task.shortest == 6:
            return 0.01
        is_alone = cell.task.shortest == cell.task.length
        return 0.03 if (cell.model.positions == "rotary") == is_alone else 0.001

    cells = [
        dataclasses.replace(
            cell_of("transformer", rates, length),
            name=f"{shortest}to{length}-{positions}",
            task=tasks.build("adding", length, shortest=shortest),
            model=ModelConfig(features=4, num_layers=1, positions=positions),
        )
        for length, shortest in ((12, 12), (12, 3), (8, 8), (8, 6), (8, 2))
        for positions in ("none", "rotary")
    ]
    _, noted, asked = tuned_by(
        lambda cell, rate: far_from(1.1 * best(cell))(cell, rate), cells, TuningConfig(carry=True)
    )
    first = dict(reversed([(name, tried) for name, tried in asked if "12-" in name]))
    assert first == {
        "12to12-none": (1e-3, 3e-3), "12to12-rotary": (3e-2, 1e-1),
        "3to12-none": (3e-2, 1e-1), "3to12-rotary": (1e-3, 3e-3),
    }  # fmt: skip
    assert len(noted["cells"]) == len(cells)


def test_a_record_is_found_by_what_its_cell_is(tuned_by, tmp_path):
    """By hand: two cells of one name that differ in their positions, tuned one after the other, as a
    command with other positions does. Catches the record of the cell that had the name last, one
    that is replaced by it, one that stays beside its newer self, and that of a range."""
    plain = cell_of("transformer")
    rotary = dataclasses.replace(plain, model=dataclasses.replace(plain.model, positions="rotary"))
    over_range = dataclasses.replace(plain, task=tasks.build("adding", 6, shortest=3))
    for cell, rate in ((plain, 0.01), (rotary, 0.001), (rotary, 0.1)):
        _, noted, _ = tuned_by(far_from(rate), [cell], TuningConfig(halving=False))
    folder = RunFolder(tmp_path / "run")
    assert len(noted["cells"]) == 2
    assert tuning_notes.record_of(plain, folder)["learning_rate"] == 0.01
    assert tuning_notes.record_of(rotary, folder)["learning_rate"] == 0.1
    assert tuning_notes.record_of(over_range, folder) is None


def test_the_choice_is_carried_with_the_rates(tuned_by):
    """By hand: chrono is better at T = 6. Catches bias 1 tried again at 12, and chrono's range of
    the shorter length."""
    models = {}

    def loss(cell, rate):
        models[cell.name] = cell.model
        worse = 1 if cell.model.chrono_steps else 5
        return worse * far_from(0.01)(cell, rate)

    cells = [cell_of(length=6), cell_of(length=12)]
    tested, noted, asked = tuned_by(loss, cells, TuningConfig(carry=True, gate_bias=True))
    names = [name for name, _ in asked]
    assert names[:2] == ["adding-6-lstm-bias_1", "adding-6-lstm-chrono"]
    assert set(names[2:]) == {"adding-12-lstm-chrono"}
    assert models["adding-12-lstm-chrono"].chrono_steps == (2.0, 12)
    assert [cell.model.chrono_steps for cell in tested] == [(2.0, 6), (2.0, 12)]
    assert [cell["choice"] for cell in noted["cells"]] == ["chrono", "chrono"]


def test_one_step_has_no_bias_to_tune(tuned_by):
    """By the definition. Catches a traceback where the shorter cell had no choice."""
    cells = [
        dataclasses.replace(cell_of(), name=f"copy-{delay}-lstm", task=tasks.copy(delay))
        for delay in (1, 10)
    ]
    _, _, asked = tuned_by(far_from(0.01), cells, TuningConfig(carry=True, gate_bias=True))
    assert {name for name, _ in asked} >= {"copy-10-lstm-bias_1", "copy-10-lstm-chrono"}


def test_each_choice_has_a_grid_of_its_own_and_the_best_of_all_is_tested(tuned_by):
    """By hand: with bias 1 the best rate is inside, with chrono it is .1 at the edge, then .3. Catches
    a grid that grows for both, one that stops at the edge, the best rate of the other choice, and a
    cost without the choice that lost."""

    def loss(cell, rate):
        return far_from(0.3 if cell.model.chrono_steps else 0.01)(cell, rate)

    (cell,) = cells = [cell_of("gru")]
    (tested,), noted, asked = tuned_by(loss, cells, TuningConfig(gate_bias=True, seeds=3))
    rates = cell.training.learning_rates
    assert asked == [
        ("adding-6-gru-bias_1", rates),
        ("adding-6-gru-chrono", rates),
        ("adding-6-gru-chrono", (*rates, 0.3)),
        ("adding-6-gru-chrono", (*rates, 0.3, 1.0)),
    ]
    # Equal losses at the two best: the first choice wins.
    assert (noted["cells"][0]["choice"], tested.training.learning_rates) == ("bias_1", (0.01,))
    assert (tested.name, tested.model.chrono_steps) == (cell.name, ())
    assert tested.training == dataclasses.replace(cell.training, learning_rates=(0.01,))
    assert noted["cells"][0]["trials"] == 3 * (3 + 5)
    assert noted["cells"][0]["steps"] == 3 * (3 + 5) * 40


def test_positions_are_chosen_for_the_transformer_alone(tuned_by):
    """By hand. Catches the default positions in the test, and an LSTM trained twice."""

    def loss(cell, rate):
        rotary = cell.model_name == "transformer" and cell.model.positions == "rotary"
        return (0.1 if rotary else 1) * far_from(0.01)(cell, rate)

    cells = [cell_of("lstm"), cell_of("transformer")]
    config = TuningConfig(positions=("sinusoidal", "rotary"))
    tested, _, asked = tuned_by(loss, cells, config)
    assert [name for name, _ in asked] == [
        "adding-6-lstm", "adding-6-transformer-sinusoidal", "adding-6-transformer-rotary",
    ]  # fmt: skip
    assert tested[1].model.positions == "rotary"
    assert tested[0].model == cells[0].model


def test_a_cell_of_one_rate_is_tested_as_it_is(tuned_by):
    """Catches a cell that is lost or tuned where there is nothing to choose."""
    cells = [cell_of("gru"), cell_of("lstm", rates=(0.3,))]
    tested, _, asked = tuned_by(far_from(0.01), cells, TuningConfig())
    assert [name for name, _ in asked] == ["adding-6-gru"]
    assert tested[1] == cells[1]
    assert tested[0].training.learning_rates == (0.01,)


def test_a_cell_that_always_diverges_has_no_window(tuned_by):
    """By the definition: the lowest rate within sense is taken. Catches a traceback, and a grid that
    grows without end."""
    (tested,), noted, asked = tuned_by(lambda cell, rate: None, [cell_of()], TuningConfig())
    assert noted["cells"][0]["window"] is None
    assert tested.training.learning_rates == (min(asked[-1][1]),) == (tune.SMALLEST,)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A study of one cell, small enough for a test."""
    place = tmp_path_factory.mktemp("tuned") / "run"
    arguments = {
        "models": "gru", "tasks": "adding", "lengths": 4, "workdir": place, "steps": 40, "seeds": 2,
        "features": 4, "learning_rates": (1e-4, 3e-2), "evaluation_sequences": 40,
        "confirmation_sequences": 80, "evaluate_every": 10, "warmup_steps": 2,
    }  # fmt: skip
    return place, arguments, studies.compare(**arguments)


@pytest.mark.usefixtures("compiled_quickly")
def test_the_chosen_rate_is_tested_on_other_seeds_and_the_trials_are_kept(tuned):
    """By the protocol. Catches a test at another rate than the best, a choice at an edge of the
    grid, and tuning trials that are lost or counted as tests."""
    place, _, result = tuned
    (record,) = result.records
    (noted,) = RunFolder(place).study("tuning")["cells"]
    (trained,) = RunFolder(place / "tuning").results
    assert [trial["seed"] for trial in record["per_trial"]] == [0, 1]
    assert {trial["learning_rate"] for trial in record["per_trial"]} == {noted["learning_rate"]}
    assert {trial["seed"] for trial in trained["per_trial"]} == {100, 101}
    rates = sorted({trial["learning_rate"] for trial in trained["per_trial"]})
    assert rates[0] < noted["learning_rate"] < rates[-1] or rates[-1] == 10.0
    medians = {one["learning_rate"]: one["log_forgotten"] for one in noted["tried"] if one["whole"]}
    assert min(medians, key=medians.get) == noted["learning_rate"]
    assert noted["trials"] == trained["trials"] == 2 * len(rates)


@pytest.mark.usefixtures("compiled_quickly")
def test_a_tuned_study_resumes_without_training(tuned, capsys):
    """Catches tuning that is done again, and a grid that begins at its first rates each time."""
    _, arguments, result = tuned
    again = studies.compare(**arguments)
    assert again.records == result.records
    assert "compiling" not in capsys.readouterr().out


@pytest.mark.usefixtures("compiled_quickly")
def test_the_worse_half_of_the_rates_ends_at_a_quarter(tuned):
    """By the definition, from the records. Catches rates that end by their number or too late."""
    place, _, _ = tuned
    (trained,) = RunFolder(place / "tuning").results
    first = [trial for trial in trained["per_trial"] if trial["learning_rate"] in (1e-4, 3e-2)]
    ended = {trial["learning_rate"]: trial["steps"] for trial in first}
    assert sorted(ended.values()) == [10, 40]
