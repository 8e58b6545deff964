"""A text in three splits: all of it, each byte once, and nothing of one split in another."""

import json
from collections import Counter

import numpy as np
import pytest

from lstm_attn.errors import UsageError
from lstm_attn.text import (
    LEVELS,
    SPLITS,
    Source,
    check,
    check_intact,
    encode_known,
    load,
    prepare,
    splits,
    token_counts,
    vocabulary,
)
from lstm_attn.text.vocabulary import BytePairs, Bytes, Characters

LINES = [f"line {number} of the text, é €\n" for number in range(400)]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "text.txt").write_text("".join(LINES))
    return tmp_path / "text.txt"


def prepared(path, level, held_out=0.1):
    return prepare(
        path.parent / level, Source(str(path)), level, vocabulary_size=300, held_out=held_out
    )


@pytest.mark.parametrize("level", LEVELS)
def test_the_parts_are_the_text(path, level):
    """Identity: decoded and joined they are the file, cut between two lines at 80 and 90 %. Catches
    a byte in two splits or in none, and an order that is not that of the text."""
    text = prepared(path, level)
    decoded = [text.vocabulary.decode(text.splits[name].tokens) for name in SPLITS]
    assert b"".join(decoded) == path.read_bytes()
    assert [text.splits[name].bytes for name in SPLITS] == [len(split) for split in decoded]
    for split, share in zip(decoded, (0.8, 0.1, 0.1), strict=True):
        assert split.endswith(b"\n")
        assert len(split) / path.stat().st_size == pytest.approx(share, abs=0.01)
    assert all(split.unknown_bytes == 0 for split in text.splits.values())
    assert max(split.tokens.max() for split in text.splits.values()) < text.vocabulary.size


@pytest.mark.parametrize("level", ["character", "bpe"])
def test_the_vocabulary_knows_nothing_of_the_held_out_parts(path, level):
    """Identity: other text from the first byte after training, the same vocabulary. Catches a leak
    of held-out text, even of one line."""
    before = prepared(path, level)
    data = path.read_bytes()
    kept = before.splits["train"].bytes
    others = b"\n".join([b"q" * 500] * 10)[: len(data) - kept - 1] + b"\n"
    path.write_bytes(data[:kept] + others)
    after = prepared(path, level)
    assert after.splits["train"].bytes == kept
    assert after.vocabulary.to_json() == before.vocabulary.to_json()


def test_of_a_large_text_little_is_held_out(path, monkeypatch):
    """Oracle: the lengths. Catches a share of gigabytes, which would take hours to evaluate."""
    monkeypatch.setattr(splits, "MOST_HELD_OUT", 300)
    text = prepared(path, "byte")
    longest = max(map(len, (line.encode() for line in LINES)))
    for name in ("validation", "test"):
        assert abs(text.splits[name].bytes - 300) <= longest


def test_what_training_never_had_is_unknown_and_counted(tmp_path):
    """Oracle: counted by hand, 80 % lie before line 93. Catches an index error, and bits per byte
    that leave bytes out."""
    (tmp_path / "text").write_text("abc\n" * 93 + "a€c\n" * 6 + "abc\n" * 14)
    text = prepare(
        tmp_path / "splits",
        Source(str(tmp_path / "text")),
        "character",
        vocabulary_size=0,
        held_out=0.1,
    )
    assert text.vocabulary.to_json()["characters"] == "\nabc"
    validation = text.splits["validation"]
    assert validation.unknown_bytes == 3 * np.sum(validation.tokens == 0) > 0
    assert text.splits["train"].unknown_bytes == text.splits["test"].unknown_bytes == 0


def test_opened_again_it_is_the_same(path):
    """Identity. Catches a vocabulary that JSON changes, and a type of integers that is forgotten."""
    for level in LEVELS:
        text = prepared(path, level)
        again = load(path.parent / level)
        assert again.vocabulary.to_json() == text.vocabulary.to_json()
        for name in SPLITS:
            np.testing.assert_array_equal(again.splits[name].tokens, text.splits[name].tokens)
            assert isinstance(again.splits[name].tokens, np.memmap)


def test_ids_take_no_more_room_than_they_need(path):
    """Oracle: the file's size. Catches eight bytes a character, and a split read into memory."""
    text = prepared(path, "byte")
    assert (path.parent / "byte" / "train.tokens").stat().st_size == text.splits["train"].bytes
    assert prepared(path, "bpe").splits["train"].tokens.dtype == np.uint16


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("data", [b"a", b"ab\n", b"\n\n\n"])
def test_a_text_too_small_to_cut_is_one_line(tmp_path, level, data):
    """Catches an empty split, on which evaluation would divide by zero."""
    (tmp_path / "text").write_bytes(data)
    with pytest.raises(
        UsageError, match=r"text: \d bytes are too few to cut off twice 5%"
    ) as caught:
        prepare(
            tmp_path / "p",
            Source(str(tmp_path / "text")),
            level,
            vocabulary_size=300,
            held_out=0.05,
        )
    assert "\n" not in str(caught.value)


def test_what_is_checked_is_what_is_prepared(path):
    """Oracle: the splits themselves. Catches a text that is refused after the run has begun, and one
    that is long enough and refused."""
    for level in LEVELS:
        text = prepared(path, level)
        counts = {
            name: split.bytes if level == "bpe" else len(split.tokens)
            for name, split in text.splits.items()
        }
        source = Source(str(path))
        one_less = {name: count - 1 for name, count in counts.items()}
        check(source, level, held_out=0.1, longer_than=one_less)
        for name in SPLITS:
            with pytest.raises(UsageError, match=f"its {name} split has {counts[name]:,} tokens"):
                check(source, level, held_out=0.1, longer_than=one_less | {name: counts[name]})


def damage(folder):
    """Ways to damage the files of a text, and the message for each."""
    description, ids = folder / "text.json", folder / "train.tokens"
    whole = json.loads(description.read_text())
    splits = whole["splits"]
    shorter = {**splits, "train": {**splits["train"], "tokens": 7}}
    nothing = {**splits, "train": {**splits["train"], "tokens": None}}
    for changed, message in (
        ("{", "can't be read: JSONDecodeError"),
        ([], "can't be read: TypeError"),
        ({**whole, "splits": {}}, "can't be read: KeyError: 'train'"),
        ({**whole, "splits": shorter}, "train.tokens is damaged: expected 7 bytes, got"),
        ({**whole, "splits": nothing}, "can't be read: TypeError"),
        ({**whole, "vocabulary": {"level": "word"}}, "unknown data.level 'word'"),
        ({**whole, "vocabulary": {"level": "character", "characters": [1]}}, "can't be read"),
        ({**whole, "vocabulary": {"level": "bpe", "tokenizer": 3}}, "can't be read"),
    ):
        yield description, changed if isinstance(changed, str) else json.dumps(changed), message
    yield ids, "short", "train.tokens is damaged: expected"
    yield ids, ids.read_text() + "x", "train.tokens is damaged: expected"
    yield ids, None, "can't be read: FileNotFoundError"
    yield description, None, "can't be read: FileNotFoundError"


def test_a_damaged_text_is_one_line(path):
    """Oracle: by hand, one damage at a time. Catches a traceback, ids read with another type than
    they were written with, and a file cut short by a full disk."""
    prepared(path, "byte")
    folder = path.parent / "byte"
    for file, content, message in list(damage(folder)):
        before = file.read_bytes()
        file.unlink() if content is None else file.write_text(content)
        with pytest.raises(UsageError, match=message) as caught:
            load(folder)
        assert "\n" not in str(caught.value)
        file.write_bytes(before)
    text = load(folder)
    check_intact(folder, text)
    (folder / "test.tokens").write_bytes((folder / "test.tokens").read_bytes()[::-1])
    with pytest.raises(UsageError, match="test.tokens is damaged: its ids are not those"):
        check_intact(folder, load(folder))


def test_a_disk_without_room_is_one_line(path, monkeypatch):
    """A simulated full disk. Catches a traceback if the text needs more space than is left."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(splits, "force", full)
    with pytest.raises(UsageError, match="can't be written: No space left on device"):
        prepared(path, "byte")
    assert not (path.parent / "byte" / "text.json").exists()


def test_byte_pairs_give_every_byte_back():
    """Identity on all 256 bytes. Catches a byte that is encoded as another one."""
    pairs = BytePairs.learn(["aaa aaab"], 258)
    data = bytes(range(1, 128)).decode() + "".join(chr(c) for c in range(128, 0x800, 7)) + "€😀"
    assert pairs.decode(pairs.encode(data)) == data.encode()
    assert len(pairs.encode("aaaaaa")) < 6


def test_a_prompt_outside_the_vocabulary_is_one_line():
    """Catches an unknown character that the model reads as another one."""
    known = Characters("abc")
    np.testing.assert_array_equal(encode_known(known, "cab"), [3, 1, 2])
    with pytest.raises(UsageError, match=r"prompt: 'z' at place 2 is not among the 3 characters"):
        encode_known(known, "abz")
    assert len(encode_known(Bytes(), "z€")) == 4
    with pytest.raises(UsageError, match="prompt: expected UTF-8, got"):
        encode_known(Bytes(), "a\udcff")


def test_an_unknown_level_is_named(tmp_path, path):
    """Catches a silent default."""
    with pytest.raises(UsageError, match="unknown data.level 'words'"):
        prepared(path, "words")
    with pytest.raises(UsageError, match="unknown data.level"):
        vocabulary.from_json({"level": "word"})
    with pytest.raises(
        UsageError, match=r"data.held_out: expected a share between 0 and 1/2, got 0.5"
    ):
        prepared(path, "byte", held_out=0.5)


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_counts_do_not_depend_on_the_block(block):
    """Oracle: Python's Counter. Catches a last block that is lost, and ids that never occur."""
    tokens = np.random.default_rng(0).integers(0, 5, 100).astype(np.uint8)
    counted = Counter(tokens.tolist())
    expected = [counted[number] for number in range(7)]
    np.testing.assert_array_equal(token_counts(tokens, 7, block), expected)
