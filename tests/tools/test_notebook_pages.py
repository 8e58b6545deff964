"""Notebooks as pages: what a cell shows is on the page, and formulas are pictures that need no
network."""

import base64
from xml.etree import ElementTree

import nbformat
import pytest

from tools.pages import notebooks, site

PIXEL = base64.b64encode(b"a picture").decode()


def stream(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


@pytest.fixture
def executed(monkeypatch):
    """A notebook with known outputs instead of one that is executed."""
    cells = [
        nbformat.v4.new_markdown_cell("# Title\n\nso $x^2$ and `$HOME`\n$$a + b$$"),
        nbformat.v4.new_code_cell(
            "print(1)",
            outputs=[
                stream("one\n"), stream("two ```\n"),
                nbformat.v4.new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"}),
                stream("three\n"),
                nbformat.v4.new_output("execute_result", {"text/plain": "(2, 5)"}),
            ],
        ),
        nbformat.v4.new_code_cell("x = 1"),
    ]  # fmt: skip
    made = nbformat.v4.new_notebook(cells=cells, metadata={"seconds": 12.6})
    monkeypatch.setattr(notebooks, "executed", lambda name: made)


def test_a_page_has_text_code_and_what_it_shows_in_order(executed):
    """Oracle: by hand. Catches outputs that are lost or come before their code, printed lines in boxes
    of their own, a fence that ends in an output, and a claim of time from elsewhere."""
    page = notebooks.page("made")
    parts = [
        "# Title", "```python\nprint(1)\n```", "````text\none\ntwo ```\n````",
        '<img src="made-1-1.png"', "```text\nthree\n```", "```text\n(2, 5)\n```",
        "```python\nx = 1\n```", "Executed in 13 seconds",
    ]  # fmt: skip
    places = [page.text.index(part) for part in parts]
    assert places == sorted(places)
    assert page.files["made-1-1.png"] == b"a picture"
    assert "<Figure>" not in page.text


def test_a_formula_is_a_picture_with_its_source_as_text(executed):
    """Oracle: the formulas put in. Catches dollar signs on the page, and code taken for a formula."""
    page = notebooks.page("made")
    formulas = [name for name in page.files if name.startswith("formula-")]
    assert len(formulas) == 2
    for name, source in zip(formulas, ("x^2", "a + b"), strict=True):
        assert f'<img class="formula" src="{name}" alt="{source}">' in page.text
        assert ElementTree.fromstring(page.files[name]).tag.endswith("svg")
        assert b"#ffffff" not in page.files[name]  # a dark page shows it in white
    assert "`$HOME`" in page.text
    assert page.text.count("$") == 1


@pytest.mark.parametrize("name", notebooks.names())
def test_every_formula_of_a_notebook_can_be_drawn(name):
    """Oracle: matplotlib's parser. Catches a command of LaTeX that it does not know."""
    files = {}
    notebook = nbformat.read(notebooks.ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    texts = [
        notebooks.with_maths(cell.source, files)
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    ]
    assert files
    assert "$" not in "".join(texts)


def test_both_files_of_a_notebook_are_its_page():
    """By hand. Catches a link to the source where the reader expects the outputs."""
    for end in ("py", "ipynb"):
        text = f"[a](../notebooks/character_model.{end})"
        assert site.in_site(text, "docs/start.md")[0] == "[a](notebooks/character_model.md)"
    text = "[b](copy_and_adding.ipynb)"
    assert site.in_site(text, "notebooks/character_model.py")[0] == "[b](copy_and_adding.md)"
