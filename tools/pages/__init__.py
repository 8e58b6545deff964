"""Writes sections of this repository's pages: of README and docs from run folders and records."""

import os
import re
from pathlib import Path

from lstm_attn.errors import UsageError

ROOT = Path(__file__).parent.parent.parent


def replaced(text: str, name: str, section: str, page: str) -> str:
    """The text of a page with the section between the markers of that name replaced.

    Raises:
      UsageError: the page has no such markers.
    """
    pattern = rf"(<!-- {name}: [^\n]*\n).*?(<!-- end of {name} -->)"
    if not re.search(pattern, text, flags=re.DOTALL):
        raise UsageError(f"{page} has no markers for the section {name!r}")
    return re.sub(
        pattern, lambda match: f"{match[1]}\n{section}\n\n{match[2]}", text, flags=re.DOTALL
    )


def from_page(section: str, page: Path) -> str:
    """The section with the addresses of its pictures, which are from ROOT, as from the page."""
    up = os.path.relpath(ROOT, page.parent)
    prefix = "" if up == "." else f"{up}/"
    return section.replace('<img src="', f'<img src="{prefix}')


def write_sections(page: Path, sections: dict[str, str]) -> None:
    """Writes each section, by its name, between its markers on the page. Raises as `replaced`."""
    text = page.read_text()
    for name, section in sections.items():
        text = replaced(text, name, from_page(section, page), page.name)
    page.write_text(text)
