"""Files that are there whole or not at all, and one clear line where they can't be written.

A process that is killed leaves what it had written to the kernel; a machine that stops leaves what
was forced to disk. What is written whole is forced to disk, then its name, before it counts as
written. What is appended, a line a chunk, is forced when a checkpoint is kept (`force`), since a
disk takes some milliseconds for it.
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


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says of a write into a UsageError: a full disk, a read-only folder."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror or error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the place, forces it to disk and renames: a reader never finds half a file.

    What was there stays until then, and stays for good where the disk is full. What is no file,
    such as /dev/null, is written to and not replaced.

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
    """Writes what is to be at the path beside it, and says where.

    Raises:
      OSError: it can't be written; then no part of it takes room.
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
    """Adds a line. A line that the system took in part has no end, by which a reader knows it.

    Raises:
      UsageError: it can't be written, saying why.
    """
    with writing(path), open(path, "a") as file:
        file.write(line + "\n")


def cut_torn_line(path: Path) -> None:
    """Drops what follows the last whole line, so that a line can be added. Raises OSError."""
    with open(path, "rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def force(*paths: Path) -> None:
    """Has the disk take what was written to files, or the names in folders. Raises OSError."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


LOCK = ".lock"


class InUse(UsageError):
    """Another process works in the folder."""


class Hold:
    """A lock on a file, which notes who has it; let go with this object or with the process.

    Raises:
      BlockingIOError: another process has it.
    """

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        weakref.finalize(self, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        me = {"process": os.getpid(), "host": platform.node()}
        os.write(descriptor, json.dumps(me).encode() + b"\n")


_HELD: weakref.WeakValueDictionary[Path, Hold] = weakref.WeakValueDictionary()


def hold(folder: Path) -> Hold:
    """Locks the folder for this process, which may hold it more than once, until all are let go.

    The kernel frees the lock of a process that ends, however it ends. The lock holds between hosts
    where their shared file system passes it on, as NFS does, and Lustre mounted with `flock`.
    A reader needs none.

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
        return "another process"  # which has not noted itself yet
