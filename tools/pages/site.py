"""A hook of mkdocs: README, CONTRIBUTING, CHANGELOG and the notebooks are pages too, and every file
of the repository that a page links to or shows is in the site, so that no link leads out of it.

The pages of docs/ name such a file as it is from there, `../lstm_attn/models.py`, which is right in
a clone; here it becomes a page of the site with the file's text, or for a picture its copy.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))  # mkdocs reads this file alone

from tools.pages import notebooks  # noqa: E402

# Files outside docs/ -> their pages.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# Both files of a notebook are one page, with its outputs.
NOTEBOOKS = tuple(
    f"{notebooks.FOLDER}/{name}.{end}" for name in notebooks.names() for end in ("py", "ipynb")
)
OTHERS = "repository/"  # where all other files are
COPIED = (".png", ".svg", ".ipynb")
# Of Markdown links and of pictures in HTML: what is before the address, address, anchor, end.
ADDRESS = re.compile(r'(\]\(|src=")([^)"#\s]+)(#[^)"\s]*)?([)"])')


def address_in_site(path: str) -> str | None:
    """Where a file of the repository is among the sources of the site; None if there is no file."""
    if path in PAGES:
        return PAGES[path]
    if path in NOTEBOOKS:
        return f"{os.path.splitext(path)[0]}.md"
    if not (ROOT / path).is_file():
        return None
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{OTHERS}{path}" if path.endswith(COPIED) else f"{OTHERS}{path}.md"


def in_site(markdown: str, origin: str) -> tuple[str, set[str]]:
    """A page's text with addresses as in the site, and the files of the repository it refers to.

    Args:
      origin: the page's own path in the repository.
    """
    here = os.path.dirname(address_in_site(origin) or "")
    referred = set()

    def moved(match: re.Match) -> str:
        before, address, anchor, end = match.groups()
        path = os.path.normpath(os.path.join(os.path.dirname(origin), address))
        there = None if "://" in address else address_in_site(path)
        if there is None:
            return match[0]
        referred.add(path)
        return f"{before}{os.path.relpath(there, here)}{anchor or ''}{end}"

    return ADDRESS.sub(moved, markdown), referred


def as_page(path: str) -> str:
    """A text file as a page, which the search leaves out."""
    text = (ROOT / path).read_text()
    fence = "`" * max([3, *(1 + len(ticks) for ticks in re.findall("`+", text))])
    language = Path(path).suffix.removeprefix(".").replace("py", "python") or "text"
    head = f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n\n# {path}\n\n"
    return f"{head}{fence}{language}\n{text}\n{fence}\n"


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of PAGES and every file that a page refers to."""
    from mkdocs.structure.files import File

    for path, own in PAGES.items():
        files.append(File.generated(config, own, content=(ROOT / path).read_text()))
    for name in notebooks.names():
        shown = notebooks.page(name)
        files.append(File.generated(config, f"{notebooks.FOLDER}/{name}.md", content=shown.text))
        for picture, content in shown.files.items():
            address = f"{notebooks.FOLDER}/{picture}"
            if files.get_file_from_path(address) is None:  # a formula of both
                files.append(File.generated(config, address, content=content))
        source = f"{notebooks.FOLDER}/{name}.ipynb"
        files.append(File.generated(config, f"{OTHERS}{source}", abs_src_path=str(ROOT / source)))
    referred = set()
    for file in files.documentation_pages():
        referred |= in_site(file.content_string, _origin(file.src_uri))[1]
    for path in sorted(referred):
        address = address_in_site(path) or ""
        if not address.startswith(OTHERS):
            continue
        if path.endswith(COPIED):
            files.append(File.generated(config, address, abs_src_path=str(ROOT / path)))
        else:
            files.append(File.generated(config, address, content=as_page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Moves the addresses of a page."""
    if page.file.src_uri.startswith(OTHERS):
        return markdown
    return in_site(markdown, _origin(page.file.src_uri))[0]


def _origin(address: str) -> str:
    """The path in the repository of a page of the site."""
    if address.startswith(f"{notebooks.FOLDER}/"):
        return f"{os.path.splitext(address)[0]}.py"
    return {site: path for path, site in PAGES.items()}.get(address, f"docs/{address}")
