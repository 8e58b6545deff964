"""What --help says of a command, its config, and the names of models and tasks."""

import dataclasses

import pytest

from lstm_attn.flat import flatten
from lstm_attn.models import MODELS
from lstm_attn.runner import command_help
from lstm_attn.studies.compare import STUDY as COMPARE
from lstm_attn.tasks import TASKS
from tests.runner.door import knock
from tests.studies.test_function import SMALLEST
from tests.study_fixtures import study_of

# The warning is ml_collections' own: it loads config files in this way.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
FLAGS = ("--config", "--workdir", "--[no]dry_run", "--launcher", "--compilation_cache")


@pytest.mark.parametrize("ask", command_help.ASKED)
def test_help_ends_well_and_names_everything(ask):
    """Oracle: by hand. Catches status 1, keys or names that are left out, and a flag that has to be
    given for help."""
    outcome = knock(COMPARE, [ask])
    assert (outcome.status, outcome.err, outcome.settings) == (0, "", None)
    for flag in FLAGS:
        assert f"\n  {flag}" in outcome.out
    for key, line in (
        ("models = lstm,gru,transformer,lstm_attention", "names in MODELS"),
        ("task.lengths = 10,50", "the T of each cell, in steps."),
        ("training.learning_rates = 0.001,0.003,0.01,0.03,0.1", "peak learning rates"),
        ("training.evaluate_every = None", "steps between evaluations"),
        ("model.chrono_steps = ()", "(shortest, longest)"),
    ):
        assert f"\n  {key}\n      {line}" in outcome.out
    assert f"Models: {', '.join(MODELS)}\nTasks: {', '.join(TASKS)}" in outcome.out


def test_a_config_that_is_given_shows_its_values(tmp_path):
    """Catches the defaults under the name of a file, and a traceback for a file that is not there."""
    shown = knock(COMPARE, ["--help", "--config=configs/quick.py"]).out
    assert "with the values of configs/quick.py:" in shown
    assert "\n  task.lengths = 8,24\n" in shown
    missing = knock(COMPARE, ["--help", "--config", str(tmp_path / "none.py")])
    assert (missing.status, missing.out) == (2, "")
    assert "found none at" in missing.err


@pytest.mark.parametrize("name", SMALLEST)
def test_every_key_of_every_study_has_a_line(name):
    """Oracle: the fields of the config. Catches a new field that its docstring says nothing of."""
    config = study_of(name).config
    said = command_help.descriptions(config)
    assert said.keys() == flatten(dataclasses.asdict(config())).keys()
    assert all(len(line) > 5 for line in said.values()), said


@dataclasses.dataclass
class Described:
    """one: the first; two, three: both of them, such as
    this. And more of it.

    four: between one: no entry, 0.5 of it; six is named in this text.
    five: (a, b) or
      none. Not shown.

    six is no entry here. six: but here.
    """

    one: int = 1
    two: int = 2
    three: int = 3
    four: int = 4
    five: int = 5
    six: int = 6


def test_a_line_is_the_sentence_of_its_entry():
    """Oracle: by hand. Catches a text that runs into the next entry, and a name in the middle of a
    sentence that is taken for an entry."""
    assert command_help.descriptions(Described) == {
        "one": "the first",
        "two": "both of them, such as this.",
        "three": "both of them, such as this.",
        "four": "between one: no entry, 0.5 of it; six is named in this text.",
        "five": "(a, b) or none.",
        "six": "but here.",
    }
