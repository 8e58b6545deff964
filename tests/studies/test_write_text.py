"""Generation as a user runs it: its text, its timing, and its errors."""

import contextlib
import importlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from lstm_attn.errors import UsageError, one_line, readable
from lstm_attn.runner import command_line
from lstm_attn.text.vocabulary import BytePairs, Bytes, Characters
from tests import PATIENCE

writing = importlib.import_module("lstm_attn.studies.write_text")
ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.usefixtures("compiled_quickly")


def command(run, *flags):
    # A shell's background job ignores SIGINT, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.generate", f"--run={run}", *flags],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)


def written(run, **given):
    """stdout and stderr of the command, run in this process; a UsageError is raised."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        writing.write_text(run, **given)
    return out.getvalue(), err.getvalue()


@pytest.mark.full
def test_a_text_comes_in_pieces_until_its_reader_goes(text_run):
    """Reads from a pipe and closes it, of a text too long to wait for. Catches a text that comes
    only at its end, and a traceback of the broken pipe."""
    process = command(text_run[0], "--prompt=she ", "--tokens=100000000")
    assert process.stdout.read(50).startswith(b"she ")
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == command_line.NO_READER_STATUS
    with process.stderr as err:
        assert err.read() == b""


@pytest.mark.full
def test_each_piece_is_shown_when_it_is_there(text_run, monkeypatch):
    """Oracle: what has been flushed, piece by piece. Catches pieces that wait in a buffer."""
    shown = []

    class Screen(io.StringIO):
        def flush(self):
            shown.append(self.getvalue())

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    writing.write_text(text_run[0], "she ", tokens=40)
    assert [len(text) for text in shown[:3]] == [4 + count for count in (16, 32, 40)]


@pytest.mark.full
def test_an_interrupt_ends_it_on_a_line_of_its_own(text_run):
    """Ctrl-C. Catches a traceback, and a prompt of the shell in the middle of the text."""
    process = command(text_run[0], "--tokens=100000000")
    process.stdout.read(50)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == command_line.INTERRUPTED_STATUS
    assert err == b"interrupted\n"
    assert out.endswith(b"\n")


def test_the_seed_gives_the_text_and_samples_are_several(text_run):
    """Identity. Catches a draw that depends on the clock, and samples that are exchanged."""
    out, err = written(text_run[0], prompt="she ", tokens=40, samples=3)
    assert re.fullmatch(r"\n[\d,]+ tokens a second\n", err)
    texts = re.split(r"\n?\n?\[\d\]\n", out)[1:]
    assert len(set(texts)) == len(texts) == 3
    assert all(text.startswith("she ") for text in texts)
    assert [len(text.removesuffix("\n")) for text in texts] == [44] * 3
    assert written(text_run[0], prompt="she ", tokens=40, samples=3)[0] == out
    assert written(text_run[0], prompt="she ", tokens=40, samples=3, seed=1)[0] != out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run": "/nowhere"}, "run: expected a run folder of language_model, got '/nowhere'"),
        ({"cell": "text-8-lsmt"}, "unknown cell 'text-8-lsmt': did you mean text-8-lstm?"),
        ({"trial": 4}, "trial: expected 0 to 3, got 4"),
        ({"prompt": ""}, "prompt: expected at least one character, got none"),
        ({"prompt": "she Z"}, "prompt: 'Z' at place 4 is not among the "),
        ({"prompt": "\udcff"}, "prompt: expected UTF-8, got '\\udcff'"),
        ({"tokens": 0}, "tokens: expected at least 1, got 0"),
        ({"samples": 0}, "samples: expected at least 1, got 0"),
        ({"samples": 2**31 - 1}, "samples: so many texts at once need more than"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
        ({"temperature": -1.0}, "temperature: expected at least 0, got -1.0"),
        ({"top_p": 0.0}, "top_p: expected over 0 and at most 1, got 0.0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(text_run, given, message):
    """Oracle: by hand. Catches a traceback, and a flag that is ignored."""
    with pytest.raises(UsageError) as caught:
        written(given.pop("run", text_run[0]), **given)
    line = one_line(caught.value)
    assert line.startswith(message)


def test_runs_without_what_is_needed_are_one_line(text_run, tmp_path):
    """Catches a KeyError for a run of compare, and numpy's error about a text that is gone."""
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare" / "results.json").write_text("[]")
    with pytest.raises(UsageError, match="run: expected a run folder of language_model"):
        written(tmp_path / "compare")
    run = shutil.copytree(text_run[0], tmp_path / "run")
    shutil.rmtree(run / "text")
    (run / "text").mkdir()
    with pytest.raises(UsageError, match=r"text in .*run/text can't be read"):
        written(run)
    (run / "results.json").write_text("[]")
    with pytest.raises(UsageError, match="has no trained model yet"):
        written(run)
    (run / "results.json").write_text("[{}]")
    with pytest.raises(UsageError, match="record 1 lacks 'cell'"):
        written(run)


@pytest.mark.parametrize(
    "vocabulary", [Bytes(), Characters("aé€😀\n"), BytePairs.learn(["aé€😀"], 258)], ids=type
)
def test_a_character_comes_whole(vocabulary):
    """Oracle: Python's decoder of the whole. Catches a character whose bytes come in two pieces."""
    text = "aé€😀\n" * 2
    ids = vocabulary.encode(text)
    for size in (1, 2, 3, 5):
        write = writing.Writer(vocabulary)
        pieces = [write(ids[start : start + size]) for start in range(0, len(ids), size)]
        assert "".join(pieces) + write(ids[:0], last=True) == text
    write = writing.Writer(Bytes())
    assert write(np.array([0xE2, 0x82])) == ""
    assert write(np.array([], int), last=True) == "\ufffd"


def test_no_command_reaches_the_terminal():
    """Oracle: by hand; characters that a terminal would obey. Catches a model of a hostile text
    that clears the screen, and other scripts taken for commands."""
    assert readable("a\tb\nc\r\n") == "a\tb\nc\n"
    assert readable("\x1b[2J\x07\x9b\x7f\u202e") == r"\x1b[2J\x07\x9b\x7f\u202e"
    assert readable("é\xa0\u3000\u200d😀") == "é\xa0\u3000\u200d😀"
    write = writing.Writer(Bytes())
    assert write(np.frombuffer(b"ok\x1b[31m", np.uint8)) == r"ok\x1b[31m"


def test_the_speed_excludes_compilation(text_run):
    """Oracle: a clock that jumps an hour while the first piece is made. Catches a speed that
    includes the compiler."""
    now = [0.0]

    def slow(*_, **__):
        now[0] += 3600
        yield np.zeros((1, 10), int)
        for _ in range(4):
            now[0] += 1
            yield np.zeros((1, 10), int)

    clock = SimpleNamespace(monotonic=lambda: now[0])
    with mock.patch.object(writing, "generate", slow), mock.patch.object(writing, "time", clock):
        assert written(text_run[0], tokens=50, prompt="s")[1] == "\n10 tokens a second\n"
