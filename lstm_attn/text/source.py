"""The source of a text: a file, a folder of files, or the help topics that come with Python."""

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lstm_attn.errors import UsageError

BLOCK = 1 << 20
# Bytes; a longer line is cut at any character.
LONG_LINE = 4096


class Piece(NamedTuple):
    """Some bytes of the text, the name of their file and their offset in it."""

    data: bytes
    name: str
    offset: int


class Source:
    """The bytes of a text in order, read block by block: it may be larger than memory.

    A folder gives its files, and those of the folders in it, by name; hidden ones are left out. A
    file whose last line has no end gets one before the next file begins: its last word and the next
    file's first one are two.
    """

    def __init__(self, path: str = "") -> None:
        """path: a file or a folder; "" for the help topics of Python, some 460 KB of English.

        Raises:
          UsageError: nothing there, nothing in it, or a file that can't be read.
        """
        self.name = path or "pydoc_data.topics"
        self._files = _files(Path(path)) if path else []
        self._topics = b"" if path else _topics()
        self._sizes = [file.stat().st_size for file in self._files]
        if not any(self._sizes) and not self._topics:
            raise UsageError(f"text {self.name}: expected some text, got none")
        last = max((n for n, size in enumerate(self._sizes) if size), default=0)
        # What follows each file in the text.
        self._ends = [
            b"\n" if number < last and size and not _ends_a_line(path, size) else b""
            for number, (path, size) in enumerate(zip(self._files, self._sizes, strict=True))
        ]
        self.size = sum(self._sizes) + sum(map(len, self._ends)) + len(self._topics)

    def bytes_between(self, start: int, end: int) -> Iterator[Piece]:
        """The bytes from `start` up to `end`, counted over all files with the line ends added.

        Raises:
          UsageError: a zero byte, which text does not have, or a file that can't be read.
        """
        for piece in self._pieces(start, end):
            zero = piece.data.find(0)
            if zero >= 0:
                raise UsageError(
                    f"text {piece.name}: expected text, got a zero byte at offset "
                    f"{piece.offset + zero}"
                )
            yield piece

    def _pieces(self, start: int, end: int) -> Iterator[Piece]:
        if self._topics:
            yield Piece(self._topics[start:end], self.name, start)
        begins = 0
        for path, size, ending in zip(self._files, self._sizes, self._ends, strict=True):
            offset, last = max(start - begins, 0), min(end - begins, size)
            closing = ending[max(start - begins - size, 0) : max(end - begins - size, 0)]
            begins += size + len(ending)
            try:
                with open(path, "rb") as file:
                    file.seek(offset)
                    while offset < last and (data := file.read(min(BLOCK, last - offset))):
                        yield Piece(data, str(path), offset)
                        offset += len(data)
            except OSError as error:
                raise UsageError(f"text {path} can't be read: {error.strerror}") from error
            if closing:
                yield Piece(closing, str(path), size)

    def text_between(self, start: int, end: int) -> Iterator[str]:
        """The same as UTF-8; a character whose bytes lie in two blocks comes whole.

        Raises:
          UsageError: bytes that are not UTF-8, naming the file and the place.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        for piece in self.bytes_between(start, end):
            waiting = len(decoder.getstate()[0])
            try:
                yield decoder.decode(piece.data)
            except UnicodeDecodeError as error:
                raise UsageError(
                    f"text {piece.name}: expected UTF-8, got {error.reason} at offset "
                    f"{piece.offset + error.start - waiting}"
                ) from error
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise UsageError(
                f"text {self.name}: its last character is cut off, not UTF-8"
            ) from error

    def cut_near(self, position: int) -> int:
        """Where the first line after a position begins; in a long line, the first character."""
        near = b"".join(p.data for p in self.bytes_between(position, position + LONG_LINE))
        end = near.find(b"\n")
        if end >= 0:
            return position + end + 1
        first = (place for place, byte in enumerate(near) if byte & 0xC0 != 0x80)
        return position + next(first, len(near))


def _topics() -> bytes:
    # Imported here: half a megabyte of strings that few programs want.
    from pydoc_data.topics import topics

    return "\n".join(topics[key].strip() + "\n" for key in sorted(topics)).encode()


def _ends_a_line(path: Path, size: int) -> bool:
    try:
        with open(path, "rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"
    except OSError as error:
        raise UsageError(f"text {path} can't be read: {error.strerror}") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"text {path}: expected a file or a folder, got none")
    files = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return [file for file in files if file.is_file()]
