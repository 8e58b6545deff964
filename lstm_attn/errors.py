"""The error that a user can cause, and checks and texts of its messages."""

import difflib
import unicodedata
from collections.abc import Iterable

from lstm_attn.plain_numbers import WHOLE, make_plain, number_fields, plain

HIGHEST = 2**31 - 1
LONGEST_LINE = 2000  # letters of a message, which may quote a long value
# Unicode's bidirectional controls: one left open would reverse the text after it.
TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


class UsageError(ValueError):
    """A value of the caller's does not fit. The message is one line: what came, what was expected.

    Programs print the line and exit with status 2; any other exception is a bug of ours and keeps
    its traceback.
    """


def unknown_name(
    kind: str, name: object, known: Iterable[str], synonyms: Iterable[str] = ()
) -> UsageError:
    """An error for a name that is not in a table; it suggests the nearest names, in either case.

    Args:
      synonyms: what else the name may mean; those that are known are suggested first.
    """
    names = list(known)
    in_lower_case = {one.lower(): one for one in names}
    close = difflib.get_close_matches(str(name).lower(), in_lower_case, n=2, cutoff=0.5)
    nearest = [one for one in synonyms if one in names] or [in_lower_case[one] for one in close]
    hint = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return UsageError(f"unknown {kind} {name!r}: {hint}known are {', '.join(names)}")


def visible(text: str) -> str:
    """The text with control characters escaped: one line, and no commands to a terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def one_line(message: object) -> str:
    """The message on one line, control characters escaped, cut to LONGEST_LINE letters."""
    line = visible(" ".join(str(message).split()))
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} ..."


def in_words(error: BaseException) -> str:
    """An error that is not ours, with its type: the message alone may be a bare key or empty."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def readable(text: str) -> str:
    """Text of several lines for a terminal, with control characters escaped.

    Line ends and tabs stay; carriage returns, which many texts have before each line end, go.
    """

    def shown(letter: str) -> str:
        if letter in "\n\t":
            return letter
        is_command = unicodedata.category(letter) in ("Cc", "Cs")
        if is_command or unicodedata.bidirectional(letter) in TURNING:
            return letter.encode("unicode_escape").decode()
        return letter

    return "".join(map(shown, text.replace("\r", "")))


def counted(number: int, noun: str) -> str:
    """The number and its noun: "1 cell", "2 cells"."""
    return f"{number:,} {noun}" + "s" * (number != 1)


def check_whole(name: str, value: object, lowest: int = 1) -> int:
    """The value as Python's int; one of numpy's will do, a bool won't.

    Raises:
      UsageError: it is no whole number from `lowest` to the largest int32, the type of JAX's
        indices and steps.
    """
    whole = plain(value)
    if type(whole) is not int:
        raise UsageError(f"{name}: expected a whole number, got {value!r}")
    if whole < lowest:
        raise UsageError(f"{name}: expected at least {lowest}, got {whole}")
    if whole > HIGHEST:
        raise UsageError(f"{name}: expected at most {HIGHEST}, got {whole}")
    return whole


def check_numbers(settings: object, prefix: str = "") -> None:
    """Makes the numbers of a frozen dataclass Python's own, see `make_plain`.

    Args:
      prefix: what a message has before the name of a field.

    Raises:
      UsageError: a field of numbers holds something else, such as a bool or a text.
    """
    make_plain(settings)
    for name, kind in number_fields(settings).items():
        value = getattr(settings, name)
        several = kind.startswith("tuple") and isinstance(value, tuple)
        for one in value if several else () if value is None and "None" in kind else (value,):
            if type(one) is not int and (kind in WHOLE or type(one) is not float):
                expected = "a whole number" if kind in WHOLE else "a number"
                raise UsageError(f"{prefix}{name}: expected {expected}, got {one!r}")
