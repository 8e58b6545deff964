"""README and docs are true: examples run, figures are those of the committed runs, links lead
somewhere."""

import re
import subprocess
import sys

import pytest

from tools.pages import ROOT, from_page, readme

TESTED_ELSEWHERE = ("docs/scaling.md",)  # in tests/tools/test_scaling_page.py
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (readme.README, ROOT / "CONTRIBUTING.md", *sorted(readme.DOCS.rglob("*.md")))
}
EXAMPLES = {
    page: re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for page, text in PAGES.items()
    if page not in TESTED_ELSEWHERE
}
# What must hold after each example, as an expression over its names.
PROMISES = {
    "README.md": (
        # It has learnt something, and says so.
        "report.verdict(result.records, 'adding') == 'lstm and gru remember at T = 20.'",
        "outputs.shape == (2, 5, 4) and state.h.shape == (2, 4)",
    ),
    "docs/start.md": (
        # It has learnt most of the answer: the baseline is 1/6.
        "len(losses) == 2 and max(losses) < 0.25 * result.records[0]['baseline']",
        "trained.history.steps_to_remember.shape == (4,)",
        "norms['inputs'].shape == (2, 64, 10)",
    ),
    "docs/functions.md": (
        "outputs.shape == (2, 5, 4) and state.h.shape == output.shape == (2, 4) "
        "and attended.shape == (2, 5, 2, 2)",
        "outputs.shape == (2, 5, 8) and carry.c.shape == (2, 8) "
        "and variables['params']['bias'][8:16].tolist() == [3.0] * 8",
        "outputs.shape == (2, 5, 8) and abs(outputs - nnx_lstm(inputs)).max() < 1e-6",
        "abs(stepped - outputs).max() < 1e-5 and losses.shape == (4,)",
    ),
    "docs/tasks.md": ("(task.shortest, task.length, longer.length) == (2, 40, 500)",),
    "docs/extending.md": (
        "models.count_parameters(model) > 0",
        "accuracy.shape == (2,) and accuracy.min() > 0.9",  # a guess is right half of the time
        # The mean of the targets, which needs no memory, has a loss of 1/6.
        "losses.shape[1] == 2 and losses[-1].max() < losses[0].max() + 0.1",
    ),
}


@pytest.mark.full
@pytest.mark.parametrize(
    ("page", "number"),
    [(page, number) for page, promises in PROMISES.items() for number in range(len(promises))],
)
def test_an_example_runs_as_it_is(page, number, tmp_path, compiled_quickly):
    """Catches a name, an argument or a shape that is no longer true, and an example that learns
    nothing."""
    code = f"{EXAMPLES[page][number]}\nassert {PROMISES[page][number]}\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir()), "an example wrote a file"


def test_every_example_is_run():
    """Catches an example without a condition."""
    found = {page: len(examples) for page, examples in EXAMPLES.items() if examples}
    assert found == {page: len(promises) for page, promises in PROMISES.items()}


def test_the_readme_is_short():
    """Catches a README that grows into the docs, and a first example of more than ten lines."""
    assert len(PAGES["README.md"].splitlines()) <= 150
    assert len([line for line in EXAMPLES["README.md"][0].splitlines() if line.strip()]) <= 10


def test_the_figures_are_those_of_the_committed_runs():
    """Oracle: the files in results/. Catches a figure typed by hand or out of date, and a section
    that no page shows."""
    sections = readme.sections()
    shown = [name for names in readme.PAGES.values() for name in names]
    assert set(sections) <= set(shown)
    for page, names in readme.PAGES.items():
        for name in names:
            if name in sections:
                assert from_page(sections[name], page) in page.read_text(), name


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    """Catches a file that was moved, and a picture that is missing or named from another folder."""
    folder = (ROOT / page).parent
    prose = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose) + re.findall(r'src="([^"]+)"', prose):
        assert (folder / target).exists(), target


def test_every_address_is_one_that_someone_has():
    """Oracle: the list here. Catches an invented address, and a badge that nothing is behind."""
    for page, text in PAGES.items():
        assert not re.findall(r"https?://\S+", text), page


def test_make_targets_that_the_pages_name_exist():
    """Catches a target that was renamed."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for page, text in PAGES.items():
        named = re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", text, flags=re.MULTILINE)
        for name in named:
            assert "".join(name) in targets, page
