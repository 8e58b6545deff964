"""A hostile run folder: its strings are shown as text, and no file outside the folder is written.

Oracle: the page of the original folder, element by element.
"""

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from lstm_attn import report
from lstm_attn.errors import UsageError
from lstm_attn.report.tables import as_markdown
from lstm_attn.runs import RunFolder
from tests.report import (
    test_gradient_reach,
    test_horizon,
    test_language_model,
    test_length_generalisation,
    test_study_figures,
)
from tests.report.reading_html import Page
from tools.pages import readme

# Study -> a hand-made result of it; `inside` has names that are words of the program.
STUDIES = {
    "ablation": test_study_figures.ABLATION,
    "learning_rates": test_study_figures.RATES,
    "horizon": test_horizon.make_found(),
    "gradient_reach": test_gradient_reach.FOUND,
    "language_model": test_language_model.make_found(),
    "length_generalisation": test_length_generalisation.FOUND,
}
PAYLOADS = (
    "<script>alert(1)</script>", '" onload="alert(1)', "' onerror='alert(1)", "</style><b>", "</td>",
    "{{7*7}}{% raw %}", "javascript:alert(1)", "../../up/", "/etc/", "[red]x[/red]:smile:",
    "\x1b[31m\x1b]0;title\x07", "\n", "\0", "\u2028\u202e", "$\\frac{x$", "%s{}", "-->", "&lt;",
    "|a|", "](javascript:x)", "`", "y" * 100_000,
)  # fmt: skip


# Of the program; with others a figure has nothing to draw and is not there.
WORDS = ("inside", "above", "below", "models", "starts", "before", "after")


def hostile(value, known):
    """The value with each string but WORDS, equal strings alike, put between two of the payloads."""
    if isinstance(value, str) and value not in WORDS and not re.fullmatch(r"[\d ]+", value):
        number = known.setdefault(value, len(known))
        return (
            f"{PAYLOADS[number % len(PAYLOADS)]}{value}{PAYLOADS[(5 * number + 2) % len(PAYLOADS)]}"
        )
    if isinstance(value, dict):
        return {key: hostile(entry, known) for key, entry in value.items()}
    return [hostile(entry, known) for entry in value] if isinstance(value, list) else value


def copied(source, place, change):
    place.mkdir(parents=True)
    for path in source.glob("*.json"):
        (place / path.name).write_text(json.dumps(change(json.loads(path.read_text()))))
    if (source / "metrics.jsonl").exists():
        lines = map(json.loads, (source / "metrics.jsonl").read_text().splitlines())
        changed = [json.dumps({**line, "cell": change(line["cell"])}) + "\n" for line in lines]
        (place / "metrics.jsonl").write_text("".join(changed))
    return place


@pytest.fixture(scope="module")
def made(run_path, tmp_path_factory):
    """A folder of run folders: the hand-made grid, and each study's result in one of its own."""
    place = tmp_path_factory.mktemp("made")
    copied(run_path, place / "grid", lambda value: value)
    for name, result in STUDIES.items():
        folder = RunFolder.open(place / name, {"task": {"name": result.get("task", "several")}})
        device = {"kind": "a machine", "cores": 2, "vector_bits": 256}
        versions = {"jax": "0.10"}
        folder.begin({"started": "now", "commit": "none", "device": device, "versions": versions})
        folder.write_study(name, result)
    return place


def texts_alone(figure, file, format):
    """Instead of `Figure.savefig`: a figure is made but not rendered. Text in an image is no text of
    the page; that in a drawing is."""
    if format == "png":
        file.write(b"a figure")
        return
    root = ElementTree.Element("svg", viewBox="0 0 1 1")
    for text in figure.findobj(Text, include_self=False):
        if text.get_text():
            ElementTree.SubElement(root, "text", x="0").text = text.get_text()
    file.write(ElementTree.tostring(root, encoding="unicode"))


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", texts_alone)
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda self, figure: {})


def files_below(place):
    return {
        path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", ["grid", *STUDIES])
def test_a_page_has_the_elements_of_its_template_alone(name, made, tmp_path, without_figures):
    """Catches an unescaped string, in a cell, an attribute, a style or a file's name."""
    known = {}
    benign = copied(made / name, tmp_path / "benign" / "run", lambda value: value)
    evil = copied(made / name, tmp_path / "a" / "b" / "run", lambda value: hostile(value, known))
    before = files_below(tmp_path)
    expected, found = Page(report.write(benign)), Page(report.write(evil))
    assert len(expected.elements) > 50
    assert found.elements == expected.elements
    for key, value in found.attributes:
        if key in ("src", "href"):
            assert re.match(r"data:,$|#run-\d+$", value)
        if key == "style":
            assert re.fullmatch(r"--dot: var\(--c[0-9a-f]{6}\)|--rate: [\d.]+", value)
    text = (evil / "report.html").read_text()
    assert not re.search(r"[\0\x1b\x07\u2028\u202e]", text)
    written = files_below(tmp_path).keys() - before.keys()
    figures = {path for path in written if path.suffix == ".png"}
    runs = {Path("benign/run"), Path("a/b/run")}
    assert written == figures | {
        run / name for run in runs for name in ("report.html", "trials.csv")
    }
    assert {path.parent for path in figures} <= runs


def test_a_page_of_several_runs_has_the_elements_of_its_template_alone(
    made, tmp_path, without_figures
):
    """As above, for `write_several`, which also shows folders' names and writes to none of them."""
    known = {}
    places = [
        copied(made / "ablation", tmp_path / "benign" / "run", lambda value: value),
        copied(made / "ablation", tmp_path / '<b onload="x">', lambda v: hostile(v, known)),
    ]
    before = files_below(tmp_path)
    pages = [
        Page(report.write_several([place, made / "ablation"], tmp_path / "page.html"))
        for place in places
    ]
    assert pages[0].elements == pages[1].elements
    assert files_below(tmp_path).keys() - before.keys() == {Path("page.html")}


def test_a_link_in_the_folder_is_not_followed_out_of_it(run_path, tmp_path, without_figures):
    """Catches a report that overwrites the file to which a link in a foreign folder points."""
    outside = tmp_path / "precious"
    outside.write_text("kept")
    run = tmp_path / "run"
    shutil.copytree(run_path, run, ignore=shutil.ignore_patterns("*.png", "*.html", "*.csv"))
    for name in ("report.html", "trials.csv", "loss-adding-10.png"):
        (run / name).symlink_to(outside)
    page = report.write(run)
    assert outside.read_text() == "kept"
    assert "<!doctype html>" in page.read_text()


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "../", "a/b", "x\0"])
def test_a_cells_name_is_not_a_path(tmp_path, name):
    """Catches a cell's name in results.json that makes another file be read or written."""
    with pytest.raises(UsageError, match="expected the name of a cell"):
        RunFolder(tmp_path).checkpoint(name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("baseline", 0), ("baseline", float("nan")), ("seconds", float("inf")), ("length", True),
        ("parameters", 10**400), ("remember_rate", -1e300), ("steps", "3"), ("per_trial", [3]),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_drawn_is_one_line(run_path, tmp_path, key, value):
    """Catches a traceback from arithmetic."""
    run = tmp_path / "run"
    shutil.copytree(run_path, run, ignore=shutil.ignore_patterns("*.png", "*.html"))
    records = json.loads((run / "results.json").read_text())
    records[0][key] = value
    (run / "results.json").write_text(json.dumps(records))
    with pytest.raises(UsageError, match=r"results.json: (a trial of )?record 1") as caught:
        report.read(run)
    assert str(caught.value).isprintable()


def test_a_text_keeps_its_lines_and_nothing_else(tmp_path):
    """Oracle: by hand. Catches a language model's sample joined into one line, and terminal
    commands in it."""
    text = "one\n\ttwo\r\n\x1b[31m"
    assert report.harmless({"text": text, "a": [text]}) == {
        "text": "one\n\\ttwo\\r\n\\x1b[31m",
        "a": ["one\\n\\ttwo\\r\\n\\x1b[31m"],
    }
    assert len(report.harmless({"text": "y" * 10**6})["text"]) < 10**5


def test_json_nested_without_end_is_one_line(run_path, tmp_path):
    """Catches a RecursionError from the parser."""
    run = tmp_path / "run"
    shutil.copytree(run_path, run, ignore=shutil.ignore_patterns("*.png", "*.html"))
    (run / "environment.json").write_text('{"a":' + "[" * 10**6)
    with pytest.raises(UsageError, match="environment.json can't be read"):
        report.read(run)


def test_the_readme_shows_strings_as_they_are(made, tmp_path, without_figures):
    """Oracle: the original sections, with each character escaped that has a meaning in Markdown or
    HTML. Catches HTML or a link in the README, and torn tables."""
    known = {}

    def change(value):
        return hostile(value, known)

    for name in ("grid", "horizon", "gradient_reach", "length_generalisation"):
        copied(made / name, tmp_path / name, change)
    quick = readme.grid_section(RunFolder(tmp_path / "grid"))
    studies = "".join(
        readme.study_section(RunFolder(tmp_path / name))
        for name in ("horizon", "gradient_reach", "length_generalisation")
    )
    expected = readme.grid_section(RunFolder(made / "grid"))
    bare = re.sub(r'<img src="results/[^"<]*" width="\d+%" alt="[^"<]*">', "", quick + studies)
    bare = bare.replace("<br>", "\n")  # of a table; no payload has one
    assert not re.search(r"<(?=[a-zA-Z/!?])|(?<!\\)[\[\]`]", bare)
    assert quick.count("\n") == expected.count("\n")

    def columns(text):
        return [
            len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line[:1] == "|"
        ]

    assert columns(quick) == columns(expected)
    assert as_markdown("T < 60 & 5 > 3") == "T < 60 & 5 > 3"
