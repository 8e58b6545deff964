"""One process at a time in a run folder; the oracle is the kernel, with processes of our own."""

import os
import platform
import subprocess
import sys

import pytest

from lstm_attn.errors import UsageError
from lstm_attn.runs import RunFolder

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
    """Catches a run refused by itself, and a lock that is never let go."""
    first, second = RunFolder.open(tmp_path, {}), RunFolder.open(tmp_path, {})
    del first
    refused = [sys.executable, "-c", CHILD, tmp_path]
    result = subprocess.run(refused, input="", capture_output=True, text=True, check=False)
    assert f"process {os.getpid()} on" in result.stderr
    del second
    assert subprocess.run(refused, input="", capture_output=True, check=False).returncode == 0
