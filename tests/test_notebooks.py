"""The notebooks run from top to bottom, and are what their sources say."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbmake.nb_run import NotebookRun

from tests import PATIENCE

FOLDER = Path(__file__).parent.parent / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PICTURES = {"character_model": 3, "copy_and_adding": 6}


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_without_a_warning(name, monkeypatch, request):
    """Oracle: its own assertions, of identities and of results that hold on every processor, on
    which the end of a trial depends. Catches a name that was changed, a claim that became false, a
    warning, and a figure that is not shown."""
    # For the kernel, which is another process.
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", request.config.programs)
    found = NotebookRun(FOLDER / f"{name}.ipynb", PATIENCE).execute()
    assert found.error is None, found.error.trace
    outputs = [output for cell in found.nb.cells for output in cell.get("outputs", ())]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_its_figures_as_a_script_too(name):
    """Oracle: the source. Catches a figure that is the value of a cell, which a script does not show;
    a first cell that imports what it has to install; and a program compiled at every restart."""
    source = (FOLDER / f"{name}.py").read_text()
    assert source.count(".show()\n") == PICTURES[name]
    first, second = source.split("# %%\n")[1:3]
    assert "lstm_attn" not in re.findall(r"^(?:import|from) (\w+)", first, re.MULTILINE)
    assert 'if importlib.util.find_spec("lstm_attn") is None:' in first
    assert "training.use_compilation_cache()" in second


def test_each_notebook_is_its_source_without_outputs():
    """Oracle: jupytext's reading of the source. Catches a cell changed on one side alone, and
    outputs left by a run."""
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == NAMES
    for name in NAMES:
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        assert cells(notebook) == cells(jupytext.read(FOLDER / f"{name}.py"))
        for cell in notebook.cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
