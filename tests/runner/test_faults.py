"""A run killed and started again, a full disk, and a folder in which nothing is executed."""

import json
import os
import shutil
import sys
import types
from contextlib import contextmanager

import pytest

from lstm_attn import report, trained
from tests import PATIENCE, kill
from tests.study_fixtures import TINY

OVERRIDES = ("--config=configs/quick.py", *TINY)


@pytest.fixture
def undisturbed(whole):
    return whole[0]


@pytest.mark.full
def test_a_run_killed_again_and_again_ends_with_the_same_bits(
    undisturbed, compilation_cache, tmp_path
):
    """Identity with the undisturbed run; `python -m tests.kill` is the long form. Killed at a line
    of the first cell, and while a checkpoint of the second is written. Catches a lost state, a
    repeated line, half a checkpoint taken for a whole one."""
    workdir = tmp_path / "run"
    moments = iter([(kill.AT_A_LINE, 40), (kill.IN_A_CHECKPOINT, 300)])
    kills = kill.disturb(
        lambda: kill.start(workdir, OVERRIDES, compilation_cache), workdir, moments
    )
    assert [killed.torn for killed in kills][1:] == [True]
    assert 40 <= kills[0].lines < 300 < kills[1].lines < 600
    assert kill.differences(workdir, undisturbed) == []


@pytest.mark.full
def test_a_full_disk_ends_in_one_line_and_the_same_command_goes_on(compare, undisturbed, tmp_path):
    """Oracle: the system's own error, of /dev/full, at the record of the second cell; then the bits
    of the undisturbed run. Catches a traceback, another status, a cell lost or repeated."""
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    (workdir / "results.json").write_text(json.dumps(kill.RunFolder(undisturbed).results[:1]))
    (workdir / "results.json.partial").symlink_to("/dev/full")
    _, err = (process := compare(workdir, *TINY)).communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert err == f"error: {workdir}/results.json can't be written: No space left on device\n"
    _, err = (process := compare(workdir, *TINY)).communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert kill.differences(workdir, undisturbed) == []


# Run by Python before all else: a user that the system's list does not have.
NOBODY = """
import os, pwd

def getpwuid(number):
    raise KeyError(f"getpwuid(): uid not found: {number}")

pwd.getpwuid = getpwuid
for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "JAX_COMPILATION_CACHE_DIR"):
    os.environ.pop(name, None)
"""


@pytest.mark.full
def test_a_user_without_a_home_trains_all_the_same(compare, tmp_path):
    """Oracle: the status and what is said, of the whole command. Catches a traceback out of any
    library, more than one note, and a folder named `~`."""
    (tmp_path / "sitecustomize.py").write_text(NOBODY)
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    few = [
        flag for flag in TINY if not flag.startswith(("--config.models", "--config.training.steps"))
    ]
    overrides = ("--config.models=('gru',)", "--config.training.steps=100", *few)
    process = compare(tmp_path / "run", *overrides, variables={"PYTHONPATH": path})
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    notes = [line for line in out.splitlines() if line.startswith("note")]
    assert notes == [
        "note: no compilation cache: this user has no home folder; set HOME or XDG_CACHE_HOME to a "
        "folder"
    ]
    assert (tmp_path / "run" / "report.html").exists()
    assert not (kill.ROOT / "~").exists()


events: list[tuple] | None = None


def hook(event, arguments):
    if events is not None:
        events.append((event, arguments))


@contextmanager
def audited():
    """The interpreter's audit events meanwhile: files opened, code compiled and run."""
    global events
    sys.addaudithook(hook)
    events = seen = []
    try:
        yield seen
    finally:
        events = None


def in_words(argument):
    """The file, names and constants of a code object, which is how an event gives code."""
    if isinstance(argument, types.CodeType):
        return f"{argument.co_filename} {in_words(argument.co_consts)}"
    if isinstance(argument, tuple):
        return " ".join(map(in_words, argument))
    return repr(argument)


@pytest.mark.full
def test_nothing_in_a_run_folder_is_executed(undisturbed, tmp_path):
    """Oracle: the interpreter's own audit events, with code planted in the folder. Catches a string
    that is evaluated, a module or a pickle that is loaded, a program that is started from there."""
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    code = f"__import__('os').mkdir('{workdir / 'ran'}')"
    for name in ("sitecustomize.py", "json.py", "config.py", "checkpoints/cell.pkl"):
        (workdir / name).write_text(code)
    for name in ("config.json", "environment.json"):
        noted = json.loads((workdir / name).read_text())
        (workdir / name).write_text(
            json.dumps({**noted, "commit": code, "note": f"{{{{{code}}}}}"})
        )
    with audited() as seen:
        report.write(workdir)
        trained.load(workdir, "adding-4-gru")
    assert seen
    harmless = {"open", "os.rename", "os.listdir", "os.scandir"}
    opened = set()
    for event, arguments in seen:
        assert event not in ("pickle.find_class", "os.system", "os.exec", "subprocess.Popen")
        if event == "open" and str(workdir) in str(arguments[0]):
            opened.add(str(arguments[0]).rpartition(".")[2])
        elif event not in harmless:
            assert str(workdir) not in in_words(arguments), event
    assert not (workdir / "ran").exists()
    assert opened <= {"json", "jsonl", "safetensors", "partial", str(workdir)}
