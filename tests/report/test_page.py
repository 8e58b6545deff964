"""The page: self-contained, escaped, and whole in a real browser."""

import html
import json
import re
import shutil
import subprocess

import pytest

from lstm_attn import report
from lstm_attn.report.page import subject
from tests import PATIENCE

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PHONE_WIDTH = 500  # the narrowest window that headless Chromium makes
# 4 learning curves, 2 shares, 2 rates, 2 recall, 4 survival, 1 of tuning; 2 verdicts, costs, 2 at the
# same seconds, config, environment, tests of pairs, tuning.
FIGURES, TABLES = 15, 9
PROBE = """
<script>
addEventListener("load", () => {
  const drawings = [...document.querySelectorAll("svg")];
  document.documentElement.dataset.probe = JSON.stringify({
    tables: document.querySelectorAll("table").length,
    empty: [...document.querySelectorAll("table")].filter(t => !t.querySelector("tbody tr")).length,
    figures: drawings.length,
    broken: drawings.filter(d => !(d.clientHeight > 100 && d.querySelector("text"))).length,
    heading: document.querySelector("h2").textContent,
    overflow: document.documentElement.scrollWidth - innerWidth,
    scripts: document.scripts.length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def page(run_path):
    return report.write(run_path)


def test_the_page_needs_no_network(page):
    """Catches an image, style or script that is fetched, and unescaped text."""
    text = page.read_text()
    assert not re.search(r"https?://|//cdn", text)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert all(address.startswith(("data:", "#f")) for address in addresses)
    assert text.count("<script") == 1
    assert "<img" not in text
    assert "&lt;script&gt;" in text  # the commit of the hand-made run


def test_the_folder_has_the_same_figures_as_files(page):
    """Catches a figure that is only on the page."""
    files = sorted(path.name for path in page.parent.glob("*.png"))
    assert len(files) == FIGURES
    assert "loss-adding-10.png" in files
    assert all(path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for path in page.parent.glob("*.png"))


def test_a_diverged_trial_is_named(page):
    """Catches a divergence that shows only as a number."""
    assert "copy-50-lstm, seed 3, learning rate 0.01: by step 200" in page.read_text()


def probed_in_a_browser(page, tmp_path, width, probe=PROBE, flag="--hide-scrollbars"):
    """What a probe at the end of the page finds; the browser does not complain."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; .ci/run installs it")
    probed = tmp_path / "report.html"
    probed.write_text(page.read_text().replace("</body>", probe + "</body>"))
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update "
        "--enable-logging=stderr --virtual-time-budget=5000 --dump-dom"
    )
    result = subprocess.run(
        [CHROMIUM, *flags.split(), flag, f"--user-data-dir={tmp_path / 'profile'}",
         f"--window-size={width},1600", probed.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    found = re.search(r'data-probe="([^"]*)"', result.stdout)
    assert found, result.stderr
    assert "CONSOLE" not in result.stderr
    return json.loads(html.unescape(found[1]))


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, PHONE_WIDTH])
def test_the_page_in_a_real_browser(page, tmp_path, width):
    """Oracle: Chromium. Catches a broken figure, an empty table, a console error, and a page
    wider than a phone."""
    assert probed_in_a_browser(page, tmp_path, width) == {
        "tables": TABLES,
        "empty": 0,
        "figures": FIGURES,
        "broken": 0,
        "heading": "Verdict",
        "overflow": 0,
        "scripts": 2,
    }


SORTED = """
<table class="sorts"><thead><tr><th>name</th><th>x</th></tr></thead><tbody>%s</tbody></table>
<script>
addEventListener("load", () => {
  const tables = [...document.querySelectorAll("table.sorts")], table = tables[tables.length - 1];
  const button = table.querySelectorAll("th button")[1], seen = [];
  for (let click = 0; click < 4; click++) {
    const heading = table.querySelectorAll("th")[1];
    seen.push([heading.getAttribute("aria-sort"), [...table.tBodies[0].rows].map(r => r.cells[0].textContent)]);
    button.click();
  }
  button.focus();
  document.documentElement.dataset.probe = JSON.stringify({seen, focused: document.activeElement === button});
});
</script>
"""
# Of each column: cells as pages have them, from the least to the greatest; without a value last.
COLUMNS = {
    "counts": ["0/16<small>.00–.19</small>", "3/16 (.05–.57)", "1/4", "9/16", "16/16\n.81–1.00", "–"],
    "numbers": ["−1,200\n−1,500 to −800", "-0.5", "< 0.001", ".98 (.81–1.00)", "9", "10+", "1,024", "≥ 2000"],
    "powers": ["1e-05", "0.003, chrono", "0.03", "0.3", ""],
    "words": ["adding-8-lstm", "adding-24-gru", "adding-24-lstm", "copy-8-gru", "–"],
    "few without": ["1.5", "2.5", "10.0", "div."],
}  # fmt: skip


@pytest.mark.full
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_sorted_by_what_it_says(page, tmp_path, name):
    """Oracle: the order by hand. Catches numbers in the order of their letters, an interval taken for
    the number, no value before the least, an order that does not come back, and a heading that
    the keyboard can't reach."""
    cells = COLUMNS[name]
    known = [place for place, cell in enumerate(cells) if cell not in ("–", "", "div.")]
    without = [place for place in range(len(cells)) if place not in known]
    mixed = [*range(len(cells))][::2] + [*range(len(cells))][1::2]
    rows = "".join(f"<tr><th>{place}</th><td>{cells[place]}</td></tr>" for place in mixed)
    place = tmp_path / "sorted.html"
    place.write_text(page.read_text().replace("</main>", SORTED % rows + "</main>"))
    found = probed_in_a_browser(place, tmp_path, 1280, "")
    orders = [mixed, known + without, known[::-1] + without, mixed]
    directions = ["none", "ascending", "descending", "none"]
    assert found["seen"] == [
        [direction, list(map(str, order))]
        for direction, order in zip(directions, orders, strict=True)
    ]
    assert found["focused"]


HINTS = """
<script>
addEventListener("load", () => setTimeout(() => {
  const boxes = [...document.querySelectorAll(".scroll")];
  document.documentElement.dataset.probe = JSON.stringify(boxes.map(box => [
    box.scrollWidth > box.clientWidth + 1, !box.previousElementSibling.hidden, box.tabIndex === 0]));
}, 500));
</script>
"""


@pytest.mark.full
def test_a_table_that_goes_on_sideways_says_so(page, tmp_path):
    """Oracle: the browser's own measure of each table. Catches a hint that is always there, or never,
    and a table that the keyboard can't scroll."""
    found = probed_in_a_browser(page, tmp_path, PHONE_WIDTH, HINTS)
    assert {goes_on for goes_on, *_ in found} == {True, False}
    assert all(goes_on == hint == reachable for goes_on, hint, reachable in found)


@pytest.mark.full
def test_a_dark_page_is_dark(page, tmp_path):
    """Oracle: what the browser paints. Catches a dark page with the ink or the card of a light one, in
    text and in figures."""
    probe = """
    <script>addEventListener("load", () => {
      const color = (what, property) => getComputedStyle(document.querySelector(what))[property];
      document.documentElement.dataset.probe = JSON.stringify([color("body", "color"),
        color("body", "backgroundColor"), color(".card", "backgroundColor"), color("svg text", "fill")]);
    });</script>"""
    light = probed_in_a_browser(page, tmp_path, 1280, probe)
    dark = probed_in_a_browser(
        page, tmp_path, 1280, probe, "--blink-settings=preferredColorScheme=0"
    )

    def brightness(color):
        return sum(map(int, re.findall(r"\d+", color)[:3])) / 3

    assert [brightness(color) < 100 for color in light] == [True, False, False, True]
    assert [brightness(color) < 100 for color in dark] == [False, True, True, False]


def test_a_title_names_models_and_tasks():
    """By hand. Catches the same title for every page."""
    records = [
        {"model": model, "task": task} for model in ("lstm", "gru") for task in ("adding", "copy")
    ]
    assert subject(records) == "lstm and gru on adding and copy"
    many = [{"model": f"m{number}", "task": "adding"} for number in range(9)]
    assert subject(many) == "m0, m1, m2, m3, m4, m5 and 3 more on adding"
    assert subject([]) == ""


def test_pages_have_titles_of_their_own(page, page_of_two):
    """Catches a title without the name of the run, and one of two runs that names one."""
    titles = [re.search("<title>(.*)</title>", one.read_text())[1] for one in (page, page_of_two)]
    first = "lstm and transformer on adding and copy – "
    assert titles[0] == f"{first}made"
    assert titles[1].startswith(first)
    assert titles[1].count(" on ") == 2


def test_a_key_breaks_between_its_words(page):
    """Catches "learni-ng_rates" on a phone."""
    html = page.read_text()
    assert '<th scope="row">training.<wbr>seeds</th>' in html
    assert '<th scope="row">device.<wbr>vector_<wbr>bits</th>' in html
    css = html[html.index("<style>") : html.index("</style>")]
    (rule,) = re.findall(r"\.pairs th \{([^}]*)\}", css)
    assert "overflow-wrap" not in rule


HOSTILE = '<script>alert("$x$")</script>'


@pytest.fixture(scope="module")
def hostile_path(run_path, tmp_path_factory):
    """The hand-made run, with a model, a task and a setting whose names are HTML, mathematics and a
    path out of the folder."""
    folder = tmp_path_factory.mktemp(HOSTILE.replace("/", "")) / "made"
    folder.mkdir()
    for path in run_path.glob("*.json*"):
        text = path.read_text().replace("transformer", HOSTILE.replace('"', '\\"'))
        (folder / path.name).write_text(text.replace('"copy"', '"../copy"'))
    return folder


@pytest.fixture(scope="module")
def page_of_two(run_path, hostile_path, tmp_path_factory):
    """Both runs, and a comparison of one cell."""
    rate = {"remembers": 1, "trials": 2, "remember_rate_low": 0.1, "remember_rate_high": 0.9}
    difference = {"value": 0.5, "low": -0.2, "high": 0.8, "within_noise": True}
    cell = {
        "first": rate, "second": rate, "paired": False, "remember_rate": difference, "steps": None
    }  # fmt: skip
    compared = {
        "first": "one", "second": HOSTILE, "left_out": [HOSTILE],
        "cells": [
            {"cell": HOSTILE, "compared": cell, "tests": [{"p": 1.0, "trials": 2, "verdict": None}]}
        ],
        "settings": [{"key": HOSTILE, "first": HOSTILE, "second": "1"}],
    }  # fmt: skip
    page = tmp_path_factory.mktemp("two") / "page.html"
    return report.write_several([run_path, hostile_path], page, [compared])


@pytest.mark.full
@pytest.mark.parametrize("width", [1280, PHONE_WIDTH])
def test_a_page_of_two_runs_in_a_real_browser(page_of_two, tmp_path, width):
    """Oracle: Chromium. Catches a section with the other run's figures, unescaped names from a
    folder, and a page wider than a phone."""
    assert probed_in_a_browser(page_of_two, tmp_path, width) == {
        "tables": 2 * TABLES + 2,
        "empty": 0,
        "figures": 2 * FIGURES + 1,
        "broken": 0,
        "heading": f"{HOSTILE} compared with one",
        "overflow": 0,
        "scripts": 2,
    }


def test_runs_of_one_name_are_told_apart_by_their_paths(page_of_two, run_path, hostile_path):
    """Catches two runs under one heading."""
    text = page_of_two.read_text()
    assert f'<a href="#run-1">{run_path}</a>' in text
    assert f'<a href="#run-2">{html.escape(str(hostile_path), quote=False)}'.split('"$')[0] in text
    assert report.labels([run_path, "a/b", "c/d"]) == ["made", "b", "d"]


@pytest.mark.full
def test_figures_stay_in_their_folder(hostile_path):
    """Catches a name in a config that puts a figure outside of the folder."""
    before = set(hostile_path.parent.iterdir())
    report.write(hostile_path)
    assert (hostile_path / "loss-..-copy-10.png").exists()
    assert set(hostile_path.parent.iterdir()) == before


def test_a_run_without_copy_has_no_recall_section(run_path, tmp_path):
    """Catches an empty heading, and a page that needs both tasks."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder)
    results = [
        r for r in json.loads((folder / "results.json").read_text()) if r["task"] == "adding"
    ]
    (folder / "results.json").write_text(json.dumps(results))
    assert "recalled position" not in report.write(folder).read_text()


@pytest.mark.full
def test_a_task_of_symbols_with_one_answer_has_no_recall_section(run_path, tmp_path):
    """Oracle: parity, whose chance is .5 and which measures accuracy alone. Catches a report that
    requires the accuracy by position from every task of symbols."""
    folder = tmp_path / "run"
    shutil.copytree(run_path, folder, ignore=shutil.ignore_patterns("*.png", "*.html"))
    for name in ("config.json", "results.json", "metrics.jsonl"):
        text = (folder / name).read_text().replace("copy", "parity").replace("0.125", "0.5")
        (folder / name).write_text(re.sub(r', "accuracy_by_position": \[.*\]\]', "", text))
    assert "accuracy_by_position" not in (folder / "metrics.jsonl").read_text()
    html = report.write(folder).read_text()
    assert "Exact: criterion of parity." in html
    assert "recalled position" not in html
    assert (folder / "loss-parity-10.png").exists()
