"""--dry_run: what it says of the cells, and that nothing is trained or written."""

import dataclasses
import io

import pytest
from rich.console import Console

from lstm_attn import tasks
from lstm_attn.errors import counted
from lstm_attn.models import ModelConfig
from lstm_attn.runner import dry_run
from lstm_attn.runner.cell import Cell
from lstm_attn.runner.session import Session
from lstm_attn.runner.tuning_config import TuningConfig
from lstm_attn.runs import RunFolder
from lstm_attn.studies.compare import STUDY as COMPARE
from lstm_attn.training import TrainingConfig
from tests.runner.door import knock
from tests.studies import tiny_text
from tests.studies.test_function import SMALL, SMALLEST
from tests.study_fixtures import study_of

# The warning is ml_collections' own: it loads config files in this way.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
FEW = TrainingConfig(steps=100, batch_size=10, seeds=4, learning_rates=(0.1, 0.2, 0.3))


def cell(name="a", model_name="gru", length=10, training=FEW):
    return Cell(name, model_name, tasks.adding(length), ModelConfig(features=4), training)


def test_it_prints_the_grid_and_leaves_nothing(tmp_path, monkeypatch):
    """Oracle: by hand. Catches a folder that is made, a cell that is trained, a workdir that is
    asked for, and tuning that is not counted."""
    monkeypatch.setattr(dry_run, "time_cell", lambda cell: dry_run.Timing(50, 1e-12, 30.0))
    overrides = [
        "--config.models=lstm,gru",
        "--config.task.names=adding",
        "--config.task.lengths=50",
    ]
    workdir = tmp_path / "run"
    for place in ([], [f"--workdir={workdir}"]):
        outcome = knock(COMPARE, ["--config=configs/quick.py", "--dry_run", *place, *overrides])
        assert (outcome.status, outcome.err, outcome.settings) == (0, "", None)
        rows = [line.split() for line in outcome.out.splitlines() if line.startswith("adding")]
        # 4 * 30 * (2 + 30 + 1) + 31, by hand; 12 seeds; 6 rates on 2 tuning seeds; two programs
        assert rows[0] == ["adding-50-lstm", "3,991", "30", "400", "12", "12", "60", "s"]
        assert [row[0] for row in rows] == ["adding-50-lstm", "adding-50-gru"]
        assert "2 cells, about 2 min on this machine" in outcome.out
        assert not workdir.exists()


def test_a_folder_that_is_there_stays_as_it_is(tmp_path, monkeypatch):
    """Catches a note in the folder, and an estimate that does not say what is there."""
    monkeypatch.setattr(dry_run, "time_cell", lambda cell: dry_run.Timing(10, 1e-12, 1.0))
    RunFolder.open(tmp_path / "run", {"models": ()}).add_result({"cell": "adding-50-lstm"})
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    console = Console(file=io.StringIO(), width=200)
    dry_run.show([cell()], COMPARE.config(), tmp_path / "run", console)
    assert "run has 1 finished cell; what is there is not" in console.file.getvalue()
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == before


def test_passes_are_counted():
    """Oracle: by hand. Catches evaluations left out, and halving that ends the wrong share."""
    assert dry_run.passes(FEW) == 3 * 10 * 100 + 2 * 2000
    halved = dataclasses.replace(FEW, halving=True, evaluate_every=25, warmup_steps=10)
    # Of three rates two stay; the third ends at step 25.
    assert dry_run.passes(halved) == pytest.approx((3000 + 4 * 2000) * (2 / 3 + 1 / 3 / 4))


def test_an_estimate_goes_with_length_trials_and_passes():
    """Oracle: the equation, by hand, for four devices. Catches rounds of trials that are not
    counted, and compilation that is multiplied."""
    found = dry_run.estimate(cell(length=20), [dry_run.Timing(40, 1e-6, 7.0)])
    assert found == pytest.approx(7 + 3 * 1e-6 * 20 * dry_run.passes(FEW))


def test_between_two_lengths_seconds_are_interpolated():
    """Oracle: a power law, u = 1e-7 sqrt(T). Catches an interpolation on the wrong axes, and the
    seconds of the longest length for a short one."""
    timings = [dry_run.Timing(length, 1e-7 * length**0.5, 2.0) for length in (4, 400)]
    for length in (4, 40, 400):
        found = dry_run.estimate(cell(length=length), timings)
        expected = 2 + 3 * 1e-7 * length**1.5 * dry_run.passes(FEW)
        assert found == pytest.approx(expected)


def test_lengths_far_apart_are_timed_twice():
    """Oracle: by hand. Catches attention at T = 1,000 in the place of T = 50, and a program that is
    compiled for nothing."""
    grid = [
        cell(f"{name}-{length}", name, length)
        for length in (100, 50, 10)
        for name in ("lstm", "gru")
    ]
    timed = [one.name for one in dry_run.timed_cells([*grid, cell("lstm-20", "lstm", 20)][:4])]
    assert timed == ["lstm-100", "gru-100"]
    assert [one.name for one in dry_run.timed_cells(grid)] == [
        "lstm-10",
        "lstm-100",
        "gru-10",
        "gru-100",
    ]


def test_seconds_are_in_words():
    """Oracle: by hand."""
    shown = [dry_run.in_words(seconds) for seconds in (0.4, 99, 100, 5400, 7200, 90000)]
    assert shown == ["0 s", "99 s", "2 min", "90 min", "2.0 h", "25 h"]


def test_tuned_cells_are_tested_at_one_rate():
    """Oracle: by hand. Catches all rates counted as tested, and a cell that is counted twice."""
    one_rate = dataclasses.replace(FEW, learning_rates=(0.1,))
    cells = [cell(), cell("b", training=one_rate), cell()]
    plan = dry_run.planned(cells, TuningConfig(seeds=5))
    assert [(one.cell.name, one.cell.training.trials) for one in plan] == [("a", 4), ("b", 4)]
    assert [[other.training.trials for other in one.tuning] for one in plan] == [[15], []]


@pytest.mark.usefixtures("compiled_quickly")
def test_a_cell_is_timed():
    """Catches a program that does not fit the states it is given."""
    few = dataclasses.replace(FEW, evaluation_sequences=20)
    timing = dry_run.time_cell(cell(length=4, training=few))
    assert timing.length == 4
    assert 0 < timing.u < 1
    assert timing.compilation > 0


class Asked(Exception):
    """What a study asks to be trained first."""


@pytest.mark.parametrize("name", SMALLEST)
def test_the_cells_are_those_that_the_study_trains_first(name, tmp_path, monkeypatch):
    """Oracle: what the study asks its session for. Catches a plan of other cells than are trained,
    and tuning trials of another number."""

    def train(self, cells, **_):
        raise Asked(list(cells))

    monkeypatch.setattr(Session, "train", train)
    study, data = study_of(name), {}
    if name == "language_model":
        data = {"path": tiny_text.text_in(tmp_path)}
        data = {"data": {"path": str(data["path"])}, "training": {"evaluation_sequences": 8}}
    small = {key: SMALL[key] for key in ("features", "confirmation_sequences")}
    config = study.configure({}, {**small, **data} if name != "language_model" else data)
    if name == "language_model":
        config = dataclasses.replace(tiny_text.config_of(data["data"]["path"]))
    plan = dry_run.planned(
        study.cells(config, tmp_path / "none"), getattr(config, "tuning", dry_run.NO_TUNING)
    )
    folder = RunFolder.open(tmp_path / "run", dataclasses.asdict(config))
    with pytest.raises(Asked) as caught:
        study.work(config, Session(folder, Console(file=io.StringIO())))
    (asked,) = caught.value.args
    planned = [one for each in plan for one in each.tuning] or [each.cell for each in plan]
    described = [[(one.name, one.model, one.training) for one in some] for some in (asked, planned)]
    assert {*described[0]} <= {*described[1]}
    assert len({*described[0]}) == len({*described[1]}) or config.tuning.carry


def test_a_count_has_its_noun():
    """Oracle: by hand. Catches "1 cells" and "0 cell"."""
    assert [counted(n, "cell") for n in (0, 1, 2, 1500)] == [
        "0 cells", "1 cell", "2 cells", "1,500 cells",
    ]  # fmt: skip
