"""The one error that a user can cause, and how an unknown name is reported."""

import difflib
import unicodedata
from collections.abc import Iterable

HIGHEST = 2**31 - 1
# By Unicode's names: what is left open turns the text after it round, on a terminal.
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


class UsageError(ValueError):
    """A value that the caller gave does not fit. The message is one line: what, expected, where.

    Programs catch it at their border, print the line and exit with status 2; any other exception
    is a bug of ours and keeps its traceback.
    """


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UsageError:
    """An error for a name outside a table, with the nearest names first."""
    names = list(known)
    nearest = difflib.get_close_matches(str(name), names, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return UsageError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names)}")


def visible(text: str) -> str:
    """The text with control characters as escapes: on one line, and no command to a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def readable(text: str) -> str:
    """Text of several lines for a terminal: control characters as escapes, so that none is a
    command to it. Line ends and tabs stay; a carriage return, which would go back over the line, is
    left out, since many texts have one at the end of each."""

    def shown(letter: str) -> str:
        if letter in "\n\t":
            return letter
        is_command = unicodedata.category(letter) in ("Cc", "Cs")
        if is_command or unicodedata.bidirectional(letter) in TURNING:
            return letter.encode("unicode_escape").decode()
        return letter

    return "".join(map(shown, text.replace("\r", "")))


def check_whole(name: str, value: object, lowest: int = 1) -> None:
    """Raises UsageError unless the value is a whole number of at least `lowest`, and a size that
    JAX can count: int32, as its indices and steps are."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name}: expected a whole number, got {value!r}")
    if value < lowest:
        raise UsageError(f"{name}: expected at least {lowest}, got {value}")
    if value > HIGHEST:
        raise UsageError(f"{name}: expected at most {HIGHEST}, got {value}")
