"""The arrows of the house: a module imports only what is below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the top down; names on one line may not import each other unless they are the same part.
HOUSE = (
    ("examples", "notebooks"),
    ("experiments", "tools"),
    ("benchmarks",),
    ("configs",),
    ("lstm_attn.__main__",),
    ("lstm_attn.studies",),
    ("lstm_attn.report",),
    ("lstm_attn.runner",),
    ("lstm_attn.trained",),
    ("lstm_attn.runs",),
    ("lstm_attn.analysis",),
    ("lstm_attn.training",),
    ("lstm_attn.generation",),
    ("lstm_attn.models",),
    ("lstm_attn.model",),
    ("lstm_attn.model_config",),
    ("lstm_attn.modules",),
    ("lstm_attn.interop",),
    ("lstm_attn.tasks",),
    ("lstm_attn.ops",),
    ("lstm_attn.native",),
    ("lstm_attn.text",),
    ("lstm_attn.history",),
    ("lstm_attn.files", "lstm_attn.flat", "lstm_attn.host"),
    ("lstm_attn.errors",),
    ("lstm_attn.plain_numbers",),
)
LEVELS = {name: level for level, names in enumerate(HOUSE) for name in names}
# Benchmarks compare ours with Flax's own layers; an example writes a Flax layer of its own.
FLAX_AT = ("lstm_attn.modules", "lstm_attn.models", "lstm_attn.model", "benchmarks", "examples")
WITHOUT_JAX = (
    "lstm_attn.report",
    "lstm_attn.runs",
    "lstm_attn.interop",
    "lstm_attn.text",
    "lstm_attn.history",
    "lstm_attn.files",
    "lstm_attn.flat",
    "lstm_attn.host",
    "lstm_attn.errors",
    "lstm_attn.plain_numbers",
)
FOLDERS = ("examples", "notebooks", "experiments", "tools", "benchmarks", "configs", "lstm_attn")
FILES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def part_of(module):
    """The name in LEVELS that a module belongs to; None for other modules and the bare package."""
    return next((name for name in LEVELS if f"{module}.".startswith(f"{name}.")), None)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from lstm_attn import ops` imports the module, not a name of the package.
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if part_of(full) else node.module


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_run_downward(path):
    """Catches an arrow that points up, and Flax or JAX where they don't belong."""
    here = part_of(module_name(path))
    if here is None:
        assert module_name(path) == "lstm_attn"
        assert set(imports(path)) <= {"typing", "importlib"}, "importing lstm_attn must be cheap"
        return
    for imported in imports(path):
        there = part_of(imported)
        if there and there != here:
            assert LEVELS[there] > LEVELS[here], f"{here} imports {there}"
        if imported.split(".")[0] == "flax":
            assert here in FLAX_AT
        if imported.split(".")[0] in ("jax", "jaxlib"):
            assert here not in WITHOUT_JAX


@pytest.mark.parametrize("module", WITHOUT_JAX)
def test_reports_and_run_folders_come_without_jax(module):
    """Oracle: sys.modules in a fresh interpreter. Catches JAX brought in by another import."""
    code = f"import {module}, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_ops_come_without_flax():
    """Catches Flax brought in by another import."""
    code = "import lstm_attn.ops, sys; sys.exit('flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
