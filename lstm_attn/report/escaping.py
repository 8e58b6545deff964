"""Strings of a run folder, made safe to show on a page, in a figure or in a README."""

import re
from typing import Any

from lstm_attn.errors import visible

TEXT = "text"  # the key of a string of several lines, such as a sample of a language model
LONGEST, LONGEST_TEXT = 200, 20_000  # characters
NUMBERS = re.compile(r"[0-9 ]+")  # a row of a matrix, such as a map of attention in percent


def harmless(value: Any) -> Any:
    """The JSON value with every string on one line, without control characters, cut at LONGEST.

    A string under the key TEXT keeps its lines; it and a row of numbers are cut at LONGEST_TEXT.
    """
    if isinstance(value, str):
        longest = LONGEST_TEXT if NUMBERS.fullmatch(value) else LONGEST
        return _on_one_line(value[:longest])[:longest]
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
