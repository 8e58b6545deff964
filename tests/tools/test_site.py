"""The site of `make docs`: it is whole, its API too, and nothing in it is fetched from elsewhere."""

import ast
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.test_notebooks import PICTURES
from tools.pages import ROOT, notebooks, site

PACKAGES = ("ops", "modules", "interop", "tasks", "training", "analysis", "studies", "report",
            "text", "native")  # fmt: skip
# Attributes that a browser loads by itself; <a href> is followed by a reader alone.
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src",
          "video": "src", "object": "data"}  # fmt: skip


@pytest.mark.parametrize(
    ("origin", "markdown", "expected"),
    [
        ("README.md", "[a](docs/start.md#top)", "[a](start.md#top)"),
        ("README.md", "[a](CONTRIBUTING.md)", "[a](contributing.md)"),
        ("docs/results/adding.md", "[a](../protocol.md)", "[a](../protocol.md)"),
        ("docs/results/adding.md", "[a](../../configs/adding.py)",
         "[a](../repository/configs/adding.py.md)"),
        ("docs/start.md", "[a](../README.md)", "[a](index.md)"),
        ("docs/start.md", '<img src="../results/memory.png">', '<img src="../results/memory.png">'),
        ("README.md", '<img src="results/benchmarks/memory.png" width="9%">',
         '<img src="repository/results/benchmarks/memory.png" width="9%">'),
        ("README.md", "[a](https://x.org/README.md) [b](#here) f[0](x)",
         "[a](https://x.org/README.md) [b](#here) f[0](x)"),
    ],
)  # fmt: skip
def test_an_address_in_the_site(origin, markdown, expected):
    """Oracle: by hand, for files that are there; what is not there is left for mkdocs to refuse.
    Catches an address from another folder, a lost anchor, and another host's taken for a file."""
    assert site.in_site(markdown, origin)[0] == expected


def test_a_text_with_fences_stays_one_block(monkeypatch, tmp_path):
    """Catches a fence in a file that ends the block of its page."""
    monkeypatch.setattr(site, "ROOT", tmp_path)
    (tmp_path / "x.py").write_text('"""\n```python\n1\n```\n"""')
    assert site.as_page("x.py").endswith('\n````python\n"""\n```python\n1\n```\n"""\n````\n')


class Addresses(HTMLParser):
    """ids: of all elements. loaded: what a browser fetches. linked: what a reader may follow."""

    def __init__(self):
        super().__init__()
        self.ids, self.loaded, self.linked = set(), [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids.add(values.get("id"))
        address = values.get(LOADED.get(tag))
        if address and values.get("rel") not in ("prev", "next", "canonical"):
            self.loaded.append(address)
        if tag == "a" and values.get("href"):
            self.linked.append(values["href"])


@pytest.fixture(scope="module")
def executed(request):
    """Name -> the notebook, executed anew, with a warning as an error; the site shows it."""
    shutil.rmtree(notebooks.KEPT, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:  # for the kernel, which is another process
        patch.setenv("PYTHONWARNINGS", "error")
        patch.setenv("JAX_COMPILATION_CACHE_DIR", request.config.programs)
        return {name: notebooks.executed(name) for name in notebooks.names()}


@pytest.fixture(scope="module")
def built(tmp_path_factory, executed):
    """Page -> its addresses, of the site built with --strict; and the folder."""
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    pages = {}
    for path in folder.rglob("*.html"):
        pages[path] = Addresses()
        pages[path].feed(path.read_text())
    return folder, pages


@pytest.mark.full
@pytest.mark.parametrize("name", PICTURES)
def test_a_notebook_runs_without_a_warning(name, executed):
    """Oracle: its own assertions, of identities and of results that hold on every processor, on
    which the end of a trial depends. Catches a name that was changed, a claim that became false, a
    warning, and a figure that is not shown."""
    outputs = [output for cell in executed[name].cells for output in cell.get("outputs", ())]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES[name]


@pytest.mark.full
def test_nothing_is_fetched_from_another_host(built):
    """Oracle: the addresses in every page and style. Catches fonts, scripts and badges of a CDN."""
    folder, pages = built
    assert len(pages) > 30
    for path, page in pages.items():
        for address in page.loaded:
            assert not urlsplit(address).netloc, (path, address)
    for path in folder.rglob("*.css"):
        for address in re.findall(
            r"url\(['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", path.read_text()
        ):
            assert not urlsplit("".join(address)).netloc, (path, address)


@pytest.mark.full
def test_every_link_and_picture_is_in_the_site(built):
    """Oracle: the built files and the ids in them. Catches a link out of the site, a picture that
    was not copied, and an anchor that no heading has."""
    folder, pages = built
    for path, page in pages.items():
        if path.name == "404.html":  # made for the root of a server
            continue
        for address in (*page.loaded, *page.linked):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_relative_to(folder.resolve()), (path, address)
            assert target.exists(), (path, address)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids | {"__top"}, (path, address)


@pytest.mark.full
def test_the_api_has_every_public_function_and_class(built):
    """Oracle: __all__ of each package. Catches a function that shares its name with its file, which
    mkdocstrings takes for a module, and a package that no page shows."""
    ids = set().union(*(page.ids for page in built[1].values()))
    for package in PACKAGES:
        source = ROOT / "lstm_attn" / package / "__init__.py"
        (names,) = (
            ast.literal_eval(node.value)
            for node in ast.parse(source.read_text()).body
            if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
        )
        for name in names:
            here = f"lstm_attn.{package}.{name}"
            if _is_documented(source.parent, name):
                assert {here, f"{here}.{name}"} & ids, here


def _is_documented(folder, name):
    """Whether the file of that name, or else some file of the package, defines a function or class
    of that name with a docstring; constants, types and modules have none."""
    own = folder / f"{name}.py"
    for path in [own] if own.exists() else folder.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return ast.get_docstring(node) is not None
    return False
