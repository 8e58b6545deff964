"""A text cut by position into training, validation and test, as token ids in files."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstm_attn.errors import UsageError, unknown_name
from lstm_attn.text.source import Source
from lstm_attn.text.vocabulary import LEVELS, BytePairs, Bytes, Characters, Vocabulary, from_json

PARTS = ("train", "validation", "test")
DESCRIPTION = "text.json"
# Byte pairs are counted in this much of the training part at most.
LEARNED_FROM = 16_000_000
# Bytes; more of them would say no more of a model, and take hours to go through.
MOST_HELD_OUT = 5_000_000


class Part(NamedTuple):
    """tokens: ids, a memory map [n]. bytes: of text that they stand for. unknown_bytes: those of
    characters that the vocabulary does not have."""

    tokens: np.ndarray
    bytes: int
    unknown_bytes: int


class Text(NamedTuple):
    """parts: by the names of PARTS. source: where the text was from."""

    vocabulary: Vocabulary
    parts: dict[str, Part]
    source: str


def prepare(
    folder: Path, source: Source, level: str, *, vocabulary_size: int, held_out: float
) -> Text:
    """Writes the parts of a text as token ids into a folder, and opens them.

    The last `held_out` of the bytes, at most MOST_HELD_OUT, are the test part, as many before them
    validation, the rest is training; each part begins with a line, where there is one. The
    vocabulary is that of the training part. Text goes through block by block, so a file may be
    larger than memory; the run keeps its ids whatever becomes of the file.

    Args:
      level: one of LEVELS.
      vocabulary_size: ids that "bpe" may have.
      held_out: a share between 0 and 1/2.

    Raises:
      UsageError: an unknown level, a text that can't be cut or read.
    """
    if level not in LEVELS:
        raise unknown_name("data.level", level, LEVELS)
    cuts = _cuts(source, held_out)
    vocabulary = _vocabulary(source, level, vocabulary_size, cuts[1])
    dtype = np.min_scalar_type(vocabulary.size - 1)
    folder.mkdir(parents=True, exist_ok=True)
    described = {}
    for name, start, end in zip(PARTS, cuts, cuts[1:], strict=False):
        encoded = _encoded(source, vocabulary, start, end)
        counts = _write(folder / f"{name}.tokens", encoded, dtype)
        described[name] = {"bytes": end - start, **counts}
    description = {
        "source": source.name,
        "dtype": dtype.name,
        "vocabulary": vocabulary.to_json(),
        "parts": described,
    }
    partial = folder / f"{DESCRIPTION}.partial"
    partial.write_text(json.dumps(description, ensure_ascii=False) + "\n")
    os.replace(partial, folder / DESCRIPTION)
    return load(folder)


def load(folder: Path) -> Text:
    """The text that `prepare` wrote.

    Raises:
      UsageError: a folder that holds none, or whose files are not as long as it says.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        parts = {
            name: Part(
                np.memmap(
                    folder / f"{name}.tokens",
                    np.dtype(description["dtype"]),
                    mode="r",
                    shape=(counts["tokens"],),
                ),
                counts["bytes"],
                counts["unknown_bytes"],
            )
            for name, counts in description["parts"].items()
        }
    except (OSError, ValueError) as error:
        raise UsageError(f"text in {folder} can't be read: {error}") from error
    return Text(from_json(description["vocabulary"]), parts, description["source"])


def _cuts(source: Source, held_out: float) -> tuple[int, int, int, int]:
    if not 0 < held_out < 0.5:
        raise UsageError(f"data.held_out: expected a share between 0 and 1/2, got {held_out}")
    held = min(source.size * held_out, MOST_HELD_OUT)
    validation = source.cut_near(int(source.size - 2 * held))
    test = source.cut_near(max(int(source.size - held), validation))
    if not 0 < validation < test < source.size:
        raise UsageError(
            f"text {source.name}: {source.size} bytes are too few to cut off twice {held_out:.0%}"
        )
    return 0, validation, test, source.size


def _encoded(
    source: Source, vocabulary: Vocabulary, start: int, end: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Ids block by block, and how many bytes of each block are unknown to the vocabulary."""
    if isinstance(vocabulary, Bytes):
        for piece in source.bytes_between(start, end):
            yield np.frombuffer(piece.data, np.uint8), 0
        return
    for text in source.text_between(start, end):
        ids = vocabulary.encode(text)
        unknown = 0
        if isinstance(vocabulary, Characters):
            unknown = sum(len(text[place].encode()) for place in np.flatnonzero(ids == 0))
        yield ids, unknown


def _write(
    path: Path, encoded: Iterable[tuple[np.ndarray, int]], dtype: np.dtype
) -> dict[str, int]:
    tokens = unknown_bytes = 0
    with open(path, "wb") as file:
        for ids, unknown in encoded:
            file.write(ids.astype(dtype).tobytes())
            tokens += len(ids)
            unknown_bytes += unknown
    return {"tokens": tokens, "unknown_bytes": unknown_bytes}


def _vocabulary(source: Source, level: str, size: int, end: int) -> Vocabulary:
    if level == "byte":
        return Bytes()
    if level == "character":
        seen: set[str] = set()
        for text in source.text_between(0, end):
            seen.update(text)
        return Characters(seen)
    return BytePairs.learn(source.text_between(0, source.cut_near(min(LEARNED_FROM, end))), size)
