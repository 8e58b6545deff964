"""Text to token ids and back: bytes, characters, or pairs of bytes merged by their frequency."""

import json
import sys
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from lstm_attn.errors import UsageError, unknown_name

# In place of a character that the training split does not have.
UNKNOWN = "\ufffd"


class Vocabulary(Protocol):
    """size: how many ids there are, 0 ... size - 1."""

    @property
    def size(self) -> int: ...

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [T]."""

    def decode(self, ids: np.ndarray) -> bytes:
        """The UTF-8 bytes of ids; cut at any id, they may end within a character."""

    def to_json(self) -> dict[str, Any]: ...


class Bytes:
    """Id = byte: 256 ids, whatever the text."""

    size = 256

    def encode(self, text: str) -> np.ndarray:
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)

    def decode(self, ids: np.ndarray) -> bytes:
        return np.asarray(ids).astype(np.uint8).tobytes()

    def to_json(self) -> dict[str, Any]:
        return {"level": "byte"}


class Characters:
    """The characters of the training split by code point, after one id for all others."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = UNKNOWN + "".join(sorted(set(characters) - {UNKNOWN}))
        # By code point, so that a block of text is one look-up.
        self._ids = np.zeros(sys.maxunicode + 1, np.int32)
        self._ids[[ord(character) for character in self.characters]] = np.arange(self.size)

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        return self._ids[points]

    def decode(self, ids: np.ndarray) -> bytes:
        return "".join(self.characters[number] for number in np.asarray(ids)).encode()

    def to_json(self) -> dict[str, Any]:
        return {"level": "character", "characters": self.characters[1:]}


class BytePairs:
    """Byte-pair encoding, learned from the training split (Sennrich et al. 2016, over bytes)."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> "BytePairs":
        """size: ids in all, the 256 bytes among them; fewer where the text has no more pairs."""
        tokenizers = _library()
        tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size,
            show_progress=False,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @property
    def size(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        return np.array(self._tokenizer.encode(text).ids, np.int32)

    def decode(self, ids: np.ndarray) -> bytes:
        alphabet = _bytes_of_signs()
        tokens = [self._tokenizer.id_to_token(int(number)) for number in np.asarray(ids)]
        return bytes(alphabet[sign] for token in tokens for sign in token)

    def to_json(self) -> dict[str, Any]:
        return {"level": "bpe", "tokenizer": json.loads(self._tokenizer.to_str())}


def from_json(saved: dict[str, Any]) -> Vocabulary:
    """The vocabulary that `to_json` gave."""
    if saved["level"] == "byte":
        return Bytes()
    if saved["level"] == "character":
        return Characters(saved["characters"])
    if saved["level"] == "bpe":
        return BytePairs(_library().Tokenizer.from_str(json.dumps(saved["tokenizer"])))
    raise unknown_name("data.level", saved["level"], LEVELS)


LEVELS = ("byte", "character", "bpe")


def check_level(level: str) -> None:
    """Raises UsageError for a level that there is not, or whose library is missing here."""
    if level not in LEVELS:
        raise unknown_name("data.level", level, LEVELS)
    if level == "bpe":
        _library()


def encode_known(vocabulary: Vocabulary, text: str) -> np.ndarray:
    """The ids of a text all of whose characters the vocabulary has.

    Raises:
      UsageError: a text with others, naming the first of them, or one that is no Unicode.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes of a command line that are not UTF-8
        raise UsageError(f"prompt: expected UTF-8, got {text!r}") from error
    if isinstance(vocabulary, Characters):
        known = set(vocabulary.characters[1:])
        for place, character in enumerate(text):
            if character not in known:
                raise UsageError(
                    f"prompt: {character!r} at place {place} is not among the "
                    f"{vocabulary.size - 1} characters that the model was trained on"
                )
    return vocabulary.encode(text)


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UsageError(
            "data.level=bpe wants the package tokenizers: pip install 'lstm_attn[text]'"
        ) from error
    return tokenizers


def _bytes_of_signs() -> dict[str, int]:
    """The printable sign that byte-level BPE writes for each byte (Radford et al. 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(256 + number): byte for number, byte in enumerate(others)
    }
