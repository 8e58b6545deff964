"""Writes sections of this repository's pages: of the README from run folders and records."""

import re
from pathlib import Path

from lstm_attn.errors import UsageError


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


def write_sections(page: Path, sections: dict[str, str]) -> None:
    """Writes each section, by its name, between its markers on the page. Raises as `replaced`."""
    text = page.read_text()
    for name, section in sections.items():
        text = replaced(text, name, section, page.name)
    page.write_text(text)
