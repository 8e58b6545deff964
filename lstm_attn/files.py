"""Files that are written whole or not at all, and the lock of a run folder.

Data that a killed process has written is safe with the kernel; when the machine stops, only data
forced to disk is safe. So a file that is written whole is forced to disk, and then its name, before
it counts as written. Forcing takes some milliseconds: appended lines are forced only when a
checkpoint is kept (`force`).
"""

import contextlib
import fcntl
import json
import os
import platform
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from lstm_attn.errors import UsageError

PARTIAL = ".partial"
LOCK = ".lock"


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's error about a write, such as a full disk, into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Writes a partial file, forces it to disk and renames it: a reader never sees half a file.

    The old content stays until then, and for good where the disk is full. What is not a regular
    file, such as /dev/null, is written to directly.

    Raises:
      UsageError: it can't be written, saying why.
    """
    with writing(path):
        place = path.resolve()
        if place.exists() and not place.is_file():
            place.write_bytes(content)
            return
        partial = write_partial(place, [content])
        force(partial)
        os.replace(partial, place)
        force(place.parent)


def write_partial(path: Path, parts: Iterable[bytes | memoryview]) -> Path:
    """Writes the content for the path into a partial file next to it, and returns its path.

    Raises:
      OSError: it can't be written; the partial file is then removed, to free the disk.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        with open(partial, "wb") as file:
            file.writelines(parts)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise
    return partial


def append_line(path: Path, line: str) -> None:
    """Adds a line. One that was written only in part lacks its line end, so a reader can skip it.

    Raises:
      UsageError: it can't be written, saying why.
    """
    with writing(path), open(path, "a") as file:
        file.write(line + "\n")


def cut_torn_line(path: Path) -> None:
    """Drops what follows the last line end, so that a line can be added. Raises OSError."""
    with open(path, "rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def force(*paths: Path) -> None:
    """Forces the content of files, or the names in folders, to disk. Raises OSError."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class InUse(UsageError):
    """Another process works in the folder."""


class Hold:
    """A lock on a file, which names its holder; released with this object or with the process.

    Raises:
      BlockingIOError: another process has it.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        holder = {"process": os.getpid(), "host": platform.node()}
        os.write(descriptor, json.dumps(holder).encode() + b"\n")


_HELD: weakref.WeakValueDictionary[Path, Hold] = weakref.WeakValueDictionary()


def hold(folder: Path) -> Hold:
    """Locks the folder for this process, which may hold it several times, until all are released.

    The kernel releases the lock when the process ends, however it ends. Between hosts the lock
    works on file systems that share it: NFS, and Lustre mounted with `flock`. Readers need none.

    Raises:
      InUse: another process holds it, naming its number and host.
      OSError: the folder can't be written, or its file system has no locks.
    """
    path = folder.resolve() / LOCK
    held = _HELD.get(path)
    if held is None:
        try:
            held = _HELD[path] = Hold(path)
        except BlockingIOError as error:
            raise InUse(
                f"workdir {folder} is in use by {_holder(path)}; wait until it ends, stop it, or "
                "choose another --workdir"
            ) from error
    return held


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"process {note['process']} on {note['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # which has not written its name yet
