"""Whatever keeps the kernel away, it is "not there", and everything else works."""

import pwd
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_attn import modules, native, ops, training
from lstm_attn.errors import UsageError
from lstm_attn.native import __main__ as command
from lstm_attn.native import library
from lstm_attn.ops import native_kernels
from lstm_attn.ops.dispatch import RECURRENT_IMPLEMENTATIONS
from tests import oracles
from tests.ops import test_gru, test_lstm

PORTABLE = [name for name in RECURRENT_IMPLEMENTATIONS if name not in ("auto", "native")]


@pytest.fixture(autouse=True)
def of_this_machine(monkeypatch, tmp_path):
    """A machine on which the kernel was never asked for, with an empty cache folder."""
    monkeypatch.setattr(library, "load", library.load.__wrapped__)
    monkeypatch.setattr(native, "available", library.available)
    for module in ("lstm", "attention"):
        monkeypatch.setattr(f"lstm_attn.native.{module}.load", library.load)
    monkeypatch.setattr(command, "load", library.load)
    for name in ("CXX", "CXXFLAGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    native_kernels.warn_not_built.cache_clear()


def no_home(patch, place):
    def nobody(number):
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME"):
        patch.delenv(name, raising=False)
    patch.setattr(pwd, "getpwuid", nobody)


def home_is_a_file(patch, place):
    (place / "file").touch()
    patch.setenv("XDG_CACHE_HOME", str(place / "file"))


def folder_cant_be_read(patch, place):
    def refuse(self, **options):
        raise PermissionError(13, "Permission denied", str(self))

    patch.setattr(Path, "exists", refuse)


def a_library(content):
    def put(patch, place):
        native.library_path().parent.mkdir(parents=True)
        native.library_path().write_bytes(content)

    return put


def registration_fails(patch, place):
    a_library(Path(sys.modules["_ctypes"].__file__).read_bytes())(patch, place)
    patch.setattr(library, "TARGETS", ("PyInit__ctypes",))

    def refuse(*arguments, **options):
        raise jax.errors.JaxRuntimeError("ALREADY_EXISTS: another handler has this name")

    patch.setattr(jax.ffi, "register_ffi_target", refuse)


def sources_are_missing(patch, place):
    module = sys.modules["lstm_attn.native.build"]
    module._digest.cache_clear()
    patch.setattr(module, "SOURCE", place / "none")


OBSTACLES = {
    "no home": no_home,
    "home is a file": home_is_a_file,
    "the folder can't be read": folder_cant_be_read,
    "nothing is there": lambda patch, place: None,
    "no library": a_library(b"no library"),
    "an empty file, of a full disk": a_library(b""),
    "another library": lambda patch, place: a_library(Path(sys.modules["_ctypes"].__file__).read_bytes())(patch, place),
    "JAX refuses it": registration_fails,
    "sources are missing": sources_are_missing,
}  # fmt: skip


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_an_obstacle_is_an_absence(obstacle, tmp_path, monkeypatch):
    """Oracle: the articles' equations in float64. Catches a traceback out of `ops.lstm`, and a run that is
    silent about why it is slow."""
    obstacle(monkeypatch, tmp_path)
    assert not native.available()
    case = test_lstm.random_case(0, 2, 3, 2, 4, np.float32)
    params, inputs, state = jax.tree.map(jnp.asarray, case)
    with pytest.warns(UserWarning, match="without their C\\+\\+ kernels"):
        outputs, _ = ops.lstm(params, inputs, state)
    expected, *_ = oracles.lstm(*case[0], case[1], *case[2])
    oracles.assert_close(outputs, expected, 2 + 4, steps=3)
    with pytest.raises(UsageError, match="expected the kernel") as caught:
        ops.lstm(params, inputs, state, implementation="native")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("implementation", PORTABLE)
def test_who_names_another_implementation_never_looks_for_the_kernel(implementation, monkeypatch):
    """Oracle: a kernel that must not be asked for. Catches an obstacle that is evaluated for
    nothing, which may be slow or fail."""

    def asked():
        raise AssertionError("the kernel was looked for")

    monkeypatch.setattr(native, "available", asked)
    monkeypatch.setattr(native_kernels, "obstacle", lambda inputs: asked())
    params, inputs, state = jax.tree.map(
        jnp.asarray, test_lstm.random_case(0, 2, 3, 2, 4, np.float32)
    )
    ops.lstm(params, inputs, state, implementation=implementation)
    modules.LSTM(4, implementation=implementation).init(jax.random.key(0), inputs)
    with pytest.raises(AssertionError, match="looked for"):
        ops.lstm(params, inputs, state)
    params, inputs, state = jax.tree.map(
        jnp.asarray, test_gru.random_case(0, 2, 3, 2, 4, np.float32)
    )
    ops.gru(params, inputs, state, implementation=implementation)
    ops.gru(params, inputs, state)


# What a compiler does, as a script, and what the one line says of it.
COMPILERS = {
    "none": ("", "no C++ compiler found, looked for no-such-compiler"),
    "fails": ('echo "lstm.cc:1: error: no space left" >&2; exit 1', "failed: lstm.cc:1: error: no space left"),
    "fails silently": ("exit 1", "failed: no message"),
    "speaks no UTF-8": (r"printf '\344rror: \377' >&2; exit 1", "failed:"),
    "writes nothing": ("exit 0", "wrote no library"),
    "writes text": ('for last; do :; done; echo text > "$last"', "wrote no library"),
    "is killed": ("kill -9 $$", "failed: no message"),
    "is no program": (None, "can't be run"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "message"), COMPILERS.values(), ids=COMPILERS)
def test_a_compiler_that_does_not_compile_is_one_line(
    script, message, tmp_path, monkeypatch, capsys
):
    """Oracle: the status, the line and the folder. Catches a traceback, a status without a reason,
    and a file that the next process would load."""
    program = tmp_path / "no-such-compiler"
    if script != "":
        program.write_text("text\n" if script is None else f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program) if script != "" else "no-such-compiler")
    assert command.main() == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("native: ")
    assert message in lines[0]
    assert not native.available()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [program][: script != ""]


def test_without_a_home_nothing_is_compiled(tmp_path, monkeypatch, capsys):
    """Catches a traceback, and a line that does not say what helps."""
    no_home(monkeypatch, tmp_path)
    assert command.main() == 2
    assert capsys.readouterr().err == (
        "native: this user has no home folder; set HOME or XDG_CACHE_HOME to a folder\n"
    )


@pytest.mark.parametrize("flags", ["", "-Wall", '-I"/a b" -DNAME=c'])
def test_a_command_and_its_flags_may_have_arguments(flags, tmp_path, monkeypatch):
    """Oracle: what a program is given, as written here. Catches a command of two words that is
    looked for as one, flags of one word, and flags that override ours."""
    noted = tmp_path / "noted"
    wrapper = tmp_path / "wrap it"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {noted}\nexit 1\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CXX", f"'{wrapper}' g++ -m64")
    monkeypatch.setenv("CXXFLAGS", flags)
    with pytest.raises(UsageError, match="wrap it failed"):
        native.build()
    given = noted.read_text().splitlines()
    expected = {"": [], "-Wall": ["-Wall"], '-I"/a b" -DNAME=c': ["-I/a b", "-DNAME=c"]}[flags]
    assert given[: 2 + len(expected)] == ["g++", "-m64", *expected]
    assert given[2 + len(expected)] == "-std=c++20"


def test_the_compilation_cache_too_is_an_absence(tmp_path, monkeypatch):
    """Catches a study that ends in a traceback, or whose note is more than a line."""
    before = jax.config.jax_compilation_cache_dir
    no_home(monkeypatch, tmp_path)
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        assert training.use_compilation_cache() == (
            "no compilation cache: this user has no home folder; set HOME or XDG_CACHE_HOME to a "
            "folder"
        )
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
