"""The README is true: its examples run, its table is that of the committed run."""

import re
import subprocess
import sys

import pytest

from tools.pages import readme

TEXT = readme.README.read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
# What must hold after each example, as an expression over its names.
PROMISES = (
    # It has learnt most of the answer: the baseline is 1/6.
    "len(losses) == 2 and max(losses) < 0.25 * result.records[0]['baseline']",
    "trained.history.steps_to_solve.shape == (8,)",
    "norms['inputs'].shape == (2, 64, 10)",
    "outputs.shape == (2, 5, 4) and state.h.shape == output.shape == (2, 4) "
    "and attended.shape == (2, 5, 2, 2)",
    "outputs.shape == (2, 5, 8) and carry.c.shape == (2, 8) "
    "and variables['params']['bias'][8:16].tolist() == [3.0] * 8",
    "outputs.shape == (2, 5, 8) and abs(outputs - nnx_lstm(inputs)).max() < 1e-6",
    "abs(stepped - outputs).max() < 1e-5 and losses.shape == (4,)",
    "models.count_parameters(model) > 0",
)


@pytest.mark.full
@pytest.mark.parametrize(("number", "promise"), list(enumerate(PROMISES)))
def test_an_example_runs_as_it_is(number, promise, tmp_path, compiled_quickly):
    """Catches a name, an argument or a shape that is no longer true."""
    code = f"{EXAMPLES[number]}\nassert {promise}\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir()), "an example wrote a file"


def test_every_example_is_run():
    """Catches an example without a condition."""
    assert len(EXAMPLES) == len(PROMISES)


def test_the_first_example_is_under_ten_lines():
    """Catches a first example that grows long."""
    assert len([line for line in EXAMPLES[0].splitlines() if line.strip()]) < 10


def test_the_figures_are_those_of_the_committed_runs():
    """Oracle: the files in results/. Catches a figure typed by hand or out of date."""
    for name, section in readme.sections().items():
        assert section in TEXT, name
    for source in re.findall(r'src="([^"]+)"', TEXT):
        assert (readme.ROOT / source).exists(), source


def test_links_lead_somewhere():
    """Catches a file that was moved."""
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        assert (readme.ROOT / target).exists(), target


def test_make_targets_that_the_readme_names_exist():
    """Catches a target that was renamed."""
    targets = re.findall(r"^([a-z-]+):", (readme.ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for name in re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", TEXT, flags=re.MULTILINE):
        assert "".join(name) in targets
