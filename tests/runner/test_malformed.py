"""Malformed configs and flags: one clear line, status 2, nothing begun.

Oracle: how each command was made wrong (`malformed`).
"""

import itertools
import os
import re
import subprocess
import sys

import hypothesis
import pytest
from hypothesis import strategies as st

from lstm_attn.runner import command_line
from lstm_attn.studies.compare import STUDY as COMPARE
from tests.runner import malformed
from tests.runner.door import knock
from tests.runner.malformed import FOLDER, STUDIES
from tests.study_fixtures import study_of

# The warning is ml_collections' own: it loads config files in this way.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
NUMBERS = itertools.count()
QUICK = "--config=configs/quick.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("malformed")


def written(command, place):
    """The command's arguments, its config written to the folder, and a run folder of its own."""
    config, run = FOLDER / f"{STUDIES[command.study]}.py", place / f"run{next(NUMBERS)}"
    if command.config is not None:
        config = place / "config.py"
        config.write_text(command.config)
    return [f"--config={config}", f"--workdir={run}", *command.overrides], run


def check_refused(outcome, says, why):
    assert outcome.settings is None, f"accepted, though {why}"
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.endswith("\n")
    line = outcome.err[len("error: ") : -1]
    assert line.isprintable()
    assert 5 < len(line) < 3000
    assert "Traceback" not in line
    assert any(word in line for word in says), f"{why}: {line}"


@hypothesis.settings(max_examples=500, database=None)
@hypothesis.given(malformed.commands())
def test_a_malformed_command_is_one_line_and_status_2(place, command):
    """Catches a wrong value that a study accepts or fails on later, a traceback, a message that
    does not name the key or has several lines or terminal commands, and a run folder that is made
    before the config is checked."""
    arguments, run = written(command, place)
    check_refused(knock(study_of(command.study), arguments), command.says, command.why)
    assert not run.exists()


LETTERS = st.characters(exclude_characters="\0", exclude_categories=())
ODD = st.sampled_from(
    ["1e400", "nan", "None", "(1,)", "((1,),)", "-1", "0", "1", "True", "[5]", "", "9" * 5000, "{}"]
)


@hypothesis.settings(max_examples=100, database=None)
@hypothesis.given(
    st.sampled_from(sorted(STUDIES)), st.randoms(use_true_random=False), ODD | st.text(LETTERS)
)
def test_any_text_for_any_key_is_taken_or_refused(place, study, choice, text):
    """Catches a traceback, for values that may be right or wrong."""
    key = choice.choice(sorted(malformed.leaves(malformed.CONFIGS[study])))
    command = malformed.Malformed(study, None, (f"--config.{key}={text}",), malformed.says(key), "")
    arguments, run = written(command, place)
    outcome = knock(study_of(study), arguments)
    if outcome.settings is None:
        check_refused(outcome, command.says, f"--config.{key}={text!r}")
        assert not run.exists()
    else:
        assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


LONG = "x" * 5000
HOSTS = ("--num_processes=2", "--coordinator_address=127.0.0.1:1")
FLAGS = [
    ([QUICK, "--workdir=RUN", "--confg=x"], "confg"),
    ([QUICK, "--workdir=RUN", "--workdri"], "workdri"),
    ([QUICK, "--workdir=RUN", "resume"], "resume"),
    ([QUICK, "--workdir=RUN", "-"], "unexpected argument"),
    ([QUICK, "--workdir=RUN", "--", "--x"], "unexpected argument"),
    ([QUICK, "--workdir=RUN", "--=3"], "flag"),
    ([QUICK, "--workdir=RUN", "---"], "flag"),
    ([QUICK, "--workdir=RUN", "--é\n=\x1b[31m"], "Unknown"),
    ([QUICK], "workdir"),
    ([QUICK, "--workdir"], "workdir"),
    ([QUICK, "--workdir="], "--workdir"),
    ([QUICK, "--workdir=/dev/null/run"], "workdir"),
    ([QUICK, "--workdir=/dev/null"], "workdir"),
    ([QUICK, f"--workdir={LONG}"], "workdir"),
    ([QUICK, "--noworkdir"], "workdir"),
    ([QUICK, "--workdir=RUN", "--compilation_cache"], "compilation_cache"),
    ([QUICK, "--workdir=RUN", "--nocompilation_cache"], "compilation_cache"),
    (["--workdir=RUN"], "--config"),
    (["--workdir=RUN", "--config"], "--config"),
    (["--workdir=RUN", "--config="], "--config"),
    (["--workdir=RUN", "--config=configs"], "--config"),
    (["--workdir=RUN", "--config=none.py"], "--config"),
    (["--workdir=RUN", f"--config={LONG}"], "--config"),
    (["--workdir=RUN", "--config=configs/quick.py:adding"], "--config"),
    (["--workdir=RUN", "--config=/bin/sh"], "--config"),
    (["--workdir=RUN", "--noconfig"], "config"),
    (["--workdir=RUN", QUICK, QUICK], "--config"),
    (["--workdir=RUN", QUICK, "--config", "configs/copy.py"], "--config"),
    (["--workdir=RUN", "--config.model.features=4", QUICK], "config.model.features"),
    (["--workdir=RUN", "--config.model.features=4"], "--config"),
    ([QUICK, "--workdir=RUN", "--config.model.features"], "features"),
    ([QUICK, "--workdir=RUN", "--config.model={}"], "model"),
    ([QUICK, "--workdir=RUN", "--config.model=None"], "model"),
    ([QUICK, "--workdir=RUN", "--config."], "config key"),
    ([QUICK, "--workdir=RUN", "--config.=3"], "config key"),
    ([QUICK, "--workdir=RUN", "--config..features=3"], "config key"),
    ([QUICK, "--workdir=RUN", "--config.task.lengths[0]=3"], "task.lengths[0]"),
    ([QUICK, "--workdir=RUN", "--config.model.__class__=3"], "__class__"),
    ([QUICK, "--workdir=RUN", "--noconfig.models"], "models"),
    ([QUICK, "--workdir=RUN", "--noconfig.training.stop"], "training.stop"),
    ([QUICK, "--workdir=RUN", "--flagfile=none"], "none"),
    ([QUICK, "--workdir=RUN", "--launcher=rya"], "launcher"),
    ([QUICK, "--workdir=RUN", "--launcher="], "launcher"),
    ([QUICK, "--workdir=RUN", "--cell_gpus=many"], "cell_gpus"),
    ([QUICK, "--workdir=RUN", "--distributed=maybe"], "distributed"),
    ([QUICK, "--workdir=RUN", "--process_id=3"], "--process_id"),
    ([QUICK, "--workdir=RUN", "--process_id=1e400"], "process_id"),
    ([QUICK, "--workdir=RUN", "--num_processes=0"], "num_processes"),
    ([QUICK, "--workdir=RUN", *HOSTS, "--process_id=2"], "--process_id"),
    ([QUICK, "--workdir=RUN", *HOSTS, "--process_id=0", "--coordinator_address=x"], "x"),
]


@pytest.mark.parametrize(("arguments", "says"), FLAGS, ids=lambda value: str(value)[-40:])
def test_a_malformed_flag_is_one_line_and_status_2(tmp_path, arguments, says):
    """Catches a traceback of absl or of config_flags, and a config that is silently given twice."""
    given = [argument.replace("RUN", str(tmp_path / "run")) for argument in arguments]
    check_refused(knock(COMPARE, given), [says], given)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["none", "folder", "bytes", "empty"])
def test_a_file_of_flags_that_can_not_be_read_is_one_line(tmp_path, monkeypatch, capsys, kind):
    """Catches a traceback as soon as --config is defined: config_flags then reads the command."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes").write_bytes(b"--workdir=\xff")
    flag = "--flagfile" if kind == "empty" else f"--flagfile={tmp_path / kind}"
    monkeypatch.setattr(sys, "argv", ["compare", flag])
    with pytest.raises(SystemExit) as ended:
        command_line.define_config("The config.")
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch("error: .+\n", captured.err)
    assert any(word in captured.err for word in (str(tmp_path / kind), "flagfile", "utf-8"))


@pytest.mark.full
def test_a_program_says_in_one_line_that_a_file_of_flags_is_missing():
    """The whole program. Catches flags that another module defines first."""
    command = [sys.executable, "-m", "experiments.compare", "--flagfile=none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch("error: .*none.*\n", done.stderr)


def test_flags_in_a_file_are_checked_as_those_of_the_command(tmp_path):
    """Catches a traceback for a wrong key in such a file."""
    flagfile = tmp_path / "flags"
    flagfile.write_text(
        f"--config=configs/quick.py\n--workdir={tmp_path / 'run'}\n--config.modle=3"
    )
    check_refused(knock(COMPARE, [f"--flagfile={flagfile}"]), ["modle"], "modle is no key")


def test_a_config_may_leave_a_value_to_the_command(tmp_path):
    """Oracle: the file with the value in it. Catches a placeholder that is refused although the
    value is given, and one accepted although it is not."""
    tree = malformed.changed(
        malformed.CONFIGS["compare"], "model.features", malformed.Code("placeholder(int)")
    )
    config = tmp_path / "config.py"
    config.write_text(malformed.source(tree))
    arguments = [f"--config={config}", f"--workdir={tmp_path / 'run'}"]
    given = knock(COMPARE, [*arguments, "--config.model.features=30"]).settings
    assert given == knock(COMPARE, [QUICK, f"--workdir={tmp_path / 'other'}"]).settings
    check_refused(knock(COMPARE, arguments), ["model.features"], "it has no value")


@pytest.mark.full
def test_no_command_is_refused_after_jax_has_started(tmp_path):
    """Oracle: JAX on a platform that does not exist, in a process of its own, so that initialising
    it is an error. Catches a check that computes, after which devices can't be set up."""
    code = """
import hypothesis, jax, pathlib, sys
from tests.runner import malformed, test_malformed

@hypothesis.settings(max_examples=150, database=None, derandomize=True, deadline=None)
@hypothesis.given(malformed.commands())
def each(command):
    test_malformed.test_a_malformed_command_is_one_line_and_status_2.hypothesis.inner_test(
        pathlib.Path(sys.argv[1]), command
    )

each()
try:
    jax.devices()
except RuntimeError:
    print("not begun")
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=FOLDER.parent,
        env={**os.environ, "JAX_PLATFORMS": "none_such"},
    )
    assert (result.stdout, result.returncode) == ("not begun\n", 0), result.stderr
