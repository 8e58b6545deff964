"""What a run folder says as a page, a picture or a README can show it, whoever made the folder."""

from typing import Any

from lstm_attn.errors import visible

TEXT = "text"  # the key of what has lines of its own, such as a sample of a language model
LONGEST, LONGEST_TEXT = 200, 20_000  # letters


def harmless(value: Any) -> Any:
    """The JSON value with every string on one line, without control characters, and not longer than
    LONGEST; one under the key TEXT keeps its lines, and LONGEST_TEXT letters."""
    if isinstance(value, str):
        return _on_one_line(value[:LONGEST])[:LONGEST]
    if isinstance(value, dict):
        return {
            harmless(key): _text(entry)
            if key == TEXT and isinstance(entry, str)
            else harmless(entry)
            for key, entry in value.items()
        }
    return list(map(harmless, value)) if isinstance(value, list) else value


def _text(text: str) -> str:
    return "\n".join(map(_on_one_line, text[:LONGEST_TEXT].split("\n")))


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else visible(text)
