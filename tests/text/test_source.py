"""Text is read block by block, unchanged, from its files."""

from pathlib import Path

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.text import Source, source

SIGNS = "aé€😀\n"  # one to four bytes


@pytest.fixture(params=[1, 2, 3, 5, 1 << 20])
def blocks(request, monkeypatch):
    monkeypatch.setattr(source, "BLOCK", request.param)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("start", range(0, 12))
def test_bytes_between_are_a_slice_of_all_files(tmp_path, start):
    """Oracle: the files' bytes, each with a line end, joined and sliced by Python. Catches an offset
    that is counted from the wrong file, and a block that is read twice."""
    contents = {"b/2.txt": b"cdef", "a.txt": b"ab", "b/1.txt": b"", ".hidden": b"xx", "c": b"ghi\n"}
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    text = Source(str(tmp_path))
    # Files of a folder before those of its subfolders.
    whole = b"ab\nghi\ncdef"
    assert text.size == len(whole)
    for end in range(start, len(whole) + 1):
        pieces = list(text.bytes_between(start, end))
        assert b"".join(piece.data for piece in pieces) == whole[start:end]
        for piece in pieces:
            there = Path(piece.name).read_bytes()
            is_end = piece.data == b"\n" and piece.offset == len(there)
            assert is_end or there[piece.offset : piece.offset + len(piece.data)] == piece.data


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("files", "added"),
    [
        (["one", "two"], 1),
        (["one\n", "two"], 0),
        (["", "one", "", "two", ""], 1),
        (["é", "é\n\n", "é", "\n"], 2),
    ],
)
def test_the_last_word_of_a_file_and_the_first_of_the_next_are_two(tmp_path, files, added):
    """Oracle: the words of each file by itself. Catches files that are joined without a separator,
    and a line end for a file that has one, or after the last, or for an empty one."""
    for number, content in enumerate(files):
        (tmp_path / f"{number}").write_text(content)
    text = Source(str(tmp_path))
    got = "".join(text.text_between(0, text.size))
    assert got.split() == [word for content in files for word in content.split()]
    assert len(got.encode()) == text.size
    assert len(got) == len("".join(files)) + added


@pytest.mark.usefixtures("blocks")
def test_a_character_that_is_cut_off_is_one_of_its_file(tmp_path):
    """Oracle: the offset at which the byte was put. Catches an error that names the next file."""
    (tmp_path / "1").write_bytes(b"a\xe2\x82")
    (tmp_path / "2").write_bytes(b"\xac")
    text = Source(str(tmp_path))
    with pytest.raises(UsageError, match=r"/1: expected UTF-8, .* at offset 1"):
        list(text.text_between(0, text.size))


@pytest.mark.usefixtures("blocks")
def test_a_sign_that_lies_in_two_blocks_comes_whole(tmp_path):
    """Oracle: Python's own decoder of the whole. Catches a decoder that restarts at each block."""
    (tmp_path / "text").write_text(SIGNS * 3)
    text = Source(str(tmp_path / "text"))
    assert "".join(text.text_between(0, text.size)) == SIGNS * 3


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\xff\xfecd", "expected UTF-8, got invalid start byte at offset 2"),
        (b"a\xe2\x82", "its last character is cut off"),
        (b"a\xe2\x82b", "got invalid continuation byte at offset 1"),
        (b"abc\0def", "got a zero byte at offset 3"),
    ],
)
def test_what_is_no_text_is_one_line_with_its_place(tmp_path, data, message):
    """Oracle: the offset at which the byte was put. Catches a traceback of the decoder, and an
    offset counted from the block."""
    (tmp_path / "text").write_bytes(data)
    text = Source(str(tmp_path / "text"))
    with pytest.raises(UsageError, match=message) as caught:
        list(text.text_between(0, text.size))
    assert "\n" not in str(caught.value)


def test_a_file_that_goes_while_it_is_read_is_one_line(tmp_path):
    """Catches a traceback in the middle of a folder."""
    (tmp_path / "text").write_text("abc")
    text = Source(str(tmp_path))
    (tmp_path / "text").unlink()
    with pytest.raises(UsageError, match="text .*/text can't be read: No such file or directory"):
        list(text.bytes_between(0, 3))


def test_a_missing_and_an_empty_text_are_one_line(tmp_path):
    """Catches a run on an empty text."""
    with pytest.raises(UsageError, match=r"nowhere: expected a file or a folder, got none"):
        Source(str(tmp_path / "nowhere"))
    (tmp_path / "empty").write_text("")
    for path in (tmp_path, tmp_path / "empty"):
        with pytest.raises(UsageError, match=r"expected some text, got none"):
            Source(str(path))


@pytest.mark.parametrize(
    ("text", "position", "cut"),
    [("ab\ncd\n", 0, 3), ("ab\ncd\n", 3, 6), ("x" * 9000, 10, 10), ("é" * 9000, 11, 12)],
)
def test_a_cut_is_at_a_line_or_else_at_a_character(tmp_path, text, position, cut):
    """Oracle: counted by hand. Catches a split that begins in the middle of a character."""
    (tmp_path / "text").write_text(text)
    assert Source(str(tmp_path / "text")).cut_near(position) == cut


def test_without_a_path_there_is_english_text():
    """Oracle: what Python documents of `pydoc_data.topics`. Catches a machine without text."""
    text = Source()
    whole = b"".join(piece.data for piece in text.bytes_between(0, text.size))
    assert text.size == len(whole) > 300_000
    assert b"expression" in whole
