"""Malformed configs and flags: one clear line, status 2, nothing begun."""

import hypothesis
import pytest

from tests.experiments import malformed
from tests.experiments.door import knock
from tests.experiments.malformed import STUDIES

# Of ml_collections, which loads a config so.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("malformed")


def arguments_of(command, place):
    """Those of the command, its config written in the place."""
    _, name = STUDIES[command.study]
    config = malformed.FOLDER / f"{name}.py"
    if command.config is not None:
        config = place / "config.py"
        config.write_text(command.config)
    return [f"--config={config}", f"--workdir={place / 'run'}", *command.overrides]


def check_refused(command, arguments, place):
    settings, _ = STUDIES[command.study]
    outcome = knock(settings, arguments)
    assert outcome.settings is None, f"accepted, though {command.why}"
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ") and outcome.err.endswith("\n")
    line = outcome.err[len("error: ") : -1]
    assert line.isprintable() and 5 < len(line) < 3000
    assert "Traceback" not in line
    assert any(word in line for word in command.says), line
    assert not (place / "run").exists()


@hypothesis.settings(max_examples=500, database=None)
@hypothesis.given(malformed.commands())
def test_a_malformed_command_is_one_line_and_status_2(place, command):
    check_refused(command, arguments_of(command, place), place)
