"""A text cut by position into training, validation and test, as token ids in files."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstm_attn.errors import UsageError
from lstm_attn.files import force, write_whole, writing
from lstm_attn.text.source import Source
from lstm_attn.text.vocabulary import (
    BytePairs,
    Bytes,
    Characters,
    Vocabulary,
    check_level,
    from_json,
)

SPLITS = ("train", "validation", "test")
DESCRIPTION = "text.json"
# Byte pairs are counted in this much of the training split at most.
LEARNED_FROM = 16_000_000
# Bytes; more of them would say no more of a model, and take hours to go through.
MOST_HELD_OUT = 5_000_000
COUNTED_AT_ONCE = 1 << 22  # tokens


class Split(NamedTuple):
    """tokens: ids, a memory map [n]. bytes: length of the text. unknown_bytes: of them, those of
    characters outside the vocabulary. sha256: of the file of ids, in hexadecimal."""

    tokens: np.ndarray
    bytes: int
    unknown_bytes: int
    sha256: str = ""


class Text(NamedTuple):
    """splits: by the names of SPLITS. source: the file or folder of the text."""

    vocabulary: Vocabulary
    splits: dict[str, Split]
    source: str


def check(source: Source, level: str, *, held_out: float, longer_than: Mapping[str, int]) -> None:
    """Reads a text as `prepare` would and checks it, without writing.

    Args:
      longer_than: for each split, a number of tokens that it must exceed.

    Raises:
      UsageError: what `prepare` would raise, or a split that is too short. For "bpe" only splits
        that are too short in bytes are refused, since its tokens are not known yet.
    """
    check_level(level)
    cuts = _cuts(source, held_out)
    for name, start, end in zip(SPLITS, cuts, cuts[1:], strict=False):
        if level == "byte":
            count = sum(len(piece.data) for piece in source.bytes_between(start, end))
        else:
            count = sum(map(len, source.text_between(start, end)))
        count = end - start if level == "bpe" else count
        if count <= longer_than[name]:
            raise UsageError(
                f"text {source.name}: its {name} split has {count:,} tokens, expected more than "
                f"{longer_than[name]:,}; a longer text, larger data.held_out, or shorter length "
                "or fewer training.evaluation_sequences"
            )


def prepare(
    folder: Path, source: Source, level: str, *, vocabulary_size: int, held_out: float
) -> Text:
    """Writes the splits of a text as token ids into a folder, and opens them.

    The last `held_out` of the bytes, at most MOST_HELD_OUT, are the test split, as many before them
    validation, the rest is training; each split begins with a line, where there is one. The
    vocabulary is that of the training split. Text goes through block by block, so a file may be
    larger than memory; the run keeps its ids whatever becomes of the file.

    Args:
      level: one of `vocabulary.LEVELS`.
      vocabulary_size: ids that "bpe" may have.
      held_out: a share between 0 and 1/2.

    Raises:
      UsageError: an unknown level, a text that can't be cut or read.
    """
    check_level(level)
    cuts = _cuts(source, held_out)
    vocabulary = _vocabulary(source, level, vocabulary_size, cuts[1])
    dtype = np.min_scalar_type(vocabulary.size - 1)
    described = {}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, start, end in zip(SPLITS, cuts, cuts[1:], strict=False):
            encoded = _encoded(source, vocabulary, start, end)
            noted = _write(folder / f"{name}.tokens", encoded, dtype)
            described[name] = {"bytes": end - start, **noted}
    description = {
        "source": source.name,
        "vocabulary": vocabulary.to_json(),
        "splits": described,
    }
    # Last: what it describes is on disk.
    write_whole(folder / DESCRIPTION, (json.dumps(description) + "\n").encode())
    return load(folder)


def load(folder: Path) -> Text:
    """The text that `prepare` wrote; its ids are read when they are asked for.

    Raises:
      UsageError: a folder without a text, or with a damaged one, on one line.
    """
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        vocabulary = from_json(description["vocabulary"])
        dtype = np.min_scalar_type(vocabulary.size - 1)
        splits = {}
        for name in SPLITS:
            noted = description["splits"][name]
            tokens = _mapped(folder / f"{name}.tokens", dtype, int(noted["tokens"]))
            splits[name] = Split(
                tokens, int(noted["bytes"]), int(noted["unknown_bytes"]), str(noted["sha256"])
            )
        return Text(vocabulary, splits, str(description["source"]))
    except UsageError:
        raise
    except Exception as error:  # tokenizers has no narrower one for a tokenizer that it can't read
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"text in {folder} can't be read: {reason}") from error


def _mapped(path: Path, dtype: np.dtype, count: int) -> np.ndarray:
    size, expected = path.stat().st_size, count * dtype.itemsize
    if size != expected:
        raise UsageError(f"{path} is damaged: expected {expected:,} bytes, got {size:,}")
    return np.memmap(path, dtype, mode="r", shape=(count,))


def check_intact(folder: Path, text: Text) -> None:
    """Raises UsageError if the ids have changed since they were written; reads all of them."""
    for name, split in text.splits.items():
        path = folder / f"{name}.tokens"
        with open(path, "rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != split.sha256:
                raise UsageError(f"{path} is damaged: its ids are not those that were written")


def token_counts(tokens: np.ndarray, size: int, block: int = COUNTED_AT_ONCE) -> np.ndarray:
    """How often each of the ids 0 ... size - 1 is among the tokens: int64 [size].

    Args:
      block: tokens that are read at once, since a split may be larger than memory.
    """
    counts = np.zeros(size, np.int64)
    for start in range(0, len(tokens), block):
        counts += np.bincount(tokens[start : start + block], minlength=size)
    return counts


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
) -> dict[str, Any]:
    tokens, unknown_bytes, digest = 0, 0, hashlib.sha256()
    with open(path, "wb") as file:
        for ids, unknown in encoded:
            data = ids.astype(dtype).tobytes()
            file.write(data)
            digest.update(data)
            tokens += len(ids)
            unknown_bytes += unknown
    force(path)
    return {"tokens": tokens, "unknown_bytes": unknown_bytes, "sha256": digest.hexdigest()}


def _vocabulary(source: Source, level: str, size: int, end: int) -> Vocabulary:
    if level == "byte":
        return Bytes()
    if level == "character":
        seen: set[str] = set()
        for text in source.text_between(0, end):
            seen.update(text)
        return Characters(seen)
    # No farther than `end`, which is a cut itself: the next one would be in the split behind it.
    return BytePairs.learn(source.text_between(0, min(end, source.cut_near(LEARNED_FROM))), size)
