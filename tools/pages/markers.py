"""Pages in Markdown with sections that commands write, each between two marks of its name."""

import re

from lstm_attn.errors import UsageError


def replaced(text: str, name: str, section: str, page: str) -> str:
    """The text of a page with what stands between the marks of that name exchanged.

    Raises:
      UsageError: no such marks on the page.
    """
    pattern = rf"(<!-- {name}: [^\n]*\n).*?(<!-- end of {name} -->)"
    if not re.search(pattern, text, flags=re.DOTALL):
        raise UsageError(f"{page} has no marks for the section {name!r}")
    return re.sub(
        pattern, lambda match: f"{match[1]}\n{section}\n\n{match[2]}", text, flags=re.DOTALL
    )
