"""One process at a time works in a run folder."""

import fcntl
import json
import os
import platform
import weakref
from pathlib import Path

from lstm_attn.errors import UsageError

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
