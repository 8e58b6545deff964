"""A user's mistakes: one clear line, status 2, no traceback. See `test_malformed` too."""

import os
import runpy
import subprocess
import sys

import pytest

from lstm_attn.runner import checked_config, command_line
from lstm_attn.runner.configs import CompareConfig
from lstm_attn.studies.ablation import AblationConfig
from lstm_attn.studies.compare import STUDY as COMPARE
from tests import PATIENCE
from tests.configs.test_configs import FOLDER, load
from tests.runner.door import knock
from tools.pages import ROOT

# The warning is ml_collections' own: it loads config files in this way.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.models=('lsmt',)", "unknown model 'lsmt': did you mean lstm"),
        ("--config.task.names=('ading',)", "unknown task 'ading': did you mean adding"),
        (
            "--config.task.lenghts=(5,)",
            "unknown config key 'task.lenghts': did you mean task.lengths",
        ),
        (
            "--config.task.lengths=abc",
            "task.lengths: expected whole numbers, such as 10,50, got 'abc'\n",
        ),
        (
            "--config.task.lengths=10 50",
            "--config.task.lengths: expected whole numbers, such as 10,50, got '10 50'",
        ),
        (
            "--config.training.learning_rates=fast,0.1",
            "learning_rates: expected numbers, such as 0.1,0.2, got 'fast,0.1'",
        ),
        ("--config.models=lstm gru", "expected names, such as lstm,gru, got 'lstm gru'"),
        ("--config.training.stop_when_solved=maybe", "expected True or False, got 'maybe'"),
        (
            "--config.training.clip_norm=x",
            "--config.training.clip_norm: expected a number, got 'x'",
        ),
        ("--config.training.warmup_steps=x", "expected a whole number or None, got 'x'"),
        ("--config.models=lstm,gur", "unknown model 'gur': did you mean gru"),
        ("--config.task.lengths=(1,)", "adding: length: expected at least 2, got 1"),
        ("--config.model.num_heads=4", "num_heads expected a divisor of features=30, got 4"),
        ("--config.training.seeds=0", "training.seeds: expected at least 1, got 0"),
        ("--config.training.steps=many", "training.steps: expected a whole number, got 'many'"),
        ("--config.training.steps=3000000000", "training.steps: expected at most 2147483647"),
        ("--config.models=()", "models: expected at least one, got none"),
        ("--workdir=/dev/null/run", "workdir /dev/null/run can't be written: Not a directory"),
        ("-config.task.lenghts=(5,)", "unknown config key 'task.lenghts'"),
        ("--config=x", "--config: expected one file, got configs/quick.py and x"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, override, message):
    """Catches a message that does not say what was expected and what was given."""
    workdir = tmp_path / "run"
    outcome = knock(COMPARE, ["--config=configs/quick.py", f"--workdir={workdir}", override])
    assert (outcome.status, outcome.out, outcome.settings) == (2, "", None)
    assert message in outcome.err
    assert not workdir.exists()


@pytest.mark.full_but("configs/quick.py---config.models=('lsmt',)-unknown model 'lsmt'")
@pytest.mark.parametrize(
    ("config", "override", "message"),
    [
        ("configs/quick.py", "--config.models=('lsmt',)", "unknown model 'lsmt'"),
        ("configs/quick.py", "--confg=x", "Unknown command line flag 'confg'"),
        ("configs/quick.py", "resume", "unexpected argument 'resume'"),
        ("configs/qiuck.py", "-v=0", "expected a Python file, found none at 'configs/qiuck.py'"),
        ("README.md", "-v=0", "--config: README.md is not Python"),
    ],
)
def test_a_mistake_in_a_process_of_its_own(compare, tmp_path, config, override, message):
    """Catches what `door` leaves out: the status of the process, and lines of the libraries."""
    process = compare(tmp_path / "run", override, config=(f"--config={config}",))
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert message in err
    assert err.count("\n") == 1, err
    assert out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("key", "table"), [("models", "models.MODELS"), ("names", "tasks.TASKS")])
def test_an_object_instead_of_a_name_is_a_short_line(key, table):
    """Catches pages of arrays, and a line that does not say how to pass one's own task or model."""

    class Own:
        def __repr__(self):
            return 1000 * "numbers\n"

    config = config_with()
    (config if key == "models" else config["task"])[key] = (Own(),)
    with pytest.raises(ValueError, match=rf"of your own is a line in {table}\), got ") as caught:
        checked_config.checked(CompareConfig, config)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def config_with(**training):
    config = runpy.run_path(str(FOLDER / "quick.py"))["get_config"]().to_dict()
    config["training"] |= training
    return config


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"sede": 1}, "unknown config key 'training.sede': did you mean training.seeds"),
        ({"seeds": True}, "expected a whole number, got True"),
        ({"clip_norm": True}, "config: training.clip_norm: expected a number, got True"),
        ({"seeds": "4"}, "training.seeds"),
        ({"steps": None}, "training.steps"),
    ],
)
def test_a_config_file_of_ones_own_is_checked_as_overrides_are(training, message):
    """Catches an unknown key that is ignored, and a type that fails deep in a trace."""
    with pytest.raises(ValueError, match=message) as caught:
        checked_config.checked(CompareConfig, config_with(**training))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("models", "lengths", "rates"),
    [("lstm, gru", "8,24", "0.01,0.1"), ("[lstm,gru]", "(8, 24,)", "[1e-2, .1]")],
)
def test_a_text_with_commas_serves_for_a_tuple_in_a_file(models, lengths, rates):
    """Oracle: by hand. Catches a text that is split into letters, or numbers that stay text."""
    config = config_with(learning_rates=rates)
    config["models"], config["task"]["lengths"] = models, lengths
    checked = checked_config.checked(CompareConfig, config)
    assert checked.models == ("lstm", "gru")
    assert checked.task.lengths == (8, 24)
    assert checked.training.learning_rates == (0.01, 0.1)


def test_one_number_serves_for_a_tuple_in_a_file():
    """Oracle: by hand. Catches a number that is refused where one is meant."""
    config = config_with(learning_rates=0.01)
    config["task"]["lengths"] = 8
    checked = checked_config.checked(CompareConfig, config)
    assert (checked.task.lengths, checked.training.learning_rates) == ((8,), (0.01,))


def test_one_name_is_meant_where_one_is_asked():
    """Catches a message that takes two names for one unknown name."""
    with pytest.raises(
        ValueError, match="task.name: expected one name, such as adding.*got 'adding,"
    ):
        checked_config.checked(AblationConfig, {"task": {"name": "adding,copy"}})


def test_a_list_serves_for_a_tuple_and_a_whole_number_for_a_float():
    """Catches a config refused because of a list or a whole number."""
    config = config_with(learning_rates=[1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1], clip_norm=1)
    assert checked_config.checked(CompareConfig, config) == load(FOLDER / "quick.py")


@pytest.mark.parametrize("models", ["lstm,gru", "[lstm,gru]", "(lstm, gru)", "['lstm', 'gru']"])
def test_names_are_separated_by_commas_as_numbers_are(models, tmp_path):
    """Oracle: by hand. Catches names that need the quotes of Python, or take no brackets."""
    arguments = ["--config=configs/quick.py", f"--workdir={tmp_path / 'run'}"]
    commas = [f"--config.models={models}", "--config.task.lengths=5,6", "--config.task.names=copy"]
    settings = knock(COMPARE, [*arguments, *commas]).settings
    assert settings.models == ("lstm", "gru")
    assert settings.task.lengths == (5, 6)
    assert settings.task.names == ("copy",)


@pytest.mark.full
def test_help_lists_the_flags_of_a_study(compare, tmp_path):
    """Oracle: by hand. Catches a help that shows the docstring alone."""
    process = compare(tmp_path / "run", "--help")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    for flag in ("--config", "--workdir", "--launcher", "--compilation_cache", "--distributed"):
        assert f"  {flag}=" in out or f"--[no]{flag[2:]}\n" in out, flag


def test_a_config_flag_may_be_spelt_as_absl_allows(tmp_path):
    """Catches `--config PATH` being refused."""
    spaced = ["--config", "configs/adding.py", f"--workdir={tmp_path / 'run'}"]
    outcome = knock(COMPARE, [*spaced, "--config.model.num_heads", "7"])
    assert outcome.status == 2
    assert "divisor of features=30, got 7" in outcome.err


@pytest.mark.full
@pytest.mark.parametrize(
    "given",
    [
        "lstm_attn",
        "experiments.compare --help",
        "experiments.compare --config=configs/quick.py --dry_run",
    ],
)
def test_a_program_whose_reader_has_gone_ends_quietly(given):
    """Oracle: a pipe that nobody reads, as behind `| head`. Catches a traceback of the pipe, in what
    a program says and when Python writes the rest at its end."""
    end, pipe = os.pipe()
    os.close(end)
    try:
        found = subprocess.run(
            [sys.executable, "-m", *given.split()], cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE,
            timeout=PATIENCE,
        )  # fmt: skip
    finally:
        os.close(pipe)
    assert found.stderr == b""
    # What draws with rich ends with rich's own status.
    assert found.returncode == (1 if "dry_run" in given else command_line.NO_READER_STATUS)


def test_another_broken_pipe_is_an_error():
    """Catches a program that ends quietly because a helper of its own has died."""
    with pytest.raises(BrokenPipeError, match="of a worker"), command_line.while_read():
        raise BrokenPipeError("of a worker")
