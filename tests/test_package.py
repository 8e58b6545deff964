"""The package as it is imported, and what `python -m lstm_attn` says."""

import os
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lstm_attn
from lstm_attn import __main__ as main
from lstm_attn import native
from lstm_attn.models import MODELS
from lstm_attn.tasks import TASKS

ROOT = Path(__file__).parent.parent


def test_parts_are_imported_when_they_are_asked_for():
    """Oracle: sys.modules in a fresh interpreter. Catches an import of all of JAX, and a part that
    is no attribute."""
    code = """
import sys, lstm_attn
assert not {"jax", "numpy", "flax", "lstm_attn.tasks"} & set(sys.modules)
assert "tasks" in dir(lstm_attn)
assert lstm_attn.tasks.adding(5).length == 5
assert "lstm_attn.studies" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_part_can_be_asked_for():
    """Oracle: the files of the package. Catches a new one that the table lacks."""
    there = {part.name for part in pkgutil.iter_modules(lstm_attn.__path__)}
    assert {*lstm_attn.__all__} == there - {"__main__", "files", "flat", "host", "plain_numbers"}
    for name in lstm_attn.__all__:
        assert getattr(lstm_attn, name).__name__ == f"lstm_attn.{name}"
    with pytest.raises(AttributeError, match="module 'lstm_attn' has no attribute 'task'"):
        lstm_attn.task  # noqa: B018


def test_type_hints_count_for_those_who_import():
    """Catches a wheel without py.typed, whose hints mypy ignores."""
    assert (ROOT / "lstm_attn" / "py.typed").exists()
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py.typed" in packaged["package-data"]["lstm_attn"]


@pytest.mark.parametrize(
    ("built", "line"),
    [(True, "of the LSTM in C++, built"), (False, "`python -m lstm_attn.native` builds it")],
)
def test_the_package_says_what_is_here(built, line, monkeypatch, capsys):
    """Oracle: by hand. Catches a device, a kernel, a model or a task that is not named."""
    monkeypatch.setattr(native, "available", lambda: built)
    assert main.main() == 0
    shown = capsys.readouterr().out
    for part in (lstm_attn.__version__, "device   cpu", line, *MODELS, *TASKS, "To begin"):
        assert part in shown


@pytest.mark.full
def test_what_it_says_to_begin_with_runs(tmp_path):
    """The lines themselves, in a process. Catches an example with a wrong name, or without a page."""
    subprocess.run(
        [sys.executable, "-c", main.IN_PYTHON],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert (tmp_path / "runs" / "first" / "report.html").exists()
