"""Where the library is, the errors without it, and sizes that are refused."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from lstm_attn.errors import UsageError
from lstm_attn.native import build, library_path
from lstm_attn.native.call import call
from lstm_attn.native.library import load
from tests.native import cases

ROOT = Path(__file__).parent.parent.parent


def run(*command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_library_nothing_is_compiled(tmp_path):
    """Oracle: the empty folder. Catches a build at import, and an error that names no remedy."""
    code = "from lstm_attn.native import available, library; print(available()); library.load()"
    result = run("-c", code, XDG_CACHE_HOME=str(tmp_path))
    assert result.stdout == "False\n"
    assert "python -m lstm_attn.native compiles it" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_one_line_says_so(tmp_path):
    """Oracle: the status and one line. Catches a traceback, and an unfinished folder."""
    result = run("-m", "lstm_attn.native", XDG_CACHE_HOME=str(tmp_path), CXX="no-such-compiler")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (
        "native: no C++ compiler found, looked for no-such-compiler"
    )
    assert not list(tmp_path.iterdir())


def test_a_failed_compilation_leaves_no_file(tmp_path, monkeypatch):
    """Oracle: the folder. Catches a half-written library that the next process would load."""
    fake = tmp_path / "compiler"
    fake.write_text('#!/bin/sh\necho "lstm.cc:1: error: broken" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("CXX", str(fake))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="failed: lstm.cc:1: error: broken"):
        build()
    assert not list(library_path().parent.iterdir())


def test_the_name_depends_on_the_sources(tmp_path, monkeypatch):
    """Oracle: a source changed. Catches a stale library loaded for new sources."""
    from lstm_attn.native import build as function  # the package exports the function

    module = sys.modules[function.__module__]
    before = library_path()
    for path in module.SOURCE.iterdir():
        (tmp_path / path.name).write_text(path.read_text() + "\n")
    monkeypatch.setattr(module, "SOURCE", tmp_path)
    module._digest.cache_clear()
    try:
        assert library_path() != before
    finally:
        module._digest.cache_clear()


def test_a_wrong_size_is_an_error_and_no_crash():
    """Oracle: the message. Catches a handler that trusts its caller."""
    load()
    case = cases.draw(2, 3, 4, 5)
    kernel, *others = map(jnp.asarray, case.arguments)
    shapes = [(3, 2, 5), (2, 5), (2, 5), (0,)]
    flags = jnp.zeros((0, 0), jnp.uint8)
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"kernel expected shape \(4,20,\) got \(3,20,\)"
    ):
        call("lstm_attn_lstm_forward", [kernel[1:], *others, flags], shapes, reverse=False)
    wrong = [kernel.astype(jnp.int32), *others, flags]
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"F32"):
        call("lstm_attn_lstm_forward", wrong, shapes, reverse=False)
