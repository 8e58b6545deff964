"""Pages in Markdown with generated sections, and the cells and paragraphs of such sections."""

import re

from lstm_attn.errors import UsageError

NOTHING = "–"


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


def joined(*paragraphs: str) -> str:
    """Those that are not empty, one after another."""
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def three_figures(value: float) -> str:
    """Rounded to three significant figures, or to whole numbers from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def with_target(value: float | None, target: float | None, sign: str, digits: int = 2) -> str:
    """The value, with its target in brackets where there is one."""
    if value is None:
        return NOTHING
    bracket = "" if target is None else f" ({sign} {target:,.{digits}f})"
    return f"{value:,.{digits}f}{bracket}"
