"""Files written whole or not at all, one line for the system's errors, and one process a folder."""

import os
import platform
import subprocess
import sys

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.files import PARTIAL, append_line, cut_torn_line, write_whole
from lstm_attn.runs import RunFolder


def test_a_full_disk_leaves_what_was_there(tmp_path):
    """Oracle: the system's own error, of /dev/full. Catches a traceback and half a file."""
    path = tmp_path / "results.json"
    write_whole(path, b"before")
    partial = path.with_name(path.name + PARTIAL)
    partial.symlink_to("/dev/full")
    with pytest.raises(UsageError, match=rf"{path} can't be written: No space left on device"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert not partial.is_symlink(), "it takes room on the full disk"


def test_a_line_on_a_full_disk_is_one_line(tmp_path):
    """Oracle: as above. Catches the traceback of a buffer that is flushed too late."""
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UsageError, match=r"metrics.jsonl can't be written: No space left"):
        append_line(tmp_path / "metrics.jsonl", "{}")


def test_a_missing_folder_is_named(tmp_path):
    """Catches a message that names the temporary file, which the user does not know."""
    with pytest.raises(UsageError) as caught:
        write_whole(tmp_path / "none" / "page.html", b"")
    assert (
        str(caught.value)
        == f"{tmp_path}/none/page.html can't be written: No such file or directory"
    )


def test_a_pipe_is_written_to(tmp_path):
    """Oracle: the other end of a pipe. Catches a rename over /dev/stdout."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    write_whole(path, b"page")
    assert os.read(reader, 10) == b"page"
    os.close(reader)
    assert path.is_fifo()


def test_a_link_stays_a_link(tmp_path):
    """Catches a link that is replaced by a file, in a run folder with a file kept elsewhere."""
    place, link = tmp_path / "elsewhere", tmp_path / "link"
    link.symlink_to(place)
    write_whole(link, b"content")
    assert link.is_symlink()
    assert place.read_bytes() == b"content"


@pytest.mark.parametrize(
    ("content", "left"), [(b"", b""), (b"a\n", b"a\n"), (b"a\nb", b"a\n"), (b"a", b"")]
)
def test_a_torn_line_is_cut(tmp_path, content, left):
    """Oracle: by hand. Catches a complete line that is cut too."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    cut_torn_line(path)
    assert path.read_bytes() == left


# Locks: the oracle is the kernel, with processes of our own.
CHILD = """
import sys
from lstm_attn.runs import RunFolder
folder = RunFolder.open(sys.argv[1], {})
print("working", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that works in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "working\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_until_the_first_is_killed(other, tmp_path):
    """Catches two processes in one folder, a message that doesn't say which, a lock that outlives
    its process by kill -9, and a reader that is kept out."""
    whose = f"in use by process {other.pid} on {platform.node()};"
    for _ in range(2):  # the refused one must not free it
        with pytest.raises(UsageError, match=whose) as caught:
            RunFolder.open(tmp_path, {})
        assert "\n" not in str(caught.value)
    assert RunFolder(tmp_path).config == {}
    other.kill()
    other.wait()
    RunFolder.open(tmp_path, {})


def test_a_process_may_hold_a_folder_twice(tmp_path):
    """Catches a run that refuses itself, and a lock that is never released."""
    first, second = RunFolder.open(tmp_path, {}), RunFolder.open(tmp_path, {})
    del first
    refused = [sys.executable, "-c", CHILD, tmp_path]
    result = subprocess.run(refused, input="", capture_output=True, text=True, check=False)
    assert f"process {os.getpid()} on" in result.stderr
    del second
    assert subprocess.run(refused, input="", capture_output=True, check=False).returncode == 0
